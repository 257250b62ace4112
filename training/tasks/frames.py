"""What is done at each moment of a stream? Learnt from streams whose events are labelled with their start and end.

Two forms of one task: windows, each labelled by the moment that it speaks of; or, of a continual network, stretches of
a stream with a label for every frame.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks import Layout, frames_behind
from training import labels
from training.augment import Augment, moments, resample, track, view
from training.clip import Clip
from training.motion import hands_seen
from training.stream import Stream
from training.tasks.task import Drawn
from training.windows import Labelled, Windows, stack

Points = NDArray[np.float32]
Truth = NDArray[np.intp]
_Line = tuple[Points, Truth]
"""A stream, or a clip: its frames (T, V, 3), and the positions of their labels (T,)."""
_Run = tuple[int, NDArray[np.intp]]
"""Which of a sampler's lines, and positions of frames in it that follow one another."""
UNLABELLED = -1


@dataclass(frozen=True)
class FramesConfig:
    """Which events are told apart, and from which frames it is learnt.

    events: the labels, beside `background`, which all other frames are, those of other events too.
    every: a training sample is a stretch of a stream and the label of every frame (continual networks only); else it
        is a window and the label of its moment. stretch: frames of the former.
    known_after: share of an event that must have passed before it can be named; what is said before counts nowhere.
    border_s: frames as near to an event's start or end, on both sides of it, count nowhere.
    events_share: share of samples that are drawn about a frame of an event, all labels evenly; the others are drawn
        about any frame of the background. clips_share: share of these events that are from single clips
        (`data.clips`), as far as there are any of the label: in a stream made of clips and of pieces of background by
        turns. rest_s: longest of these pieces. bridge_s: from one to the other; its frames count nowhere.
    What counts nowhere plays a part in training only: measured are all frames.
    """

    events: tuple[str, ...]
    background: str = "none"
    every: bool = False
    stretch: int = 100
    known_after: float = 0.0
    border_s: float = 0.0
    events_share: float = 0.6
    clips_share: float = 0.5
    rest_s: float = 3.0
    bridge_s: float = 0.25

    def __post_init__(self) -> None:
        if not self.events or len(set(self.events)) != len(self.events) or self.background in self.events:
            raise ValueError(f"need different events, none of them {self.background!r}, got {self.events}")
        if not (0 <= self.events_share <= 1 and 0 <= self.clips_share <= 1 and 0 <= self.known_after < 1):
            raise ValueError(
                "events_share and clips_share lie in 0..1, known_after does and is not 1, got "
                f"{self.events_share}, {self.clips_share} and {self.known_after}"
            )
        if self.stretch < 1 or min(self.border_s, self.rest_s, self.bridge_s) < 0:
            raise ValueError(
                "stretch is at least 1, border_s, rest_s and bridge_s at least 0, got "
                f"{self.stretch}, {self.border_s}, {self.rest_s} and {self.bridge_s}"
            )


