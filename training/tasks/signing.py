"""Is somebody signing?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from landmarks import Layout, frames_behind
from training import labels
from training.augment import Augment, clip_window, retime, track, view
from training.clip import Clip
from training.idle import Mix
from training.motion import hand_speed, hands_seen
from training.tasks.lead import led
from training.tasks.stretches import StretchConfig, Stretches
from training.tasks.task import Drawn, Take, count, labelled
from training.tasks.task import Sampler as AnySampler
from training.windows import Labelled, Windows, stack

Points = NDArray[np.float32]
NOT_SIGNING, SIGNING = 0, 1


@dataclass(frozen=True)
class SigningConfig:
    """Which clips show signing, which show none, and how a window gets its label.

    idle_sources: sets in which nobody signs; idle_label: the word for idle takes in the others.
    static: labels left out, as "label" or "source/label": letters that are held, unclear takes.
    positives, idle: shares of training windows from sign clips and from idle takes; the rest is made (training.idle).
    made: kinds of made windows, and how often, relative to each other.
    least_speed: a window of a sign clip trains as signing from this hand speed on (shoulder widths per second);
        slower ones are left out, for a hand that is merely held is not told from one that rests.
    lead: most frames before a training window in which the same body has shown something else; for networks that carry
        a state, which in a stream has always seen more than a window.
    every: a training sample is a stretch of signs and idleness by turns, with a label for every frame (continual
        networks only); then `positives`, `idle` and `lead` play no part, and `stretch` says how stretches are put
        together.
    """

    idle_sources: tuple[str, ...] = ("referee-signals",)
    idle_label: str = "none"
    static: tuple[str, ...] = ()
    positives: float = 0.5
    idle: float = 0.25
    made: dict[str, float] | None = None
    least_speed: float = 0.1
    lead: int = 0
    every: bool = False
    stretch: StretchConfig = field(default_factory=StretchConfig)

    def __post_init__(self) -> None:
        if not (self.positives > 0 and self.idle >= 0 and self.positives + self.idle <= 1):
            raise ValueError(f"positives + idle are shares of 1, got {self.positives} and {self.idle}")
        if self.lead < 0:
            raise ValueError(f"lead is at least 0 frames, got {self.lead}")
        Mix(self.made)


class Signing:
    """Draws training windows and cuts fixed ones.

    config: see SigningConfig. layout, frames, fps: of the network's input. centre: share of the window, 0 oldest to
    1 newest, whose moment the label speaks of.
    """

    config_type = SigningConfig
    labels = ("not-signing", "signing")
    background = "not-signing"

    def __init__(self, config: SigningConfig, layout: Layout, frames: int, fps: float, centre: float) -> None:
        self.config, self.layout, self.frames, self.fps = config, layout, frames, fps
        self.behind = frames_behind(centre, frames)  # frames from the moment of the label to the newest

    def truth(self, clip: Clip) -> int | None:
        """SIGNING, NOT_SIGNING, or None for a clip that shows neither clearly."""
        if clip.source in self.config.idle_sources or clip.label == self.config.idle_label:
            return NOT_SIGNING
        if {clip.label, f"{clip.source}/{clip.label}"} & set(self.config.static):
            return None
        return SIGNING

    def counts(self, clips: Sequence[Clip]) -> NDArray[np.intp]:
        """(labels,) clips of each label."""
        return count(self, clips)

    def sampler(self, clips: Sequence[Clip], augment: Augment) -> AnySampler:
        """An endless source of training windows, or of stretches."""
        windows = Sampler(self, clips, augment)
        return windows.stretches() if self.config.every else windows

    def windows(self, clips: Sequence[Clip], stride: int) -> Windows:
        """Every `stride`-th window of the clips that lies within one (shorter clips: their last).

        Truth is the clip's, except that a window of a sign clip counts only where a hand is seen at the moment
        it speaks of: takes begin and end at rest.
        """
        found = []
        for clip, truth in labelled(self, clips):
            points = clip.points(self.layout, self.fps)
            seen = hands_seen(points, self.layout)
            for end in range(min(self.frames, len(points)) - 1, len(points), stride):
                if truth == SIGNING and not seen[max(0, end - self.behind)]:
                    continue
                window = clip_window(points, end, self.frames)
                share = float(seen[max(0, end + 1 - self.frames) : end + 1].mean())
                found.append(Labelled(window, truth, clip.person, clip.take, share))
        return stack(found)


class Sampler:
    """Training windows, persons and labels drawn evenly, augmented in raw coordinates."""

    def __init__(self, task: Signing, clips: Sequence[Clip], augment: Augment) -> None:
        self._task, self._augment = task, augment
        self._signs: dict[tuple[int, str], list[Take]] = defaultdict(list)
        self._idle: dict[tuple[int, bool], list[Take]] = defaultdict(list)
        for clip, truth in labelled(task, clips):
            points = clip.points(task.layout, task.fps)
            if truth == SIGNING:
                self._signs[clip.person, f"{clip.source}/{clip.label}"].append(Take(points, clip.signer))
            else:
                visible = bool(hands_seen(points, task.layout).mean() >= 0.5)
                self._idle[clip.person, visible].append(Take(points, clip.signer))
        if not self._signs:
            there = labels.existing(clip.label for clip in clips)
            raise labels.EmptyClass(f"no training clip shows signing; check the split and [signing]; {there}")
        wanted = task.config.idle_label
        # One side may lack idle takes, and the made windows stand in; a label spelt otherwise is a mistake.
        misspelt = any(clip.label.lower() == wanted.lower() for clip in clips)
        if task.config.idle > 0 and not self._idle and misspelt:
            there = labels.existing((clip.label for clip in clips), [wanted])
            raise labels.EmptyClass(f"no training clip is labelled {wanted}, or idle; {there}")
        self._persons = sorted({person for person, _ in self._signs})
        self._mix = Mix(task.config.made)

    def stretches(self) -> Stretches:
        """The same takes, as stretches."""
        task, config = self._task, self._task.config
        signs, idle = defaultdict[int, dict[str, list[Take]]](dict), defaultdict[int, dict[bool, list[Take]]](dict)
        for (person, label), takes in self._signs.items():
            signs[person][label] = takes
        for (person, visible), takes in self._idle.items():
            idle[person][visible] = takes
        return Stretches(
            config.stretch,
            task.layout,
            task.fps,
            self._augment,
            signs,
            idle,
            self._mix,
            config.least_speed,
            task.behind,
        )

    def draw(self, random: np.random.Generator) -> Drawn:
        """One window (T, V, 3), its label's position, and who is seen; (lead + T, V, 3) with a lead."""
        task, lead, augment = self._task, self._task.config.lead, self._augment
        (window, signer), truth = self._shown(random)
        if lead:
            window = led(window, lambda: self._shown(random)[0].points, lead, task.layout, random)
        window = track(view(window, task.layout, augment, random), task.layout, augment, random)
        if not hands_seen(window[lead:], task.layout).any():
            truth = NOT_SIGNING  # a hand that is never seen cannot be said to sign
        return Drawn(window, truth, signer)

    def _shown(self, random: np.random.Generator) -> tuple[Take, int]:
        """One window before it is augmented, and its label's position."""
        config, chance = self._task.config, random.random()
        if chance < config.positives:
            return self._signing(random), SIGNING
        if self._idle and chance < config.positives + config.idle:
            return self._resting(random), NOT_SIGNING
        return self._made(random), NOT_SIGNING

    def _sign_clip(self, random: np.random.Generator) -> Take:
        person = self._persons[random.integers(len(self._persons))]
        labels = sorted(key for key in self._signs if key[0] == person)
        takes = self._signs[labels[random.integers(len(labels))]]
        return takes[random.integers(len(takes))]

    def _signing(self, random: np.random.Generator) -> Take:
        task = self._task
        while True:
            take = self._sign_clip(random)
            points = retime(take.points, self._augment, random)
            moment = int(random.integers(len(points)))
            if not hands_seen(points, task.layout)[moment]:
                continue
            end = min(moment + task.behind, len(points) - 1)
            window = clip_window(points, end, task.frames)
            if hand_speed(window, task.layout, task.fps) >= task.config.least_speed:
                return Take(window, take.signer)

    def _resting(self, random: np.random.Generator) -> Take:
        # Idle takes without a hand in view are easy and many: those with hands are drawn four times in five.
        visible = bool(random.random() < 0.8)
        keys = sorted(key for key in self._idle if key[1] == visible) or sorted(self._idle)
        takes = self._idle[keys[random.integers(len(keys))]]
        take = takes[random.integers(len(takes))]
        points = retime(take.points, self._augment, random)
        end = int(random.integers(min(4, len(points)) - 1, len(points)))
        return Take(clip_window(points, end, self._task.frames), take.signer)

    def _made(self, random: np.random.Generator) -> Take:
        make = self._mix.draw(random)
        take = self._sign_clip(random)
        return Take(make(take.points, self._task.frames, self._task.layout, random), take.signer)
