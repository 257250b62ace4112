"""The live session: opened, steered, cut, resumed, watched, drained."""

import asyncio
import json
import struct
import threading
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.websockets import WebSocketDisconnect

from landmarks import SIGN_27
from service.configuration import Configuration
from service.line import Line
from tests.fakes import signer
from tests.service.conftest import serving
from tests.service.test_stream import CLIP, STOP, as_binary, as_json, engine, of, talk

FRAMES = [as_binary(CLIP, i) for i in range(len(CLIP))]


class Talk:
    """One socket, read message by message."""

    def __init__(self, socket):
        self.socket = socket

    def say(self, *messages):
        for message in messages:
            if isinstance(message, bytes):
                self.socket.send_bytes(message)
            else:
                self.socket.send_text(message if isinstance(message, str) else json.dumps(message))

    def until(self, kind, **fields):
        """All messages up to the first one of that type that has these fields."""
        said = []
        while not said or said[-1] | fields | {"type": kind} != said[-1]:
            said.append(self.socket.receive_json())
        return said

    def rest(self):
        """All messages to the close, and its code and reason."""
        said = []
        try:
            while True:
                said.append(self.socket.receive_json())
        except WebSocketDisconnect as closed:
            return said, closed.code, closed.reason

    def closed(self):
        return self.rest()[1:]


@contextmanager
def connected(client, first=None, address="/v1/stream", **headers):
    """A socket, opened with `first` if that is given; `ready` is then what it was told, `ready` or `resumed`."""
    with client.websocket_connect(address, headers=headers) as socket:
        talk = Talk(socket)
        if first is not None:
            talk.say(first)
            talk.ready = talk.until({"start": "ready", "resume": "resumed"}[first["type"]])[-1]
        yield talk


def start(**how):
    return {"type": "start", "models": ["signing"]} | how


def resume(ready, last_number=0):
    return {
        "type": "resume",
        "session": ready["session"],
        "token": ready["resume"]["token"],
        "last_number": last_number,
    }


def sessions(client):
    return client.app.state.house.sessions


# --- opened over REST


def test_a_token_opens_the_session_that_was_asked_for_once(client):
    asked = {"models": ["slow"], "scores": True, "interim": False}
    answer = client.post("/v1/sessions", json=asked)
    assert answer.status_code == 201
    opened = answer.json()
    path = opened["socket"].removeprefix("ws://testserver")
    with connected(client, address=path) as stream:
        (ready,) = stream.until("ready")
        assert ready["session"] == opened["session"]
        assert ready["configuration"] | asked == ready["configuration"]
        stream.say(*FRAMES, STOP)
        said, code, _ = stream.rest()
        assert (code, {message["model"] for message in of("scores", said)}) == (1000, {"slow"})
    with connected(client, address=path) as stream:
        assert stream.until("problem")[-1]["problem"]["code"] == "unknown-token"
        assert stream.closed()[0] == 1008


@pytest.mark.slow
def test_a_token_that_is_too_old_opens_nothing():
    with serving(engine(), token_s=1e-9) as client:
        opened = client.post("/v1/sessions", json={}).json()
        with connected(client, address=opened["socket"].removeprefix("ws://testserver")) as stream:
            assert stream.until("problem")[-1]["problem"]["code"] == "unknown-token"


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"models": ["nope"]}, 404, "unknown-model"),
        ({"modles": ["signing"]}, 422, "invalid-request"),
        ({"layout": "nope"}, 422, "invalid-landmarks"),
        ({"layout": "coco_17"}, 422, "invalid-landmarks"),
        ({"decoding": {"slow": {"start_above": 0.1, "stop_below": 0.2}}}, 422, "invalid-message"),
        ({"decoding": {"nope": {}}}, 422, "invalid-message"),
        ({"gates": [{"by": "signing", "models": ["signing"]}]}, 422, "invalid-message"),
        ({"gates": [{"by": "signing", "models": ["nope"]}]}, 404, "unknown-model"),
        ({"gates": [{"by": "signing", "models": ["slow"], "labels": ["nope"]}]}, 422, "invalid-request"),
        ({"layout": "sign_27", "hands": "by_body"}, 422, "invalid-message"),
        ({"decoding": {"slow": {"labels": {"nope": {"pad_s": 1}}}}}, 422, "invalid-message"),
    ],
)
def test_a_session_that_cannot_be_is_refused_when_it_is_asked_for(client, asked, status, code):
    answer = client.post("/v1/sessions", json=asked)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_session_can_be_looked_at_and_ended_over_rest(client):
    with connected(client, start()) as stream:
        session = f"/v1/sessions/{stream.ready['session']}"
        stream.say(*FRAMES[:8])
        stream.until("event")
        while client.get(session).json()["seq"] < 7:
            pass
        status = client.get(session).json()
        assert (status["state"], status["frames"], status["events"]) == ("live", 8, {"signing": 1})
        assert client.delete(session).status_code == 204
        said, code, _ = stream.rest()
        assert (said[-2]["state"], said[-1]["type"], code) == ("end", "summary", 1000)
    assert client.get(session).json()["code"] == "unknown-session"


