"""Socket messages: bytes and text in, typed messages out, and back. See docs/protocol.md."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import IntFlag
from functools import lru_cache
from typing import Annotated, Any, Literal

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from landmarks import holistic
from landmarks.formats.mediapipe_json import read_frame
from landmarks.layout import HAND_21, POSE_33
from landmarks.manifest import Manifest
from landmarks.sequence import WEBCAM_ASPECT
from service.decoder import Event
from service.errors import InvalidMessage, Problem
from service.session import Scored

HEADER = struct.Struct("<IHHd")
"""seq, flags, reserved, at_s: 16 bytes."""


class Flags(IntFlag):
    """What a binary frame holds."""

    FLOAT16 = 1
    POSE = 2
    LEFT_HAND = 4
    RIGHT_HAND = 8
    PICTURE = 16


_PARTS = (
    (Flags.POSE, "pose", (len(POSE_33), 4)),
    (Flags.LEFT_HAND, "left_hand", (len(HAND_21), 3)),
    (Flags.RIGHT_HAND, "right_hand", (len(HAND_21), 3)),
)
_ALL = sum(Flags)


class Start(BaseModel):
    """The first message of a stream."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    type: Literal["start"]
    models: tuple[str, ...] | None = None
    """Which models answer; None is all."""
    aspect: Annotated[float, Field(ge=0.1, le=10)] = WEBCAM_ASPECT
    """Width / height of the picture that the landmarks come from."""
    scores: bool = False
    """Send what was said of every window."""
    landmarks: bool = False
    """Send back what was found in each picture."""


class Stop(BaseModel):
    """The last message of a stream."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    type: Literal["stop"]


@dataclass(frozen=True)
class LandmarkFrame:
    """Landmarks of one moment: xyz (75, 3), NaN where unseen, and confidence (75,)."""

    seq: int
    at_s: float
    xyz: NDArray[np.float32]
    confidence: NDArray[np.float32]


@dataclass(frozen=True)
class PictureFrame:
    """A picture that is still to be looked at: JPEG, PNG or WebP."""

    seq: int
    at_s: float
    data: bytes


Message = Start | Stop | LandmarkFrame | PictureFrame

_CONTROLS: TypeAdapter[Start | Stop] = TypeAdapter(Annotated[Start | Stop, Field(discriminator="type")])


def read_text(text: str) -> Message:
    """A text message. Raises InvalidMessage, or FormatError for a frame with bad landmarks."""
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidMessage(f"not JSON: {error}") from error
    if not isinstance(message, dict):
        raise InvalidMessage("a message is an object with a type")
    if message.get("type") == "frame":
        return _read_frame(message)
    try:
        # As JSON once more: only then does pydantic take a list for a tuple and stay strict in all else.
        return _CONTROLS.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        raise InvalidMessage(f"{where}: {first['msg']}" if where else first["msg"]) from error


def _read_frame(message: dict[str, Any]) -> LandmarkFrame:
    seq, at_s = message.get("seq", 0), message.get("at_s")
    if isinstance(seq, bool) or not isinstance(seq, int) or not 0 <= seq < 2**32:
        raise InvalidMessage(f"seq must be a whole number from 0 to 2^32 - 1, got {seq!r}")
    if isinstance(at_s, bool) or not isinstance(at_s, (int, float)):
        raise InvalidMessage(f"at_s must be a number of seconds, got {at_s!r}")
    xyz, confidence = read_frame(message)
    return LandmarkFrame(seq, float(at_s), xyz, confidence)


def read_binary(data: bytes) -> LandmarkFrame | PictureFrame:
    """A binary message. Raises InvalidMessage where flags and length do not agree."""
    if len(data) < HEADER.size:
        raise InvalidMessage(f"a binary frame has a header of {HEADER.size} bytes, got {len(data)}")
    seq, flags, reserved, at_s = HEADER.unpack_from(data)
    if reserved or flags & ~_ALL:
        raise InvalidMessage(f"flags {flags} or the reserved field {reserved} hold bits that mean nothing")
    if flags >= Flags.PICTURE:
        if flags != Flags.PICTURE or len(data) == HEADER.size:
            raise InvalidMessage("a picture frame has no other flag, and a picture")
        return PictureFrame(seq, at_s, data[HEADER.size :])
    kind, expected, shapes = _payload(flags)
    if len(data) != expected:
        raise InvalidMessage(f"flags {flags} ask for {expected} bytes, got {len(data)}")
    values = np.frombuffer(data, kind, offset=HEADER.size).astype(np.float32, copy=False)
    xyz, confidence = holistic.frame(**{part: values[where].reshape(shape) for part, where, shape in shapes})
    return LandmarkFrame(seq, at_s, xyz, confidence)


@lru_cache
def _payload(flags: int) -> tuple[np.dtype[np.floating], int, list[tuple[str, slice, tuple[int, int]]]]:
    """Type of the values after the header, bytes of the whole frame, and each part with its place and its shape."""
    kind = np.dtype("<f2" if flags & Flags.FLOAT16 else "<f4")
    parts, count = [], 0
    for flag, part, (points, values) in _PARTS:
        if flags & flag:
            parts.append((part, slice(count, count + points * values), (points, values)))
            count += points * values
    return kind, HEADER.size + count * kind.itemsize, parts


def write(message: dict[str, Any]) -> str:
    """An outgoing message as text."""
    return orjson.dumps(message, option=orjson.OPT_SERIALIZE_NUMPY).decode()


def model(manifest: Manifest) -> dict[str, Any]:
    """What callers are told of a model."""
    return {
        "name": manifest.name,
        "version": manifest.version,
        "task": manifest.task,
        "labels": list(manifest.labels),
        "background": manifest.background,
        "layout": manifest.layout,
        "form": manifest.form,
        "window_s": manifest.window_s,
        "stride_s": manifest.stride_frames / manifest.fps,
        "fps": manifest.fps,
        "decoding": asdict(manifest.decoding),
        "rest_after_s": manifest.rest_after_s,
        "licence": manifest.licence,
        "sources": list(manifest.sources),
        "metrics": manifest.metrics,
    }


def ready(start: Start, manifests: Sequence[Manifest]) -> dict[str, Any]:
    """The answer to `start`: what is in force."""
    return {
        "type": "ready",
        "models": [model(manifest) for manifest in manifests],
        "aspect": start.aspect,
        "scores": start.scores,
        "landmarks": start.landmarks,
    }


def event(told: Event) -> dict[str, Any]:
    """An event's message."""
    return (
        {"type": "event", "model": told.model, "id": told.id, "state": told.state}
        | segment(told)
        | {"decided_at_s": _ms(told.decided_at_s)}
    )


