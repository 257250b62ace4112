"""Frames as they come over a socket: bytes or JSON text in, bodies of joints out. See docs/protocol.md."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from enum import IntFlag
from functools import lru_cache
from typing import Any, Literal, NamedTuple, NotRequired

import numpy as np
import orjson
from numpy.typing import NDArray
from typing_extensions import TypedDict

from landmarks import holistic
from landmarks.formats.mediapipe_json import read_frame
from landmarks.layout import HAND_21, HOLISTIC_75, POSE_33, Layout, find_layout
from service.errors import InvalidMessage
from service.messages import Control, Resume, Start, read_control
from service.schemas import documented

HEADER = struct.Struct("<IHHd")
"""seq, flags, reserved, at_s: 16 bytes."""

MAX_BODIES = 16
"""Most bodies in one frame."""


class Flags(IntFlag):
    """What a binary frame holds."""

    FLOAT16 = 1
    POSE = 2
    LEFT_HAND = 4
    RIGHT_HAND = 8
    PICTURE = 16
    JOINTS = 32


_PARTS = (
    (Flags.POSE, "pose", (len(POSE_33), 4)),
    (Flags.LEFT_HAND, "left_hand", (len(HAND_21), 3)),
    (Flags.RIGHT_HAND, "right_hand", (len(HAND_21), 3)),
)
_ALL = int(sum(Flags))
_FLOAT16, _PICTURE, _JOINTS = int(Flags.FLOAT16), int(Flags.PICTURE), int(Flags.JOINTS)  # as numbers they take a tenth


class LandmarkFrame(NamedTuple):
    """Landmarks of one moment: bodies (P, V, 3) of the session's layout, NaN where unseen.

    confidence: (V,) of a picture's one body; None where nobody asks for it. hands: others (21, 3), of which nobody
    knows whose they are.
    """

    seq: int
    at_s: float
    bodies: NDArray[np.float32]
    confidence: NDArray[np.float32] | None = None
    hands: Sequence[NDArray[np.float32]] = ()


class PictureFrame(NamedTuple):
    """A picture that is still to be looked at: JPEG, PNG or WebP."""

    seq: int
    at_s: float
    data: bytes


Points = list[list[float] | dict[str, float]]
"""[x, y, z], of a pose [x, y, z, visibility], or an object with these names; as shares of the picture."""


@documented
class Body(TypedDict, total=False):
    """One person's landmarks as MediaPipe gives them; null where unseen."""

    pose: Points | None
    left_hand: Points | None
    right_hand: Points | None


@documented
class JsonFrame(Body):
    """One frame as text: one body, or `people`, or the `joints` of the session's layout."""

    type: Literal["frame"]
    seq: NotRequired[int]
    """Its number, from 0 on; of a resumable session it must grow."""
    at_s: NotRequired[float]
    """Its time in seconds, which must grow; left out where the session has an `fps`."""
    people: NotRequired[list[Body]]
    """Several bodies in view."""
    hands: NotRequired[list[Points]]
    """Hands of which nobody knows whose they are: of a session whose `hands` go `by_body`."""
    joints: NotRequired[list[list[float] | None]]
    """[x, y, z] of each of the layout's joints, null where unseen."""


