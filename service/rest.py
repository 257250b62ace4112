"""What is told outside of sockets (see `answers` for those): the types that make the schemas of REST and `outputs`."""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from service.answers import Event, Model, Segment, Window
from service.schemas import documented


@documented
class Models(TypedDict):
    """The loaded models."""

    models: list[Model]
    default: list[str]
    """Names of those that answer who names none."""


@documented
class Media(TypedDict):
    """What a posted clip is."""

    kind: str
    """`video`, or the format of the landmark file."""
    frames: int
    duration_s: float
    fps: float
    aspect: float
    """Width / height of the picture."""
    frames_with_person: int
    """Frames that show anybody."""


@documented
class Judged(TypedDict):
    """What one model says of a clip."""

    labels: list[str]
    windows: list[Window]
    """In the order of time; their probabilities are in the order of the labels."""
    segments: list[Segment]
    """The events, in the order of their starts."""


@documented
class Clip(TypedDict):
    """A judged clip."""

    media: Media
    models: dict[str, Judged]
    """By the model's name."""


@documented
class Alive(TypedDict):
    """The process runs."""

    status: Literal["alive"]


@documented
class Readiness(TypedDict):
    """How far the service is."""

    status: Literal["ready", "warming", "draining", "failed"]
    models: list[str]
    """Those that are warm."""
    provider: NotRequired[str]
    """What onnxruntime really runs on, once it is ready."""
    fallback: NotRequired[list[str]]
    """Models that do not run on what they were to run on."""
    detail: NotRequired[str]
    """Why it failed."""


@documented
class SessionEvent(Event):
    """An event message of a session, for who listens to several."""

    session: str
    """With `number` it says which message this is, wherever and however often it is told."""


@documented
class Posted(TypedDict):
    """What a webhook is posted (Standard Webhooks 1.0.0)."""

    type: Literal["event.start", "event.update", "event.end"]
    timestamp: str
    """When the event was told, ISO 8601; the times in `data` are the stream's own."""
    data: SessionEvent
