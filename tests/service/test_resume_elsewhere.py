"""Sessions that go on at another instance, from what the first one left in Redis."""

import time
from contextlib import contextmanager

import fakeredis
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.engine import OnnxEngine, Runtime
from service.resume import RedisStore
from tests.fakes import RuleEngine, manifest, right_hand_seen
from tests.graphs import leaky_manifest, recurrent
from tests.service.conftest import serving
from tests.service.test_live import FRAMES, connected, resume, sessions, start
from tests.service.test_stream import STOP, of, talk

pytestmark = pytest.mark.slow

ALL = ["net", "signing", "slow"]


@contextmanager
def instance(path, server, name, **settings):
    """A service with models of its own, and a Redis that may have others."""
    models = [
        OnnxEngine(path, Runtime(streams=200)),
        RuleEngine(manifest("signing", frames=4, fps=10), right_hand_seen),
        RuleEngine(manifest("slow", ("none", "hand"), frames=4, stride=2, fps=10, centre=0.5), right_hand_seen),
    ]
    with serving(*models, **settings) as client:
        house = client.app.state.house
        house.store = RedisStore(fakeredis.FakeAsyncRedis(server=server), name, 5.0, house.metrics)
        yield client


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return recurrent(folder / "net.onnx", leaky_manifest(manifest("net"), behind=2))


@pytest.fixture(scope="module")
def pair(path):
    server = fakeredis.FakeServer()
    with instance(path, server, "one") as one, instance(path, server, "two") as two:
        yield [one, two]


def how(ready):
    return start(models=ALL, resumable=True, ack_every=3, scores=True) if ready is None else resume(*ready)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 20), max_size=4).map(sorted), data=st.data())
def test_a_session_cut_anywhere_goes_on_at_any_instance_and_tells_nothing_twice(pair, cuts, data):
    unbroken, _ = talk(pair[0], [*FRAMES, STOP], models=ALL, scores=True)
    told, ready = [], None
    for cut in [*cuts, None]:
        client = data.draw(st.sampled_from(pair))
        with connected(client, how(ready and (ready, len(told)))) as stream:
            ready = ready or stream.ready
            stream.say(*FRAMES[stream.ready.get("next_seq", 0) : cut])
            if cut is None:
                stream.say(STOP)
                said, code, _ = stream.rest()
                told += of("event", said)
                break
            stream.say({"type": "keepalive"})
            came = of("event", stream.until("done"))
            told += came[: data.draw(st.integers(0, len(came)))]
            stream.socket.close(1001)
    assert code == 1000
    assert told == of("event", unbroken)
    assert (said[-1]["frames"], said[-1]["events"]) == (20, unbroken[-1]["events"])


@pytest.mark.parametrize("at", [3, 8, 14])
def test_an_instance_that_dies_is_gone_on_from_what_was_acknowledged(path, at):
    server = fakeredis.FakeServer()
    with instance(path, server, "other") as other:
        unbroken, _ = talk(other, [*FRAMES, STOP], models=ALL)
        with instance(path, server, "dies") as dies, connected(dies, how(None)) as stream:
            stream.say(*FRAMES[:at], {"type": "keepalive"})
            before = stream.until("done")
            stream.say(*FRAMES[at : at + 2])
            while dies.get(f"/v1/sessions/{stream.ready['session']}").json()["seq"] < at + 1:
                pass
            dies.app.state.house.store = None  # what it does from here on leaves no trace
            ready = stream.ready
        acknowledged = max(ack["seq"] for ack in of("ack", before))
        # The last ones come from frames that were not acknowledged, and are told again.
        told = of("event", before)
        with connected(other, resume(ready, len(told))) as stream:
            assert acknowledged < stream.ready["next_seq"] <= at + 2
            stream.say(*FRAMES[stream.ready["next_seq"] :], STOP)
            said, code, _ = stream.rest()
    assert (told + of("event", said), code) == (of("event", unbroken), 1000)