class Frames:
    """Draws training windows or stretches, and cuts fixed windows. For the arguments see Signing."""

    config_type = FramesConfig

    def __init__(self, config: FramesConfig, layout: Layout, frames: int, fps: float, centre: float) -> None:
        self.config, self.layout, self.frames, self.fps = config, layout, frames, fps
        self.behind = frames_behind(centre, frames)  # frames from the moment that is spoken of to the newest
        self.background = config.background
        self.labels = (*config.events, config.background)

    def truth(self, clip: Clip) -> int | None:
        """Position of the label that all of a clip is in; None for a stream, which changes."""
        return None if isinstance(clip, Stream) or clip.label not in self.labels else self.labels.index(clip.label)

    def counts(self, clips: Sequence[Clip]) -> NDArray[np.intp]:
        """(labels,) frames of each label that training counts."""
        truths = np.concatenate([self.line(clip, ignoring=True)[1] for clip in clips])
        return np.bincount(truths[truths >= 0], minlength=len(self.labels))

    def line(self, clip: Clip, *, ignoring: bool) -> _Line:
        """A stream's frames (T, V, 3) and their labels' positions (T,).

        ignoring: UNLABELLED where training counts no frame (known_after, border_s).
        """
        taken = clip.sequence.pick(self.layout).square().resample(self.fps)
        config, at_s, slack_s = self.config, taken.at_s, 1e-3  # of times that were made from frame numbers
        truth = np.full(len(at_s), len(self.labels) - 1, dtype=np.intp)
        events = [event for event in getattr(clip, "events", ()) if event.label in config.events]
        for event in events:
            during = (at_s > event.start_s - slack_s) & (at_s < event.end_s + slack_s)
            truth[during] = config.events.index(event.label)
        for event in events if ignoring else ():
            known_s = event.start_s + config.known_after * (event.end_s - event.start_s)
            truth[(at_s > event.start_s - slack_s) & (at_s < known_s - slack_s)] = UNLABELLED
            for border_s in (event.start_s, event.end_s):
                truth[np.abs(at_s - border_s) < config.border_s - slack_s] = UNLABELLED
        return taken.xyz, truth

    def sampler(self, clips: Sequence[Clip], augment: Augment) -> Sampler:
        """An endless source of training samples of these streams. Raises EmptyClass for an event that none has."""
        return Sampler(self, clips, augment)

    def windows(self, clips: Sequence[Clip], stride: int) -> Windows:
        """Of every `stride`-th frame of the streams the window that speaks of it, if the stream lasts so long."""
        found = []
        for clip in clips:
            points, truth = self.line(clip, ignoring=False)
            seen = self._seen(points)
            for moment in range(0, len(points) - self.behind, stride):
                first = moment + self.behind + 1 - self.frames
                share = float(seen[max(0, first) : moment + self.behind + 1].mean())
                window = cut(points, first, self.frames, np.nan)
                found.append(Labelled(window, int(truth[moment]), clip.person, clip.take, share))
        return stack(found)

    def _seen(self, points: Points) -> NDArray[np.bool_]:
        """(T,) frames in which a hand is seen; in a layout of one hand alone, whose joints name no side, anything."""
        sided = any(joint.startswith(("left_hand_", "right_hand_")) for joint in self.layout.joints)
        return hands_seen(points, self.layout) if sided else np.isfinite(points[..., 0]).any(axis=1)


