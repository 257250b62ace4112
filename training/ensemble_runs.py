"""Finished runs, or files of answers, as one: `python -m training ensemble`.

Weights are searched with the answers to validation clips, of networks that were not trained on these; what is tested on
only measures them.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray

from models import Checkpoint, checkpoint
from training import config, ensemble, metrics
from training.ensemble import Result, Scores, combine
from training.evaluate import Bench, Predict, clip_probabilities, make_bench, of_network
from training.tasks import Actions
from training.trainer import SELECTED
from training.windows import Windows

Kind = Literal["logits", "probabilities"]
_LEAST = 1e-12
"""The least probability of which a logarithm is taken."""


class EnsembleError(ValueError):
    """Runs or files that cannot be combined, or not honestly."""


@dataclass(frozen=True, eq=False)
class Side:
    """Answers of S streams to the same N samples.

    streams: S of (N, K). truth: (N,). names: of the samples, or () where none are known.
    """

    streams: tuple[Scores, ...]
    truth: NDArray[np.intp]
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len({stream.shape for stream in self.streams}) != 1 or len(self.streams[0]) != len(self.truth):
            shapes = ", ".join(str(stream.shape) for stream in self.streams)
            raise EnsembleError(f"need as many answers as labels everywhere, got {shapes} for {len(self.truth)} labels")
        if not 0 <= self.truth.min(initial=0) <= self.truth.max(initial=0) < self.streams[0].shape[1]:
            raise EnsembleError(
                f"labels are positions in answers of length {self.streams[0].shape[1]}, "
                f"got {self.truth.min()} to {self.truth.max()}"
            )


@dataclass(frozen=True)
class Row:
    """One line of the table. validation: accuracy there, or None. test: figures, as metrics.classification."""

    name: str
    weights: tuple[float, ...]
    validation: float | None
    test: dict[str, float]


def of_runs(runs: Sequence[Path]) -> tuple[Side, Side]:
    """What finished runs say of their validation and their test samples; see Answers."""
    return Answers().of_runs(runs)


class Answers:
    """What finished runs say. Runs of the same samples read them once, and no run is asked twice."""

    def __init__(self) -> None:
        self._benches: dict[str, Bench] = {}
        self._runs: dict[Path, _Run] = {}

    def of_runs(self, runs: Sequence[Path]) -> tuple[Side, Side]:
        """Answers to validation and to test samples.

        A run that was trained again on the validation persons too (`split.refit`) answers validation samples by the
        weights that it had before, which a fit keeps beside the others. Raises EnsembleError for a run that has not
        kept them, and for runs whose samples or labels differ.
        """
        found = []
        for run in runs:
            found.append(self._run(run))
            if found[-1].labels != found[0].labels:
                ours, first = (", ".join(one.labels) for one in (found[-1], found[0]))
                raise EnsembleError(f"{run} answers {ours}, {runs[0]} {first}")
        validation = _side(runs, "validation", [one.validation for one in found])
        return validation, _side(runs, "test", [one.test for one in found])

    def _run(self, run: Path) -> _Run:
        if run not in self._runs:
            saved = checkpoint.load(run)
            bench = self._bench(saved)
            mean = isinstance(bench.task, Actions)
            before, after = _before_refit(saved, run).network(), saved.network()
            self._runs[run] = _Run(
                saved.manifest.labels,
                _answers(of_network(before), bench.validation, mean),
                _answers(of_network(after), bench.test, mean),
            )
        return self._runs[run]

    def _bench(self, saved: Checkpoint) -> Bench:
        raw, task = saved.recipe, saved.recipe["task"]
        key = json.dumps([task, raw["data"], raw["split"], raw["window"], raw[task], saved.layout.name], sort_keys=True)
        if key not in self._benches:
            self._benches[key] = make_bench(config.from_dict(raw))
        return self._benches[key]


@dataclass(frozen=True, eq=False)
class _Run:
    """Answers of one run, and what they are to."""

    labels: tuple[str, ...]
    validation: tuple[Scores, Windows]
    test: tuple[Scores, Windows]


def _before_refit(saved: Checkpoint, run: Path) -> Checkpoint:
    if not saved.recipe["split"].get("refit", True):
        return saved
    kept = run / SELECTED
    if not kept.is_file():
        raise EnsembleError(
            f"{run} was trained on its validation persons too (split.refit) and has not kept what it was before "
            f"({SELECTED}), so it cannot say what weights are good; fit it again, or with --set split.refit=false"
        )
    return dataclasses.replace(saved, weights=torch.load(kept, map_location="cpu", weights_only=True))


def _answers(predict: Predict, windows: Windows, mean: bool) -> tuple[Scores, Windows]:
    return clip_probabilities(predict, windows) if mean else (predict(windows.landmarks), windows)


def _side(runs: Sequence[Path], what: str, answers: Sequence[tuple[Scores, Windows]]) -> Side:
    names, truth = _names(answers[0][1]), answers[0][1].truth
    for run, (_, windows) in zip(runs, answers, strict=True):
        if _names(windows) != names or (windows.truth != truth).any():
            raise EnsembleError(f"{what} samples of {run} are not those of {runs[0]}: same data, split and windows?")
    return Side(tuple(scores for scores, _ in answers), truth, names)


def _names(windows: Windows) -> tuple[str, ...]:
    """The take of each sample; the second window of a take and those after it are numbered."""
    counts: dict[str, int] = {}
    names = []
    for take in windows.take.tolist():
        counts[take] = counts.get(take, 0) + 1
        names.append(take if counts[take] == 1 else f"{take}#{counts[take]}")
    return tuple(names)


def of_files(paths: Sequence[Path], labels: Path) -> Side:
    """Answers in result files (training.ensemble.read), with the truth in another file; nothing of them is run."""
    results, names, truth = [ensemble.read(path) for path in paths], *read_labels(labels)
    named = next((result.names for result in results if result.names), ())
    if names:
        streams = [result.ordered(names) if result.names else result.scores for result in results]
    else:
        if len({result.names for result in results if result.names}) > 1:
            raise EnsembleError(f"the samples of the files are named or ordered otherwise: {labels} must name them")
        names, streams = named, [result.scores for result in results]
    return Side(tuple(streams), truth, names)


def read_labels(path: Path) -> tuple[tuple[str, ...], NDArray[np.intp]]:
    """Names of the samples, or (), and their label positions.

    .json: a list of positions, or an object name -> position. .csv and .txt: a line a sample, `position` or
    `name,position`. .pkl: (names, positions), as ST-GCN and DSTA-SLR have them.
    Raises EnsembleError for anything else.
    """
    try:
        if path.suffix == ".json":
            content = json.loads(path.read_text())
            pairs = list(content.items()) if isinstance(content, dict) else [("", value) for value in content]
        elif path.suffix == ".pkl":
            names, values = ensemble.unpickle(path)[:2]
            pairs = list(zip(names, values, strict=True))
        else:
            with path.open(newline="") as file:
                rows = [row for row in csv.reader(file) if row]
            pairs = [(",".join(row[:-1]), row[-1]) for row in rows]
        truth = np.array([int(value) for _, value in pairs], np.intp)
    except (ValueError, TypeError) as error:
        raise EnsembleError(f"{path} holds no labels, as positions from 0: {error}") from error
    names = tuple(str(name) for name, _ in pairs) if any(name for name, _ in pairs) else ()
    if not len(truth) or (names and len(set(names)) != len(names)):
        raise EnsembleError(f"{path}: need samples, named all differently or not at all")
    return names, truth


def kind_of(streams: Sequence[Scores]) -> Kind:
    """Are these all probabilities, or all logits? Raises EnsembleError for some of each, which cannot be averaged."""
    chances = [bool((s >= 0).all() and np.allclose(s.sum(axis=1), 1, atol=1e-3)) for s in streams]
    if len(set(chances)) > 1:
        raise EnsembleError("some files hold probabilities and others logits; combine either")
    return "probabilities" if chances[0] else "logits"


def as_logits(probabilities: Scores) -> Scores:
    """Logarithms: logits but for a number a sample, which changes no softmax and no order."""
    return np.log(np.maximum(np.asarray(probabilities, np.float64), _LEAST))


def table(
    names: Sequence[str], test: Side, validation: Side | None, kind: Kind, given: Sequence[float] = ()
) -> list[Row]:
    """Each stream alone, all with equal weights, with weights found on validation samples, and with given ones."""
    count = len(test.streams)
    mixtures = [(name, tuple(float(i == j) for j in range(count))) for i, name in enumerate(names)]
    mixtures.append(("equal weights", (1.0,) * count))
    if validation is not None:
        mixtures.append(("searched weights", ensemble.search(validation.streams, validation.truth, kind).weights))
    if given:
        mixtures.append(("given weights", tuple(map(float, given))))
    rows = []
    for name, weights in mixtures:
        there = None
        if validation is not None:
            there = float((combine(validation.streams, weights).argmax(axis=1) == validation.truth).mean())
        rows.append(Row(name, weights, there, _measured(combine(test.streams, weights), test, kind)))
    return rows


def _measured(scores: Scores, side: Side, kind: Kind) -> dict[str, float]:
    if kind == "logits":
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        scores = scores / scores.sum(axis=1, keepdims=True)
    clips = np.array([name.split("#")[0] for name in side.names]) if side.names else np.arange(len(side.truth))
    return metrics.classification(scores, side.truth, clips)


def as_text(rows: Sequence[Row]) -> str:
    """The rows as a table to read; the interval is a bootstrap of 95% over clips."""
    cells = [("", "weights", "validation", "test", "interval")]
    for row in rows:
        there = "" if row.validation is None else f"{row.validation:.4f}"
        interval = f"{row.test['accuracy_low']:.4f} to {row.test['accuracy_high']:.4f}"
        weights = " ".join(f"{weight:g}" for weight in row.weights)
        cells.append((row.name, weights, there, f"{row.test['accuracy']:.4f}", interval))
    widths = [max(len(cell[i]) for cell in cells) for i in range(len(cells[0]))]
    lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(cell, widths, strict=True)) + " |" for cell in cells]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `python -m training ensemble`."""
    parser.add_argument("runs", type=Path, nargs="*", metavar="RUN", help="folders of finished runs of the same data")
    parser.add_argument("--out", type=Path, required=True, help="folder for ensemble.json and result files")
    parser.add_argument("--mix", choices=("probabilities", "logits"), help="of runs (default: probabilities)")
    parser.add_argument("--results", choices=("pyskl", "dsta_slr"), help="write answers too, as these code bases do")
    parser.add_argument("--weights", type=float, nargs="+", default=[], help="a row of these, too; one a stream")
    files = {"type": Path, "nargs": "+", "default": [], "metavar": "PKL"}
    parser.add_argument("--from", **files, dest="files", help="instead of runs: files of answers to what is tested on")
    parser.add_argument("--labels", type=Path, help="their truth: .json, .csv, .txt or .pkl (see read_labels)")
    parser.add_argument("--validation", **files, help="the same streams' answers to validation samples, for the search")
    parser.add_argument("--validation-labels", type=Path, help="the truth of those")


