import asyncio
import base64
import hashlib
import hmac
import json
import re
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import ValidationError

from service.metrics import Metrics
from service.outputs import outlets
from service.outputs.outlet import MOST_WAIT_S, backoff_s
from service.outputs.webhook import Webhook
from service.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()


class Receiver:
    """An HTTP server on loopback that answers from a script, then 200; notes every request.

    script: for each request a status, or (status, headers), or "hang up", or "silence". free: none is answered while
    it is clear. came: one release a request.
    """

    def __init__(self, script=()):
        self.script = list(script)
        self.requests = []
        self.free = asyncio.Event()
        self.free.set()
        self.came = asyncio.Semaphore(0)

    @asynccontextmanager
    async def listening(self):
        server = await asyncio.start_server(self._serve, "127.0.0.1")
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/events"
        try:
            yield self
        finally:
            server.close()
            self.free.set()
            await server.wait_closed()

    async def _serve(self, reader, writer):
        try:
            while line := await reader.readline():
                method, path, _ = line.decode().split()
                headers = {}
                while (field := await reader.readline()).strip():
                    name, value = field.decode().split(":", 1)
                    headers[name.lower()] = value.strip()
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.requests.append((method, path, headers, body))
                self.came.release()
                await self.free.wait()
                answer = self.script.pop(0) if self.script else 200
                if answer == "hang up":
                    break
                if answer == "silence":
                    await reader.read()
                    break
                status, more = answer if isinstance(answer, tuple) else (answer, {})
                fields = "".join(f"{name}: {value}\r\n" for name, value in ({"content-length": "2"} | more).items())
                writer.write(f"HTTP/1.1 {status} Scripted\r\n{fields}\r\nok".encode())
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    @property
    def data(self):
        return [json.loads(body)["data"] for _, _, _, body in self.requests]

    @property
    def told(self):
        return [(event["session"], event["number"]) for event in self.data]


class Time:
    """A clock that only waiting moves."""

    def __init__(self, now=1_700_000_000.0):
        self.now, self.waits = now, []

    def __call__(self):
        return self.now

    async def wait(self, seconds):
        self.waits.append(seconds)
        self.now += seconds


def event(number, state="start", **more):
    return {
        "type": "event",
        "number": number,
        "model": "signs",
        "id": f"signs-{(number + 1) // 2}",
        "state": state,
        "is_final": state == "end",
        "label": "hello",
    } | more


def tell(receiver, work, clock=None, limit_s=30.0, **settings):
    """Run a webhook towards a receiver: `work(webhook)`, then stop. Gives the metrics."""
    clock, metrics = clock or Time(), Metrics()

    async def main():
        async with receiver.listening():
            usual = {"webhook_url": receiver.url, "webhook_secret": SECRET}
            webhook = Webhook(Settings(**usual | settings), metrics, clock, clock.wait, lambda low, high: high)
            await webhook.start()
            try:
                await work(webhook)
            finally:
                await webhook.stop(limit_s)

    asyncio.run(main())
    return metrics


def told(*events):
    async def work(webhook):
        for one in events:
            webhook.tell("abc", one)

    return work


def lost(metrics):
    """Lost events by reason, from what Prometheus is told."""
    lines = [
        line for line in metrics.text().decode().splitlines() if line.startswith("signstream_outlet_dropped_total")
    ]
    return {line.split('reason="')[1].split('"')[0]: float(line.split()[-1]) for line in lines}


def arrived(metrics):
    return metrics.outlet_told.labels("webhook")._value.get()


def test_an_event_is_posted_and_its_signature_verifies():
    receiver = Receiver()
    metrics = tell(receiver, told(event(1)), Time(1_700_000_000.25))
    ((method, path, headers, body),) = receiver.requests
    assert (method, path, headers["content-type"]) == ("POST", "/events", "application/json")
    assert json.loads(body) == {
        "type": "event.start",
        "timestamp": "2023-11-14T22:13:20.250+00:00",
        "data": {"session": "abc"} | event(1),
    }
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("abc-1", "1700000000")
    signed = b"abc-1.1700000000." + body
    expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == "v1," + expected
    assert (arrived(metrics), lost(metrics)) == (1, {})


def test_the_lines_of_the_documentation_verify_a_signature():
    (lines,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "outputs.md").read_text(), re.DOTALL)
    exec(lines, written := {})
    receiver = Receiver()
    tell(receiver, told(event(1)))
    ((_, _, headers, body),) = receiver.requests
    assert written["verified"](SECRET, headers, body)
    assert not written["verified"](SECRET, headers, body + b" ")
    assert not written["verified"](SECRET, headers | {"webhook-timestamp": "1700000001"}, body)
    assert not written["verified"]("whsec_" + base64.b64encode(bytes(32)).decode(), headers, body)