# --- keys


@pytest.mark.slow
@pytest.mark.parametrize("headers", [{"Authorization": "Bearer two"}, {"X-API-Key": "one"}])
def test_a_key_opens_rest_and_socket(headers):
    with serving(engine(), api_keys="one, two") as client:
        assert client.get("/v1/models", headers=headers).status_code == 200
        with connected(client, start(), **headers) as stream:
            stream.say(STOP)
            assert stream.closed()[0] == 1000


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer three"}, {"X-API-Key": ""}, {"Authorization": "two"}]
)
def test_without_a_key_nothing_is_answered_but_health_and_page(headers):
    with serving(engine(), api_keys="one, two") as client:
        for method, path in (
            ("GET", "/v1/models"),
            ("POST", "/v1/clips"),
            ("POST", "/v1/sessions"),
            ("GET", "/v1/sessions/x"),
        ):
            answer = client.request(method, path, headers=headers, json={})
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthorised"), path
        with connected(client, **headers) as stream:
            stream.say(start())
            assert stream.until("problem")[-1]["problem"]["code"] == "unauthorised"
            assert stream.closed()[0] == 1008
        for path in ("/livez", "/readyz", "/metrics", "/"):
            assert client.get(path).status_code == 200


def test_a_token_needs_no_key_and_who_resumes_shows_the_sessions_own():
    with serving(engine(), api_keys="one") as client:
        opened = client.post("/v1/sessions", json={"resumable": True}, headers={"X-API-Key": "one"}).json()
        with connected(client, address=opened["socket"].removeprefix("ws://testserver")) as stream:
            (ready,) = stream.until("ready")
            stream.socket.close(1001)
        with connected(client, resume(ready)) as again:
            again.say(STOP)
            assert again.closed()[0] == 1000


# --- what frames are


def test_frames_in_one_message_are_frames_in_many(client):
    alone, _ = talk(client, [*FRAMES, STOP], scores=True)
    packed, _ = talk(client, [b"".join(FRAMES[:7]), b"".join(FRAMES[7:]), STOP], scores=True)
    assert packed[1:] == alone[1:]  # all but `ready`, which names the session


def test_an_even_rate_stands_for_the_times(client):
    timed, _ = talk(client, [*FRAMES, STOP], scores=True)
    untimed = [{key: value for key, value in as_json(CLIP, i).items() if key != "at_s"} for i in range(len(CLIP))]
    counted, _ = talk(client, [*untimed, STOP], scores=True, fps=10.0)
    assert counted[1:] == timed[1:]


def test_frames_may_come_as_joints_of_the_layout_that_was_agreed(client):
    whole, _ = talk(client, [*FRAMES, STOP], models=["signing"])
    picked = CLIP.pick(SIGN_27).xyz.astype("<f4")
    frames = [struct.pack("<IHHd", i, 32, 0, i / 10) + frame.tobytes() for i, frame in enumerate(picked)]
    said, code = talk(client, [*frames, STOP], models=["signing"], layout="sign_27")
    assert (said[1:], code) == (whole[1:], 1000)


