"""Samples a second of a whole fit beside the same network in a plain torch loop, and what drawing windows takes."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.table import check_place, markdown, verdict, write
from landmarks import SIGN_27, LandmarkSequence
from models import NETWORKS, Network, build
from training import losses
from training.augment import Augment
from training.clip import Clip
from training.config import Fit
from training.log import Log
from training.loop import Loop
from training.losses import LossConfig
from training.tasks.actions import Actions, ActionsConfig
from training.tasks.task import Drawn, Sampler

TARGET = 1.0
"""The fit's samples a second are at least so many times those of the plain loop."""
MOST_WAITING = 0.03
"""Largest share of a fit's time in which it may wait for windows to be drawn."""
PLACE = "training throughput"
LEAST_STEPS = 2
LAYOUT, FRAMES, LABELS = SIGN_27, 32, 10
_SLIM: dict[str, Any] = {"widths": (48, 48, 96, 96, 128), "strides": (1, 2, 1, 2, 1)}
_SLIM_STREAM: dict[str, Any] = {"widths": (48, 48, 96, 96, 128), "strides": (1, 1, 1, 1, 1), "pool_size": 8}
SIZES: dict[str, dict[str, Any]] = {
    "arm-gru": {"members": 3},
    "costgcn": {**_SLIM_STREAM, "kernel": 5},
    "costgcn++": {**_SLIM_STREAM, "kernel": 5},
    "dsta-slr": {"widths": (32, 64, 128), "strides": (1, 2, 2), "frames": FRAMES},
    "impsgn": {"widths": (128, 128, 256), "inner": (64, 128), "relation": 128},
    "sca-stgcn": {},
    "sgn": {"relation": 128, "widths": (64, 128, 128)},
    "signing-lstm": {},
    "st-sgcn": {"frames": FRAMES, "embed": 32, "width": 8, "hidden": (256, 128)},
    "stgcn": _SLIM,
    "stgcn++": _SLIM,
}
"""Fields of each network's Config, for a size that is trained on a CPU."""


