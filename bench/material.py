"""What a shipped model is replayed on: streams of people whom it was not trained on, with what is true in them.

The takes of the test side of a model's recipe come in three forms. `alone`: every take is a stream. `joined`: of the
persons who also rest, rest and signs by turns. `background`: takes in which nothing is done that the model names, one
after the other. Between takes of a stream lies a bridge, straight and even (as in training.tasks.frames), in which
nothing is true. `clips` are videos of other people, with marks made by eye (bench/marks.toml).
"""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from landmarks import HAND_21, HOLISTIC_75, LandmarkSequence, formats
from landmarks.extract import extract_videos
from landmarks.layout import on_body
from training.clip import Clip
from training.motion import hands_seen
from training.online_metrics import Event
from training.tasks.frames import bridge
from training.windows import NoWindows, Windows

FPS = 15.0
"""Of the takes, whose own rate was not recorded (training.datasets.holistic)."""
BRIDGE_S = 0.25
HELD_S = 1.0
"""How long a take of a single frame is held."""
REST = ("none", "nothing", "no action")
"""What recorders call rest; a person's other background takes stand in where there is none."""
MARKS = Path(__file__).with_name("marks.toml")
CLIPS = "clips"
NOWHERE = -1
_NOBODY = 0


class Question(Protocol):
    """A task of training whose labels come and go in a stream: every one with a background."""

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

    def windows(self, clips: Sequence[Clip], stride: int) -> Windows:
        """Fixed windows of these clips, with their truth. Raises NoWindows where none counts."""
        ...


@dataclass(frozen=True)
class Piece:
    """A take in a stream, whose frames are first <= frame < end there."""

    clip: Clip
    first: int
    end: int


@dataclass(frozen=True, eq=False)
class Material:
    """A stream of HOLISTIC_75. name: its own. group: what it is counted under. person: who is seen, 0 for unknown."""

    name: str
    group: str
    person: int
    sequence: LandmarkSequence
    pieces: tuple[Piece, ...]

    @property
    def hands(self) -> NDArray[np.bool_]:
        """(T,) frames in which a hand is seen."""
        return hands_seen(self.sequence.xyz, HOLISTIC_75)

    def truth(self, task: Question) -> NDArray[np.intp]:
        """(T,) of each frame the position of its label; NOWHERE on bridges and where a sign's hands are not seen."""
        found, hands = np.full(len(self.sequence), NOWHERE), self.hands
        for piece in self.pieces:
            label, frames = truth_of(task, piece.clip), slice(piece.first, piece.end)
            found[frames] = label if label == none_of(task) else np.where(hands[frames], label, NOWHERE)
        return found

    def events(self, task: Question) -> tuple[Event, ...]:
        """What is done, each from the first to the last frame of its take that sees a hand; a video's, as marked."""
        found, hands, at_s = [], self.hands, self.sequence.at_s
        for piece in self.pieces:
            label = truth_of(task, piece.clip)
            seen = piece.first + np.flatnonzero(hands[piece.first : piece.end])
            if piece.clip.source == CLIPS:
                seen = np.array([piece.first, piece.end - 1])
            if label != none_of(task) and len(seen):
                found.append(Event(task.labels[label], float(at_s[seen[0]]), float(at_s[seen[-1]])))
        return tuple(found)


def none_of(task: Question) -> int:
    """Position of the label that is no event."""
    return task.labels.index(task.background)


def truth_of(task: Question, clip: Clip) -> int:
    """Position of a take's label; a video's sign is by its name, or signing to whom that is all the same."""
    if clip.source != CLIPS:
        label = task.truth(clip)
        return none_of(task) if label is None else label
    named = "signing" if clip.label and "signing" in task.labels else clip.label
    return task.labels.index(named) if named in task.labels else none_of(task)


def counted(clips: Iterable[Clip], task: Question) -> list[Clip]:
    """The takes that the task's own figures are of."""

    def counts(clip: Clip) -> bool:
        try:
            return len(task.windows([clip], len(clip.sequence))) > 0
        except NoWindows:
            return False

    return [clip for clip in clips if counts(clip)]