def test_frames_that_come_too_fast_for_a_live_session_push_the_oldest_out_and_it_is_said():
    warm, going, released = threading.Event(), threading.Event(), threading.Event()

    def waits(window):
        if warm.is_set():
            going.set()
            assert released.wait(30)
        return 0.0

    with serving(engine(waits), max_pending_frames=4, spot_s=0, lag_s=1e-9) as slow:
        warm.set()
        with connected(slow, start(overflow="drop_oldest")) as stream:
            stream.say(FRAMES[0])
            assert going.wait(30)
            stream.say(*FRAMES[1:12])
            while slow.get(f"/v1/sessions/{stream.ready['session']}").json()["dropped"] < 7:
                pass
            released.set()
            stream.say(STOP)
            said, code, _ = stream.rest()
    assert [(m["count"], m["seqs"], m["reason"]) for m in of("dropped", said)] == [(7, [1, 7], "slow")]
    assert (said[-1]["frames"], said[-1]["dropped"], code) == (5, 7, 1000)
    assert of("lag", said)


# --- steered


def test_every_control_is_answered_after_the_frames_before_it(client):
    with connected(client, start()) as stream:
        stream.say({"type": "keepalive"}, *FRAMES[:3], {"type": "keepalive"}, STOP)
        said, code, _ = stream.rest()
    assert [(done["control"], done["seq"]) for done in of("done", said)] == [("keepalive", None), ("keepalive", 2)]
    assert code == 1000


def test_flush_tells_all_and_the_stream_goes_on(client):
    up = signer([True] * 20, fps=10)
    frames = [as_binary(up, i) for i in range(20)]
    with connected(client, start(models=["slow"])) as stream:
        stream.say(*frames[:10], {"type": "flush"})
        first = of("event", stream.until("done", control="flush"))
        stream.say(*frames[10:], STOP)
        second = of("event", stream.rest()[0])
    assert (first[-1]["state"], first[-1]["end_s"]) == ("end", pytest.approx(0.8))
    assert (second[0]["state"], second[0]["start_s"]) == ("start", pytest.approx(1.0))
    assert {event["id"] for event in first}.isdisjoint(event["id"] for event in second)


def test_after_a_reset_time_may_begin_anew(client):
    with connected(client, start()) as stream:
        stream.say(*FRAMES[:8], {"type": "reset"})
        ended = stream.until("done", control="reset")
        assert [event["state"] for event in of("event", ended)][-1] == "end"
        stream.say(*FRAMES, STOP)
        said, _, _ = stream.rest()
    unbroken, _ = talk(client, [*FRAMES, STOP], models=["signing"])
    times = ("state", "start_s", "end_s", "decided_at_s")
    assert [[e[t] for t in times] for e in of("event", said)] == [[e[t] for t in times] for e in of("event", unbroken)]
    assert not of("problem", said)


def test_a_session_is_configured_under_way(client):
    with connected(client, start()) as stream:
        stream.say(*FRAMES[:8], {"type": "configure", "interim": False, "scores": True, "aspect": 1.0})
        said = stream.until("done", control="configure")
        assert not of("scores", said)
        assert of("event", said)[-1]["state"] == "update"
        changed = said[-1]["configuration"]
        assert (changed["interim"], changed["scores"], changed["aspect"]) == (False, True, 1.0)
        stream.say(*FRAMES[8:], STOP)
        said, _, _ = stream.rest()
    assert len(of("scores", said)) == 12
    assert [event["state"] for event in of("event", said)] == ["end"]


def test_thresholds_may_change_while_an_event_is_open(client):
    with connected(client, start()) as stream:
        deaf = {"decoding": {"signing": {"start_above": 1.0, "stop_below": 1.0}}}
        stream.say({"type": "configure", "decoding": {"signing": {"start_above": 0.1, "stop_below": 0.2}}})
        assert stream.until("problem")[-1]["problem"]["code"] == "invalid-message"
        stream.say(*FRAMES[:8], {"type": "configure"} | deaf, *FRAMES[8:12])
        stream.say({"type": "configure", "decoding": {"signing": {"min_gap_s": 9.0}}}, *FRAMES[12:], STOP)
        said, _, _ = stream.rest()
    assert of("event", said)[0]["state"] == "start"
    assert of("event", said)[-1]["end_s"] == pytest.approx(1.5)


def test_events_are_numbered_and_told_apart_from_updates(client):
    said, _ = talk(client, [*FRAMES, STOP])
    assert [event["number"] for event in of("event", said)] == list(range(1, len(of("event", said)) + 1))
    assert all(event["is_final"] == (event["state"] == "end") for event in of("event", said))
    quiet, _ = talk(client, [*FRAMES, STOP], interim=False)
    assert [(e["number"], e["state"]) for e in of("event", quiet)] == [
        (1, "start"),
        (2, "start"),
        (3, "end"),
        (4, "end"),
    ]


