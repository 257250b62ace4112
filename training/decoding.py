"""Which thresholds make the best events of what a model says along streams: a search on validation streams."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from landmarks import Decoding
from training.online_metrics import Recordings, shrec21

Decode = Callable[[Decoding], Recordings]
"""Thresholds and times -> what the streams' probabilities become by them, beside the truth. The service's decoder is
no part of this room: whoever asks brings it."""

CHOICES: Mapping[str, Sequence[float]] = {
    "start_above": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
    "stop_share": (0.3, 0.5, 0.7, 0.9),
    "smoothing_s": (0.0, 0.1, 0.2, 0.4, 0.8),
    "min_duration_s": (0.0, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0),
    "min_gap_s": (0.0, 0.1, 0.2, 0.4, 0.8),
}
"""What is tried: fields of Decoding, where stop_share is stop_below as a share of start_above."""


def shrec_jaccard(recordings: Recordings) -> float:
    """The Jaccard index of SHREC 2021: finds, misses, wrong labels and false positives in one figure."""
    return shrec21(recordings)["jaccard"]


def choose(
    decode: Decode,
    worth: Callable[[Recordings], float] = shrec_jaccard,
    choices: Mapping[str, Sequence[float]] = CHOICES,
) -> Decoding:
    """The decoding whose events are worth most, among the choices.

    From the middle of all choices, one field after the other takes its best value until none gets better; a tie keeps
    what stands. A figure that is not defined is worth less than any other.
    decode must look at validation streams alone: what is chosen here is not measured on them.
    """

    def value(point: Mapping[str, float]) -> float:
        found = worth(decode(_decoding(point)))
        return -math.inf if math.isnan(found) else found

    best = {name: options[len(options) // 2] for name, options in choices.items()}
    highest, better = value(best), True
    while better:
        better = False
        for name, options in choices.items():
            for option in options:
                point = {**best, name: option}
                if point != best and (reached := value(point)) > highest:
                    best, highest, better = point, reached, True
    return _decoding(best)


def _decoding(point: Mapping[str, float]) -> Decoding:
    given: dict[str, Any] = dict(point)
    given["stop_below"] = round(given["start_above"] * given.pop("stop_share"), 3)
    return Decoding(**given)
