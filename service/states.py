"""What streams carry from frame to frame: each has a row, lent for as long as the stream lasts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike, NDArray

from service.errors import Busy

BEGINNING = 0
"""The row of every slab that is 0 for good: where streams begin."""


class Places:
    """The rows that one model's streams may have: 1 to `rows`."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self._free = list(range(rows, BEGINNING, -1))

    def take(self) -> Place:
        """A row for one stream. Raises Busy where all are lent."""
        try:
            return Place(self._free.pop(), self._free)
        except IndexError:
            raise Busy(f"all {self.rows} places for streams of this model are taken; try again later") from None

    @property
    def free(self) -> int:
        """How many rows are lent to nobody."""
        return len(self._free)


class Place:
    """A stream's row. It is free again once nothing names it: neither a session, nor a step that waits or runs.

    So a row never passes to another stream while a run may still write to it.
    """

    __slots__ = ("_free", "row")

    def __init__(self, row: int, free: list[int]) -> None:
        self.row, self._free = row, free

    def __del__(self) -> None:
        self._free.append(self.row)


class HostStates:
    """The states in the machine's own memory: a slab a state, with a row for every place.

    shapes, kinds: of each state, without the batch. rows: places there are.
    """

    def __init__(self, shapes: Sequence[tuple[int, ...]], kinds: Sequence[DTypeLike], rows: int) -> None:
        self._slabs = [np.zeros((rows + 1, *shape), kind) for shape, kind in zip(shapes, kinds, strict=True)]

    def read(self, rows: Sequence[int]) -> list[NDArray[np.generic]]:
        """Each state (B, ...) of these streams; copies."""
        where = np.array(rows)
        return [slab.take(where, axis=0) for slab in self._slabs]

    def write(self, rows: Sequence[int], states: Sequence[NDArray[np.generic]]) -> None:
        """Each state (B, ...) of these streams after a step."""
        where = np.array(rows)
        for slab, state in zip(self._slabs, states, strict=True):
            slab[where] = state
