"""The last T frames of a stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def frames_behind(centre: float, frames: int) -> int:
    """How many frames the moment that a window of `frames` speaks of lies behind its newest.

    centre: which moment that is, 0 the oldest frame, 1 the newest. Training and serving must agree on it.
    """
    return round((1 - centre) * (frames - 1))


class Window:
    """Remembers T frames (V, C); frames that have not come yet are NaN, like joints not seen.

    frames: T. joints: V. channels: C.
    """

    def __init__(self, frames: int, joints: int, channels: int = 3) -> None:
        if frames < 1:
            raise ValueError(f"a window holds at least 1 frame, got {frames}")
        self._nothing = np.full((frames - 1, joints, channels), np.nan, dtype=np.float32)
        self.clear()

    def push(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take N frames (N, V, C); returns (T - 1 + N, V, C): its frames [i : i + T] are the window that ends with
        the i-th of them. The array is new, later pushes leave it alone.
        """
        frames = np.concatenate([self._recent, values])
        self._recent = frames[len(values) :]
        self.pushed += len(values)
        return frames

    def snapshot(self) -> dict[str, Any]:
        """All that going on takes."""
        return {"recent": self._recent, "pushed": self.pushed}

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Go on from another's snapshot, of as many frames and joints."""
        self._recent, self.pushed = kept["recent"], kept["pushed"]

    def clear(self) -> None:
        """Back to no frame seen."""
        self._recent = self._nothing
        self.pushed = 0
