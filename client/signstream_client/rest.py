"""The REST calls without the wait: addresses, and answers read or raised. Both clients share it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from signstream_client.clip import Clip
from signstream_client.errors import ProblemError, ProtocolError, SignstreamError
from signstream_client.fields import Fields
from signstream_client.messages import Problem
from signstream_client.model import Model, Readiness
from signstream_client.session import Session

CLIPS, MODELS, READY, SESSIONS, STREAM = "v1/clips", "v1/models", "readyz", "v1/sessions", "v1/stream"
DEFAULT_URL = "http://127.0.0.1:8000"
KEY_VARIABLE = "SIGNSTREAM_KEY"
FILE_HEADERS = {"content-type": "application/octet-stream"}

_TELLING = 400


def base_url(url: str) -> str:
    """An address with one slash at its end. Raises ValueError where it is no http address."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"the service's address looks like http://127.0.0.1:8000, got {url!r}")
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") + "/", "", ""))


def socket_url(base: str, token: str | None = None) -> str:
    """Where the stream is: ws for http, wss for https. token: of a session that waits for this socket."""
    address = "ws" + base.removeprefix("http") + STREAM
    return address if token is None else f"{address}?{urlencode({'token': token})}"


def key_headers(key: str | None) -> dict[str, str]:
    """What tells who asks: the given key, or that of the environment, or nothing."""
    key = os.environ.get(KEY_VARIABLE) if key is None else key
    return {"authorization": f"Bearer {key}"} if key else {}


def session_path(session: Session | str) -> str:
    """Of one session, by itself or by its id."""
    return f"{SESSIONS}/{quote(session if isinstance(session, str) else session.id, safe='')}"


def events_path(session: Session | str) -> str:
    """Where a session's events are told, by the session, its id, or the address that its `watch` is.

    Of an address only the path counts: the service may not know how it is called from outside.
    """
    address = urlsplit(session if isinstance(session, str) else session.watch)
    name = address.path.removesuffix("/events").rpartition("/")[2]
    return f"{SESSIONS}/{name}/events" + (f"?{address.query}" if address.query else "")


def clip_params(models: Sequence[str] | None, fps: float | None, aspect: float | None) -> dict[str, str]:
    """The query of a posted clip: only what was given."""
    given = {"models": None if models is None else ",".join(models), "fps": fps, "aspect": aspect}
    return {name: str(value) for name, value in given.items() if value is not None}


def read_clip(status: int, body: bytes) -> Clip:
    """The answer to a clip; raises the problem's twin, or ProtocolError."""
    return Clip.read(_fields(status, body))


def read_session(status: int, body: bytes) -> Session:
    """A session that was made; raises the problem's twin, or ProtocolError."""
    return Session.read(_fields(200 if status == 201 else status, body))


def check_ended(status: int, body: bytes) -> None:
    """A session was ended; raises the problem's twin."""
    if status not in (200, 202, 204):
        raise refusal(status, body)


def read_models(status: int, body: bytes) -> tuple[Model, ...]:
    """The loaded models; raises the problem's twin, or ProtocolError."""
    return tuple(Model.read(row) for row in _fields(status, body).rows("models"))


def read_ready(status: int, body: bytes) -> Readiness:
    """Whether the service is warm: 503 says no, and is no error. Raises the problem's twin, or ProtocolError."""
    fields = _fields(200 if status == 503 else status, body)
    return Readiness(
        status == 200, fields.text("status"), fields.text("provider", "") or "unknown", fields.texts("models")
    )


def refusal(status: int, body: bytes) -> SignstreamError:
    """What to raise for an answer that is not 200: the problem's twin, or words for what is no problem object."""
    try:
        problem = Problem.read(Fields.of_text(body, "the answer"))
    except ProtocolError:
        said = body[:_TELLING].decode("utf-8", "replace").strip()
        return ProblemError(status, "", f"HTTP {status}", f"the service answered {status}: {said or 'no words'}")
    return problem.error()


def _fields(status: int, body: bytes) -> Fields:
    if status != 200:
        raise refusal(status, body)
    return Fields.of_text(body, "the answer")
