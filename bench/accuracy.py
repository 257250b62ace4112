"""Every network of a study: fits, accuracy of single streams and of ensembles, targets."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from bench.studies import find_recipe, find_study
from bench.table import check_place, markdown, verdict, write
from models.streams import STREAMS
from training import config, ensemble_runs, sweep
from training.config import ConfigError
from training.ensemble_runs import Answers, EnsembleError, Row
from training.sweep import Outcome, Variation

ALONE = "single stream"
"""Heads the column of a network's first stream, or of its one fit."""
BEST = "best"
"""The target that asks of whichever row or ensemble has the highest accuracy, chosen by that figure itself."""


@dataclass(frozen=True)
class Study:
    """What is fitted, combined and asked for: a file of training/configs/studies.

    recipe: file, from the study's folder or from training/configs. rows: name -> keys put over the recipe's, as in a
        file of variations, and `streams`: one fit each, by network.options.stream; none is one fit as the recipe is.
        A row that names no network is of the one that it is called after.
    over: keys put over every row's.
    ensembles: name -> rows (all their streams) or "row/stream"; [] is everything there is.
    targets: row, ensemble or "best" -> least accuracy. counts: of the two answers of an ensemble, and of a row with
        several streams, the one that its target asks of; written before anything is measured.
    """

    recipe: str
    rows: dict[str, dict[str, Any]]
    over: dict[str, Any] = field(default_factory=dict)
    ensembles: dict[str, tuple[str, ...]] = field(default_factory=dict)
    targets: dict[str, float] = field(default_factory=dict)
    counts: Literal["searched weights", "equal weights"] = "searched weights"

    def __post_init__(self) -> None:
        if not self.rows:
            raise ValueError("a study has rows")
        known = [*self.rows, *(name for row in self.rows for name in self.fits(row))]
        for name, members in self.ensembles.items():
            if name in known:
                raise ValueError(f"the ensemble {name} is called as a row or a fit")
            if stray := [member for member in members if member not in known]:
                raise ValueError(f"the ensemble {name} has {stray[0]}, which is no row or row/stream")
        if BEST in {*self.rows, *self.ensembles}:
            raise ValueError(f"{BEST} is whichever row or ensemble it turns out to be, and none is called so")
        if stray := set(self.targets) - {*self.rows, *self.ensembles, BEST}:
            raise ValueError(f"a target of {min(stray)}, which is no row or ensemble")
        for row in self.rows:
            streams = self.streams(row)
            if set(streams) - set(STREAMS) or len(set(streams)) < len(streams):
                raise ValueError(f"rows.{row}: streams are of {', '.join(STREAMS)}, once each, got {streams}")

    def streams(self, row: str) -> tuple[str, ...]:
        """() of a row that is one fit as the recipe is."""
        return tuple(self.rows[row].get("streams", ()))

    def fits(self, row: str) -> tuple[str, ...]:
        """Names of a row's fits."""
        return tuple(f"{row}/{stream}" for stream in self.streams(row)) or (row,)

    def members(self, name: str) -> tuple[str, ...]:
        """Fits of a row or of an ensemble, each once; of a fit itself."""
        if name not in self.ensembles:
            return self.fits(name) if name in self.rows else (name,)
        asked = self.ensembles[name] or tuple(self.rows)
        fits = [fit for member in asked for fit in (self.fits(member) if member in self.rows else (member,))]
        return tuple(dict.fromkeys(fits))

    def variations(self, overrides: Sequence[str] = ()) -> list[Variation]:
        """One a fit. overrides: "section.key=value", put over every row."""
        found = []
        for row, values in self.rows.items():
            values = {key: value for key, value in values.items() if key != "streams"}
            values = sweep.merged({"network": {"name": row}}, values, self.over)
            for fit, stream in zip(self.fits(row), self.streams(row) or ("",), strict=True):
                own = {"network": {"options": {"stream": stream}}} if stream else {}
                found.append(Variation(fit, config.put_over(sweep.merged(values, own), overrides)))
        return found


def read_study(path: Path) -> tuple[Study, dict[str, Any]]:
    """The study, and its recipe as plain values, on one thread. Raises ConfigError.

    A file that says `like` is that study, beside it, with what it says itself put over.
    """
    raw = config.read_toml(path, "study")
    if like := raw.pop("like", ""):
        raw = sweep.merged(config.read_toml(path.parent / str(like), "study"), raw)
    study: Study = config.build(Study, raw, "study.")
    return study, config.load(find_recipe(path, study.recipe), ("fit.threads=1",)).to_dict()


