"""Extraction by MediaPipe's own graph beside its networks in onnxruntime, frame by frame, in turns, on real clips."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.table import check_place, markdown, verdict, write
from landmarks import holistic
from landmarks.extract import Extractor, Picture, open_extractors, read_video
from service.engine import cuda_devices

FARTHEST, FEWEST, SLOWEST = 0.02, 1.0, 1.0
HANDS = ("left_hand", "right_hand")
DOCS = Path("docs/benchmarks.md")
Found = tuple[NDArray[np.float32], NDArray[np.float32]]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which clips, how much of them, and whether on a GPU."""
    folder = Path("../shared/data/clips")
    parser.add_argument("clips", nargs="*", type=Path, help=f"default: all of {folder}")
    parser.set_defaults(folder=folder)
    parser.add_argument("--frames", type=int, help="of each clip, from its start; default: all")
    parser.add_argument(
        "--control", action="store_true", help="also MediaPipe beside itself, one grey level of noise on"
    )
    parser.add_argument("--cuda", action="store_true", help="frames/s of 1, 8 and 32 streams on a GPU instead")
    parser.add_argument("--write", action="store_true", help=f"put the table into {DOCS}")


@dataclass
class Beside:
    """What one backend found beside another, over some frames.

    apart: by part, the distance of each joint that both found as a share of the part's size: of the longer side of
    the box around the other backend's joints. found: by part, in how many frames this one, and the other, found it.
    cpu_s: CPU seconds of this one, and the other.
    """

    frames: int = 0
    apart: dict[str, list[NDArray[np.floating]]] = field(default_factory=lambda: {part: [] for part in holistic.PARTS})
    found: dict[str, list[int]] = field(default_factory=lambda: {part: [0, 0] for part in holistic.PARTS})
    cpu_s: list[float] = field(default_factory=lambda: [0.0, 0.0])

    def add(self, ours: Found, theirs: Found, picture: Picture) -> None:
        """One frame of both."""
        self.frames += 1
        pixels = np.array(picture.shape[1::-1])
        for part, where in holistic.PARTS.items():
            a, b = (xyz[where, :2] * pixels for xyz, _ in (ours, theirs))
            here, there = not np.isnan(a).any(), not np.isnan(b).any()
            self.found[part][0] += here
            self.found[part][1] += there
            if here and there:
                self.apart[part].append(np.linalg.norm(a - b, axis=1) / np.ptp(b, axis=0).max())

    def join(self, other: Beside) -> None:
        """Count in the frames of another clip."""
        self.frames += other.frames
        for part in holistic.PARTS:
            self.apart[part] += other.apart[part]
            self.found[part] = [a + b for a, b in zip(self.found[part], other.found[part], strict=True)]
        self.cpu_s = [a + b for a, b in zip(self.cpu_s, other.cpu_s, strict=True)]

    def distance(self, *parts: str) -> float:
        """Median over all joints and frames; NaN where nothing was found by both."""
        apart = [shares for part in parts for shares in self.apart[part]]
        return float(np.median(np.concatenate(apart))) if apart else np.nan

    def hands(self) -> tuple[int, int]:
        """Hands found by this one, and by the other."""
        ours, theirs = np.sum([self.found[part] for part in HANDS], axis=0)
        return int(ours), int(theirs)


