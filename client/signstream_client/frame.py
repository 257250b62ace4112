"""What a client sends: landmarks of one moment, or a picture of it; and both as bytes."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from signstream_client.errors import BadFrame

Points = tuple[tuple[float, ...], ...]
"""Landmarks of one part, in MediaPipe's order; each (x, y, z), or (x, y, z, visibility) in a pose."""
Joints = tuple[tuple[float, float, float] | None, ...]
"""Joints of another layout, in its order; None where unseen."""

HEADER = struct.Struct("<IHHd")
"""seq, flags, reserved, at_s."""

FLOAT16, POSE, LEFT_HAND, RIGHT_HAND, PICTURE, JOINTS = 1, 2, 4, 8, 16, 32
_PARTS = (("pose", POSE, 33, 4), ("left_hand", LEFT_HAND, 21, 3), ("right_hand", RIGHT_HAND, 21, 3))
_LAST_SEQ = 2**32 - 1


@dataclass(frozen=True)
class Body:
    """One person's landmarks; None for a part that was not seen.

    pose: 33 x (x, y, z, visibility). left_hand, right_hand: 21 x (x, y, z).
    joints: instead of them, (x, y, z) or None of each joint of the layout that the stream was opened with.
    x and y are shares of the picture's width and height, z is in the unit of x.
    Rows of any sequence or array are taken. Raises BadFrame for anything else than that many finite numbers.
    """

    pose: Points | None = None
    left_hand: Points | None = None
    right_hand: Points | None = None
    joints: Joints | None = None

    def __post_init__(self) -> None:
        _settle(self)


@dataclass(frozen=True)
class Frame:
    """Landmarks of one moment, as MediaPipe gives them; pose, left_hand, right_hand and joints are as in a Body.

    at_s: seconds on the stream's own clock, growing from frame to frame.
    people: several bodies in view, instead of one.
    seq: its number in the stream; `send` counts by itself.
    """

    at_s: float
    pose: Points | None = None
    left_hand: Points | None = None
    right_hand: Points | None = None
    joints: Joints | None = None
    people: tuple[Body, ...] = ()
    seq: int = 0

    def __post_init__(self) -> None:
        _check_moment(self.at_s, self.seq)
        _settle(self)
        object.__setattr__(self, "people", tuple(self.people))
        if self.people and any(getattr(self, part) is not None for part in ("joints", *(part for part, *_ in _PARTS))):
            raise BadFrame("a frame has one body of its own, or people; not both")

    @property
    def bodies(self) -> tuple[Body | Frame, ...]:
        """All that are in view, be it the frame's own."""
        return self.people or (self,)

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


def _settle(body: Body | Frame) -> None:
    """Check a body's parts and hold them as tuples of floats."""
    for part, _, points, channels in _PARTS:
        rows: Sequence[Iterable[Any]] | None = getattr(body, part)
        if rows is not None:
            object.__setattr__(body, part, _points(rows, part, points, channels))
    if body.joints is not None:
        if any(getattr(body, part) is not None for part, *_ in _PARTS):
            raise BadFrame("a body has joints, or pose and hands; not both")
        object.__setattr__(body, "joints", _joints(body.joints))


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


def _joints(rows: Iterable[Iterable[Any] | None]) -> Joints:
    try:
        taken = tuple(None if row is None else tuple(float(value) for value in row) for row in rows)
    except (TypeError, ValueError) as error:
        raise BadFrame(f"joints must be rows of 3 numbers, or None: {error}") from error
    seen = [row for row in taken if row is not None]
    if not taken or any(len(row) != 3 for row in seen):
        raise BadFrame("joints must be rows of 3 numbers, or None, one for each joint of the layout")
    if not all(math.isfinite(value) for row in seen for value in row):
        raise BadFrame("joints hold a value that is not finite; a joint that was not seen is None")
    return cast(Joints, taken)


def encode_frame(frame: Frame | Picture, float16: bool = False, seq: int | None = None) -> bytes:
    """A frame as a binary message, which others may follow in the same message, but not after a picture.

    seq: instead of the frame's own. Raises BadFrame for a value that float16 (or float32) cannot hold.
    """
    seq = frame.seq if seq is None else seq
    if isinstance(frame, Picture):
        return HEADER.pack(seq, PICTURE, 0, frame.at_s) + frame.data
    return b"".join(_encode_body(seq, frame.at_s, body, float16) for body in frame.bodies)