def test_while_a_secret_is_changed_both_sign():
    other = bytes(24)
    receiver = Receiver()
    tell(receiver, told(event(1)), webhook_secret=f"{SECRET} whsec_{base64.b64encode(other).decode()}")
    ((_, _, headers, body),) = receiver.requests
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    said = [base64.b64decode(one.removeprefix("v1,")) for one in headers["webhook-signature"].split(" ")]
    assert said == [hmac.digest(key, signed, "sha256") for key in (KEY, other)]


@pytest.mark.parametrize("failure", [500, 503, 429, "hang up"])
def test_what_fails_twice_is_told_the_third_time_with_the_same_id_and_a_new_signature(failure):
    receiver, clock = Receiver([failure, failure]), Time()
    metrics = tell(receiver, told(event(1)), clock)
    assert clock.waits == [1.0, 2.0]
    headers = [headers for _, _, headers, _ in receiver.requests]
    assert {one["webhook-id"] for one in headers} == {"abc-1"}
    assert [one["webhook-timestamp"] for one in headers] == ["1700000000", "1700000001", "1700000003"]
    assert len({one["webhook-signature"] for one in headers}) == 3
    assert (arrived(metrics), lost(metrics)) == (1, {})


def test_a_receiver_that_says_nothing_is_given_up_in_time_and_tried_again():
    receiver = Receiver(["silence"])
    metrics = tell(receiver, told(event(1)), webhook_timeout_s=0.05)
    assert len(receiver.requests) >= 2
    assert arrived(metrics) == 1


def test_tries_end():
    receiver, clock = Receiver([500] * 10), Time()
    metrics = tell(receiver, told(event(1), event(2, "end")), clock, webhook_retries=3)
    assert clock.waits == [1.0, 2.0, 4.0] * 2
    assert receiver.told == [("abc", 1)] * 4 + [("abc", 2)] * 4
    assert (arrived(metrics), lost(metrics)) == (0, {"retries": 2})


@pytest.mark.parametrize(("status", "headers"), [(400, {}), (404, {}), (302, {"location": "/elsewhere"})])
def test_a_refusal_is_not_tried_again_nor_a_redirect_followed(status, headers):
    receiver, clock = Receiver([(status, headers)]), Time()
    metrics = tell(receiver, told(event(1), event(2, "end")), clock)
    assert receiver.told == [("abc", 1), ("abc", 2)]
    assert {path for _, path, _, _ in receiver.requests} == {"/events"}
    assert (clock.waits, arrived(metrics), lost(metrics)) == ([], 1, {f"answered-{status}": 1})


def test_a_receiver_that_is_gone_is_told_nothing_any_more():
    receiver = Receiver([410])

    async def work(webhook):
        await told(event(1), event(2, "end"))(webhook)
        await receiver.came.acquire()

    metrics = tell(receiver, work)
    assert receiver.told == [("abc", 1)]
    assert lost(metrics) == {"gone": 2}


@pytest.mark.parametrize("after", ["20", "Tue, 14 Nov 2023 22:13:40 GMT"])
def test_retry_after_holds_back_every_session(after):
    receiver, clock = Receiver([(429, {"retry-after": after})]), Time()

    async def work(webhook):
        wait = clock.wait

        async def wait_while_another_session_is_told(seconds):
            if not clock.waits:
                webhook.tell("two", event(1))
            await wait(seconds)

        webhook._wait = wait_while_another_session_is_told
        webhook.tell("one", event(1))

    tell(receiver, work, clock)
    assert sorted(receiver.told) == [("one", 1), ("one", 1), ("two", 1)]
    times = [int(headers["webhook-timestamp"]) for _, _, headers, _ in receiver.requests]
    assert times[0] == 1_700_000_000
    assert min(times[1:]) == 1_700_000_020


@pytest.mark.parametrize("after", ["soon", "-3", "", "1e9", "²"])
def test_a_retry_after_that_is_none_changes_nothing(after):
    receiver, clock = Receiver([(503, {"retry-after": after})]), Time()
    assert arrived(tell(receiver, told(event(1)), clock)) == 1
    assert clock.waits == [1.0]


def test_retry_after_is_followed_for_an_hour_at_most():
    receiver, clock = Receiver([(503, {"retry-after": "9" * 400})]), Time()
    assert arrived(tell(receiver, told(event(1)), clock)) == 1
    assert clock.now == 1_700_003_600


