"""TFLite files -> operators and tensors, as TensorFlow's schema lays them out in a flatbuffer.

Read are the parts that a network of floats needs: no quantisation, no variables, one graph a file.
Source: tensorflow/lite/schema/schema.fbs, version 3; the numbers of fields, types and operators are its own.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import FormatError

MAGIC = b"TFL3"
_TYPES: dict[int, type[np.generic]] = {0: np.float32, 1: np.float16, 2: np.int32, 4: np.int64}
_INDEX_TYPES: dict[int, type[np.generic]] = {1: np.int32, 2: np.uint16, 3: np.uint8}
_CUSTOM = 32


class Op(IntEnum):
    """Operators that the networks of MediaPipe's hands and poses are made of."""

    ADD = 0
    CONCATENATION = 2
    CONV_2D = 3
    DEPTHWISE_CONV_2D = 4
    DEPTH_TO_SPACE = 5
    DEQUANTIZE = 6
    FULLY_CONNECTED = 9
    LOGISTIC = 14
    MAX_POOL_2D = 17
    RESHAPE = 22
    RESIZE_BILINEAR = 23
    PAD = 34
    MEAN = 40
    STRIDED_SLICE = 45
    PRELU = 54
    DENSIFY = 124


class Table:
    """One table of a flatbuffer: fields by number, each with the default that stands for what is not written.

    Raises FormatError where an offset leads out of the file.
    """

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at
        self._fields = at - self._number("<i", at)

    @classmethod
    def root(cls, data: bytes) -> Table:
        """The table that a file starts with."""
        table = cls.__new__(cls)
        table._data = data
        return cls(data, table._number("<I", 0))

    def _number(self, kind: str, at: int) -> Any:
        try:
            return struct.unpack_from(kind, self._data, at)[0]
        except struct.error as error:
            raise FormatError(f"the TFLite file is cut off: nothing at byte {at}") from error

    def _place(self, field: int) -> int:
        """Where a field's value stands; 0 where it is not written."""
        entry = 4 + 2 * field
        if entry >= self._number("<H", self._fields):
            return 0
        offset = self._number("<H", self._fields + entry)
        return self._at + offset if offset else 0

    def number(self, field: int, kind: str = "<i", default: int = 0) -> int:
        """A scalar; kind: as `struct` writes it."""
        at = self._place(field)
        return self._number(kind, at) if at else default

    def table(self, field: int) -> Table | None:
        """A table within; None where it is not written."""
        at = self._place(field)
        return Table(self._data, at + self._number("<I", at)) if at else None

    def array(self, field: int, kind: Any) -> NDArray[Any]:
        """A vector of scalars, as long as written, not to be written to; empty where it is not."""
        at = self._place(field)
        if not at:
            return np.empty(0, kind)
        at += self._number("<I", at)
        length, size = self._number("<I", at), np.dtype(kind).itemsize
        if at + 4 + length * size > len(self._data):
            raise FormatError(f"the TFLite file is cut off: {length} numbers at byte {at} are not all there")
        return np.frombuffer(self._data, kind, length, at + 4)

    def tables(self, field: int) -> Iterator[Table]:
        """A vector of tables."""
        at = self._place(field)
        if at:
            at += self._number("<I", at)
            for i in range(self._number("<I", at)):
                entry = at + 4 + 4 * i
                yield Table(self._data, entry + self._number("<I", entry))

    def text(self, field: int) -> str:
        """A string; empty where it is not written."""
        return self.array(field, np.uint8).tobytes().decode("utf-8", "replace")


@dataclass(frozen=True)
class Tensor:
    """One edge of the graph.

    shape: as written, with the batch of 1 that the file was made for; NHWC where it has four axes.
    value: what a constant holds, dense; None for what is computed.
    """

    name: str
    shape: tuple[int, ...]
    value: NDArray[Any] | None


@dataclass(frozen=True)
class Operator:
    """One node. inputs, outputs: positions of tensors, -1 for an input that is left out. options: the node's own."""

    op: Op
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Table | None

    def option(self, field: int, kind: str = "<i", default: int = 0) -> int:
        """A scalar of the options by its number in the schema."""
        return default if self.options is None else self.options.number(field, kind, default)


