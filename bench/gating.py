"""Whether it helps that models gate each other: false events of people in view, and what is still found."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench import figures, material, subjects
from bench.controls import BODIES
from bench.material import Material, none_of, truth_of
from bench.replay import Judged, as_stream, judge, settle
from bench.sections import Subject, told
from bench.table import markdown
from landmarks import HAND_21
from service.engine import OnnxEngine, Runtime
from service.gate import Gate
from training import config, datasets, online_metrics
from training.online_metrics import Recording

PLACE = "gating"
GATES: Mapping[str, tuple[Gate, ...]] = {
    "hand-motions": (
        Gate("signing", ("hand-motions",)),
        Gate("hand-shapes", ("hand-motions",), "only-while", ("point",)),
    ),
    "hand-shapes": (Gate("signing", ("hand-shapes",)),),
    "signs-stream": (Gate("signing", ("signs-stream",), "only-while"),),
}
"""Model -> what is tried before it, one at a time."""
ABOUT = (
    "False events an hour, with the exact interval of a count, in streams of whole bodies, up to ten takes of one sign "
    "or idleness in a row, in which nothing is done that the model names: asl-words are signs, "
    "referee-signals hands that move and do not sign. `found`: share of takes of what the model names in which it was "
    "told, each a stream of its own with a cold start; of hands whose body nobody recorded, and of whole bodies. "
    "`told after`: median, from the start of the take. Persons whom a model of the table may have been trained on are "
    "left out."
)

Along = Mapping[str, Judged]
"""What each model says along one stream."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which models, on how much."""
    subjects.arguments(parser, GATES, seconds=400, quick=True)


def run(options: argparse.Namespace) -> int:
    """Print the tables; 2 for what cannot be asked."""
    return subjects.run(
        options, PLACE, lambda found: [ABOUT, *(_section(one, options) for one in found if one.name in GATES)]
    )


def _section(subject: Subject, options: argparse.Namespace) -> str:
    print(subject.name, file=sys.stderr, flush=True)
    gates, task, folder = GATES[subject.name], subject.task, Path(options.folder)
    names = [subject.name, *dict.fromkeys(gate.by for gate in gates)]
    engines = {name: OnnxEngine(options.models / f"{name}.onnx", Runtime(streams=1)) for name in names}
    seen = {person for name in names for person in _seen(options.recipes / f"{name}.toml", folder)}
    bodies = [clip for clip in datasets.load(folder, BODIES) if clip.person not in seen]
    hands = [
        clip for clip in subject.takes if clip.person not in seen and clip.source not in {b.source for b in bodies}
    ]
    idle = _along(material.background(bodies, task, options.seconds), subject, engines)
    shown = {}
    for kind, takes in (("hands", hands), ("bodies", bodies)):
        named = [clip for clip in takes if truth_of(task, clip) != none_of(task)]
        shown[kind] = _along(material.alone(material.within(named, options.seconds)), subject, engines)
    rows = [_row("none", subject, idle, shown)]
    for gate in gates:
        name = f"{gate.mode.replace('-', ' ')} {' '.join((gate.by, *(gate.labels or ())))}"
        if gate.by == "hand-shapes" and any(HAND_21.joints != clip.sequence.layout.joints for clip in hands):
            shown = {**shown, "hands": []}  # takes of a finger's path alone, which show no shape
        rows.append(_row(name, subject, idle, shown, gate))
    kinds = [f"{head}, {kind}" for kind in shown for head in ("found", "told after, s")]
    persons = sorted({clip.person for clip in (*bodies, *hands)})
    minutes = sum(one[subject.name].stream.sequence.duration_s for one in idle) / 60
    return (
        f"### {subject.name}\n\nPersons {', '.join(map(str, persons))}; {minutes:.0f} minutes of bodies.\n\n"
        f"{markdown(('gate', *_sources(idle, subject), 'all', *kinds), rows)}"
    )


def _seen(path: Path, folder: Path) -> set[int]:
    """Persons whom a recipe trains on: a person has one number in all sets."""
    recipe = config.load(path, (f"data.folder={folder}",))
    return {clip.person for clip in datasets.load(folder, recipe.data.sets)} - set(recipe.split.test)


def _along(streams: Sequence[Material], subject: Subject, engines: Mapping[str, OnnxEngine]) -> list[Along]:
    asked = [as_stream(one, subject.task) for one in streams]
    said = {name: judge(engine, asked) for name, engine in engines.items()}
    return [dict(zip(said, each, strict=True)) for each in zip(*said.values(), strict=True)]


def _source(along: Along, subject: Subject) -> str:
    return along[subject.name].stream.source.partition("/")[0]


def _sources(idle: Sequence[Along], subject: Subject) -> list[str]:
    return sorted({_source(one, subject) for one in idle})


def _row(
    name: str, subject: Subject, idle: Sequence[Along], shown: Mapping[str, Sequence[Along]], gate: Gate | None = None
) -> tuple[str, ...]:
    def settled(along: Along) -> Recording:
        if gate is None:
            return settle(along[subject.name])
        return settle(along[subject.name], gates=[gate], rulers=[along[gate.by]])

    recordings, cells = [settled(one) for one in idle], [name]
    sources = [_source(one, subject) for one in idle]
    for source in (*_sources(idle, subject), None):
        mine = [one for one, whose in zip(recordings, sources, strict=True) if source in (None, whose)]
        cells.append(told(figures.told_per_hour(mine), 0))
    for streams in shown.values():
        found = online_metrics.delay([settled(one) for one in streams])
        cells += [f"{found['share']:.3f} of {len(streams)}", f"{found['median_s']:.2f}"] if streams else ["-", "-"]
    return tuple(cells)
