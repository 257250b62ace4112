"""Which gesture is it, if any?"""

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
from training.motion import hands_seen
from training.tasks.lead import led
from training.tasks.task import Drawn, Take, count, labelled
from training.windows import Labelled, Windows, stack

Points = NDArray[np.float32]


@dataclass(frozen=True)
class GestureConfig:
    """Which clips show which gesture, and what else a window may hold.

    words: the labels, beside `background`. source: the set whose labels are meant by `words`.
    same: "source/label" of clips in other sets -> the word that they show.
    unclear: labels left out, as "label" or "source/label": a word's namesakes that may be another sign.
    held: words that hardly move: no still window is made from them, it would show the word.
    words_share, others_share: shares of training windows from words, and from idle takes and other signs; the rest is
        made (training.idle) or cut across the end of one word and the start of the next.
    begun_share: share of training windows that end within the first third of a word, one that is not held: not yet it.
    made: kinds of made windows, and how often, relative to each other.
    least_overlap: share of a word that its window holds at least.
    lead: most frames before a training window in which the same body has shown something else; for networks that carry
        a state, which in a stream has always seen more than a window.
    """

    words: tuple[str, ...]
    source: str = "asl-words"
    background: str = "none"
    same: dict[str, str] = field(default_factory=dict)
    unclear: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    words_share: float = 0.6
    others_share: float = 0.25
    begun_share: float = 0.0
    made: dict[str, float] | None = None
    least_overlap: float = 0.75
    lead: int = 0

    def __post_init__(self) -> None:
        if not self.words or self.background in self.words:
            raise ValueError(f"need words, none of them {self.background!r}")
        if stray := (set(self.same.values()) | set(self.held)) - set(self.words):
            raise ValueError(f"{', '.join(sorted(stray))}: in same or held, and not among the words")
        shares = (self.words_share, self.others_share, self.begun_share)
        if not (self.words_share > 0 and min(shares) >= 0 and sum(shares) <= 1):
            raise ValueError(f"words_share + others_share + begun_share are shares of 1, got {shares}")
        if self.begun_share and not set(self.words) - set(self.held):
            raise ValueError("begun_share asks for words that are not held, and all are")
        Mix(self.made)
        if not 0 < self.least_overlap <= 1:
            raise ValueError(f"least_overlap lies in 0..1, got {self.least_overlap}")
        if self.lead < 0:
            raise ValueError(f"lead is at least 0 frames, got {self.lead}")


