"""What replayed streams say of a model: figures by name, and how sure each is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bench.material import FPS, Material, Question, none_of, truth_of
from bench.realtime import Replayed, Said
from landmarks import Hand, LandmarkSequence, Manifest, frames_behind
from training import metrics, online_metrics
from training.motion import sides
from training.online_metrics import Recording
from training.tasks import Signing

MANY = 5
"""From so many persons on intervals draw persons; of fewer they draw takes, and say nothing of other people."""
DRAWS = 200

Interval = tuple[float, float, float]
"""A figure, and the ends of its 95% interval."""
Figures = dict[str, Interval]


@dataclass(frozen=True, eq=False)
class Moments:
    """What is said at M moments that see a hand, and what is true. take, person: (M,) where each is from."""

    probabilities: NDArray[np.float32]
    truth: NDArray[np.intp]
    take: NDArray[np.str_]
    person: NDArray[np.intp]

    @property
    def unit(self) -> str:
        """What intervals draw."""
        return "persons" if len(np.unique(self.person)) >= MANY else "takes"

    @property
    def groups(self) -> NDArray:
        """(M,) the persons or the takes."""
        return self.person if self.unit == "persons" else self.take

    def of_one(self) -> Moments:
        """As if all were of one person: intervals draw takes."""
        return replace(self, person=np.zeros_like(self.person))

    def __getitem__(self, chosen: NDArray) -> Moments:
        """Those chosen by a mask or by positions."""
        return Moments(self.probabilities[chosen], self.truth[chosen], self.take[chosen], self.person[chosen])


def asked_at(material: Material, task: Question, manifest: Manifest) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Frames (M,) of a take that a model is asked about, and what is true there (M,).

    Whether somebody signs is asked at every frame that sees a hand. What it is is asked once a take: about its middle,
    or where its first whole window speaks of, if that is later.
    """
    if isinstance(task, Signing):
        truth = material.truth(task)
        frames = np.flatnonzero((truth >= 0) & material.hands)
        return frames, truth[frames]
    piece = material.pieces[0]
    if not material.hands.any():
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    waits = frames_behind(manifest.centre, manifest.window_frames)
    behind, window = (round(count * FPS / manifest.fps) for count in (waits, manifest.window_frames))
    newest = min(piece.end - 1, max((piece.first + piece.end) // 2 + behind, piece.first + window - 1))
    return np.array([max(piece.first, newest - behind)]), np.array([truth_of(task, piece.clip)])


def moments(materials: Sequence[Material], said: Sequence[Said], task: Question, manifest: Manifest) -> Moments:
    """What was said of takes, each a stream. Raises ValueError where none sees a hand."""
    parts = []
    for material, one in zip(materials, said, strict=True):
        frames, truth = asked_at(material, task, manifest)
        if len(frames):
            probabilities = one.at(material.sequence.at_s[frames])
            parts.append((probabilities, truth, [material.name] * len(frames), [material.person] * len(frames)))
    if not parts:
        raise ValueError("no take of the test side sees a hand")
    return Moments(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def of_hand(said: Mapping[Hand | None, Said], sequence: LandmarkSequence) -> Said:
    """Of what was said of either hand, that of the one which is seen more; of the body, all."""
    if None in said:
        return said[None]
    left, right = sides(sequence.layout)
    return said["left" if sequence.seen[:, left].sum() > sequence.seen[:, right].sum() else "right"]


def quality(found: Moments, task: Question, threshold: float, draws: int = DRAWS) -> Figures:
    """threshold: from which on an event starts."""
    one = _signing if isinstance(task, Signing) else _gesture
    return spread(lambda at: one(found[at], task, threshold), found.groups, draws)


def spread(measure: Callable[[NDArray[np.intp]], dict[str, float]], groups: NDArray, draws: int = DRAWS) -> Figures:
    """Figures with their bootstrap intervals, groups drawn with replacement. measure: positions -> figures."""
    whole = measure(np.arange(len(groups)))
    ends = metrics.intervals(measure, groups, draws)
    return {name: (value, *ends[name]) for name, value in whole.items()}


def _signing(found: Moments, task: Question, threshold: float) -> dict[str, float]:
    scores, signs = found.probabilities[:, task.labels.index("signing")], found.truth != none_of(task)
    both = signs.any() and not signs.all()
    names = ("accuracy", "balanced_accuracy", "f1", "pr_auc", "roc_auc")
    return {
        **(metrics.binary(scores, signs.astype(np.intp), 0.5) if both else dict.fromkeys(names, float("nan"))),
        "ece": metrics.calibration_error(found.probabilities, found.truth),
        **_fires(found, task, threshold),
    }


def _gesture(found: Moments, task: Question, threshold: float) -> dict[str, float]:
    none, said = none_of(task), found.probabilities.argmax(axis=1)
    named = found.truth != none
    only = np.delete(found.probabilities[named], none, axis=1)
    right = only.argmax(axis=1) == found.truth[named] - (found.truth[named] > none)
    return {
        **metrics.multiclass(found.probabilities, found.truth),
        "accuracy_named": float(right.mean()) if named.any() else np.nan,
        "recall_macro": metrics.mean_class_accuracy(said, found.truth, len(task.labels)),
        "ece": metrics.calibration_error(found.probabilities, found.truth),
        **_fires(found, task, threshold),
    }


def _fires(found: Moments, task: Question, threshold: float) -> dict[str, float]:
    """found: named moments whose label reaches the threshold and is the highest; false: others at which any does."""
    none = none_of(task)
    labels = np.delete(np.arange(len(task.labels)), none)
    best = labels[found.probabilities[:, labels].argmax(axis=1)]
    fires, named = found.probabilities[:, labels].max(axis=1) >= threshold, found.truth != none
    hit = fires & (best == found.truth)
    return {
        "found": float(hit[named].mean()) if named.any() else np.nan,
        "false": float(fires[~named].mean()) if not named.all() else np.nan,
    }


def recordings(replayed: Sequence[Replayed], model: str, task: Question) -> list[Recording]:
    """Told events beside the true ones."""
    return [
        Recording(one.answers[model].events, one.material.events(task), one.material.sequence.duration_s)
        for one in replayed
    ]


def events(found: Sequence[Recording], least_iou: float = 0.5, draws: int = DRAWS) -> Figures:
    """Of streams in which something is done."""

    def measure(at: NDArray[np.intp]) -> dict[str, float]:
        drawn = [found[i] for i in at.tolist()]
        f1, delay = online_metrics.event_f1(drawn, least_iou), online_metrics.delay(drawn)
        edges = online_metrics.boundary_error(drawn, least_iou)
        return {
            "f1": f1["f1"],
            "recall": f1["recall"],
            "iou": online_metrics.time_jaccard(drawn)["jaccard"],
            "start_s": edges["start_median_s"],
            "end_s": edges["end_median_s"],
            "delay_s": delay["median_s"],
            "delay_p90_s": delay["p90_s"],
            "told": delay["share"],
            "false_per_hour": online_metrics.false_events(drawn)["per_hour"],
        }

    return spread(measure, np.arange(len(found)), draws)


def per_hour(count: int, seconds: float) -> Interval:
    """Events an hour, with the exact interval of a Poisson count (Garwood 1936)."""
    from scipy.stats import chi2

    hours = seconds / 3600
    low = chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
    return count / hours, float(low) / hours, float(chi2.ppf(0.975, 2 * count + 2)) / 2 / hours


def told_per_hour(idle: Sequence[Recording]) -> Interval:
    """Of streams in which nothing is to be told: what was."""
    return per_hour(sum(len(one.predicted) for one in idle), sum(one.duration_s for one in idle))


def percentiles(parts: Sequence[NDArray[np.float64]]) -> Figures:
    """p50 and p99 of numbers that come in parts, which intervals draw."""
    pooled, whose = np.concatenate(parts), np.repeat(np.arange(len(parts)), [len(part) for part in parts])

    def measure(at: NDArray[np.intp]) -> dict[str, float]:
        p50, p99 = np.percentile(pooled[at], [50, 99])
        return {"p50": float(p50), "p99": float(p99)}

    return spread(measure, whose)
