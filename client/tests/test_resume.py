"""A line that is lost: whatever is cut when, the caller hears what an unbroken stream tells, each once, in order."""

import asyncio
import itertools
import json
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from signstream_client import (
    AsyncClient,
    Client,
    Done,
    Event,
    Frame,
    Interrupted,
    Message,
    Picture,
    Ready,
    Reconnect,
    Resumed,
    StreamClosed,
    StreamLost,
    StreamProtocol,
    Summary,
)
from signstream_client import protocol as protocols
from signstream_client.errors import Busy, Unauthorised
from signstream_client.frame import decode_frames
from signstream_client.live import IN_FLIGHT, LivePictures
from signstream_client.reconnect import Tries

from client.tests import answers
from client.tests.scripted import Counter, CutService, SilentService, serving

AT_ONCE = Reconnect(chance=lambda: 0.0, clock=lambda: 0.0)


class Talk:
    """A caller with a script, a service, and between them a line on which messages travel one by one, until it is cut.

    caller: what it does in turn, a frame or the name of a control; before `stop` it waits for all answers.
    """

    def __init__(self, caller: list[str]) -> None:
        self._protocol = StreamProtocol(resumable=True, reconnect=AT_ONCE)
        self._service = Counter()
        self._caller = deque(caller)
        self._sent = 0
        self._asked = 0
        self.heard: list[Message] = []
        self._connect()
        self.up()
        self.down()

    def _connect(self) -> None:
        self._up: deque[str | bytes] = deque(self._protocol.opening())
        self._down: deque[str] = deque()
        self._greeted = False

    def say(self) -> None:
        """The caller does what is next; where there is no open line it has to wait."""
        if not self._protocol.open or not self._caller:
            return
        if self._caller[0] == "stop" and sum(isinstance(one, Done) for one in self.heard) < self._asked:
            return
        if (what := self._caller.popleft()) == "frame":
            self._sent += 1
            self._up.extend(self._protocol.frames(Frame(self._sent / 30))[1])
        else:
            self._asked += 1
            self._up.append(getattr(self._protocol, what)())

    def up(self) -> None:
        """One message reaches the service, which answers."""
        if self._up:
            self._down.extend(map(json.dumps, self._service.hear(self._up.popleft())))

    def down(self) -> None:
        """One answer reaches the caller."""
        if not self._down:
            return
        message = self._protocol.receive(self._down.popleft())
        if message is not None:
            self.heard.append(message)
        if self._protocol.open and not self._greeted:
            self._greeted = True
            self._up.extend(self._protocol.backlog())

    def cut(self) -> None:
        """What is under way is lost, in both directions."""
        if self._protocol.summary is not None:
            return
        assert self._protocol.closed(None, "") is not None
        assert self._protocol.wait_s() == 0
        self._connect()

    def hold(self) -> None:
        """The line holds."""

    def move(self) -> None:
        """The service's machine is lost as well."""
        self._service.move()
        self.cut()

    def finish(self) -> None:
        """Without further trouble."""
        for _ in range(1000):
            self.say()
            self.up()
            self.down()

    def told(self) -> tuple[list[Event], list[str], Summary | None]:
        """What must not depend on the line."""
        events = [message for message in self.heard if isinstance(message, Event)]
        return events, [message.control for message in self.heard if isinstance(message, Done)], self._protocol.summary


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from(["frame", "frame", "frame", "flush", "keepalive"]), max_size=16),
    st.lists(st.tuples(*[st.integers(0, 8)] * 3, st.sampled_from(["hold", "cut", "move"])), max_size=10),
)
def test_cut_anywhere_the_caller_hears_what_an_unbroken_stream_tells(
    caller: list[str], spells: list[tuple[int, int, int, str]]
):
    unbroken, broken = Talk([*caller, "stop"]), Talk([*caller, "stop"])
    unbroken.finish()
    for says, ups, downs, then in spells:
        for step in [*["say"] * says, *["up"] * ups, *["down"] * downs, then]:
            getattr(broken, step)()
    broken.finish()
    assert broken.told() == unbroken.told()
    assert [event.number for event in broken.told()[0]] == [i + 1 for i in range(len(broken.told()[0]))]


def _talk_sync(url: str, frames: int) -> list[Message]:
    with Client(url) as client, client.stream(resumable=True, reconnect=AT_ONCE) as stream:
        for number in range(frames):
            stream.send(Frame(number / 30))
        stream.flush()
        stream.stop()
        return list(stream)


