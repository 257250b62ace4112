"""A stream's own, irregular clock -> the even frame rate that a network was trained at."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import TimeError

_EARLY = 1e-6
"""Seconds by which a grid point may lie beside a frame and still count as on it."""


class Run(NamedTuple):
    """Frames on the even grid, without a gap.

    at_s: N times. values: (N, V, C), NaN where unseen. fresh: the first of them begins a new grid.
    """

    at_s: list[float]
    values: NDArray[np.float32]
    fresh: bool


def check_times(at_s: Sequence[float], after_s: float) -> None:
    """Raises TimeError where times are not finite or do not grow, from `after_s` on."""
    for now_s in at_s:
        if not math.isfinite(now_s):
            raise TimeError(f"at_s must be a finite number of seconds, got {now_s}")
        if now_s <= after_s:
            raise TimeError(f"at_s must grow from frame to frame: {now_s:.6g} came after {after_s:.6g}")
        after_s = now_s


class Resampler:
    """Push frames as they come, one or many at a time, get frames `1 / fps` apart.

    Between two frames a joint is interpolated linearly; where one of the two does not see it, the nearer
    frame decides, so a missing hand stays missing; on a frame, it alone does. A gap of more than `max_gap_s` is
    not bridged: the grid starts again at the frame after it.

    fps: frames per second of the grid. max_gap_s: longest gap that is interpolated, in seconds.
    """

    def __init__(self, fps: float, max_gap_s: float = 0.5) -> None:
        if not (math.isfinite(fps) and fps > 0 and max_gap_s > 0):
            raise ValueError(f"need fps > 0 and max_gap_s > 0, got {fps}, {max_gap_s}")
        self.fps = fps
        self.max_gap_s = max_gap_s
        self._last = np.empty((0, 0, 0), np.float32)  # (1, V, C) once there is one
        self._last_s = -math.inf
        self._origin_s = 0.0
        self._emitted = 0

    def push(self, at_s: Sequence[float], values: NDArray[np.float32]) -> list[Run]:
        """Take N frames (N, V, C) at `at_s` (N,) seconds; return the grid frames that they complete.

        Raises TimeError where time is not finite or does not move forward; the stream then stands as before.
        """
        check_times(at_s, self._last_s)
        runs: list[Run] = []
        for first, end in self._unbroken(at_s):
            fresh = at_s[first] - self._last_s > self.max_gap_s
            if fresh:
                self._origin_s, self._emitted = at_s[first], 0
            if due := self._due(at_s[end - 1]):
                grid = [self._origin_s + i / self.fps for i in range(self._emitted, self._emitted + due)]
                self._emitted += due
                even = self._at(grid, at_s[first:end], values[first:end], fresh)
                runs.append(Run(grid, even, fresh))
            self._last, self._last_s = values[end - 1 : end].copy(), at_s[end - 1]
        return runs

    def snapshot(self) -> dict[str, Any]:
        """All that going on takes."""
        return {
            "last": self._last,
            "last_s": float(self._last_s),
            "origin_s": float(self._origin_s),
            "emitted": self._emitted,
        }

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Go on from another's snapshot, of the same rate and longest gap."""
        self._last, self._last_s = kept["last"], kept["last_s"]
        self._origin_s, self._emitted = kept["origin_s"], kept["emitted"]

    def _unbroken(self, at_s: Sequence[float]) -> Iterable[tuple[int, int]]:
        """(first, end) of each stretch of frames without a gap."""
        breaks = [i for i in range(1, len(at_s)) if at_s[i] - at_s[i - 1] > self.max_gap_s]
        return pairwise([0, *breaks, len(at_s)]) if at_s else []

    def _due(self, until_s: float) -> int:
        """How many grid points have come by that time."""
        due = max(0, math.floor((until_s - self._origin_s) * self.fps) - self._emitted)
        while self._origin_s + (self._emitted + due) / self.fps <= until_s + _EARLY:
            due += 1
        return due

    def _at(
        self, grid: list[float], at_s: Sequence[float], values: NDArray[np.float32], fresh: bool
    ) -> NDArray[np.float32]:
        """(N, V, C) frames at N grid times, which lie after the last frame and within `at_s` (M,)."""
        if not fresh and len(at_s) == 1:  # as live; nothing is to be searched for
            now_s, step_s = at_s[0], at_s[0] - self._last_s
            shares = [1.0 if now_s - at <= _EARLY else (at - self._last_s) / step_s for at in grid]
            return values.copy() if shares == [1.0] else _mixed(self._last, values, np.array(shares))
        if not fresh:
            at_s, values = [self._last_s, *at_s], np.concatenate([self._last, values])
        times, points = np.array(at_s), np.array(grid)
        after = np.searchsorted(times + _EARLY, points)
        before = np.maximum(after - 1, 0)
        step = np.where(after > before, times[after] - times[before], 1.0)
        share = np.where(times[after] - points <= _EARLY, 1.0, (points - times[before]) / step)
        return _mixed(values[before], values[after], share)


def _mixed(earlier: NDArray[np.float32], later: NDArray[np.float32], share: NDArray[np.float64]) -> NDArray[np.float32]:
    """Between frames (N, V, C): as far from the earlier to the later one as the share (N,) says."""
    by = share.astype(np.float32)[:, None, None]
    mixed = earlier + by * (later - earlier)
    np.copyto(mixed, later, where=by == 1)  # to the bit
    unknown = np.isnan(mixed)
    if unknown.any():
        np.copyto(mixed, np.where(by >= 0.5, later, earlier), where=unknown)
    return mixed
