"""torch -> ONNX: nothing is written that does not agree with torch."""

from export.artefact import Evidence, LessAccurate, Target, export
from export.onnx import CannotExport
from export.parity import Disagreement
from export.passport import NoModel, Passport

__all__ = ["CannotExport", "Disagreement", "Evidence", "LessAccurate", "NoModel", "Passport", "Target", "export"]
