"""Smaller weights and faster products: half precision for GPUs, 8-bit integers for CPUs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

from export import fold
from export.graph import Given
from export.onnx import quiet

LAYERS = ("Conv", "Gemm", "LSTM", "GRU", "BatchNormalization", "LayerNormalization")
"""The first of these on the way from the landmarks ends the normalisation of landmarks."""
HALF = (
    *("Conv", "MatMul", "Gemm", "Relu", "PRelu", "Sigmoid", "Tanh", "HardSwish", "Add", "Sub", "Mul", "Pad"),
    *("Concat", "Slice", "Split", "Gather", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Expand", "MaxPool"),
)
"""What may be done in half precision. Not: sums over many values, roots, quotients, exponentials, normalisation,
softmax, or what is carried along frames."""

SUFFIX = "_half"


def half(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with weights and products in float16, inputs and outputs in float32.

    Landmarks are normalised in float32: of a difference of neighbours' coordinates too little is left in ten bits.
    """
    known = onnx.shape_inference.infer_shapes(model).graph
    single = {value.name for value in (*known.input, *known.value_info, *known.output) if _is_single(value)}
    constants = {tensor.name: tensor for tensor in model.graph.initializer if tensor.data_type == TensorProto.FLOAT}
    inside = {node.name for node in _within(model) if node.op_type in HALF}
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    there = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    del graph.node[:], graph.value_info[:]

    def form(name: str, halved: bool) -> str:
        """The name of a value's half or single form, which is made when it is first asked for."""
        asked, other = (f"{name}{SUFFIX}", name) if halved else (name, f"{name}{SUFFIX}")
        if asked not in there and halved and name in constants:
            graph.initializer.append(numpy_helper.from_array(_halved(constants[name]), asked))
        elif asked not in there:
            to = TensorProto.FLOAT16 if halved else TensorProto.FLOAT
            graph.node.append(helper.make_node("Cast", [other], [asked], f"{asked}_cast", to=to))
        there.add(asked)
        return asked

    for node in model.graph.node:
        made, halved = onnx.NodeProto(), node.name in inside
        made.CopyFrom(node)
        for at, name in enumerate(node.input):
            if name in single or name in constants:
                made.input[at] = form(name, halved)
        for at, name in enumerate(node.output):
            made.output[at] = f"{name}{SUFFIX}" if halved and name in single else name
        there.update(made.output)
        graph.node.append(made)
    for value in graph.output:
        form(value.name, halved=False)
    fold.prune(graph)
    return copy


def _halved(tensor: TensorProto) -> NDArray[np.float16]:
    most = np.finfo(np.float16).max
    return numpy_helper.to_array(tensor).clip(-most, most).astype(np.float16)


def _is_single(value: onnx.ValueInfoProto) -> bool:
    return value.type.tensor_type.elem_type == TensorProto.FLOAT


def int8(model: onnx.ModelProto, given: Sequence[Given]) -> onnx.ModelProto:
    """A copy whose Conv and MatMul with weights of their own work on 8-bit integers.

    Weights take seven of the eight bits: processors without VNNI add two products in 16 bits, which eight would
    overflow.

    given: inputs of the graph, by which the ranges of values are told. Raises ValueError for none.
    """
    if not given:
        raise ValueError("int8 needs inputs to tell ranges by, got none")
    constants = {tensor.name for tensor in model.graph.initializer}
    chosen = [
        node.name
        for node in _within(model)
        if node.op_type in ("Conv", "MatMul") and constants.intersection(node.input)
    ]
    with tempfile.TemporaryDirectory() as folder, quiet(""):  # it logs as nobody
        path = Path(folder) / "int8.onnx"
        quantize_static(
            model,
            path,
            _Reader(given),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "MatMul"],
            nodes_to_quantize=chosen,
            per_channel=True,
            reduce_range=True,
        )
        return onnx.load(path)


def _within(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """The network's own nodes: the layers, and all that comes after one."""
    reached: set[str] = set()
    for node in model.graph.node:
        if node.op_type in LAYERS or reached.intersection(node.input):
            reached.update(node.output)
            yield node


class _Reader(CalibrationDataReader):
    def __init__(self, given: Sequence[Given]) -> None:
        self._given = iter(given)

    def get_next(self) -> dict[str, np.ndarray]:
        return next(self._given, {})  # nothing more
