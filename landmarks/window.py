"""The last T frames of a stream."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Window:
    """Ring of the last T frames (V, C); frames that have not come yet are NaN, like joints not seen.

    frames: T. joints: V. channels: C.
    """

    def __init__(self, frames: int, joints: int, channels: int = 3) -> None:
        if frames < 1:
            raise ValueError(f"a window holds at least 1 frame, got {frames}")
        # Every frame is written twice, T apart, so that the last T always lie side by side.
        self._ring = np.full((2 * frames, joints, channels), np.nan, dtype=np.float32)
        self._frames = frames
        self.pushed = 0

    def push(self, values: NDArray[np.float32]) -> None:
        """Take one frame (V, C); the oldest falls out."""
        slot = self.pushed % self._frames
        self._ring[slot] = self._ring[slot + self._frames] = values
        self.pushed += 1

    def copy(self) -> NDArray[np.float32]:
        """(T, V, C) the last T frames, oldest first; a copy, which later pushes leave alone."""
        start = self.pushed % self._frames
        return self._ring[start : start + self._frames].copy()

    def clear(self) -> None:
        """Back to no frame seen."""
        self._ring.fill(np.nan)
        self.pushed = 0