def alone(clips: Iterable[Clip]) -> list[Material]:
    """Every take as a stream of its own."""
    return [_stream(f"{clip.take} {i}", f"{clip.source}/{clip.label}", [clip]) for i, clip in enumerate(clips)]


def joined(
    clips: Sequence[Clip], task: Question, seconds: float, most: int = 15, signs: int = 8, seed: int = 0
) -> list[Material]:
    """Rest, sign, rest, sign ... rest of one person, `signs` signs a stream, of each label at most `most` takes.

    Persons of whom there is no rest, or no sign, are in none. seconds: of streams drawn from these, at most.
    """
    random, found = np.random.default_rng(seed), []
    for person, mine in sorted(_by(clips, "person").items()):
        idle = [clip for clip in mine if truth_of(task, clip) == none_of(task)]
        rests = [clip for clip in idle if clip.label in REST] or idle
        done = [clip for clip in mine if truth_of(task, clip) != none_of(task)]
        shown = [take for takes in _by(done, "label").values() for take in _some(takes, most, random)]
        if not rests:
            continue
        shown = _some(shown, len(shown), random)
        for i in range(0, len(shown), signs):
            parts = [rests[random.integers(len(rests))]]
            for clip in shown[i : i + signs]:
                parts += [clip, rests[random.integers(len(rests))]]
            found.append(_stream(f"{person} joined {i // signs}", "joined", parts))
    lasts = np.cumsum([one.sequence.duration_s for one in found])
    if len(found) and lasts[-1] > seconds:
        found = [found[i] for i in random.permutation(len(found))]
        found = found[: int(np.searchsorted(np.cumsum([one.sequence.duration_s for one in found]), seconds))]
    return found


def background(clips: Sequence[Clip], task: Question, seconds: float, longest: int = 10) -> list[Material]:
    """Takes of one person and label that show nothing that the model names, `longest` a stream.

    seconds: of takes, at most.
    """
    found = []
    idle = [clip for clip in clips if truth_of(task, clip) == none_of(task)]
    for person, mine in sorted(_by(within(idle, seconds), "person").items()):
        for label, takes in _by(mine, "label").items():
            for i in range(0, len(takes), longest):
                group = f"{takes[0].source}/{label}"
                found.append(_stream(f"{person} {group} {i // longest}", group, takes[i : i + longest]))
    return found


def videos(folder: Path, every: int = 1) -> list[Material]:
    """Its videos, or the landmarks of them where `python -m landmarks extract` has been, each at its own rate.

    A sign's frames are those from its mark start_s to its end_s. every: takes one of so many. Raises what the
    extraction of one raises, FileNotFoundError for a folder without.
    """
    marks = tomllib.loads(MARKS.read_text())
    found = []
    for name, sequence in _landmarks(folder, every):
        mark = marks.get(name)
        parts = [("", (0, len(sequence)))]
        if mark is not None:
            first, end = np.searchsorted(sequence.at_s, [mark["start_s"] - 0.01, mark["end_s"] + 0.01]).tolist()
            parts = [("", (0, first)), (mark["word"], (first, end)), ("", (end, len(sequence)))]
        pieces = tuple(Piece(Clip(sequence, label, _NOBODY, name, CLIPS), *span) for label, span in parts)
        found.append(Material(name, "nosign" if mark is None else "sign", _NOBODY, sequence, pieces))
    return sorted(found, key=lambda one: one.name)


def _landmarks(folder: Path, every: int) -> Iterator[tuple[str, LandmarkSequence]]:
    """(name without endings, landmarks)."""
    if ready := sorted(folder.glob("*.npz"))[::every]:
        yield from ((path.name.split(".")[0], formats.read(path.read_bytes())) for path in ready)
        return
    paths = sorted(folder.glob("*.m*"))[::every]
    if not paths:
        raise FileNotFoundError(f"there is no video in {folder}")
    for path, sequence in extract_videos(paths, 1):
        if isinstance(sequence, Exception):
            raise sequence
        yield path.stem, sequence


