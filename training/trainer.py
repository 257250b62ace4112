"""The fit: draw windows, learn, choose thresholds on the validation persons, measure on the test persons."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import numpy as np
import torch
from lightning_fabric.utilities import rank_zero_only

from landmarks import Decoding, Layout, Manifest, find_layout
from models import Checkpoint, Network, build
from training import labels, losses, metrics, objective
from training.clip import Clip
from training.config import Recipe
from training.evaluate import Bench, make_bench, make_split, make_task, measure, measure_network, of_network
from training.log import Log
from training.loop import Loop, StateError, Validate
from training.tasks import Controls, Signing
from training.tasks.signing import SIGNING
from training.tasks.task import Task
from training.windows import Windows

Report = Callable[[str], None]
STAGES = ("select", "refit")
"""First on the train side alone, to choose thresholds; then with the validation persons."""
SELECTED = "select.pt"
"""The weights from before the refit, which alone may be asked about validation clips (training.ensemble_runs)."""


def fit(
    recipe: Recipe, report: Report = lambda line: None, *, run: Path | None = None, resume: bool = False
) -> Checkpoint:
    """Train by a recipe and measure; the checkpoint carries the figures in its manifest.

    run: folder for states and logs; none keeps nothing. resume: go on from the states there, to the same weights as
    if the fit had never stopped. Raises StateError where the folder holds states and resume is not asked for.
    Deterministic for one recipe (its seed and threads included) on one machine. Of several processes (fit.devices) only
    the first reports and writes.
    """
    report = rank_zero_only(report)
    if run is not None and not resume and (there := _states(run)):
        raise StateError(
            f"{run} holds an unfinished fit ({there[0].name}): go on with it (--resume), or choose another"
        )
    bench = make_bench(recipe)
    split = bench.split
    _check_idle(bench)
    _manifest(recipe, bench.task, Decoding(), {})  # what could not be served is refused now, not after the fit
    for side, clips in (("train", split.train), ("validation", split.validation), ("test", split.test)):
        report(f"{side}: {len(clips)} clips of persons {sorted({clip.person for clip in clips})}")
    log = Log(run if leads() else None)
    network = train(recipe, bench.task, split.train, report, validation=bench.validation, run=run, log=log)
    decoding = choose_decoding(recipe, of_network(network)(bench.validation.landmarks), bench)
    figures = measure(of_network(network), dataclasses.replace(bench, test=bench.validation), decoding.start_above)
    report("validation: " + ", ".join(f"{name} {value:.4f}" for name, value in figures.items()))
    if recipe.split.refit:
        report("again, with the validation persons")
        if run is not None and leads():
            torch.save(network.state_dict(), run / SELECTED)
        everybody = (*split.train, *split.validation)
        network = train(recipe, bench.task, everybody, report, run=run, log=log, stage="refit")
    log.close()
    figures = measure_network(network, bench, decoding.start_above)
    head = {"signers": cast("objective.Describes", network).config.signers} if recipe.signers.adversary else {}
    saved = Checkpoint(
        manifest=_manifest(recipe, bench.task, decoding, figures),
        layout=find_layout(recipe.network.layout),
        options=_options(recipe, bench.task) | head,
        weights=network.state_dict(),
        recipe=recipe.to_dict(),
    )
    if run is not None and leads():
        saved.save(run)
        for state in _states(run):
            state.unlink()
    return saved


def leads() -> bool:
    """Is this the first, or only, process of a fit, which reports and writes?"""
    return rank_zero_only.rank == 0  # pyright: ignore[reportFunctionMemberAccess]


def _check_idle(bench: Bench) -> None:
    """Raises EmptyClass where signing is asked for and nobody on any side is idle: a misspelt label, most likely."""
    if not isinstance(bench.task, Signing) or not bench.task.config.idle:
        return
    clips = [clip for side in (bench.split.train, bench.split.validation, bench.split.test) for clip in side]
    if all(bench.task.truth(clip) == SIGNING for clip in clips):
        wanted = bench.task.config.idle_label
        there = labels.existing((clip.label for clip in clips), [wanted])
        raise labels.EmptyClass(f"no clip is labelled {wanted}, or idle; {there}")


def _states(run: Path) -> list[Path]:
    return [path for stage in STAGES if (path := run / f"{stage}.state").is_file()]


def train(
    recipe: Recipe,
    task: Task,
    clips: Sequence[Clip],
    report: Report = lambda line: None,
    *,
    validation: Windows | None = None,
    run: Path | None = None,
    log: Log | None = None,
    stage: str = "select",
) -> Network:
    """A network, built and trained on windows of these clips; `validation` is looked at after every epoch.

    A refit has nobody to look at: it takes as many epochs, and its last weights.
    """
    config = recipe.fit if validation is not None else dataclasses.replace(recipe.fit, monitor="", patience=0)
    with _repeatable(config.deterministic):
        validate = _figures(validation) if validation is not None and config.monitor else None
        state = run / f"{stage}.state" if run is not None else None
        recipe = dataclasses.replace(recipe, fit=config)
        return make_loop(recipe, task, clips, report, validate=validate, state=state, log=log, stage=stage).run()


def find_rate(
    recipe: Recipe, lowest: float, highest: float, steps: int, report: Report = lambda line: None
) -> list[tuple[float, float]]:
    """(rate, loss) of each step of a fit on the train side whose rate rises; it ends where it comes apart."""
    task = make_task(recipe)
    clips = make_split(recipe, task).train
    with _repeatable(recipe.fit.deterministic):
        return make_loop(recipe, task, clips, report).try_rates(lowest, highest, steps)


def make_loop(
    recipe: Recipe,
    task: Task,
    clips: Sequence[Clip],
    report: Report = lambda line: None,
    *,
    validate: Validate | None = None,
    state: Path | None = None,
    log: Log | None = None,
    stage: str = "select",
) -> Loop:
    """A fresh network by the recipe, and all that trains it on windows of these clips."""
    torch.set_num_threads(recipe.fit.threads)
    torch.manual_seed(recipe.fit.seed)
    layout, window = find_layout(recipe.network.layout), recipe.window
    named, signers = objective.name_signers(clips, recipe.signers, layout, window.fps, recipe.fit.seed, report)
    options = _options(recipe, task) | ({"signers": signers} if recipe.signers.adversary else {})
    network = build(recipe.network.name, layout, **options)
    added = None
    if recipe.signers.on:
        example = torch.zeros(1, window.frames, len(layout), 3)  # (1, T, V, 3)
        added = objective.Objective(network, recipe.signers, signers, example)
    return Loop(
        network,
        task.sampler(named, recipe.augment),
        recipe.fit,
        losses.make(recipe.loss, task.counts(clips), frames=recipe.by_frame),
        objective=added,
        by_frame=recipe.by_frame,
        validate=validate,
        state=state,
        log=log,
        stage=stage,
        report=report,
    )


def _figures(validation: Windows) -> Validate:
    """loss, accuracy, f1_macro and pr_auc_macro on the validation windows."""

    def measured(network: Network) -> dict[str, float]:
        said = of_network(network)(validation.landmarks)  # (N, labels)
        right = np.maximum(said[np.arange(len(said)), validation.truth], 1e-12)  # (N,)
        return {"loss": float(-np.log(right).mean()), **metrics.multiclass(said, validation.truth)}

    return measured


@contextmanager
def _repeatable(wanted: bool) -> Iterator[None]:
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    if wanted:
        # cuBLAS is repeatable only with a workspace of its own, asked for before it starts.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]


def choose_decoding(recipe: Recipe, probabilities: np.ndarray, bench: Bench) -> Decoding:
    """Thresholds from the validation persons' windows: quiet on what shows nothing, hands in view.

    probabilities: (N, labels) of `bench.validation`. A task that has no background has no events either.
    """
    if not bench.task.background:
        return Decoding()
    windows: Windows = bench.validation
    events, none = recipe.events, bench.task.labels.index(bench.task.background)
    loudest = np.delete(probabilities, none, axis=1).max(axis=1)
    shown = (windows.truth != none).astype(np.intp)
    visible = windows.hands >= 0.5
    if events.rule == "balanced":
        weights = (
            metrics.even(windows.truth, windows.person) if isinstance(bench.task, Controls) else np.ones(len(shown))
        )
        start = metrics.balanced_threshold(loudest[visible], shown[visible], weights[visible])
    else:
        start = metrics.threshold_for(loudest[visible], shown[visible], events.most_false)
    start = round(min(max(start, events.lowest), events.highest), 3)
    return Decoding(
        start_above=start,
        stop_below=round(start * events.stop_share, 3),
        min_duration_s=events.min_duration_s,
        min_gap_s=events.min_gap_s,
        smoothing_s=events.smoothing_s,
        pad_s=events.pad_s,
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
        rest_after_s=recipe.events.rest_after_s,
    )
