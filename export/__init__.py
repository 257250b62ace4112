"""torch -> ONNX: nothing is written that does not agree with torch."""

from export.artefact import Target, export
from export.onnx import CannotExport
from export.parity import Disagreement

__all__ = ["CannotExport", "Disagreement", "Target", "export"]
