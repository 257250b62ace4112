"""Fixed windows with their truth: what a network is measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Windows:
    """N labelled windows.

    landmarks: (N, T, V, 3) square units, NaN where unseen. truth: (N,) label positions. person: (N,).
    take: (N,) names; windows of one take share it. hands: (N,) share of the window's frames that see a hand.
    """

    landmarks: NDArray[np.float32]
    truth: NDArray[np.intp]
    person: NDArray[np.intp]
    take: NDArray[np.str_]
    hands: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.truth)

    def __getitem__(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> Windows:
        """Those chosen by a mask or by positions."""
        return Windows(
            self.landmarks[chosen], self.truth[chosen], self.person[chosen], self.take[chosen], self.hands[chosen]
        )


@dataclass(frozen=True, eq=False)
class Labelled:
    """One window and where it is from, before it is stacked with others."""

    landmarks: NDArray[np.float32]
    truth: int
    person: int
    take: str
    hands: float


class NoWindows(ValueError):
    """There is nothing to measure on."""


def stack(windows: Sequence[Labelled]) -> Windows:
    """Put N windows together. Raises NoWindows for none at all."""
    if not windows:
        raise NoWindows("no windows to measure on: the persons chosen have no clip that the task uses")
    return Windows(
        np.stack([w.landmarks for w in windows]),
        np.array([w.truth for w in windows], dtype=np.intp),
        np.array([w.person for w in windows], dtype=np.intp),
        np.array([w.take for w in windows]),
        np.array([w.hands for w in windows], dtype=np.float32),
    )
