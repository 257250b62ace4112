"""Memory that a loaded model takes, and each stream that it answers."""

from __future__ import annotations

import argparse
import multiprocessing
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from bench.batcher import files
from bench.table import check_place, markdown, write
from landmarks import HOLISTIC_75
from service.engine import OnnxEngine, Runtime, Step, batch_sizes, cuda_devices
from service.session import Frame, Session


def arguments(parser: argparse.ArgumentParser) -> None:
    """How many streams, and whether on a GPU."""
    parser.add_argument("--streams", type=int, default=500, help="default: %(default)s")
    parser.add_argument("--cuda", action="store_true", help="on a GPU, whose memory nvidia-smi is asked for")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table into its marked place in a file")


def run(options: argparse.Namespace) -> int:
    """Print the table."""
    if options.cuda and cuda_devices() == 0:
        print("there is no CUDA device here", file=sys.stderr)
        return 2
    if options.write:
        check_place(options.write, "memory")
    rows = []
    context = multiprocessing.get_context("spawn")
    with files() as paths:
        for form, path in paths.items():
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_measure, args=(path, options.streams, options.cuda, theirs))
            process.start()
            theirs.close()
            model, stream, device, counted = ours.recv()
            process.join()
            row = (
                form,
                f"{path.stat().st_size / 2**20:.2f}",
                f"{model / 2**20:.1f}",
                f"{stream / 2**10:.1f}",
                f"{counted / 2**10:.1f}",
            )
            rows.append((*row, f"{device / 2**20:.0f}") if options.cuda else row)
    head = ["model of", "file, MiB", "model, MiB", "stream, KiB", "its window and states, KiB"]
    text = f"{options.streams} streams.\n\n" + markdown([*head, *["on the device, MiB"] * options.cuda], rows)
    print(text)
    if options.write:
        write(options.write, "memory", f"python -m bench memory{' --cuda' if options.cuda else ''}", text)
    return 0


def _measure(path: Path, streams: int, cuda: bool, told: Any) -> None:
    """In a process of its own: bytes of the model, of one stream, on the device, and of one stream by its shapes."""
    began, device = _resident(), _on_device() if cuda else 0
    engine = OnnxEngine(path, Runtime("cuda" if cuda else "cpu", streams=streams + max(batch_sizes(16))))
    manifest = engine.manifest
    for size in batch_sizes(16):
        steps = [Step(engine.places.take(), True) for _ in range(size)] if engine.places is not None else []
        engine.predict(np.zeros((size, *manifest.input_shape), np.float32), steps)
    loaded = _resident()
    sessions = [Session([engine], 1.0) for _ in range(streams)]
    seen = np.random.default_rng(0).random((manifest.window_frames, len(HOLISTIC_75), 3), np.float32)
    for i, xyz in enumerate(seen):
        for session in sessions:
            session.push(Frame(i / manifest.fps, xyz))
    answered = _resident()
    window = (manifest.window_frames - 1) * len(manifest.joints) * 3
    counted = 4 * (window + sum(int(np.prod(shape)) for shape in manifest.states))
    on_device = _on_device() - device if cuda else 0
    told.send((loaded - began, (answered - loaded) / streams, on_device, counted))


def _resident() -> int:
    """Bytes of this process that are in memory (Linux)."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


def _on_device() -> int:
    """Bytes that all processes have on the first device."""
    asked = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0"]
    return int(subprocess.run(asked, check=True, capture_output=True, text=True).stdout) * 2**20
