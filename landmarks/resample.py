"""A stream's own, irregular clock -> the even frame rate that a network was trained at."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import TimeError

_EARLY = 1e-6
"""Seconds by which a grid point may lie behind a frame and still count as on it."""


@dataclass(frozen=True)
class GridFrame:
    """One frame on the even grid.

    at_s: its time. values: (V, C), NaN where unseen. fresh: the first after a start or a gap.
    """

    at_s: float
    values: NDArray[np.float32]
    fresh: bool


class Resampler:
    """Push frames as they come, get frames `1 / fps` apart; one implementation for live and file.

    Between two frames a joint is interpolated linearly; where one of the two does not see it, the nearer
    frame decides, so a missing hand stays missing. A gap of more than `max_gap_s` is not bridged: the grid
    starts again at the frame after it.

    fps: frames per second of the grid. max_gap_s: longest gap that is interpolated, in seconds.
    """

    def __init__(self, fps: float, max_gap_s: float = 0.5) -> None:
        if not (math.isfinite(fps) and fps > 0 and max_gap_s > 0):
            raise ValueError(f"need fps > 0 and max_gap_s > 0, got {fps}, {max_gap_s}")
        self.fps = fps
        self.max_gap_s = max_gap_s
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next frame starts a new grid, at any time."""
        self._last: NDArray[np.float32] | None = None
        self._last_s = -math.inf
        self._origin_s = 0.0
        self._emitted = 0

    def push(self, at_s: float, values: NDArray[np.float32]) -> list[GridFrame]:
        """Take one frame (V, C) at `at_s` seconds; return the grid frames that it completes, oldest first.

        Raises TimeError where time is not finite or does not move forward; the stream then stands as before.
        """
        if not math.isfinite(at_s):
            raise TimeError(f"at_s must be a finite number of seconds, got {at_s}")
        if at_s <= self._last_s:
            raise TimeError(f"at_s must grow from frame to frame: {at_s:.6g} came after {self._last_s:.6g}")
        before, before_s = self._last, self._last_s
        self._last, self._last_s = values, at_s
        if before is None or at_s - before_s > self.max_gap_s:
            self._origin_s, self._emitted = at_s, 1
            return [GridFrame(at_s, np.array(values, dtype=np.float32), fresh=True)]
        due: list[GridFrame] = []
        while (grid_s := self._origin_s + self._emitted / self.fps) <= at_s + _EARLY:
            share = min(1.0, (grid_s - before_s) / (at_s - before_s))
            due.append(GridFrame(grid_s, _between(before, values, share), fresh=False))
            self._emitted += 1
        return due


def _between(before: NDArray[np.float32], after: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """`share` of the way from one frame to the next; the nearer one where either has NaN."""
    mixed = before + np.float32(share) * (after - before)
    unknown = np.isnan(mixed)
    if unknown.any():
        mixed[unknown] = (after if share >= 0.5 else before)[unknown]
    return mixed
