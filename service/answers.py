"""What callers are told in a socket: plain dicts, whose types make the schema of /asyncapi.json, and their text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal, NotRequired

import orjson
from typing_extensions import TypedDict

from landmarks import holistic
from landmarks.layout import Hand
from landmarks.manifest import Decoding, Manifest
from service.configuration import Configuration
from service.decoder import Event as Told
from service.errors import Problem as Error
from service.schemas import documented
from service.session import Scored
from service.wire import LandmarkFrame


@documented
class Model(TypedDict):
    """What callers are told of a model."""

    name: str
    version: str
    task: Literal["signing", "gesture"]
    labels: list[str]
    background: str
    """The label that is no event; empty where every label is one."""
    layout: str
    form: Literal["window", "stream"]
    """Judged window by window, or frame by frame with a state."""
    window_s: float
    stride_s: float
    """Seconds from one prediction to the next."""
    fps: float
    decoding: dict[str, Any]
    """How probabilities become events."""
    rest_after_s: float
    """The model is not run once no hand has been seen for so long; 0 is never."""
    licence: str
    sources: list[str]
    metrics: dict[str, float]


def model(manifest: Manifest, decoding: Decoding | None = None) -> Model:
    """decoding: what is in force, where that is not the model's own."""
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
        "decoding": asdict(decoding or manifest.decoding),
        "rest_after_s": manifest.rest_after_s,
        "licence": manifest.licence,
        "sources": list(manifest.sources),
        "metrics": dict(manifest.metrics),
    }


@documented
class Resumption(TypedDict):
    """How a session is resumed where the line is lost."""

    token: str
    within_s: float
    """How long the session is kept."""


@documented
class Ready(TypedDict):
    """The session is open, and this is what is in force."""

    type: Literal["ready"]
    session: str
    configuration: Configuration
    """As asked for, with what was left out filled in."""
    models: list[Model]
    """Those that answer; `decoding` is the one in force."""
    resume: Resumption | None


def ready(
    session: str, configuration: Configuration, models: Sequence[Model], resume: Resumption | None
) -> dict[str, Any]:
    """The answer to `start`."""
    return {
        "type": "ready",
        "session": session,
        "configuration": configuration.plain(),
        "models": models,
        "resume": resume,
    }


@documented
class Resumed(TypedDict):
    """The session goes on. Event messages that the caller has not seen follow, then answers to what it sends."""

    type: Literal["resumed"]
    session: str
    next_seq: int
    """Send the frames from this one on; those before it are taken."""
    lost: int
    """Event messages that were not kept; 0 unless the line was dead for very long."""


def resumed(session: str, next_seq: int, lost: int) -> Resumed:
    """The answer to `resume`."""
    return {"type": "resumed", "session": session, "next_seq": next_seq, "lost": lost}


@documented
class Event(TypedDict):
    """Something begins, goes on or ends."""

    type: Literal["event"]
    number: int
    """1, 2, 3 ... of all event messages of the session."""
    model: str
    id: str
    """The same from start to end, of no other event of the session."""
    state: Literal["start", "update", "end"]
    is_final: bool
    """Whether nothing more will be said of it."""
    person: int
    """Whose it is: 1 where frames hold one body; no number is given twice in a session."""
    hand: Hand | None
    """Which hand's; null of the whole body, or of a hand of which nobody knows the side."""
    label: str
    confidence: float
    """The highest probability so far."""
    start_s: float
    end_s: float | None
    """Null until the end."""
    decided_at_s: float
    """Time of the last frame that this was decided from."""


def event(told: Told, number: int) -> Event:
    """A decoder's event."""
    return {
        "type": "event",
        "number": number,
        "model": told.model,
        "id": told.id,
        "state": told.state,
        "is_final": told.state == "end",
        "person": told.person,
        "hand": told.hand,
        "label": told.label,
        "confidence": round(told.confidence, 4),
        "start_s": _ms(told.start_s),
        "end_s": None if told.end_s is None else _ms(told.end_s),
        "decided_at_s": _ms(told.decided_at_s),
    }


