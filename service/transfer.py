"""The two graphs that take streams' states out of their slabs and put them back, on the slabs' own device.

They are written here byte by byte: the service does not import onnx, and ONNX is nothing but protocol buffers.
"""

from __future__ import annotations

from collections.abc import Sequence

Shape = tuple["int | str", ...]
"""Of a tensor; a name is an axis of any length."""

_OPSET, _IR_VERSION, _INT64 = 18, 9, 7


def gather(shapes: Sequence[tuple[int, ...]], kinds: Sequence[int], rows: int) -> bytes:
    """`slab_0` (rows, ...) .. and `from` (B,) -> `state_0` (B, ...) ..: the rows that `from` names.

    kinds: numbers of ONNX's types of element.
    """
    slabs, states = _tensors("slab", shapes, kinds, rows), _tensors("state", shapes, kinds, "batch")
    nodes = [_node("Gather", [f"slab_{i}", "from"], f"state_{i}") for i in range(len(shapes))]
    return _model(nodes, [*slabs, _tensor("from", _INT64, ("batch",))], states)


def scatter(shapes: Sequence[tuple[int, ...]], kinds: Sequence[int], rows: int) -> bytes:
    """`slab_0` (rows, ...) .., `to` (B, 1) and `next_0` (B, ...) .. -> `after_0` ..: slabs with new rows at `to`.

    Nothing but the rows is written where slab and after are bound to one buffer.
    """
    slabs, states = _tensors("slab", shapes, kinds, rows), _tensors("next", shapes, kinds, "batch")
    nodes = [_node("ScatterND", [f"slab_{i}", "to", f"next_{i}"], f"after_{i}") for i in range(len(shapes))]
    after = _tensors("after", shapes, kinds, rows)
    return _model(nodes, [*slabs, _tensor("to", _INT64, ("batch", 1)), *states], after)


def _tensors(name: str, shapes: Sequence[tuple[int, ...]], kinds: Sequence[int], first: int | str) -> list[bytes]:
    return [
        _tensor(f"{name}_{i}", kind, (first, *shape)) for i, (shape, kind) in enumerate(zip(shapes, kinds, strict=True))
    ]


def _model(nodes: Sequence[bytes], inputs: Sequence[bytes], outputs: Sequence[bytes]) -> bytes:
    parts = [_field(1, node) for node in nodes] + [_field(2, "transfer")]
    parts += [_field(11, value) for value in inputs] + [_field(12, value) for value in outputs]
    return _field(1, _IR_VERSION) + _field(8, _field(2, _OPSET)) + _field(7, b"".join(parts))


def _node(kind: str, inputs: Sequence[str], output: str) -> bytes:
    return b"".join(_field(1, name) for name in inputs) + _field(2, output) + _field(4, kind)


def _tensor(name: str, kind: int, shape: Shape) -> bytes:
    axes = [_field(1, _field(2 if isinstance(size, str) else 1, size)) for size in shape]
    return _field(1, name) + _field(2, _field(1, _field(1, kind) + _field(2, b"".join(axes))))


def _field(number: int, value: int | str | bytes) -> bytes:
    """One field of a protocol buffer: a whole number, or a length and so many bytes."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])
