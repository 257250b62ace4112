"""Hands that move about and say nothing, made from real landmarks: they wave, fidget, reach, go to and fro.

Without these a network learns that hands which move in front of a body sign. The body is that of one frame; each arm
hangs at rest, or goes where it likes in strokes and rests, its elbow where two bones of their lengths put it. A hand is
that of some frame of the same take, turned along its arm, sometimes on its way to that of another frame.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from landmarks import Layout
from training.motion import shoulder_width, sides

Points = NDArray[np.float32]
Path = NDArray[np.float64]
Random = np.random.Generator


def roam(xyz: Points, frames: int, layout: Layout, random: Random) -> Points:
    """(N, V, 3) frames of one person in square units -> (T, V, 3): the body of one of them, whose hands move about.

    Depth of the hands is 0. The body alone where its shoulders were not seen in that frame.
    """
    window = np.repeat(xyz[random.integers(len(xyz))][None], frames, axis=0)
    width = shoulder_width(xyz, layout)
    shoulders = window[0, layout.indices("left_shoulder", "right_shoulder"), :2].astype(np.float64)
    if not np.isfinite(shoulders).all():
        return window
    outwards = np.sign(shoulders[0, 0] - shoulders[1, 0]) or 1.0  # x from the body to its left
    both, one, before = random.random() < 0.4, "left" if random.random() < 0.3 else "right", None
    for side, hand, out in zip(("left", "right"), sides(layout), (outwards, -outwards), strict=True):
        if both or side == one:
            path = _strokes(frames, random) * random.uniform(0.2, 1.0)
            if before is not None and random.random() < 0.5:  # both alike, or as in a mirror
                path = before * (-1 if random.random() < 0.7 else 1, 1)
            before = path
            about = np.array([out * random.uniform(-0.5, 1.3), random.uniform(-0.8, 1.5)])
            wrist = shoulders.mean(axis=0) + width * (path + about)
        else:
            hangs = width * np.array([out * random.uniform(-0.2, 0.5), random.uniform(1.2, 2.0)])
            wrist = window[:, layout.indices(f"{side}_shoulder")[0], :2] + hangs
            wrist = wrist + random.normal(0, 0.01, wrist.shape) * width
        wrist, elbow = _arm(window, side, wrist, layout, width, random)
        shape = _shapes(xyz, frames, layout, random)  # (T, H, 2)
        if shape is not None:
            window[:, hand, :2] = wrist[:, None] + _turned(shape, wrist - elbow, random) * width
            window[:, hand, 2] = 0
        if not (both or side == one) and random.random() < 0.7:
            window[:, hand] = np.nan
    leaning = random.normal(0, 0.004, (frames, 1, 3)).cumsum(axis=0) * width * random.random()
    trembling = random.standard_normal(window.shape) * width * 0.008 * random.random()
    return (window + leaning + trembling).astype(np.float32)


def eased(share: Path) -> Path:
    """How far a hand has come after a share of its stroke's time, 0..1: slow at both ends, the smoothest there is
    (minimum jerk, Flash and Hogan 1985)."""
    return share**3 * (10 - 15 * share + 6 * share**2)


def _strokes(frames: int, random: Random) -> Path:
    """(T, 2) from place to place in -1.2..1.2, each stroke slow at both ends, with rests between some; from somewhere
    within."""
    place, parts, length = random.uniform(-1, 1, 2), [], 0
    skipped = int(random.integers(20))
    while length < frames + skipped:
        to = place + random.normal(0, 0.5, 2) if random.random() < 0.7 else random.uniform(-1, 1, 2)
        to = np.clip(to, -1.2, 1.2)
        steps = int(random.integers(3, 16))
        share = (np.arange(steps) + 1) / steps
        parts.append(place + (to - place) * eased(share)[:, None])
        rests = int(random.integers(1, 10)) if random.random() < 0.3 else 0
        parts.append(np.repeat(to[None], rests, axis=0))
        place, length = to, length + steps + rests
    return np.concatenate(parts)[skipped : skipped + frames]


def _arm(window: Points, side: str, wrist: Path, layout: Layout, width: float, random: Random) -> tuple[Path, Path]:
    """In place: an arm of the body to a wrist that is, or is near, where it should be (T, 2); and back: wrist and
    elbow, the lower one of the two places that it could be at."""
    upper, fore = random.uniform(0.75, 1.1) * width, random.uniform(0.65, 1.0) * width
    shoulder = window[:, layout.indices(f"{side}_shoulder")[0], :2]
    away = wrist - shoulder
    length = np.maximum(np.linalg.norm(away, axis=-1, keepdims=True), 1e-6)  # (T, 1)
    wrist = shoulder + away * np.minimum(1, 0.98 * (upper + fore) / length)
    length = np.clip(length[:, 0], abs(upper - fore) + 1e-3, upper + fore - 1e-3)
    bend = np.arccos(np.clip((upper**2 + length**2 - fore**2) / (2 * upper * length), -1, 1))
    angle = np.arctan2(away[:, 1], away[:, 0])
    one, other = (shoulder + upper * np.stack([np.cos(a), np.sin(a)], axis=-1) for a in (angle + bend, angle - bend))
    elbow = np.where((one[:, 1] > other[:, 1])[:, None], one, other)
    for joint, place in (("elbow", elbow), ("wrist", wrist)):
        window[:, layout.indices(f"{side}_{joint}")[0], :2] = place
    return wrist, elbow


def _shapes(xyz: Points, frames: int, layout: Layout, random: Random) -> Path | None:
    """(T, H, 2) a hand of the take, its wrist at 0 and its farthest joint 1 away, in the mirror or not; held, or on its
    way to another. None where it shows no whole hand."""
    hands = [xyz[:, hand, :2] for hand in random.permutation(np.array(sides(layout)))]  # (N, H, 2) each
    whole = [hand[np.isfinite(hand).all(axis=(1, 2))] for hand in hands]
    seen = next((hand for hand in whole if len(hand)), None)
    if seen is None:
        return None
    chosen = seen[random.integers(len(seen), size=2)]  # (2, H, 2)
    chosen = chosen - chosen[:, :1]
    chosen = chosen / np.maximum(np.linalg.norm(chosen, axis=-1).max(axis=1), 1e-6)[:, None, None]
    began = random.uniform(-frames / 2, frames)
    share = np.clip((np.arange(frames) - began) / random.uniform(2, 10), 0, 1)[:, None, None]
    share = share if random.random() < 0.3 else 0 * share
    return (chosen[0] + (chosen[1] - chosen[0]) * share) * (-1 if random.random() < 0.5 else 1, 1)


def _turned(shape: Path, along: Path, random: Random) -> Path:
    """(T, H, 2) hands whose fingers point up -> of a hand's size in shoulder widths, turned along the forearm
    (T, 2), or only about upwards; a little foreshortened."""
    angle = random.normal(0, 0.3) + random.random() * 0.2 * np.sin(
        np.arange(len(shape)) * random.random() + random.uniform(0, 6)
    )
    if random.random() < 0.6:
        angle = angle + np.arctan2(along[:, 1], along[:, 0]) + np.pi / 2
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    x, y = np.moveaxis(shape * random.uniform(0.5, 1, 2), -1, 0)  # (T, H) each
    size = random.uniform(0.35, 0.6) * random.uniform(0.8, 1)
    return size * np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)