@documented
class Segment(TypedDict):
    """An event of a posted clip."""

    start_s: float
    end_s: float
    person: int
    hand: Hand | None
    label: str
    confidence: float
    """The highest probability."""


def segment(told: Told) -> Segment:
    """An event that has ended."""
    assert told.end_s is not None
    return {
        "start_s": _ms(told.start_s),
        "end_s": _ms(told.end_s),
        "person": told.person,
        "hand": told.hand,
        "label": told.label,
        "confidence": round(told.confidence, 4),
    }


@documented
class Window(TypedDict):
    """What a model said of one window, or of one step."""

    start_s: float
    end_s: float
    at_s: float
    """The moment that it speaks of."""
    person: int
    hand: Hand | None
    probabilities: list[float]
    """In the order of the model's labels."""


def window(scored: Scored) -> dict[str, Any]:
    """A judged window."""
    cut = scored.window
    return {
        "start_s": _ms(cut.start_s),
        "end_s": _ms(cut.end_s),
        "at_s": _ms(cut.at_s),
        "person": cut.person,
        "hand": cut.hand,
        "probabilities": scored.probabilities,
    }


@documented
class Scores(Window):
    """What a model said of one window, or of one step: if asked for."""

    type: Literal["scores"]
    model: str


def scores(scored: Scored) -> dict[str, Any]:
    """A judged window as a message."""
    return {"type": "scores", "model": scored.window.model, **window(scored)}


Points = list[list[float]]
"""[x, y, z] or [x, y, z, visibility] of each joint."""


@documented
class Landmarks(TypedDict):
    """What was found in a picture: if asked for. Lists as in a JSON frame, null where nothing was found."""

    type: Literal["landmarks"]
    seq: int
    at_s: float
    aspect: float
    """Width / height of the picture."""
    pose: Points | None
    left_hand: Points | None
    right_hand: Points | None


def landmarks(frame: LandmarkFrame, aspect: float) -> dict[str, Any]:
    """What was found in a picture of one body."""
    assert frame.confidence is not None, "of a picture"
    parts = holistic.split(frame.bodies[0], frame.confidence)
    return {"type": "landmarks", "seq": frame.seq, "at_s": frame.at_s, "aspect": aspect, **parts}


@documented
class Ack(TypedDict):
    """Frames up to this one need never be sent again."""

    type: Literal["ack"]
    seq: int


def ack(seq: int) -> Ack:
    """Frames up to this one are safe."""
    return {"type": "ack", "seq": seq}


@documented
class Done(TypedDict):
    """A control was carried out, after all frames that came before it."""

    type: Literal["done"]
    control: Literal["keepalive", "flush", "configure", "reset"]
    seq: int | None
    """The last frame that was taken; null before the first."""
    configuration: NotRequired[Configuration]
    """What is in force now: after `configure`."""


def done(control: str, seq: int | None, configuration: Configuration | None = None) -> dict[str, Any]:
    """The answer to a control."""
    told = {"type": "done", "control": control, "seq": seq}
    return told if configuration is None else told | {"configuration": configuration.plain()}


@documented
class Lag(TypedDict):
    """The service falls behind; at most once a second."""

    type: Literal["lag"]
    behind_s: float
    """How long the frame that is looked at now has waited."""
    waiting: int
    """How many wait behind it."""


def lag(behind_s: float, waiting: int) -> Lag:
    """How far the service is behind."""
    return {"type": "lag", "behind_s": round(behind_s, 3), "waiting": waiting}


@documented
class Dropped(TypedDict):
    """Frames that were not looked at, or not by one model: never silently."""

    type: Literal["dropped"]
    count: int
    seqs: tuple[int, int]
    """The first and the last of them."""
    reason: Literal["rate", "slow", "late"]
    """`rate`: denser than the service takes; `slow`: newer ones came; `late`: a model did not come to it in time."""
    model: NotRequired[str]
    """Which model was late."""


