"""What the path of a fingertip shows by itself: a swipe, a circle, or nothing with a name.

Directions are the picture's: a swipe to the left goes towards its left edge, and clockwise is clockwise on the screen.
All take paths (T, 2) in square units, y down, NaN where unseen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.augment import resample

Path = NDArray[np.float32]
Random = np.random.Generator

SWIPES = ("swipe right", "swipe down", "swipe left", "swipe up")
"""Each a quarter turn after the one before, as a clock goes."""
CIRCLES = ("circle clockwise", "circle counter-clockwise")
NAMES = (*SWIPES, *CIRCLES)

LEAST_SEEN = 0.75
"""Share of frames that a path must show to show anything."""
LEAP = 0.35
"""Picture heights from one frame to the next that no tip of a finger goes: a tracker has lost it."""
STILL = 0.04
"""Picture heights: a path that fits into so little is of a hand that rests."""
STRAIGHT, ASLANT_DEG = 0.8, 30.0
"""A swipe ends as far from its start as this share of its length, and no further off its axis."""
TURNS, ONE_WAY, ROUND = 0.5, 0.7, 0.35
"""A circle turns by so much of a full turn, so much of all its turning is the same way round, and it is that wide for
its length."""


def shown(path: Path) -> str | None:
    """One of NAMES, "" for nothing of these, None where too little is seen to say, or a tip leaps."""
    seen = np.isfinite(path).all(axis=1)
    if seen.mean() < LEAST_SEEN:
        return None
    path = path[seen]
    if (np.linalg.norm(np.diff(path, axis=0), axis=1) > LEAP * np.diff(np.flatnonzero(seen))).any():
        return None
    across = np.ptp(path, axis=0)
    if across.max() < STILL:
        return ""
    padded = np.pad(path, ((1, 1), (0, 0)), mode="edge")
    steps = np.diff((padded[:-2] + padded[1:-1] + padded[2:]) / 3, axis=0)  # trackers tremble
    sizes = np.linalg.norm(steps, axis=1)
    moving = sizes > 0.1 * sizes.max()
    steps, length = steps[moving], sizes[moving].sum()
    whole = path[-1] - path[0]
    if np.linalg.norm(whole) > STRAIGHT * length:
        quarter = round(np.arctan2(whole[1], whole[0]) / (np.pi / 2))
        off = abs(np.arctan2(whole[1], whole[0]) - quarter * np.pi / 2)
        return SWIPES[quarter % 4] if np.rad2deg(off) <= ASLANT_DEG else ""
    turns = np.diff(np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))) / (2 * np.pi)
    turned = float(turns.sum())
    if abs(turned) < TURNS or abs(turned) < ONE_WAY * np.abs(turns).sum() or across.min() < ROUND * across.max():
        return ""
    return CIRCLES[0] if turned > 0 else CIRCLES[1]


def turned(label: str, quarters: int, mirrored: bool) -> str:
    """What a path of this label is called once its picture is mirrored, if so, and then turned clockwise."""
    if label in CIRCLES:
        return CIRCLES[CIRCLES.index(label) ^ mirrored]
    place = SWIPES.index(label)
    return SWIPES[((-place + 2 if mirrored else place) + quarters) % 4]


def turn(xyz: NDArray[np.float32], quarters: int, mirrored: bool) -> NDArray[np.float32]:
    """(T, V, 3) mirrored, if so, about the picture's vertical, and then turned clockwise by quarters; see `turned`."""
    x, y, z = np.moveaxis(xyz, -1, 0)
    x = -x if mirrored else x
    for _ in range(quarters % 4):
        x, y = -y, x
    return np.stack([x, y, z], axis=-1)


def _rotated(xyz: NDArray[np.float32], angle: float) -> NDArray[np.float32]:
    """(T, V, 3) turned clockwise in the picture, by radians."""
    cos, sin = np.cos(angle), np.sin(angle)
    x, y, z = np.moveaxis(xyz, -1, 0)
    return np.stack([x * cos - y * sin, x * sin + y * cos, z], axis=-1).astype(np.float32)


def resting(xyz: NDArray[np.float32], random: Random) -> NDArray[np.float32]:
    """(T, V, 3) one moment, held: it drifts and trembles by less than STILL."""
    time = np.linspace(0, 1, len(xyz))[:, None, None]
    pace, phase = random.uniform(0.2, 1.5, (1, 1, 3)), random.uniform(size=(1, 1, 3))
    drift = STILL / 3 * random.random() * np.sin(2 * np.pi * (pace * time + phase))
    noise = STILL / 8 * random.random() * random.standard_normal(xyz.shape)
    return (_some(xyz, random) + drift + noise).astype(np.float32)


def to_and_fro(xyz: NDArray[np.float32], random: Random) -> NDArray[np.float32]:
    """(T, V, 3) a path that goes forth and back, two to four times as fast, as a hand that waves."""
    last, strokes = len(xyz) - 1, random.uniform(2, 4)
    phase = np.linspace(0, strokes / 2, len(xyz)) + random.random() / 2
    return resample(xyz, (last * np.abs(2 * (phase % 1) - 1)).astype(np.float64))


def bent(xyz: NDArray[np.float32], random: Random) -> NDArray[np.float32]:
    """(T, V, 3) a path that goes on in another direction halfway, as letters are written."""
    half = len(xyz) // 2
    start = resample(xyz, np.linspace(0, len(xyz) - 1, half))
    rest = resample(xyz, np.linspace(0, len(xyz) - 1, len(xyz) - half)) - xyz[:1]
    on = _rotated(rest, random.choice([-1, 1]) * np.deg2rad(random.uniform(60, 150))) + start[-1:]
    return np.concatenate([start, on]).astype(np.float32)


def scrambled(xyz: NDArray[np.float32], random: Random) -> NDArray[np.float32]:
    """(T, V, 3) the moments of a path in no order."""
    return xyz[random.permutation(len(xyz))]


def _some(xyz: NDArray[np.float32], random: Random) -> NDArray[np.float32]:
    """(1, V, 3) a moment in which the tip is seen."""
    seen = np.flatnonzero(np.isfinite(xyz[..., 0]).any(axis=1))
    return xyz[seen[random.integers(len(seen))], None]


MADE = (resting, to_and_fro, bent, scrambled)
"""Makers of paths that show nothing with a name, of paths (T, V, 3) that do."""
