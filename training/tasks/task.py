"""What the trainer asks of any task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from training.augment import Augment
from training.clip import Clip
from training.windows import Windows


class Sampler(Protocol):
    """An endless source of training windows."""

    def draw(self, random: np.random.Generator) -> tuple[NDArray[np.float32], int]:
        """One window (T, V, 3) in square units, NaN where unseen, and its label's position."""
        ...


class Task(Protocol):
    """Which clips show what; how windows are drawn for training and cut for measuring."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the outputs, in order."""
        ...

    @property
    def background(self) -> str:
        """The label that is no event."""
        ...

    def truth(self, clip: Clip) -> int | None:
        """Position of the clip's label, or None for a clip that is left out."""
        ...

    def sampler(self, clips: Sequence[Clip], augment: Augment) -> Sampler:
        """Training windows of these clips."""
        ...

    def windows(self, clips: Sequence[Clip], stride: int) -> Windows:
        """Fixed windows of these clips, with their truth."""
        ...
