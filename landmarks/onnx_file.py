"""Nodes and constants -> an ONNX file, by a writer of our own.

Serving has no `onnx` package, and needs none for this: a model is a handful of nested messages, whose field numbers
(onnx.proto, IR version 8) are below. Tests read what it writes with `onnx` and check it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

IR_VERSION, OPSET = 8, 17
_ELEMENTS = {np.dtype(np.float32): 1, np.dtype(np.uint8): 2, np.dtype(np.int64): 7}
_FLOAT, _INT, _STRING, _INTS = 1, 2, 3, 7

Attribute = float | int | str | Sequence[int]
Shape = Sequence[int | str]
"""An axis is a number or the name of one that may have any length."""


@dataclass
class OnnxGraph:
    """A network that is being put together; `write` gives the file."""

    name: str
    nodes: list[bytes] = field(default_factory=list)
    constants: dict[str, NDArray[Any]] = field(default_factory=dict)

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """Add a constant of float32 or int64; gives its name back."""
        self.constants[name] = np.ascontiguousarray(value)
        return name

    def node(self, op: str, inputs: Sequence[str], output: str, **attributes: Attribute) -> str:
        """Add a node with one output; gives the output's name back. An empty input is one that is left out."""
        body = b"".join(_text(1, name) for name in inputs) + _text(2, output) + _text(3, f"{op}:{output}")
        body += _text(4, op) + b"".join(_message(5, _attribute(name, value)) for name, value in attributes.items())
        self.nodes.append(body)
        return output

    def write(
        self, inputs: Mapping[str, tuple[Any, Shape]], outputs: Mapping[str, Shape], metadata: Mapping[str, str]
    ) -> bytes:
        """The file. inputs: type of number and shape by name; outputs: shapes by name, of float32."""
        graph = b"".join(_message(1, node) for node in self.nodes) + _text(2, self.name)
        graph += b"".join(_message(5, _tensor(name, value)) for name, value in self.constants.items())
        graph += b"".join(_message(11, _value(name, kind, shape)) for name, (kind, shape) in inputs.items())
        graph += b"".join(_message(12, _value(name, np.float32, shape)) for name, shape in outputs.items())
        model = _integer(1, IR_VERSION) + _text(2, "signstream") + _message(7, graph)
        model += _message(8, _text(1, "") + _integer(2, OPSET))
        return model + b"".join(_message(14, _text(1, key) + _text(2, text)) for key, text in metadata.items())


def _varint(value: int) -> bytes:
    value &= 2**64 - 1  # negative numbers are written as their two's complement of 64 bits
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _integer(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _message(number: int, body: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(body)) + body


def _text(number: int, text: str) -> bytes:
    return _message(number, text.encode())


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, float):
        kind, body = _FLOAT, _varint(2 << 3 | 5) + struct.pack("<f", value)
    elif isinstance(value, int):
        kind, body = _INT, _integer(3, value)
    elif isinstance(value, str):
        kind, body = _STRING, _text(4, value)
    else:
        kind, body = _INTS, b"".join(_integer(8, int(number)) for number in value)
    return _text(1, name) + body + _integer(20, kind)


def _tensor(name: str, value: NDArray[Any]) -> bytes:
    dims = b"".join(_integer(1, length) for length in value.shape)
    return dims + _integer(2, _ELEMENTS[value.dtype]) + _text(8, name) + _message(9, value.tobytes())


def _value(name: str, kind: Any, shape: Shape) -> bytes:
    dims = b"".join(_message(1, _text(2, axis) if isinstance(axis, str) else _integer(1, axis)) for axis in shape)
    tensor = _integer(1, _ELEMENTS[np.dtype(kind)]) + _message(2, dims)
    return _text(1, name) + _message(2, _message(1, tensor))
