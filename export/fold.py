"""What a graph need not work out at every run."""

from __future__ import annotations

import onnx


def fold(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph."""
    return model
