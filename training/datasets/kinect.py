"""Skeletons as Kinect v1 gives them, of many takes one after another -> landmark sequences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks import KINECT_20, LandmarkSequence, Layout
from landmarks.kinect import turned

FPS = 30.0


def read(path: Path, order: Layout = KINECT_20) -> tuple[list[LandmarkSequence], dict[str, NDArray]]:
    """The takes of an npz, and its other arrays, a row a take.

    The npz holds `joints` (all frames, 20, 3) in metres of Kinect's camera space and `length` (N,). order: of its
    joints. The sequences are of KINECT_20, in a picture's directions; a joint at exactly 0, 0, 0 was not seen.
    """
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    joints = turned(arrays.pop("joints").astype(np.float32))
    joints = np.where((joints == 0).all(axis=-1, keepdims=True), np.nan, joints)[:, order.indices(*KINECT_20.joints)]
    ends = np.cumsum(arrays.pop("length"))
    takes = np.split(joints, ends[:-1])
    return [LandmarkSequence.of(KINECT_20, take, fps=FPS) for take in takes], arrays
