"""Whether models do better on steadied landmarks: none, One-Euro, and hands held, on clean streams and worse ones."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bench import figures, material, subjects
from bench.figures import Figures, Interval, Moments
from bench.material import Material
from bench.perturb import PERTURBATIONS
from bench.replay import predicted
from bench.sections import MAIN, QUALITY, Subject, replay_offline
from bench.table import markdown
from landmarks import LandmarkSequence
from landmarks.steady import Steady, Steadying
from service.engine import OnnxEngine, Runtime
from service.session import Manner, Session, replay
from training import metrics
from training.clip import Clip
from training.online_metrics import Event, Recording
from training.tasks import Signing

PLACE = "steady"
ARMS = {
    "none": Steadying(),
    "3 Hz, 3": Steadying(cutoff_hz=3.0, beta=3.0),
    "1.5 Hz, 1": Steadying(cutoff_hz=1.5, beta=1.0),
    "0.7 Hz, 0.3": Steadying(cutoff_hz=0.7, beta=0.3),
    "held 0.1 s": Steadying(hold_s=0.1),
    "held 0.2 s": Steadying(hold_s=0.2),
    "held 0.3 s": Steadying(hold_s=0.3),
}
CONDITIONS = (("", 0.0), ("hands lost", 0.25), ("hands flicker", 0.2), ("noise", 0.02), ("noise", 0.05))
"""Of bench.perturb, and how much; first as recorded."""
NAMES = ("signing", "signs", "signs-stream", "hand-shapes")


@dataclass(frozen=True, eq=False)
class Told:
    """What a model said of takes, and its events in streams."""

    moments: Moments
    events: Figures
    false_per_hour: Interval


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which models, on how much."""
    subjects.arguments(parser, NAMES, seconds=120, quick=False)
    parser.add_argument("--draws", type=int, default=100, help="for intervals; default: %(default)s")


def run(options: argparse.Namespace) -> int:
    """Print the tables; 2 for what cannot be asked."""
    return subjects.run(options, PLACE, lambda found: _tables(found, options))


def _tables(found: list[Subject], options: argparse.Namespace) -> list[str]:
    test = {one.name: _measured(one, one.takes, options) for one in found}
    validation = {one.name: _measured(one, material.counted(one.split.validation, one.task), options) for one in found}
    return [_about(), _choices(test, validation), *(_section(name, measured) for name, measured in test.items())]


def steadied(sequence: LandmarkSequence, how: Steadying) -> LandmarkSequence:
    """As a live stream of these frames would be."""
    if not how:
        return sequence
    xyz = Steady(how, sequence.layout).push(sequence.at_s.tolist(), sequence.xyz, sequence.aspect)
    return replace(sequence, xyz=xyz, confidence=np.where(np.isfinite(xyz[..., 0]), sequence.confidence, 0))


@dataclass(frozen=True)
class Measured:
    """A model before some persons. values: (conditions, arms) the figure that it is told by. rows: of its table."""

    persons: tuple[int, ...]
    column: str
    values: NDArray[np.float64]
    rows: list[tuple[str, ...]]


def _measured(subject: Subject, takes: list[Clip], options: argparse.Namespace) -> Measured:
    asked = {
        "alone": material.alone(material.within(takes, options.seconds)),
        "joined": material.joined(takes, subject.task, options.seconds),
        "background": material.background(takes, subject.task, options.seconds),
    }
    subject = replace(subject, asked=asked)
    engine = OnnxEngine(subject.files[subject.name], Runtime(streams=2))
    column = next(name for name, key in QUALITY[subject.manifest.task].items() if key == MAIN[subject.manifest.task])
    rows, values = [], []
    for name, amount in CONDITIONS:
        print(f"{subject.name}: {name} {amount:g}", file=sys.stderr, flush=True)
        seen = {
            kind: [_changed(one, name, amount, seed) for seed, one in enumerate(streams)]
            for kind, streams in asked.items()
        }
        told = {arm: _told(subject, engine, seen, how) for arm, how in ARMS.items()}
        values.append([_figure(one.moments, subject) for one in told.values()])
        mains = (_main(one, told["none"], subject, options.draws) for one in told.values())
        rows.append((f"{name} {amount:g}" if name else "as recorded", column, *mains))
        rows.append(("", "event F1", *(f"{one.events['f1'][0]:.3f}" for one in told.values())))
        rows.append(("", "false events an hour", *(f"{one.false_per_hour[0]:.0f}" for one in told.values())))
    return Measured(tuple(sorted({one.person for one in asked["alone"]})), column, np.array(values), rows)


