"""The batcher's throughput with 1 to 1000 streams, as a share of a bare onnxruntime loop at the same batch size."""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from bench.table import check_place, markdown, verdict, write
from export import Target, export
from landmarks import SIGN_27, Manifest
from models import Checkpoint, build
from service.batcher import Batcher
from service.engine import CPU, Engine, OnnxEngine, Runtime, cuda_devices
from service.metrics import Metrics
from service.settings import Settings
from service.states import Place

TARGET = 0.85
PENDING = 1024
"""Windows or steps that may wait, as the service's default."""
WINDOWS = Path(__file__).resolve().parent.parent / "models" / "pretrained" / "signing.onnx"
BATCHES = (1, 2, 4, 8, 16)
STREAM: dict[str, Any] = {"widths": (32, 32, 64), "strides": (1, 1, 1)}
"""Of a continual network about as large as the shipped model of windows."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """How many streams, how long, and whether on a GPU."""
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 10, 100, 1000], help="default: 1 10 100 1000")
    parser.add_argument("--rows", type=int, default=2000, help="windows or steps a turn; default: %(default)s")
    parser.add_argument("--turns", type=int, default=5, help="of bare loop and batcher; default: %(default)s")
    parser.add_argument("--max-batch", type=int, default=16, help="default: %(default)s, as the service's")
    parser.add_argument("--cuda", action="store_true", help="on a GPU")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table into its marked place in a file")


def run(options: argparse.Namespace) -> int:
    """Print the table; 1 where a share misses the target."""
    if options.cuda and cuda_devices() == 0:
        print("there is no CUDA device here", file=sys.stderr)
        return 2
    if options.write:
        check_place(options.write, "batcher")
    rows, alone, missed = [], [], False
    with files() as paths:
        for form, path in paths.items():
            for streams in options.streams:
                share, bare, ours, together = _measure(path, streams, options)
                missed |= share < TARGET
                figures = f"{together:.1f}", f"{bare:.0f}", f"{ours:.0f}", f"{share:.2f}", verdict(share, TARGET)
                rows.append((form, streams, *figures))
                print(f"{form}, {streams}: {share:.2f}", file=sys.stderr)
            if not options.cuda:
                alone.append((form, *(f"{_row_ms(path, batch, options.turns):.3f}" for batch in BATCHES)))
    head = ("model of", "streams", "rows a turn of the thread", "bare loop, rows/s", "batcher, rows/s", "share")
    text = (
        f"{os.cpu_count()} cores, one thread a run; median of {options.turns} turns of {options.rows} rows.\n\n"
        + markdown((*head, f"at least {TARGET}"), rows)
    )
    if alone:
        text += "\n\n" + markdown(("ms a row, bare, by the batch", *map(str, BATCHES)), alone)
    print(text)
    if options.write:
        command = f"python -m bench batcher{' --cuda' if options.cuda else ''}"
        write(options.write, "batcher", command, text)
    return int(missed)


@contextmanager
def files() -> Iterator[dict[str, Path]]:
    """The shipped model of windows, and a continual network as a stream's graph, with random weights."""
    torch.manual_seed(0)
    manifest = Manifest(
        name="stream",
        version="0",
        task="gesture",
        network="costgcn",
        layout=SIGN_27.name,
        joints=SIGN_27.joints,
        window_frames=31,
        stride_frames=1,
        fps=30.0,
        labels=("none", "one", "two"),
        background="none",
    )
    options = {"labels": 3, "fps": 30.0, **STREAM}
    weights = build("costgcn", SIGN_27, **options).state_dict()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stream.onnx"
        export(Checkpoint(manifest, SIGN_27, options, weights, {}), path, Target("stream"))
        yield {"windows": WINDOWS, "steps": path}