def stroke(video: Material, task: Question) -> tuple[Event, ...]:
    """A video's sign without the ways up and down."""
    mark = tomllib.loads(MARKS.read_text())[video.name]
    return tuple(Event(event.label, mark["stroke_start_s"], mark["stroke_end_s"]) for event in video.events(task))


def within(clips: Sequence[Clip], seconds: float, seed: int = 0) -> list[Clip]:
    """As many takes as last so long, persons and labels drawn evenly; all, in their order, where they last less."""
    random = np.random.default_rng(seed)
    by_person = _by(clips, "person").values()
    groups = [_some(takes, len(takes), random) for mine in by_person for takes in _by(mine, "label").values()]
    most = max(map(len, groups), default=0)
    turns = [take for i in range(most) for take in (group[i] for group in groups if i < len(group))]
    lasts = np.cumsum([HELD_S if len(take.sequence) == 1 else len(take.sequence) / FPS for take in turns])
    fits = int(np.searchsorted(lasts, seconds, side="right"))
    return turns[:fits] if fits < len(turns) else list(clips)


def on_holistic(sequence: LandmarkSequence) -> LandmarkSequence:
    """A take of a body, or of one hand, as the frames of a stream: HOLISTIC_75, even units, FPS frames a second.

    One hand becomes a right one, without a body, about the middle of the picture (its own origin would pass for not
    detected). Its joints that the take lacks stand where its last one does: a hand travels whole, and a model looks at
    the joints that it names. A single frame is held for HELD_S.
    """
    taken = sequence.square()
    if len(taken) == 1:
        times = np.arange(round(HELD_S * FPS)) / FPS
        taken = LandmarkSequence.of(taken.layout, np.repeat(taken.xyz, len(times), axis=0), at_s=times)
    taken = taken.resample(FPS)
    if taken.layout == HOLISTIC_75:
        return taken
    xyz = np.full((len(taken), len(HOLISTIC_75), 3), np.nan, np.float32)
    points = taken.xyz + np.array([0.5, 0.5, 0.0], np.float32)
    xyz[:, HOLISTIC_75.indices(*on_body("right", HAND_21.joints))] = points[:, -1:]
    xyz[:, HOLISTIC_75.indices(*on_body("right", taken.layout.joints))] = points
    return LandmarkSequence.of(HOLISTIC_75, xyz, at_s=taken.at_s)


def _stream(name: str, group: str, clips: Sequence[Clip]) -> Material:
    steps = round(BRIDGE_S * FPS)
    parts: list[LandmarkSequence] = [on_holistic(clip.sequence) for clip in clips]
    xyz, sure, pieces, at = [], [], [], 0
    for i, (clip, part) in enumerate(zip(clips, parts, strict=True)):
        if i:
            way = bridge(xyz[-1][-1], part.xyz[0], steps)
            xyz.append(way)
            sure.append(np.isfinite(way[..., 0]).astype(np.float32))
            at += steps
        pieces.append(Piece(clip, at, at + len(part)))
        xyz.append(part.xyz)
        sure.append(part.confidence)
        at += len(part)
    sequence = LandmarkSequence.of(HOLISTIC_75, np.concatenate(xyz), fps=FPS, confidence=np.concatenate(sure))
    return Material(name, group, clips[0].person, sequence, tuple(pieces))


def _by(clips: Iterable[Clip], field: str) -> dict[Any, list[Clip]]:
    found: dict[Any, list[Clip]] = defaultdict(list)
    for clip in clips:
        found[getattr(clip, field)].append(clip)
    return found


def _some(clips: Sequence[Clip], most: int, random: np.random.Generator) -> list[Clip]:
    return [clips[i] for i in random.permutation(len(clips))[:most]]
