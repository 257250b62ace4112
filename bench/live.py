"""Frame-to-reply time of one landmark stream at 30 frames a second, beside a bare echo socket, in one run."""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import struct
import time
from typing import Any

import numpy as np
import orjson
import uvicorn
from websockets.asyncio.client import connect

from bench.server import serving
from bench.table import show
from service.engine import load_engines
from service.settings import Settings


def arguments(parser: argparse.ArgumentParser) -> None:
    """How long, and how fast."""
    parser.add_argument("--seconds", type=float, default=20.0, help="default: %(default)s")
    parser.add_argument("--fps", type=float, default=30.0, help="frames sent a second; default: %(default)s")


def run(options: argparse.Namespace) -> int:
    """Print the table."""
    rows = []
    port_of, port_in = multiprocessing.Pipe(duplex=False)
    echo = multiprocessing.get_context("spawn").Process(target=_serve_echo, args=(port_in,), daemon=True)
    echo.start()
    try:
        times = asyncio.run(_stream(f"ws://127.0.0.1:{port_of.recv()}/", None, options))
        rows.append(_row("bare echo of the same frames", times))
    finally:
        echo.terminate()
        echo.join()
    names = [engine.manifest.name for engine in load_engines(Settings(device="cpu"))]
    with serving() as url:
        for models in [[name] for name in names] + [names]:
            times = asyncio.run(_stream(f"{url.replace('http', 'ws', 1)}/v1/stream", models, options))
            rows.append(_row("signstream, " + " + ".join(models), times))
    print(f"{options.fps:g} frames/s for {options.seconds:g} s, {os.cpu_count()} cores; a reply is a window's scores")
    show(("socket", "replies", "p50, ms", "p99, ms"), rows)
    return 0


def _row(name: str, times: list[float]) -> tuple[str, int, str, str]:
    p50, p99 = np.percentile(np.array(times) * 1000, [50, 99])
    return name, len(times), f"{p50:.2f}", f"{p99:.2f}"


async def _stream(url: str, models: list[str] | None, options: argparse.Namespace) -> list[float]:
    """Send frames at their pace; for each reply the seconds since its newest frame was sent."""
    frames = frames_of(round(options.seconds * options.fps), options.fps)
    sent: dict[float, float] = {}
    took: list[float] = []
    async with connect(url, compression=None) as socket:
        if models is not None:
            await socket.send(orjson.dumps({"type": "start", "models": models, "scores": True}).decode())
            await socket.recv()

        async def listen() -> None:
            async for message in socket:
                now = time.perf_counter()
                if models is None and isinstance(message, bytes):
                    took.append(now - sent[struct.unpack_from("<d", message, 8)[0]])
                    if len(took) == len(frames):
                        return
                    continue
                said: dict[str, Any] = orjson.loads(message)
                if said["type"] == "summary":
                    return
                if said["type"] == "scores" and said["end_s"] in newest:
                    took.append(now - newest[said["end_s"]])

        newest: dict[float, float] = {}
        listening = asyncio.create_task(listen())
        began = time.perf_counter()
        for at_s, frame in frames:
            await asyncio.sleep(max(0.0, began + at_s - time.perf_counter()))
            sent[at_s] = newest[round(at_s, 4)] = time.perf_counter()
            await socket.send(frame)
        if models is not None:
            newest = {}  # what is told after `stop` is not an answer to a frame
            await socket.send('{"type": "stop"}')
        await listening
    return took


def frames_of(count: int, fps: float, hands: bool = True) -> list[tuple[float, bytes]]:
    """Binary float32 frames of a pose and two hands, 1,064 bytes each; or of a pose alone."""
    flags, values = (2 | 4 | 8, 33 * 4 + 2 * 21 * 3) if hands else (2, 33 * 4)
    body = np.random.default_rng(0).uniform(0.2, 0.8, values).astype("<f4")
    return [
        (
            i / fps,
            struct.pack("<IHHd", i, flags, 0, i / fps) + (body + 0.05 * np.sin(i / 5)).astype("<f4").tobytes(),
        )
        for i in range(count)
    ]


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
