"""hands-static: the shapes and paths that Kazuhito00 and kinivi ship with their recognisers (Apache-2.0).

Rows of keypoint-a.csv all stand in keypoint-b.csv too, which adds `ok`; only the latter is read. Each file is one
recorder's, and as its rows follow each other it is one take: see finger_paths.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from landmarks import HAND_21, INDEX_TIP, LandmarkSequence
from training.clip import Clip
from training.datasets.holistic import ASSUMED_FPS

SOURCE = "hands-static"
SHAPES = ("open", "close", "pointer", "ok")
PATHS = ("stop", "clockwise", "counter clockwise", "move")
RECORDER = 30


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
            LandmarkSequence.of(INDEX_TIP, row[1:].reshape(16, 1, 2), fps=ASSUMED_FPS, aspect=16 / 9),
            PATHS[int(row[0])],
            RECORDER,
            f"{SOURCE}/paths",
            SOURCE,
        )
        for row in rows
    ]


def _rows(path: Path) -> np.ndarray:
    return np.loadtxt(path, delimiter=",", dtype=np.float32, ndmin=2)