def dropped(count: int, seqs: tuple[int, int], reason: str, model: str | None = None) -> dict[str, Any]:
    """Frames that were not looked at, or not by one model."""
    told = {"type": "dropped", "count": count, "seqs": seqs, "reason": reason}
    return told if model is None else told | {"model": model}


@documented
class Warned(TypedDict):
    """Something that the caller should mend."""

    type: Literal["warning"]
    code: Literal["slow_consumer"]
    """`slow_consumer`: it did not read what it was told."""
    detail: str


def slow_consumer(blocked_s: float) -> Warned:
    """The caller did not read for so long."""
    detail = f"nothing was read for {blocked_s:.1f} s; read faster, or ask for less: no scores, no interim"
    return {"type": "warning", "code": "slow_consumer", "detail": detail}


@documented
class Closing(TypedDict):
    """The service goes away: come back with a new socket. The close, with 1012, follows."""

    type: Literal["closing"]
    retry_after_s: float
    """When to come back, and some time of the caller's own choice later, so that not all come at once."""
    resumable: bool
    """Whether the session goes on where it is resumed; else its finals and summary follow now."""


def closing(retry_after_s: float, resumable: bool) -> Closing:
    """The service goes away."""
    return {"type": "closing", "retry_after_s": retry_after_s, "resumable": resumable}


@documented
class ProblemDetails(TypedDict):
    """An RFC 9457 problem, as REST answers it, too."""

    type: str
    title: str
    status: int
    code: str
    """Stable: program against it."""
    detail: str


@documented
class Problem(TypedDict):
    """A message was not understood; the stream goes on, unless it is closed next."""

    type: Literal["problem"]
    problem: ProblemDetails


def problem(what: Error) -> dict[str, Any]:
    """Something that was not understood."""
    return {"type": "problem", "problem": what.body()}


@documented
class Summary(TypedDict):
    """The last message of a session."""

    type: Literal["summary"]
    frames: int
    """That were looked at."""
    dropped: int
    problems: int
    events: dict[str, int]
    """How many began, by model."""


def summary(frames: int, dropped_frames: int, problems: int, events: Mapping[str, int]) -> Summary:
    """What was."""
    return {
        "type": "summary",
        "frames": frames,
        "dropped": dropped_frames,
        "problems": problems,
        "events": dict(events),
    }


@documented
class Opened(TypedDict):
    """A session that a socket may open."""

    session: str
    """Its id."""
    token: str
    """Opens it: once, and soon."""
    socket: str
    """Where: the socket's address, with the token."""
    expires_in_s: float
    """How long the token is good."""
    configuration: Configuration
    """As asked for."""
    watch: str
    """Where others may look on, as Server-Sent Events, once it is open."""


@documented
class Status(TypedDict):
    """How a session is doing."""

    session: str
    state: Literal["live", "parked"]
    """`parked`: its line was lost, and it waits to be resumed."""
    configuration: Configuration
    seq: int | None
    """The last frame that was taken."""
    waiting: int
    """How many messages were heard and not looked at yet."""
    viewers: int
    """How many look on, by Server-Sent Events."""
    frames: int
    dropped: int
    problems: int
    events: dict[str, int]
    """How many began, by model."""


Answer = (
    Ready | Resumed | Event | Scores | Landmarks | Ack | Done | Lag | Dropped | Warned | Closing | Problem | Summary
)
"""Any message to a caller."""


def write(message: Mapping[str, Any]) -> str:
    """A message, or REST's answer, as JSON text."""
    return orjson.dumps(message, option=orjson.OPT_SERIALIZE_NUMPY).decode()


def _ms(at_s: float) -> float:
    """Seconds, to the tenth of a millisecond: no more is known, and the text stays short."""
    return round(at_s, 4)
