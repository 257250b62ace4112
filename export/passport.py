"""Reads what a model file is, without running anything in it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto

from export import fold
from landmarks import Manifest, ManifestError
from landmarks.manifest import METADATA_KEY

DOMAINS = ("", "ai.onnx")
"""Whose operators a model of ours has: ONNX's own. Others may be code from somewhere else."""


class NoModel(ValueError):
    """A file that is no model of ours, or reaches outside itself."""


@dataclass(frozen=True)
class Passport:
    """manifest: of the model. opset: of ONNX. bytes: of the file. inputs, outputs: name -> its shape, in words.
    operators: how many nodes of each kind."""

    manifest: Manifest
    opset: int
    bytes: int
    inputs: dict[str, str]
    outputs: dict[str, str]
    operators: dict[str, int]

    def to_json(self) -> str:
        """For people and programs."""
        return json.dumps(dataclasses.asdict(self), indent=1)


def read(path: Path) -> Passport:
    """Of a file that `python -m export` wrote. Raises NoModel."""
    try:
        data = path.read_bytes()
        model = onnx.load_from_string(data)
    except (OSError, DecodeError, ValueError) as error:
        raise NoModel(f"{path} is no ONNX file: {error}") from error
    text = next((entry.value for entry in model.metadata_props if entry.key == METADATA_KEY), None)
    if text is None:
        raise NoModel(f"{path} carries no manifest; `python -m export RUN {path}` writes one")
    if model.functions:
        raise NoModel(f"{path} brings functions of its own: {', '.join(one.name for one in model.functions)}")
    if foreign := sorted({f"{node.domain}.{node.op_type}" for node in _outside(model.graph)}):
        raise NoModel(f"{path} needs operators that are not ONNX's own: {', '.join(foreign)}")
    if away := sorted({tensor.name for tensor in _tensors(model.graph) if _external(tensor)}):
        raise NoModel(f"{path} keeps weights in other files: {', '.join(away)}")
    try:
        manifest = Manifest.from_json(text)
    except ManifestError as error:
        raise NoModel(f"{path}: {error}") from error
    opset = next((entry.version for entry in model.opset_import if entry.domain in DOMAINS), 0)
    inputs, outputs = (
        {value.name: _shape(value) for value in side} for side in (model.graph.input, model.graph.output)
    )
    return Passport(manifest, opset, len(data), inputs, outputs, fold.operators(model))


def _outside(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    return [node for node in fold.nodes(graph) if node.domain not in DOMAINS]


def _tensors(graph: onnx.GraphProto) -> Iterator[TensorProto]:
    """Every constant of a graph and of the graphs inside its nodes."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield from attribute.tensors
            if attribute.HasField("t"):
                yield attribute.t
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from _tensors(inner)


def _external(tensor: TensorProto) -> bool:
    return tensor.data_location == TensorProto.EXTERNAL or bool(tensor.external_data)


def _shape(value: onnx.ValueInfoProto) -> str:
    kind = value.type.tensor_type
    sizes = ", ".join(size.dim_param or str(size.dim_value) for size in kind.shape.dim)
    return f"{TensorProto.DataType.Name(kind.elem_type).lower()} ({sizes})"
