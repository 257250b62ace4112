"""NTU RGB+D's `.skeleton`: text, the bodies that Kinect v2 tracked in every frame.

The number of frames; for each, the number of bodies; for each of those a line with its id, the number of joints (25),
and a line a joint: x, y, z in metres, ..., and last whether it was tracked (2), inferred (1) or neither (0).

Kinect also tracks furniture, and loses people and finds them under another id: `actors` applies the rules by which
the people are found that SGN and those after it are trained on (Zhang et al. 2020, code).
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from landmarks import holistic
from landmarks.errors import FormatError, NoFrames, NoPerson
from landmarks.formats.given import Given
from landmarks.kinect import turned
from landmarks.layout import NTU_25
from landmarks.sequence import LandmarkSequence

NAME = "ntu-skeleton"
FPS = 30.0
"""Kinect v2's rate."""

FEWEST_FRAMES = 12
"""A body in fewer frames is noise where there is another."""
WIDE = 0.8
"""A frame whose body is wider than this share of its height is noise."""
MOST_WIDE = 0.69754
"""A body of which at least this share of frames is wide is noise."""

_START = re.compile(rb"\s*\d{1,7}[ \t]*\r?\n\s*\d{1,3}[ \t]*\r?\n")
_SURE = np.array([0.0, 0.5, 1.0], np.float32)  # not tracked, inferred, tracked


@dataclass(frozen=True, eq=False)
class Body:
    """What was tracked under one id.

    frames: (F,) in which frames of the file. xyz: (F, 25, 3) metres in Kinect's camera space. tracked: (F, 25) 0 to 2.
    """

    frames: NDArray[np.intp]
    xyz: NDArray[np.float32]
    tracked: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, chosen: NDArray[np.bool_]) -> Body:
        return Body(self.frames[chosen], self.xyz[chosen], self.tracked[chosen])

    @property
    def motion(self) -> float:
        """How much it moves: the variance of all its points, summed over the axes."""
        return float(self.xyz.reshape(-1, 3).astype(np.float64).var(axis=0).sum())

    def joined(self, other: Body) -> Body:
        """Both, in the order of frames; where they share a frame, this one."""
        new = other[~np.isin(other.frames, self.frames)]
        order = np.argsort(np.concatenate([self.frames, new.frames]), kind="stable")
        parts = ((getattr(self, name), getattr(new, name)) for name in ("frames", "xyz", "tracked"))
        return Body(*(np.concatenate(part)[order] for part in parts))


def looks_like(data: bytes) -> bool:
    """Text that begins with two lines of one whole number each."""
    return _START.match(data[:64]) is not None


def read(data: bytes, given: Given) -> LandmarkSequence:
    """The first actor. Raises FormatError, naming the line, for what is not as above; NoPerson for no body."""
    found = actors(read_bodies(data))
    if not found:
        raise NoPerson("no frame of the file shows a body")
    return sequence(found[0])


def sequence(body: Body) -> LandmarkSequence:
    """In a picture's directions (see landmarks.kinect), in metres, aspect 1; a joint not tracked was not seen."""
    confidence = _SURE[body.tracked]
    xyz = np.where(confidence[..., None] > 0, turned(body.xyz), np.nan)
    return LandmarkSequence.of(NTU_25, xyz, at_s=body.frames / FPS, confidence=confidence)


@dataclass
class _Track:
    frames: list[int] = field(default_factory=list)
    rows: list[NDArray[np.float32]] = field(default_factory=list)  # (25, x y z tracked)


def read_bodies(data: bytes) -> list[Body]:
    """Every body, in the order of its first frame. Raises FormatError, naming the line, and NoFrames."""
    lines = _Lines(data)
    frames = lines.count("frames", holistic.MAX_FRAMES)
    if frames == 0:
        raise NoFrames("the file holds no frames")
    tracks: dict[bytes, _Track] = {}
    for frame in range(frames):
        for _ in range(lines.count("bodies", 100)):
            track = tracks.setdefault(lines.next()[0], _Track())
            joints = lines.count("joints", len(NTU_25))
            if joints != len(NTU_25):
                raise FormatError(f"line {lines.at}: a body needs {len(NTU_25)} joints, got {joints}")
            values = np.array([lines.joint() for _ in range(joints)], np.float32)
            if not track.frames or track.frames[-1] != frame:
                track.frames.append(frame)
                track.rows.append(values)
    return [_body(track) for track in tracks.values()]


def _body(track: _Track) -> Body:
    values = np.stack(track.rows)  # (F, 25, 4)
    return Body(np.array(track.frames, np.intp), values[..., :3].copy(), values[..., 3].astype(np.int8))


class _Lines:
    """The words of one line after another."""

    def __init__(self, data: bytes) -> None:
        self._lines = io.BytesIO(data)
        self.at = 0

    def next(self) -> list[bytes]:
        for line in self._lines:
            self.at += 1
            if words := line.split():
                return words
        raise FormatError(f"the file ends after line {self.at}, in the middle of a frame")

    def count(self, what: str, most: int) -> int:
        words = self.next()
        if len(words) != 1 or not words[0].isdigit() or len(words[0]) > 9:
            raise FormatError(f"line {self.at} must hold the number of {what}")
        if int(words[0]) > most:
            raise FormatError(f"line {self.at}: {int(words[0])} {what} are over the limit of {most}")
        return int(words[0])

    def joint(self) -> tuple[float, float, float, float]:
        words = self.next()
        try:
            x, y, z, tracked = (float(word) for word in (*words[:3], words[-1]))
        except ValueError as error:
            raise FormatError(f"line {self.at} must hold a joint's x, y, z, ..., and state") from error
        if tracked not in (0, 1, 2) or not max(abs(x), abs(y), abs(z)) < 1e30:
            raise FormatError(f"line {self.at}: coordinates must be finite, and the state 0, 1 or 2")
        return x, y, z, tracked


def actors(bodies: Sequence[Body]) -> list[Body]:
    """None, one or two people of all that was tracked, the one who moves most first.

    A body alone is the actor. Otherwise bodies in fewer than FEWEST_FRAMES frames are dropped; of the rest, while
    there is more than one, those that are wide for MOST_WIDE of their frames, and the wide frames of the others. They
    are ordered by motion; each that comes after the first is joined to the first actor if their times do not overlap,
    else to the second likewise, else it is dropped. Frames that are all zeros are left out.
    """
    found = [body for body in (_without_zeros(body) for body in bodies) if len(body)]
    if len(found) > 1:
        found = [body for body in found if len(body) >= FEWEST_FRAMES] or found
    if len(found) <= 1:
        return found
    ranked = sorted(_narrow(found), key=lambda each: each[1], reverse=True)
    people: list[Body] = []
    for body, _ in ranked:
        for i, person in enumerate(people):
            if body.frames[-1] < person.frames[0] or person.frames[-1] < body.frames[0]:
                people[i] = person.joined(body)
                break
        else:
            if len(people) < 2:
                people.append(body)
    return people


def _without_zeros(body: Body) -> Body:
    return body[body.xyz.any(axis=(1, 2))]


def _narrow(bodies: Sequence[Body]) -> list[tuple[Body, float]]:
    """The bodies that are no furniture, without their wide frames, each with its motion."""
    kept: list[tuple[Body, float]] = []
    for body in bodies:
        spread = body.xyz.max(axis=1) - body.xyz.min(axis=1)  # (F, 3)
        wide = spread[:, 0] > WIDE * spread[:, 1]
        if wide.mean() < MOST_WIDE:
            kept.append((body[~wide], min(body.motion, body[~wide].motion)))
    return kept or [(body, body.motion) for body in bodies]
