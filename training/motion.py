"""How fast, where and whether hands are seen: plain measures of raw landmarks, for labels and baselines.

All take xyz (T, V, 3) in square units with NaN where unseen, of a layout with shoulders and hands.
"""

from __future__ import annotations

import functools
import warnings

import numpy as np
from numpy.typing import NDArray

from landmarks import Layout

Points = NDArray[np.float32]


def hand_joints(layout: Layout) -> NDArray[np.bool_]:
    """(V,) the joints of either hand's own landmarks."""
    return np.array([joint.startswith(("left_hand_", "right_hand_")) for joint in layout.joints])


@functools.cache
def sides(layout: Layout) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(V,) the joints of the left hand, and those of the right one."""
    left, right = (np.array([j.startswith(side) for j in layout.joints]) for side in ("left_hand_", "right_hand_"))
    return left, right


def hands_seen(xyz: Points, layout: Layout) -> NDArray[np.bool_]:
    """(T,) frames in which at least one hand is seen."""
    return np.isfinite(xyz[:, hand_joints(layout), 0]).any(axis=1)


def shoulder_width(xyz: Points, layout: Layout) -> float:
    """Mean distance of the shoulders in x and y; 1 where they are never seen."""
    left, right = layout.indices("left_shoulder", "right_shoulder")
    across = np.linalg.norm(xyz[:, left, :2] - xyz[:, right, :2], axis=-1)
    across = across[np.isfinite(across)]
    width = float(across.mean()) if across.size else 0.0
    return width if width > 1e-4 else 1.0


def joint_speeds(xyz: Points, layout: Layout, fps: float) -> NDArray[np.float32]:
    """(T-1, V) speeds in shoulder widths per second, NaN where a joint was not seen in both frames."""
    steps = np.linalg.norm(np.diff(xyz[..., :2], axis=0), axis=-1)
    return (steps * fps / shoulder_width(xyz, layout)).astype(np.float32)


def hand_speed(xyz: Points, layout: Layout, fps: float) -> float:
    """Mean speed of the joints of the faster hand over time, in shoulder widths per second; 0 without hands."""
    speeds = joint_speeds(xyz, layout, fps)
    return max(_mean(speeds[:, side]) for side in sides(layout))


def moving_speed(xyz: Points, layout: Layout, fps: float, around: int) -> NDArray[np.float64]:
    """(T,) of each frame the mean speed of the joints of the faster hand, over `around` frames on either side of it, in
    shoulder widths per second; frames that do not see a hand twice in a row count as still."""
    speeds = joint_speeds(xyz, layout, fps)  # (T-1, V)
    found = []
    for side in sides(layout):
        mine = speeds[:, side]
        known = np.isfinite(mine)
        moved = np.where(known, mine, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        found.append(sum_around(np.concatenate([[0.0], moved]), around))
    return np.maximum(*found) / sum_around(np.ones(len(xyz)), around)


def sum_around(values: NDArray[np.float64], around: int) -> NDArray[np.float64]:
    """(T,) of each value the sum with `around` others on either side, as far as there are."""
    return np.convolve(values, np.ones(2 * around + 1))[around : around + len(values)]


def wrist_energy(xyz: Points, layout: Layout, fps: float) -> float:
    """Mean speed of the faster wrist of the pose, in shoulder widths per second; 0 without a pose."""
    speeds = joint_speeds(xyz, layout, fps)[:, layout.indices("left_wrist", "right_wrist")]
    return max(_mean(speeds[:, side]) for side in (0, 1))


def _mean(values: NDArray[np.float32]) -> float:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        mean = float(np.nanmean(values))
    return mean if np.isfinite(mean) else 0.0
