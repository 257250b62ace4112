"""hands-static: the shapes and paths that Kazuhito00 and kinivi ship with their recognisers (Apache-2.0).

Rows of keypoint-a.csv all stand in keypoint-b.csv too, which adds `ok`; only the latter is read. Each file is one
recorder's, and as its rows follow each other it is one take: see finger_paths.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks import HAND_21, INDEX_TIP, LandmarkSequence
from training.clip import Clip
from training.datasets.holistic import ASSUMED_FPS

SOURCE = "hands-static"
SHAPES = ("open", "close", "pointer", "ok")
PATHS = ("stop", "clockwise", "counter clockwise", "move")
RECORDER = 30
_FAR = 0.15
"""Share of the picture that a recorded corner is from every point of the path: a hand is hardly nearer to it."""


def load(folder: Path) -> list[Clip]:
    """The shapes of FOLDER/hands-static/keypoint-b.csv: one frame of HAND_21 each."""
    rows = _rows(folder / SOURCE / "keypoint-b.csv")
    return [
        Clip(
            LandmarkSequence.of(HAND_21, row[1:].reshape(1, 21, 2), fps=ASSUMED_FPS),
            SHAPES[int(row[0])],
            RECORDER,
            f"{SOURCE}/shapes",
            SOURCE,
        )
        for row in rows
    ]


def load_paths(folder: Path) -> list[Clip]:
    """The paths of FOLDER/hands-static/point-history.csv: 16 frames of INDEX_TIP each."""
    rows = _rows(folder / SOURCE / "point-history.csv")
    return [
        Clip(
            LandmarkSequence.of(
                INDEX_TIP, without_corner(row[1:].reshape(16, 2))[:, None], fps=ASSUMED_FPS, aspect=16 / 9
            ),
            PATHS[int(row[0])],
            RECORDER,
            f"{SOURCE}/paths",
            SOURCE,
        )
        for row in rows
    ]


def shapes(folder: Path) -> NDArray[np.float32]:
    """(N, 21, 2) all shapes of FOLDER/hands-static; none where the set is not there."""
    path = folder / SOURCE / "keypoint-b.csv"
    return _rows(path)[:, 1:].reshape(-1, 21, 2) if path.is_file() else np.zeros((0, 21, 2), np.float32)


def without_corner(path: NDArray[np.float32]) -> NDArray[np.float32]:
    """(T, 2) a path relative to its first point, in shares of the picture -> the same, NaN where no hand was seen.

    These recorders write the picture's corner, (0, 0), where no hand points: the same far point, above and to the left
    of all others, again and again.
    """
    corner = path.min(axis=0)
    unseen = (np.abs(path - corner) < 1e-6).all(axis=1)
    if not unseen.any() or unseen.all() or np.linalg.norm(path[~unseen] - corner, axis=1).min() < _FAR:
        return path
    return np.where(unseen[:, None], np.float32(np.nan), path)


def _rows(path: Path) -> NDArray[np.float32]:
    return np.loadtxt(path, delimiter=",", dtype=np.float32, ndmin=2)
