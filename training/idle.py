"""Windows in which nobody signs, made from real landmarks: bodies that rest, sway, reach, and trackers that fail.

Real idle takes with hands in view are few; without these a network learns that a visible hand signs.
All take frames (N, V, 3) of one person in square units with NaN where unseen, and give (T, V, 3).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from landmarks import Layout
from training.augment import resample
from training.motion import hand_joints, shoulder_width
from training.roaming import eased, roam

Points = NDArray[np.float32]
Random = np.random.Generator


def _any_frame(xyz: Points, random: Random) -> Points:
    return xyz[random.integers(len(xyz))]


def _slow_noise(frames: int, size: int, random: Random) -> NDArray[np.float64]:
    """(frames, size) smooth, about -1..1: three slow waves."""
    time = np.linspace(0, 1, frames)[:, None, None]
    pace, phase, weight = (
        random.uniform(0.2, 1.5, (1, size, 3)),
        random.uniform(size=(1, size, 3)),
        random.random((1, size, 3)),
    )
    return (weight * np.sin(2 * np.pi * (pace * time + phase))).sum(axis=-1) / 1.5


def still(xyz: Points, frames: int, layout: Layout, random: Random) -> Points:
    """One moment, held; every joint trembles a little, each hand drifts slowly."""
    width = shoulder_width(xyz, layout)
    window = np.repeat(_any_frame(xyz, random)[None], frames, axis=0)
    for side in ("left", "right"):
        hand = np.array([j.startswith(f"{side}_hand_") or j == f"{side}_wrist" for j in layout.joints])
        drift = _slow_noise(frames, 3, random) * width * random.choice([0.0, 0.03, 0.08])
        window[:, hand] += drift[:, None].astype(np.float32)
    return window + (random.standard_normal(window.shape) * width * 0.01 * random.random()).astype(np.float32)


def sway(xyz: Points, frames: int, layout: Layout, random: Random) -> Points:
    """A held pose whose body leans, walks, comes nearer; sometimes only the head moves."""
    window = still(xyz, frames, layout, random)
    width = shoulder_width(xyz, layout)
    path = (_slow_noise(frames, 3, random) * width * random.uniform(0.05, 0.6)).astype(np.float32)[:, None]
    if "nose" in layout and random.random() < 0.4:
        window[:, layout.indices("nose")] += path
        return window
    nearer = 1 + random.uniform(0, 0.2) * _slow_noise(frames, 1, random).astype(np.float32)[:, None]
    return window * nearer + path


def reach(xyz: Points, frames: int, layout: Layout, random: Random) -> Points:
    """From one pose to another in one go, and held: hands that enter, leave, go to the face, fold."""
    poses = np.stack([_any_frame(xyz, random), _any_frame(xyz, random)])
    start = random.uniform(-frames, frames)
    time = np.clip((np.arange(frames) - start) / random.uniform(4, 14), 0, 1)
    window = resample(poses, eased(time))
    width = shoulder_width(xyz, layout)
    return window + (random.standard_normal(window.shape) * width * 0.01 * random.random()).astype(np.float32)


def gesture(xyz: Points, frames: int, layout: Layout, random: Random) -> Points:
    """Whole arms that swing from the shoulder and the elbow, anywhere around the body, with the hand held: pointing,
    stretching, raising an arm, arms that hang and swing."""
    window = np.repeat(_any_frame(xyz, random)[None], frames, axis=0)
    time = np.clip((np.arange(frames) - random.uniform(-frames / 2, frames)) / random.uniform(5, 20), 0, 1)
    moved = (3 - 2 * time) * time**2 if random.random() < 0.6 else np.zeros(frames)
    for side in ("left", "right"):
        if random.random() < 0.25:
            continue
        hand = [i for i, j in enumerate(layout.joints) if j.startswith(f"{side}_hand_")]
        shoulder, elbow, wrist = layout.indices(f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist").tolist()
        for pivot, part in ((shoulder, [elbow, wrist, *hand]), (elbow, [wrist, *hand])):
            start, end = random.uniform(-1.6, 1.6, 2)
            angle = start + (end - start) * moved + 0.15 * _slow_noise(frames, 1, random)[:, 0] * random.random()
            _turn(window, pivot, part, angle)
    return window + (random.standard_normal(window.shape) * shoulder_width(xyz, layout) * 0.01).astype(np.float32)


def _turn(window: Points, pivot: int, part: list[int], angle: NDArray[np.float64]) -> None:
    """In place: the joints of a part about a joint, in the picture, by an angle a frame."""
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    x, y = (window[:, part, axis] - window[:, pivot, None, axis] for axis in (0, 1))
    window[:, part, 0] = window[:, pivot, None, 0] + cos * x - sin * y
    window[:, part, 1] = window[:, pivot, None, 1] + sin * x + cos * y


def flicker(xyz: Points, frames: int, layout: Layout, random: Random) -> Points:
    """A held pose of which the tracker finds the hands only now and then, and not where they are."""
    window = still(xyz, frames, layout, random)
    width = shoulder_width(xyz, layout)
    hands = np.flatnonzero(hand_joints(layout))
    for i in range(frames):
        window[i, hands] += (random.standard_normal((1, 3)) * width * 0.1 * random.random()).astype(np.float32)
    window[np.ix_(random.random(frames) < random.uniform(0.2, 0.9), hands)] = np.nan
    return window


def scramble(xyz: Points, frames: int, layout: Layout, random: Random) -> Points:
    """The frames of a take in no order: fast, and no movement of a body."""
    return xyz[random.integers(len(xyz), size=frames)].copy()


def _played(xyz: Points, frames: int, random: Random) -> Points:
    """(T, V, 3) a piece of a take, as it was; its last frame is held where the take ends."""
    first = random.integers(0, max(1, len(xyz) - frames + 1))
    return resample(xyz, np.arange(first, first + frames, dtype=np.float64)).copy()


def hands_down(xyz: Points, frames: int, layout: Layout, random: Random) -> Points:
    """A take in which the hands are not found at all: only the pose is left."""
    window = _played(xyz, frames, random)
    window[:, hand_joints(layout)] = np.nan
    return window


def leave(xyz: Points, frames: int, layout: Layout, random: Random) -> Points:
    """Hands that are out of view after whatever they did: for the last half of the window, or longer."""
    window = _played(xyz, frames, random)
    gone = int(random.integers(frames // 2, max(frames // 2, frames - 2) + 1))
    window[frames - gone :, hand_joints(layout)] = np.nan
    return window


def nobody(xyz: Points, frames: int, layout: Layout, random: Random) -> Points:
    """Nobody is seen."""
    return np.full((frames, *xyz.shape[1:]), np.nan, dtype=np.float32)


Maker = Callable[[Points, int, Layout, Random], Points]

IDLE: dict[str, Maker] = {
    "still": still,
    "sway": sway,
    "reach": reach,
    "gesture": gesture,
    "flicker": flicker,
    "scramble": scramble,
    "hands_down": hands_down,
    "leave": leave,
    "roam": roam,
    "nobody": nobody,
}
"""Kind of idleness -> its maker."""


class Mix:
    """Kinds of idle windows, drawn as often as their weights say.

    weights: kind -> how often, relative to the others; all kinds alike for None. Raises ValueError for a kind that
    there is not.
    """

    def __init__(self, weights: dict[str, float] | None) -> None:
        weights = weights or dict.fromkeys(IDLE, 1.0)
        if unknown := set(weights) - set(IDLE):
            raise ValueError(f"unknown kind of idle window {', '.join(sorted(unknown))}; choose from {', '.join(IDLE)}")
        self._kinds = sorted(weights)
        self._shares = np.array([weights[kind] for kind in self._kinds]) / sum(weights.values())

    def draw(self, random: Random) -> Maker:
        """The maker of one kind."""
        return IDLE[self._kinds[random.choice(len(self._kinds), p=self._shares)]]
