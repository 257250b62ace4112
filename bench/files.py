"""Exported files beside one another: ms of a window or a step on one thread, in turns, and their size."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Sequence
from pathlib import Path

from bench.batcher import landmarks_of
from bench.networks import in_turns, told
from bench.table import show
from service.engine import Engine, OnnxEngine, Runtime, Step

PATIENCE_S = 60.0
"""No turn begins after it."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which files, and how long."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.onnx", help="the first is what others are held to")
    parser.add_argument("--turns", type=int, default=200, help="of each file; default: %(default)s")


def run(options: argparse.Namespace) -> int:
    """Print the table."""
    engines = [OnnxEngine(path, Runtime("cpu", streams=1)) for path in options.files]
    times = milliseconds(engines, options.turns)
    rows = [
        (
            path.name,
            engine.manifest.form,
            engine.manifest.precision,
            f"{path.stat().st_size / 1024:.0f}",
            told(ms),
            f"{times[0] / ms:.2f}",
        )
        for path, engine, ms in zip(options.files, engines, times, strict=True)
    ]
    show(("file", "form", "precision", "KiB", "ms", "times as fast as the first"), rows)
    return 0


def milliseconds(engines: Sequence[Engine], turns: int = 200) -> list[float]:
    """Median time of a window or a step of each, one row, in turns."""
    works = {}
    for i, engine in enumerate(engines):
        steps = [Step(engine.places.take(), fresh=False)] if engine.places is not None else []
        works[str(i)] = functools.partial(engine.predict, landmarks_of(engine.manifest, 1), steps)
        works[str(i)]()
    return list(in_turns(works, turns, PATIENCE_S).values())
