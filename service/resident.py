"""A network's runs on a device where inputs, outputs and the streams' states stay, in fixed batch sizes."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from service import transfer
from service.states import BEGINNING

KINDS: dict[str, tuple[type[np.generic], int]] = {"tensor(float)": (np.float32, 1), "tensor(float16)": (np.float16, 10)}
"""onnxruntime's name of a type of element -> numpy's, and ONNX's number."""


@dataclass(frozen=True)
class _Size:
    """Buffers of one batch size, and what binds them to the network and to the two graphs of service.transfer."""

    given: onnxruntime.OrtValue
    said: onnxruntime.OrtValue
    where: tuple[onnxruntime.OrtValue, onnxruntime.OrtValue]
    network: Any
    gather: Any
    scatter: Any


class Resident:
    """A session whose tensors live on one device for good.

    Rows short of a batch size are filled up with the last one. All sizes share the buffers of states, so that runs
    take turns.

    device: `cuda`, or `cpu` to see that it works. movers: providers of what moves the states. rows: streams that may
    have a state. graphs: replay each size's run as a CUDA graph.
    """

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        device: str,
        movers: Sequence[Any],
        sizes: Sequence[int],
        rows: int = 0,
        graphs: bool = False,
    ) -> None:
        self._session, self._device, self._graphs = session, device, graphs
        self._one_at_a_time = threading.Lock()
        self._spare = rows + 1
        states = session.get_inputs()[1:]
        self._shapes = [tuple(node.shape[1:]) for node in states]
        self._types = [KINDS[node.type][0] for node in states]
        numbers = [KINDS[node.type][1] for node in states]
        # One row more than streams for where they begin, and one for what the filling up of a batch leaves.
        self._slabs = [
            self._buffer((rows + 2, *shape), kind) for shape, kind in zip(self._shapes, self._types, strict=True)
        ]
        largest = max(sizes)
        self._before, self._after = (
            [self._buffer((largest, *shape), kind) for shape, kind in zip(self._shapes, self._types, strict=True)]
            for _ in range(2)
        )
        if states:
            self._gather, self._scatter = (
                onnxruntime.InferenceSession(graph(self._shapes, numbers, rows + 2), providers=list(movers))
                for graph in (transfer.gather, transfer.scatter)
            )
        self._sizes = {size: self._bind(size) for size in sorted(sizes)}
        for size in self._sizes if graphs else ():
            for _ in range(3):  # as it is, as it is while being captured, and captured
                self._session.run_with_iobinding(self._sizes[size].network, self._options(size))

    def run(self, inputs: NDArray[np.float32], rows: Sequence[tuple[int, int]] = ()) -> NDArray[np.float32]:
        """(B, ...) to probabilities (B, labels). rows: of each stream, whence its state comes and where
        its next one goes."""
        with self._one_at_a_time:
            largest = max(self._sizes)
            said = [
                self._run(inputs[at : at + largest], rows[at : at + largest]) for at in range(0, len(inputs), largest)
            ]
        return np.concatenate(said)

    def _run(self, inputs: NDArray[np.float32], rows: Sequence[tuple[int, int]]) -> NDArray[np.float32]:
        size = next(size for size in self._sizes if size >= len(inputs))
        bound, missing = self._sizes[size], size - len(inputs)
        bound.given.update_inplace(np.concatenate([inputs, np.repeat(inputs[-1:], missing, axis=0)]))
        if rows:
            origin, place = bound.where
            origin.update_inplace(np.array([before for before, _ in rows] + [BEGINNING] * missing))
            place.update_inplace(np.array([after for _, after in rows] + [self._spare] * missing))
            self._gather.run_with_iobinding(bound.gather)
        self._session.run_with_iobinding(bound.network, self._options(size))
        if rows:
            self._scatter.run_with_iobinding(bound.scatter)
        return bound.said.numpy()[: len(inputs)]

    def read(self, row: int) -> list[NDArray[np.generic]]:
        """Each state (1, ...) of one stream."""
        with self._one_at_a_time:
            size, bound = next(iter(self._sizes.items()))
            bound.where[0].update_inplace(np.full(size, row))
            self._gather.run_with_iobinding(bound.gather)
            return [before.numpy()[:1].copy() for before in self._before]

    def write(self, row: int, states: Sequence[NDArray[np.generic]]) -> None:
        """Each state (1, ...) of one stream."""
        with self._one_at_a_time:
            size, bound = next(iter(self._sizes.items()))
            for after, state in zip(self._after, states, strict=True):
                after.update_inplace(np.repeat(state, after.shape()[0], axis=0))
            bound.where[1].update_inplace(np.array([row] + [self._spare] * (size - 1)))
            self._scatter.run_with_iobinding(bound.scatter)

    def _options(self, size: int) -> onnxruntime.RunOptions:
        options = onnxruntime.RunOptions()
        if self._graphs:
            options.add_run_config_entry("gpu_graph_id", str(size))
        return options

    def _bind(self, size: int) -> _Size:
        (frame, *states), (answer, *after) = self._session.get_inputs(), self._session.get_outputs()
        given = self._buffer((size, *frame.shape[1:]), np.float32)
        said = self._buffer((size, *answer.shape[1:]), np.float32)
        where = self._buffer((size,), np.int64), self._buffer((size,), np.int64)
        network = self._session.io_binding()
        network.bind_ortvalue_input(frame.name, given)
        network.bind_ortvalue_output(answer.name, said)
        gather: Any = None
        scatter: Any = None
        if states:
            gather, scatter = self._gather.io_binding(), self._scatter.io_binding()
            gather.bind_ortvalue_input("from", where[0])
            self._view(scatter.bind_input, "to", np.int64, (size, 1), where[1])
        for i, (shape, kind) in enumerate(zip(self._shapes, self._types, strict=True)):
            batch, slab, all_rows = (size, *shape), self._slabs[i], (self._spare + 1, *shape)
            self._view(gather.bind_input, f"slab_{i}", kind, all_rows, slab)
            self._view(gather.bind_output, f"state_{i}", kind, batch, self._before[i])
            self._view(network.bind_input, states[i].name, kind, batch, self._before[i])
            self._view(network.bind_output, after[i].name, kind, batch, self._after[i])
            self._view(scatter.bind_input, f"next_{i}", kind, batch, self._after[i])
            self._view(scatter.bind_input, f"slab_{i}", kind, all_rows, slab)
            self._view(scatter.bind_output, f"after_{i}", kind, all_rows, slab)
        return _Size(given, said, where, network, gather, scatter)

    def _view(
        self, bind: Any, name: str, kind: type[np.generic], shape: tuple[int, ...], value: onnxruntime.OrtValue
    ) -> None:
        """Bind the beginning of a buffer as a tensor of that shape."""
        bind(name, self._device, 0, kind, shape, value.data_ptr())

    def _buffer(self, shape: tuple[int, ...], kind: type[np.generic]) -> onnxruntime.OrtValue:
        """Zeros on the device."""
        return onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros(shape, kind), self._device, 0)