class Sampler:
    """Samples about frames of events and of the background, augmented in raw coordinates. Their labels keep to them."""

    def __init__(self, task: Frames, clips: Sequence[Clip], augment: Augment) -> None:
        self._task, self._augment = task, augment
        self._lines = [task.line(clip, ignoring=True) for clip in clips]
        self._signers = [clip.signer for clip in clips]
        # Of each label the events, once those of streams and once those of single clips: line, and its frames.
        self._events: list[tuple[list[_Run], list[_Run]]] = [([], []) for _ in task.config.events]
        self._rests: list[_Run] = []
        none = len(task.config.events)
        for i, (_, truth) in enumerate(self._lines):
            for run in np.split(np.arange(len(truth)), np.flatnonzero(np.diff(truth)) + 1):
                label = int(truth[run[0]])
                if label == none:
                    self._rests.append((i, run))
                elif label != UNLABELLED:
                    single = not (truth == none).any()
                    self._events[label][single].append((i, run))
        if missing := [name for name, found in zip(task.config.events, self._events, strict=True) if not any(found)]:
            there = labels.existing((event.label for clip in clips for event in getattr(clip, "events", ())), missing)
            raise labels.EmptyClass(f"no training stream shows {', '.join(missing)}; {there}")
        if not self._rests:
            raise labels.EmptyClass("no training stream has a frame between its events")
        self._singles = sorted({i for _, clips in self._events for i, _ in clips})
        lengths = np.array([len(run) for _, run in self._rests])
        self._rest_shares = lengths / lengths.sum()

    def draw(self, random: np.random.Generator) -> Drawn:
        """A window (T, V, 3) and the label of its moment, or a stretch (S, V, 3) and its labels (S,)."""
        task, config, augment = self._task, self._task.config, self._augment
        length, place = task.frames, task.frames - 1 - task.behind
        if config.every:
            length = config.stretch
            place = int(random.integers(length))
        # What comes of it at any tempo, with a frame for the rounding.
        most = augment.rate_high * (1 + augment.wobble) * (1 + augment.warp)
        before, after = math.ceil(place * most) + 1, math.ceil((length - place) * most) + 1
        points, truth, moment, signer = self._about(before, after, random)
        points = cut(points, moment - before, before + 1 + after, np.nan)
        near = cut(truth, moment - before, before + 1 + after, UNLABELLED)
        at = moments(len(points), augment, random)
        points, near = resample(points, at), near[np.rint(at).astype(np.intp)]
        first = int(np.abs(at - before).argmin()) - place
        points = cut(points, first, length, np.nan)
        points = track(view(points, task.layout, augment, random), task.layout, augment, random)
        if not config.every:
            return Drawn(points, int(truth[moment]), signer)
        # A moment from before the stretch is none that the network has seen.
        near = cut(cut(near, first, length, UNLABELLED), -task.behind, length, UNLABELLED)
        near[np.isnan(points).all(axis=(1, 2))] = UNLABELLED
        return Drawn(points, near, signer)

    def _about(self, before: int, after: int, random: np.random.Generator) -> tuple[Points, Truth, int, int]:
        """A stream, its labels, the frame of it that a sample is about, and its signer. Of a real stream there may be
        fewer frames before and after that one than are asked for."""
        if random.random() >= self._task.config.events_share:
            i, run = self._rests[random.choice(len(self._rests), p=self._rest_shares)]
            return *self._lines[i], int(run[random.integers(len(run))]), self._signers[i]
        streams, clips = self._events[random.integers(len(self._events))]
        single = bool(clips) and (not streams or random.random() < self._task.config.clips_share)
        events = clips if single else streams
        i, run = events[random.integers(len(events))]
        moment = int(run[random.integers(len(run))])
        if not single:
            return *self._lines[i], moment, self._signers[i]
        return *self._made(self._lines[i], moment, before, after, random), self._signers[i]

    def _made(
        self, clip: _Line, moment: int, before: int, after: int, random: np.random.Generator
    ) -> tuple[Points, Truth, int]:
        """A stream made of a clip, with pieces of background and other clips by turns around it; its labels, and where
        the clip's frame `moment` is in it."""
        parts, rest = [clip], True
        while moment < before:
            parts[:0] = self._bridged(self._rest(random) if rest else self._clip(random), parts[0])
            moment += len(parts[0][1]) + len(parts[1][1])
            rest = not rest
        rest, missing = True, after - (sum(len(truth) for _, truth in parts) - 1 - moment)
        while missing > 0:
            following = self._rest(random) if rest else self._clip(random)
            parts += [self._bridged(parts[-1], following)[1], following]
            missing -= len(parts[-1][1]) + len(parts[-2][1])
            rest = not rest
        points, truth = zip(*parts, strict=True)
        return np.concatenate(points), np.concatenate(truth), moment

    def _bridged(self, one: _Line, other: _Line) -> list[_Line]:
        """The first, and the way from it to the other: straight and even, and it counts nowhere."""
        steps = round(self._task.config.bridge_s * self._task.fps)
        return [one, (bridge(one[0][-1], other[0][0], steps), np.full(steps, UNLABELLED))]

    def _clip(self, random: np.random.Generator) -> _Line:
        return self._lines[self._singles[random.integers(len(self._singles))]]

    def _rest(self, random: np.random.Generator) -> _Line:
        """A piece of background, of one frame at least."""
        i, run = self._rests[random.choice(len(self._rests), p=self._rest_shares)]
        most = min(len(run), max(1, round(self._task.config.rest_s * self._task.fps)))
        length = int(random.integers(1, most + 1))
        first = int(run[0]) + int(random.integers(len(run) - length + 1))
        points, truth = self._lines[i]
        return points[first : first + length], truth[first : first + length]


def bridge(start: Points, end: Points, steps: int) -> Points:
    """(S, V, 3) the frames between one frame (V, 3) and another, of so many steps: straight and even."""
    shares = (np.arange(1, steps + 1, dtype=np.float32) / (steps + 1))[:, None, None]  # (S, 1, 1)
    return start + shares * (end - start)


def cut(values: NDArray[Any], first: int, length: int, beyond: float) -> NDArray[Any]:
    """(length, ...) values from position `first` on, which may lie anywhere; `beyond` where there are none."""
    found = np.full_like(values, beyond, shape=(length, *values.shape[1:]))
    begins, ends = max(first, 0), min(first + length, len(values))
    if begins < ends:
        found[begins - first : ends - first] = values[begins:ends]
    return found
