"""Every live session of the service: opened, found again, swept, and left in peace when it goes away."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from landmarks.cutter import cutters
from landmarks.layout import find_layout
from service.configuration import Configuration
from service.errors import Busy, Draining, UnknownSession, UnknownToken
from service.gate import in_order
from service.identity import Identity
from service.keys import same
from service.live import LiveSession
from service.resume import pack, unpack

if TYPE_CHECKING:
    from service.house import House

_SWEEP_S = 1.0
_GONE = "there is no such session here: it has ended, or was kept no longer"


@dataclass(frozen=True)
class Ticket:
    """What lets a socket open a session that was asked for over REST. token: good once, until `until_s`
    (time.monotonic)."""

    token: str
    identity: Identity
    configuration: Configuration
    until_s: float


class Sessions:
    """Those of one house."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._live: dict[str, LiveSession] = {}
        self._ended: dict[str, tuple[LiveSession, float]] = {}
        self._tickets: dict[str, Ticket] = {}
        self._arriving = [0, 0]  # without a key, with one
        self.draining = False

    def __len__(self) -> int:
        return len(self._live)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Sweep now and then; at the end let every session go that is still there."""
        sweeping = asyncio.create_task(self._sweep_on())
        try:
            yield
        finally:
            sweeping.cancel()
            with suppress(asyncio.CancelledError):
                await sweeping
            for session in list(self._live.values()):
                session.end(1012, "the service stops")
            await asyncio.gather(*(session.ended() for session in list(self._live.values())))

    async def reserve(self, configuration: Configuration) -> Ticket:
        """A ticket for a session that a socket will open: here or, where there is a store, at any instance.

        Raises as `open`, and StoreUnavailable.
        """
        self._check_open()
        self._check(configuration)
        limits, store = self._house.settings, self._house.store
        ticket = Ticket(secrets.token_urlsafe(24), Identity.new(), configuration, time.monotonic() + limits.token_s)
        if store is not None:
            kept = {"identity": asdict(ticket.identity), "configuration": configuration.plain()}
            await store.save(_stored(ticket.token), pack(kept), limits.token_s)
            return ticket
        if len(self._tickets) >= limits.max_streams:
            raise Busy(f"{len(self._tickets)} sessions wait for their sockets; try again later")
        self._tickets[ticket.token] = ticket
        return ticket

    async def redeem(self, token: str) -> LiveSession:
        """The session of a ticket, whose token is good no more. Raises as `open`, UnknownToken, StoreUnavailable."""
        self._check_open()
        ticket, store = self._tickets.pop(token, None), self._house.store
        if ticket is not None and time.monotonic() <= ticket.until_s:
            return self.open(ticket.configuration, ticket.identity)
        if ticket is None and store is not None and (packed := await store.pop(_stored(token))) is not None:
            kept = unpack(packed)
            configuration = Configuration.model_validate(kept["configuration"])
            return self.open(configuration, Identity(**kept["identity"]))
        raise UnknownToken("the token was used, is too old, or never was; ask POST /v1/sessions for another")

    def open(self, configuration: Configuration, identity: Identity | None = None) -> LiveSession:
        """A session that lives. Raises NotReady, Draining, Busy, UnknownModel, InvalidMessage, LandmarkError."""
        self._make_room()
        return self._keep(LiveSession(self._house, configuration, identity or Identity.new()))

    def _keep(self, live: LiveSession) -> LiveSession:
        """It is one of ours until it is over."""
        self._live[live.identity.session] = live
        self._house.metrics.streams.inc()
        live.over.add_done_callback(lambda _: self._forget(live))
        return live

    def find(self, session: str) -> LiveSession:
        """One that lives. Raises UnknownSession."""
        live = self._live.get(session)
        if live is None or live.over.done():
            raise UnknownSession(_GONE)
        return live

    async def resume(self, session: str, token: str) -> LiveSession:
        """One whose line was lost, here or, where there is a store, anywhere. Raises UnknownSession, also for a wrong
        token, and StoreUnavailable."""
        live, store = self._live.get(session) or self._ended.get(session, (None,))[0], self._house.store
        if live is not None:
            _check(live.configuration.resumable, live.identity.resume, token)
            if live.over.done() or store is None or await live.save():
                return live
        if store is None or (packed := await store.load(session)) is None:
            raise UnknownSession(_GONE)
        kept = unpack(packed)
        _check(kept["configuration"]["resumable"], kept["identity"]["resume"], token)
        if (packed := await store.take(session)) is None:
            raise UnknownSession(_GONE)
        self._make_room()
        return self._keep(LiveSession.restored(self._house, unpack(packed)))

    async def sweep(self) -> None:
        """Do what only time decides."""
        now_s = time.monotonic()
        self._tickets = {token: ticket for token, ticket in self._tickets.items() if ticket.until_s >= now_s}
        self._ended = {session: one for session, one in self._ended.items() if one[1] >= now_s}
        for live in list(self._live.values()):
            await live.sweep(now_s)

    async def drain(self) -> None:
        """Take no more sessions; tell those that live, and wait until they have said all, `drain_s` at most."""
        self.draining = True
        leaving = [asyncio.create_task(self._lead_out(live)) for live in self._live.values()]
        if leaving:
            await asyncio.wait(leaving, timeout=self._house.settings.drain_s)

    async def _lead_out(self, live: LiveSession) -> None:
        await live.leave()
        await live.ended()

    @contextmanager
    def arriving(self, keyed: bool) -> Iterator[None]:
        """While a socket has not said what it wants. Raises NotReady, Draining; Busy where very many are so, of those
        with a key and those without."""
        self._check_open()
        if self._arriving[keyed] >= self._house.settings.max_streams:
            raise Busy(f"{self._arriving[keyed]} sockets have not said yet what they want; try again later")
        self._arriving[keyed] += 1
        try:
            yield
        finally:
            self._arriving[keyed] -= 1

    def _check_open(self) -> None:
        self._house.batchers()
        if self.draining:
            raise Draining("the service is about to stop; try again in a moment")

    def _make_room(self) -> None:
        """For one more: if need be, the session that has waited longest for a line goes. Raises as `_check_open`, and
        Busy."""
        self._check_open()
        most = self._house.settings.max_streams
        if len(self._live) < most:
            return
        parked = [live for live in self._live.values() if live.parked]
        if not parked:
            raise Busy(f"all {most} streams are taken; try again later")
        min(parked, key=lambda live: live.parked_s).end(1013, "its room was needed")

    def _check(self, configuration: Configuration) -> None:
        """Whether a session could be opened so. Raises UnknownModel, InvalidMessage, InvalidRequest, LandmarkError."""
        filled = configuration.filled(self._house.default_models, self._house.settings.max_gap_s)
        assert filled.models is not None, "filled in"
        manifests = self._house.manifests(filled.models)
        layout = find_layout(filled.layout)
        filled.decodings(manifests)
        in_order(manifests, filled.manner(layout, self._house.crowd).gates)
        for manifest in manifests:
            cutters(manifest, layout)

    def _forget(self, live: LiveSession) -> None:
        if self._live.pop(live.identity.session, None) is not None:
            self._house.metrics.streams.dec()
        if live.said_all and live.configuration.resumable:
            # The line may have been lost with the last words on it: they are kept for a while.
            while len(self._ended) >= self._house.settings.max_streams:
                del self._ended[next(iter(self._ended))]
            self._ended[live.identity.session] = live, time.monotonic() + self._house.settings.resume_s

    async def _sweep_on(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            await self.sweep()


def _check(resumable: bool, secret: str, token: str) -> None:
    if not (resumable and same(token, secret)):
        raise UnknownSession("the session cannot be resumed with this token")


def _stored(token: str) -> str:
    """What a ticket is kept as, among the sessions."""
    return f"ticket-{token}"
