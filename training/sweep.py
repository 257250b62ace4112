"""Many fits of one recipe, each with something else in it, and one table of what they came to."""

from __future__ import annotations

import argparse
import copy
import csv
import itertools
import json
import multiprocessing
import re
import tomllib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from models import Checkpoint, checkpoint
from training import config, trainer
from training.config import ConfigError

Report = Callable[[str], None]


@dataclass(frozen=True)
class Variation:
    """name: of its run's folder too. values: tables of keys that are put over the recipe's."""

    name: str
    values: dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What became of a variation: its test figures, or why it failed.

    seconds: of training and of looking at the validation persons, over all parts of a fit that was taken up again.
    """

    name: str
    figures: dict[str, float] = field(default_factory=dict)
    parameters: int = 0
    seconds: float = 0.0
    error: str = ""


def from_file(path: Path) -> list[Variation]:
    """One variation a table of a TOML file, in its order. Raises ConfigError."""
    raw = config.read_toml(path)
    if stray := [name for name, values in raw.items() if not isinstance(values, dict)]:
        raise ConfigError(f"{path}: a variation is a table of keys, got {stray[0]} = {raw[stray[0]]!r}")
    return [Variation(name, values) for name, values in raw.items()]


def every(ranges: Sequence[str]) -> list[Variation]:
    """All combinations of "section.key=V1,V2"; the values are TOML, or else plain text. Raises ConfigError."""
    axes = []
    for given in ranges:
        key, equals, values = given.partition("=")
        if not equals or not values.strip():
            raise ConfigError(f"--vary takes section.key=VALUE,VALUE, got {given!r}")
        axes.append([(key.strip(), value) for value in _values(values)])
    return [
        Variation(
            ",".join(f"{key.rpartition('.')[2]}={_plain(value)}" for key, value in chosen),
            merged(*(_nested(key, value) for key, value in chosen)),
        )
        for chosen in itertools.product(*axes)
    ]


def _values(text: str) -> list[Any]:
    try:
        return tomllib.loads(f"values = [{text}]")["values"]
    except tomllib.TOMLDecodeError:
        return [part.strip() for part in text.split(",")]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _nested(key: str, value: Any) -> dict[str, Any]:
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


def merged(*tables: dict[str, Any]) -> dict[str, Any]:
    """Later tables over earlier ones, key by key all the way down."""
    into: dict[str, Any] = {}
    for table in tables:
        for key, value in table.items():
            both = isinstance(value, dict) and isinstance(into.get(key), dict)
            into[key] = merged(into[key], value) if both else copy.deepcopy(value)
    return into


def sweep(
    recipe: dict[str, Any],
    variations: Sequence[Variation],
    out: Path,
    report: Report = lambda line: None,
    overrides: tuple[str, ...] = (),
    figures: Sequence[str] = (),
    jobs: int = 1,
) -> list[Outcome]:
    """Fit every variation into OUT/NAME, and keep OUT/table.md and OUT/table.csv up to date.

    recipe: plain values. overrides: "section.key=value", put over the recipe and below the variation. figures: columns
    of table.md (default: those with an interval); table.csv has all. jobs: fits side by side, each in a process of its
    own where there are several; what a fit comes to does not depend on it. One that is finished is not fitted again,
    one that was killed goes on, one that fails leaves the others alone. Raises ConfigError where two share a name.
    """
    runs = [folder(out, variation) for variation in variations]
    if not variations or len(set(runs)) < len(runs):
        names = ", ".join(variation.name for variation in variations)
        raise ConfigError(f"need variations with names of their own, got {names or 'none'}")
    base = config.from_dict(recipe, overrides).to_dict()
    done: dict[int, Outcome] = {}

    def one(i: int) -> None:
        variation = variations[i]
        tell = report if jobs == 1 else lambda line: report(f"{variation.name}: {line}")
        tell(f"variation {i + 1}/{len(variations)}: {variation.name}")
        try:
            done[i] = (_one if jobs == 1 else _apart)(variation, vary(base, variation), runs[i], tell)
        except Exception as error:  # whatever it is, the others are not lost
            done[i] = Outcome(variation.name, error=f"{type(error).__name__}: {error}")
            tell(f"failed: {done[i].error}")

    def written() -> list[Outcome]:
        outcomes = [done[i] for i in sorted(done)]
        _write(out, outcomes, figures)
        return outcomes

    if jobs == 1:
        for i in range(len(variations)):
            one(i)
            written()
    else:
        with ThreadPoolExecutor(jobs) as pool:  # each thread waits for the process of its fit
            try:
                for _ in as_completed([pool.submit(one, i) for i in range(len(variations))]):
                    written()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    return written()


def folder(out: Path, variation: Variation) -> Path:
    """Of the run of a variation."""
    return out / re.sub(r"[^\w.=,+-]+", "-", variation.name)


def vary(base: dict[str, Any], variation: Variation) -> config.Recipe:
    """The recipe of a variation; another network does not take over the options of the recipe's. Raises ConfigError.

    base: plain values of a whole recipe (Recipe.to_dict).
    """
    network = base["network"]
    if merged(network, variation.values.get("network", {}))["name"] != network["name"]:
        base = base | {"network": network | {"options": {}}}
    return config.from_dict(merged(base, variation.values))


def finished(variation: Variation, recipe: config.Recipe, run: Path) -> Outcome | None:
    """What a finished run came to; None where there is none. Raises ConfigError for one of another recipe."""
    if not (run / checkpoint.FILE).is_file():
        return None
    saved = checkpoint.load(run)
    if config.from_dict(saved.recipe) != recipe:
        raise ConfigError(f"{run} holds a fit of another recipe; take another folder (--out)")
    return Outcome(variation.name, dict(saved.manifest.metrics), _parameters(saved), _seconds(run))


def _one(variation: Variation, recipe: config.Recipe, run: Path, report: Report) -> Outcome:
    outcome = finished(variation, recipe, run)
    if outcome is not None:
        report(f"finished already: {run / checkpoint.FILE}")
    else:
        saved = trainer.fit(recipe, report, run=run, resume=True)
        outcome = Outcome(variation.name, dict(saved.manifest.metrics), _parameters(saved), _seconds(run))
    (run / "metrics.json").write_text(json.dumps(outcome.figures, indent=1) + "\n")
    return outcome


def _apart(variation: Variation, recipe: config.Recipe, run: Path, report: Report) -> Outcome:
    """The same in a process of its own, which may be killed and takes nothing with it."""
    context = multiprocessing.get_context("spawn")  # torch's threads do not outlive a fork
    ours, theirs = context.Pipe(duplex=False)
    # No daemon, which could have no processes to draw its windows.
    process = context.Process(target=_tell, args=(theirs, variation, recipe, run))
    process.start()
    theirs.close()
    try:
        while not isinstance(said := ours.recv(), Outcome):
            report(said)
        return said
    except EOFError:
        process.join()
        raise RuntimeError(f"its process ended by itself, with exit code {process.exitcode}") from None
    finally:
        ours.close()
        process.join()


def _tell(pipe: Connection, variation: Variation, recipe: config.Recipe, run: Path) -> None:
    """Lines of the fit, then what it came to."""
    try:
        outcome = _one(variation, recipe, run, pipe.send)
    except Exception as error:  # goes to the table, as in one process
        outcome = Outcome(variation.name, error=f"{type(error).__name__}: {error}")
        pipe.send(f"failed: {outcome.error}")
    pipe.send(outcome)


def _parameters(saved: Checkpoint) -> int:
    return sum(weight.numel() for weight in saved.network().parameters())


def _seconds(run: Path) -> float:
    rows = [row for log in sorted(run.glob("log-*.csv")) for row in csv.DictReader(log.read_text().splitlines())]
    return sum(float(row["seconds"]) for row in rows)


def _write(out: Path, outcomes: Sequence[Outcome], figures: Sequence[str]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    names = list(dict.fromkeys(name for outcome in outcomes for name in outcome.figures))
    with (out / "table.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["name", "parameters", "seconds", *names, "error"])
        writer.writeheader()
        for one in outcomes:
            about = {"name": one.name, "parameters": one.parameters, "seconds": round(one.seconds, 1)}
            writer.writerow({**about, **one.figures, "error": one.error})
    (out / "table.md").write_text(table(outcomes, figures))


def table(outcomes: Sequence[Outcome], figures: Sequence[str] = ()) -> str:
    """Markdown: a row a variation; figures (default: those with an interval) with their 95% intervals."""
    names = list(dict.fromkeys(name for outcome in outcomes for name in outcome.figures))
    shown = list(figures) or [name for name in names if f"{name}_low" in names] or names
    lines = ["| " + " | ".join(["name", *shown, "parameters", "seconds"]) + " |", "|---" * (len(shown) + 3) + "|"]
    for one in outcomes:
        if one.error:
            told = one.error.replace("|", "\\|").replace("\n", " ")
            lines.append(f"| {one.name} | failed: {told}" + " |" * (len(shown) + 2))
            continue
        cells = [cell(one.figures, name) for name in shown]
        lines.append("| " + " | ".join([one.name, *cells, f"{one.parameters:,}", f"{one.seconds:.0f}"]) + " |")
    return "\n".join(lines) + "\n"


def cell(figures: dict[str, float], name: str) -> str:
    """A figure with its interval, as far as there are these."""
    if name not in figures:
        return ""
    low, high = figures.get(f"{name}_low"), figures.get(f"{name}_high")
    return f"{figures[name]:.3f}" + ("" if low is None or high is None else f" ({low:.3f} to {high:.3f})")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command `sweep`, but for --set."""
    parser.add_argument("recipe", type=Path, help="TOML file, as in training/configs")
    parser.add_argument(
        "--vary", action="append", default=[], metavar="SECTION.KEY=V1,V2", help="every value, with every other one's"
    )
    parser.add_argument("--variations", type=Path, help="TOML file, one table a variation, as in configs/variations")
    parser.add_argument("--out", type=Path, help="folder of runs and tables (default: runs/NAME-sweep)")
    parser.add_argument("--figures", default="", metavar="NAME,NAME", help="columns of table.md")
    parser.add_argument("--jobs", type=int, default=1, help="fits side by side; default: %(default)s")


def run(options: argparse.Namespace, report: Report) -> int:
    """The command; 1 where a variation failed."""
    raw = config.load(options.recipe, tuple(options.overrides)).to_dict()
    if bool(options.vary) == bool(options.variations):
        raise ConfigError("give either --vary or --variations")
    variations = every(options.vary) if options.vary else from_file(options.variations)
    out = options.out or Path("runs") / f"{raw['name']}-sweep"
    figures = [name for name in options.figures.split(",") if name]
    outcomes = sweep(raw, variations, out, report, figures=figures, jobs=options.jobs)
    report(f"\n{table(outcomes, figures)}\nwritten: {out / 'table.md'}, {out / 'table.csv'}")
    return int(any(outcome.error for outcome in outcomes))