class Reader:
    """Reads one session's messages.

    layout: name of the one that frames hold. fps: frames come so often, and their number is their time. encoding: what
    frames are, `any` takes all. by_body: whether hands may come of which nobody knows whose they are. Raises
    UnknownLayout.
    """

    def __init__(
        self, layout: str = HOLISTIC_75.name, fps: float | None = None, encoding: str = "any", by_body: bool = False
    ) -> None:
        self.layout: Layout = find_layout(layout)
        self._by_body = by_body
        self._fps, self._encoding = fps, encoding

    def read(self, raw: bytes | str) -> Sequence[LandmarkFrame | PictureFrame] | Start | Resume | Control:
        """One message: frames, or what steers. Raises InvalidMessage, FormatError for a frame with bad landmarks."""
        if isinstance(raw, bytes):
            return list(self._frames(raw))
        try:
            message = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise InvalidMessage(f"not JSON: {error}") from error
        if not isinstance(message, dict):
            raise InvalidMessage("a message is an object with a type")
        return [self._json(message)] if message.get("type") == "frame" else read_control(raw)

    def _frames(self, data: bytes) -> Iterator[LandmarkFrame | PictureFrame]:
        """The records of a binary message; those of one moment are bodies of one frame."""
        at, seq, at_s = 0, 0, 0.0
        bodies: list[NDArray[np.float32]] = []
        while at < len(data) or not at:
            if len(data) - at < HEADER.size:
                raise InvalidMessage(f"a binary frame has a header of {HEADER.size} bytes, got {len(data) - at}")
            moment = seq, at_s
            seq, flags, reserved, at_s = HEADER.unpack_from(data, at)
            if reserved or flags & ~_ALL:
                raise InvalidMessage(f"flags {flags} or the reserved field {reserved} hold bits that mean nothing")
            if bodies and (seq, at_s) != moment:
                yield self._frame(*moment, bodies)
                bodies = []
            at += HEADER.size
            if flags & _PICTURE:
                if flags != _PICTURE or at == len(data):
                    raise InvalidMessage("a picture frame has no other flag, and a picture")
                self._expect("picture")
                yield PictureFrame(seq, self._at_s(seq, at_s), data[at:])
                return
            self._expect("float16" if flags & _FLOAT16 else "float32")
            size, body = self._body(flags, data, at)
            bodies.append(body)
            at += size
        yield self._frame(seq, at_s, bodies)

    def _body(self, flags: int, data: bytes, at: int) -> tuple[int, NDArray[np.float32]]:
        """One record's payload: its size in bytes, and the body (V, 3) in it."""
        joints = len(self.layout) if flags & _JOINTS else 0
        size, kind, parts = _payload(flags, joints)
        if len(data) < at + size:
            raise InvalidMessage(
                f"flags {flags} ask for {size + HEADER.size} bytes, got {len(data) - at + HEADER.size}"
            )
        found = {part: np.ndarray(shape, kind, data, at + offset) for part, offset, shape in parts}
        if joints:
            return size, _seen(found["joints"].astype(np.float32))
        self._expect_parts()
        return size, holistic.body(**found)

    def _json(self, message: dict[str, Any]) -> LandmarkFrame:
        self._expect("json")
        seq, at_s = message.get("seq", 0), message.get("at_s", 0.0 if self._fps else None)
        if isinstance(seq, bool) or not isinstance(seq, int) or not 0 <= seq < 2**32:
            raise InvalidMessage(f"seq must be a whole number from 0 to 2^32 - 1, got {seq!r}")
        if isinstance(at_s, bool) or not isinstance(at_s, (int, float)):
            raise InvalidMessage(f"at_s must be a number of seconds, got {at_s!r}")
        if "joints" in message:
            bodies = [self._joints(message["joints"])]
        else:
            self._expect_parts()
            people = message.get("people", [message])
            if not isinstance(people, list) or not people:
                raise InvalidMessage("people must be a list of bodies")
            bodies = [read_frame(body)[0] for body in people]
        return self._frame(seq, float(at_s), bodies, self._hands(message.get("hands", [])))

    def _hands(self, hands: Any) -> list[NDArray[np.float32]]:
        """(21, 3) each, of a list of hands of which nobody knows whose they are."""
        if not hands:
            return []
        if not self._by_body:
            raise InvalidMessage("the session's hands are as given: say left_hand and right_hand, or ask for by_body")
        if not isinstance(hands, list) or len(hands) > 2 * MAX_BODIES:
            raise InvalidMessage(f"hands must be a list of at most {2 * MAX_BODIES} hands")
        return [read_frame({"left_hand": hand})[0][holistic.PARTS["left_hand"]] for hand in hands]

    def _joints(self, points: Any) -> NDArray[np.float32]:
        """(V, 3) from a list of points or nulls."""
        unseen = [np.nan] * 3
        try:
            joints = np.array([unseen if point is None else point for point in points], np.float32)
        except (TypeError, ValueError) as error:
            raise InvalidMessage(f"joints must be points of 3 numbers, or null: {error}") from error
        if joints.shape != (len(self.layout), 3):
            raise InvalidMessage(f"{self.layout.name} has {len(self.layout)} joints of 3 numbers, got {joints.shape}")
        return _seen(joints)

    def _frame(
        self, seq: int, at_s: float, bodies: list[NDArray[np.float32]], hands: Sequence[NDArray[np.float32]] = ()
    ) -> LandmarkFrame:
        if len(bodies) > MAX_BODIES:
            raise InvalidMessage(f"a frame holds at most {MAX_BODIES} bodies, got {len(bodies)}")
        if len(bodies) > 1 and self.layout.name != HOLISTIC_75.name:
            raise InvalidMessage(f"people are told apart by {HOLISTIC_75.name}, the layout is {self.layout.name}")
        together = bodies[0][None] if len(bodies) == 1 else np.stack(bodies)
        return LandmarkFrame(seq, self._at_s(seq, at_s), together, hands=hands)

    def _at_s(self, seq: int, at_s: float) -> float:
        return at_s if self._fps is None else seq / self._fps

    def _expect(self, encoding: str) -> None:
        if self._encoding not in ("any", encoding):
            raise InvalidMessage(f"the session's frames are {self._encoding}, got {encoding}")

    def _expect_parts(self) -> None:
        if self.layout.name != HOLISTIC_75.name:
            raise InvalidMessage(f"the session's layout is {self.layout.name}: send its joints, not pose and hands")


def _seen(joints: NDArray[np.float32]) -> NDArray[np.float32]:
    """(V, 3) joints, those unseen of which a number is not finite."""
    return np.where(np.isfinite(joints).all(axis=1, keepdims=True), joints, np.float32(np.nan))


@lru_cache
def _payload(flags: int, joints: int) -> tuple[int, np.dtype[np.floating], list[tuple[str, int, tuple[int, int]]]]:
    """Bytes after a header, the type of the numbers, and each part with its place among the bytes and its shape.

    joints: of the layout, where the flags say so, 0 else.
    """
    if joints and flags & (Flags.POSE | Flags.LEFT_HAND | Flags.RIGHT_HAND):
        raise InvalidMessage(f"flags {flags}: joints stand instead of pose and hands")
    kind = np.dtype("<f2" if flags & Flags.FLOAT16 else "<f4")
    parts, size = [], 0
    for flag, part, shape in (*_PARTS, (Flags.JOINTS, "joints", (joints, 3))):
        if flags & flag:
            parts.append((part, size, shape))
            size += shape[0] * shape[1] * kind.itemsize
    return size, kind, parts
