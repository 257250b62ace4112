"""Events to an MQTT broker, at least once each (MQTT 3.1.1, quality of service 1)."""

from __future__ import annotations

import asyncio
import logging
import random
import re
import ssl
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import aiomqtt
import orjson

from service.metrics import Metrics
from service.outputs.outlet import Backlog, Clock, Draw, Told, Wait, backoff_s
from service.settings import Settings

logger = logging.getLogger("signstream.outputs")

WINDOW = 20
"""Most events that are sent and not yet acknowledged."""
_NOT_IN_A_LEVEL = re.compile(r"[+#/\0]")


class Mqtt:
    """An `Outlet`: each event is a message of its own, in order; sent again on the next connection where the broker
    went before it said that it had it. A broker acknowledges in the order of arrival (MQTT 3.1.1, 4.6), so that what
    is sent again is what came last.

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
        assert settings.mqtt_url is not None
        self._url = urlsplit(settings.mqtt_url.get_secret_value())
        self._topic, self._status = settings.mqtt_topic, settings.mqtt_status_topic
        self._wait, self._draw = wait, draw
        self._backlog = Backlog("mqtt", settings.outlet_backlog, settings.mqtt_updates, metrics, clock)
        self._online = self._stopping = False

    def tell(self, session: str, message: Mapping[str, Any]) -> None:
        """See `Outlet`."""
        self._backlog.add(session, message)

    async def start(self) -> None:
        """See `Outlet`."""
        self._running = asyncio.create_task(self._run())

    async def stop(self, limit_s: float) -> None:
        """See `Outlet`."""
        self._stopping = True
        self._backlog.changed.set()
        await asyncio.wait([self._running], timeout=limit_s if self._backlog or self._online else 0)
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        self._backlog.close("stopped")

    async def _run(self) -> None:
        """One connection after the other, until all is told and `stop` was called."""
        failures = 0
        while not self._stopping or self._backlog:
            try:
                async with self._connection() as client:
                    logger.info("mqtt: connected to %s", self._url.hostname)
                    failures, self._online = 0, True
                    await client.publish(self._status, "online", qos=1, retain=True)
                    await self._tell_all(client)
                    await client.publish(self._status, "offline", qos=1, retain=True)
            except Exception as error:  # of the broker, of its certificate: whatever it is, it may pass
                failures, self._online = failures + 1, False
                if failures == 1:
                    logger.warning("mqtt: %s is away: %s; trying on", self._url.hostname, error)
                await self._wait(backoff_s(failures, self._draw))

    def _connection(self) -> aiomqtt.Client:
        url, secure = self._url, self._url.scheme == "mqtts"
        client = aiomqtt.Client(
            url.hostname or "",
            url.port or (8883 if secure else 1883),
            username=None if url.username is None else unquote(url.username),
            password=None if url.password is None else unquote(url.password),
            will=aiomqtt.Will(self._status, "offline", qos=1, retain=True),
            tls_context=ssl.create_default_context() if secure else None,
            max_inflight_messages=WINDOW,
        )
        client.pending_calls_threshold = WINDOW
        return client

    async def _tell_all(self, client: aiomqtt.Client) -> None:
        """Until `stop`, and nothing waits any more. Raises MqttError where the line is lost."""
        changed = self._backlog.changed
        line = asyncio.create_task(_hold(client))
        line.add_done_callback(lambda _: changed.set())
        sent: dict[asyncio.Task[None], Told] = {}
        try:
            while True:
                changed.clear()
                while len(sent) < WINDOW and (told := self._backlog.take()) is not None:
                    task = asyncio.create_task(self._publish(client, told))
                    task.add_done_callback(lambda _: changed.set())
                    sent[task] = told
                if self._stopping and not sent:
                    return
                await changed.wait()
                for task in [task for task in sent if _arrived(task)]:
                    del sent[task]
                for task in [line, *sent]:
                    if task.done():
                        task.result()
        finally:
            for task in [line, *sent]:
                task.cancel()
            await asyncio.gather(line, *sent, return_exceptions=True)
            self._backlog.put_back(told for task, told in sent.items() if not _arrived(task))

    async def _publish(self, client: aiomqtt.Client, told: Told) -> None:
        """Until the broker acknowledges it. Raises MqttError."""
        topic = self._topic
        try:
            for name, value in (("{session}", told.session), ("{model}", told.event["model"])):
                topic = topic.replace(name, _NOT_IN_A_LEVEL.sub("_", value))
            await client.publish(topic, orjson.dumps({"session": told.session, **told.event}), qos=1)
        except aiomqtt.MqttError:
            raise
        except Exception:
            logger.exception("mqtt: an event could not be told")
            self._backlog.lose("failed")
        else:
            self._backlog.delivered()


def _arrived(sent: asyncio.Task[None]) -> bool:
    return sent.done() and not sent.cancelled() and sent.exception() is None


async def _hold(client: aiomqtt.Client) -> None:
    """Until the line is lost: raises MqttError then. Nothing is subscribed to, so nothing comes."""
    async for _ in client.messages:
        pass
