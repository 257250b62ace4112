"""Several people in view: who is who from frame to frame, and who is nearest to the camera."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks.assignment import assign
from landmarks.layout import HOLISTIC_75
from landmarks.resample import check_times
from landmarks.sequence import square
from landmarks.torso import Torso

Bodies = NDArray[np.float32]

_BOTH = ("shoulder", "hip", "ear", "elbow")
_COMPARED = HOLISTIC_75.indices("nose", *(f"{side}_{part}" for part in _BOTH for side in ("left", "right")))
_TORSO = Torso(HOLISTIC_75)

NEAR, FASTER, FARTHEST = 0.75, 2.0, 1.25
"""How far off its expected place a body may be found, in shoulder widths; how much farther for every second that it was
not seen; and how far at most: who stands farther off is somebody else."""
VELOCITY_S, SIZE_S = 0.1, 0.5
"""Time constants of the means over a person's velocity and size."""
LARGER, SETTLED_S = 1.25, 0.5
"""So many times as large must another be, and known for so long, to become the main person."""


@dataclass(frozen=True)
class Crowd:
    """How many people are followed, and how long nobody forgets them.

    most: persons at the same time; of more, those who came first are followed. forget_s: who was not seen for longer
    is somebody new when seen again: `python -m bench people` asks for more than a second.
    """

    most: int = 4
    forget_s: float = 1.5

    def __post_init__(self) -> None:
        if self.most < 1 or not (math.isfinite(self.forget_s) and self.forget_s >= 0):
            raise ValueError(f"need most >= 1 and forget_s >= 0, got {self.most}, {self.forget_s}")


@dataclass
class _Person:
    """since_s, seen_s: when seen first and last. size: of the shoulders, smoothed. velocity: (2,) a second.

    joints: (J, 3) of those compared where seen, NaN elsewhere. middle: (2,) of all that was seen. In square units.
    """

    number: int
    since_s: float
    seen_s: float
    size: float
    joints: NDArray[np.float32]
    middle: NDArray[np.float64]
    velocity: NDArray[np.float64]