def test_an_instance_that_lost_a_session_says_nothing_more(pair):
    one, two = pair
    with connected(one, how(None)) as stream:
        live = sessions(one).find(stream.ready["session"])
        stream.say(*FRAMES[:6], {"type": "keepalive"})
        told = of("event", stream.until("done"))
        with connected(two, resume(stream.ready, len(told))) as other:
            stream.say(*FRAMES[6:12])
            assert stream.rest()[1:] == (1008, "resumed elsewhere")
            one.portal.call(live.ended)
            other.say(*FRAMES[6:], STOP)
            assert other.rest()[1] == 1000


def test_what_an_instance_still_has_of_a_session_that_left_goes_in_time_and_harms_nobody(pair):
    one, two = pair
    unbroken, _ = talk(two, [*FRAMES, STOP], models=ALL)
    with connected(one, how(None)) as stream:
        live = sessions(one).find(stream.ready["session"])
        stream.say(*FRAMES[:9], {"type": "keepalive"})
        told = of("event", stream.until("done"))
        stream.socket.close(1001)
    while not live.parked:
        pass
    with connected(two, resume(stream.ready, len(told))) as again:
        one.portal.call(live.sweep, time.monotonic() + 1000)
        one.portal.call(live.ended)
        assert live.over.result().reason == "resumed elsewhere"
        again.say(*FRAMES[9:], STOP)
        said, code, _ = again.rest()
    assert (told + of("event", said), code) == (of("event", unbroken), 1000)


def test_a_service_that_stops_hands_its_sessions_over(path):
    server = fakeredis.FakeServer()
    with (
        instance(path, server, "one") as one,
        instance(path, server, "two") as two,
        connected(one, how(None)) as stream,
    ):
        stream.say(*FRAMES[:8], {"type": "keepalive"})
        told = of("event", stream.until("done"))
        one.portal.call(sessions(one).drain)
        said, code, _ = stream.rest()
        assert ([message["resumable"] for message in of("closing", said)], code) == ([True], 1012)
        assert not of("summary", said)
        with connected(two, resume(stream.ready, len(told))) as again:
            again.say(*FRAMES[again.ready["next_seq"] :], STOP)
            rest, _, _ = again.rest()
        unbroken, _ = talk(two, [*FRAMES, STOP], models=ALL)
        assert told + of("event", said) + of("event", rest) == of("event", unbroken)


def test_a_token_opens_a_socket_at_any_instance_once(pair):
    one, two = pair
    opened = one.post("/v1/sessions", json={"models": ["slow"], "scores": True}).json()
    address = opened["socket"].removeprefix("ws://testserver")
    with connected(two, address=address) as stream:
        (ready,) = stream.until("ready")
        assert (ready["session"], ready["configuration"]["models"]) == (opened["session"], ["slow"])
        stream.say(*FRAMES, STOP)
        assert stream.rest()[1] == 1000
    for client in pair:
        with connected(client, address=address) as stream:
            assert stream.until("problem")[-1]["problem"]["code"] == "unknown-token"


@pytest.mark.parametrize("wrong", ["session", "token"])
def test_nobody_takes_a_session_by_guessing(pair, wrong):
    one, two = pair
    with connected(one, how(None)) as stream:
        stream.say(*FRAMES[:6], {"type": "keepalive"})
        stream.until("done")
        with connected(two) as other:
            other.say(resume(stream.ready) | {wrong: "a guess"})
            assert other.until("problem")[-1]["problem"]["code"] == "unknown-session"
        stream.say(*FRAMES[6:], STOP)
        assert stream.rest()[1] == 1000


def test_a_session_goes_on_where_redis_is_away_and_nothing_is_acknowledged(path):
    server = fakeredis.FakeServer()
    with instance(path, server, "one") as client:
        with connected(client, how(None)) as stream:
            server.connected = False
            stream.say(*FRAMES[:9], {"type": "keepalive"})
            assert not of("ack", stream.until("done"))
            server.connected = True
            stream.say(*FRAMES[9:], STOP)
            said, code, _ = stream.rest()
        unbroken, _ = talk(client, [*FRAMES, STOP], models=ALL)
    assert ([ack["seq"] for ack in of("ack", said)], code) == ([11, 14, 17, 19], 1000)
    assert said[-1] == unbroken[-1]
