"""Labelled streams through the service's session: gestures found, false ones, delay, processor time a frame."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.replay import Judged, judge, milliseconds, open_model, settle
from bench.studies import find_recipe, find_study
from bench.table import check_place, markdown, write
from landmarks import Decoding
from models import checkpoint
from training import config, datasets, metrics, online_metrics, sweep
from training.config import ConfigError
from training.decoding import choose
from training.evaluate import make_split, make_task
from training.online_metrics import Recording
from training.stream import Stream
from training.sweep import Variation

QUALITY = {
    "found": "shrec21_detection_rate",
    "false": "shrec21_false_positive_rate",
    "false, strict": "shrec21_false_positive_rate_strict",
    "Jaccard": "shrec21_jaccard",
    "found, SFINGE": "sfinge_detection_rate",
    "false, SFINGE": "sfinge_false_positive_rate",
}
TIMING = {
    "event F1": "event_f1",
    "Levenshtein": "levenshtein_accuracy",
    "delay s, median": "delay_median_s",
    "delay s, p90": "delay_p90_s",
    "false an hour": "false_per_hour",
    "pieces": "fragmentation_pieces",
    "start off by s": "boundary_start_s",
}
"""Columns of the two tables -> figures of training.online_metrics."""
MEASURED = "online.json"
"""In the folder of a study's row."""


@dataclass(frozen=True, eq=False)
class Replayed:
    """A model on streams that it has not seen. decodings: those that the streams' events were made by, fold by fold."""

    name: str
    goes: str
    decodings: tuple[Decoding, ...]
    judged: tuple[Judged, ...]
    recordings: tuple[Recording, ...]


@dataclass(frozen=True)
class Measured:
    """figures: of all streams together, and frame_ms. spread: name -> 95% interval, streams drawn with replacement.
    size: streams, true events, seconds. decodings: as of Replayed, as plain values."""

    name: str
    goes: str
    figures: dict[str, float]
    spread: dict[str, tuple[float, float]]
    size: tuple[int, int, float]
    decodings: list[dict[str, float]]


def measure(found: Replayed, draws: int = 200) -> Measured:
    """Every figure of training.online_metrics on these recordings, and how sure it is."""
    said, takes = found.recordings, np.array([judged.stream.take for judged in found.judged])
    return Measured(
        found.name,
        found.goes,
        online_metrics.figures(said) | {"frame_ms": milliseconds(found.judged)},
        metrics.intervals(lambda at: online_metrics.figures([said[i] for i in at.tolist()]), takes, draws),
        (len(said), sum(len(one.true) for one in said), sum(one.duration_s for one in said)),
        [dataclasses.asdict(decoding) for decoding in found.decodings],
    )


def choose_decoding(validation: Sequence[Judged]) -> Decoding:
    """The thresholds and times that the service's decoder does best with on these streams."""
    return choose(lambda decoding: [settle(one, decoding) for one in validation])


def replay_run(run: Path, name: str, overrides: Sequence[str] = ()) -> Replayed:
    """A run on the streams of its test side, decoded as does best on those of its validation side.

    overrides: "section.key=value", put over the run's recipe. Raises ValueError where a side has no streams.
    """
    recipe = config.from_dict(checkpoint.load(run).recipe, tuple(overrides))
    split = make_split(recipe, make_task(recipe))
    sides = [[clip for clip in side if isinstance(clip, Stream)] for side in (split.validation, split.test)]
    if not all(sides):
        raise ValueError(f"{run}: its recipe has no streams to validate or test on; a .onnx is asked on all of a set's")
    validation, test = sides
    model = open_model(run)
    decoding = choose_decoding(judge(model.engine, validation))
    judged = judge(model.engine, test)
    return Replayed(name, model.goes, (decoding,), tuple(judged), tuple(settle(one, decoding) for one in judged))


def replay_file(path: Path, streams: Sequence[Stream]) -> Replayed:
    """A shipped .onnx on these streams, decoded as its manifest says."""
    model = open_model(path)
    known = {event.label for stream in streams for event in stream.events} & set(model.manifest.labels)
    if not known:
        raise ValueError(f"{path} knows none of the streams' labels; it knows {', '.join(model.manifest.labels)}")
    judged = judge(model.engine, streams)
    recordings = tuple(settle(one, model.manifest.decoding) for one in judged)
    return Replayed(path.stem, model.goes, (model.manifest.decoding,), tuple(judged), recordings)


def together(name: str, folds: Sequence[Replayed]) -> Replayed:
    """The folds of a cross-validation as one: every stream once, each answered by the model that has not seen it.

    Raises ValueError where a stream is in two folds.
    """
    takes = [judged.stream.take for fold in folds for judged in fold.judged]
    if twice := sorted({take for take in takes if takes.count(take) > 1}):
        raise ValueError(f"{name}: {', '.join(twice[:5])} in two folds")
    return Replayed(
        name,
        folds[0].goes,
        tuple(decoding for fold in folds for decoding in fold.decodings),
        tuple(judged for fold in folds for judged in fold.judged),
        tuple(recording for fold in folds for recording in fold.recordings),
    )


