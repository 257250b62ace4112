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
    """The states in the machine's own memory: what a run gave is kept as it is, and given to the next one.

    shapes, kinds: of each state, without the batch.
    """

    def __init__(self, shapes: Sequence[tuple[int, ...]], kinds: Sequence[DTypeLike]) -> None:
        self._beginning = [np.zeros((1, *shape), kind) for shape, kind in zip(shapes, kinds, strict=True)]
        self._rows: dict[int, Sequence[NDArray[np.generic]]] = {}

    def read(self, row: int) -> Sequence[NDArray[np.generic]]:
        """Each state (1, ...) of one stream; not to be changed."""
        return self._rows.get(row, self._beginning)

    def write(self, row: int, states: Sequence[NDArray[np.generic]]) -> None:
        """Each state (1, ...) after a step."""
        self._rows[row] = states
