"""The fit: draw windows, learn, choose thresholds on the validation persons, measure on the test persons."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from landmarks import Decoding, Layout, Manifest, find_layout
from models import Checkpoint, Network, build
from training import metrics
from training.clip import Clip
from training.config import Fit, Recipe
from training.evaluate import Bench, make_bench, measure, of_network
from training.tasks.task import Sampler, Task
from training.windows import Windows

Report = Callable[[str], None]


def fit(recipe: Recipe, report: Report = lambda line: None) -> Checkpoint:
    """Train by a recipe and measure; the checkpoint carries the figures in its manifest.

    Deterministic for one recipe (its seed and threads included) on one machine.
    """
    bench = make_bench(recipe)
    split = bench.split
    for side, clips in (("train", split.train), ("validation", split.validation), ("test", split.test)):
        report(f"{side}: {len(clips)} clips of persons {sorted({clip.person for clip in clips})}")
    network = train(recipe, bench.task, split.train, report)
    decoding = choose_decoding(recipe, of_network(network)(bench.validation.landmarks), bench)
    figures = measure(of_network(network), dataclasses.replace(bench, test=bench.validation), decoding.start_above)
    report("validation: " + ", ".join(f"{name} {value:.4f}" for name, value in figures.items()))
    if recipe.split.refit:
        report("again, with the validation persons")
        network = train(recipe, bench.task, (*split.train, *split.validation), report)
    figures = measure(of_network(network), bench, decoding.start_above)
    return Checkpoint(
        manifest=_manifest(recipe, bench.task, decoding, figures),
        layout=find_layout(recipe.network.layout),
        options=_options(recipe, bench.task),
        weights=network.state_dict(),
        recipe=recipe.to_dict(),
    )


def train(recipe: Recipe, task: Task, clips: Sequence[Clip], report: Report = lambda line: None) -> Network:
    """A network, built and trained on windows of these clips."""
    torch.set_num_threads(recipe.fit.threads)
    torch.manual_seed(recipe.fit.seed)
    network = build(recipe.network.name, find_layout(recipe.network.layout), **_options(recipe, task))
    return learn(network, task.sampler(clips, recipe.augment), recipe.fit, report)


def learn(network: Network, sampler: Sampler, config: Fit, report: Report = lambda line: None) -> Network:
    """Train a network in place on drawn windows; returns it in evaluation mode."""
    random = np.random.default_rng(config.seed)
    steps = math.ceil(config.windows / config.batch)
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.rate, weight_decay=config.decay)
    total = steps * config.epochs
    warm = max(1, total // 20)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / warm, 0.5 * (1 + math.cos(math.pi * min(1.0, step / total))))
    )
    loss_of = nn.CrossEntropyLoss(label_smoothing=config.smoothing)
    # On a CPU, convolutions over (T, V) are faster with channels last.
    network = network.to(memory_format=torch.channels_last).train()  # pyright: ignore[reportCallIssue]
    for epoch in range(config.epochs):
        began, losses, hits = time.perf_counter(), 0.0, 0
        for _ in range(steps):
            windows, truth = _batch(sampler, config.batch, random)
            logits = network.logits(windows)  # (B, labels)
            loss = loss_of(logits, truth)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            losses += loss.item()
            hits += int((logits.argmax(dim=1) == truth).sum())
        report(
            f"epoch {epoch + 1}/{config.epochs}: loss {losses / steps:.4f}, "
            f"accuracy {hits / steps / config.batch:.4f}, {time.perf_counter() - began:.1f} s"
        )
    return network.to(memory_format=torch.contiguous_format).eval()  # pyright: ignore[reportCallIssue]


def _batch(sampler: Sampler, size: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    windows, truth = zip(*(sampler.draw(random) for _ in range(size)), strict=True)
    return torch.from_numpy(np.stack(windows)), torch.tensor(truth)  # (B, T, V, 3), (B,)


def choose_decoding(recipe: Recipe, probabilities: np.ndarray, bench: Bench) -> Decoding:
    """Thresholds from the validation persons' windows: quiet on what shows nothing, hands in view.

    probabilities: (N, labels) of `bench.validation`.
    """
    windows: Windows = bench.validation
    events, none = recipe.events, bench.task.labels.index(bench.task.background)
    loudest = np.delete(probabilities, none, axis=1).max(axis=1)
    shown = (windows.truth != none).astype(np.intp)
    visible = windows.hands >= 0.5
    if events.rule == "balanced":
        start = metrics.balanced_threshold(loudest[visible], shown[visible])
    else:
        start = metrics.threshold_for(loudest[visible], shown[visible], events.most_false)
    start = round(min(max(start, events.lowest), events.highest), 3)
    return Decoding(
        start_above=start,
        stop_below=round(start * events.stop_share, 3),
        min_duration_s=events.min_duration_s,
        min_gap_s=events.min_gap_s,
        smoothing_s=events.smoothing_s,
    )


def _options(recipe: Recipe, task: Task) -> dict[str, object]:
    return {"labels": len(task.labels), "fps": recipe.window.fps, **recipe.network.options}


def _manifest(recipe: Recipe, task: Task, decoding: Decoding, figures: dict[str, float]) -> Manifest:
    layout: Layout = find_layout(recipe.network.layout)
    return Manifest(
        name=recipe.name,
        version=recipe.card.version,
        task="signing" if recipe.task == "signing" else "gesture",
        network=recipe.network.name,
        layout=layout.name,
        joints=layout.joints,
        window_frames=recipe.window.frames,
        stride_frames=recipe.window.stride,
        fps=recipe.window.fps,
        labels=task.labels,
        background=task.background,
        centre=recipe.window.centre,
        decoding=decoding,
        licence=recipe.card.licence,
        sources=recipe.card.sources,
        metrics={name: round(value, 6) for name, value in figures.items()},
    )