def _talk_async(url: str, frames: int) -> list[Message]:
    async def talk() -> list[Message]:
        async with AsyncClient(url) as client, client.stream(resumable=True, reconnect=AT_ONCE) as stream:

            async def listen() -> list[Message]:
                return [message async for message in stream]

            listening = asyncio.create_task(listen())
            for number in range(frames):
                await stream.send(Frame(number / 30))
            await stream.flush()
            await stream.stop()
            return await listening

    return asyncio.run(talk())


@pytest.mark.parametrize("talk", [_talk_sync, _talk_async], ids=["sync", "async"])
@pytest.mark.parametrize("moves", [False, True], ids=["stays", "moves"])
def test_real_lines_may_be_cut_as_well(talk, moves):
    unbroken = CutService([])
    with serving(unbroken) as url:
        expected = [message for message in talk(url, 30) if isinstance(message, Event | Done | Summary)]
    for cuts in ([1, 1], [2, 3, 1, 7], [5, 6, 7, 8], [12, 2, 2, 2, 2, 2], [17, 30]):
        service = CutService([2, *cuts], moves)
        with serving(service) as url:
            heard = talk(url, 30)
        assert [message for message in heard if isinstance(message, Event | Done | Summary)] == expected
        assert sum(isinstance(message, Interrupted) for message in heard) >= 1
        assert service.lines > 1


def test_who_sends_does_not_wait_for_who_waits_for_an_answer():
    service = SilentService(cut_after=1)
    with (
        serving(service) as url,
        Client(url) as client,
        client.stream(resumable=True, reconnect=AT_ONCE) as stream,
        ThreadPoolExecutor(1) as listener,
    ):
        listening = listener.submit(lambda: list(stream))
        for number in range(300):
            stream.send(Frame(number / 30))
        stream.stop()
        assert isinstance(listening.result()[-1], Summary)
    assert service.taken == list(range(300))


def test_nor_does_a_task_that_sends():
    service = SilentService(cut_after=1)

    async def talk(url: str) -> list[Message]:
        async with AsyncClient(url) as client, client.stream(resumable=True, reconnect=AT_ONCE) as stream:

            async def listen() -> list[Message]:
                return [message async for message in stream]

            listening = asyncio.create_task(listen())
            for number in range(300):
                await stream.send(Frame(number / 30))
                await asyncio.sleep(0)
            await stream.stop()
            return await listening

    with serving(service) as url:
        assert isinstance(asyncio.run(talk(url))[-1], Summary)
    assert service.taken == list(range(300))


# --- what is held


def _resumable(**options) -> StreamProtocol:
    protocol = StreamProtocol(resumable=True, **options)
    protocol.opening()
    protocol.receive(json.dumps(answers.RESUMABLE))
    return protocol


def _hear(protocol: StreamProtocol, message: dict[str, object]) -> Message | None:
    return protocol.receive(json.dumps(message))


def _lose(protocol: StreamProtocol, close_code: int | None = None) -> dict[str, object]:
    """Its line; returns what the next one begins with."""
    assert isinstance(protocol.closed(close_code, ""), Interrupted)
    protocol.wait_s()
    (opening,) = protocol.opening()
    return json.loads(opening)


def test_what_was_acknowledged_is_let_go():
    protocol = _resumable()
    protocol.frames(*(Frame(number / 30) for number in range(20)))
    _hear(protocol, {"type": "ack", "seq": 14})
    protocol.frames(Frame(1.0))
    assert len(protocol.backlog()) == 6


def test_a_stream_that_cannot_be_resumed_holds_nothing_and_says_why_it_is_closed():
    protocol = StreamProtocol()
    _hear(protocol, answers.READY)
    protocol.frames(Frame(0.1))
    assert protocol.backlog() == []
    with pytest.raises(StreamClosed, match="1012"):
        protocol.closed(1012, "")


def test_a_service_that_acknowledges_nothing_is_not_held_for_without_bound(monkeypatch):
    monkeypatch.setattr(protocols, "MAX_HELD_BYTES", 1000)
    protocol = _resumable(reconnect=AT_ONCE)
    for number in range(20):
        protocol.frames(Picture(float(number), bytes(100)))
    assert sum(map(len, protocol.backlog())) <= 1000
    _lose(protocol)
    with pytest.raises(StreamLost, match="wants frames from 0 on, of which those to 12 are let go"):
        _hear(protocol, answers.RESUMED)


def test_the_next_line_says_which_session_and_what_was_heard_of_it():
    protocol = _resumable(reconnect=AT_ONCE)
    _hear(protocol, answers.EVENT)
    _hear(protocol, answers.ENDED)
    assert _lose(protocol) == {"type": "resume", "session": "s1", "token": "t1", "last_number": 2}
    assert _hear(protocol, answers.RESUMED | {"lost": 0}) == Resumed("s1", 0, 0)
    assert _hear(protocol, answers.ENDED) is None


