"""What a graph need not work out at every run: constants, and batch normalisation after what can absorb it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxscript import optimizer

LARGEST = 1 << 24
"""Elements of a constant that is worked out here; the optimiser's own limit leaves the graphs of 75 joints."""


def fold(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same answers from fewer nodes: constants worked out, batch normalisation folded into weights."""
    model = optimizer.optimize(model, input_size_limit=LARGEST)
    graph = _Graph(model.graph)
    for node in [node for node in model.graph.node if node.op_type == "BatchNormalization"]:
        graph.absorb(node)
    prune(model.graph)
    return model


def prune(graph: onnx.GraphProto) -> None:
    """Take away constants that nobody needs, and what is said of values that nobody makes."""
    needed = {name for node in nodes(graph) for name in node.input} | {value.name for value in graph.output}
    made = {output for node in graph.node for output in node.output}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in needed]:
        graph.initializer.remove(tensor)
    for value in [value for value in graph.value_info if value.name not in made]:
        graph.value_info.remove(value)


def operators(model: onnx.ModelProto) -> dict[str, int]:
    """How many nodes of each kind a graph has, those of subgraphs too."""
    return dict(sorted(Counter(node.op_type for node in nodes(model.graph)).items()))


def nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Every node of a graph and of the graphs inside its nodes."""
    found = []
    for node in graph.node:
        found.append(node)
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                found += nodes(inner)
    return found


def constants(model: onnx.ModelProto) -> list[str]:
    """Outputs of nodes that no input of the graph reaches: what is worked out anew at every run for nothing."""
    reached = {value.name for value in model.graph.input}
    idle = []
    for node in model.graph.node:
        if reached.intersection(node.input):
            reached.update(node.output)
        else:
            idle += node.output
    return idle


class _Graph:
    """A graph being changed: who makes a value, how many take it, what the constants are."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._makers = {output: node for node in graph.node for output in node.output}
        self._constants = {tensor.name: tensor for tensor in graph.initializer}
        taken = [name for node in graph.node for name in node.input]
        self._takers = Counter([*taken, *(value.name for value in graph.output)])

    def absorb(self, norm: onnx.NodeProto) -> None:
        """Fold a normalisation of channels, axis 1, into the weights before it, where there are some.

        What is left of it is nothing, or the addition of its shift.
        """
        leaves = self._leaves(norm.input[0])
        if not leaves or any(name not in self._constants for name in norm.input[1:]):
            return
        gain, shift, middle, spread = (self._array(name) for name in norm.input[1:])  # (C) each
        epsilon = next((a.f for a in norm.attribute if a.name == "epsilon"), 1e-5)
        scale = gain / np.sqrt(spread + epsilon)  # (C)
        shift = shift - middle * scale  # (C)
        for node, at in leaves:
            values = self._array(node.input[at])  # (D, C, kernel, kernel), (C, V, W), or what an Add adds
            values = values if node.op_type != "Add" else values.reshape((1,) * (4 - values.ndim) + values.shape)
            axis = 0 if node.op_type != "Add" else 1
            self._replace(node, at, values * scale.reshape((-1,) + (1,) * (values.ndim - axis - 1)))
            if node.op_type == "Conv" and self._has_bias(node):
                self._replace(node, 2, self._array(node.input[2]) * scale)
        node, at = next(((node, at) for node, at in leaves if node.op_type != "MatMul"), (norm, 1))
        if node is norm:
            norm.CopyFrom(onnx.helper.make_node("Add", [norm.input[0], ""], norm.output, norm.name))
            self._replace(norm, 1, shift[:, None, None])
            return
        if node.op_type == "Conv":
            self._replace(node, 2, shift + (self._array(node.input[2]) if self._has_bias(node) else 0.0))
        else:
            self._replace(node, at, self._array(node.input[at]) + shift[:, None, None])
        self._makers[norm.input[0]].output[0] = norm.output[0]
        self._graph.node.remove(norm)

    def _leaves(self, name: str) -> list[tuple[onnx.NodeProto, int]]:
        """The nodes, and the places of their constants, that a value (B, C, T, V) is a sum of; none where it is not.

        Of a MatMul it must be the right side, with channels. Nobody else may take what is in between.
        """
        node = self._makers.get(name)
        if node is None or self._takers[name] != 1:
            return []
        if node.op_type == "Add":
            found = []
            for at, part in enumerate(node.input):
                more = [(node, at)] if part in self._constants else self._leaves(part)
                if not more:
                    return []
                found += more
            return found
        rank = {"Conv": 4, "MatMul": 3}.get(node.op_type)
        weights = self._constants.get(node.input[1]) if rank else None
        return [(node, 1)] if weights is not None and len(weights.dims) == rank else []

    def _has_bias(self, conv: onnx.NodeProto) -> bool:
        return len(conv.input) > 2 and bool(conv.input[2])

    def _array(self, name: str) -> NDArray[np.float64]:
        return numpy_helper.to_array(self._constants[name]).astype(np.float64)

    def _replace(self, node: onnx.NodeProto, at: int, values: NDArray[np.float64]) -> None:
        """Give a node a constant of its own; others may share the one that it had."""
        name = f"{node.name}_folded_{at}"
        if name in self._constants:
            self._constants[name].CopyFrom(numpy_helper.from_array(values.astype(np.float32), name))
        else:
            self._graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), name))
            self._constants[name] = self._graph.initializer[-1]
        node.input.extend([""] * (at + 1 - len(node.input)))
        node.input[at] = name
