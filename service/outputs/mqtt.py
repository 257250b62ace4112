"""Events to an MQTT broker, at least once each (MQTT 3.1.1, quality of service 1)."""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from service.metrics import Metrics
from service.outputs.outlet import FIRST_WAIT_S, MOST_WAIT_S, Backlog, Clock, Told
from service.settings import Settings

logger = logging.getLogger("signstream.outputs")

WINDOW = 20
"""Most events that are sent and not yet acknowledged."""
_NOT_IN_A_LEVEL = re.compile(r"[+#/\0]")


class Mqtt:
    """An `Outlet`: each event is a message of its own, in order.

    paho's client has a thread of its own, connects again with growing waits, and then sends again what was not
    acknowledged. It is given no more than WINDOW events; the others wait where the oldest can be dropped.

    clock: Unix time in seconds. first_wait_s: before the second try to connect; it doubles with each further one.
    """

    def __init__(
        self, settings: Settings, metrics: Metrics, clock: Clock = time.time, first_wait_s: float = FIRST_WAIT_S
    ) -> None:
        assert settings.mqtt_url is not None
        url = urlsplit(settings.mqtt_url.get_secret_value())
        secure = url.scheme == "mqtts"
        self._host = url.hostname or ""
        self._topic, self._status = settings.mqtt_topic, settings.mqtt_status_topic
        self._backlog = Backlog("mqtt", settings.outlet_backlog, settings.mqtt_updates, metrics, clock)
        self._sent: dict[int, Told | None] = {}  # by MQTT's message number; None of the status
        self._online = self._again = self._away_said = self._stopping = False

        client = self._client = Client(CallbackAPIVersion.VERSION2)
        client.will_set(self._status, "offline", qos=1, retain=True)
        client.max_inflight_messages_set(2 * WINDOW)
        client.reconnect_delay_set(first_wait_s, MOST_WAIT_S)  # pyright: ignore[reportArgumentType]  (floats will do)
        if url.username is not None:
            client.username_pw_set(unquote(url.username), None if url.password is None else unquote(url.password))
        if secure:
            client.tls_set_context(ssl.create_default_context())
        client.on_connect = lambda client, data, flags, reason, properties: self._hear(self._connected, reason)
        client.on_connect_fail = lambda client, data: self._hear(self._lost, "it cannot be reached")
        client.on_disconnect = lambda client, data, flags, reason, properties: self._hear(self._lost, str(reason))
        client.on_publish = lambda client, data, number, reason, properties: self._hear(self._acknowledged, number)
        client.connect_async(self._host, url.port or (8883 if secure else 1883))

    def tell(self, session: str, message: Mapping[str, Any]) -> None:
        """See `Outlet`."""
        self._backlog.add(session, message)

    async def start(self) -> None:
        """See `Outlet`."""
        self._loop = asyncio.get_running_loop()
        self._running = asyncio.create_task(self._run())
        self._client.loop_start()

    async def stop(self, limit_s: float) -> None:
        """See `Outlet`. paho's thread may take some seconds more where it is just then trying to connect."""
        self._stopping = True
        self._backlog.changed.set()
        hopeful = self._online or self._backlog or any(self._sent.values())
        await asyncio.wait([self._running], timeout=limit_s if hopeful else 0)
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)
        self._backlog.close("stopped", sum(told is not None for told in self._sent.values()))

    async def _run(self) -> None:
        """Hand over what waits, until `stop` was called and all is acknowledged; then say goodbye."""
        changed = self._backlog.changed
        while self._sent or self._backlog or not self._stopping:
            await changed.wait()
            changed.clear()
            # On a new connection, nothing new before what is sent again: paho would let it overtake.
            self._again = self._again and bool(self._sent)
            while self._online and not self._again and len(self._sent) < WINDOW:
                if (told := self._backlog.take()) is None:
                    break
                self._publish(told)
        if self._online:
            self._sent[self._client.publish(self._status, "offline", qos=1, retain=True).mid] = None
            while self._sent:
                await changed.wait()
                changed.clear()

    def _publish(self, told: Told) -> None:
        topic = self._topic
        try:
            for name, value in (("{session}", told.session), ("{model}", told.event["model"])):
                topic = topic.replace(name, _NOT_IN_A_LEVEL.sub("_", value))
            sent = self._client.publish(topic, orjson.dumps({"session": told.session, **told.event}), qos=1)
        except Exception:
            logger.exception("mqtt: an event could not be told")
            self._backlog.lose("failed")
        else:
            self._sent[sent.mid] = told

    def _hear(self, what: Callable[[Any], None], *about: Any) -> None:
        """From paho's thread to ours."""
        self._loop.call_soon_threadsafe(what, *about)

    def _connected(self, reason: ReasonCode) -> None:
        if reason.is_failure:
            self._lost(str(reason))
            return
        logger.info("mqtt: connected to %s", self._host)
        self._online, self._again, self._away_said = True, bool(self._sent), False
        self._sent[self._client.publish(self._status, "online", qos=1, retain=True).mid] = None
        self._backlog.changed.set()

    def _lost(self, why: str) -> None:
        self._online = False
        if not self._away_said and not self._stopping:
            logger.warning("mqtt: %s is away, trying on: %s", self._host, why)
            self._away_said = True

    def _acknowledged(self, number: int) -> None:
        if self._sent.pop(number, None) is not None:
            self._backlog.delivered()
        self._backlog.changed.set()
