"""What another camera or a worse tracker would have made of a stream: one thing at a time, by a known amount."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from landmarks import LandmarkSequence
from training.motion import shoulder_width, sides

Change = Callable[[LandmarkSequence, float, np.random.Generator], LandmarkSequence]
"""(sequence in square units, how much, random) -> the same people, seen otherwise."""


@dataclass(frozen=True)
class Perturbation:
    """amounts: what is tried. unit: of them. change: does it."""

    amounts: tuple[float, ...]
    unit: str
    change: Change


def rate(sequence: LandmarkSequence, fps: float, random: np.random.Generator) -> LandmarkSequence:
    """Frames a second; between the given ones there is nothing new to see, so more than they are is only denser."""
    return sequence.resample(fps)


def lose_hands(sequence: LandmarkSequence, share: float, random: np.random.Generator) -> LandmarkSequence:
    """Each hand is not found in a share of the frames, drawn one by one."""
    xyz = sequence.xyz.copy()
    for hand in sides(sequence.layout):
        xyz[np.ix_(random.random(len(xyz)) < share, hand)] = np.nan
    return _with(sequence, xyz)


def flicker(sequence: LandmarkSequence, seconds: float, random: np.random.Generator) -> LandmarkSequence:
    """Each hand is not found for so long at a time, four times so long apart on average."""
    xyz, at_s = sequence.xyz.copy(), sequence.at_s
    for hand in sides(sequence.layout):
        apart_s = seconds * (1 + random.exponential(4, 1 + int(sequence.duration_s / seconds)))
        found_s = at_s[0] + np.cumsum(apart_s)  # again
        gone = (found_s - seconds < at_s[:, None]) & (at_s[:, None] <= found_s)
        xyz[np.ix_(gone.any(axis=1), hand)] = np.nan
    return _with(sequence, xyz)


def shake(sequence: LandmarkSequence, widths: float, random: np.random.Generator) -> LandmarkSequence:
    """Every joint of every frame lies off by so much (one standard deviation), in shoulder widths."""
    size = widths * shoulder_width(sequence.xyz, sequence.layout)
    return _with(sequence, sequence.xyz + size * random.standard_normal(sequence.xyz.shape))


def mirror(sequence: LandmarkSequence, on: float, random: np.random.Generator) -> LandmarkSequence:
    """As a mirrored webcam shows it."""
    return sequence.mirror() if on else sequence


def scale(sequence: LandmarkSequence, factor: float, random: np.random.Generator) -> LandmarkSequence:
    """A person who stands nearer or farther, in the middle of the picture."""
    return _with(sequence, _MIDDLE + factor * (sequence.xyz - _MIDDLE))


def turn(sequence: LandmarkSequence, degrees: float, random: np.random.Generator) -> LandmarkSequence:
    """A camera that is turned about the line of view."""
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    turned = (sequence.xyz - _MIDDLE) @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    return _with(sequence, _MIDDLE + turned)


_MIDDLE = np.array([0.5, 0.5, 0.0])

PERTURBATIONS: Mapping[str, Perturbation] = {
    "frame rate": Perturbation((8, 10, 12, 24, 30, 60), "frames/s", rate),
    "hands lost": Perturbation((0.1, 0.25, 0.5), "of frames", lose_hands),
    "hands flicker": Perturbation((0.1, 0.2, 0.4), "s at a time", flicker),
    "noise": Perturbation((0.01, 0.02, 0.05), "shoulder widths", shake),
    "mirrored": Perturbation((1,), "", mirror),
    "size": Perturbation((0.33, 0.5, 2), "times", scale),
    "turned": Perturbation((-30, -15, 15, 30), "degrees", turn),
}
"""Name -> what is tried. A hand alone has no shoulders: its noise is in the unit of its data."""


def _with(sequence: LandmarkSequence, xyz: np.ndarray) -> LandmarkSequence:
    xyz = xyz.astype(np.float32)
    return replace(sequence, xyz=xyz, confidence=np.where(np.isfinite(xyz[..., 0]), sequence.confidence, 0))
