"""Many live streams at 30 frames a second from another process, beside a bare echo socket: delay, cost, loss."""

from __future__ import annotations

import argparse
import asyncio
import gc
import math
import multiprocessing
import os
import struct
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import uvicorn
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.uri import parse_uri

from bench.server import started
from bench.table import check_place, markdown, write

PLACE = "live"
FPS = 30.0
P99_MS = 100.0
"""Streams are served well where 99 of 100 replies come within this, and nothing is lost."""
BEFORE_S = 2.0
"""Of each stream that counts nowhere: in it, those without hands fall asleep."""
AFTER_S = 0.5
"""Likewise at its end: some answers about it are only given after `stop`."""
PATIENCE_S = 30.0
"""Longest that the client waits for sockets to open, and for their ends."""

HEAD = (
    "streams of",
    "streams",
    "p50, ms",
    "p99, ms",
    "replies/s",
    "server, µs a frame",
    "server, cores",
    "client, cores",
    "client late, ms",
    "lost",
)


@dataclass(frozen=True)
class Case:
    """A kind of stream. models: that answer it; none, and it is echoed. hands: in view, else a pose alone."""

    name: str
    models: tuple[str, ...] = ()
    hands: bool = True


@dataclass(frozen=True)
class Found:
    """What the client saw of one case.

    p50_ms, p99_ms: from sending a frame to a reply to it. server_us: processor time a frame. server, client: cores that
    they kept busy. late_ms: by which the client was late with its frames, of 99 in 100 at most: where that is much, it
    is the client that could do no more. lost: frames dropped, problems, and streams that did not come to their end.
    """

    sessions: int
    p50_ms: float
    p99_ms: float
    replies: float
    server_us: float
    server: float
    client: float
    late_ms: float
    lost: int

    @property
    def good(self) -> bool:
        """Whether all were served well."""
        return self.p99_ms < P99_MS and not self.lost


def arguments(parser: argparse.ArgumentParser) -> None:
    """How many streams, of which models, how long."""
    parser.add_argument("--sessions", type=_numbers, default="1,50,200,500", metavar="N,N", help="default: %(default)s")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each stream; default: %(default)s")
    parser.add_argument(
        "--models",
        nargs="+",
        default=["signing", "signing,signs-stream"],
        metavar="NAME,NAME",
        help="those of a stream, one case each; default: %(default)s",
    )
    parser.add_argument("--find", action="store_true", help="go on to the most streams that are served well")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table into its marked place in a file")


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def run(options: argparse.Namespace) -> int:
    """Print the table."""
    if options.write:
        check_place(options.write, PLACE)
    models = [tuple(names.split(",")) for names in options.models]
    cases = [Case("bare echo, no hand in view", hands=False)]
    cases += [Case(f"{models[0][0]}, no hand in view", models[0][:1], hands=False)]
    cases += [Case("bare echo"), *(Case(" + ".join(names), names) for names in models)]
    rows, most = [], []
    for case in cases:
        found = _measure(case, options)
        rows += [(case.name, *_cells(one)) for one in found]
        if options.find and case.models:
            most.append((case.name, max((one.sessions for one in found if one.good), default=0)))
    text = (
        f"{os.cpu_count()} cores; binary frames at {FPS:g} a second for {options.seconds:g} s a stream, all streams "
        "from one other process, spread over a frame's time. A reply is an echo, or one model's scores; a model that "
        "rests gives them without a run while no hand is in view. Processor time is of the whole server, with the "
        f"socket.\n\n{markdown(HEAD, rows)}"
    )
    if most:
        text += "\n\n" + markdown(("streams of", f"most with p99 under {P99_MS:g} ms and nothing lost"), most)
    print(text)
    if options.write:
        write(options.write, PLACE, f"python -m bench live{' --find' if options.find else ''}", text)
    return 0


def _measure(case: Case, options: argparse.Namespace) -> list[Found]:
    with _serving(case) as (url, process), ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as client:

        def measure(sessions: int) -> Found:
            print(f"{case.name}: {sessions}", file=sys.stderr)
            return client.submit(drive, case, sessions, options.seconds, url, process).result()

        found = [measure(sessions) for sessions in options.sessions]
        return found + (search(measure, found) if options.find and case.models else [])