@dataclass(frozen=True)
class Score:
    """rows: of training.ensemble_runs, by name; none where fits are missing. error: why, beside what their own say."""

    rows: dict[str, Row] = field(default_factory=dict)
    error: str = ""

    def reached(self, counts: str) -> float | None:
        """Accuracy of the ensemble, by its weights' name."""
        return self.rows[counts].test["accuracy"] if self.rows else None


@dataclass(frozen=True)
class Measured:
    """outcomes: of all fits that there are. scores: of those, of rows and of ensembles. sizes: validation and test
    samples."""

    outcomes: dict[str, Outcome]
    scores: dict[str, Score]
    sizes: tuple[int, int]


def measure(study: Study, outcomes: Sequence[Outcome], out: Path) -> Measured:
    """Ask the finished runs in `out`; what is tested on chooses nothing."""
    by_name = {outcome.name: outcome for outcome in outcomes}
    done = [name for name, outcome in by_name.items() if not outcome.error]
    answers, scores, sizes = Answers(), dict[str, Score](), (0, 0)
    for name in dict.fromkeys((*done, *study.rows, *study.ensembles)):
        fits = study.members(name)
        if not set(fits) <= set(done):
            scores[name] = Score()
            continue
        try:
            validation, test = answers.of_runs([sweep.folder(out, Variation(fit, {})) for fit in fits])
        except EnsembleError as error:
            scores[name] = Score(error=str(error))
            continue
        rows = ensemble_runs.table(fits, test, validation, "probabilities")
        scores[name] = Score({row.name: row for row in rows})
        sizes = len(validation.truth), len(test.truth)
    return Measured(by_name, scores, sizes)


def tables(study: Study, found: Measured) -> str:
    """Markdown: a row a network, the ensembles of several, the targets, and what failed."""
    streams = list(dict.fromkeys(stream for row in study.rows for stream in study.streams(row)[1:]))
    head = ("network", ALONE, *streams, "equal weights", "searched weights", "parameters", "training s")
    parts = [markdown(head, [_row(study, found, row, streams) for row in study.rows])]
    if study.ensembles:
        lines = [(name, *_ensemble(study, found, name)) for name in study.ensembles]
        parts.append(markdown(("ensemble", "of", "equal weights", "searched weights", "weights found"), lines))
    validated, tested = found.sizes
    parts.append(
        "Nothing is finished."
        if not tested
        else f"Accuracy on {tested} test samples, in brackets its bootstrap interval of 95% over their clips. "
        "Ensembles are means of probabilities; weights, epochs and thresholds are chosen on "
        f"{validated} validation samples alone. "
        "Seconds are of all fits of the row, one thread each."
    )
    if study.targets:
        lines = [_target(study, found, name) for name in study.targets]
        parts.append(markdown(("target", "counts", "reached", "at least", ""), lines))
    if BEST in study.targets:
        parts.append(f"`{BEST}` is picked by its figure here, on the test side, which flatters it; the others are not.")
    failed = [f"- {name}: {one.error}" for name, one in found.outcomes.items() if one.error]
    failed += [f"- {name}: {score.error}" for name, score in found.scores.items() if score.error]
    if failed:
        parts.append("Failed:\n" + "\n".join(line.replace("\n", " ") for line in failed))
    return "\n\n".join(parts)


def _row(study: Study, found: Measured, row: str, streams: Sequence[str]) -> tuple[str, ...]:
    first, *others = study.fits(row)
    cells = {fit.removeprefix(f"{row}/"): _alone(found, fit) for fit in others}
    told = study.streams(row)[:1]
    alone = " ".join((*told, _alone(found, first, interval=True)))
    done = [one for fit in study.fits(row) if (one := found.outcomes.get(fit)) and not one.error]
    about = (f"{done[0].parameters:,}", f"{sum(one.seconds for one in done):.0f}") if done else ("", "")
    together = _mixed(found.scores[row]) if others else ("", "")
    return (row, alone, *(cells.get(stream, "") for stream in streams), *together, *about)


def _alone(found: Measured, fit: str, interval: bool = False) -> str:
    if fit not in found.outcomes:
        return "not fitted"
    if fit not in found.scores or not found.scores[fit].rows:
        return "failed"
    figures = found.scores[fit].rows[fit].test
    return _accuracy(figures) if interval else f"{figures['accuracy']:.3f}"


def _accuracy(figures: dict[str, float]) -> str:
    return f"{figures['accuracy']:.3f} ({figures['accuracy_low']:.3f} to {figures['accuracy_high']:.3f})"


