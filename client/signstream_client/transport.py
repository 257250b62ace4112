"""What both clients have in common of the wire: limits, and its failures as ours."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from signstream_client.errors import AnswerTimeout, NoServer, ProblemError
from signstream_client.rest import refusal, socket_url

CONNECT_S = 10.0
"""Longest wait for a connection, in seconds."""
MAX_UNREAD = 4096
"""Messages of a stream that are held for who does not read them; then the service is made to wait."""

# What websockets has to say of a line that is cut is said by our errors; who wants more, listens to this.
_LOGGER = logging.getLogger("signstream_client.lines")
_LOGGER.addHandler(logging.NullHandler())


@dataclass
class Address:
    """Where a stream's lines are opened.

    base: the service. headers: who asks. token: of a session, good for one line.
    """

    base: str
    headers: Mapping[str, str]
    token: str | None = None

    def next(self) -> dict[str, Any]:
        """What to open the next line with."""
        token, self.token = self.token, None
        limits = {"open_timeout": CONNECT_S, "max_queue": MAX_UNREAD, "max_size": None, "logger": _LOGGER}
        return {"uri": socket_url(self.base, token), "additional_headers": dict(self.headers), **limits}


def may_pass(error: Exception) -> bool:
    """Whether it is worth trying again: nobody answered, or whoever did is overloaded or about to restart."""
    return isinstance(error, NoServer | AnswerTimeout) or (
        isinstance(error, ProblemError) and (error.status >= 500 or error.status == 429)
    )


@contextmanager
def own_errors(url: str) -> Iterator[None]:
    """Raise what goes wrong on the wire as NoServer, AnswerTimeout, or the twin of a problem."""
    try:
        yield
    except httpx.ConnectTimeout as error:
        raise NoServer(f"nothing answers at {url} within {CONNECT_S:g} s") from error
    except httpx.TimeoutException as error:
        raise AnswerTimeout(f"{url} took longer than the time allowed; give the client a larger timeout_s") from error
    except InvalidStatus as error:
        raise refusal(error.response.status_code, bytes(error.response.body or b"")) from error
    except (httpx.TransportError, InvalidHandshake, InvalidURI, ConnectionClosed, OSError, EOFError) as error:
        raise NoServer(f"no service at {url}: {error or type(error).__name__}; is it running?") from error


def close_frame(closed: ConnectionClosed) -> tuple[int | None, str]:
    """What the other side gave as close code and reason; (None, "") where the line just went dead, or we gave it up."""
    if closed.rcvd is None or closed.rcvd_then_sent is False:
        return None, ""
    return closed.rcvd.code, closed.rcvd.reason
