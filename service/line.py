"""One socket as its session sees it: text out, and the end of it."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass

from fastapi import WebSocket, WebSocketDisconnect


@dataclass(frozen=True)
class Close:
    """Why a session is over: the socket's close code and reason, see CLOSE_CODES."""

    code: int
    reason: str = ""


CLOSE_CODES = {
    1000: "after `stop`, or after nothing was heard for very long (`idle`)",
    1008: "the rules are broken: a bad first message, no key, too many problems, an unknown session, or the session is "
    "resumed elsewhere",
    1009: "a message is over the size limit",
    1011: "the service failed, or its ping was not answered",
    1012: "the service restarts: come back after `closing` said",
    1013: "there is no room for one more session, or what is said is not read (`slow_consumer`)",
}
"""What the service closes sockets with."""

_CLOSE_S = 10.0
"""How long it may take to say why a line is closed."""


class LineLost(Exception):
    """Nobody listens at the other end any more."""


class Line:
    """What is said goes out in order; who does not read holds up who speaks, until the line is cut.

    open: whether anything can be said.
    blocked_since: when (time.monotonic) the message was begun that is being said; None between messages.
    """

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._closing: asyncio.Task[None] | None = None
        self._speaking: asyncio.Task[object] | None = None
        self._cut = False
        self.blocked_since: float | None = None
        self.open = True

    async def say(self, text: str) -> float:
        """One message; returns the seconds that it had to wait for who reads. Raises LineLost."""
        if not self.open:
            raise LineLost
        self._speaking = asyncio.current_task()
        began = self.blocked_since = time.monotonic()
        try:
            await self._socket.send({"type": "websocket.send", "text": text})
        except asyncio.CancelledError:
            if not self._cut or self._speaking is None:
                raise
            self._speaking.uncancel()
            raise LineLost from None
        except (WebSocketDisconnect, RuntimeError) as error:  # starlette's, where the socket has been closed meanwhile
            self.open = False
            raise LineLost from error
        finally:
            self.blocked_since = self._speaking = None
        return time.monotonic() - began

    async def close(self, code: int, reason: str = "") -> None:
        """Hang up, once."""
        if self.open:
            self.open = False
            await self._close(code, reason)

    async def _close(self, code: int, reason: str) -> None:
        # A socket that was closed already, or that nobody reads from: it ends by itself for want of pongs.
        with suppress(WebSocketDisconnect, RuntimeError, TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                await self._socket.close(code, reason)

    def drop(self, code: int, reason: str) -> None:
        """Hang up, though it may be that nobody reads: whoever speaks is let go at once."""
        if self.open:
            self.cut()
            self._closing = asyncio.create_task(self._close(code, reason))

    def cut(self) -> None:
        """Say no more, and let go of who is held up by it."""
        self.open = False
        if self._speaking is not None and not self._cut:
            self._cut = True
            self._speaking.cancel()
