"""A model's section of the scorecard: what was heard of it -> tables, and the figures that targets are about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from bench import figures, material
from bench.baselines import baselines
from bench.figures import Figures, Interval
from bench.material import CLIPS, Material, Question
from bench.perturb import PERTURBATIONS, Perturbation
from bench.realtime import Replayed, Said
from bench.table import markdown
from landmarks import LandmarkSequence, Manifest
from service.engine import OnnxEngine, Runtime
from service.session import Session
from service.session import replay as replay_whole
from training import metrics, online_metrics
from training.clip import Clip
from training.config import Recipe
from training.splits import Split
from training.tasks import Signing

QUALITY = {
    "signing": {
        "accuracy": "accuracy",
        "balanced accuracy": "balanced_accuracy",
        "F1": "f1",
        "PR-AUC": "pr_auc",
        "ROC-AUC": "roc_auc",
        "ECE": "ece",
        "found": "found",
        "false": "false",
    },
    "gesture": {
        "accuracy": "accuracy",
        "accuracy, named": "accuracy_named",
        "macro recall": "recall_macro",
        "macro F1": "f1_macro",
        "macro PR-AUC": "pr_auc_macro",
        "ECE": "ece",
        "found": "found",
        "false": "false",
    },
}
"""Task of a manifest -> columns -> figures of bench.figures.quality."""
PERSONS = {
    "signing": {"PR-AUC against all idle moments": "pr_auc", "found": "found", "false": "false"},
    "gesture": {"accuracy": "accuracy", "macro recall": "recall_macro", "found": "found", "false": "false"},
}
"""As QUALITY, of a person alone."""
MAIN = {"signing": "pr_auc", "gesture": "accuracy"}
"""The figure that curves are told by."""
ASKED = {
    "signing": "At every frame that sees a hand",
    "gesture": "Once a take, about its middle or where its first whole window speaks of",
}
EVENTS = {
    "event F1": "f1",
    "segment IoU": "iou",
    "start off, s": "start_s",
    "end off, s": "end_s",
    "told after, s": "delay_s",
    "90% within, s": "delay_p90_s",
    "told": "told",
    "false an hour": "false_per_hour",
}


MOST_GROUPS = 12
"""Of more, sets stand in the table of false events instead of labels."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A shipped model and what it is asked.

    split: of its recipe; its test side are people whom the model was not trained on. files: of the model, and of those
    that are asked the same beside it, by name. takes: of the test side, those that count. asked: kind -> streams.
    """

    manifest: Manifest
    recipe: Recipe
    task: Question
    split: Split
    files: dict[str, Path]
    takes: list[Clip]
    asked: dict[str, list[Material]]

    @property
    def name(self) -> str:
        """The model's."""
        return self.manifest.name


@dataclass(frozen=True, eq=False)
class Heard:
    """What was said to a subject's material, by kind. rows: models and baselines, the subject first; each with the
    threshold from which on it tells an event. draws: for intervals."""

    subject: Subject
    streams: dict[str, list[Replayed]]
    rows: dict[str, float] = field(default_factory=dict)
    draws: int = figures.DRAWS

    def moments(self, name: str) -> figures.Moments:
        """What one of the rows said at the moments that it is asked about."""
        alone = self.streams["alone"]
        said = [figures.of_hand(one.answers[name].said, one.material.sequence) for one in alone]
        return figures.moments([one.material for one in alone], said, self.subject.task, self.subject.manifest)


def with_baselines(heard: Heard) -> Heard:
    """With thresholds, and beside a model of signing with what needs no network."""
    subject = heard.subject
    rows = {name: OnnxEngine(path).manifest.decoding.start_above for name, path in subject.files.items()}
    if not isinstance(subject.task, Signing):
        return replace(heard, rows=rows)
    fps, decoding = subject.task.fps, subject.manifest.decoding
    without = baselines(subject.recipe, subject.task, subject.split.validation)

    def beside(one: Replayed) -> Replayed:
        answers = {each.name: each.answer(one.material, fps, decoding) for each in without}
        return replace(one, answers={**one.answers, **answers})

    streams = {kind: [beside(one) for one in streams] for kind, streams in heard.streams.items()}
    return replace(heard, streams=streams, rows={**rows, **{each.name: 0.5 for each in without}})