def run(options: argparse.Namespace) -> int:
    """Print the table; 1 where a target is missed."""
    if options.cuda:
        return _on_cuda(options)
    if options.write:
        check_place(DOCS, "backends")
    clips = options.clips or sorted(path for path in options.folder.iterdir() if path.suffix in (".mkv", ".mp4"))
    rows, total, control = [], Beside(), Beside()
    with Extractor("onnx") as ours, Extractor("mediapipe") as theirs, Extractor("mediapipe") as again:
        for clip in clips:
            beside = _measure(clip, options.frames, ours, theirs)
            total.join(beside)
            rows.append((clip.stem, *_figures(beside)))
            if options.control:
                own = _measure(clip, options.frames, again, theirs, noise=1)
                control.join(own)
                rows.append((f"{clip.stem}, MediaPipe itself", *_figures(own)))
    rows.append(("all", *_figures(total)))
    if options.control:
        rows.append(("all, MediaPipe itself", *_figures(control)))
    ours_found, theirs_found = total.hands()
    reached = {
        f"pose apart at most {FARTHEST:.0%}": verdict(-total.distance("pose"), -FARTHEST),
        f"hands apart at most {FARTHEST:.0%}": verdict(-total.distance(*HANDS), -FARTHEST),
        "hands found at least MediaPipe's": verdict(ours_found, FEWEST * theirs_found),
        "CPU time at most MediaPipe's": verdict(-total.cpu_s[0] / total.cpu_s[1], -SLOWEST),
    }
    header = (
        "clip",
        "frames",
        "pose apart",
        "hands apart",
        "hands, onnx / MediaPipe",
        "CPU ms, onnx / MediaPipe",
        "ratio",
    )
    told = "; ".join(f"{target}: {answer}" for target, answer in reached.items())
    text = f"{markdown(header, rows)}\n\n{told}."
    print(f"{os.cpu_count()} cores; onnxruntime on one thread, MediaPipe on its own\n{text}")
    if options.write:
        write(DOCS, "backends", "python -m bench backends", text)
    return 1 if "no" in reached.values() else 0


def _figures(beside: Beside) -> tuple[str, ...]:
    def share(value: float) -> str:
        return "-" if np.isnan(value) else f"{100 * value:.2f}%"

    ours, theirs = (1000 * seconds / beside.frames for seconds in beside.cpu_s)
    hands = " / ".join(str(count) for count in beside.hands())
    apart = share(beside.distance("pose")), share(beside.distance(*HANDS))
    return str(beside.frames), *apart, hands, f"{ours:.1f} / {theirs:.1f}", f"{ours / theirs:.2f}"


def _measure(clip: Path, frames: int | None, ours: Extractor, theirs: Extractor, noise: int = 0) -> Beside:
    """Both look at every picture, one after the other; noise: grey levels that the pictures of `ours` are off by."""
    beside, random = Beside(), np.random.default_rng(0)
    ours.reset()
    theirs.reset()
    for _, picture in islice(read_video(clip), frames):
        off = random.integers(-noise, noise + 1, picture.shape)
        seen = np.clip(picture + off, 0, 255).astype(np.uint8) if noise else picture
        a, cost_a = _timed(lambda seen=seen: ours.frame(seen))
        b, cost_b = _timed(lambda picture=picture: theirs.frame(picture))
        beside.add(a, b, picture)
        beside.cpu_s = [beside.cpu_s[0] + cost_a, beside.cpu_s[1] + cost_b]
    return beside


def _timed(work: Callable[[], Found]) -> tuple[Found, float]:
    """CPU seconds of all the process's threads, which other processes on the machine hardly change."""
    started = time.process_time()
    return work(), time.process_time() - started


def _on_cuda(options: argparse.Namespace) -> int:
    """Frames/s of several streams at once on CUDA, beside MediaPipe's graph on the CPU."""
    if not cuda_devices():
        print("there is no CUDA device here")
        return 1
    clip = options.clips[0] if options.clips else options.folder / "asl_book.mkv"
    pictures = [picture for _, picture in islice(read_video(clip), options.frames)]
    with Extractor("mediapipe") as mediapipe:
        rows: list[tuple[object, ...]] = [("MediaPipe, CPU", 1, f"{_rate([mediapipe], pictures):.1f}")]
    for count in (1, 8, 32):
        extractors = open_extractors(count, "onnx", cuda=True)
        _rate(extractors, pictures[:5])  # every batch size has its first run
        rows.append(("onnxruntime, CUDA", count, f"{_rate(extractors, pictures):.1f}"))
    print(markdown(("backend", "streams", "frames/s of all"), rows))
    return 0


def _rate(extractors: list[Extractor], pictures: list[Picture]) -> float:
    def watch(extractor: Extractor) -> None:
        extractor.reset()
        for picture in pictures:
            extractor.frame(picture)

    started = time.perf_counter()
    with ThreadPoolExecutor(len(extractors)) as pool:
        list(pool.map(watch, extractors))
    return len(extractors) * len(pictures) / (time.perf_counter() - started)
