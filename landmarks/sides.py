"""Whose hand is which: by the wrists of the bodies, not by what a detector of hands believes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks import holistic
from landmarks.assignment import assign
from landmarks.hands import HANDS
from landmarks.layout import HOLISTIC_75
from landmarks.resample import check_times
from landmarks.sequence import square
from landmarks.torso import Torso

Bodies = NDArray[np.float32]
Place = tuple[int, int]
"""(person, 0 left or 1 right)"""

_HANDS = [holistic.PARTS[f"{hand}_hand"] for hand in HANDS]
_WRISTS = HOLISTIC_75.indices(*(f"{hand}_wrist" for hand in HANDS))
_TORSO = Torso(HOLISTIC_75)

NEAR = 0.4
"""Shoulder widths from a pose's wrist within which a hand may be its."""
REMEMBERED_S, VELOCITY_S = 0.5, 0.1
"""How long it counts where a hand was before; time constant of the mean over its velocity."""
MOVED, NEW, RENAMED = 0.5, 0.06, 0.3
"""What is added to the distance from a wrist, in shoulder widths: this share of the way, in the mean of the joints,
from where its hand would be by now, or NEW where it had none; and up to RENAMED where the hand came as another. That
keeps MediaPipe Holistic's hands: its pose is off by 0.07 of a width in the median, by 0.3 in one of a hundred, and more
where hands meet."""
CLEAR, LEARNT = 0.3, 0.1
"""A hand that is so much nearer to one wrist of its body than to the other tells whether the names that hands come with
can be trusted; how much each such hand counts."""


@dataclass(frozen=True)
class _Hand:
    """A found hand. points: (21, 3) as they came. at: (21, 2) in square units. given: its place, if any."""

    points: Bodies
    at: NDArray[np.float64]
    given: Place | None


@dataclass(frozen=True)
class _Before:
    """The hand that a place had. at: (21, 2) in square units. velocity: (2,) a second."""

    seen_s: float
    at: NDArray[np.float64]
    velocity: NDArray[np.float64]

    def expected(self, now_s: float) -> NDArray[np.float64]:
        """(21, 2) where it would be by now."""
        return self.at + (now_s - self.seen_s) * self.velocity

    def then(self, now_s: float, at: NDArray[np.float64]) -> _Before:
        """Seen again."""
        step_s = now_s - self.seen_s
        velocity = (at - self.at).mean(axis=0) / step_s
        return _Before(now_s, at, self.velocity + (1 - math.exp(-step_s / VELOCITY_S)) * (velocity - self.velocity))


class Sides:
    """Gives the hands of a frame to the wrists of its bodies, all at once, so that the sum of the distances is least.

    Where its hand was before counts too, so that hands which cross do not change places, and so does the name that a
    hand came with, as long as names prove right where that is clear. A hand with no wrist near, of anybody, stays what
    it came as; so does all that MediaPipe Holistic finds, which goes by wrists itself.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the stream: time may begin anew."""
        self._last_s = -math.inf
        self._before: dict[Place, _Before] = {}
        self._trust = 1.0

    def push(
        self, at_s: float, bodies: Sequence[tuple[int, Bodies]], aspect: float, hands: Sequence[Bodies] = ()
    ) -> list[tuple[int, Bodies]]:
        """The persons (number, (75, 3)) of a frame with every hand where it belongs; copies, where anything changed.

        hands: others (21, 3) of which nobody knows whose they are; those that are near no wrist are left out. All in
        shares of the picture's width and height, NaN where unseen. aspect: width / height of the picture. Raises
        TimeError where time does not move forward; the stream then stands as before.
        """
        check_times([at_s], self._last_s)
        self._last_s = at_s
        self._before = {place: one for place, one in self._before.items() if at_s - one.seen_s <= REMEMBERED_S}
        found = _found(bodies, hands, aspect)
        if not found:
            return list(bodies)
        places = [(who, side) for who, _ in bodies for side in range(2)]
        pairs = assign(self._costs(at_s, found, places, bodies, aspect))
        given = {row: places[column] for row, column in pairs}
        for row, place in given.items():
            before, at = self._before.get(place), found[row].at
            self._before[place] = _Before(at_s, at, np.zeros(2)) if before is None else before.then(at_s, at)
        changed = {row for row, hand in enumerate(found) if given.get(row) != hand.given}
        return _placed(bodies, found, given) if changed else list(bodies)

    def _costs(
        self, at_s: float, found: list[_Hand], places: list[Place], bodies: Sequence[tuple[int, Bodies]], aspect: float
    ) -> NDArray[np.float64]:
        """(hands, places), infinite where a hand is not near."""
        points = square(np.stack([xyz for _, xyz in bodies]), aspect) if bodies else np.zeros((0, 75, 3), np.float32)
        sizes = np.repeat(_TORSO.size(points), 2)  # (places,)
        sizes = np.where(sizes > 0, sizes, 1.0)
        wrists = points[:, _WRISTS, :2].reshape(-1, 2)  # (places, 2)
        at = np.stack([hand.at for hand in found])  # (hands, 21, 2)
        off = _length(at[:, None, 0] - wrists) / sizes
        moved = np.full(off.shape, NEW)
        for column, place in enumerate(places):
            if place in self._before:
                way = _length(at - self._before[place].expected(at_s)).mean(axis=-1)
                moved[:, column] = MOVED * np.minimum(way / sizes[column], 1.0)
        given = {row: places.index(hand.given) for row, hand in enumerate(found) if hand.given is not None}
        for row, own in given.items():
            farther = off[row, own] - off[row, own ^ 1]
            if abs(farther) > CLEAR:
                self._trust += LEARNT * (float(farther < 0) - self._trust)
        costs = np.where(off <= NEAR, off + moved + RENAMED * max(0.0, 2 * self._trust - 1), np.inf)
        for row, own in given.items():  # it may always stay
            costs[row, own] = np.fmin(off[row, own], NEAR) + moved[row, own]
        return costs

    def snapshot(self) -> dict[str, Any]:
        """What `restore` goes on from, as plain numbers."""
        before = [[*place, one.seen_s, one.at.tolist(), one.velocity.tolist()] for place, one in self._before.items()]
        last_s = None if math.isinf(self._last_s) else self._last_s
        return {"last_s": last_s, "trust": self._trust, "before": before}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on as the one that gave this snapshot would, to the bit."""
        self.reset()
        if state["last_s"] is not None:
            self._last_s = state["last_s"]
        self._trust = state["trust"]
        self._before = {
            (who, side): _Before(seen_s, np.array(at), np.array(velocity))
            for who, side, seen_s, at, velocity in state["before"]
        }


def _found(bodies: Sequence[tuple[int, Bodies]], hands: Sequence[Bodies], aspect: float) -> list[_Hand]:
    """Every hand that is seen."""
    all_ = [(xyz[part], (who, side)) for who, xyz in bodies for side, part in enumerate(_HANDS)]
    all_ += [(points, None) for points in hands]
    width = np.array([aspect, 1.0])
    return [_Hand(points, points[:, :2] * width, place) for points, place in all_ if not np.isnan(points[0, 0])]


def _length(vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.hypot(vectors[..., 0], vectors[..., 1])


def _placed(
    bodies: Sequence[tuple[int, Bodies]], found: list[_Hand], given: dict[int, Place]
) -> list[tuple[int, Bodies]]:
    placed = {who: xyz.copy() for who, xyz in bodies}
    for xyz in placed.values():
        for part in _HANDS:
            xyz[part] = np.nan
    for row, (who, side) in given.items():
        placed[who][_HANDS[side]] = found[row].points
    return list(placed.items())
