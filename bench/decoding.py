"""What each of the decoder's times does to the events of recorded people: as shipped, and one at a time otherwise."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bench import figures, material, subjects
from bench.replay import as_stream, judge, settle
from bench.sections import EVENTS, Subject, told
from bench.table import markdown
from landmarks import Decoding
from service.engine import OnnxEngine, Runtime
from training import online_metrics
from training.clip import Clip
from training.online_metrics import Recording

PLACE = "decoding"
NAMES = ("signing", "signs-stream")
TRIED: Mapping[str, Sequence[float]] = {
    "start_above": (0.5, 0.6, 0.7, 0.8, 0.9),
    "pad_s": (0.0, 0.1, 0.2),
    "min_gap_s": (0.1, 0.2, 0.5),
    "min_duration_s": (0.0, 0.1, 0.2, 0.4),
    "smoothing_s": (0.1, 0.2),
    "refractory_s": (0.5,),
}
COLUMNS = {head: name for head, name in EVENTS.items() if name not in ("delay_p90_s", "false_per_hour")}
ABOUT = (
    "One field of the model's decoding otherwise, all else as shipped (`stop_below` goes with `start_above`, in "
    "proportion). Events in streams of rest and signs by turns, and false events an hour in streams of nothing to "
    "tell, made as for the [scorecard](scorecard.md). `change` is of the event F1 against the decoding as shipped, on "
    "the same streams, with its 95% bootstrap interval over streams."
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which models, on how much."""
    subjects.arguments(parser, NAMES, seconds=600, quick=True)


def run(options: argparse.Namespace) -> int:
    """Print the tables; 2 for what cannot be asked."""
    return subjects.run(options, PLACE, lambda found: [ABOUT, *(_section(one, options.seconds) for one in found)])


def _section(subject: Subject, seconds: float) -> str:
    print(subject.name, file=sys.stderr, flush=True)
    sides = {"test": subject.takes, "validation": material.counted(subject.split.validation, subject.task)}
    parts = [f"### {subject.name}"]
    for side, takes in sides.items():
        parts += _side(subject, side, takes, seconds)
    return "\n\n".join(parts)


def _side(subject: Subject, side: str, takes: Sequence[Clip], seconds: float) -> list[str]:
    engine, task = OnnxEngine(subject.files[subject.name], Runtime(streams=1)), subject.task
    joined = judge(engine, [as_stream(one, task) for one in material.joined(takes, task, seconds)])
    idle = judge(engine, [as_stream(one, task) for one in material.background(takes, task, seconds)])
    if not joined or not idle:
        return []
    shipped = engine.manifest.decoding
    before, rows = [settle(one) for one in joined], []
    for name, how in _tried(shipped).items():
        after = [settle(one, how) for one in joined]
        change = "" if how == shipped else told(_change(before, after))
        events = figures.events(after, draws=1)
        cells = [f"{events[key][0]:.{2 if key.endswith('_s') else 3}f}" for key in COLUMNS.values()]
        rows.append((name, change, *cells, told(figures.told_per_hour([settle(one, how) for one in idle]), 0)))
    persons = ", ".join(map(str, sorted({one.stream.person for one in (*joined, *idle)})))
    return [
        f"Persons {persons} ({side}): {len(joined)} streams with something to tell, {len(idle)} without.",
        markdown(("", "change", *COLUMNS, "false an hour"), rows),
    ]


def _tried(shipped: Decoding) -> dict[str, Decoding]:
    """First as shipped."""
    found = {"as shipped": shipped}
    for name, values in TRIED.items():
        others = [value for value in values if value != getattr(shipped, name)]
        found |= {
            f"{name} {value:g}, not {getattr(shipped, name):g}": _otherwise(shipped, name, value) for value in others
        }
    return found


def _otherwise(shipped: Decoding, name: str, value: float) -> Decoding:
    changes = {name: value}
    if name == "start_above":
        changes["stop_below"] = shipped.stop_below * value / shipped.start_above
    return replace(shipped, **changes)


def _change(before: Sequence[Recording], after: Sequence[Recording]) -> figures.Interval:
    def measure(at: NDArray[np.intp]) -> dict[str, float]:
        f1 = [online_metrics.event_f1([side[i] for i in at.tolist()])["f1"] for side in (before, after)]
        return {"change": f1[1] - f1[0]}

    return figures.spread(measure, np.arange(len(before)))["change"]
