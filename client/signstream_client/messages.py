"""What a service says on a stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, cast

from signstream_client.configuration import Configuration
from signstream_client.errors import ProblemError, ProtocolError
from signstream_client.fields import Fields, Hand
from signstream_client.frame import Frame
from signstream_client.model import Model


@dataclass(frozen=True)
class Resumption:
    """How a session is gone on with where the line is lost: by this token, and for so many seconds."""

    token: str
    within_s: float


@dataclass(frozen=True)
class Ready:
    """The session is open: its id, what is in force, the models that answer, and how it is resumed, if it can be.

    A second one says that a new session has begun, as the old one was kept no longer: see Reconnect.restart.
    """

    session: str
    configuration: Configuration
    models: tuple[Model, ...]
    resume: Resumption | None


@dataclass(frozen=True)
class Interrupted:
    """The line is lost, and the session is about to be resumed: said by this client, not by the service.

    close_code, reason: as of StreamClosed.
    """

    close_code: int
    reason: str


@dataclass(frozen=True)
class Resumed:
    """The session goes on.

    next_seq: the frames before this one had come through; those from it on are sent again.
    lost: events that the service did not keep; 0 unless the line was dead for very long.
    """

    session: str
    next_seq: int
    lost: int


@dataclass(frozen=True)
class Event:
    """Something begins, goes on or ends; one `id` throughout.

    number: 1, 2, 3 ... of all event messages of the session. is_final: nothing more will be said of it.
    confidence: the highest probability so far. start_s, end_s: on the stream's clock; end_s is None until the end.
    decided_at_s: when the service knew. person: whose it is, 1 where frames hold one body.
    hand: which hand's; None of the whole body, or of a hand of unknown side.
    """

    number: int
    model: str
    id: str
    state: Literal["start", "update", "end"]
    is_final: bool
    person: int
    hand: Hand | None
    label: str
    confidence: float
    start_s: float
    end_s: float | None
    decided_at_s: float


@dataclass(frozen=True)
class Scores:
    """One window's probabilities, in the order of the model's labels; `at_s` is the moment they speak of.

    person, hand: as of Event.
    """

    model: str
    start_s: float
    end_s: float
    at_s: float
    person: int
    hand: Hand | None
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class Landmarks:
    """What was found in the picture `frame.seq`; aspect is the picture's width / height."""

    frame: Frame
    aspect: float


@dataclass(frozen=True)
class Ack:
    """Frames up to this one are safe: they need never be sent again."""

    seq: int


@dataclass(frozen=True)
class Done:
    """A control (`keepalive`, `flush`, `configure`, `reset`) was carried out, after all frames sent before it.

    seq: the last frame that was taken, None before the first. configuration: now in force, after `configure`.
    """

    control: str
    seq: int | None
    configuration: Configuration | None = None


@dataclass(frozen=True)
class Lag:
    """The service falls behind: what it looks at now has waited `behind_s`, and so many frames wait after it."""

    behind_s: float
    waiting: int


@dataclass(frozen=True)
class Dropped:
    """Frames that were not looked at: how many, the first and last of them, and why.

    reason: `rate`, denser than the service takes; `slow`, newer ones came; `late`, a model did not come to them.
    model: which one was late.
    """

    count: int
    first_seq: int
    last_seq: int
    reason: str
    model: str | None = None


@dataclass(frozen=True)
class Warned:
    """Something to mend: `slow_consumer`, messages are not read in time, and the stream will be closed over it."""

    code: str
    detail: str


@dataclass(frozen=True)
class Closing:
    """The service goes away, and looks at nothing more.

    retry_after_s: when to come back. resumable: the session goes on then; else it is ended now.
    """

    retry_after_s: float
    resumable: bool


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


Message = (
    Ready
    | Interrupted
    | Resumed
    | Event
    | Scores
    | Landmarks
    | Ack
    | Done
    | Lag
    | Dropped
    | Warned
    | Closing
    | Problem
    | Summary
)


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
    resume = None if fields.maybe("resume") is None else fields.inner("resume")
    return Ready(
        fields.text("session"),
        Configuration.read(fields.inner("configuration")),
        tuple(Model.read(row) for row in fields.rows("models")),
        None if resume is None else Resumption(resume.text("token"), resume.number("within_s")),
    )


def _resumed(fields: Fields) -> Resumed:
    return Resumed(fields.text("session"), fields.integer("next_seq"), fields.integer("lost"))


def _event(fields: Fields) -> Event:
    state = fields.text("state")
    if state not in ("start", "update", "end"):
        raise ProtocolError(f"an event's state is start, update or end, got {state!r}")
    return Event(
        number=fields.integer("number"),
        model=fields.text("model"),
        id=fields.text("id"),
        state=cast(Literal["start", "update", "end"], state),
        is_final=fields.truth("is_final"),
        person=fields.integer("person"),
        hand=fields.hand(),
        label=fields.text("label"),
        confidence=fields.number("confidence"),
        start_s=fields.number("start_s"),
        end_s=fields.maybe_number("end_s"),
        decided_at_s=fields.number("decided_at_s"),
    )


def _scores(fields: Fields) -> Scores:
    times = fields.number("start_s"), fields.number("end_s"), fields.number("at_s")
    return Scores(
        fields.text("model"), *times, fields.integer("person"), fields.hand(), fields.numbers("probabilities")
    )


def _landmarks(fields: Fields) -> Landmarks:
    pose, left_hand, right_hand = (_rows(fields.maybe(part)) for part in ("pose", "left_hand", "right_hand"))
    frame = Frame(fields.number("at_s"), pose, left_hand, right_hand, seq=fields.integer("seq"))
    return Landmarks(frame, fields.number("aspect"))


def _rows(points: object | None) -> tuple[tuple[float, ...], ...] | None:
    if points is None:
        return None
    if not isinstance(points, list):
        raise ProtocolError("landmarks are lists of points, or null")
    return tuple(tuple(point) for point in points)


def _ack(fields: Fields) -> Ack:
    return Ack(fields.integer("seq"))


def _done(fields: Fields) -> Done:
    changed = None if fields.maybe("configuration") is None else Configuration.read(fields.inner("configuration"))
    return Done(fields.text("control"), fields.maybe_integer("seq"), changed)


def _lag(fields: Fields) -> Lag:
    return Lag(fields.number("behind_s"), fields.integer("waiting"))


def _dropped(fields: Fields) -> Dropped:
    match fields.items("seqs"):
        case [int(first), int(last)]:
            return Dropped(fields.integer("count"), first, last, fields.text("reason"), fields.maybe_text("model"))
        case other:
            raise ProtocolError(f"dropped: 'seqs' is [first, last], got {other}")


def _warned(fields: Fields) -> Warned:
    return Warned(fields.text("code"), fields.text("detail", ""))


def _closing(fields: Fields) -> Closing:
    return Closing(fields.number("retry_after_s"), fields.truth("resumable"))


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
    "resumed": _resumed,
    "event": _event,
    "scores": _scores,
    "landmarks": _landmarks,
    "ack": _ack,
    "done": _done,
    "lag": _lag,
    "dropped": _dropped,
    "warning": _warned,
    "closing": _closing,
    "problem": _problem,
    "summary": _summary,
}
