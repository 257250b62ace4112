"""Processor time of a live stream of landmarks, and streams a core: with hands in view, without, and at rest."""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.live import frames_of
from bench.table import check_place, markdown, write
from landmarks import ManifestError
from landmarks.sequence import WEBCAM_ASPECT
from service import answers, wire
from service.engine import OnnxEngine, Runtime
from service.session import Frame, Session
from service.settings import Settings

PLACE = "resting"
FPS = 30.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which models, and how long."""
    parser.add_argument(
        "--models", type=Path, default=Settings().models_dir, metavar="FOLDER", help="default: %(default)s"
    )
    parser.add_argument(
        "--after", type=float, default=1.0, metavar="SECONDS", help="of rest_after_s, for all; default: %(default)s"
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="of each stream; default: %(default)s")
    parser.add_argument("--turns", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table into its marked place in a file")


def run(options: argparse.Namespace) -> int:
    """Print the table."""
    if options.write:
        check_place(options.write, PLACE)
    engines = [OnnxEngine(path, Runtime(streams=1)) for path in sorted(options.models.glob("*.onnx"))]
    rows = []
    for chosen in [[engine] for engine in engines] + [engines] * (len(engines) > 1):
        cases = [(True, 0.0), (False, 0.0), (False, options.after)]
        turns = [
            [_milliseconds(chosen, hands, rest_after_s, options) for hands, rest_after_s in cases]
            for _ in range(options.turns)
        ]
        medians = [statistics.median(times) for times in zip(*turns, strict=True)]
        cells = [f"{ms:.2f} ({1000 / ms:.0f})" for ms in medians]
        rows.append((" + ".join(engine.manifest.name for engine in chosen), *cells))
    head = ("models", "hands in view", "no hand in view", f"the same, at rest after {options.after:g} s")
    text = (
        f"{os.cpu_count()} cores, one of them used; {FPS:g} frames/s. Milliseconds of processor time for a second of "
        f"one stream, from its binary frames to its messages but without the socket; in brackets the streams that one "
        f"core then holds. Median of {options.turns} turns.\n\n{markdown(head, rows)}"
    )
    print(text)
    if options.write:
        write(options.write, PLACE, "python -m bench resting", text)
    return 0


def _milliseconds(
    engines: Sequence[OnnxEngine], hands: bool, rest_after_s: float, options: argparse.Namespace
) -> float:
    """Of this thread, for a second of a stream that has begun and, where it may, fallen asleep before."""
    for engine in engines:
        try:
            engine.manifest = replace(engine.manifest, rest_after_s=rest_after_s)
        except ManifestError:  # it looks at no hands, or speaks of moments too far behind
            engine.manifest = replace(engine.manifest, rest_after_s=0.0)
    session, reader = Session(engines, WEBCAM_ASPECT), wire.Reader()
    before_s = 2 * options.after + 1
    began = 0.0
    for at_s, data in frames_of(round((before_s + options.seconds) * FPS), FPS, hands):
        if at_s < before_s:
            began = time.thread_time()
        (frame,) = reader.read(data)
        assert isinstance(frame, wire.LandmarkFrame)
        for scored in session.judge(session.take(Frame(frame.at_s, frame.bodies))):
            for event in session.settle(scored):
                answers.write(answers.event(event, 1))
    took = time.thread_time() - began
    session.close()
    return 1e3 * took / options.seconds