def test_frames_are_acknowledged_as_often_as_asked(client):
    said, _ = talk(client, [*FRAMES, STOP], ack_every=8)
    assert [ack["seq"] for ack in of("ack", said)] == [7, 15, 19]
    assert not of("ack", talk(client, [*FRAMES, STOP])[0])


# --- cut, and resumed


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 20), max_size=4).map(sorted), seen=st.data())
def test_a_session_that_is_cut_anywhere_tells_what_an_unbroken_one_tells_and_nothing_twice(client, cuts, seen):
    unbroken, _ = talk(client, [*FRAMES, STOP])
    told, ready, sent = [], None, 0
    for cut in [*cuts, None]:
        first = start(models=["signing", "slow"], resumable=True) if ready is None else resume(ready, len(told))
        with connected(client, first) as stream:
            ready = ready or stream.ready
            sent = stream.ready.get("next_seq", 0)
            stream.say(*FRAMES[sent:cut])
            if cut is None:
                stream.say(STOP)
                said, code, _ = stream.rest()
                told += of("event", said)
                assert code == 1000
                break
            # Some of what is told comes through before the line is cut, some does not.
            stream.say({"type": "keepalive"})
            came = of("event", stream.until("done"))
            told += came[: seen.draw(st.integers(0, len(came)))]
            stream.socket.close(1001)
    assert told == of("event", unbroken)
    assert said[-1] == unbroken[-1]


def test_frames_that_were_taken_already_may_be_sent_again(client):
    with connected(client, start(resumable=True)) as stream:
        ready = stream.ready
        assert ready["resume"]["within_s"] == 60
        stream.say(*FRAMES[:9], {"type": "keepalive"})
        before = of("event", stream.until("done"))
        stream.socket.close(1001)
    with connected(client, resume(ready, len(before))) as stream:
        assert (stream.ready["next_seq"], stream.ready["lost"]) == (9, 0)
        stream.say(*FRAMES[5:], STOP)
        said, _, _ = stream.rest()
    unbroken, _ = talk(client, [*FRAMES, STOP], models=["signing"])
    assert before + of("event", said) == of("event", unbroken)
    assert said[-1]["problems"] == 0


def test_the_last_words_are_told_again_where_the_line_was_lost_with_them(client):
    unbroken, _ = talk(client, [*FRAMES, STOP], models=["signing"])
    with connected(client, start(resumable=True)) as stream:
        ready = stream.ready
        stream.say(*FRAMES, STOP)
        stream.rest()
    for last_number in (0, 1):
        with connected(client, resume(ready, last_number)) as stream:
            assert stream.ready["next_seq"] == len(FRAMES)
            stream.say(STOP)
            said, code, _ = stream.rest()
        assert of("event", said) == of("event", unbroken)[last_number:]
        assert (said[-1], code) == (unbroken[-1], 1000)


def test_what_was_not_kept_for_so_long_is_said_to_be_lost():
    with serving(engine(), max_kept_events=3) as client:
        with connected(client, start(resumable=True)) as stream:
            stream.say(*FRAMES[:12], {"type": "keepalive"})
            told = of("event", stream.until("done"))
            stream.socket.close(1001)
        with connected(client, resume(stream.ready)) as again:
            assert again.ready["lost"] == len(told) - 3
            assert [event["number"] for event in again.until("event", number=len(told))] == [5, 6, 7]


def test_the_new_line_wins_where_the_old_one_seems_alive(client):
    with connected(client, start(resumable=True)) as old:
        old.say(FRAMES[0])
        with connected(client, resume(old.ready)) as new:
            assert old.closed() == (1008, "resumed elsewhere")
            new.say(*FRAMES[1:], STOP)
            said, code, _ = new.rest()
    assert (said[-1]["frames"], code) == (20, 1000)


@pytest.mark.parametrize("wrong", ["session", "token"])
def test_nobody_else_resumes_a_session(client, wrong):
    with connected(client, start(resumable=True)) as stream:
        with connected(client) as other:
            other.say(resume(stream.ready) | {wrong: "a guess"})
            assert other.until("problem")[-1]["problem"]["code"] == "unknown-session"
            assert other.closed()[0] == 1008
        stream.say(STOP)
        assert stream.closed()[0] == 1000