def _measure(path: Path, streams: int, options: argparse.Namespace) -> tuple[float, float, float, float]:
    """Share, rows/s of both, and how many rows the batcher's thread took at a time."""
    device = "cuda" if options.cuda else "cpu"
    engine = OnnxEngine(path, Runtime(device, batch=options.max_batch, streams=max(streams, options.max_batch)))
    if options.cuda and engine.provider == CPU:
        raise RuntimeError(f"{path} does not run on CUDA")
    batch = min(streams, options.max_batch) if options.cuda else 1  # on a CPU, the engine runs each row alone
    bare = _bare(path, streams, batch, options.cuda)
    each = max(1, options.rows // streams)
    inputs = landmarks_of(engine.manifest, min(streams, 64))

    async def main() -> tuple[float, float, float, float]:
        metrics = Metrics()
        batcher = Batcher(engine, metrics, options.max_batch, PENDING, spot_s=Settings().spot_s)
        await batcher.start()
        places = [engine.places.take() for _ in range(streams)] if engine.places is not None else [None] * streams
        try:
            times: list[tuple[float, float]] = []
            bare(inputs, streams)
            await _streams(batcher, inputs, places, 1)
            before = _runs(metrics, engine)
            for _ in range(options.turns):
                started = time.perf_counter()
                bare(inputs, each * streams)
                between = time.perf_counter()
                await _streams(batcher, inputs, places, each)
                times.append((between - started, time.perf_counter() - between))
            total = each * streams
            share = statistics.median(theirs / ours for theirs, ours in times)
            medians = [statistics.median(took) for took in zip(*times, strict=True)]
            return (
                share,
                total / medians[0],
                total / medians[1],
                options.turns * total / (_runs(metrics, engine) - before),
            )
        finally:
            await batcher.stop()

    return asyncio.run(main())


async def _streams(batcher: Batcher, inputs: NDArray[np.float32], places: list[Place] | list[None], each: int) -> None:
    """All streams at once; of each, a window or a step after the other."""

    async def one(i: int, place: Place | None) -> None:
        landmarks = inputs[i % len(inputs)]
        for turn in range(each):
            await (await batcher.submit(landmarks if place is None else landmarks[None], place, turn == 0))

    await asyncio.gather(*(one(i, place) for i, place in enumerate(places)))


def _runs(metrics: Metrics, engine: Engine) -> float:
    line = f'signstream_run_seconds_count{{model="{engine.manifest.name}"}} '
    return next(
        float(text.removeprefix(line)) for text in metrics.text().decode().splitlines() if text.startswith(line)
    )


def _bare(path: Path, streams: int, batch: int, cuda: bool) -> Callable[[NDArray[np.float32], int], None]:
    """What runs so many rows in batches of that size: the graph alone, with the states that it gave back before."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    runtime = Runtime("cuda" if cuda else "cpu")
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=runtime.providers())
    first, *rest = session.get_inputs()
    names = [node.name for node in rest]
    groups = range(-(-streams // batch))
    nothing = [np.zeros((batch, *node.shape[1:]), np.float32) for node in rest]
    states: list[list[Any]] = [[state.copy() for state in nothing] for _ in groups]

    def run(inputs: NDArray[np.float32], rows: int) -> None:
        given = np.resize(inputs, (batch, *inputs.shape[1:]))
        for i in range(-(-rows // batch)):
            group = i % len(groups)
            _, *states[group] = session.run(None, {first.name: given, **dict(zip(names, states[group], strict=True))})

    return run


def _row_ms(path: Path, batch: int, turns: int) -> float:
    """Processor time of a row in a bare run of so many, each of a stream of its own; the least of all turns."""
    streams = max(BATCHES)
    bare = _bare(path, streams, batch, cuda=False)
    inputs = landmarks_of(OnnxEngine(path).manifest, streams)
    times = []
    for _ in range(turns + 1):
        started = time.thread_time()
        bare(inputs, 4 * streams)
        times.append(time.thread_time() - started)
    return 1e3 * min(times[1:]) / (4 * streams)


def landmarks_of(manifest: Manifest, count: int) -> NDArray[np.float32]:
    """Landmarks of so many streams: windows (N, T, V, 3) or frames (N, V, 3)."""
    return np.random.default_rng(0).uniform(0.2, 0.8, (count, *manifest.input_shape)).astype(np.float32)
