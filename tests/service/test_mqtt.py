import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from pydantic import ValidationError

from service.metrics import Metrics
from service.outputs import outlets
from service.outputs.mqtt import Mqtt
from service.settings import Settings

CONNECT, CONNACK, PUBLISH, PUBACK, PINGREQ, PINGRESP, DISCONNECT = 1, 2, 3, 4, 12, 13, 14
STATUS = "signstream/status"


class Broker:
    """As much of an MQTT 3.1.1 broker as one who only publishes sees.

    answer: the code of CONNACK; 0 lets in. acknowledge: after so many events it hangs up once,
    without a word. messages: (topic, payload, retained) as they came. changed: set with each.
    """

    def __init__(self, answer=0, acknowledge=None):
        self.answer, self.acknowledge = answer, acknowledge
        self.connections, self.messages, self.retained = [], [], {}
        self.changed = asyncio.Event()
        self._writers = set()

    @asynccontextmanager
    async def listening(self, port=0):
        server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.hang_up()
            await server.wait_closed()

    def hang_up(self):
        """Every connection, without a word."""
        for writer in list(self._writers):
            writer.close()

    async def _serve(self, reader, writer):
        will, self._writers = None, self._writers | {writer}
        try:
            while True:
                kind, flags, body = await _packet(reader)
                if kind == CONNECT:
                    told = _connect(body)
                    self.connections.append(told)
                    self.changed.set()
                    will = told["will"]
                    writer.write(bytes([CONNACK << 4, 2, 0, self.answer]))
                    if self.answer:
                        break
                elif kind == PUBLISH:
                    topic, rest = _text(body)
                    assert flags >> 1 & 3 == 1, "every message is sent with quality of service 1"
                    if not flags & 1 and self.acknowledge == len(self.events):
                        self.acknowledge = None
                        break
                    self._note(topic, rest[2:], bool(flags & 1))
                    writer.write(bytes([PUBACK << 4, 2]) + rest[:2])
                elif kind == PINGREQ:
                    writer.write(bytes([PINGRESP << 4, 0]))
                elif kind == DISCONNECT:
                    will = None
                    break
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            if will is not None:
                self._note(*will)
            self._writers.discard(writer)
            writer.close()

    def _note(self, topic, payload, retained):
        self.messages.append((topic, payload, retained))
        if retained:
            self.retained[topic] = payload
        self.changed.set()

    async def until(self, condition):
        """Wait for what its messages make true."""
        while not condition():
            self.changed.clear()
            await self.changed.wait()

    @property
    def events(self):
        return [(topic, json.loads(payload)) for topic, payload, retained in self.messages if not retained]

    @property
    def numbers(self):
        return [event["number"] for _, event in self.events]


async def _packet(reader):
    first = (await reader.readexactly(1))[0]
    length = shift = 0
    while True:  # 7 bits a byte, the lowest first
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return first >> 4, first & 15, await reader.readexactly(length)


def _text(body):
    size = int.from_bytes(body[:2], "big")
    return body[2 : 2 + size].decode(), body[2 + size :]


def _connect(body):
    protocol, rest = _text(body)
    level, flags, rest = rest[0], rest[1], rest[4:]
    _, rest = _text(rest)
    told = {"protocol": (protocol, level), "will": None, "user": None, "password": None}
    if flags & 4:
        topic, rest = _text(rest)
        payload, rest = _text(rest)
        told["will"] = (topic, payload.encode(), bool(flags & 32))
    for bit, name in ((128, "user"), (64, "password")):
        if flags & bit:
            told[name], rest = _text(rest)
    assert not rest
    return told


def event(number, state="start", model="signs"):
    return {"type": "event", "number": number, "model": model, "id": f"{model}-1", "state": state}


def publish(broker, work, mqtt_url="mqtt://127.0.0.1:{port}", limit_s=30.0, **settings):
    """Run an outlet towards a broker: `work(outlet)`, then stop. Gives the metrics."""
    metrics = Metrics()

    async def main():
        async with broker.listening():
            outlet = Mqtt(Settings(mqtt_url=mqtt_url.format(port=broker.port), **settings), metrics, first_wait_s=0.01)
            await outlet.start()
            try:
                await work(outlet)
            finally:
                await outlet.stop(limit_s)

    asyncio.run(main())
    return metrics


def lost(metrics):
    lines = [
        line for line in metrics.text().decode().splitlines() if line.startswith("signstream_outlet_dropped_total")
    ]
    return {line.split('reason="')[1].split('"')[0]: float(line.split()[-1]) for line in lines}


def arrived(metrics):
    return metrics.outlet_told.labels("mqtt")._value.get()


def told(*events):
    async def work(outlet):
        for one in events:
            outlet.tell("abc", one)

    return work


def test_events_are_published_under_their_session_and_model_in_order():
    broker = Broker()
    metrics = publish(broker, told(event(1), event(2, model="signing"), event(3, "end"), event(4, "end", "signing")))
    assert [topic for topic, _ in broker.events] == [f"signstream/abc/{name}" for name in ("signs", "signing") * 2]
    assert broker.events[0][1] == {"session": "abc"} | event(1)
    assert broker.numbers == [1, 2, 3, 4]
    assert (arrived(metrics), lost(metrics)) == (4, {})
    assert broker.connections[0]["protocol"] == ("MQTT", 4)


