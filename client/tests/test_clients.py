"""Both clients against a scripted service: the same names, the same answers."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest
import signstream_client
from signstream_client import AnswerTimeout, AsyncClient, Client, Event, Frame, NoServer, ProtocolError, StreamClosed
from signstream_client.errors import InvalidTime, UnknownModel

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
    assert service.start == {"type": "start", "models": ["signing"], "scores": True, "landmarks": False}
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


def test_what_is_public_is_what_is_listed():
    assert sorted(signstream_client.__all__) == sorted(set(signstream_client.__all__))
    for name in signstream_client.__all__:
        assert getattr(signstream_client, name).__doc__, name
    shown = {name for name in vars(Client) if not name.startswith("_")}
    assert shown == {name for name in vars(AsyncClient) if not name.startswith("_")}
    assert shown == {"clip", "close", "models", "ready", "stream"}


def test_a_clip_is_json_all_the_way(clip_file, call):
    from signstream_client.show import clip_json

    assert json.loads(clip_json(call("clip", clip_file)))["models"]["signs"]["segments"][0]["label"] == "hello"
