"""Small model files written node by node, whose right answers are known without onnxruntime."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from landmarks import Manifest
from landmarks.manifest import METADATA_KEY

KEPT = 0.5
"""Of a leaky sum, at each frame."""


def leaky_manifest(of: Manifest, behind: int = 0) -> Manifest:
    """Of a `leaky` or `recurrent` file that speaks of the moment `behind` frames ago."""
    return replace(of, form="stream", states=((1,), (2, 3)), window_frames=behind + 1, stride_frames=1, centre=0.0)


def leaky(path: Path, of: Manifest) -> Path:
    """Says `leaky_sums` of the first joint's x, halved; its second state counts the frames in each of 2 x 3 cells."""
    nodes = [
        helper.make_node("Gather", ["frame", "first"], ["joint"], axis=1),  # (B, 3)
        helper.make_node("Gather", ["joint", "column"], ["x"], axis=1),  # (B, 1)
        helper.make_node("IsNaN", ["x"], ["unseen"]),
        helper.make_node("Where", ["unseen", "zero", "x"], ["seen"]),
        helper.make_node("Mul", ["state_0", "kept"], ["old"]),
        helper.make_node("Add", ["old", "seen"], ["next_0"]),
        helper.make_node("Add", ["state_1", "one"], ["next_1"]),
        helper.make_node("Mul", ["next_0", "kept"], ["yes"]),
        helper.make_node("Sub", ["one", "yes"], ["no"]),
        helper.make_node("Concat", ["no", "yes"], ["probabilities"], axis=1),
    ]
    weights = {
        "first": np.array(0),
        "column": np.array([0]),
        "zero": np.zeros((), np.float32),
        "one": np.ones((), np.float32),
        "kept": np.array(KEPT, np.float32),
    }
    return _save(path, of, nodes, weights)


def leaky_sums(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """(T,) -> what `leaky` says is yes after each: exact in float32 for few frames of few bits."""
    sums, total = np.zeros(len(x), np.float32), np.float32(0)
    for i, value in enumerate(np.nan_to_num(x).astype(np.float32)):
        total = total * np.float32(KEPT) + value
        sums[i] = total * np.float32(KEPT)
    return sums


def recurrent(path: Path, of: Manifest, seed: int = 0) -> Path:
    """A recurrent layer with random weights, big enough that onnxruntime rounds differently by batch size."""
    random = np.random.default_rng(seed)
    width, values = 48, 3 * len(of.joints)
    nodes = [
        helper.make_node("IsNaN", ["frame"], ["unseen"]),
        helper.make_node("Where", ["unseen", "zero", "frame"], ["seen"]),
        helper.make_node("Flatten", ["seen"], ["flat"]),
        helper.make_node("Gemm", ["flat", "in"], ["inward"]),
        helper.make_node("Gemm", ["state_0", "on"], ["onward"]),
        helper.make_node("Add", ["inward", "onward"], ["sum"]),
        helper.make_node("Tanh", ["sum"], ["next_0"]),
        helper.make_node("Gemm", ["next_0", "out"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    shapes = {"in": (values, width), "on": (width, width), "out": (width, len(of.labels))}
    weights = {name: random.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}
    return _save(path, replace(of, states=((width,),)), nodes, weights | {"zero": np.zeros((), np.float32)})


def _save(path: Path, of: Manifest, nodes: list[NodeProto], weights: dict[str, NDArray]) -> Path:
    states = [(f"{i}", shape) for i, shape in enumerate(of.states)]
    graph = helper.make_graph(
        nodes,
        path.stem,
        [_tensor("frame", (len(of.joints), 3)), *(_tensor(f"state_{i}", shape) for i, shape in states)],
        [_tensor("probabilities", (len(of.labels),)), *(_tensor(f"next_{i}", shape) for i, shape in states)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    model.metadata_props.add(key=METADATA_KEY, value=of.to_json())
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return path


def _tensor(name: str, shape: tuple[int, ...]) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])
