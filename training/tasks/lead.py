"""What a stream has seen before a window: a network that carries a state meets no window from nothing but its first."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from landmarks import Layout
from training.tasks.frames import bridge

Points = NDArray[np.float32]
LONGEST_WAY = 6
"""Frames from what leads to a window to what it begins with, at most."""


def led(window: Points, other: Callable[[], Points], most: int, layout: Layout, random: np.random.Generator) -> Points:
    """(T, V, 3) -> (most + T, V, 3) a window right after the end of another one, and nothing before that.

    other: draws a window (S, V, 3) of whatever. most: frames that lead, of which any number do, the way from the one to
    the other among them; none where the body cannot be laid over the other.
    """
    long = np.full((most + len(window), *window.shape[1:]), np.nan, np.float32)
    began = int(np.isfinite(window[..., 0]).any(axis=1).argmax())  # nothing had come before
    window = window[began:]
    frames = int(random.integers(most + 1))
    steps = min(int(random.integers(LONGEST_WAY + 1)), frames)
    before = laid_over(other()[-(frames - steps) :], window, layout) if frames > steps else None
    if before is not None:
        window = np.concatenate([before, bridge(before[-1], window[0], steps), window])
    long[len(long) - len(window) :] = window
    return long


def laid_over(before: Points, after: Points, layout: Layout) -> Points | None:
    """(S, V, 3) frames, moved and scaled until their last shoulders are where the first ones of others (T, V, 3) are;
    None where either never shows both."""
    ends = []
    for points, which in ((before, -1), (after, 0)):
        shoulders = points[:, layout.indices("left_shoulder", "right_shoulder"), :2]  # (T, 2, 2)
        seen = np.flatnonzero(np.isfinite(shoulders).all(axis=(1, 2)))
        if not len(seen):
            return None
        ends.append(shoulders[seen[which]])
    old, new = ends
    width = max(float(np.linalg.norm(old[0] - old[1])), 1e-4)
    growth = np.float32(np.linalg.norm(new[0] - new[1]) / width)
    laid = before * growth
    laid[..., :2] += new.mean(axis=0) - old.mean(axis=0) * growth
    return laid
