"""torch -> ONNX: nothing is written that does not agree with torch."""

from export.onnx import export
from export.parity import Disagreement

__all__ = ["Disagreement", "export"]
