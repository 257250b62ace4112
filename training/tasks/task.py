"""What the trainer asks of any task."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from training.augment import Augment
from training.clip import Clip
from training.windows import Windows


class Take(NamedTuple):
    """What a sampler keeps of a clip: (T', V, 3) points, and the clip's signer."""

    points: NDArray[np.float32]
    signer: int


class Drawn(NamedTuple):
    """A training window.

    landmarks: (T, V, 3) square units, NaN where unseen. truth: its label's position; or (T,) of each frame, -1 where
    that counts nowhere. signer: the clip's; -1 where unknown, or where two are in it.
    """

    landmarks: NDArray[np.float32]
    truth: int | NDArray[np.intp]
    signer: int = -1


class Sampler(Protocol):
    """An endless source of training windows. Copies of it draw in several processes."""

    def draw(self, random: np.random.Generator) -> Drawn:
        """One window, which depends on the random generator alone."""
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

    def counts(self, clips: Sequence[Clip]) -> NDArray[np.intp]:
        """(labels,) how many clips, or frames, show each label."""
        ...

    def sampler(self, clips: Sequence[Clip], augment: Augment) -> Sampler:
        """Training windows of these clips."""
        ...

    def windows(self, clips: Sequence[Clip], stride: int) -> Windows:
        """Fixed windows of these clips, with their truth."""
        ...


class Labels(Protocol):
    """What clips show as a whole."""

    @property
    def labels(self) -> tuple[str, ...]:
        """As of a Task."""
        ...

    def truth(self, clip: Clip) -> int | None:
        """As of a Task."""
        ...


def labelled(task: Labels, clips: Sequence[Clip]) -> Iterator[tuple[Clip, int]]:
    """Each clip that is not left out, and the position of its label."""
    for clip in clips:
        truth = task.truth(clip)
        if truth is not None:
            yield clip, truth


def count(task: Labels, clips: Sequence[Clip]) -> NDArray[np.intp]:
    """(labels,) clips of each label."""
    return np.bincount([truth for _, truth in labelled(task, clips)], minlength=len(task.labels))