def section(heard: Heard, quick: bool = False) -> tuple[str, Figures]:
    """A model's tables, and the figures that targets are about. quick: of few takes, and few curves."""
    subject, columns = heard.subject, QUALITY[heard.subject.manifest.task]
    found = {name: heard.moments(name) for name in heard.rows}
    mine = found[subject.name]
    quality = {name: figures.quality(one, subject.task, heard.rows[name], heard.draws) for name, one in found.items()}
    happening = {}
    if joined := heard.streams["joined"]:
        happening = {
            name: figures.events(figures.recordings(joined, name, subject.task), draws=heard.draws)
            for name in heard.rows
        }
    false, false_rows = _false(heard)
    clips, videos = _clips(heard) if heard.streams[CLIPS] else ({}, "")
    reached = quality[subject.name] | false | clips
    if happening:
        reached["delay_s"] = happening[subject.name]["delay_s"]
    parts = [
        f"## {subject.name}",
        _whom(heard, mine),
        f"{ASKED[subject.manifest.task]}; in brackets the bootstrap interval of 95% over {mine.unit}. `found` and "
        "`false`: share of what is to be told, and of the rest, at which the model's own threshold is reached.",
        markdown(("", *columns), [(name, *_cells(quality[name], columns)) for name in heard.rows]),
        "Person by person, intervals over takes:",
        _persons(heard, mine),
        "Calibration: of the moments at which its highest probability lay in a tenth, how many were right.",
        _reliability(mine),
    ]
    if happening:
        parts += [
            f"Events in {len(joined)} streams of rest and signs by turns, intervals over streams; a "
            f"hand is seen in {_resting_hands(heard):.0%} of the rest. An event matches at an intersection over union "
            "of 0.5; starts and ends are medians over those that match. `told after`: from the true start until the "
            "client had the event, median; below 0 where it was on before.",
            markdown(("", *EVENTS), [(name, *_cells(one, EVENTS)) for name, one in happening.items()]),
        ]
    parts += [
        "False events: each that is told where there is nothing to tell. How many, how many an hour with the exact "
        "interval of a count, and the share of the time that they last. `takes alone` are such takes without a bridge "
        "from one to the next, each with a cold start.",
        false_rows,
        videos,
        _curves(heard, quick),
    ]
    return "\n\n".join(filter(None, parts)), reached


def _whom(heard: Heard, mine: figures.Moments) -> str:
    subject, streams = heard.subject, heard.streams
    manifest, file = subject.manifest, subject.files[subject.name].name
    persons = sorted({one.material.person for one in streams["alone"]})
    lasts = sum(one.material.sequence.duration_s for each in streams.values() for one in each)
    share = (mine.truth != figures.none_of(subject.task)).mean()
    return (
        f"`{file}`: {manifest.form} of {manifest.network}, {manifest.precision}. Replayed: {lasts / 60:.0f} minutes; "
        f"{len(streams['alone'])} of {len(subject.takes)} takes of persons {', '.join(map(str, persons))}, "
        f"{len(mine.truth)} moments that see a hand, of which {share:.0%} are to be told."
    )


def _resting_hands(heard: Heard) -> float:
    """Share of the frames of rest between signs that see a hand: without, it takes no model to find the signs."""
    task, none = heard.subject.task, figures.none_of(heard.subject.task)
    rests = [one.material.hands[one.material.truth(task) == none] for one in heard.streams["joined"]]
    return float(np.concatenate(rests).mean())


def _cells(found: Figures, columns: Mapping[str, str]) -> list[str]:
    places = {name: 0 if name == "false_per_hour" else 2 if name.endswith("_s") else 3 for name in found}
    return [told(found[name], places[name]) for name in columns.values()]


def told(value: Interval, places: int = 3) -> str:
    """A figure with its interval; - where there is none."""
    number, low, high = (f"{one:.{places}f}" for one in value)
    if np.isnan(value[0]):
        return "-"
    return number if np.isnan(value[1:]).any() else f"{number} ({low} to {high})"


def _persons(heard: Heard, mine: figures.Moments) -> str:
    """Each alone, takes drawn. In PR-AUC a person's signs are held against everybody's idleness."""
    task, kind, threshold = heard.subject.task, heard.subject.manifest.task, heard.rows[heard.subject.name]
    idle, rows = mine.truth == figures.none_of(task), []
    for person in np.unique(mine.person):
        own = mine.person == person
        found = figures.quality(mine[own].of_one(), task, threshold, heard.draws)
        if isinstance(task, Signing):
            found["pr_auc"] = figures.quality(mine[own | idle].of_one(), task, threshold, heard.draws)["pr_auc"]
            if not (own & ~idle).any():
                found["pr_auc"] = (np.nan, np.nan, np.nan)
        rows.append((str(person), len(np.unique(mine.take[own])), *_cells(found, PERSONS[kind])))
    return markdown(("person", "takes", *PERSONS[kind]), rows)


def _reliability(mine: figures.Moments) -> str:
    said, right, count = metrics.reliability(mine.probabilities, mine.truth, bins=10)
    rows = [(f"{s:.2f}", f"{r:.2f}", n) for s, r, n in zip(said, right, count, strict=True) if n]
    return markdown(("said", "right", "moments"), rows)