def _encode_body(seq: int, at_s: float, body: Body | Frame, float16: bool) -> bytes:
    flags, values = FLOAT16 if float16 else 0, []
    if body.joints is not None:
        flags |= JOINTS
        values = [value for row in body.joints for value in (_UNSEEN if row is None else row)]
    for part, flag, _, _ in _PARTS:
        rows: Points | None = getattr(body, part)
        if rows is not None:
            flags |= flag
            values.extend(value for row in rows for value in row)
    try:
        payload = struct.pack(f"<{len(values)}{'e' if float16 else 'f'}", *values)
    except OverflowError as error:
        raise BadFrame(f"a landmark is too large for {'float16' if float16 else 'float32'}: {error}") from error
    return HEADER.pack(seq, flags, 0, at_s) + payload


_UNSEEN = (math.nan,) * 3


def frame_text(frame: Frame, seq: int | None = None) -> str:
    """A frame as a JSON message. Raises BadFrame for several people of another layout than MediaPipe's.

    seq: instead of the frame's own.
    """
    told: dict[str, Any] = {"type": "frame", "seq": frame.seq if seq is None else seq, "at_s": frame.at_s}
    if frame.people:
        if any(body.joints is not None for body in frame.people):
            raise BadFrame("JSON has no way to say several people's joints; send them as float32 or float16")
        return json.dumps(told | {"people": [_parts(body) for body in frame.people]})
    return json.dumps(told | ({"joints": frame.joints} if frame.joints is not None else _parts(frame)))


def _parts(body: Body | Frame) -> dict[str, Points | None]:
    return {part: getattr(body, part) for part, *_ in _PARTS}


def decode_frames(data: bytes, joints: int = 0) -> list[Frame | Picture]:
    """Read a binary message back. joints: how many the layout has, where it is not MediaPipe's.

    Raises BadFrame where flags or length are not the protocol's.
    """
    frames: list[Frame | Picture] = []
    bodies: list[Body] = []
    at = 0
    while at < len(data) or not at:
        if len(data) - at < HEADER.size:
            raise BadFrame(f"a binary frame has a header of {HEADER.size} bytes, got {len(data) - at} in all")
        seq, flags, reserved, at_s = HEADER.unpack_from(data, at)
        if reserved or flags & ~(FLOAT16 | POSE | LEFT_HAND | RIGHT_HAND | PICTURE | JOINTS):
            raise BadFrame(f"unknown flags {flags:#x} or reserved bits {reserved:#x}")
        at += HEADER.size
        if flags & PICTURE:
            if flags != PICTURE:
                raise BadFrame(f"a picture goes with no other flag, got {flags:#x}")
            return [*frames, Picture(at_s, data[at:], seq)]
        body, at = _decode_body(data, at, flags, joints)
        if frames and (frames[-1].seq, frames[-1].at_s) == (seq, at_s):
            bodies.append(body)
            frames[-1] = Frame(at_s, people=tuple(bodies), seq=seq)
        else:
            bodies = [body]
            frames.append(Frame(at_s, body.pose, body.left_hand, body.right_hand, body.joints, seq=seq))
    return frames


def _decode_body(data: bytes, at: int, flags: int, joints: int) -> tuple[Body, int]:
    """One body's values from byte `at` on, and where they end."""
    kind, size = ("e", 2) if flags & FLOAT16 else ("f", 4)
    shapes = [(part, points, channels) for part, flag, points, channels in _PARTS if flags & flag]
    if flags & JOINTS:
        shapes.append(("joints", joints, 3))
    count = sum(points * channels for _, points, channels in shapes)
    end = at + count * size
    if len(data) < end:
        raise BadFrame(f"flags {flags:#x} need {end - at + HEADER.size} bytes, got {len(data) - at + HEADER.size}")
    values = iter(struct.unpack_from(f"<{count}{kind}", data, at))
    parts: dict[str, Any] = {
        part: tuple(tuple(next(values) for _ in range(channels)) for _ in range(points))
        for part, points, channels in shapes
    }
    if flags & JOINTS:
        parts["joints"] = tuple(None if math.isnan(row[0]) else row for row in parts["joints"])
    return Body(**parts), end
