"""What a client sends: landmarks of one moment, or a picture of it; and both as bytes."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from signstream_client.errors import BadFrame

Points = tuple[tuple[float, ...], ...]
"""Landmarks of one part, in MediaPipe's order; each (x, y, z), or (x, y, z, visibility) in a pose."""

HEADER = struct.Struct("<IHHd")
"""seq, flags, reserved, at_s."""

FLOAT16, POSE, LEFT_HAND, RIGHT_HAND, PICTURE = 1, 2, 4, 8, 16
_PARTS = (("pose", POSE, 33, 4), ("left_hand", LEFT_HAND, 21, 3), ("right_hand", RIGHT_HAND, 21, 3))
_LAST_SEQ = 2**32 - 1


@dataclass(frozen=True)
class Frame:
    """Landmarks of one moment, as MediaPipe gives them; None for a part that was not seen.

    at_s: seconds on the stream's own clock, growing from frame to frame.
    pose: 33 x (x, y, z, visibility). left_hand, right_hand: 21 x (x, y, z).
    x and y are shares of the picture's width and height, z is in the unit of x.
    seq: its number in the stream; `send` counts by itself.
    Rows of any sequence or array are taken. Raises BadFrame for anything else than that many finite numbers.
    """

    at_s: float
    pose: Points | None = None
    left_hand: Points | None = None
    right_hand: Points | None = None
    seq: int = 0

    def __post_init__(self) -> None:
        _check_moment(self.at_s, self.seq)
        for part, _, points, channels in _PARTS:
            rows: Sequence[Iterable[Any]] | None = getattr(self, part)
            if rows is not None:
                object.__setattr__(self, part, _points(rows, part, points, channels))

    @classmethod
    def of_holistic(cls, results: Any, at_s: float) -> Frame:
        """From what `mediapipe.solutions.holistic.Holistic.process` returns; anything of that shape will do."""

        def rows(part: Any, *names: str) -> Points | None:
            return None if part is None else tuple(tuple(getattr(p, n) for n in names) for p in part.landmark)

        return cls(
            at_s,
            rows(results.pose_landmarks, "x", "y", "z", "visibility"),
            rows(results.left_hand_landmarks, "x", "y", "z"),
            rows(results.right_hand_landmarks, "x", "y", "z"),
        )


@dataclass(frozen=True)
class Picture:
    """A JPEG, PNG or WebP file of one moment; the service finds the landmarks.

    data: the file's bytes. at_s, seq: as in a Frame.
    """

    at_s: float
    data: bytes
    seq: int = 0

    def __post_init__(self) -> None:
        _check_moment(self.at_s, self.seq)
        if not self.data:
            raise BadFrame("a picture without a single byte: was the camera's image encoded?")


def _check_moment(at_s: float, seq: int) -> None:
    if not math.isfinite(at_s):
        raise BadFrame(f"at_s must be a finite number of seconds, got {at_s}")
    if not 0 <= seq <= _LAST_SEQ:
        raise BadFrame(f"seq is an unsigned 32-bit number, got {seq}")


def _points(rows: Sequence[Iterable[Any]], part: str, points: int, channels: int) -> Points:
    try:
        taken = tuple(tuple(float(value) for value in row) for row in rows)
    except (TypeError, ValueError) as error:
        raise BadFrame(f"{part} must be {points} rows of {channels} numbers: {error}") from error
    if len(taken) != points or any(len(row) != channels for row in taken):
        found = f"{len(taken)} x {len(taken[0]) if taken else 0}"
        raise BadFrame(f"{part} must be {points} x {channels} numbers, got {found}; None where it was not seen")
    if not all(math.isfinite(value) for row in taken for value in row):
        raise BadFrame(f"{part} holds a value that is not finite; a part that was not seen is None")
    return taken


def encode_frame(frame: Frame | Picture, float16: bool = False) -> bytes:
    """A frame as a binary message. Raises BadFrame for a value that float16 (or float32) cannot hold."""
    if isinstance(frame, Picture):
        return HEADER.pack(frame.seq, PICTURE, 0, frame.at_s) + frame.data
    flags, values = FLOAT16 if float16 else 0, []
    for part, flag, _, _ in _PARTS:
        rows: Points | None = getattr(frame, part)
        if rows is not None:
            flags |= flag
            values.extend(value for row in rows for value in row)
    try:
        payload = struct.pack(f"<{len(values)}{'e' if float16 else 'f'}", *values)
    except OverflowError as error:
        raise BadFrame(f"a landmark is too large for {'float16' if float16 else 'float32'}: {error}") from error
    return HEADER.pack(frame.seq, flags, 0, frame.at_s) + payload


def decode_frame(data: bytes) -> Frame | Picture:
    """Read a binary message back. Raises BadFrame where flags or length are not the protocol's."""
    if len(data) < HEADER.size:
        raise BadFrame(f"a binary frame has a header of {HEADER.size} bytes, got {len(data)} in all")
    seq, flags, reserved, at_s = HEADER.unpack_from(data)
    if reserved or flags & ~(FLOAT16 | POSE | LEFT_HAND | RIGHT_HAND | PICTURE):
        raise BadFrame(f"unknown flags {flags:#x} or reserved bits {reserved:#x}")
    if flags & PICTURE:
        if flags != PICTURE:
            raise BadFrame(f"a picture goes with no other flag, got {flags:#x}")
        return Picture(at_s, data[HEADER.size :], seq)
    kind, size = ("e", 2) if flags & FLOAT16 else ("f", 4)
    shapes = [(part, points, channels) for part, flag, points, channels in _PARTS if flags & flag]
    count = sum(points * channels for _, points, channels in shapes)
    if len(data) != HEADER.size + count * size:
        raise BadFrame(f"flags {flags:#x} need {HEADER.size + count * size} bytes, got {len(data)}")
    values = iter(struct.unpack_from(f"<{count}{kind}", data, HEADER.size))
    parts = {
        part: tuple(tuple(next(values) for _ in range(channels)) for _ in range(points))
        for part, points, channels in shapes
    }
    return Frame(at_s, seq=seq, **parts)
