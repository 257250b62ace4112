"""MediaPipe Holistic's three parts <-> the 75 joints of one frame or of many.

A part is pose (..., 33, x y z visibility), left or right hand (..., 21, x y z). Fewer channels are allowed:
without z it is 0, without visibility it is 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from landmarks.errors import FormatError
from landmarks.layout import HAND_21, HOLISTIC_75, POSE_33

PARTS = {
    "pose": slice(0, len(POSE_33)),
    "left_hand": slice(len(POSE_33), len(POSE_33) + len(HAND_21)),
    "right_hand": slice(len(POSE_33) + len(HAND_21), len(HOLISTIC_75)),
}
"""Where each part's joints stand in HOLISTIC_75."""


_SINGLE = np.dtype(np.float32)
_NOTHING = np.full((len(HOLISTIC_75), 3), np.nan, np.float32)

MAX_FRAMES = 100_000
"""Most frames that one sequence may hold: near an hour at 30 a second."""


def unseen(frames: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """xyz (T, 75, 3) of NaN and confidence (T, 75) of 0: nothing seen yet.

    Raises FormatError for more than MAX_FRAMES.
    """
    if frames > MAX_FRAMES:
        raise FormatError(f"{frames} frames are over the limit of {MAX_FRAMES}")
    joints = len(HOLISTIC_75)
    return np.full((frames, joints, 3), np.nan, np.float32), np.zeros((frames, joints), np.float32)


def place(part: str, points: NDArray[np.floating], xyz: NDArray[np.float32], confidence: NDArray[np.float32]) -> None:
    """Write one part (..., n, 2 to 4) into xyz (..., 75, 3) and confidence (..., 75).

    A point with NaN or infinity was not seen; nor was a part that is all zeros, as many recorders write it.
    Raises FormatError where the number of points or channels is not the part's.
    """
    _write(part, points, xyz)
    where = PARTS[part]
    confidence[..., where] = np.where(np.isnan(xyz[..., where, 0]), 0.0, _sure(points))


def _write(part: str, points: NDArray[np.floating], xyz: NDArray[np.float32]) -> None:
    """As `place`, but for the confidence."""
    where = PARTS[part]
    expected, channels = where.stop - where.start, points.shape[-1] if points.ndim > 1 else 0
    if not 2 <= channels <= 4 or points.shape[-2] != expected:
        raise FormatError(f"{part} needs {expected} points of 2 to 4 numbers, got an array of shape {points.shape}")
    if points.dtype != _SINGLE:
        with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, which is: not seen
            points = points.astype(_SINGLE)
    target = xyz[..., where, :]
    if channels == 2:
        target[..., :2], target[..., 2] = points, 0.0
    else:
        target[...] = points[..., :3]
    if not (points.item(0) if points.ndim == 2 else points[..., 0, 0].all()):  # only then it can be all zeros
        target[~target.any(axis=(-2, -1))] = np.nan
    if not math.isfinite(np.vdot(points, points)):  # only then one can be unseen
        target[~np.isfinite(target).all(axis=-1)] = np.nan


def _sure(points: NDArray[np.floating]) -> NDArray[np.floating] | float:
    """(..., n) visibility of points, 0 to 1; 1 where they have none."""
    return np.fmin(np.fmax(points[..., 3], 0.0), 1.0) if points.shape[-1] == 4 else 1.0  # fmax makes 0 of NaN


def put(
    joints: Sequence[str],
    points: NDArray[np.floating],
    sure: NDArray[np.floating],
    xyz: NDArray[np.float32],
    confidence: NDArray[np.float32],
) -> None:
    """Write named joints, points (..., n, 2 or 3) and sure (..., n), into xyz (..., 75, 3) and confidence (..., 75).

    Names that HOLISTIC_75 lacks are left out. A point of confidence 0, NaN or infinity was not seen; without z it is 0.
    """
    ours = [i for i, joint in enumerate(joints) if joint in HOLISTIC_75]
    where = HOLISTIC_75.indices(*(joints[i] for i in ours))
    target = np.zeros((*points.shape[:-2], len(ours), 3), np.float32)
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, which is: not seen
        target[..., : points.shape[-1]] = points[..., ours, :]
        trust = np.clip(np.nan_to_num(sure[..., ours].astype(np.float32)), 0, 1)
    seen = np.isfinite(target).all(axis=-1) & (trust > 0)
    target[~seen] = np.nan
    xyz[..., where, :] = target
    confidence[..., where] = np.where(seen, trust, 0.0)


def body(**parts: ArrayLike | None) -> NDArray[np.float32]:
    """xyz (75, 3) of one frame from its parts by name; a part left out or None is unseen."""
    xyz = _NOTHING.copy()
    for part, points in parts.items():
        if points is not None:
            _write(part, np.asarray(points), xyz)
    return xyz


def frame(**parts: ArrayLike | None) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """xyz (75, 3) and confidence (75,) of one frame, as `body`."""
    xyz, confidence = body(**parts), np.zeros(len(HOLISTIC_75), np.float32)
    for part, points in parts.items():
        if points is not None:
            confidence[PARTS[part]] = _sure(np.asarray(points))
    confidence[np.isnan(xyz[:, 0])] = 0.0
    return xyz, confidence


def split(xyz: NDArray[np.float32], confidence: NDArray[np.float32]) -> dict[str, NDArray[np.float32] | None]:
    """One frame xyz (75, 3), confidence (75,) -> parts by name: pose (33, 4), hands (21, 3); None where unseen."""
    parts: dict[str, NDArray[np.float32] | None] = {}
    for part, where in PARTS.items():
        points = xyz[where]
        if np.isnan(points).all():
            parts[part] = None
        elif part == "pose":
            parts[part] = np.concatenate([points, confidence[where, None]], axis=-1)
        else:
            parts[part] = points
    return parts