@dataclass(frozen=True)
class Measured:
    """One network. steps: of a turn. ours, plain: samples/s of each turn. waiting, drawing: shares of the fit's time in
    which it waited for windows, and that drawing them took (in processes of their own). cores: CPU seconds a second of
    the fit, with those of drawing."""

    name: str
    steps: int
    parameters: int
    ours: list[float]
    plain: list[float]
    waiting: float
    drawing: float
    cores: float

    @property
    def ratio(self) -> float:
        """Median over turns, each turn's fit by the same turn's plain loop."""
        return statistics.median(ours / plain for ours, plain in zip(self.ours, self.plain, strict=True))


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which networks, where, and how long."""
    parser.add_argument("--only", metavar="NAME", action="append", choices=sorted(NETWORKS), help="may be repeated")
    parser.add_argument("--batch", type=int, default=32, help="default: %(default)s")
    parser.add_argument("--steps", type=int, default=64, help="at most, of a turn (an epoch); default: %(default)s")
    parser.add_argument("--seconds", type=float, default=8, help="a turn aims at, at most; default: %(default)s")
    parser.add_argument("--turns", type=int, default=5, help="of each loop, after one to warm up; default: %(default)s")
    parser.add_argument("--threads", type=int, default=1, help="of torch; default: %(default)s")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw; default: %(default)s")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="default: %(default)s")
    parser.add_argument("--precision", choices=("32", "bf16"), default="32", help="of both loops; default: %(default)s")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table into its marked place in a file")


def run(options: argparse.Namespace) -> int:
    """Print the table; 1 where the fit is slower than the plain loop, or waits for its windows."""
    if options.turns < 1 or options.steps < LEAST_STEPS:
        print(f"need turns, and {LEAST_STEPS} steps or more, got {options.turns}, {options.steps}", file=sys.stderr)
        return 2
    if strange := sorted(set(SIZES) ^ set(NETWORKS)):
        print(f"SIZES in {__file__} and the registry differ by {', '.join(strange)}", file=sys.stderr)
        return 1
    if options.write:
        check_place(options.write, PLACE)
    torch.set_num_threads(options.threads)
    found = []
    for name in sorted(options.only or NETWORKS):
        print(f"{name} ...", file=sys.stderr)
        found.append(measure(name, options))
    text = table(found, options)
    print(text)
    if options.write:
        given = {"batch": 32, "threads": 1, "workers": 1, "device": "cpu", "precision": "32"}
        more = [f" --{key} {value}" for key in given if (value := getattr(options, key)) != given[key]]
        write(options.write, PLACE, f"python -m bench training throughput{''.join(more)}", text)
    return int(any(one.ratio < TARGET or one.waiting > MOST_WAITING for one in found))


def table(found: list[Measured], options: argparse.Namespace) -> str:
    """Markdown: a row a network, and what was done."""
    rows = []
    for one in found:
        ours, plain = statistics.median(one.ours), statistics.median(one.plain)
        shares = (f"{one.waiting:.1%}", f"{one.drawing:.1%}", f"{one.cores:.2f}")
        verdicts = verdict(one.ratio, TARGET), verdict(-one.waiting, -MOST_WAITING)
        about = (
            one.name,
            f"{one.parameters:,}",
            one.steps,
            f"{ours:.0f}",
            f"{plain:.0f}",
            f"{one.ratio:.2f}",
            verdicts[0],
        )
        rows.append((*about, *shares, verdicts[1]))
    heads = ("network", "parameters", "steps", "fit, samples/s", "plain, samples/s", "ratio", f"at least {TARGET:g}")
    more = ("waits for windows", "drawing them", "cores", f"waits at most {MOST_WAITING:.0%}")
    device = torch.cuda.get_device_name() if options.device == "cuda" else f"{options.threads} thread(s) of torch"
    return (
        markdown((*heads, *more), rows)
        + f"\n\nWindows of {FRAMES} frames and {len(LAYOUT)} joints, batches of {options.batch}, AdamW, precision "
        f"{options.precision}, {device}; {options.turns} turns of so many steps of either loop, one after the "
        "other, medians, the ratio of each turn's two. The fit is training.loop.Loop: it draws and augments its "
        "windows, clips gradients, moves the rate, keeps its state and writes its logs. The plain loop has the same "
        "network, loss and optimiser, and a few batches that were drawn before: zero_grad, forward, loss, backward, "
        f"step. {options.workers} process(es) draw the fit's next windows while torch computes; `cores` is what both "
        "take."
    )


def measure(name: str, options: argparse.Namespace) -> Measured:
    """A fit of a fresh network and the plain loop of its twin, in turns."""
    fit = Fit(
        epochs=options.turns + 1,
        batch=options.batch,
        threads=options.threads,
        workers=options.workers,
        device=options.device,
        precision=options.precision,
    )
    sampler = Timed(make_sampler())
    plain = Plain(fresh(name), sampler, fit)
    steps = max(LEAST_STEPS, min(options.steps, int(options.seconds / plain.step_s())))
    fit = dataclasses.replace(fit, windows=steps * options.batch)
    turns = Turns(plain, steps)
    with tempfile.TemporaryDirectory() as folder:
        network, log = fresh(name), Log(Path(folder))
        loss = losses.make(LossConfig(smoothing=0.05))
        loop = Loop(network, sampler, fit, loss, state=Path(folder) / "fit.state", log=log, report=turns.take)
        sampler.spent.value = 0.0
        turns.begin()
        loop.run()
        log.close()
    samples = steps * options.batch
    history = loop.progress.history[1:]
    drawing = sampler.spent.value / sum(row["seconds"] for row in loop.progress.history)
    return Measured(
        name,
        steps,
        sum(weight.numel() for weight in network.parameters()),
        [samples / took_s for took_s in turns.ours_s[1:]],
        [samples / took_s for took_s in turns.plain_s[1:]],
        sum(row["waiting_s"] for row in history) / sum(row["seconds"] for row in history),
        drawing,
        sum(turns.ours_cpu_s[1:]) / sum(turns.ours_s[1:]) + (drawing if options.workers else 0),
    )


def fresh(name: str) -> Network:
    """The network as its recipes build it, always the same."""
    torch.manual_seed(0)
    return build(name, LAYOUT, labels=LABELS, fps=30.0, **SIZES[name])


def make_sampler() -> Sampler:
    """The windows of a recipe for signs: made clips of every label, all of the usual augmentation."""
    random = np.random.default_rng(0)
    clips = []
    for i in range(8 * LABELS):
        length = int(random.integers(40, 90))
        moved = random.normal(0, 0.01, (length, len(LAYOUT), 3)).cumsum(axis=0) + random.uniform(0, 1, (len(LAYOUT), 3))
        sequence = LandmarkSequence.of(LAYOUT, moved.astype(np.float32), fps=30.0)
        clips.append(Clip(sequence, str(i % LABELS), person=i // LABELS, take=str(i), source="made"))
    task = Actions(ActionsConfig(tuple(map(str, range(LABELS)))), LAYOUT, FRAMES, 30.0, 0.5)
    return task.sampler(clips, Augment(mirror=0.5))


class Timed:
    """A sampler that knows how long it drew, seconds of a core, all its copies together."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler, self.spent = sampler, multiprocessing.Value("d", 0.0)

    def draw(self, random: np.random.Generator) -> Drawn:
        """One window."""
        began = time.thread_time()
        drawn = self._sampler.draw(random)
        with self.spent.get_lock():
            self.spent.value += time.thread_time() - began
        return drawn