def test_a_session_that_is_not_resumable_ends_with_its_line_and_all_that_was_heard(client):
    with connected(client, start()) as stream:
        assert stream.ready["resume"] is None
        live = sessions(client).find(stream.ready["session"])
        stream.say(*FRAMES[:8])
        stream.socket.close(1001)
    client.portal.call(live.ended)
    assert (live.summary["frames"], live.summary["events"]) == (8, {"signing": 1})


def test_a_parked_session_is_kept_for_a_while_and_makes_room_if_need_be():
    with serving(engine(), max_streams=1) as client:
        with connected(client, start(resumable=True)) as stream:
            stream.socket.close(1001)
        first = stream.ready
        while client.get(f"/v1/sessions/{first['session']}").json()["state"] != "parked":
            pass
        client.portal.call(sessions(client).sweep)
        with connected(client, resume(first)) as again:
            again.socket.close(1001)
        while client.get(f"/v1/sessions/{first['session']}").json()["state"] != "parked":
            pass
        with connected(client, start()) as other:
            other.say(STOP)
            assert other.closed()[0] == 1000
        assert client.get(f"/v1/sessions/{first['session']}").status_code == 404


def test_a_parked_session_ends_in_time():
    with serving(engine(), resume_s=1e-9) as client:
        with connected(client, start(resumable=True)) as stream:
            live = sessions(client).find(stream.ready["session"])
            stream.socket.close(1001)
        while not live.parked:
            pass
        client.portal.call(sessions(client).sweep)
        client.portal.call(live.ended)
        assert len(sessions(client)) == 0


def test_who_says_nothing_for_very_long_is_hung_up_politely():
    with serving(engine(), idle_s=1e-9) as client, connected(client, start()) as stream:
        client.portal.call(sessions(client).sweep)
        said, code, reason = stream.rest()
        assert (said[-1]["type"], code, reason) == ("summary", 1000, "idle")


# --- watched


def watched(text):
    """Server-Sent Events as (id, event, data)."""
    blocks = [block.split("\n") for block in text.strip().split("\n\n")]
    fields = [dict(line.split(": ", 1) for line in block if not line.startswith(":")) for block in blocks]
    return [(one.get("id"), one["event"], json.loads(one["data"])) for one in fields if one]


@pytest.mark.parametrize("headers", [{}, {"Last-Event-ID": "4"}])
def test_a_viewer_sees_the_events_that_the_caller_sees(client, headers):
    seen = {}
    with connected(client, start()) as stream:
        address = f"/v1/sessions/{stream.ready['session']}/events"
        viewer = threading.Thread(target=lambda: seen.update(text=client.get(address, headers=headers).text))
        viewer.start()
        while not client.get(address.removesuffix("/events")).json()["viewers"]:
            pass
        stream.say(*FRAMES, STOP)
        said, _, _ = stream.rest()
        viewer.join(30)
    *events, (_, last, summary) = watched(seen["text"])
    after = int(headers.get("Last-Event-ID", 0))
    assert [(number, event) for number, _, event in events] == [
        (str(event["number"]), event) for event in of("event", said)[after:]
    ]
    assert (last, summary) == ("summary", said[-1])


def test_a_viewer_shows_a_key_or_the_sessions_own_token():
    with serving(engine(), api_keys="one") as client:
        key = {"X-API-Key": "one"}
        opened = client.post("/v1/sessions", json={}, headers=key).json()
        with connected(client, address=opened["socket"].removeprefix("ws://testserver")) as stream:
            stream.until("ready")
            bare, _, _ = opened["watch"].partition("?")
            assert client.get(bare).json()["code"] == "unauthorised"
            assert client.get(f"{bare}?token=guess").json()["code"] == "unauthorised"
            seen = []
            shown = [(opened["watch"], {}), (bare, key)]
            viewers = [
                threading.Thread(target=lambda at, by: seen.append(client.get(at, headers=by).text), args=one)
                for one in shown
            ]
            for viewer in viewers:
                viewer.start()
            while client.get(f"/v1/sessions/{opened['session']}", headers=key).json()["viewers"] < 2:
                pass
            stream.say(STOP)
            stream.rest()
            for viewer in viewers:
                viewer.join(30)
            assert ["event: summary" in text for text in seen] == [True, True]


# --- drained


