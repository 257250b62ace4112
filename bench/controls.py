"""Models of one hand on recorders whom they have not seen: cross-validated over recorders, or a file on its own."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.replay import judge, open_model, settle
from bench.studies import CONFIGS
from bench.table import check_place, markdown, write
from models import checkpoint
from training import config, datasets, metrics, sweep
from training.clip import Clip
from training.config import ConfigError, Recipe
from training.evaluate import controls, make_split, make_task, of_network, of_onnx
from training.online_metrics import Recording
from training.splits import by_fold
from training.stream import Stream
from training.sweep import Variation
from training.tasks import Controls
from training.tasks.task import labelled
from training.windows import Windows

BODIES = ("asl-words", "signs")
"""Sets of whole bodies whose hands sign, point or rest: whatever is told of them was not meant."""
FIGURES = {
    "macro recall": "recall_macro",
    "and over the threshold": "found_macro",
    "none kept": "recall_none",
    "none over the threshold": "false_share",
}


@dataclasses.dataclass(frozen=True, eq=False)
class Answers:
    """Windows (N,) with what models that have not seen their persons say of them, (N, labels); the highest probability
    of a control as a share of the model's threshold tells what reaches it."""

    task: Controls
    windows: Windows
    probabilities: NDArray[np.float32]
    thresholds: NDArray[np.float64]

    def figures(self, chosen: NDArray[np.bool_] | None = None) -> dict[str, float]:
        """As training.evaluate's, with intervals over persons."""
        at = np.ones(len(self.windows), dtype=bool) if chosen is None else chosen
        return controls(self.probabilities[at], self.windows[at], self.task, self.thresholds[at], draws=1000)


def cross_validate(recipe: Recipe, folds: int, out: Path, jobs: int, words: bool) -> tuple[Answers, list[str]]:
    """Every recorder tested once, by a network that saw a part of the others; and a line about each fit.

    words: recorders' words are the truth even where paths count. Raises ConfigError where a fit failed.
    """
    task = _task(recipe, words)
    clips = [clip for clip, _ in labelled(task, datasets.load(Path(recipe.data.folder), recipe.data.sets))]
    parts = range(1, folds + 1)
    fits = [Variation(f"fold-{fold}", _part(fold, folds)) for fold in parts]
    outcomes = sweep.sweep(recipe.to_dict(), fits, out, partial(print, file=sys.stderr, flush=True), jobs=jobs)
    if failed := [outcome for outcome in outcomes if outcome.error]:
        raise ConfigError(f"{failed[0].name}: {failed[0].error}")
    windows = task.windows(clips, recipe.window.stride)
    said = np.zeros((len(windows), len(task.labels)), np.float32)
    limits, lines = np.zeros(len(windows)), []
    for fold, fit, outcome in zip(parts, fits, outcomes, strict=True):
        saved = checkpoint.load(sweep.folder(out, fit))
        persons = sorted({clip.person for clip in by_fold(clips, fold, folds, "person").test})
        mine = np.isin(windows.person, persons)
        said[mine] = of_network(saved.network())(windows.landmarks[mine])
        limits[mine] = saved.manifest.decoding.start_above
        told = ", ".join(map(str, persons))
        lines.append(
            f"{fit.name} tests {told} ({outcome.seconds:.0f} s, threshold {saved.manifest.decoding.start_above:g})"
        )
    return Answers(task, windows, said, limits), lines


def _part(fold: int, folds: int) -> dict[str, Any]:
    split = {"validation": [], "test": [], "folds": folds, "fold": fold, "over": "person", "refit": False}
    return {"split": split}


def _task(recipe: Recipe, words: bool) -> Controls:
    if words and recipe.controls is not None:
        recipe = dataclasses.replace(recipe, controls=dataclasses.replace(recipe.controls, paths=False))
    task = make_task(recipe)
    assert isinstance(task, Controls)
    return task


def of_file(path: Path, recipe: Recipe, words: bool) -> Answers:
    """A shipped file on its recipe's test persons."""
    predict, manifest = of_onnx(path)
    task = _task(recipe, words)
    windows = task.windows(make_split(recipe, task).test, recipe.window.stride)
    limits = np.full(len(windows), manifest.decoding.start_above)
    return Answers(task, windows, predict(windows.landmarks), limits)


def false_events(path: Path, recipe: Recipe) -> list[tuple[str, Recording]]:
    """What a file tells of bodies of the recipe's test persons, through the service's own session; and of whom."""
    bodies = datasets.load(Path(recipe.data.folder), BODIES)
    streams = [_stream(clip) for clip in bodies if clip.person in recipe.split.test]
    return [
        (f"{one.stream.source}, person {one.stream.person}", settle(one))
        for one in judge(open_model(path).engine, streams)
    ]


def _stream(clip: Clip) -> Stream:
    return Stream(clip.sequence, "", clip.person, clip.take, clip.source)