def test_a_control_whose_answer_was_lost_is_answered_without_being_carried_out_again():
    protocol = _resumable(reconnect=AT_ONCE)
    protocol.flush()
    protocol.frames(Frame(0.1))
    _lose(protocol)
    _hear(protocol, answers.RESUMED | {"next_seq": 1})
    assert [json.loads(data) for data in protocol.backlog()] == [{"type": "keepalive"}]
    assert _hear(protocol, {"type": "done", "control": "keepalive", "seq": 0}) == Done("flush", 0)


def test_a_control_that_was_refused_does_not_take_the_answer_of_the_next():
    protocol = _resumable()
    protocol.configure(aspect=1000.0)
    protocol.keepalive()
    _hear(protocol, {"type": "problem", "problem": answers.BAD_TIME})
    assert _hear(protocol, {"type": "done", "control": "keepalive", "seq": None}) == Done("keepalive", None)


# --- when it is over


@pytest.mark.parametrize("close_code", [1000, 1008, 1009, 1011])
def test_after_some_close_codes_there_is_no_coming_back(close_code):
    protocol = _resumable()
    _hear(protocol, {"type": "problem", "problem": answers.BAD_TIME})
    with pytest.raises(StreamClosed, match=str(close_code)):
        protocol.closed(close_code, "")


def test_a_session_that_is_kept_no_longer_is_lost():
    protocol = _resumable(reconnect=AT_ONCE)
    _lose(protocol)
    with pytest.raises(StreamLost, match="does not know the session"):
        _hear(protocol, {"type": "problem", "problem": answers.UNKNOWN_SESSION})


def test_or_begun_anew_with_what_is_held_where_that_is_asked_for():
    protocol = _resumable(scores=True, reconnect=Reconnect(restart=True, chance=lambda: 0.0, clock=lambda: 0.0))
    protocol.frames(*(Frame(number / 30) for number in range(20)))
    protocol.configure(scores=False, decoding={"signing": {"start_above": 0.9}})
    _hear(protocol, {"type": "ack", "seq": 14})
    _hear(protocol, answers.EVENT)
    _lose(protocol, 1012)
    _hear(protocol, {"type": "problem", "problem": answers.UNKNOWN_SESSION})
    changed = {"scores": False, "decoding": {"signing": {"start_above": 0.9}}}
    assert _lose(protocol, 1008) == {"type": "start", "resumable": True, **changed}
    assert isinstance(_hear(protocol, answers.RESUMABLE | {"session": "s2"}), Ready)
    assert len(protocol.backlog()) == 6
    assert _hear(protocol, answers.EVENT) is not None
    assert _lose(protocol)["session"] == "s2"
    _hear(protocol, answers.RESUMED | {"session": "s2", "next_seq": 0})
    assert len(protocol.backlog()) == 6


def test_a_service_that_restarts_ends_the_session_and_where_that_is_asked_for_a_new_one_follows():
    leaving = {"type": "closing", "retry_after_s": 2.0, "resumable": False}
    protocol = _resumable(reconnect=Reconnect(restart=True, chance=lambda: 0.0, clock=lambda: 0.0))
    protocol.frames(Frame(0.1))
    _hear(protocol, leaving)
    _hear(protocol, {"type": "ack", "seq": 0})
    protocol.frames(Frame(0.2))
    assert _hear(protocol, answers.SUMMARY) == Summary(5, 0, 0, {"signing": 1})
    assert protocol.summary is None
    assert isinstance(protocol.closed(1012, ""), Interrupted)
    assert protocol.wait_s() == 2.0
    assert [json.loads(text)["type"] for text in protocol.opening()] == ["start"]
    _hear(protocol, answers.RESUMABLE)
    assert [frame.seq for data in protocol.backlog() for frame in decode_frames(bytes(data))] == [1]  # pyright: ignore[reportArgumentType]
    protocol.stop()
    _hear(protocol, leaving)
    _hear(protocol, answers.SUMMARY)
    assert isinstance(protocol.closed(1012, ""), Interrupted), "frame 1 was not heard"
    protocol.wait_s()
    protocol.opening()
    _hear(protocol, answers.RESUMABLE)
    assert [len(data) for data in protocol.backlog()] == [16, len('{"type": "stop"}')]
    _hear(protocol, {"type": "ack", "seq": 1})
    _hear(protocol, leaving)
    _hear(protocol, answers.SUMMARY)
    assert protocol.closed(1012, "") is None


