"""Probabilities -> events, with hysteresis, on the stream's own time. One implementation for live and file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from landmarks.layout import Hand
from landmarks.manifest import Decoding


@dataclass(frozen=True)
class Event:
    """Something that is going on in a stream.

    id: the same from start to end. confidence: the highest probability so far.
    start_s, end_s: when it happens; end_s is None until it ended. decided_at_s: stream time of the last frame that
    this was decided from. hand: whose it is; None of the whole body, or of a hand of which nobody knows the side.
    """

    model: str
    id: str
    state: Literal["start", "update", "end"]
    label: str
    confidence: float
    start_s: float
    end_s: float | None
    decided_at_s: float
    hand: Hand | None = None


class Decoder:
    """One model's events of one stream, or of one of its hands.

    An event begins where a label that is not the background reaches `start_above`, is told as soon as it has lasted
    `min_duration_s`, and ends where the label has stayed under `stop_below` for `min_gap_s`, or where another label
    takes over.
    """

    def __init__(
        self, model: str, labels: Sequence[str], background: str, decoding: Decoding, hand: Hand | None = None
    ) -> None:
        self._model = model
        self._hand: Hand | None = hand
        self._labels = list(labels)
        self._candidates = [i for i, label in enumerate(labels) if label != background]
        self._how = decoding
        self._told = 0
        self._smooth: list[float] | None = None
        self._last_s = self._decided_s = -math.inf
        self._open: _Open | None = None

    def push(self, at_s: float, probabilities: Sequence[float], decided_at_s: float) -> list[Event]:
        """One prediction: what it says of `at_s`, known at `decided_at_s`. Returns the events that follow."""
        self._decided_s = decided_at_s
        smooth = self._smoothed(at_s, probabilities)
        best = max(self._candidates, key=lambda i: smooth[i])
        events: list[Event] = []
        current = self._open
        if current is not None:
            rival = (
                best != current.label and smooth[best] >= self._how.start_above and smooth[best] > smooth[current.label]
            )
            if smooth[current.label] >= self._how.stop_below and not rival:
                current.low_since_s = None
                current.confidence = max(current.confidence, smooth[current.label])
                events += self._tell(current, at_s)
            else:
                if current.low_since_s is None:
                    current.low_since_s = at_s
                if rival or at_s - current.low_since_s >= self._how.min_gap_s:
                    events += self._close()
                else:
                    events += self._tell(current, current.low_since_s)
        if self._open is None and smooth[best] >= self._how.start_above:
            self._open = _Open(best, at_s, smooth[best])
            events += self._tell(self._open, at_s)
        return events

    def interrupt(self) -> list[Event]:
        """The stream stopped or jumped: what is open ends at the last moment that was judged."""
        events: list[Event] = []
        if self._open is not None:
            if self._open.low_since_s is None:
                self._open.low_since_s = self._last_s
            events = self._close()
        self._smooth = None
        return events

    def _smoothed(self, at_s: float, probabilities: Sequence[float]) -> list[float]:
        if self._smooth is None or self._how.smoothing_s == 0:
            self._smooth = list(probabilities)
        else:
            keep = math.exp(-(at_s - self._last_s) / self._how.smoothing_s)
            self._smooth = [keep * old + (1 - keep) * new for old, new in zip(self._smooth, probabilities, strict=True)]
        self._last_s = at_s
        return self._smooth

    def _tell(self, current: _Open, until_s: float) -> list[Event]:
        if current.event is None:
            # A hair less, so that a duration that is a sum of frame times counts as reached.
            if until_s - current.start_s < self._how.min_duration_s - 1e-6:
                return []
            self._told += 1
            current.event = Event(
                self._model,
                f"{self._model}-{self._told}" + (f"-{self._hand}" if self._hand else ""),
                "start",
                self._labels[current.label],
                current.confidence,
                current.start_s,
                None,
                self._decided_s,
                self._hand,
            )
        else:
            current.event = replace(
                current.event, state="update", confidence=current.confidence, decided_at_s=self._decided_s
            )
        return [current.event]

    def _close(self) -> list[Event]:
        current, self._open = self._open, None
        if current is None or current.event is None:
            return []
        return [
            replace(
                current.event,
                state="end",
                confidence=current.confidence,
                end_s=current.low_since_s,
                decided_at_s=self._decided_s,
            )
        ]


@dataclass
class _Open:
    """An event that goes on, or may become one. label: position. event: as last told, None before that."""

    label: int
    start_s: float
    confidence: float
    low_since_s: float | None = None
    event: Event | None = None