def _section(name: str, found: Measured) -> str:
    persons = ", ".join(map(str, found.persons))
    return f"### {name}\n\nPersons {persons}.\n\n{markdown(('', '', *ARMS), found.rows)}"


def _choices(test: Mapping[str, Measured], validation: Mapping[str, Measured]) -> str:
    """What the validation persons would have chosen, and what that would have brought the test persons."""
    rows = []
    for name, chooses in validation.items():
        cells = [test[name].column]
        for conditions in (slice(0, 1), slice(None)):
            choice = int(chooses.values[conditions].mean(axis=0).round(4).argmax())  # where nothing is better: none
            reached = test[name].values[conditions].mean(axis=0)
            cells += [list(ARMS)[choice], f"{reached[0]:.3f}", f"{reached[choice]:.3f}"]
        rows.append((name, *cells))
    return (
        "What the validation persons of each model would have chosen by its figure as recorded, or by the mean over "
        "all conditions, and what the test persons get by it:\n\n"
        + markdown(("", "", "as recorded", "none", "chosen", "over all", "none", "chosen"), rows)
    )


def _changed(one: Material, name: str, amount: float, seed: int) -> Material:
    if not name:
        return one
    return replace(one, sequence=PERTURBATIONS[name].change(one.sequence, amount, np.random.default_rng(seed)))


def _told(subject: Subject, engine: OnnxEngine, seen: dict[str, list[Material]], how: Steadying) -> Told:
    """Asked of the moments that saw a hand before anything was changed."""
    said = [replay_offline(engine, steadied(one.sequence, how)) for one in seen["alone"]]
    found = figures.moments(subject.asked["alone"], said, subject.task, subject.manifest)
    recordings = {
        kind: [
            _recording(engine, steadied(one.sequence, how), before.events(subject.task))
            for one, before in zip(seen[kind], subject.asked[kind], strict=True)
        ]
        for kind in ("joined", "background")
    }
    idle = recordings["background"]
    count, seconds = sum(len(one.predicted) for one in idle), sum(one.duration_s for one in idle)
    return Told(found, figures.events(recordings["joined"], draws=1), figures.per_hour(count, max(seconds, 1e-9)))


def _recording(engine: OnnxEngine, sequence: LandmarkSequence, true: tuple[Event, ...]) -> Recording:
    _, told = replay(Session([engine], sequence.aspect, Manner(sequence.layout)), sequence)
    return Recording(predicted(told), true, sequence.duration_s)


def _main(told: Told, none: Told, subject: Subject, draws: int) -> str:
    """The figure that the model is told by, with a sign where the difference from none is sure."""
    value = _figure(told.moments, subject)
    if told is none:
        return f"{value:.3f}"

    def gain(at: np.ndarray) -> dict[str, float]:
        return {"gain": _figure(told.moments[at], subject) - _figure(none.moments[at], subject)}

    low, high = metrics.intervals(gain, told.moments.groups, draws)["gain"]
    return f"{value:.3f}{' +' if low > 0 else ' -' if high < 0 else ''}"


def _figure(found: Moments, subject: Subject) -> float:
    if isinstance(subject.task, Signing):
        signs = found.truth != figures.none_of(subject.task)
        return metrics.average_precision(found.probabilities[:, subject.task.labels.index("signing")], signs)
    return float((found.probabilities.argmax(axis=1) == found.truth).mean())


def _about() -> str:
    steady = {arm: _microseconds(how) for arm, how in ARMS.items() if how}
    costs = ", ".join(f"{arm}: {cost:.0f}" for arm, cost in steady.items())
    return (
        "A number in Hz is `cutoff_hz`, the one after it `beta`. `+` and `-`: better or worse than none, with the 95% "
        "interval of the difference on that side of 0 (bootstrap over persons, or takes where there are few). Asked at "
        "the moments that saw a hand as recorded; events in streams of rest and signs by turns, false ones where "
        f"nothing is to be told. Microseconds of processor time a frame: {costs}."
    )


def _microseconds(how: Steadying, frames: int = 2000) -> float:
    xyz, steady = np.random.default_rng(0).random((1, 75, 3), np.float32), Steady(how)
    began = time.thread_time()
    for i in range(frames):
        steady.push([i / 30], xyz, 4 / 3)
    return 1e6 * (time.thread_time() - began) / frames
