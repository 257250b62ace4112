"""Both clients against a scripted service: the same names, the same answers."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest
import signstream_client
from signstream_client import (
    AnswerTimeout,
    AsyncClient,
    Client,
    Done,
    Event,
    Frame,
    NoServer,
    ProtocolError,
    Reconnect,
    Session,
    StreamClosed,
    Summary,
)
from signstream_client.errors import InvalidTime, UnknownModel, UnknownSession
from signstream_client.fields import Fields

from client.tests import answers
from client.tests.scripted import ScriptedService, serving


def _route(request: httpx.Request) -> httpx.Response:
    match request.method, request.url.path:
        case "POST", "/v1/clips" if "nosuch" in request.url.params.get("models", ""):
            return httpx.Response(404, json=answers.UNKNOWN_MODEL)
        case "POST", "/v1/clips":
            assert request.headers["content-length"] == str(len(request.content))
            kind = request.content.decode()
            return httpx.Response(200, json=answers.CLIP | {"media": answers.CLIP["media"] | {"kind": kind}})
        case "GET", "/v1/models":
            return httpx.Response(200, json={"models": [answers.SIGNING]})
        case "GET", "/readyz":
            return httpx.Response(503, json={"status": "warming", "models": []})
    return httpx.Response(502, text="a proxy's page")


@pytest.fixture
def clip_file(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mkv"
    path.write_bytes(b"moving pictures")
    return path


@pytest.fixture(params=["sync", "async"])
def call(request):
    """Call a method by name on one of the two clients."""

    def of_client(name: str, *arguments, transport=_route, **options):
        if request.param == "sync":
            with Client(transport=httpx.MockTransport(transport), **options) as client:
                return getattr(client, name)(*arguments)

        async def wait():
            async with AsyncClient(transport=httpx.MockTransport(transport), **options) as client:
                return await getattr(client, name)(*arguments)

        return asyncio.run(wait())

    return of_client


def test_a_clip_comes_back_typed(call, clip_file):
    clip = call("clip", clip_file, ["signing", "signs"])
    assert clip.media.kind == "moving pictures"
    assert [(s.model, s.label, s.start_s) for s in clip.segments] == [
        ("signs", "hello", 0.3),
        ("signing", "signing", 0.8),
    ]
    assert clip.models["signing"].windows[0].probabilities == (0.1, 0.9)


def test_what_a_landmark_file_does_not_say_can_be_given(clip_file):
    asked = []

    def note(request: httpx.Request) -> httpx.Response:
        asked.append(dict(request.url.params))
        return httpx.Response(200, json=answers.CLIP)

    with Client(transport=httpx.MockTransport(note)) as client:
        client.clip(clip_file, fps=25, aspect=1.5)
        client.clip(clip_file)
    assert asked == [{"fps": "25", "aspect": "1.5"}, {}]


def test_a_refused_clip_raises_the_twin(call, clip_file):
    with pytest.raises(UnknownModel, match="choose from signing"):
        call("clip", clip_file, ["nosuch"])


def test_a_file_that_is_not_there_is_told_before_anything_is_sent(call, tmp_path):
    with pytest.raises(FileNotFoundError):
        call("clip", tmp_path / "none.mp4")


def test_models_and_readiness(call):
    (model,) = call("models")
    assert (model.name, model.rest_after_s) == ("signing", 0.0)
    ready = call("ready")
    assert (ready.ready, ready.status, ready.models) == (False, "warming", ())


def test_an_answer_that_is_no_problem_object_is_told_in_its_own_words(call):
    with pytest.raises(signstream_client.ProblemError, match="502: a proxy's page") as raised:
        call("models", transport=lambda _: httpx.Response(502, text="a proxy's page"))
    assert raised.value.status == 502


def test_an_answer_of_something_else_is_a_protocol_error(call):
    with pytest.raises(ProtocolError, match="not JSON"):
        call("models", transport=lambda _: httpx.Response(200, text="<html>"))


def test_no_server_and_a_slow_one_are_told_apart(call):
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    def linger(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("", request=request)

    with pytest.raises(NoServer, match="is it running"):
        call("models", transport=refuse)
    with pytest.raises(AnswerTimeout, match="timeout_s"):
        call("models", transport=linger)


@pytest.mark.parametrize("url", ["localhost:8000", "ws://localhost", "http://"])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(ValueError, match="looks like http"):
        Client(url)


def _talk_sync(url: str, frames: list[Frame], **options) -> tuple[list, object]:
    with Client(url) as client, client.stream(**options) as stream:
        for frame in frames:
            stream.send(frame)
        summary = stream.stop()
        return list(stream), summary


def _talk_async(url: str, frames: list[Frame], **options) -> tuple[list, object]:
    async def talk():
        async with AsyncClient(url) as client, client.stream(**options) as stream:
            for frame in frames:
                await stream.send(frame)
            summary = await stream.stop()
            return [message async for message in stream], summary

    return asyncio.run(talk())


@pytest.fixture(params=[_talk_sync, _talk_async], ids=["sync", "async"])
def talk(request):
    return request.param


_FRAMES = [Frame(0.1, left_hand=answers.HAND), Frame(0.2, pose=answers.BODY), Frame(0.3)]


def test_a_stream_from_start_to_summary(talk):
    service = ScriptedService(
        [answers.READY], [[answers.EVENT], [answers.SCORES], []], [answers.ENDED, answers.SUMMARY]
    )
    with serving(service) as url:
        messages, summary = talk(url, _FRAMES, models=["signing"], scores=True)
    assert service.start == {"type": "start", "models": ["signing"], "scores": True}
    assert [frame.at_s for frame in service.frames] == [0.1, 0.2, 0.3]
    assert [frame.seq for frame in service.frames] == [0, 1, 2]
    assert [m.state for m in messages if isinstance(m, Event)] == ["start", "end"]
    assert messages[-1] is summary


def test_a_stream_of_a_model_that_is_not_there_raises_the_twin(talk):
    with (
        serving(ScriptedService([{"type": "problem", "problem": answers.UNKNOWN_MODEL}], [], [])) as url,
        pytest.raises(UnknownModel),
    ):
        talk(url, _FRAMES, models=["nosuch"])


def test_a_stream_that_the_service_closes_says_so_with_the_last_problem(talk):
    refused = [{"type": "problem", "problem": answers.BAD_TIME}]
    with (
        serving(ScriptedService([answers.READY], [[], refused], [], close_code=1008)) as url,
        pytest.raises(StreamClosed, match="1008") as raised,
    ):
        talk(url, _FRAMES)
    assert isinstance(raised.value.__cause__, InvalidTime)


def test_nobody_listening_is_no_server(talk):
    with serving(ScriptedService([], [], [])) as url:
        pass
    with pytest.raises(NoServer):
        talk(url, _FRAMES)


def test_messages_can_be_looked_at_without_waiting():
    service = ScriptedService([answers.READY], [[answers.EVENT]], [answers.SUMMARY])
    with serving(service) as url, Client(url) as client, client.stream() as stream:
        assert list(stream.poll()) == []
        stream.send(_FRAMES[0])
        first = next(iter(stream))
        assert isinstance(first, Event)
        assert list(stream.poll()) == []
        assert stream.stop().frames == 5


def test_the_async_stream_can_be_looked_at_without_waiting_too():
    async def talk(url: str) -> int:
        async with AsyncClient(url) as client, client.stream() as stream:
            assert [message async for message in stream.poll()] == []
            await stream.send(_FRAMES[0])
            first = await anext(aiter(stream))
            assert isinstance(first, Event)
            return (await stream.stop()).frames

    with serving(ScriptedService([answers.READY], [[answers.EVENT]], [answers.SUMMARY])) as url:
        assert asyncio.run(talk(url)) == 5


def _join_sync(url: str, session: Session) -> object:
    with Client(url, key="k") as client, client.join(session) as stream:
        stream.send(_FRAMES[0])
        return stream.stop()


def _join_async(url: str, session: Session) -> object:
    async def talk() -> object:
        async with AsyncClient(url, key="k") as client, client.join(session) as stream:
            await stream.send(_FRAMES[0])
            return await stream.stop()

    return asyncio.run(talk())


@pytest.mark.parametrize("join", [_join_sync, _join_async], ids=["sync", "async"])
def test_a_session_is_opened_by_its_token_at_the_address_that_is_known_here(call, join):
    asked = []

    def make(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(201, json=answers.SESSION)

    session = call("session", ["signing"], transport=make)
    assert (asked[0].url.path, json.loads(asked[0].content)) == ("/v1/sessions", {"models": ["signing"]})
    assert (session.id, session.configuration.encoding) == ("s1", "float16")
    service = ScriptedService([answers.READY], [], [answers.SUMMARY])
    with serving(service) as url:
        assert join(url, session) == Summary(5, 0, 0, {"signing": 1})
    assert (service.path, service.headers["authorization"]) == ("/v1/stream?token=a%2Fb", "Bearer k")
    assert (service.start, service.frames[0].seq) == ({}, 0)


def test_a_key_is_told_to_rest_and_sockets_and_found_in_the_environment(call, monkeypatch):
    told = []

    def note(request: httpx.Request) -> httpx.Response:
        told.append(request.headers.get("authorization"))
        return httpx.Response(200, json={"models": []})

    call("models", transport=note)
    call("models", transport=note, key="given")
    monkeypatch.setenv("SIGNSTREAM_KEY", "kept")
    call("models", transport=note)
    call("models", transport=note, key="")
    assert told == [None, "Bearer given", "Bearer kept", None]
    service = ScriptedService([answers.READY], [], [answers.SUMMARY])
    with serving(service) as url, Client(url) as client, client.stream() as stream:
        stream.stop()
    assert service.headers["authorization"] == "Bearer kept"


def test_a_session_is_ended_by_itself_or_by_its_id(call):
    asked = []

    def note(request: httpx.Request) -> httpx.Response:
        asked.append((request.method, request.url.raw_path.decode()))
        known = request.url.path == "/v1/sessions/s1"
        return httpx.Response(204) if known else httpx.Response(404, json=answers.UNKNOWN_SESSION)

    call("end", "s1", transport=note)
    with pytest.raises(UnknownSession):
        call("end", "../models", transport=note)
    assert asked == [("DELETE", "/v1/sessions/s1"), ("DELETE", "/v1/sessions/..%2Fmodels")]


def _told(*messages: dict[str, object]) -> str:
    return ": watching\n\n" + "".join(
        f"id: {message.get('number', '')}\nevent: {message['type']}\ndata: {json.dumps(message)}\n\n"
        for message in messages
    )


@pytest.fixture(params=["sync", "async"])
def watch(request):
    """What a viewer is told by one of the two clients."""

    def of_client(transport, session, **options):
        if request.param == "sync":
            with Client(transport=httpx.MockTransport(transport)) as client:
                return list(client.watch(session, **options))

        async def look():
            async with AsyncClient(transport=httpx.MockTransport(transport)) as client:
                return [message async for message in client.watch(session, **options)]

        return asyncio.run(look())

    return of_client


def test_a_viewer_is_told_each_event_once_though_the_connection_is_lost(watch):
    second = answers.EVENT | {"number": 2}
    lines = [_told(answers.EVENT), "cut", _told(answers.EVENT, second, answers.SUMMARY)]
    asked = []

    def serve(request: httpx.Request) -> httpx.Response:
        asked.append((request.url.path, request.headers["last-event-id"]))
        if (line := lines[len(asked) - 1]) == "cut":
            raise httpx.ReadError("cut", request=request)
        return httpx.Response(200, text=line)

    told = watch(serve, "s1", reconnect=Reconnect(chance=lambda: 0.0))
    assert [getattr(message, "number", message) for message in told] == [1, 2, Summary(5, 0, 0, {"signing": 1})]
    assert asked == [("/v1/sessions/s1/events", number) for number in "011"]


def test_a_viewer_of_no_session_and_one_that_is_cut_off_for_good_are_told(watch):
    with pytest.raises(UnknownSession):
        watch(lambda _: httpx.Response(404, json=answers.UNKNOWN_SESSION), "s1")
    with pytest.raises(NoServer, match="without a summary"):
        watch(lambda _: httpx.Response(200, text=_told(answers.EVENT)), "s1", reconnect=_NEVER, after=1)


def test_a_viewer_looks_on_with_the_sessions_own_token_at_the_address_that_is_known_here(watch):
    asked = []

    def serve(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200, text=_told(answers.SUMMARY))

    watch(serve, Session.read(Fields(answers.SESSION, "a session")))
    watch(serve, "https://elsewhere/v1/sessions/s1/events?token=v1")
    assert asked == ["http://127.0.0.1:8000/v1/sessions/s1/events?token=v1"] * 2


class _Ticking:
    """A clock that goes on whenever somebody looks at it."""

    now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 1
        return self.now_s


_NEVER = Reconnect(within_s=0.0, chance=lambda: 0.0, clock=_Ticking())


def test_controls_are_answered_in_turn():
    service = ScriptedService([answers.READY], [], [answers.SUMMARY])
    with serving(service) as url, Client(url) as client, client.stream() as stream:
        stream.keepalive()
        stream.send(*_FRAMES)
        stream.configure(scores=False)
        stream.flush()
        stream.reset()
        stream.send(Frame(0.0))
        stream.stop()
        done = [message.control for message in stream if isinstance(message, Done)]
    assert done == ["keepalive", "configure", "flush", "reset"]
    assert service.controls[1] == {"type": "configure", "scores": False}
    assert [frame.seq for frame in service.frames] == [0, 1, 2, 3]


def test_what_is_public_is_what_is_listed():
    assert sorted(signstream_client.__all__) == sorted(set(signstream_client.__all__))
    for name in signstream_client.__all__:
        assert getattr(signstream_client, name).__doc__, name
    shown = {name for name in vars(Client) if not name.startswith("_")}
    assert shown == {name for name in vars(AsyncClient) if not name.startswith("_")}
    assert shown == {"clip", "close", "end", "join", "models", "ready", "session", "stream", "watch"}


def test_a_clip_is_json_all_the_way(clip_file, call):
    from signstream_client.show import clip_json

    assert json.loads(clip_json(call("clip", clip_file)))["models"]["signs"]["segments"][0]["label"] == "hello"
