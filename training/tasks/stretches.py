"""Signing and resting by turns, with a label for every frame: what a network that carries a state learns from.

Clips of signs are short and begin and end as they like. A stretch joins those of one person, real idle takes, and idle
pieces made from real landmarks (training.idle), which often go on from where the hands have just been: a hand that is
still up after a sign, and rests there, is what a live stream is full of and no data set shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landmarks import Layout
from training.augment import Augment, retime, track, view
from training.idle import Mix
from training.motion import hands_seen, moving_speed, sum_around
from training.tasks.frames import UNLABELLED, bridge
from training.tasks.task import Drawn, Take

Points = NDArray[np.float32]
Truth = NDArray[np.intp]
Line = tuple[Points, Truth]
"""Frames (T, V, 3) and the positions of their labels (T,)."""
IDLE, SIGNING = 0, 1


@dataclass(frozen=True)
class StretchConfig:
    """How stretches are put together.

    frames: of a stretch. idle_only: share of stretches in which nobody signs. real: share of idle pieces that are real
        takes, of persons who have some. onward: share of made pieces that go on from the last pose.
    next_sign: chance that a sign follows a sign; else a piece of idleness does. idle_low, idle_high: frames of a made
        piece. bridge: most frames of the way from one piece to the next, which count nowhere.
    around: frames on either side over which a hand's speed is averaged. out_of_view: frames without a hand, on either
        side, from which on a frame is idle, whatever the clip shows.
    """

    frames: int = 60
    idle_only: float = 0.3
    real: float = 0.5
    onward: float = 0.6
    next_sign: float = 0.5
    idle_low: int = 8
    idle_high: int = 60
    bridge: int = 6
    around: int = 4
    out_of_view: int = 5

    def __post_init__(self) -> None:
        shares = (self.idle_only, self.real, self.onward, self.next_sign)
        if not all(0 <= share <= 1 for share in shares):
            raise ValueError(f"idle_only, real, onward and next_sign are chances in 0..1, got {shares}")
        if not (self.frames >= 1 and 1 <= self.idle_low <= self.idle_high and self.bridge >= 0):
            raise ValueError(
                "need frames of at least 1, 1 <= idle_low <= idle_high and bridge of at least 0, got "
                f"{self.frames}, {self.idle_low}, {self.idle_high} and {self.bridge}"
            )
        if min(self.around, self.out_of_view) < 0:
            raise ValueError(f"around and out_of_view are at least 0, got {self.around} and {self.out_of_view}")


class Stretches:
    """An endless source of stretches, persons drawn evenly, augmented in raw coordinates.

    signs: person -> label -> takes. idle: person -> whether a hand is in view most of the time -> takes.
    least_speed: of a hand, from which on a frame of a sign counts as signing; slower ones count nowhere. behind: frames
    from the one that is spoken of to the one that brings the answer.
    """

    def __init__(
        self,
        config: StretchConfig,
        layout: Layout,
        fps: float,
        augment: Augment,
        signs: Mapping[int, Mapping[str, Sequence[Take]]],
        idle: Mapping[int, Mapping[bool, Sequence[Take]]],
        mix: Mix,
        least_speed: float,
        behind: int = 0,
    ) -> None:
        self._config, self._layout, self._fps, self._augment = config, layout, fps, augment
        self._signs, self._idle, self._mix = signs, idle, mix
        self._least_speed, self._behind = least_speed, behind
        self._persons = sorted({*signs, *idle})

    def draw(self, random: np.random.Generator) -> Drawn:
        """One stretch (S, V, 3) and the positions of its labels (S,)."""
        config = self._config
        person = self._persons[random.integers(len(self._persons))]
        idle_only = person not in self._signs or random.random() < config.idle_only
        signs = not idle_only and random.random() < 0.5
        points, truth = self._piece(person, signs, None, random)
        skipped = int(random.integers(len(truth)))
        while len(truth) < skipped + config.frames:
            signs = not idle_only and (not signs or random.random() < config.next_sign)
            piece, label = self._piece(person, signs, points[-3:], random)
            way = bridge(points[-1], piece[0], int(random.integers(config.bridge + 1)))
            points = np.concatenate([points, way, piece])
            truth = np.concatenate([truth, np.full(len(way), UNLABELLED), label])
        points = view(points[skipped : skipped + config.frames], self._layout, self._augment, random)
        points = track(points, self._layout, self._augment, random)
        told = np.full(config.frames, UNLABELLED)
        spoken_of = max(config.frames - self._behind, 0)
        told[self._behind :] = self._where_seen(points, truth[skipped : skipped + config.frames])[:spoken_of]
        return Drawn(points, told)

    def _piece(self, person: int, signs: bool, before: Points | None, random: np.random.Generator) -> Line:
        """A sign, or some idleness; `before` are the frames that it follows."""
        if signs:
            points = retime(self._sign(person, random).points, self._augment, random)
            speed = moving_speed(points, self._layout, self._fps, self._config.around)
            return points, np.where(speed >= self._least_speed, SIGNING, UNLABELLED)
        points = self._idleness(person, before, random)
        return points, np.full(len(points), IDLE)

    def _idleness(self, person: int, before: Points | None, random: np.random.Generator) -> Points:
        real = self._idle.get(person)
        if real and (person not in self._signs or random.random() < self._config.real):
            # Idle takes without a hand in view are easy and many: those with hands are drawn four times in five.
            visible = bool(random.random() < 0.8)
            takes = real.get(visible) or real[not visible]
            return retime(takes[random.integers(len(takes))].points, self._augment, random)
        make = self._mix.draw(random)
        length = int(random.integers(self._config.idle_low, self._config.idle_high + 1))
        if before is None or random.random() >= self._config.onward:
            before = self._sign(person, random).points
        return make(before, length, self._layout, random)

    def _sign(self, person: int, random: np.random.Generator) -> Take:
        labels = sorted(self._signs[person])
        takes = self._signs[person][labels[random.integers(len(labels))]]
        return takes[random.integers(len(takes))]

    def _where_seen(self, points: Points, truth: Truth) -> Truth:
        """Nobody signs whose hands are out of view for a while; one that is lost for a moment goes on."""
        seen = hands_seen(points, self._layout)
        return np.where(sum_around(seen.astype(float), self._config.out_of_view) > 0, truth, IDLE)