def _false(heard: Heard) -> tuple[Figures, str]:
    """Events an hour of what shows nothing to tell: takes of the test side, and clips without signs."""
    task, idle = heard.subject.task, defaultdict[str, list[Replayed]](list)
    for one in heard.streams["background"]:
        idle[one.material.group].append(one)
    if len(idle) > MOST_GROUPS:
        by_label, idle = idle, defaultdict(list)
        for group, streams in by_label.items():
            idle[group.partition("/")[0]] += streams
    for one in heard.streams[CLIPS]:
        if not one.material.events(task):
            idle[f"clips/{one.material.group}"].append(one)
    idle["all of these"] = [one for streams in list(idle.values()) for one in streams]
    idle["takes alone"] = [one for one in heard.streams["alone"] if not one.material.events(task)]
    rows, mine = [], (np.nan, np.nan, np.nan)
    for group, streams in idle.items():
        seconds = sum(one.material.sequence.duration_s for one in streams)
        hands = np.concatenate([one.material.hands for one in streams]).mean() if streams else 0.0
        counts = {name: sum(len(one.answers[name].events) for one in streams) for name in heard.rows}
        hourly = {name: figures.per_hour(count, max(seconds, 1e-9)) for name, count in counts.items()}
        mine = hourly[heard.subject.name] if group == "all of these" else mine
        on = {
            name: sum(e.end_s - e.start_s for one in streams for e in one.answers[name].events) for name in heard.rows
        }
        cells = [
            f"{counts[name]}: {told(hourly[name], 0)}, on {on[name] / max(seconds, 1e-9):.0%}" for name in heard.rows
        ]
        rows.append((group, f"{seconds:.0f}", f"{hands:.0%}", *cells))
    return {"false_per_hour": mine}, markdown(("", "seconds", "hand seen", *heard.rows), rows)


def _clips(heard: Heard) -> tuple[Figures, str]:
    """The videos: events over the signs that the model knows, and elsewhere."""
    task, streams = heard.subject.task, heard.streams[CLIPS]
    signs = [one for one in streams if one.material.events(task)]
    others = [one for one in streams if not one.material.events(task)]
    strokes = [material.stroke(one.material, task) for one in signs]
    rows, reached = [], {}
    for name in heard.rows:
        said = figures.recordings(signs, name, task)
        hits = sum(online_metrics.delay([one])["share"] for one in said)
        alarms = sum(len(one.answers[name].events) > 0 for one in others)
        cells = ["-"] * 5
        if signs:
            found = figures.events(said, 1e-9, heard.draws)
            middles = [replace(one, true=stroke) for one, stroke in zip(said, strokes, strict=True)]
            cells = [told(found[key], 2) for key in ("iou", "start_s", "end_s", "delay_s")]
            cells.append(told(figures.events(middles, 1e-9, heard.draws)["iou"], 2))
        rows.append((name, f"{hits:.0f} of {len(signs)}", *cells, f"{alarms} of {len(others)}"))
        if name == heard.subject.name and isinstance(task, Signing):
            share = hits / len(signs) if signs else np.nan
            reached = {"clips_hit": (share, np.nan, np.nan), "clips_false": (float(alarms), np.nan, np.nan)}
    header = (
        "",
        "signs told",
        "IoU",
        "start off, s",
        "end off, s",
        "told after, s",
        "IoU, stroke",
        "others with an event",
    )
    return reached, (
        f"Videos of other people (`../shared/data/clips`): {len(signs)} with a sign that it knows, {len(others)} "
        "others. Marked by eye (`bench/marks.toml`: good to 0.07 s, by one reader who is no signer): a sign lasts from "
        "where the hands leave rest until they are back; its stroke is what lies between the ways up and down. "
        f"Intervals over clips.\n\n{markdown(header, rows)}"
    )


def _curves(heard: Heard, quick: bool) -> str:
    """The main figure where one thing is otherwise."""
    subject = heard.subject
    takes = material.alone(material.within(subject.takes, 12.0 if quick else 300.0, seed=1))
    engines = {name: OnnxEngine(path, Runtime(streams=2)) for name, path in subject.files.items()}
    tried: list[tuple[str, str, Perturbation | None, float]] = [("as recorded", "", None, 0.0)]
    for name, one in PERTURBATIONS.items():
        tried += [(name, f"{amount:g} {one.unit}", one, amount) for amount in one.amounts]
    if quick:
        tried = tried[::6]
    figure, rows = MAIN[subject.manifest.task], []
    for name, amount, one, value in tried:
        random, cells = np.random.default_rng(0), []
        sequences = [take.sequence if one is None else one.change(take.sequence, value, random) for take in takes]
        for engine in engines.values():
            said = [replay_offline(engine, sequence) for sequence in sequences]
            asked = figures.moments(takes, said, subject.task, subject.manifest)
            cells.append(told(figures.quality(asked, subject.task, 0.5, heard.draws)[figure]))
        rows.append((name, amount, *cells))
    column = next(column for column, key in QUALITY[subject.manifest.task].items() if key == figure)
    return (
        f"{column} of {len(takes)} of the takes where one thing is otherwise. Offline, by the same Session; asked at "
        "the moments that saw a hand before anything was changed; takes are of about 15 frames/s, so higher rates are "
        f"only denser.\n\n{markdown(('', 'how much', *engines), rows)}"
    )


def replay_offline(engine: OnnxEngine, sequence: LandmarkSequence) -> Said:
    """What a model says along a whole sequence; of a model of one hand, of the one that is seen more."""
    scored, _ = replay_whole(Session([engine], sequence.aspect), sequence)
    by_hand = defaultdict(list)
    for one in scored:
        by_hand[one.window.hand].append(one)
    said = {
        hand: Said(np.array([one.window.at_s for one in mine]), np.stack([one.probabilities for one in mine]))
        for hand, mine in by_hand.items()
    }
    return figures.of_hand(said, sequence)
