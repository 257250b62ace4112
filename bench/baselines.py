"""What needs no network: is a hand in view, does a wrist move? Asked at the same moments as the models of signing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.material import Material
from bench.realtime import Answer, Said
from bench.replay import predicted
from landmarks import HOLISTIC_75, Decoding
from service.decoder import Decoder
from training import metrics
from training.clip import Clip
from training.config import Recipe
from training.motion import hands_seen, wrist_energy
from training.tasks import Signing

Points = NDArray[np.float32]
LABELS = Signing.labels


@dataclass(frozen=True)
class Baseline:
    """scores: (T, V, 3) of HOLISTIC_75 -> (T,) in 0..1, from 0.5 on it signs. behind: frames it waits for."""

    name: str
    scores: Callable[[Points], NDArray[np.float64]]
    behind: int

    def answer(self, material: Material, fps: float, decoding: Decoding) -> Answer:
        """As a model would have answered at every frame, by its decoder's times; told as soon as its frames are in."""
        even = material.sequence.square().resample(fps)
        scores = self.scores(even.xyz)
        said = np.stack([1 - scores, scores], axis=1)  # (T, 2)
        times = Decoding(0.5, 0.5, decoding.min_duration_s, decoding.min_gap_s)
        decoder = Decoder(self.name, LABELS, Signing.background, times)
        known_s = np.minimum(even.at_s + self.behind / fps, even.at_s[-1])
        told = [
            event
            for at_s, row, now_s in zip(even.at_s.tolist(), said.tolist(), known_s.tolist(), strict=True)
            for event in decoder.push(at_s, row, now_s)
        ]
        return Answer({None: Said(even.at_s, said.astype(np.float32))}, predicted(told + decoder.interrupt()), ())


def baselines(recipe: Recipe, task: Signing, validation: Sequence[Clip]) -> list[Baseline]:
    """Both. How fast a wrist must move is what gives the best F1 on the windows of the validation persons."""
    windows = task.windows(validation, recipe.window.stride)
    energies = np.array([wrist_energy(window, task.layout, task.fps) for window in windows.landmarks])
    least = metrics.best_f1_threshold(energies, windows.truth)

    def moves(xyz: Points) -> NDArray[np.float64]:
        spans = [(max(0, i + 1 - task.frames), i + 1) for i in range(task.behind, len(xyz) + task.behind)]
        found = np.array([wrist_energy(xyz[first:end], HOLISTIC_75, task.fps) for first, end in spans])
        return found / (found + least) if least > 0 else (found > 0).astype(float)

    def visible(xyz: Points) -> NDArray[np.float64]:
        return hands_seen(xyz, HOLISTIC_75).astype(float)

    return [Baseline("a hand is visible", visible, 0), Baseline("wrist motion energy", moves, task.behind)]