class Plain:
    """The loop that everybody writes, on batches that lie ready on the device."""

    def __init__(self, network: Network, sampler: Sampler, fit: Fit, ready: int = 4) -> None:
        self._device, self._bf16 = fit.device, fit.precision == "bf16"
        self._network = network.to(fit.device).train()
        self._loss = nn.CrossEntropyLoss(label_smoothing=0.05)
        self._optimiser = torch.optim.AdamW(network.parameters(), fit.rate, weight_decay=fit.decay)
        random = np.random.default_rng(1)
        self._ready = [self._batch([sampler.draw(random) for _ in range(fit.batch)]) for _ in range(ready)]

    def _batch(self, drawn: list[Drawn]) -> tuple[Tensor, Tensor]:
        windows = torch.from_numpy(np.stack([one.landmarks for one in drawn]))  # (B, T, V, 3)
        truth = torch.tensor([one.truth for one in drawn])  # (B,)
        return windows.to(self._device), truth.to(self._device)

    def run(self, steps: int) -> None:
        """So many steps, to their very end."""
        loss = torch.zeros(())
        for windows, truth in self._batches(steps):
            self._optimiser.zero_grad()
            with torch.autocast(self._device, torch.bfloat16) if self._bf16 else contextlib.nullcontext():
                loss = self._loss(self._network.logits(windows), truth)
            loss.backward()
            self._optimiser.step()
        loss.item()  # waits for the device

    def step_s(self) -> float:
        """Seconds that a step takes, the first one not counted."""
        self.run(1)
        began = time.perf_counter()
        self.run(2)
        return (time.perf_counter() - began) / 2

    def _batches(self, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
        return (self._ready[step % len(self._ready)] for step in range(steps))


class Turns:
    """After each epoch of the fit, the plain loop's; seconds of each turn."""

    def __init__(self, plain: Plain, steps: int) -> None:
        self._plain, self._steps = plain, steps
        self.ours_s: list[float] = []
        self.ours_cpu_s: list[float] = []
        self.plain_s: list[float] = []
        self._began = 0.0, 0.0

    def begin(self) -> None:
        """The fit's turn: all that it does until it reports its next epoch."""
        self._began = time.perf_counter(), time.process_time()

    def take(self, line: str) -> None:
        """What the fit reports to."""
        now = time.perf_counter()
        self.ours_s.append(now - self._began[0])
        self.ours_cpu_s.append(time.process_time() - self._began[1])
        self._plain.run(self._steps)
        self.plain_s.append(time.perf_counter() - now)
        print(f"  {line}", file=sys.stderr)
        self.begin()
