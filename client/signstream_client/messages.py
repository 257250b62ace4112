"""What a service says on a stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, cast

from signstream_client.errors import ProblemError, ProtocolError
from signstream_client.fields import Fields, Hand
from signstream_client.frame import Frame
from signstream_client.model import Model


@dataclass(frozen=True)
class Ready:
    """The stream is open; these models answer, and this is what was agreed."""

    models: tuple[Model, ...]
    aspect: float
    scores: bool
    landmarks: bool


@dataclass(frozen=True)
class Event:
    """Something begins, goes on or ends; one `id` throughout.

    confidence: the highest probability so far. start_s, end_s: on the stream's clock; end_s is None until the end.
    decided_at_s: when the service knew. hand: whose it is; None of the whole body, or of a hand of unknown side.
    """

    model: str
    id: str
    state: Literal["start", "update", "end"]
    label: str
    confidence: float
    start_s: float
    end_s: float | None
    decided_at_s: float
    hand: Hand | None = None


@dataclass(frozen=True)
class Scores:
    """One window's probabilities, in the order of the model's labels; `at_s` is the moment they speak of.

    hand: as of Event.
    """

    model: str
    start_s: float
    end_s: float
    at_s: float
    probabilities: tuple[float, ...]
    hand: Hand | None = None


@dataclass(frozen=True)
class Landmarks:
    """What was found in the picture `frame.seq`; aspect is the picture's width / height."""

    frame: Frame
    aspect: float


@dataclass(frozen=True)
class Dropped:
    """Frames that were not looked at: how many, the first and last of them, and why."""

    count: int
    first_seq: int
    last_seq: int
    reason: str


@dataclass(frozen=True)
class Problem:
    """A message was not understood; the stream goes on. Fields as in ProblemError."""

    status: int
    code: str
    title: str
    detail: str

    @classmethod
    def read(cls, fields: Fields) -> Problem:
        """From the service's JSON; raises ProtocolError."""
        return cls(fields.integer("status"), fields.text("code"), fields.text("title"), fields.text("detail", ""))

    def error(self) -> ProblemError:
        """Its twin, to be raised."""
        return ProblemError.twins.get(self.code, ProblemError)(self.status, self.code, self.title, self.detail)


@dataclass(frozen=True)
class Summary:
    """The stream's end: frames taken, frames dropped, problems, and events by model."""

    frames: int
    dropped: int
    problems: int
    events: Mapping[str, int]


Message = Ready | Event | Scores | Landmarks | Dropped | Problem | Summary


def decode_message(data: str | bytes) -> Message | None:
    """Read one message of the service; None for a type that a newer service may have added.

    Raises ProtocolError for what is no message at all.
    """
    if isinstance(data, bytes):
        raise ProtocolError(f"the service sent a binary message of {len(data)} bytes; its messages are text")
    fields = Fields.of_text(data, "a message")
    kind = fields.text("type")
    return _READERS[kind](fields) if kind in _READERS else None


def _ready(fields: Fields) -> Ready:
    return Ready(
        tuple(Model.read(row) for row in fields.rows("models")),
        fields.number("aspect"),
        fields.truth("scores"),
        fields.truth("landmarks"),
    )


def _event(fields: Fields) -> Event:
    state = fields.text("state")
    if state not in ("start", "update", "end"):
        raise ProtocolError(f"an event's state is start, update or end, got {state!r}")
    return Event(
        model=fields.text("model"),
        id=fields.text("id"),
        state=cast(Literal["start", "update", "end"], state),
        label=fields.text("label"),
        confidence=fields.number("confidence"),
        start_s=fields.number("start_s"),
        end_s=fields.maybe_number("end_s"),
        decided_at_s=fields.number("decided_at_s"),
        hand=fields.hand(),
    )


def _scores(fields: Fields) -> Scores:
    return Scores(
        fields.text("model"),
        fields.number("start_s"),
        fields.number("end_s"),
        fields.number("at_s"),
        fields.numbers("probabilities"),
        fields.hand(),
    )


def _landmarks(fields: Fields) -> Landmarks:
    parts = {part: _rows(fields.maybe(part)) for part in ("pose", "left_hand", "right_hand")}
    return Landmarks(Frame(fields.number("at_s"), seq=fields.integer("seq"), **parts), fields.number("aspect"))


def _rows(points: object | None) -> tuple[tuple[float, ...], ...] | None:
    if points is None:
        return None
    if not isinstance(points, list):
        raise ProtocolError("landmarks are lists of points, or null")
    return tuple(tuple(point) for point in points)


def _dropped(fields: Fields) -> Dropped:
    match fields.items("seqs"):
        case [int(first), int(last)]:
            return Dropped(fields.integer("count"), first, last, fields.text("reason"))
        case other:
            raise ProtocolError(f"dropped: 'seqs' is [first, last], got {other}")


def _problem(fields: Fields) -> Problem:
    return Problem.read(fields.inner("problem"))


def _summary(fields: Fields) -> Summary:
    events = fields.inner("events")
    return Summary(
        fields.integer("frames"),
        fields.integer("dropped"),
        fields.integer("problems"),
        {model: events.integer(model) for model in fields.table("events")},
    )


_READERS: dict[str, Callable[[Fields], Message]] = {
    "ready": _ready,
    "event": _event,
    "scores": _scores,
    "landmarks": _landmarks,
    "dropped": _dropped,
    "problem": _problem,
    "summary": _summary,
}
