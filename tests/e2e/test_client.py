"""The client and its command against the real service."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
from signstream_client import (
    Ack,
    AsyncClient,
    Body,
    Client,
    Closing,
    Done,
    Event,
    Frame,
    Landmarks,
    Message,
    Picture,
    ProblemError,
    Ready,
    Reconnect,
    Resumed,
    Scores,
    Summary,
)
from signstream_client.__main__ import FINE, REFUSED, main
from signstream_client.errors import NotAVideo, UnknownModel, UnknownSession, UnknownToken, UnsupportedMedia

from bench.server import started
from landmarks import holistic
from landmarks.errors import LandmarkError
from landmarks.extract import Extractor, extract_video
from landmarks.formats import npz
from landmarks.sequence import LandmarkSequence
from service.errors import SignstreamError, problem_of
from tests.e2e.cutting import cutting

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def book(clips: Path) -> LandmarkSequence:
    """Somebody signs `book`, as landmarks."""
    return extract_video(clips / "asl_book.mkv", Extractor())


@pytest.fixture(scope="module")
def book_file(book: LandmarkSequence, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("landmarks") / "book.npz"
    path.write_bytes(npz.write(book))
    return path


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    with Client(address) as client:
        yield client


def _frames(sequence: LandmarkSequence) -> list[Frame]:
    return [
        Frame(at_s, **holistic.split(xyz, confidence))
        for at_s, xyz, confidence in zip(sequence.at_s.tolist(), sequence.xyz, sequence.confidence, strict=True)
    ]


def test_the_service_is_ready_and_names_its_models(client: Client):
    assert client.ready().ready
    assert {model.task for model in client.models()} == {"signing", "gesture"}


def test_a_streamed_clip_gives_the_events_of_the_posted_one(client: Client, book: LandmarkSequence, book_file: Path):
    posted = client.clip(book_file)
    with client.stream(aspect=book.aspect, scores=True) as stream:
        for frame in _frames(book):
            stream.send(frame)
        summary = stream.stop()
        messages = list(stream)
    ended = [m for m in messages if isinstance(m, Event) and m.state == "end"]
    assert posted.segments
    assert sorted((e.model, e.label, e.start_s, e.end_s) for e in ended) == sorted(
        (s.model, s.label, pytest.approx(s.start_s, abs=1e-3), pytest.approx(s.end_s, abs=1e-3))
        for s in posted.segments
    )
    windows = {name: len(reading.windows) for name, reading in posted.models.items()}
    assert windows == {name: sum(isinstance(m, Scores) and m.model == name for m in messages) for name in posted.models}
    assert (summary.frames, summary.problems) == (len(book), 0)


def _signed(url: str, book: LandmarkSequence) -> list[Message]:
    """What a resumable stream tells of the clip."""
    at_once = Reconnect(within_s=20.0, chance=lambda: 0.0)
    with (
        Client(url, timeout_s=20) as client,
        client.stream(aspect=book.aspect, scores=True, resumable=True, reconnect=at_once) as stream,
    ):
        for frame in _frames(book):
            stream.send(frame)
        stream.stop()
        return list(stream)


async def _signed_async(url: str, book: LandmarkSequence) -> list[Message]:
    """The same, told to one task while another sends."""
    at_once = Reconnect(within_s=20.0, chance=lambda: 0.0)
    async with (
        AsyncClient(url, timeout_s=20) as client,
        client.stream(aspect=book.aspect, scores=True, resumable=True, reconnect=at_once) as stream,
    ):

        async def listen() -> list[Message]:
            return [message async for message in stream]

        listening = asyncio.create_task(listen())
        for frame in _frames(book):
            await stream.send(frame)
        await stream.stop()
        return await listening


def test_lines_that_are_cut_at_random_bytes_lose_no_event_and_repeat_none(address: str, book: LandmarkSequence):
    unbroken = [message for message in _signed(address, book) if isinstance(message, Event | Summary)]
    resumed = 0
    for seed in range(24):
        chance = random.Random(seed)
        # The first line lives until it is open; all later ones may be cut in their handshake.
        cuts = [3000 + chance.randrange(110_000), *(chance.randrange(1, 30_000) for _ in range(chance.randrange(6)))]
        with cutting(address, cuts) as proxy:
            told = asyncio.run(_signed_async(proxy.url, book)) if seed % 2 else _signed(proxy.url, book)
        assert [message for message in told if isinstance(message, Event | Summary)] == unbroken, cuts
        resumed += sum(isinstance(message, Resumed) for message in told)
    assert resumed > 24


def test_a_service_that_restarts_under_a_stream_says_all_and_the_next_one_goes_on(book: LandmarkSequence):
    frames, settings = _frames(book), {"SIGNSTREAM_RETRY_AFTER_S": "0.1"}
    with started(settings) as (old, process), started(settings) as (new, _), cutting(old) as proxy:
        anew = Reconnect(restart=True, chance=lambda: 0.0)
        with (
            Client(proxy.url, timeout_s=20) as client,
            client.stream(aspect=book.aspect, resumable=True, reconnect=anew) as stream,
        ):
            stream.send(*frames[:40])
            before = list(itertools.takewhile(lambda message: message != Ack(39), stream))
            proxy.turn_to(new)
            os.kill(process, signal.SIGTERM)
            stream.send(frames[40])
            before += itertools.takewhile(lambda message: not isinstance(message, Closing), stream)
            for frame in frames[41:]:
                stream.send(frame)
            stream.stop()
            told = [*before, *stream]
    counts = [message.frames for message in told if isinstance(message, Summary)]
    assert (len(counts), sum(counts)) == (2, len(frames))
    assert sum(isinstance(message, Ready) for message in told) == 1
    events = [message for message in told if isinstance(message, Event)]
    assert sum(event.state == "start" for event in events) == sum(event.is_final for event in events) > 0


def test_a_session_of_rest_is_joined_by_its_token_and_watched_by_another(client: Client, book: LandmarkSequence):
    session = client.session(["signing"], aspect=book.aspect, encoding="float16", resumable=True)
    assert (session.configuration.encoding, session.configuration.models) == ("float16", ("signing",))
    with client.join(session) as stream:
        stream.send(*_frames(book))
        watched = client.watch(session)
        seen = [next(watched)]
        summary = stream.stop()
        seen += watched
        told = [message for message in stream if isinstance(message, Event)]
    assert (stream.ready.session, seen) == (session.id, [*told, summary])
    with pytest.raises(UnknownToken), client.join(session):
        pass
    with pytest.raises(UnknownSession):
        client.end(session)


def test_controls_and_several_people_reach_the_service(client: Client, book: LandmarkSequence):
    frames = _frames(book)
    beside = Body(pose=tuple((x / 3, y, z, seen) for x, y, z, seen in frames[0].pose or ()))
    with client.stream(["signing"], aspect=book.aspect, people="all") as stream:
        for frame in frames[:40]:
            stream.send(Frame(frame.at_s, people=(Body(frame.pose, frame.left_hand, frame.right_hand), beside)))
        stream.configure(interim=False, decoding={"signing": {"start_above": 0.9}})
        stream.flush()
        stream.reset()
        stream.send(Frame(0.0))
        stream.keepalive()
        stream.stop()
        done = [message for message in stream if isinstance(message, Done)]
    assert [(one.control, one.seq) for one in done] == [
        ("configure", 39),
        ("flush", 39),
        ("reset", 39),
        ("keepalive", 40),
    ]
    changed = done[0].configuration
    assert changed is not None
    assert (changed.interim, changed.decoding["signing"]["start_above"]) == (False, 0.9)


def test_the_async_client_gets_the_same_clip(address: str, client: Client, book_file: Path):
    async def ask():
        async with AsyncClient(address) as waiting:
            return await waiting.clip(book_file, ["signing"])

    assert asyncio.run(ask()) == client.clip(book_file, ["signing"])


def test_pictures_come_back_as_landmarks(client: Client, clips: Path):
    video = cv2.VideoCapture(str(clips / "asl_book.mkv"))
    _, pixels = video.read()
    video.release()
    _, jpeg = cv2.imencode(".jpg", pixels)
    with client.stream(landmarks=True) as stream:
        seq = stream.send(Picture(0.0, jpeg.tobytes()))
        found = next(m for m in stream if isinstance(m, Landmarks))
        assert (found.frame.seq, found.frame.pose is not None) == (seq, True)
        assert found.aspect == pytest.approx(640 / 480, abs=1e-3)
        stream.stop()


def test_refusals_are_raised_as_their_twins(client: Client, tmp_path: Path):
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear service, there are no hands in here.")
    with pytest.raises(UnsupportedMedia):
        client.clip(letter)
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(b"\x1a\x45\xdf\xa3" + bytes(2000))
    with pytest.raises(NotAVideo):
        client.clip(broken)
    with pytest.raises(UnknownModel), client.stream(["nosuch"]):
        pass


def test_every_code_of_the_service_has_a_twin():
    def below(kind: type[Exception]) -> Iterator[type[Exception]]:
        yield kind
        for inner in kind.__subclasses__():
            yield from below(inner)

    problems = [problem_of(kind("")) for root in (SignstreamError, LandmarkError) for kind in below(root)]
    assert {problem.code for problem in problems if problem} == set(ProblemError.twins)


def test_the_command_prints_segments(address: str, book_file: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["landmarks", str(book_file), "--url", address]) == FINE
    assert "model" in capsys.readouterr().out
    assert main(["landmarks", str(book_file), "--url", address, "--json", "--models", "signing"]) == FINE
    told = json.loads(capsys.readouterr().out)
    assert list(told["models"]) == ["signing"]


def test_the_command_tells_a_refusal(address: str, book_file: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["video", str(book_file), "--url", address, "--models", "nosuch"]) == REFUSED
    assert "no model nosuch" in capsys.readouterr().err


def test_the_command_watches_whatever_opencv_opens_as_a_camera(
    address: str, clips: Path, capsys: pytest.CaptureFixture[str]
):
    clip = clips / "asl_book.mkv"
    assert main(["webcam", "--camera", str(clip), "--url", address, "--json"]) == FINE
    told = capsys.readouterr()
    summary = json.loads(told.out.splitlines()[-1])
    assert summary["type"] == "summary"
    assert summary["frames"] > 0
    assert f"watching camera {clip}" in told.err