class Gesture:
    """Draws training windows and cuts fixed ones. See training.tasks.signing.Signing for the arguments."""

    config_type = GestureConfig

    def __init__(self, config: GestureConfig, layout: Layout, frames: int, fps: float, centre: float) -> None:
        self.config, self.layout, self.frames, self.fps = config, layout, frames, fps
        self.behind = frames_behind(centre, frames)  # frames from the word's middle to the newest
        self.background = config.background
        self.labels = (*config.words, config.background)

    def truth(self, clip: Clip) -> int | None:
        """Position of the clip's label, or None for a clip that is left out."""
        name = f"{clip.source}/{clip.label}"
        if {clip.label, name} & set(self.config.unclear):
            return None
        word = clip.label if clip.source == self.config.source else self.config.same.get(name, self.background)
        return self.labels.index(word if word in self.config.words else self.background)

    def counts(self, clips: Sequence[Clip]) -> NDArray[np.intp]:
        """(labels,) clips of each label."""
        return count(self, clips)

    def sampler(self, clips: Sequence[Clip], augment: Augment) -> Sampler:
        """An endless source of training windows."""
        return Sampler(self, clips, augment)

    def windows(self, clips: Sequence[Clip], stride: int) -> Windows:
        """One window a clip, whose moment is the clip's middle; `stride` plays no part."""
        found = []
        for clip, truth in labelled(self, clips):
            points = clip.points(self.layout, self.fps)
            end = min(len(points) - 1, len(points) // 2 + self.behind)
            seen = hands_seen(points, self.layout)[max(0, end + 1 - self.frames) : end + 1]
            window = clip_window(points, end, self.frames)
            found.append(Labelled(window, truth, clip.person, clip.take, float(seen.mean())))
        return stack(found)


class Sampler:
    """Training windows, labels and persons drawn evenly, augmented in raw coordinates."""

    def __init__(self, task: Gesture, clips: Sequence[Clip], augment: Augment) -> None:
        self._task, self._augment = task, augment
        self._words: dict[int, dict[int, list[Take]]] = defaultdict(lambda: defaultdict(list))
        self._others: dict[str, list[Take]] = defaultdict(list)
        self._loose: list[Take] = []
        self._none = task.labels.index(task.background)
        held = {task.labels.index(word) for word in task.config.held}
        for clip, truth in labelled(task, clips):
            take = Take(clip.points(task.layout, task.fps), clip.signer)
            if truth == self._none:
                kind = "idle" if clip.label == task.background else f"{clip.source}/{clip.label}"
                self._others[kind].append(take)
            else:
                self._words[truth][clip.person].append(take)
            if truth not in held:
                self._loose.append(take)
        if missing := [label for i, label in enumerate(task.labels) if i != self._none and i not in self._words]:
            there = labels.existing((clip.label for clip in clips), missing)
            raise labels.EmptyClass(
                f"no training clip shows {', '.join(missing)}; check the split and [gesture]; {there}"
            )
        if not self._others:
            there = labels.existing((clip.label for clip in clips), [task.background])
            raise labels.EmptyClass(f"no training clip shows {task.background}; check the split and [gesture]; {there}")
        self._kinds = sorted(self._others)
        self._moving = sorted(set(self._words) - held)
        self._mix = Mix(task.config.made)

    def draw(self, random: np.random.Generator) -> Drawn:
        """One window (T, V, 3), its label's position, and who is seen; (lead + T, V, 3) with a lead."""
        task = self._task
        (window, signer), truth = self._shown(random)
        if task.config.lead:
            window = led(window, lambda: self._shown(random)[0].points, task.config.lead, task.layout, random)
        window = view(window, task.layout, self._augment, random)
        return Drawn(track(window, task.layout, self._augment, random), truth, signer)

    def _shown(self, random: np.random.Generator) -> tuple[Take, int]:
        """One window before it is augmented, and its label's position."""
        task, config = self._task, self._task.config
        chance = random.random()
        if chance < config.words_share:
            truth = sorted(self._words)[random.integers(len(self._words))]
            take = self._take(truth, random)
            return self._around(take, random), truth
        if chance < config.words_share + config.others_share:
            # Half idle takes, half other signs.
            kind = self._kinds[random.integers(len(self._kinds))]
            if "idle" in self._others and random.random() < 0.5:
                kind = "idle"
            takes = self._others[kind]
            take = takes[random.integers(len(takes))]
            return self._around(take, random), self._none
        if chance < config.words_share + config.others_share + config.begun_share:
            take = self._take(self._moving[random.integers(len(self._moving))], random)
            points = retime(take.points, self._augment, random)
            end = int(random.integers(len(points) // 3 + 1))
            return Take(clip_window(points, end, task.frames), take.signer), self._none
        if random.random() < 0.25:
            return self._between(random), self._none
        make = self._mix.draw(random)
        take = self._loose[random.integers(len(self._loose))]
        return Take(make(take.points, task.frames, task.layout, random), take.signer), self._none

    def _take(self, word: int, random: np.random.Generator) -> Take:
        persons = sorted(self._words[word])
        takes = self._words[word][persons[random.integers(len(persons))]]
        return takes[random.integers(len(takes))]

    def _around(self, take: Take, random: np.random.Generator) -> Take:
        """A window over most of a take; beyond the take's ends nothing has come yet, or the pose is held."""
        points, frames = retime(take.points, self._augment, random), self._task.frames
        most = min(len(points), frames)
        spare = round((1 - self._task.config.least_overlap) * most)
        first = -int(random.integers(0, spare + 1)) if random.random() < 0.5 else 0  # held frames before the take
        last = len(points) - 1 + (int(random.integers(0, spare + 1)) if random.random() < 0.5 else 0)
        extended = points[np.clip(np.arange(first, last + 1), 0, len(points) - 1)]
        lowest = min(most - spare, len(extended)) - 1
        end = int(random.integers(max(lowest, 0), len(extended)))
        return Take(clip_window(extended, end, frames), take.signer)

    def _between(self, random: np.random.Generator) -> Take:
        """The end of one word and the start of another: neither; and its signer, where both have one."""
        words = sorted(self._words)
        one, other = (words[i] for i in random.choice(len(words), 2, replace=len(words) < 2))
        half = self._task.frames // 2
        before, after = self._take(one, random), self._take(other, random)
        window = np.concatenate([before.points[-half:], after.points[: self._task.frames - half]])[-self._task.frames :]
        return Take(window, before.signer if before.signer == after.signer else -1)