def run(options: argparse.Namespace, report: Callable[[str], object]) -> int:
    """Print the table; write weights, figures and, where asked, result files."""
    validation: Side | None
    if options.runs:
        if options.files or options.labels or options.validation or options.validation_labels:
            raise EnsembleError("runs know their samples: give runs, or --from and --labels")
        names = _short([str(run) for run in options.runs])
        validation, test = of_runs(options.runs)
        kind: Kind = options.mix or "probabilities"
        if kind == "logits":
            validation, test = (
                dataclasses.replace(side, streams=tuple(map(as_logits, side.streams))) for side in (validation, test)
            )
    else:
        names, validation, test = _from_files(options)
        kind = kind_of([*test.streams, *(validation.streams if validation else ())])
        if options.mix and options.mix != kind:
            raise EnsembleError(f"the files hold {kind}, not {options.mix}")
    if len(test.streams) < 2:
        raise EnsembleError("an ensemble takes two streams or more")
    rows = table(names, test, validation, kind, options.weights)
    report(as_text(rows))
    options.out.mkdir(parents=True, exist_ok=True)
    best = next((row for row in rows if row.name == "searched weights"), rows[len(names)])
    about: dict[str, Any] = {
        "streams": [str(source) for source in options.runs or options.files],
        "kind": kind,
        "weights": list(best.weights),
        "searched": best.name == "searched weights",
        "rows": [dataclasses.asdict(row) for row in rows],
    }
    path = options.out / "ensemble.json"
    path.write_text(json.dumps(about, indent=1) + "\n")
    report(f"written: {path}")
    if options.results:
        sides = {"": test, "-validation": validation}
        for suffix, side in sides.items():
            if side is not None:
                _write(options.out, suffix, names, side, best.weights, options.results, kind)
        report(f"written: {', '.join(names)} and ensemble as {options.results} in {options.out}")
    return 0