@dataclass(frozen=True)
class Graph:
    """A whole network, its operators in an order in which they can run."""

    tensors: tuple[Tensor, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    operators: tuple[Operator, ...]


def read(data: bytes) -> Graph:
    """The network of a TFLite file.

    Raises FormatError for what is none, is cut off, holds several graphs, or needs an operator or a type of number
    that we do not read; it is named.
    """
    if data[4:8] != MAGIC:
        raise FormatError("this is no TFLite file")
    model = Table.root(data)
    graphs = list(model.tables(2))
    if len(graphs) != 1:
        raise FormatError(f"the TFLite file holds {len(graphs)} graphs; we read one")
    graph, buffers, codes = graphs[0], list(model.tables(4)), [_code(code) for code in model.tables(1)]
    return Graph(
        tuple(_tensor(tensor, buffers) for tensor in graph.tables(0)),
        tuple(graph.array(1, np.int32).tolist()),
        tuple(graph.array(2, np.int32).tolist()),
        tuple(
            Operator(
                _known(codes[node.number(0, "<I")]),
                tuple(node.array(1, np.int32).tolist()),
                tuple(node.array(2, np.int32).tolist()),
                node.table(4),
            )
            for node in graph.tables(3)
        ),
    )


def _code(code: Table) -> int | str:
    """An operator's number, or the name of one that TensorFlow does not define."""
    number = max(code.number(0, "<b"), code.number(3))  # files from before the 128th operator fill the first
    return code.text(1) if number == _CUSTOM else number


def _known(code: int | str) -> Op:
    try:
        return Op(code)  # type: ignore[arg-type]
    except ValueError:
        raise FormatError(f"the TFLite file needs operator {code!r}, which we do not convert") from None


def _tensor(tensor: Table, buffers: list[Table]) -> Tensor:
    shape = tuple(tensor.array(0, np.int32).tolist())
    number, name = tensor.number(1, "<b"), tensor.text(3)
    data = buffers[tensor.number(2, "<I")].array(0, np.uint8)
    if number not in _TYPES:
        raise FormatError(f"tensor {name!r} is of type {number}, which we do not read")
    if not data.size:
        return Tensor(name, shape, None)
    values = data.view(_TYPES[number])
    sparsity = tensor.table(6)
    return Tensor(name, shape, values.reshape(shape) if sparsity is None else dense(values, shape, sparsity))


def dense(values: NDArray[Any], shape: tuple[int, ...], sparsity: Table) -> NDArray[Any]:
    """A sparse constant with its zeros.

    The axes are stored in an order of their own; the last ones may be the axes of blocks, which the axes that they
    cut count in. An axis is dense, or it lists for each entry of the axes before it which positions are there.
    """
    order, blocked = sparsity.array(0, np.int32).tolist(), sparsity.array(1, np.int32).tolist()
    places = np.zeros((1, 0), np.int64)  # (entries so far, axes so far)
    sizes = []
    for axis in sparsity.tables(2):
        sizes.append(axis.number(1))
        if axis.number(0) == 0:
            counts = np.full(len(places), axis.number(1))
            here = np.tile(np.arange(axis.number(1)), len(places))
        else:
            starts, here = _indices(axis, 2), _indices(axis, 4)
            counts = np.diff(starts)
            sizes[-1] = 0
        if len(counts) != len(places) or len(here) != counts.sum():
            raise FormatError("a sparse constant's axes do not fit each other")
        places = np.concatenate([np.repeat(places, counts, axis=0), here[:, None]], axis=1)
    if len(places) > len(values) or len(order) != len(sizes):
        raise FormatError(f"a sparse constant has {len(values)} numbers for {len(places)} places")
    stored = {axis: places[:, i] for i, axis in enumerate(order)}
    where = [stored[axis] for axis in range(len(shape))]
    for i, axis in enumerate(blocked):
        block = len(shape) + i
        where[axis] = where[axis] * sizes[order.index(block)] + stored[block]
    out = np.zeros(shape, values.dtype)
    out[tuple(where)] = values[: len(places)]
    return out


def _indices(axis: Table, field: int) -> NDArray[np.int64]:
    kind, vector = axis.number(field, "<B"), axis.table(field + 1)
    if kind not in _INDEX_TYPES or vector is None:
        raise FormatError(f"a sparse constant counts in numbers of type {kind}, which we do not read")
    return vector.array(0, _INDEX_TYPES[kind]).astype(np.int64)
