"""What one live frame costs, stage by stage, from its bytes to what is said of it: microseconds of processor time."""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from bench.live import FPS, frames_of
from bench.table import check_place, markdown, write
from landmarks.sequence import WEBCAM_ASPECT
from service import answers, wire
from service.engine import OnnxEngine, Runtime
from service.session import Frame, Session
from service.settings import Settings

PLACE = "frame"
STAGES = ("read", "take", "judge", "settle", "say")
BEFORE = round(3 * FPS)
"""Frames of each stream that count nowhere: in them, those without hands fall asleep."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which models, how many streams, how long."""
    parser.add_argument(
        "--models",
        nargs="+",
        default=["signing", "signing,signs-stream", "signing,signs"],
        metavar="NAME,NAME",
        help="those of a stream, one row each; default: %(default)s",
    )
    parser.add_argument("--streams", type=int, default=50, help="that take turns; default: %(default)s")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each stream a turn; default: %(default)s")
    parser.add_argument("--turns", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table into its marked place in a file")


def run(options: argparse.Namespace) -> int:
    """Print the table."""
    if options.write:
        check_place(options.write, PLACE)
    rows = []
    for names in options.models:
        paths = [Settings().models_dir / f"{name}.onnx" for name in names.split(",")]
        engines = [OnnxEngine(path, Runtime(streams=options.streams)) for path in paths]
        for hands in (True, False):
            turns = [_microseconds(engines, hands, options) for _ in range(options.turns)]
            stages = [statistics.median(took) for took in zip(*turns, strict=True)]
            cells = [f"{took:.1f}" for took in (*stages, sum(stages))]
            rows.append((names.replace(",", " + "), "yes" if hands else "no", *cells))
    text = (
        f"{os.cpu_count()} cores, one of them used; {options.streams} streams in turns, {FPS:g} frames a second each, "
        "every answer said. Microseconds of processor time, a frame: its bytes read; joints taken, squared, resampled "
        "and cut; windows or steps judged; probabilities settled into events; scores and events written. Median of "
        f"{options.turns} turns.\n\n" + markdown(("models", "hands in view", *STAGES, "together"), rows)
    )
    print(text)
    if options.write:
        write(options.write, PLACE, "python -m bench frame", text)
    return 0


def _microseconds(engines: Sequence[OnnxEngine], hands: bool, options: argparse.Namespace) -> list[float]:
    """Of each stage, a frame."""
    sessions = [Session(engines, WEBCAM_ASPECT) for _ in range(options.streams)]
    reader, clock = wire.Reader(), time.thread_time
    took = [0.0] * len(STAGES)
    frames = frames_of(BEFORE + round(options.seconds * FPS), FPS, hands)
    for i, (_, data) in enumerate(frames):
        if i == BEFORE:
            took = [0.0] * len(STAGES)
        for session in sessions:
            marks = [clock()]
            (frame,) = reader.read(data)
            assert isinstance(frame, wire.LandmarkFrame)
            marks.append(clock())
            cuts = session.take(Frame(frame.at_s, frame.bodies))
            marks.append(clock())
            judged = session.judge(cuts)
            marks.append(clock())
            events = [event for scored in judged for event in session.settle(scored)]
            marks.append(clock())
            for scored in judged:
                answers.write(answers.scores(scored))
            for event in events:
                answers.write(answers.event(event, 1))
            marks.append(clock())
            for stage, (before, after) in enumerate(itertools.pairwise(marks)):
                took[stage] += after - before
    for session in sessions:
        session.close()
    return [1e6 * seconds / (options.streams * (len(frames) - BEFORE)) for seconds in took]
