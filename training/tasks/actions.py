"""Which action does a whole clip show? The task of the skeleton benchmarks, which cut clips before they are judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landmarks import Layout
from training import labels, sampling
from training.augment import Augment, moments, resample, track, view
from training.clip import Clip
from training.motion import hands_seen
from training.tasks.task import Drawn, Take, count, labelled
from training.windows import Labelled, Windows, stack

Points = NDArray[np.float32]


@dataclass(frozen=True)
class ActionsConfig:
    """Which clips show which action, and which of their frames a network is given.

    actions: the labels, in order, as the data set spells them.
    crop: shortest share of a clip that a training window is drawn from. balanced: actions are drawn evenly.
    draws: windows of a clip that are measured, whose probabilities are averaged; one is the middle of its segments.
    """

    actions: tuple[str, ...]
    crop: float = 0.7
    balanced: bool = True
    draws: int = 1

    def __post_init__(self) -> None:
        if len(set(self.actions)) != len(self.actions) or len(self.actions) < 2:
            raise ValueError(f"need two different actions or more, got {self.actions}")
        if not 0 < self.crop <= 1 or self.draws < 1:
            raise ValueError(f"crop is a share of a clip and draws at least 1, got {self.crop}, {self.draws}")


class Actions:
    """Draws training windows and cuts fixed ones: T frames of a clip, however long. For the arguments see Signing."""

    config_type = ActionsConfig
    background = ""

    def __init__(self, config: ActionsConfig, layout: Layout, frames: int, fps: float, centre: float) -> None:
        self.config, self.layout, self.frames, self.fps = config, layout, frames, fps
        self.labels = config.actions

    def truth(self, clip: Clip) -> int | None:
        """Position of the clip's label, or None for another."""
        return self.labels.index(clip.label) if clip.label in self.labels else None

    def counts(self, clips: Sequence[Clip]) -> NDArray[np.intp]:
        """(labels,) clips of each label."""
        return count(self, clips)

    def sampler(self, clips: Sequence[Clip], augment: Augment) -> Sampler:
        """An endless source of training windows. Raises EmptyClass for an action that no clip shows."""
        return Sampler(self, clips, augment)

    def windows(self, clips: Sequence[Clip], stride: int) -> Windows:
        """`draws` windows a clip, one after the other; `stride` plays no part."""
        found = []
        for clip, truth in labelled(self, clips):
            points = clip.points(self.layout, self.fps)
            seen = float(hands_seen(points, self.layout).mean()) if _has_hands(self.layout) else 1.0
            chosen = [sampling.segments(len(points), self.frames)]
            if self.config.draws > 1:
                chosen = list(sampling.segments_test(len(points), self.frames, self.config.draws))
            cut = (sampling.gather(points, frames) for frames in chosen)
            found += [Labelled(window, truth, clip.person, clip.take, seen) for window in cut]
        return stack(found)


class Sampler:
    """Training windows: a clip, a part of it, one frame of each of its segments, seen by another camera."""

    def __init__(self, task: Actions, clips: Sequence[Clip], augment: Augment) -> None:
        self._task, self._augment = task, augment
        self._clips: list[list[Take]] = [[] for _ in task.labels]
        for clip, truth in labelled(task, clips):
            self._clips[truth].append(Take(clip.points(task.layout, task.fps), clip.signer))
        if missing := [action for action, takes in zip(task.labels, self._clips, strict=True) if not takes]:
            there = labels.existing((clip.label for clip in clips), missing)
            raise labels.EmptyClass(f"no training clip shows {', '.join(missing)}; {there}")
        self._shares = np.array([len(takes) for takes in self._clips]) / sum(len(takes) for takes in self._clips)

    def draw(self, random: np.random.Generator) -> Drawn:
        """One window (T, V, 3), its label's position, and who is seen."""
        task, augment = self._task, self._augment
        labels = len(self._clips)
        truth = int(random.integers(labels) if task.config.balanced else random.choice(labels, p=self._shares))
        takes = self._clips[truth]
        take = takes[random.integers(len(takes))]
        positions = moments(len(take.points), augment, random)  # of the clip at another tempo, in the clip's frames
        length = max(1, round(len(positions) * random.uniform(task.config.crop, 1)))
        first = int(random.integers(len(positions) - length + 1))
        frames = positions[first + sampling.segments(length, task.frames, random)]
        window = view(resample(take.points, frames), task.layout, augment, random)
        return Drawn(track(window, task.layout, augment, random), truth, take.signer)


def _has_hands(layout: Layout) -> bool:
    return "left_hand_wrist" in layout and "right_hand_wrist" in layout