def segment(told: Event) -> dict[str, Any]:
    """What happened when: as a clip's answer and an event share it."""
    return {
        "start_s": _ms(told.start_s),
        "end_s": None if told.end_s is None else _ms(told.end_s),
        "hand": told.hand,
        "label": told.label,
        "confidence": round(told.confidence, 4),
    }


def _ms(at_s: float) -> float:
    """Seconds, to the tenth of a millisecond: no more is known, and the text stays short."""
    return round(at_s, 4)


def scores(scored: Scored) -> dict[str, Any]:
    """What was said of one window."""
    return {"type": "scores", "model": scored.window.model, **window(scored)}


def window(scored: Scored) -> dict[str, Any]:
    """A judged window, as a clip's answer and a score share it."""
    return {
        "start_s": _ms(scored.window.start_s),
        "end_s": _ms(scored.window.end_s),
        "at_s": _ms(scored.window.at_s),
        "hand": scored.window.hand,
        "probabilities": scored.probabilities,
    }


def landmarks(frame: LandmarkFrame, aspect: float) -> dict[str, Any]:
    """What was found in a picture."""
    parts = holistic.split(frame.xyz, frame.confidence)
    return {"type": "landmarks", "seq": frame.seq, "at_s": frame.at_s, "aspect": aspect, **parts}


def dropped(count: int, seqs: tuple[int, int], reason: str, model: str | None = None) -> dict[str, Any]:
    """Frames that were not looked at, or not by one model."""
    told = {"type": "dropped", "count": count, "seqs": seqs, "reason": reason}
    return told if model is None else told | {"model": model}


def problem(what: Problem) -> dict[str, Any]:
    """Something that was not understood."""
    return {"type": "problem", "problem": what.body()}


def summary(frames: int, dropped_frames: int, problems: int, events: dict[str, int]) -> dict[str, Any]:
    """The last message of a stream."""
    return {"type": "summary", "frames": frames, "dropped": dropped_frames, "problems": problems, "events": events}
