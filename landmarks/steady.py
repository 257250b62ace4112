"""A stream's landmarks made steady: hands held where they are lost for a moment, trembling smoothed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks.hands import HANDS, of_one_hand
from landmarks.layout import HOLISTIC_75, Layout
from landmarks.resample import check_times
from landmarks.smoothing import LowPass, OneEuro
from landmarks.torso import Torso

Frames = NDArray[np.float32]

_EARLY = 1e-6
"""Seconds by which a hand may be held longer, as its time is a difference of frames' times."""
_SIZE_S = 1.0
"""Time constant of the mean over a body's size."""


@dataclass(frozen=True)
class Steadying:
    """What is done to a stream's frames before anybody looks at them; by default nothing.

    cutoff_hz: cut-off frequency of the One-Euro filter for what is still; 0 smooths nothing. beta: by how many Hz it
    grows with a speed of one shoulder width a second. hold_s: a hand that was seen so long ago stays where it was, seen
    from the pose's wrist; 0 holds nothing.
    """

    cutoff_hz: float = 0.0
    beta: float = 0.0
    hold_s: float = 0.0

    def __post_init__(self) -> None:
        values = (self.cutoff_hz, self.beta, self.hold_s)
        if not all(math.isfinite(value) and value >= 0 for value in values):
            raise ValueError(f"need cutoff_hz >= 0, beta >= 0 and hold_s >= 0, got {values}")
        if self.beta and not self.cutoff_hz:
            raise ValueError(f"beta {self.beta} needs a cutoff_hz above 0: without it nothing is smoothed")

    def __bool__(self) -> bool:
        """Whether anything is done."""
        return bool(self.cutoff_hz or self.hold_s)


class Steady:
    """One stream's steadying: frames in, as many frames out, each by what came before it.

    layout: of the frames. max_gap_s: after a longer gap it begins afresh, as a Cutter does.
    """

    def __init__(self, how: Steadying, layout: Layout = HOLISTIC_75, max_gap_s: float = 0.5) -> None:
        self.how, self._max_gap_s = how, max_gap_s
        self._torso = Torso(layout)
        self._hands = [_Held(joints, anchor) for joints, anchor in _hands(layout)] if how.hold_s else []
        self._filter = OneEuro(how.cutoff_hz, how.beta) if how.cutoff_hz else None
        self.reset()

    def reset(self) -> None:
        """Forget the stream: time may begin anew."""
        self._last_s = -math.inf
        self._begin()

    def push(self, at_s: Sequence[float], xyz: Frames, aspect: float) -> Frames:
        """N frames (N, V, 3) at `at_s` (N,) seconds, steadied: new ones, those given stay as they are.

        xyz: shares of the picture's width and height. aspect: width / height of the picture. Raises TimeError where
        time does not move forward; the stream then stands as before.
        """
        check_times(at_s, self._last_s)
        steadied = xyz.copy()
        for now_s, frame in zip(at_s, steadied, strict=True):
            step_s = now_s - self._last_s
            if step_s > self._max_gap_s:
                self._begin()
            self._last_s = now_s
            for hand in self._hands:
                hand.push(now_s, frame, self.how.hold_s)
            if self._filter is not None:
                frame[:] = self._smooth(self._filter, frame, aspect, step_s)
        return steadied

    def _begin(self) -> None:
        self._size = LowPass()
        if self._filter is not None:
            self._filter.reset()
        for hand in self._hands:
            hand.points = None

    def _smooth(self, by: OneEuro, frame: Frames, aspect: float, step_s: float) -> NDArray[np.float64]:
        """(V, 3): speeds are counted in shoulder widths, whatever their share of the picture is."""
        width = np.array([aspect, 1.0, aspect])
        size = np.asarray(self._torso.size(frame * width), np.float64)
        if np.isnan(size) and self._size.last is not None:
            size = self._size.last
        size = self._size.push(size, 1 - math.exp(-step_s / _SIZE_S))
        unit = float(size) if size > 0 else 1.0
        return by.push(frame.astype(np.float64), unit / width, step_s)

    def snapshot(self) -> dict[str, Any]:
        """What `restore` goes on from, as plain numbers."""
        return {
            "last_s": None if math.isinf(self._last_s) else self._last_s,
            "size": None if self._size.last is None else float(self._size.last),
            "filter": None if self._filter is None else self._filter.snapshot(),
            "hands": [hand.snapshot() for hand in self._hands],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on as the one of the same settings and layout that gave this snapshot would, to the bit."""
        self.reset()
        if state["last_s"] is not None:
            self._last_s = state["last_s"]
        if state["size"] is not None:
            self._size.last = np.array(state["size"], np.float64)
        if self._filter is not None:
            self._filter.restore(state["filter"])
        for hand, held in zip(self._hands, state["hands"], strict=True):
            hand.restore(held)


class _Held:
    """Where a hand was seen last. joints: its positions. anchor: that of the pose's wrist, if there is one."""

    def __init__(self, joints: NDArray[np.intp], anchor: int | None) -> None:
        self._joints, self._anchor = joints, anchor
        self.points: Frames | None = None  # (21, 3); x and y from the pose's wrist where that was seen with it
        self._anchored = False
        self._seen_s = -math.inf

    def push(self, now_s: float, frame: Frames, hold_s: float) -> None:
        """Put the hand into a frame (V, 3) that does not see it, if it may be held."""
        hand = frame[self._joints]
        wrist = None if self._anchor is None or np.isnan(frame[self._anchor, 0]) else frame[self._anchor, :2]
        if not np.isnan(hand[:, 0]).all():
            if wrist is not None:
                hand[:, :2] -= wrist  # depth stays: a hand's is counted from its own wrist
            self.points, self._anchored, self._seen_s = hand, wrist is not None, now_s
        elif (
            self.points is not None
            and now_s - self._seen_s <= hold_s + _EARLY
            and self._anchored == (wrist is not None)
        ):
            frame[self._joints] = self.points
            if wrist is not None:
                frame[self._joints, :2] += wrist

    def snapshot(self) -> list[Any] | None:
        """Plain numbers."""
        return None if self.points is None else [self.points.tolist(), self._anchored, self._seen_s]

    def restore(self, state: list[Any] | None) -> None:
        """As Steady."""
        self.points = None
        if state is not None:
            self.points, self._anchored, self._seen_s = np.array(state[0], np.float32), state[1], state[2]


def _hands(layout: Layout) -> list[tuple[NDArray[np.intp], int | None]]:
    """(positions of its joints, position of the pose's wrist or None) of each hand in a layout."""
    if of_one_hand(layout.joints):
        return [(np.arange(len(layout)), None)]
    found = []
    for hand in HANDS:
        joints = [i for i, joint in enumerate(layout.joints) if joint.startswith(f"{hand}_hand_")]
        if joints:
            wrist = f"{hand}_wrist"
            found.append((np.array(joints), int(layout.indices(wrist)[0]) if wrist in layout else None))
    return found