@pytest.mark.parametrize(("leaving", "code"), [(True, 1012), (False, 1000)], ids=["restarts", "ended elsewhere"])
def test_what_is_sent_to_a_session_that_has_ended_is_not_lost_without_a_word(leaving, code):
    protocol = _resumable()
    if leaving:
        _hear(protocol, {"type": "closing", "retry_after_s": 2.0, "resumable": False})
    _hear(protocol, answers.SUMMARY)
    assert protocol.closed(code, "") is None
    with pytest.raises(StreamClosed, match=str(code)):
        protocol.frames(Frame(0.1))
    with pytest.raises(StreamClosed, match=str(code)):
        protocol.flush()


def test_a_service_without_room_is_tried_again_and_one_that_asks_for_a_key_is_not():
    protocol = _resumable(reconnect=AT_ONCE)
    _lose(protocol)
    _hear(protocol, {"type": "problem", "problem": answers.BUSY})
    _lose(protocol, 1013)
    with pytest.raises(Unauthorised):
        _hear(protocol, {"type": "problem", "problem": answers.BUSY | {"status": 401, "code": "unauthorised"}})


class Clock:
    """It goes on when told to."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_tries_are_given_up_in_time_with_the_last_thing_that_was_wrong():
    clock = Clock()
    protocol = _resumable(reconnect=Reconnect(within_s=30.0, chance=lambda: 1.0, clock=clock))
    protocol.closed(None, "")
    waited = []

    def try_on() -> None:
        while True:
            waited.append(protocol.wait_s())
            clock.now_s += waited[-1] + 0.01
            protocol.opening()
            _hear(protocol, {"type": "problem", "problem": answers.BUSY})
            protocol.closed(1013, "")

    with pytest.raises(StreamLost, match="no new line within 30 s") as lost:
        try_on()
    assert waited[:6] == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0]
    assert max(waited) <= 10
    assert clock.now_s == pytest.approx(130, abs=0.2)
    assert (type(lost.value.__cause__), lost.value.close_code) == (Busy, 1013)


@given(st.floats(0, 1), st.integers(0, 12))
def test_a_wait_is_anything_up_to_twice_the_last_bound(chance: float, tries: int):
    waits = Tries(Reconnect(within_s=1e6, chance=lambda: chance, clock=lambda: 0.0))
    waits.lost()
    for _ in range(tries):
        waits.wait_s()
    assert waits.wait_s() == chance * min(10.0, 0.25 * 2**tries)


def test_the_service_may_ask_to_be_left_alone_for_a_while():
    protocol = _resumable(reconnect=Reconnect(chance=lambda: 0.5, clock=lambda: 0.0))
    _hear(protocol, {"type": "closing", "retry_after_s": 3.0, "resumable": True})
    protocol.closed(1012, "")
    assert protocol.wait_s() == 3.0 + 0.125


def test_lines_that_are_lost_at_once_count_as_tries_and_those_that_did_something_do_not():
    clock = Clock()
    protocol = _resumable(reconnect=Reconnect(chance=lambda: 1.0, clock=clock))
    protocol.closed(None, "")
    waited = [protocol.wait_s()]
    for _ in range(3):
        protocol.opening()
        _hear(protocol, answers.RESUMED)
        protocol.closed(None, "")
        waited.append(protocol.wait_s())
    assert waited == [0.25, 0.5, 1.0, 2.0]
    protocol.opening()
    _hear(protocol, answers.RESUMED)
    _hear(protocol, {"type": "ack", "seq": 0})
    protocol.closed(None, "")
    assert protocol.wait_s() == 0.25
    protocol.opening()
    _hear(protocol, answers.RESUMED)
    clock.now_s += 10
    protocol.closed(None, "")
    assert protocol.wait_s() == 0.25


def test_a_reconnect_that_cannot_be_is_refused_with_the_numbers():
    with pytest.raises(ValueError, match=r"got 2\.0, 1\.0"):
        Reconnect(first_s=2.0, most_s=1.0)


def test_pictures_whose_receipts_went_down_with_the_line_do_not_hold_up_the_next():
    service = SilentService(cut_after=IN_FLIGHT)
    with serving(service) as url, Client(url) as client, client.stream(resumable=True, reconnect=AT_ONCE) as stream:
        live = LivePictures(stream)
        camera = (Picture(float(number), b"jpeg") for number in itertools.count())
        heard = live.run(camera)
        assert isinstance(next(heard), Interrupted)
        assert isinstance(next(heard), Resumed)
        list(live.run(itertools.islice(camera, 5)))
        stream.stop()
    assert service.taken == [0, 1, 2, 3]
