"""Frames of 258 numbers, as webcam loops around MediaPipe Holistic save them -> landmark sequences.

A frame is pose 33 x (x, y, z, visibility), left hand 21 x (x, y, z), right hand 21 x (x, y, z); a part that was
not detected is all zeros. Neither rate nor picture size was recorded: these loops run at about 10 to 30 frames/s.

A face tells how wide a picture was: in videos of known size its ears are 1.7 to 2.0 times as far from each other as its
mouth is from its eyes. Counted in shares of the picture's width and height that is 1.3 to 1.4 in some of these sets,
whose pictures were NARROW, and 1.0 to 1.1 in the others, whose pictures were WIDE.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from landmarks import HOLISTIC_75, LandmarkSequence

ASSUMED_FPS = 15.0
NARROW, WIDE = 640 / 480, 1280 / 720
"""Aspects of webcam pictures."""
_POSE = 33 * 4


def sequence(values: NDArray[np.floating], aspect: float) -> LandmarkSequence:
    """(T, 258) of a picture of this aspect -> a sequence of HOLISTIC_75 without the take's first frame.

    The loops grab that frame before the pause in which the person gets ready: from it to the second frame a wrist
    moves 5 to 20 times as far as in any later step, in all sets here. It belongs to the take before.
    """
    values = np.asarray(values[1:], dtype=np.float32)
    pose = values[:, :_POSE].reshape(-1, 33, 4)  # (T, 33, 4)
    hands = values[:, _POSE:].reshape(-1, 2, 21, 3)  # (T, 2, 21, 3)
    pose = np.where((pose == 0).all(axis=(1, 2), keepdims=True), np.nan, pose)
    hands = np.where((hands == 0).all(axis=(2, 3), keepdims=True), np.nan, hands)
    xyz = np.concatenate([pose[..., :3], hands[:, 0], hands[:, 1]], axis=1)  # (T, 75, 3)
    sure = np.concatenate([pose[..., 3], np.ones((len(values), 42), dtype=np.float32)], axis=1)  # (T, 75)
    return LandmarkSequence.of(HOLISTIC_75, xyz, fps=ASSUMED_FPS, confidence=sure, aspect=aspect)