def test_the_broker_keeps_whether_the_service_is_there():
    broker = Broker()
    publish(broker, told(event(1)))
    assert [payload for topic, payload, retained in broker.messages if topic == STATUS and retained] == [
        b"online",
        b"offline",
    ]
    assert broker.connections[0]["will"] == (STATUS, b"offline", True)


def test_more_than_are_under_way_at_once_arrive_in_order():
    broker = Broker()
    metrics = publish(broker, told(*(event(number) for number in range(1, 101))))
    assert broker.numbers == list(range(1, 101))
    assert arrived(metrics) == 100


def test_a_broker_that_goes_and_comes_back_gets_what_it_had_not_acknowledged():
    broker = Broker(acknowledge=3)

    async def work(outlet):
        for number in range(1, 6):
            outlet.tell("abc", event(number))
        await broker.until(lambda: 5 in broker.numbers)
        outlet.tell("abc", event(6, "end"))

    metrics = publish(broker, work)
    assert len(broker.connections) == 2
    # At least once: what was acknowledged as the line broke may come again, in order all the same.
    first, again = broker.numbers[:3], broker.numbers[3:]
    assert first == [1, 2, 3]
    assert again == list(range(again[0], 7))
    assert again[0] <= 4
    assert (arrived(metrics), lost(metrics)) == (6, {})


def test_a_line_that_breaks_while_nothing_is_told_is_taken_up_again():
    broker = Broker()

    def online():
        return broker.retained.pop(STATUS, None) == b"online"

    async def work(_):
        await broker.until(online)
        broker.hang_up()
        await broker.until(online)

    publish(broker, work)
    assert len(broker.connections) == 2


def test_a_broker_that_is_away_at_the_start_is_waited_for(caplog):
    broker = Broker()

    async def main():
        async with broker.listening():
            port = broker.port
        outlet = Mqtt(Settings(mqtt_url=f"mqtt://127.0.0.1:{port}"), Metrics(), first_wait_s=0.01)
        away = asyncio.Event()
        lost, outlet._lost = outlet._lost, lambda why: (lost(why), away.set())
        outlet.tell("abc", event(1))
        await outlet.start()
        await away.wait()
        async with broker.listening(port):
            await broker.until(lambda: broker.numbers == [1])
            await outlet.stop(30)

    asyncio.run(main())
    assert caplog.text.count("is away") == 1


def test_credentials_are_passed():
    broker = Broker()
    publish(broker, told(event(1)), mqtt_url="mqtt://us%40er:p%3Aw%2F@127.0.0.1:{port}")
    assert (broker.connections[0]["user"], broker.connections[0]["password"]) == ("us@er", "p:w/")


def test_a_broker_that_does_not_let_in_is_asked_again_and_what_is_left_is_counted(caplog):
    broker = Broker(answer=5)

    async def work(outlet):
        await told(event(1), event(2, "end"))(outlet)
        await broker.until(lambda: len(broker.connections) == 3)

    metrics = publish(broker, work, limit_s=0, mqtt_url="mqtt://me:hunter2@127.0.0.1:{port}")
    assert (arrived(metrics), lost(metrics)) == (0, {"stopped": 2})
    assert caplog.text.count("is away") == 1
    assert "hunter2" not in caplog.text


def test_of_too_many_the_oldest_are_dropped_and_counted():
    broker = Broker()
    metrics = publish(broker, told(*(event(number) for number in range(1, 11))), outlet_backlog=3)
    assert broker.numbers == [8, 9, 10]
    assert lost(metrics) == {"overflow": 7}


def test_updates_are_published_only_where_asked_for():
    events = [event(1), event(2, "update"), event(3, "end")]
    silent, talkative = Broker(), Broker()
    publish(silent, told(*events))
    publish(talkative, told(*events), mqtt_updates=True)
    assert (silent.numbers, talkative.numbers) == ([1, 3], [1, 2, 3])


def test_a_topic_of_ones_own_and_names_that_would_be_wildcards():
    broker = Broker()
    publish(broker, told(event(1, model="a/b+c#")), mqtt_topic="room/7/{model}", mqtt_status_topic="room/7")
    assert (broker.messages[1][0], broker.messages[0][0]) == ("room/7/a_b_c_", "room/7")


def test_an_event_that_cannot_be_written_harms_no_other():
    broker = Broker()
    metrics = publish(broker, told(event(1) | {"label": object()}, event(2, "end")))
    assert broker.numbers == [2]
    assert (arrived(metrics), lost(metrics)) == (1, {"failed": 1})


@pytest.mark.parametrize(
    "settings",
    [
        {"mqtt_url": "http://:hunter2@broker"},
        {"mqtt_url": "mqtt://:hunter2@broker:port"},
        {"mqtt_topic": "signstream/#"},
        {"mqtt_topic": "signstream/{label}"},
        {"mqtt_status_topic": ""},
    ],
)
def test_an_address_or_a_topic_that_is_none_is_refused_and_not_shown(settings):
    with pytest.raises(ValidationError) as refused:
        Settings(**settings)
    assert "hunter2" not in str(refused.value)


def test_mqtt_is_on_where_a_broker_is_named():
    (outlet,) = outlets(Settings(mqtt_url="mqtts://broker"), Metrics())
    assert isinstance(outlet, Mqtt)