@dataclass(frozen=True)
class Study:
    """What is cross-validated: a file of training/configs/studies.

    recipe: see bench.studies.find_recipe. folds: each is tested on once. rows: name -> keys put over the recipe's; a
        row that names no network is of the one that it is called after.
    """

    recipe: str
    folds: int
    rows: dict[str, dict[str, Any]]

    def fits(self, row: str, overrides: Sequence[str] = ()) -> list[Variation]:
        """One a fold."""
        values = sweep.merged({"network": {"name": row}}, self.rows[row])
        given = [*overrides, f"split.folds={self.folds}"]
        return [
            Variation(f"fold-{fold}", config.put_over(values, [*given, f"split.fold={fold}"]))
            for fold in range(1, self.folds + 1)
        ]


def tables(found: Sequence[Measured]) -> str:
    """Markdown: how much was found, and when."""
    streams, events, seconds = found[0].size
    parts = [
        f"{streams} streams, {events} gestures, {seconds / 60:.1f} minutes; in brackets 95% bootstrap intervals, "
        "streams drawn with replacement.",
        markdown(("network", *QUALITY), [(one.name, *_cells(one, QUALITY)) for one in found]),
        markdown(
            ("network", "goes by", "CPU ms a frame", *TIMING),
            [(one.name, one.goes, f"{one.figures['frame_ms']:.2f}", *_cells(one, TIMING)) for one in found],
        ),
    ]
    return "\n\n".join(parts)


def _cells(one: Measured, columns: dict[str, str]) -> list[str]:
    cells = []
    for name in columns.values():
        (low, high), places = one.spread[name], 0 if name == "false_per_hour" else 2
        cells.append(f"{one.figures[name]:.{places}f} ({low:.{places}f} to {high:.{places}f})")
    return cells


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which models or which study, and where its table goes."""
    parser.add_argument("models", nargs="*", type=Path, metavar="MODEL", help="folders of runs, or .onnx files")
    parser.add_argument(
        "--data", nargs="+", default=["sfinge3d"], metavar="SET", help="streams that a .onnx is asked on"
    )
    parser.add_argument("--folder", default="../shared/data", help="of the data; default: %(default)s")
    parser.add_argument("--study", help="cross-validate instead: a name in training/configs/studies, or a TOML file")
    parser.add_argument("--only", nargs="+", default=[], metavar="ROW", help="of the study")
    parser.add_argument("--read", action="store_true", help="fit and replay nothing: tables of what is measured")
    parser.add_argument("--out", type=Path, default=Path("runs/bench-online"), help="default: %(default)s/STUDY")
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", dest="overrides", help="over every row"
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the tables into their marked place in a file")


def run(options: argparse.Namespace) -> int:
    """Print the tables; 2 for what cannot be asked."""
    try:
        if bool(options.models) == bool(options.study):
            raise ConfigError("name either models or a --study")
        if options.study:
            return _run_study(options)
        return _run_models(options)
    except (ValueError, FileNotFoundError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2


def _run_models(options: argparse.Namespace) -> int:
    for path in options.models:
        if path.suffix == ".onnx":
            found = replay_file(path, datasets.load_streams(Path(options.folder), tuple(options.data)))
        else:
            found = replay_run(path, path.name, (f"data.folder={options.folder}", *options.overrides))
        print(f"{path}: {found.decodings[0]}\n")
        print(tables([measure(found)]), end="\n\n")
    return 0


def _run_study(options: argparse.Namespace) -> int:
    path = find_study(options.study)
    study: Study = config.build(Study, config.read_toml(path, "study"), "study.")
    base = config.load(find_recipe(path, study.recipe), (f"data.folder={options.folder}", "fit.threads=1")).to_dict()
    place, out = f"online {path.stem}", options.out / path.stem
    if options.write:
        check_place(options.write, place)
    if stray := set(options.only) - set(study.rows):
        raise ConfigError(f"no row {min(stray)!r}; choose from {', '.join(study.rows)}")
    measured = []
    for row in options.only or study.rows:
        file = out / row / MEASURED
        if not options.read:
            file.write_text(json.dumps(dataclasses.asdict(_cross_validate(study, base, row, options)), indent=1) + "\n")
        if file.is_file():
            measured.append(Measured(**json.loads(file.read_text())))
    if not measured:
        raise ConfigError(f"nothing in {out} is measured")
    text = tables(measured)
    print(text)
    if options.write:
        settings = ["--only", *options.only] if options.only else []
        settings += [part for value in options.overrides for part in ("--set", value)]
        command = " ".join(["python -m bench online --study", options.study, *settings])
        write(options.write, place, command, text)
    return 0


def _cross_validate(study: Study, base: dict[str, Any], row: str, options: argparse.Namespace) -> Measured:
    """Fit what is not finished of a row, and measure it."""
    out, fits = options.out / Path(options.study).stem / row, study.fits(row, options.overrides)
    report = partial(print, file=sys.stderr, flush=True)
    if failed := [outcome for outcome in sweep.sweep(base, fits, out, report) if outcome.error]:
        raise ConfigError(f"{row}, {failed[0].name}: {failed[0].error}")
    found = measure(together(row, [replay_run(sweep.folder(out, fit), row) for fit in fits]))
    report(f"{row}: {found.figures}")
    return found