def _mixed(score: Score) -> tuple[str, str]:
    if not score.rows:
        return "-", "-"
    return _accuracy(score.rows["equal weights"].test), _accuracy(score.rows["searched weights"].test)


def _ensemble(study: Study, found: Measured, name: str) -> tuple[str, ...]:
    score = found.scores[name]
    of = ", ".join(study.ensembles[name]) or "all"
    if not score.rows:
        return of, "-", "-", ""
    weights = zip(study.members(name), score.rows["searched weights"].weights, strict=True)
    return of, *_mixed(score), ", ".join(f"{fit} {weight:g}" for fit, weight in weights if weight)


def _target(study: Study, found: Measured, target: str) -> tuple[str, ...]:
    (name, reached), least = _reached(study, found, target), study.targets[target]
    counts = study.counts if len(study.members(name)) > 1 else ALONE
    said = f"{target}: {name}" if name != target else name
    if reached is None:
        return target, counts, "not measured", f"{least:g}", "no"
    return said, counts, f"{reached:.4f}", f"{least:g}", verdict(reached, least)


def _reached(study: Study, found: Measured, target: str) -> tuple[str, float | None]:
    """Which row or ensemble a target is about, and its accuracy."""
    if target != BEST:
        return target, found.scores[target].reached(study.counts)
    there = {name: found.scores[name].reached(study.counts) for name in (*study.rows, *study.ensembles)}
    best = max(there, key=lambda name: there[name] or 0.0)
    return best, there[best]


def missed(study: Study, found: Measured) -> bool:
    """Has a fit failed, or is a target not shown to be reached?"""
    reached = {target: _reached(study, found, target)[1] for target in study.targets}
    failed = any(one.error for one in (*found.outcomes.values(), *found.scores.values()))
    return failed or any(value is None or value < study.targets[target] for target, value in reached.items())


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which study, what of it, and where its table goes."""
    parser.add_argument("study", help="name in training/configs/studies, or a TOML file")
    parser.add_argument("--out", type=Path, default=Path("runs/bench-training"), help="default: %(default)s/STUDY")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="fit these rows or row/streams; the others are only read"
    )
    parser.add_argument("--read", action="store_true", help="fit nothing: tables of what is finished")
    parser.add_argument("--jobs", type=int, default=1, help="fits side by side; default: %(default)s")
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", dest="overrides", help="over every row"
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the tables into their marked place in a file")


def run(options: argparse.Namespace) -> int:
    """Fit what is not finished, print the tables; 1 where a target is missed or a fit failed, 2 for no study."""
    try:
        return _run(options)
    except ValueError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2


def _run(options: argparse.Namespace) -> int:
    path = find_study(options.study)
    study, base = read_study(path)
    place, out = f"training accuracy {path.stem}", options.out / path.stem
    if options.write:
        check_place(options.write, place)
    variations = study.variations(options.overrides)
    recipes = {variation.name: sweep.vary(base, variation) for variation in variations}  # all, before any is fitted
    asked = {fit for name in options.only or study.rows for fit in _named(study, name)}
    due = [variation for variation in variations if variation.name in asked and not options.read]
    outcomes = (
        sweep.sweep(base, due, out, partial(print, file=sys.stderr, flush=True), jobs=options.jobs) if due else []
    )
    for variation in variations:
        if variation not in due:
            outcomes += _finished(variation, recipes[variation.name], out)
    found = measure(study, outcomes, out)
    text = tables(study, found)
    print(text)
    if options.write:
        command = " ".join(["python -m bench training accuracy", options.study, *_settings(options)])
        write(options.write, place, command, text)
    return int(missed(study, found))


def _named(study: Study, name: str) -> tuple[str, ...]:
    fits = [fit for row in study.rows for fit in study.fits(row)]
    if name not in {*study.rows, *fits}:
        raise ConfigError(f"no row {name!r}; choose from {', '.join(study.rows)}, or one of {', '.join(fits)}")
    return study.fits(name) if name in study.rows else (name,)


def _finished(variation: Variation, recipe: config.Recipe, out: Path) -> list[Outcome]:
    try:
        outcome = sweep.finished(variation, recipe, sweep.folder(out, variation))
    except ConfigError as error:
        return [Outcome(variation.name, error=str(error))]
    return [outcome] if outcome else []


def _settings(options: argparse.Namespace) -> list[str]:
    return [part for value in options.overrides for part in ("--set", f'"{value}"' if " " in value else value)]
