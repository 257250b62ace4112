"""Events as signed HTTP requests, after the Standard Webhooks specification 1.0.0 (standard-webhooks/standard-webhooks,
spec/standard-webhooks.md: headers, signature scheme, which answers mean what)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import logging
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx2
import orjson

from service.metrics import Metrics
from service.outputs.outlet import Backlog, Clock, Draw, Told, Wait, backoff_s
from service.settings import Settings

logger = logging.getLogger("signstream.outputs")

CONNECTIONS = 8
"""Most sessions whose events are under way at the same time."""
MOST_HOLD_S = 3600.0
"""Longest that a receiver's Retry-After is followed."""
MOST_ANSWER_BYTES = 65536
"""A receiver's answer is read so far, for its connection to be used again; what it says is of no interest."""


def signature(keys: Sequence[bytes], message_id: str, at: int, body: bytes) -> str:
    """The header `webhook-signature`: one signature a key, so that keys can be changed while events flow.

    at: when this try is made, Unix time in seconds.
    """
    signed = b"%s.%d.%s" % (message_id.encode(), at, body)
    digests = (hmac.digest(key, signed, hashlib.sha256) for key in keys)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


def body_of(told: Told) -> bytes:
    """The JSON that is sent: type, timestamp and data, as the specification suggests."""
    at = datetime.fromtimestamp(told.at, UTC).isoformat(timespec="milliseconds")
    data = {"session": told.session, **told.event}
    return orjson.dumps({"type": f"event.{told.event['state']}", "timestamp": at, "data": data})


class Webhook:
    """An `Outlet`: each event is one POST, tried again where that may help; of a session one at a time, in order.

    clock: Unix time in seconds. wait, draw: for tests.
    """

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        clock: Clock = time.time,
        wait: Wait = asyncio.sleep,
        draw: Draw = random.uniform,
    ) -> None:
        assert settings.webhook_url is not None
        self._url = settings.webhook_url.get_secret_value()
        self._keys = settings.webhook_keys
        self._tries, self._timeout_s = 1 + settings.webhook_retries, settings.webhook_timeout_s
        self._clock, self._wait, self._draw = clock, wait, draw
        self._backlog = Backlog("webhook", settings.outlet_backlog, settings.webhook_updates, metrics, clock)
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._held_until = 0.0
        self._stopping = False

    def tell(self, session: str, message: Mapping[str, Any]) -> None:
        """See `Outlet`."""
        self._backlog.add(session, message)

    async def start(self) -> None:
        """See `Outlet`."""
        self._client = httpx2.AsyncClient(timeout=None, follow_redirects=False, headers={"user-agent": "signstream"})
        self._running = asyncio.create_task(self._run())

    async def stop(self, limit_s: float) -> None:
        """See `Outlet`."""
        self._stopping = True
        self._backlog.changed.set()
        await asyncio.wait([self._running], timeout=limit_s)
        unfinished = [*self._busy.values(), self._running]
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)
        self._backlog.close("stopped", len(unfinished) - 1)
        await self._client.aclose()

    async def _run(self) -> None:
        while self._busy or self._backlog or not self._stopping:
            self._backlog.changed.clear()
            while len(self._busy) < CONNECTIONS and (told := self._backlog.take(self._busy)) is not None:
                self._busy[told.session] = asyncio.create_task(self._deliver(told))
            await self._backlog.changed.wait()

    async def _deliver(self, told: Told) -> None:
        try:
            lost = await self._try(told)
        except Exception:
            logger.exception("webhook: an event could not be told")
            lost = "failed"
        finally:
            del self._busy[told.session]
            self._backlog.changed.set()
        if lost is None:
            self._backlog.delivered()
        else:
            self._backlog.lose(lost)

    async def _try(self, told: Told) -> str | None:
        """As often as it may take. Returns why that was in vain, None where it arrived."""
        # Of the session's own number: whoever gets it twice, also from two instances of the service, can tell.
        message_id, body = f"{told.session}-{told.event['number']}", body_of(told)
        tries = 0
        while True:
            tries += 1
            if (held_s := self._held_until - self._clock()) > 0:
                await self._wait(held_s)
            answer = await self._post(message_id, body)
            if isinstance(answer, httpx2.Response):
                if answer.is_success:
                    return None
                if answer.status_code == 410:
                    logger.error("webhook: %s answered 410 Gone; it is told nothing any more", self._receiver)
                    self._backlog.close("gone")
                    return "gone"
                if answer.status_code != 429 and answer.status_code < 500:
                    logger.warning("webhook: %s answered %d", self._receiver, answer.status_code)
                    return f"answered-{answer.status_code}"
                self._hold(answer.headers.get("retry-after"))
            if tries == self._tries:
                logger.warning("webhook: %s failed %d times, last: %r", self._receiver, tries, answer)
                return "retries"
            await self._wait(backoff_s(tries, self._draw))

    async def _post(self, message_id: str, body: bytes) -> httpx2.Response | Exception:
        """One try: the answer, or what kept it away."""
        at = int(self._clock())
        headers = {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(at),
            "webhook-signature": signature(self._keys, message_id, at, body),
        }
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._client.stream("POST", self._url, content=body, headers=headers) as response,
                aclosing(response.aiter_raw()) as chunks,
            ):
                async for _ in chunks:
                    if response.num_bytes_downloaded > MOST_ANSWER_BYTES:
                        break
            return response
        except (httpx2.TransportError, TimeoutError) as error:
            return error

    def _hold(self, retry_after: str | None) -> None:
        """Nothing is sent before that: seconds, or a date (RFC 9110, 10.2.3)."""
        if retry_after is None:
            return
        now = self._clock()
        try:
            until = (
                now + float(retry_after) if retry_after.isdigit() else parsedate_to_datetime(retry_after).timestamp()
            )
        except ValueError:
            return
        self._held_until = max(self._held_until, min(until, now + MOST_HOLD_S))

    @property
    def _receiver(self) -> str:
        """Of the address only what is no secret."""
        return urlsplit(self._url).hostname or ""
