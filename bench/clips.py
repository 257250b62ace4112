"""Windows/s of a posted landmark file beside a bare onnxruntime loop over the same windows, in turns, in one run."""

from __future__ import annotations

import argparse
import os
import statistics
import time
import urllib.request
from pathlib import Path

import numpy as np
import onnxruntime
import orjson

from bench.server import serving
from bench.table import show, verdict
from landmarks import HOLISTIC_75, LandmarkSequence
from landmarks.formats import npz
from service.engine import OnnxEngine
from service.session import Session
from service.settings import Settings

TARGET = 0.9


def arguments(parser: argparse.ArgumentParser) -> None:
    """How long a clip, and how often."""
    parser.add_argument("--seconds", type=float, default=60.0, help="of landmarks in the file; default: %(default)s")
    parser.add_argument("--turns", type=int, default=9, help="default: %(default)s")


def run(options: argparse.Namespace) -> int:
    """Print the table; 1 where the target is missed."""
    paths = sorted(Settings().models_dir.glob("*.onnx"))
    engines = [OnnxEngine(path) for path in paths]
    clip = _moving(options.seconds)
    content = npz.write(clip)
    rows, missed = [], False
    with serving() as url:
        for chosen in [[engine] for engine in engines] + [list(engines)]:
            names = ",".join(engine.manifest.name for engine in chosen)
            session = Session(chosen, clip.aspect)
            windows = session.take_clip(clip) + session.finish()
            loops = [
                (_bare(path), np.stack([w.landmarks for w in windows if w.model == engine.manifest.name]))
                for path, engine in zip(paths, engines, strict=True)
                if engine in chosen
            ]
            bare, ours = [], []
            for _ in range(options.turns):
                bare.append(_loop(loops))
                ours.append(_post(url, names, content, len(windows)))
            ratio = statistics.median(b / o for o, b in zip(ours, bare, strict=True))
            missed |= ratio < TARGET
            rate = [f"{len(windows) / statistics.median(times):.0f}" for times in (bare, ours)]
            rows.append((names, len(windows), *rate, f"{ratio:.2f}", verdict(ratio, TARGET)))
    print(f"{options.seconds:g} s of landmarks at 30 fps, {os.cpu_count()} cores, median of {options.turns} turns")
    show(("models", "windows", "bare loop, windows/s", "POST, windows/s", "ratio", f"at least {TARGET}"), rows)
    return 1 if missed else 0


def _moving(seconds: float) -> LandmarkSequence:
    """A body and two hands, all of them moving: made up, since speed does not depend on what is signed."""
    times = np.arange(round(seconds * 30)) / 30
    rest = np.random.default_rng(0).uniform(0.2, 0.8, (1, len(HOLISTIC_75), 3))
    sway = 0.05 * np.sin(2 * np.pi * times)[:, None, None]
    return LandmarkSequence.of(HOLISTIC_75, rest + sway, at_s=times, aspect=4 / 3)


def _bare(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _loop(loops: list[tuple[onnxruntime.InferenceSession, np.ndarray]]) -> float:
    started = time.perf_counter()
    for session, windows in loops:
        name = session.get_inputs()[0].name
        for i in range(len(windows)):
            session.run(None, {name: windows[i : i + 1]})
    return time.perf_counter() - started


def _post(url: str, models: str, content: bytes, windows: int) -> float:
    request = urllib.request.Request(f"{url}/v1/clips?models={models}", content, method="POST")
    started = time.perf_counter()
    with urllib.request.urlopen(request) as answer:
        body = answer.read()
    took = time.perf_counter() - started
    told = sum(len(model["windows"]) for model in orjson.loads(body)["models"].values())
    if told != windows:
        raise RuntimeError(f"the answer holds {told} windows, not {windows}")
    return took