def _from_files(options: argparse.Namespace) -> tuple[list[str], Side | None, Side]:
    if not options.files or options.labels is None:
        raise EnsembleError("give runs, or files by --from and their truth by --labels")
    if bool(options.validation) != bool(options.validation_labels):
        raise EnsembleError("--validation and --validation-labels go together")
    validation = None
    if options.validation:
        if len(options.validation) != len(options.files):
            raise EnsembleError(f"need as many files everywhere, got {len(options.validation)}, {len(options.files)}")
        if {path.resolve() for path in options.validation} & {path.resolve() for path in options.files}:
            raise EnsembleError("a file of --from is in --validation: weights are not searched on what is tested on")
        validation = of_files(options.validation, options.validation_labels)
    test = of_files(options.files, options.labels)
    if validation is not None and (shared := set(validation.names) & set(test.names)):
        raise EnsembleError(f"{len(shared)} samples are validated and tested on, {min(shared)} for one")
    return _short([str(path.with_suffix("")) for path in options.files]), validation, test


def _short(paths: Sequence[str]) -> list[str]:
    """Last parts of paths, numbered where two are the same."""
    last = [Path(path).resolve().name for path in paths]
    return [name if last.count(name) == 1 else f"{i + 1}-{name}" for i, name in enumerate(last)]


def _write(
    out: Path, suffix: str, names: Sequence[str], side: Side, weights: Sequence[float], form: str, kind: Kind
) -> None:
    """A file a stream, one of all, and the truth. DSTA-SLR's hold logits."""
    scores: Mapping[str, Scores] = {
        **dict(zip(names, side.streams, strict=True)),
        "ensemble": combine(side.streams, weights),
    }
    for name, answers in scores.items():
        if form == "dsta_slr" and kind == "probabilities":
            answers = as_logits(answers)
        ensemble.write(
            out / f"{name}{suffix}.pkl", Result(answers, side.names), cast("Literal['pyskl', 'dsta_slr']", form)
        )
    truth = side.truth.tolist()
    labels = dict(zip(side.names, truth, strict=True)) if side.names else truth
    (out / f"labels{suffix}.json").write_text(json.dumps(labels, indent=1) + "\n")
