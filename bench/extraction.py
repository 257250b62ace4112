"""Extraction's frame rate beside a bare MediaPipe loop over the same file, in turns, in one run."""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from mediapipe.python.solutions.holistic import Holistic

from bench.table import show, verdict
from landmarks.extract import Extractor, extract_video, extract_videos

TARGET = 0.95


def arguments(parser: argparse.ArgumentParser) -> None:
    """The file, and how often."""
    parser.add_argument("video", nargs="?", type=Path, default=Path("../shared/data/clips/asl_book.mkv"))
    parser.add_argument("--turns", type=int, default=5, help="default: %(default)s")


def run(options: argparse.Namespace) -> int:
    """Print the table; 1 where the target is missed."""
    bare, ours = [], []
    with Extractor("mediapipe") as extractor, Holistic(model_complexity=1) as graph:
        graph.process(np.zeros((64, 64, 3), np.uint8))
        for _ in range(options.turns):
            bare.append(_rate(lambda: _bare(options.video, graph)))
            ours.append(_rate(lambda: len(extract_video(options.video, extractor))))
    ratio = statistics.median(o / b for o, b in zip(ours, bare, strict=True))
    several = _rate(lambda: sum(1 for _ in extract_videos([options.video] * 4, 2, "mediapipe")))
    print(f"{options.video.name}, {os.cpu_count()} cores, median of {options.turns} turns")
    show(
        ("loop", "frames/s", "ratio", f"at least {TARGET}"),
        [
            ("bare MediaPipe", f"{statistics.median(bare):.1f}", "1.00", ""),
            ("extract_video", f"{statistics.median(ours):.1f}", f"{ratio:.2f}", verdict(ratio, TARGET)),
        ],
    )
    print(f"four files over two processes, their start included: {several:.2f} files/s")
    return 0 if ratio >= TARGET else 1


def _bare(video: Path, graph: Holistic) -> int:
    graph.reset()
    capture, frames = cv2.VideoCapture(str(video)), 0
    while True:
        more, picture = capture.read()
        if not more:
            return frames
        graph.process(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
        frames += 1


def _rate(work: Callable[[], int]) -> float:
    started = time.perf_counter()
    done = work()
    return done / (time.perf_counter() - started)
