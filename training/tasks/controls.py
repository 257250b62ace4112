"""Which control does one hand give, if any: a shape that it holds, or a path of its fingertip?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from landmarks import Layout
from training import labels, paths
from training.augment import Augment, clip_window, retime, track, view
from training.clip import Clip
from training.tasks.task import Drawn, Take, count, labelled
from training.windows import Labelled, Windows, stack

Points = NDArray[np.float32]
Kind = TypeVar("Kind")
_Way = tuple[int, int, bool]
TRIES = 20
NOBODY = 0.2
"""Share of made windows in which no hand is seen at all."""
_FRAME = ("wrist", "index_mcp", "middle_mcp", "pinky_mcp")


@dataclass(frozen=True)
class ControlsConfig:
    """What recorders called each control, for everyone has words of their own.

    shows: label -> the recordings that show it, as "person/word", or "word" of any person, or "source/*" for all of a
        set; the first of these that is named counts.
    others: likewise, of recordings that show none of these. What is named nowhere is left out.
    paths: the labels are those of training.paths, and a window counts only where its own path agrees: one of a control
        that shows that control, one of the others that shows none of them. For recorders log on while a hand returns.
    half_turns: pairs of labels that a half turn of the picture makes of each other; training windows are of both.
    others_share, made_share: shares of training windows from the others, and made of real ones: of shapes a hand
        halfway from one to another, of paths training.paths.MADE, and of both nobody at all. All labels and all persons
        are drawn evenly.
    """

    shows: dict[str, tuple[str, ...]]
    others: tuple[str, ...]
    background: str = "none"
    paths: bool = False
    half_turns: tuple[tuple[str, ...], ...] = ()
    others_share: float = 0.3
    made_share: float = 0.1

    def __post_init__(self) -> None:
        named = [word for words in (*self.shows.values(), self.others) for word in words]
        if twice := sorted({word for word in named if named.count(word) > 1}):
            raise ValueError(f"{', '.join(twice)}: named twice")
        if not self.shows or self.background in self.shows:
            raise ValueError(f"need labels, none of them {self.background!r}")
        if self.paths and (stray := set(self.shows) - set(paths.NAMES)):
            raise ValueError(f"{', '.join(sorted(stray))}: no path; choose from {', '.join(paths.NAMES)}")
        if any(len(pair) != 2 or set(pair) - set(self.shows) for pair in self.half_turns):
            raise ValueError(f"half_turns are pairs of labels, got {self.half_turns}")
        if not (self.others_share >= 0 and self.made_share >= 0 and self.others_share + self.made_share < 1):
            raise ValueError(f"others_share + made_share are below 1, got {self.others_share}, {self.made_share}")


class Controls:
    """Draws training windows and cuts fixed ones, of layouts of one hand. For the arguments see Signing."""

    config_type = ControlsConfig

    def __init__(self, config: ControlsConfig, layout: Layout, frames: int, fps: float, centre: float) -> None:
        self.config, self.layout, self.frames, self.fps = config, layout, frames, fps
        self.background = config.background
        self.labels = (*config.shows, config.background)
        self._words = {word: i for i, words in enumerate((*config.shows.values(), config.others)) for word in words}

    def truth(self, clip: Clip) -> int | None:
        """Position of what the clip's recorder shows, or None for a clip that is left out."""
        for word in (f"{clip.person}/{clip.label}", clip.label, f"{clip.source}/*"):
            if word in self._words:
                return self._words[word]
        return None

    def counts(self, clips: Sequence[Clip]) -> NDArray[np.intp]:
        """(labels,) clips of each label."""
        return count(self, clips)

    def sampler(self, clips: Sequence[Clip], augment: Augment) -> Sampler:
        """An endless source of training windows. Raises EmptyClass for a label that no clip shows."""
        return Sampler(self, clips, augment)

    def windows(self, clips: Sequence[Clip], stride: int) -> Windows:
        """Every `stride`-th window that lies within a clip; of a longer clip only of its middle half, where what it
        shows is held, and of a shorter one its last."""
        found = []
        for clip, truth in labelled(self, clips):
            points = clip.points(self.layout, self.fps)
            for end in self.ends(len(points))[::stride]:
                window = clip_window(points, end, self.frames)
                seen = float(np.isfinite(window[..., 0]).any(axis=1).mean())
                if seen >= paths.LEAST_SEEN and self.agrees(window, truth):
                    found.append(Labelled(window, truth, clip.person, clip.take, seen))
        return stack(found)

    def ends(self, length: int) -> range:
        """Last frames of the windows of a clip that may count."""
        if length <= self.frames:
            return range(length - 1, length)
        quarter = (length - self.frames) // 4
        return range(self.frames - 1 + quarter, length - quarter)

    def agrees(self, window: Points, truth: int) -> bool:
        """Does the path of a window show what its recorder says? Always, where paths are not asked."""
        if not self.config.paths:
            return True
        shown = paths.shown(window[:, 0, :2])
        return shown is not None and (shown if shown in self.labels else self.background) == self.labels[truth]


