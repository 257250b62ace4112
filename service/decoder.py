"""Probabilities -> events, with hysteresis, on the stream's own time. One implementation for live and file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from landmarks.layout import Hand
from landmarks.manifest import Decoding

State = Literal["start", "update", "end"]

_EARLY = 1e-6
"""Seconds by which a duration may fall short, so that one that is a sum of frame times counts as reached."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that is going on in a stream.

    id: the same from start to end, of no other event of the session. confidence: the highest probability so far.
    start_s, end_s: when it happens; end_s is None until it ended. decided_at_s: stream time of the last frame that
    this was decided from. hand: whose it is; None of the whole body, or of a hand of which nobody knows the side.
    person: of the session's people, 1 where frames hold one body.
    """

    model: str
    id: str
    state: State
    label: str
    confidence: float
    start_s: float
    end_s: float | None
    decided_at_s: float
    hand: Hand | None = None
    person: int = 1


class Decoder:
    """One model's events of one stream, or of one of its people or hands.

    An event begins where a label that is not the background reaches `start_above`, is told as soon as it has lasted
    `min_duration_s`, and ends where the label has stayed under `stop_below` for `min_gap_s`, where another label takes
    over, or once it has lasted `max_duration_s`. All of landmarks.Decoding, which may differ from label to label. No
    event ends later than the last moment that was judged, and none starts before the one before it ended.

    labels: of the model, in its order. Raises ValueError for a decoding of labels that it has not.
    """

    def __init__(
        self,
        model: str,
        labels: Sequence[str],
        background: str,
        decoding: Decoding,
        hand: Hand | None = None,
        person: int = 1,
    ) -> None:
        self._model = model
        self._hand: Hand | None = hand
        self._person = person
        self._suffix = ("" if person == 1 else f"-p{person}") + (f"-{hand}" if hand else "")
        self._labels = tuple(labels)
        self._background = self._labels.index(background) if background in self._labels else None
        self._told = 0
        self._smooth: list[float] | None = None
        self._last_s = self._decided_s = 0.0
        self._earliest_s: float | None = None  # no event starts before: the stream began, or one ended
        self._rests_until_s: dict[int, float] = {}  # label -> when its last refractory time was over
        self._open: _Open | None = None
        self.configure(decoding)

    def configure(self, decoding: Decoding) -> None:
        """Go on with other thresholds and times; what is open stays open, from where it started.

        Raises ValueError for a decoding of labels that the model has not, and then changes nothing.
        """
        of = iter(decoding.of([label for i, label in enumerate(self._labels) if i != self._background]))
        self._how = [decoding if i == self._background else next(of) for i in range(len(self._labels))]
        self._least = min(how.start_above for i, how in enumerate(self._how) if i != self._background)
        self._smoothing_s = decoding.smoothing_s

    def push(self, at_s: float, probabilities: Sequence[float], decided_at_s: float) -> list[Event]:
        """One prediction: what it says of `at_s`, known at `decided_at_s`. Returns the events that follow.

        probabilities: of all labels. at_s grows from one prediction to the next; after an interrupt it may begin anew.
        """
        smooth = self._smoothed(at_s, probabilities)
        if self._earliest_s is None:
            self._earliest_s = at_s
            if at_s < self._last_s:
                self._rests_until_s.clear()
        self._last_s, self._decided_s = at_s, decided_at_s
        current = self._open
        if current is None:
            if max(smooth) < self._least:
                return []
            return self._begin(self._riser(smooth), smooth)
        now, how = smooth[current.label], self._how[current.label]
        rival = self._riser(smooth)
        if rival is not None and smooth[rival] <= now:
            rival = None
        if rival is None and now >= how.stop_below:
            current.low_since_s = None
            current.confidence = max(current.confidence, now)
            events = self._tell(current, at_s)
        else:
            if current.low_since_s is None:
                current.low_since_s = at_s
            if rival is not None or at_s - current.low_since_s >= max(how.min_gap_s, how.pad_s - _EARLY):
                return self._close(decided_at_s) + self._begin(self._riser(smooth), smooth)
            events = self._tell(current, current.low_since_s)
        if how.max_duration_s is not None and at_s - current.start_s >= how.max_duration_s - _EARLY:
            events += self._close(decided_at_s) + self._begin(self._riser(smooth), smooth)
        return events

    def interrupt(self, decided_at_s: float | None = None) -> list[Event]:
        """What is open ends at the last moment that was judged; what comes next is told as of a new stream.

        For a stream that stops or jumps, and for one that goes on. decided_at_s: where this is decided from a later
        frame than that moment's. Ids go on counting, and no refractory time is cut short.
        """
        events = self._close(self._decided_s if decided_at_s is None else decided_at_s)
        self._smooth = self._earliest_s = None
        return events

    def snapshot(self) -> dict[str, Any]:
        """All that going on takes, as plain values that JSON keeps to the bit; not the thresholds."""
        return {
            "told": self._told,
            "smooth": self._smooth,
            "last_s": self._last_s,
            "decided_s": self._decided_s,
            "earliest_s": self._earliest_s,
            "rests_until_s": [[label, until_s] for label, until_s in self._rests_until_s.items()],
            "open": None if self._open is None else asdict(self._open),
        }

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Go on from another decoder's snapshot, of the same model, hand and person."""
        self._told = kept["told"]
        self._smooth = None if kept["smooth"] is None else list(kept["smooth"])
        self._last_s, self._decided_s = kept["last_s"], kept["decided_s"]
        self._earliest_s = kept["earliest_s"]
        self._rests_until_s = dict(kept["rests_until_s"])
        self._open = None if kept["open"] is None else _Open(**kept["open"])

    def _smoothed(self, at_s: float, probabilities: Sequence[float]) -> list[float]:
        """The mean up to now, in which the background stands at -1: it is never looked at."""
        if self._smooth is None or self._smoothing_s == 0:
            smooth = list(probabilities)
        else:
            keep = math.exp((self._last_s - at_s) / self._smoothing_s)
            new = 1 - keep
            smooth = [keep * old + new * now for old, now in zip(self._smooth, probabilities, strict=True)]
        if self._background is not None:
            smooth[self._background] = -1.0
        self._smooth = smooth
        return smooth

    def _riser(self, smooth: list[float]) -> int | None:
        """The most probable label of which an event may begin now."""
        best = smooth.index(max(smooth))
        if smooth[best] >= self._how[best].start_above and not self._rests(best):
            return best
        risers = [i for i, p in enumerate(smooth) if p >= self._how[i].start_above and not self._rests(i)]
        return max(risers, key=lambda i: smooth[i], default=None)

    def _rests(self, label: int) -> bool:
        """Whether its refractory time goes on."""
        return label in self._rests_until_s and self._last_s < self._rests_until_s[label] - _EARLY

    def _begin(self, label: int | None, smooth: list[float]) -> list[Event]:
        if label is None:
            return []
        assert self._earliest_s is not None
        at_s, rested_s = self._last_s, self._rests_until_s.get(label, self._earliest_s)
        start_s = min(at_s, max(at_s - self._how[label].pad_s, self._earliest_s, rested_s))
        self._open = _Open(label, at_s, start_s, smooth[label])
        return self._tell(self._open, at_s)

    def _tell(self, current: _Open, until_s: float) -> list[Event]:
        if current.id:
            return [self._event(current, "update", None, self._decided_s)]
        if until_s - current.since_s < self._how[current.label].min_duration_s - _EARLY:
            return []
        self._told += 1
        current.id = f"{self._model}-{self._told}{self._suffix}"
        return [self._event(current, "start", None, self._decided_s)]

    def _close(self, decided_at_s: float) -> list[Event]:
        current, self._open = self._open, None
        if current is None or not current.id:
            return []
        how, end_s = self._how[current.label], self._last_s
        if current.low_since_s is not None:
            end_s = min(end_s, current.low_since_s + how.pad_s)
        self._earliest_s = end_s
        if how.refractory_s:
            self._rests_until_s[current.label] = end_s + how.refractory_s
        return [self._event(current, "end", end_s, decided_at_s)]

    def _event(self, current: _Open, state: State, end_s: float | None, decided_at_s: float) -> Event:
        return Event(
            self._model,
            current.id,
            state,
            self._labels[current.label],
            current.confidence,
            current.start_s,
            end_s,
            decided_at_s,
            self._hand,
            self._person,
        )


@dataclass(slots=True)
class _Open:
    """An event that goes on, or may become one. label: position. since_s: when it reached its threshold. start_s: as
    told. low_since_s: when it fell under the other one. id: empty until it is told."""

    label: int
    since_s: float
    start_s: float
    confidence: float
    low_since_s: float | None = None
    id: str = ""