def test_a_sessions_events_keep_their_order_while_others_pass():
    """The first event of `slow` fails again and again; its end waits, and `quick` does not."""
    receiver = Receiver()

    async def work(webhook):
        receiver.script[:] = [500]
        webhook.tell("slow", event(1))
        await receiver.came.acquire()
        webhook.tell("slow", event(2, "end"))
        for number in (1, 2):
            webhook.tell("quick", event(number))
        for _ in range(4):
            await receiver.came.acquire()

    tell(receiver, work)
    assert [one for one in receiver.told if one[0] == "slow"] == [("slow", 1), ("slow", 1), ("slow", 2)]
    assert [one for one in receiver.told if one[0] == "quick"] == [("quick", 1), ("quick", 2)]


def test_sessions_are_told_side_by_side():
    receiver = Receiver()

    async def work(webhook):
        receiver.free.clear()
        for session in ("one", "two", "three"):
            webhook.tell(session, event(1))
        for _ in range(3):  # all three are there before the first is answered
            await receiver.came.acquire()
        receiver.free.set()

    assert arrived(tell(receiver, work)) == 3


def test_updates_are_told_only_where_asked_for():
    events = [event(1), event(2, "update"), event(3, "end")]
    silent, talkative = Receiver(), Receiver()
    tell(silent, told(*events))
    tell(talkative, told(*events), webhook_updates=True)
    assert [one["state"] for one in silent.data] == ["start", "end"]
    assert [one["state"] for one in talkative.data] == ["start", "update", "end"]


def test_of_too_many_the_oldest_are_dropped_counted_and_logged_once_in_a_while(caplog):
    receiver, clock = Receiver(), Time()
    metrics = tell(receiver, told(*(event(number) for number in range(1, 11))), clock, outlet_backlog=3)
    assert receiver.told == [("abc", 8), ("abc", 9), ("abc", 10)]
    assert lost(metrics) == {"overflow": 7}
    losses = [record.message for record in caplog.records if "not told" in record.message]
    assert losses == [
        "webhook: events that were not told: 1 (overflow)",
        "webhook: events that were not told: 6 (overflow)",  # added up, at the end
    ]


def test_what_is_left_at_the_stop_is_counted(caplog):
    receiver = Receiver()

    async def work(webhook):
        receiver.free.clear()
        await told(event(1), event(2, "end"))(webhook)
        await receiver.came.acquire()

    metrics = tell(receiver, work, limit_s=0)
    assert lost(metrics) == {"stopped": 2}
    assert "2 (stopped)" in caplog.text


def test_what_comes_after_the_stop_is_counted_too():
    async def work(webhook):
        await webhook.stop(0)
        webhook.tell("abc", event(1))
        webhook.stop = lambda _: asyncio.sleep(0)

    assert lost(tell(Receiver(), work)) == {"stopped": 1}


def test_an_event_that_cannot_be_written_harms_no_other():
    receiver = Receiver()
    metrics = tell(receiver, told(event(1, label=object()), event(2, "end")))
    assert receiver.told == [("abc", 2)]
    assert lost(metrics) == {"failed": 1}


def test_waits_double_up_to_a_limit_and_are_drawn_from_the_whole_of_it():
    drawn = []

    def draw(low, high):
        drawn.append((low, high))
        return (low + high) / 2

    assert [backoff_s(failures, draw) for failures in (1, 2, 3, 7, 1000)] == [
        0.5,
        1,
        2,
        MOST_WAIT_S / 2,
        MOST_WAIT_S / 2,
    ]
    assert {low for low, _ in drawn} == {0.0}


def test_all_is_off_by_default():
    assert outlets(Settings(), Metrics()) == []


@pytest.mark.parametrize(
    "settings",
    [
        {"webhook_url": "https://example.org"},
        {"webhook_url": "ftp://example.org", "webhook_secret": SECRET},
        {"webhook_url": "https://", "webhook_secret": SECRET},
        {"webhook_url": "https://example.org", "webhook_secret": "whsec_" + base64.b64encode(bytes(23)).decode()},
        {"webhook_secret": "whsec_hunter2!"},
    ],
)
def test_an_address_or_a_secret_that_is_none_is_refused_and_not_shown(settings):
    with pytest.raises(ValidationError) as refused:
        Settings(**settings)
    assert "hunter2" not in str(refused.value)
    assert SECRET not in str(refused.value)


def test_secrets_do_not_show():
    shown = repr(Settings(webhook_url="https://example.org/hunter2", webhook_secret=SECRET))
    assert "hunter2" not in shown
    assert SECRET not in shown