class People:
    """Gives the bodies of a stream's frames to persons 1, 2, 3 ..., in the order in which they appear.

    Bodies may come in any order. Each is held against where everybody would be by now, joint by joint, and all are
    given away at once so that the sum of the distances is least. A number is never given twice.
    """

    def __init__(self, crowd: Crowd = Crowd()) -> None:
        self.crowd = crowd
        self._next = 1
        self.reset()

    def reset(self) -> None:
        """Forget everybody: time may begin anew. Whoever comes has a new number."""
        self._known: list[_Person] = []
        self._last_s = -math.inf
        self.main: int | None = None
        """The largest person, until somebody else is clearly larger or this one is forgotten; None before the first."""

    @property
    def numbers(self) -> tuple[int, ...]:
        """Who is not forgotten, seen now or not."""
        return tuple(person.number for person in self._known)

    def push(self, at_s: float, bodies: Bodies, aspect: float) -> list[tuple[int, Bodies]]:
        """The bodies (N, 75, 3) of a frame with the numbers of their persons, by number; those of nobody left out.

        bodies: of HOLISTIC_75, in shares of the picture's width and height, NaN where unseen. aspect: width / height of
        the picture. Raises TimeError where time does not move forward; the stream then stands as before.
        """
        check_times([at_s], self._last_s)
        self._last_s = at_s
        self._known = [one for one in self._known if at_s - one.seen_s <= self.crowd.forget_s]
        found = _Found.of(square(bodies, aspect))
        numbers: dict[int, int] = {}  # position of a body -> of whom
        for row, column in assign(self._costs(at_s, found)):
            person = self._known[row]
            _move(person, at_s, found, column)
            numbers[column] = person.number
        for column in range(len(found.order)):
            if column not in numbers and len(self._known) < self.crowd.most:
                self._known.append(found.person(column, self._next, at_s))
                numbers[column] = self._next
                self._next += 1
        self._choose(at_s)
        return sorted(((who, bodies[found.order[column]]) for column, who in numbers.items()), key=lambda one: one[0])

    def _costs(self, at_s: float, found: _Found) -> NDArray[np.float64]:
        """(persons, bodies) how far each body is off where each person would be, in shoulder widths; infinite if too
        far."""
        if not self._known or not len(found.order):
            return np.zeros((len(self._known), 0))
        waited_s = np.array([at_s - one.seen_s for one in self._known])
        moved = np.stack([one.velocity for one in self._known]) * waited_s[:, None]  # (P, 2)
        expected = np.stack([one.joints[:, :2] for one in self._known]) + moved[:, None]  # (P, J, 2)
        off = found.joints[None, :, :, :2] - expected[:, None]  # (P, N, J, 2)
        apart = np.hypot(off[..., 0], off[..., 1])
        both = np.isfinite(apart)
        count = both.sum(axis=-1)
        middles = found.middle[None] - (np.stack([one.middle for one in self._known]) + moved)[:, None]  # (P, N, 2)
        apart = np.where(both, apart, 0.0).sum(axis=-1) / np.maximum(count, 1)
        apart = np.where(count > 0, apart, np.hypot(middles[..., 0], middles[..., 1]))
        sizes = np.stack([np.fmax(one.size, found.size) for one in self._known])  # (P, N)
        costs = apart / sizes
        return np.where(costs <= np.minimum(NEAR + FASTER * waited_s, FARTHEST)[:, None], costs, np.inf)

    def _choose(self, at_s: float) -> None:
        """Who is the main person from now on."""
        now = next((one for one in self._known if one.number == self.main), None)
        if now is None:
            seen = [one for one in self._known if one.seen_s == at_s]
            self.main = max(seen, key=lambda one: one.size).number if seen else None
            return
        settled = [one for one in self._known if at_s - one.since_s >= SETTLED_S and one.seen_s == at_s]
        largest = max(settled, key=lambda one: one.size, default=now)
        if largest.size > LARGER * now.size:
            self.main = largest.number

    def snapshot(self) -> dict[str, Any]:
        """What `restore` goes on from, as plain numbers."""
        people = [
            {
                **vars(one),
                "joints": one.joints.tolist(),
                "middle": one.middle.tolist(),
                "velocity": one.velocity.tolist(),
            }
            for one in self._known
        ]
        last_s = None if math.isinf(self._last_s) else self._last_s
        return {"next": self._next, "main": self.main, "last_s": last_s, "people": people}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on as the one of the same settings that gave this snapshot would, to the bit; None in joints is NaN."""
        self.reset()
        self._next, self.main = state["next"], state["main"]
        if state["last_s"] is not None:
            self._last_s = state["last_s"]
        self._known = [
            _Person(
                **{
                    **one,
                    "joints": np.array(one["joints"], np.float32),
                    "middle": np.array(one["middle"], np.float64),
                    "velocity": np.array(one["velocity"], np.float64),
                }
            )
            for one in state["people"]
        ]


@dataclass(frozen=True, eq=False)
class _Found:
    """The N bodies of a frame that show anything, the largest first. order: (N,) their positions among those given."""

    order: NDArray[np.intp]
    joints: NDArray[np.float32]
    middle: NDArray[np.float64]
    size: NDArray[np.float64]

    @classmethod
    def of(cls, bodies: Bodies) -> _Found:
        """bodies: (M, 75, 3) in square units."""
        seen = np.isfinite(bodies[..., 0])
        order = np.flatnonzero(seen.any(axis=1))
        bodies, seen = bodies[order], seen[order]
        points = np.where(seen[..., None], bodies[..., :2], 0.0).astype(np.float64)
        middle = points.sum(axis=1) / seen.sum(axis=1)[:, None]  # (N, 2)
        size = _TORSO.size(bodies).astype(np.float64)
        size = np.where(size > 0, size, 1.0)  # nothing tells: as wide as the picture is high
        by_size = np.lexsort((middle[:, 1], middle[:, 0], -size))  # so that the order they come in makes no difference
        joints = bodies[:, _COMPARED]
        return cls(order[by_size], joints[by_size], middle[by_size], size[by_size])

    def person(self, column: int, number: int, at_s: float) -> _Person:
        """Somebody new."""
        size, joints, middle = float(self.size[column]), self.joints[column], self.middle[column]
        return _Person(number, at_s, at_s, size, joints, middle, np.zeros(2))


def _move(person: _Person, at_s: float, found: _Found, column: int) -> None:
    """A person is seen again."""
    step_s, joints = at_s - person.seen_s, found.joints[column]
    way = joints[:, :2] - person.joints[:, :2]
    way = way[np.isfinite(way[:, 0])]
    moved = way.mean(axis=0) if len(way) else found.middle[column] - person.middle
    newer = 1 - math.exp(-step_s / VELOCITY_S)
    person.velocity = person.velocity + newer * (moved / step_s - person.velocity)
    person.size += (1 - math.exp(-step_s / SIZE_S)) * (float(found.size[column]) - person.size)
    person.joints, person.middle, person.seen_s = joints, found.middle[column], at_s