def test_a_service_that_stops_lets_sessions_say_all_and_takes_none():
    with serving(engine(), retry_after_s=3.5) as client, connected(client, start()) as stream:
        stream.say(*FRAMES[:8])
        stream.until("event")
        client.portal.call(sessions(client).drain)
        said, code, _ = stream.rest()
        assert [(m["retry_after_s"], m["resumable"]) for m in of("closing", said)] == [(3.5, False)]
        assert (of("event", said)[-1]["state"], said[-1]["type"], said[-1]["frames"], code) == (
            "end",
            "summary",
            8,
            1012,
        )
        answer = client.post("/v1/sessions", json={})
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "draining", "2")
        assert client.get("/readyz").json()["status"] == "draining"
        with connected(client) as other:
            assert other.until("problem")[-1]["problem"]["code"] == "draining"
            assert other.closed()[0] == 1013


# --- who does not read


class Socket:
    """One that nobody reads until `reads` is set."""

    def __init__(self):
        self.reads, self.waits, self.closed = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.heard = []

    async def send(self, message):
        self.waits.set()
        await self.reads.wait()
        self.heard.append(json.loads(message["text"]))

    async def close(self, code, reason):
        self.closed.set()
        self.code, self.reason = code, reason


def test_who_reads_nothing_is_cut_and_may_come_back():
    async def scenario(house):
        live = house.sessions.open(Configuration(models=("signing",), resumable=True))
        deaf, again = Socket(), Socket()
        await live.greet(Line(deaf))
        for frame in FRAMES:
            await live.hear(frame)
        await deaf.waits.wait()
        await house.sessions.sweep()
        await deaf.closed.wait()
        again.reads.set()
        await live.greet(Line(again), 0)
        await live.stop()
        await live.ended()
        return deaf, again

    with serving(engine(), slow_close_s=1e-9) as client:
        unbroken, _ = talk(client, [*FRAMES, STOP], models=["signing"])
        deaf, again = client.portal.call(scenario, client.app.state.house)
    assert (deaf.code, deaf.reason, deaf.heard) == (1013, "slow_consumer", [])
    assert of("event", again.heard) == of("event", unbroken)


def test_who_reads_slowly_is_warned():
    async def scenario(house):
        live = house.sessions.open(Configuration(models=("signing",)))
        slow = Socket()
        await live.greet(Line(slow))
        await slow.waits.wait()
        slow.reads.set()
        await live.stop()
        await live.ended()
        return slow

    with serving(engine(), slow_s=1e-9) as client:
        slow = client.portal.call(scenario, client.app.state.house)
    assert {warning["code"] for warning in of("warning", slow.heard)} == {"slow_consumer"}
    assert slow.code == 1000


# --- other ways out


def test_a_slow_viewer_hears_what_was_told_while_the_session_ended():
    async def scenario(house):
        live = house.sessions.open(Configuration(models=("signing",)))
        caller = Socket()
        caller.reads.set()
        await live.greet(Line(caller))
        viewer = live.watch(0)
        first = asyncio.ensure_future(anext(viewer))
        for frame in FRAMES:
            await live.hear(frame)
        seen = [await first]  # the viewer takes its time from here on
        await live.stop()
        await live.ended()
        return caller, [*seen, *[one async for one in viewer]]

    with serving(engine()) as client:
        caller, seen = client.portal.call(scenario, client.app.state.house)
    assert [json.loads(text) for _, text in seen] == of("event", caller.heard)


class Listener:
    """An outlet that notes what it is told."""

    def __init__(self):
        self.told = []

    def tell(self, session, message):
        self.told.append((session, message))

    async def start(self):
        pass

    async def stop(self, limit_s):
        pass


def test_an_outlet_is_told_every_event_once_whoever_listens_on_the_socket():
    with serving(engine()) as client:
        listener = Listener()
        client.app.state.house.outlets.append(listener)
        with connected(client, start(resumable=True)) as stream:
            ready = stream.ready
            stream.say(*FRAMES[:9], {"type": "keepalive"})
            stream.until("done")
            stream.socket.close(1001)
        with connected(client, resume(ready, 2)) as again:
            again.say(*FRAMES[9:], STOP)
            again.rest()
        unbroken, _ = talk(client, [*FRAMES, STOP], models=["signing"])
        told = [message for session, message in listener.told if session == ready["session"]]
    assert told == of("event", unbroken)
