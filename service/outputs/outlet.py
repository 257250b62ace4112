"""What every way out shares: a bounded backlog that never holds up a session, and how long to wait after a failure."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from service.metrics import Metrics

logger = logging.getLogger("signstream.outputs")

FIRST_WAIT_S = 1.0
"""Longest wait after the first failure; it doubles with each further one."""
MOST_WAIT_S = 60.0
"""Longest wait of all."""
LOG_EVERY_S = 60.0
"""Losses are logged at most this often, added up."""

Clock = Callable[[], float]
Wait = Callable[[float], Awaitable[object]]
Draw = Callable[[float, float], float]


class Outlet(Protocol):
    """Tells events of all sessions to somebody outside; used from the event loop's thread only."""

    def tell(self, session: str, message: Mapping[str, Any]) -> None:
        """An event message, as the socket sends it; not to be changed afterwards.

        Never blocks and never raises. session: its id: letters, digits, `-` and `_`.
        """
        ...

    async def start(self) -> None:
        """Begin to deliver, in the background: it does not wait for anybody to be there."""
        ...

    async def stop(self, limit_s: float) -> None:
        """Give what waits `limit_s` seconds; what is left then is counted and logged."""
        ...


@dataclass(frozen=True, slots=True)
class Told:
    """An event message of a session. at: when the outlet was told, Unix time in seconds."""

    session: str
    event: Mapping[str, Any]
    at: float


class Backlog:
    """What an outlet has still to deliver, oldest first, and the count of what it lost.

    outlet: its name in metrics and log. limit: most events that wait; one more drops the oldest. updates: keep `update`
    events too, not only `start` and `end`. `changed` is set when something came.
    """

    def __init__(self, outlet: str, limit: int, updates: bool, metrics: Metrics, clock: Clock = time.time) -> None:
        self._outlet, self._limit, self._updates = outlet, limit, updates
        self._metrics, self._clock = metrics, clock
        self._waiting: deque[Told] = deque()
        self._closed: str | None = None
        self._unsaid: Counter[str] = Counter()
        self._said_at = -LOG_EVERY_S
        self.changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, session: str, message: Mapping[str, Any]) -> None:
        """One more event, unless nobody asks for it."""
        if message.get("state") == "update" and not self._updates:
            return
        if self._closed is not None:
            self.lose(self._closed)
            return
        while len(self._waiting) >= self._limit:
            self._waiting.popleft()
            self.lose("overflow")
        self._waiting.append(Told(session, message, self._clock()))
        self.changed.set()

    def take(self, busy: Container[str] = ()) -> Told | None:
        """The oldest event of a session that is not busy; None where there is none."""
        for i, told in enumerate(self._waiting):
            if told.session not in busy:
                del self._waiting[i]
                return told
        return None

    def delivered(self) -> None:
        """One arrived."""
        self._metrics.outlet_told.labels(self._outlet).inc()

    def lose(self, reason: str, count: int = 1) -> None:
        """Events that nobody will be told of: counted at once, logged once in a while."""
        if not count:
            return
        self._metrics.outlet_dropped.labels(self._outlet, reason).inc(count)
        self._unsaid[reason] += count
        if self._clock() - self._said_at >= LOG_EVERY_S:
            self._say()

    def close(self, reason: str, taken: int = 0) -> None:
        """What waits is lost, what comes too, and so many that were taken."""
        self._closed = reason
        self.lose(reason, taken + len(self._waiting))
        self._waiting.clear()
        if self._unsaid:
            self._say()

    def _say(self) -> None:
        losses = ", ".join(f"{count} ({reason})" for reason, count in self._unsaid.items())
        logger.warning("%s: events that were not told: %s", self._outlet, losses)
        self._unsaid.clear()
        self._said_at = self._clock()


def backoff_s(failures: int, draw: Draw = random.uniform) -> float:
    """Seconds to wait after so many failures in a row: exponential, with full jitter (Brooker 2015, "Exponential
    Backoff And Jitter"), so that many that failed together do not come back together."""
    return draw(0.0, min(MOST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(failures - 1, 16)))
