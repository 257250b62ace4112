"""Predicted events against true ones: how well a stream was answered.

Every measure takes recordings and gives figures by name; NaN where there is nothing to say (no true event, no match).
Shifting the times of a recording changes nothing.

**Who belongs to whom.** `matches` pairs predicted and true events of one label one to one: as many pairs as possible,
and of all such choices the one with the largest summed overlap over union (an optimal assignment, so no order matters).
`shrec21` alone pairs as its organisers' script does: every predicted event with every true one that it covers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Event:
    """Something that goes on from start_s to end_s, on the stream's own clock.

    decided_at_s: when a predicted event was first told, on the same clock; None where that is not known.
    """

    label: str
    start_s: float
    end_s: float
    decided_at_s: float | None = None

    def __post_init__(self) -> None:
        if not (np.isfinite(self.start_s) and np.isfinite(self.end_s) and self.start_s <= self.end_s):
            raise ValueError(f"need start_s <= end_s, got {self.start_s} and {self.end_s}")


@dataclass(frozen=True)
class Recording:
    """One stream: what was said, what was true, and how long it ran."""

    predicted: tuple[Event, ...]
    true: tuple[Event, ...]
    duration_s: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.duration_s) and self.duration_s >= 0):
            raise ValueError(f"duration_s is finite and at least 0, got {self.duration_s}")


Recordings = Sequence[Recording]
Likeness = Callable[[Event, Event], float]
"""(predicted, true) -> how much they belong together; 0 or less: they cannot."""


def overlap_s(one: Event, other: Event) -> float:
    """Seconds that both go on; negative: seconds between them."""
    return min(one.end_s, other.end_s) - max(one.start_s, other.start_s)


def coverage(predicted: Event, true: Event) -> float:
    """Share of the true event that the predicted one covers; one without length is covered whole or not at all."""
    length = true.end_s - true.start_s
    if not length:
        return float(overlap_s(predicted, true) >= 0)
    return max(0.0, overlap_s(predicted, true) / length)


def iou(one: Event, other: Event) -> float:
    """Intersection over union of two events in time; of two without length 1 where they coincide."""
    union = max(one.end_s, other.end_s) - min(one.start_s, other.start_s)
    if not union:
        return 1.0
    return max(0.0, overlap_s(one, other) / union)


def matches(predicted: Sequence[Event], true: Sequence[Event], belongs: Likeness) -> list[tuple[Event, Event]]:
    """(predicted, true) pairs of one label for which `belongs` is above 0; see the top of this file."""
    from scipy.optimize import linear_sum_assignment

    if not predicted or not true:
        return []
    may = np.array([[p.label == t.label and belongs(p, t) > 0 for t in true] for p in predicted])
    close = np.array([[iou(p, t) for t in true] for p in predicted])
    # A pair more outweighs all overlaps together: they sum to less than 1.
    worth = np.where(may, 1 + close / (1 + min(may.shape)), 0.0)
    return [(predicted[i], true[j]) for i, j in zip(*linear_sum_assignment(-worth), strict=True) if may[i, j]]


def shrec21(recordings: Recordings, least_coverage: float = 0.5) -> dict[str, float]:
    """The measures of SHREC 2021 (Caputo et al. 2021), as the organisers' public script evaluateShrec21.m counts them.

    A predicted event lies on a true one where it covers more than `least_coverage` of it. On it and of its label it is
    a detection (a second one of the same true event is not counted at all); on it and of another label a wrong label;
    on no true event a false positive.

    detection_rate: detected / true events.
    false_positive_rate: on no true event / true events. wrong_label_rate: of another label / true events.
    false_positive_rate_strict: their sum: a wrong label is a false positive too, the other counting rule.
    jaccard: mean over labels of detected / (detected + missed + wrong label + false positive), where a gesture that is
        only met with a wrong label is missed as well. Wrong labels count for the true label, false positives for their
        own (the script books the latter under the last gesture of the sequence).
    """
    counts: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(("true", "detected", "wrong", "false"), 0))
    for recording in recordings:
        found: set[int] = set()
        for event in recording.predicted:
            on = [i for i, true in enumerate(recording.true) if coverage(event, true) > least_coverage]
            if not on:
                counts[event.label]["false"] += 1
            for i in on:
                if recording.true[i].label == event.label:
                    found.add(i)
                else:
                    counts[recording.true[i].label]["wrong"] += 1
        for i, true in enumerate(recording.true):
            counts[true.label]["true"] += 1
            counts[true.label]["detected"] += i in found
    total = {key: sum(count[key] for count in counts.values()) for key in ("true", "detected", "wrong", "false")}
    jaccard = [c["detected"] / (c["true"] + c["wrong"] + c["false"]) for c in counts.values()]
    return {
        "detection_rate": _share(total["detected"], total["true"]),
        "false_positive_rate": _share(total["false"], total["true"]),
        "wrong_label_rate": _share(total["wrong"], total["true"]),
        "false_positive_rate_strict": _share(total["wrong"] + total["false"], total["true"]),
        "jaccard": _mean(jaccard),
    }


def shrec22(recordings: Recordings, least_coverage: float = 0.5, longest: float = 2.0) -> dict[str, float]:
    """The measures of SHREC 2022 (Emporio et al. 2022), as the organisers' evaluation_shrec22fix.m counts them.

    A detection has the label, covers at least `least_coverage` of the true event and lasts no more than `longest` times
    as long; one a true event. Every other predicted event is a false positive: wrong labels and second detections too.

    detection_rate, false_positive_rate: detected and false / true events (the script means them over labels, which is
        the same on its test set of 36 events a label). jaccard: detected / (detected + missed + false), mean over the
        labels that are true or said.
    """

    def belongs(predicted: Event, true: Event) -> float:
        enough = coverage(predicted, true) >= least_coverage
        return float(enough and predicted.end_s - predicted.start_s <= longest * (true.end_s - true.start_s))

    true, said, found = _matched_by_label(recordings, belongs)
    labels = sorted({*true, *said})
    false = {label: said[label] - found[label] for label in labels}
    events = sum(true.values())
    return {
        "detection_rate": _share(sum(found.values()), events),
        "false_positive_rate": _share(sum(false.values()), events),
        "jaccard": _mean(found[label] / (true[label] + false[label]) for label in labels),
    }


def sfinge(recordings: Recordings, margin_s: float = 1.0) -> dict[str, float]:
    """The online protocol of SFINGE 3D (Caputo et al. 2020): right label, and a start within the true gesture or at
    most `margin_s` before it (20 frames at 20 fps are 1 s).

    One a gesture; any other predicted event is a false positive. detection_rate and false_positive_rate are shares of
    the true events, missed_rate is what is left of the first.
    """

    def belongs(predicted: Event, true: Event) -> float:
        return float(true.start_s - margin_s <= predicted.start_s <= true.end_s)

    true, said, found = (sum(counts.values()) for counts in _matched_by_label(recordings, belongs))
    return {
        "detection_rate": _share(found, true),
        "missed_rate": _share(true - found, true),
        "false_positive_rate": _share(said - found, true),
    }


def event_f1(recordings: Recordings, least_iou: float = 0.5) -> dict[str, float]:
    """precision, recall and f1 of events that match in label and in time (intersection over union >= least_iou), all
    recordings together."""
    true, said, found = (sum(c.values()) for c in _matched_by_label(recordings, _alike(least_iou)))
    return {
        "precision": _share(found, said),
        "recall": _share(found, true),
        "f1": _share(2 * found, said + true),
    }


def time_jaccard(recordings: Recordings) -> dict[str, float]:
    """jaccard: seconds in which a label is both said and true, over seconds in which it is either; mean over the labels
    of a recording, then over recordings (as ChaLearn's index of frames, Wan et al. 2016, without the frames).

    Labels that are only said count as 0. A recording with neither is left out.
    """
    found = []
    for recording in recordings:
        shares = []
        for label in sorted({event.label for event in (*recording.true, *recording.predicted)}):
            said, true = (
                _merged(e for e in side if e.label == label) for side in (recording.predicted, recording.true)
            )
            both = sum(max(0.0, min(a[1], b[1]) - max(a[0], b[0])) for a in said for b in true)
            either = sum(end - start for start, end in (*said, *true)) - both
            shares.append(both / either if either else float(said == true))
        if shares:
            found.append(float(np.mean(shares)))
    return {"jaccard": _mean(found)}


def delay(recordings: Recordings) -> dict[str, float]:
    """Seconds from a true event's start until it was told: median_s and p90_s over those that were.

    Told: the earliest `decided_at_s` of a predicted event of its label that it overlaps. Below 0 where the event was
    told before its annotated start. share: of the true events that were told with a time.
    """
    waits, true = [], 0
    for recording in recordings:
        for event in recording.true:
            true += 1
            told = [p.decided_at_s for p in _pieces(event, recording.predicted) if p.decided_at_s is not None]
            if told:
                waits.append(min(told) - event.start_s)
    median, slow = np.percentile(waits, [50, 90]) if waits else (np.nan, np.nan)
    return {"median_s": float(median), "p90_s": float(slow), "share": _share(len(waits), true)}


def levenshtein(recordings: Recordings) -> dict[str, float]:
    """accuracy: 1 - edit distance of the label sequences / number of true events (Köpüklü et al. 2019).

    Events in the order of their starts; times play no other part. Below 0 where more was said falsely than was true.
    """
    distance = sum(_edits(_labels(recording.predicted), _labels(recording.true)) for recording in recordings)
    true = sum(len(recording.true) for recording in recordings)
    return {"accuracy": 1 - _share(distance, true)}


def false_events(recordings: Recordings) -> dict[str, float]:
    """per_hour: predicted events that overlap no true event of their label, an hour of stream."""
    false = sum(
        not any(t.label == p.label and _touch(p, t) for t in recording.true)
        for recording in recordings
        for p in recording.predicted
    )
    return {"per_hour": _share(false * 3600, sum(recording.duration_s for recording in recordings))}


def fragmentation(recordings: Recordings) -> dict[str, float]:
    """pieces: predicted events per true one, among those that overlap it and have its label; over the true events that
    have any. 1 is whole."""
    counts = [len(_pieces(event, r.predicted)) for r in recordings for event in r.true]
    return {"pieces": _mean(count for count in counts if count)}


def boundary_error(recordings: Recordings, least_iou: float = 0.5) -> dict[str, float]:
    """start_s, end_s: mean distance of the starts and of the ends of events that match as in `event_f1`; and
    start_median_s, end_median_s."""
    pairs = [pair for r in recordings for pair in matches(r.predicted, r.true, _alike(least_iou))]
    starts = [abs(predicted.start_s - true.start_s) for predicted, true in pairs]
    ends = [abs(predicted.end_s - true.end_s) for predicted, true in pairs]
    return {
        "start_s": _mean(starts),
        "end_s": _mean(ends),
        "start_median_s": float(np.median(starts)) if pairs else np.nan,
        "end_median_s": float(np.median(ends)) if pairs else np.nan,
    }


def figures(recordings: Recordings, margin_s: float = 1.0) -> dict[str, float]:
    """Every figure of this file, as measure_figure -> value. margin_s: of `sfinge`."""
    measures: dict[str, dict[str, float]] = {
        "shrec21": shrec21(recordings),
        "shrec22": shrec22(recordings),
        "sfinge": sfinge(recordings, margin_s),
        "event": event_f1(recordings),
        "time": time_jaccard(recordings),
        "delay": delay(recordings),
        "levenshtein": levenshtein(recordings),
        "false": false_events(recordings),
        "fragmentation": fragmentation(recordings),
        "boundary": boundary_error(recordings),
    }
    return {f"{measure}_{name}": value for measure, found in measures.items() for name, value in found.items()}


def _alike(least_iou: float) -> Likeness:
    return lambda predicted, true: float(iou(predicted, true) >= least_iou)


def _matched_by_label(
    recordings: Recordings, belongs: Likeness
) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """How many events of each label are true, are said, and match."""
    true, said, found = defaultdict(int), defaultdict(int), defaultdict(int)
    for recording in recordings:
        for event in recording.true:
            true[event.label] += 1
        for event in recording.predicted:
            said[event.label] += 1
        for _, event in matches(recording.predicted, recording.true, belongs):
            found[event.label] += 1
    return true, said, found


def _touch(one: Event, other: Event) -> bool:
    return overlap_s(one, other) > 0 or iou(one, other) == 1 or coverage(one, other) == 1 or coverage(other, one) == 1


def _pieces(true: Event, predicted: Sequence[Event]) -> list[Event]:
    return [event for event in predicted if event.label == true.label and _touch(event, true)]


def _merged(events: Iterable[Event]) -> list[tuple[float, float]]:
    """The time that any of them takes, as spans that do not overlap."""
    spans: list[tuple[float, float]] = []
    for start, end in sorted((event.start_s, event.end_s) for event in events):
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((start, end))
    return spans


def _labels(events: Sequence[Event]) -> list[str]:
    return [event.label for event in sorted(events, key=lambda e: (e.start_s, e.end_s, e.label))]


def _edits(one: Sequence[str], other: Sequence[str]) -> int:
    """Insertions, deletions and replacements from one sequence to the other."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        above, row[0] = row[0], i
        for j, b in enumerate(other, start=1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (a != b))
    return row[-1]


def _share(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return float(np.mean(found)) if found else float("nan")