def _cells(found: Found) -> tuple[str, ...]:
    return (
        str(found.sessions),
        f"{found.p50_ms:.2f}",
        f"{found.p99_ms:.2f}",
        f"{found.replies:.0f}",
        f"{found.server_us:.0f}",
        f"{found.server:.2f}",
        f"{found.client:.2f}",
        f"{found.late_ms:.1f}",
        str(found.lost),
    )


def search(measure: Callable[[int], Found], found: list[Found]) -> list[Found]:
    """Measurements beyond those given, until the most streams that are served well are known to a twentieth."""
    tried: list[Found] = []
    while True:
        low = max((one.sessions for one in (*found, *tried) if one.good), default=0)
        high = min((one.sessions for one in (*found, *tried) if not one.good and one.sessions > low), default=0)
        if high and high - low <= max(1, low // 20):
            return tried
        tried.append(measure((low + high) // 2 if high else 2 * low or 1))


@contextmanager
def _serving(case: Case) -> Iterator[tuple[str, int]]:
    """Address and process of what answers."""
    if case.models:
        with started({"SIGNSTREAM_MAX_STREAMS": "4096", "SIGNSTREAM_EXTRACTORS": "1"}) as (url, process):
            yield f"{url.replace('http', 'ws', 1)}/v1/stream", process
        return
    theirs, ours = multiprocessing.Pipe()
    echo = multiprocessing.get_context("spawn").Process(target=_serve_echo, args=(theirs,), daemon=True)
    echo.start()
    try:
        port = ours.recv()
        assert echo.pid is not None
        yield f"ws://127.0.0.1:{port}/", echo.pid
    finally:
        echo.terminate()
        echo.join()


def _serve_echo(port: Any) -> None:
    """A bare uvicorn socket that sends every message back."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "websocket":
            return
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "bytes": message["bytes"]})

    config = uvicorn.Config(app, port=0, ws="websockets-sansio", log_level="error", lifespan="off")
    listening = config.bind_socket()
    listening.listen()  # so that whoever reads the port can connect at once
    port.send(listening.getsockname()[1])
    uvicorn.Server(config).run(sockets=[listening])


def drive(case: Case, sessions: int, seconds: float, url: str, process: int) -> Found:
    """So many streams at once, in this process."""
    gc.disable()  # nothing here makes circles, and a pause would count as the server's
    return asyncio.run(_drive(case, sessions, seconds, url, process))


async def _drive(case: Case, sessions: int, seconds: float, url: str, process: int) -> Found:
    first, last, turns = (round(at_s * FPS) for at_s in (BEFORE_S, BEFORE_S + seconds, BEFORE_S + seconds + AFTER_S))
    frames = [Frame(Opcode.BINARY, data).serialize(mask=True) for _, data in frames_of(turns, FPS, case.hands)]
    streams = [_Stream(url, case, turns) for _ in range(sessions)]
    address, loop = parse_uri(url), asyncio.get_running_loop()
    for at in range(0, sessions, 50):
        some = streams[at : at + 50]
        await asyncio.gather(*(loop.create_connection(lambda one=one: one, address.host, address.port) for one in some))
        await asyncio.wait_for(asyncio.gather(*(one.ready for one in some)), PATIENCE_S)
    due = time.perf_counter() + (np.arange(turns)[:, None] + np.arange(sessions) / sessions) / FPS  # (turns, sessions)
    clocks = {}
    for turn, frame in enumerate(frames):
        if turn in (first, last):
            clocks[turn] = _clocks(process)
        for stream, at_s in zip(streams, due[turn].tolist(), strict=True):
            await asyncio.sleep(max(0.0, at_s - time.perf_counter()))
            stream.send(turn, frame)
    took_s, server_s, client_s = (after - before for after, before in zip(clocks[last], clocks[first], strict=True))
    for stream in streams:
        stream.stop()
    _, unended = await asyncio.wait([stream.ended for stream in streams], timeout=PATIENCE_S)
    sent = np.array([stream.sent for stream in streams]).T  # (turns, sessions)
    delays = [now - stream.sent[turn] for stream in streams for turn, now in stream.replies if first <= turn < last]
    p50_s, p99_s = np.percentile(delays, [50, 99]).tolist() if delays else (math.inf, math.inf)
    return Found(
        sessions,
        1e3 * p50_s,
        1e3 * p99_s,
        len(delays) / took_s,
        1e6 * server_s / (sessions * (last - first)),
        server_s / took_s,
        client_s / took_s,
        1e3 * float(np.percentile((sent - due)[first:last], 99)),
        len(unended) + sum(stream.lost for stream in streams),
    )


def _clocks(process: int) -> list[float]:
    """Seconds: of the wall, and of the processors that the server and this process have used."""
    of_server = ~process << 3 | 2  # what clock_getcpuclockid gives on Linux
    return [time.perf_counter(), time.clock_gettime(of_server), time.process_time()]


class _Stream(asyncio.Protocol):
    """One socket, with as little between it and the bytes as there can be: it is the server that is measured."""

    def __init__(self, url: str, case: Case, turns: int) -> None:
        self._core, self._case, self._turns = ClientProtocol(parse_uri(url), max_size=None), case, turns
        loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        self.sent = [0.0] * turns
        self.replies: list[tuple[int, float]] = []
        self.lost = 0

    def send(self, turn: int, frame: bytes) -> None:
        """A frame, as it goes over the wire."""
        self.sent[turn] = time.perf_counter()
        if not self._transport.is_closing():
            self._transport.write(frame)

    def stop(self) -> None:
        """No more frames; an echo is over with the last one's."""
        if self._case.models:
            self._say({"type": "stop"})

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._core.send_request(self._core.connect())
        self._flush()

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self._core.receive_data(data)
        for event in self._core.events_received():
            if isinstance(event, Response):
                self._opened()
            elif isinstance(event, Frame) and event.opcode is Opcode.BINARY:
                self._reply(struct.unpack_from("<I", event.data)[0], now)
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self._hear(orjson.loads(event.data), now)
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(ConnectionError("the server closed a stream that had not begun"))
        if not self.ended.done():
            self.lost += 1
            self.ended.set_result(None)

    def _opened(self) -> None:
        if self._case.models:
            self._say({"type": "start", "models": self._case.models, "scores": True})
        else:
            self.ready.set_result(None)

    def _hear(self, message: dict[str, Any], now: float) -> None:
        match message["type"]:
            case "ready":
                self.ready.set_result(None)
            case "scores":
                # Of the frame that completed what is judged; a hundredth covers the time's last digit.
                self._reply(math.ceil(message["end_s"] * FPS - 0.01), now)
            case "dropped":
                self.lost += message["count"]
            case "problem":
                if not self.ready.done():
                    self.ready.set_exception(RuntimeError(message["problem"]["detail"]))
                self.lost += 1
            case "summary":
                self.ended.set_result(None)
                self._transport.close()

    def _reply(self, turn: int, now: float) -> None:
        self.replies.append((turn, now))
        if not self._case.models and turn == self._turns - 1:
            self.ended.set_result(None)
            self._transport.close()

    def _say(self, message: dict[str, Any]) -> None:
        self._core.send_text(orjson.dumps(message))
        self._flush()

    def _flush(self) -> None:
        for data in self._core.data_to_send():
            if data:
                self._transport.write(data)


def frames_of(count: int, fps: float, hands: bool = True) -> list[tuple[float, bytes]]:
    """Binary float32 frames of a pose and two hands, 1,048 bytes each; or of a pose alone."""
    flags, values = (2 | 4 | 8, 33 * 4 + 2 * 21 * 3) if hands else (2, 33 * 4)
    body = np.random.default_rng(0).uniform(0.2, 0.8, values).astype("<f4")
    return [
        (
            i / fps,
            struct.pack("<IHHd", i, flags, 0, i / fps) + (body + 0.05 * np.sin(i / 5)).astype("<f4").tobytes(),
        )
        for i in range(count)
    ]