def tables(found: Answers) -> str:
    """Markdown: the figures, a row a label, a row a recorder."""
    figures, windows = found.figures(), found.windows
    parts = [
        f"{len(windows):,} windows of {len(np.unique(windows.person))} recorders; in brackets 95% bootstrap intervals, "
        "recorders drawn with replacement. Of a label each recorder who shows it counts as much.",
        markdown(tuple(FIGURES), [[sweep.cell(figures, name) for name in FIGURES.values()]]),
        markdown(
            ("label", "recall", "recorders", "windows", "worst recorders", "most often said instead"), _labels(found)
        ),
        markdown(
            ("recorder", "windows", "labels", "macro recall", "none kept", "none over the threshold"), _persons(found)
        ),
    ]
    return "\n\n".join(parts)


def _labels(found: Answers) -> list[list[str]]:
    windows, labels = found.windows, found.task.labels
    said = found.probabilities.argmax(axis=1)
    rows = []
    for i, label in enumerate(labels):
        mine = windows.truth == i
        if not mine.any():
            continue
        of = metrics.accuracy_by(said[mine] == i, windows.person[mine])
        worst = sorted(of, key=lambda person: of[person])[:3]
        wrong = np.bincount(said[mine & (said != i)], minlength=len(labels))
        instead = [f"{labels[j]} {wrong[j] / mine.sum():.2f}" for j in np.argsort(-wrong)[:2] if wrong[j]]
        recall = f"{np.mean(list(of.values())):.3f}"
        told = ", ".join(f"{person}: {of[person]:.2f}" for person in worst)
        rows.append([label, recall, str(len(of)), f"{mine.sum():,}", told, ", ".join(instead)])
    return rows


def _persons(found: Answers) -> list[list[str]]:
    windows, none = found.windows, found.task.labels.index(found.task.background)
    rows = []
    for person in np.unique(windows.person):
        mine = windows.person == person
        figures = found.figures(mine)
        shown = np.unique(windows.truth[mine])
        cells = [
            f"{figures[name]:.3f}" if name in figures else "" for name in ("recall_macro", "recall_none", "false_share")
        ]
        rows.append([str(person), f"{mine.sum():,}", str(int((shown != none).sum())), *cells])
    return rows


def false_table(told: Sequence[tuple[str, Recording]]) -> str:
    """Markdown: events of bodies that gave no control, a row a set and person."""
    rows = []
    for whose in (*dict.fromkeys(name for name, _ in told), "all"):
        mine = [recording for name, recording in told if whose in (name, "all")]
        hours = sum(recording.duration_s for recording in mine) / 3600
        events = [event.label for recording in mine for event in recording.predicted]
        clips = sum(bool(recording.predicted) for recording in mine)
        most = ", ".join(
            f"{label} {events.count(label)}" for label in sorted(set(events), key=lambda one: -events.count(one))[:4]
        )
        rows.append(
            (
                whose,
                len(mine),
                f"{60 * hours:.1f}",
                len(events),
                f"{clips / len(mine):.2f}",
                f"{len(events) / hours:.0f}",
                most,
            )
        )
    head = ("bodies that give no control", "clips", "minutes", "events", "clips with one", "an hour", "of which")
    return markdown(head, rows)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which recipe or file, and where its tables go."""
    parser.add_argument(
        "model", help="recipe to cross-validate: a name in training/configs or a TOML file; or a .onnx file"
    )
    parser.add_argument("--folds", type=int, default=4, help="of the recorders; default: %(default)s")
    parser.add_argument("--words", action="store_true", help="what recorders said is the truth, whatever paths show")
    parser.add_argument("--out", type=Path, default=Path("runs/bench-controls"), help="default: %(default)s/RECIPE")
    parser.add_argument("--jobs", type=int, default=1, help="fits side by side; default: %(default)s")
    parser.add_argument("--folder", default="../shared/data", help="of the data; default: %(default)s")
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", dest="overrides", help="over the recipe"
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the tables into their marked place in a file")


def run(options: argparse.Namespace) -> int:
    """Print the tables; 2 for what cannot be asked."""
    try:
        return _run(options)
    except (ValueError, FileNotFoundError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2


def _run(options: argparse.Namespace) -> int:
    path = Path(options.model)
    given = (f"data.folder={options.folder}", "fit.threads=1", *options.overrides)
    recipe = config.load(path if path.suffix == ".toml" else CONFIGS / f"{path.stem}.toml", given)
    if recipe.controls is None:
        raise ConfigError(f"{recipe.name} is no recipe of controls")
    place = f"controls {path.stem if path.suffix == '.toml' else path.name}{' words' if options.words else ''}"
    if options.write:
        check_place(options.write, place)
    if path.suffix == ".onnx":
        text = tables(of_file(path, recipe, options.words))
        if not options.words:  # nobody's words change these
            text += "\n\n" + false_table(false_events(path, recipe))
    else:
        found, lines = cross_validate(recipe, options.folds, options.out / recipe.name, options.jobs, options.words)
        text = tables(found) + "\n\n" + "\n".join(f"- {line}" for line in lines)
    print(text)
    if options.write:
        settings = [part for value in options.overrides for part in ("--set", value)]
        words = ["--words"] if options.words else []
        write(options.write, place, " ".join(["python -m bench controls", options.model, *words, *settings]), text)
    return 0