class Sampler:
    """Training windows, augmented in raw coordinates; what they show is asked again where paths count."""

    def __init__(self, task: Controls, clips: Sequence[Clip], augment: Augment) -> None:
        self._task, self._augment = task, augment
        config = task.config
        self._none = task.labels.index(config.background)
        # Label -> person -> word -> takes.
        self._takes: list[dict[int, dict[str, list[Take]]]] = [
            defaultdict(lambda: defaultdict(list)) for _ in task.labels
        ]
        for clip, truth in labelled(task, clips):
            points = clip.points(task.layout, task.fps)
            if task.frames == 1:
                points = points[list(task.ends(len(points)))]
                points = points[np.isfinite(points[..., 0]).any(axis=1)]
            if not len(points) or (len(points) <= task.frames and not task.agrees(points, truth)):
                continue
            self._takes[truth][clip.person][clip.label].append(Take(points, clip.signer))
        # Label -> the labels that are there and show it once the picture is turned by so many quarters, or mirrored.
        self._ways = [self._ways_to(label) for label in range(len(task.labels))]
        if missing := [label for label, ways in zip(task.labels, self._ways, strict=True) if not ways]:
            there = labels.existing((f"{clip.person}/{clip.label}" for clip in clips), missing)
            raise labels.EmptyClass(f"no training clip shows {', '.join(missing)}; check the split; {there}")

    def draw(self, random: np.random.Generator) -> Drawn:
        """One window (T, V, 3), its label's position, and who is seen."""
        task, config = self._task, self._task.config
        chance, truth = random.random(), self._none
        made = chance < config.made_share
        if chance >= config.made_share + config.others_share:
            truth = int(random.integers(self._none))
        signer = -1
        window = np.full((task.frames, len(task.layout), 3), np.nan, np.float32)
        if made and random.random() < NOBODY:
            return Drawn(window, truth, signer)
        for _ in range(TRIES):  # a crop of a control may show nothing, and of nothing a control
            if made:
                window = self._made(random)
            else:
                window, signer = self._real(truth, random)
            window = view(window, task.layout, self._augment, random)
            if task.agrees(window, truth):
                break
        return Drawn(track(window, task.layout, self._augment, random), truth, signer)

    def _ways_to(self, label: int) -> list[_Way]:
        """How recordings become one of this label: which they show, quarter turns of the picture, mirrored or not."""
        config, names = self._task.config, self._task.labels
        if config.paths and label != self._none:
            ways = [
                (one, quarters, mirrored)
                for quarters in range(4)
                for mirrored in (False, True)
                for one in range(self._none)
                if paths.turned(names[one], quarters, mirrored) == names[label]
            ]
        else:
            pairs = [pair for pair in config.half_turns if names[label] in pair]
            others = [names.index(name) for pair in pairs for name in pair if name != names[label]]
            ways = [(label, 0, False), *((other, 2, False) for other in others)]
        return [way for way in ways if self._takes[way[0]]]

    def _real(self, truth: int, random: np.random.Generator) -> tuple[Points, int]:
        """A window of a recording that shows it, or that shows it once its picture is turned."""
        shown, quarters, mirrored = _one(self._ways[truth], random)
        take = self._take(shown, random)
        window = self._timed(take.points, random)
        return (paths.turn(window, quarters, mirrored) if quarters or mirrored else window), take.signer

    def _take(self, truth: int, random: np.random.Generator) -> Take:
        persons = self._takes[truth]
        words = persons[_one(sorted(persons), random)]
        return _one(words[_one(sorted(words), random)], random)

    def _timed(self, points: Points, random: np.random.Generator) -> Points:
        """T frames at another tempo; a recording that is over sooner begins or ends in a hand that rests."""
        frames = self._task.frames
        if frames == 1:
            return points[random.integers(len(points)), None]
        points = retime(points, self._augment, random)
        first = int(random.integers(min(0, len(points) - frames), max(0, len(points) - frames) + 1))
        at = np.clip(np.arange(first, first + frames), 0, len(points) - 1)
        return points[at]

    def _made(self, random: np.random.Generator) -> Points:
        """A window of nothing, made of controls."""
        one, other = (self._real(int(label), random)[0] for label in random.choice(self._none, 2, replace=False))
        if self._task.config.paths:
            return _one(paths.MADE, random)(one, random)
        return between(one, other, random.uniform(0.35, 0.65), self._task.layout)


def between(one: Points, other: Points, share: float, layout: Layout) -> Points:
    """(T, V, 3) hands on the way from one shape to another, at this share of it.

    The other is laid over the one before: its wrist, and the way from there to the middle finger's first joint; as a
    mirror shows it, where it is the other hand, or the other side of it.
    """
    wrist, index, middle, pinky = layout.indices(*_FRAME)
    a, b = ((each - each[:, wrist, None])[..., :2] for each in (one, other))
    sides = [_cross(each[:, index], each[:, pinky]) for each in (a, b)]
    b = b * np.where(sides[0] * sides[1] < 0, [-1.0, 1.0], [1.0, 1.0])[:, None]
    # As complex numbers, a turn and a growth are one factor.
    a, b = a[..., 0] + 1j * a[..., 1], b[..., 0] + 1j * b[..., 1]
    palm = np.where(np.abs(b[:, middle]) > 1e-6, b[:, middle], 1)
    b = b * (a[:, middle] / palm)[:, None]
    mixed = a + share * (b - a)
    found = one.copy()
    found[..., 0], found[..., 1] = mixed.real + one[:, wrist, None, 0], mixed.imag + one[:, wrist, None, 1]
    return found


def _cross(a: Points, b: Points) -> NDArray[np.float32]:
    """(T, 1) of which sign tells on which side of a the other lies."""
    return (a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])[:, None]


def _one(of: Sequence[Kind], random: np.random.Generator) -> Kind:
    return of[random.integers(len(of))]
