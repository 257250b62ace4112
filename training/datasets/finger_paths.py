"""finger-paths: paths of an index finger's tip, and shapes of one hand, by 32 recorders (Apache-2.0 and MIT).

Labels are the recorders' own words. Windows of one recording overlap, and where one ends is not known: all that a
recorder made is therefore one take, and may stand on one side of a split only. Shapes are relative to the wrist and
scaled to -1..1, paths relative to their first point; the picture's shape was not recorded.

Some recorders' files hold others' rows: what several recorders have, or hands-static has too, is nobody's own and left
out. A path's frame without a pointing hand was recorded as the picture's corner, (0, 0): such frames are unseen.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks import HAND_21, INDEX_TIP, LandmarkSequence
from training.clip import Clip
from training.datasets import hands_static
from training.datasets.hands_static import without_corner
from training.datasets.holistic import ASSUMED_FPS

SOURCE = "finger-paths"


def load(folder: Path) -> list[Clip]:
    """The paths of FOLDER/finger-paths/paths.npz: 16 frames of INDEX_TIP, shares of the picture."""
    with np.load(folder / SOURCE / "paths.npz", allow_pickle=False) as file:
        paths, labels, recorders = (file[key] for key in ("xy", "label", "recorder"))
    return [
        Clip(
            LandmarkSequence.of(INDEX_TIP, without_corner(path)[:, None], fps=ASSUMED_FPS, aspect=4 / 3),
            str(label),
            recorder,
            f"{SOURCE}/{recorder}",
            SOURCE,
        )
        for path, label, recorder in zip(paths, labels, recorders.tolist(), strict=True)
    ]


def load_shapes(folder: Path) -> list[Clip]:
    """The shapes of FOLDER/finger-paths/hand-shapes.npz: one frame of HAND_21 each, copies left out."""
    with np.load(folder / SOURCE / "hand-shapes.npz", allow_pickle=False) as file:
        shapes, labels, recorders = (file[key] for key in ("xy", "label", "recorder"))
    own = _own(shapes, recorders, hands_static.shapes(folder))
    shapes, labels, recorders = shapes[own], labels[own], recorders[own]
    return [
        Clip(
            LandmarkSequence.of(HAND_21, shape[None], fps=ASSUMED_FPS),
            str(label),
            recorder,
            f"hand-shapes/{recorder}",
            "hand-shapes",
        )
        for shape, label, recorder in zip(shapes, labels, recorders.tolist(), strict=True)
    ]


def _own(
    shapes: NDArray[np.float32], recorders: NDArray[np.integer], elsewhere: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """(N,) which shapes (N, 21, 2) are one recorder's alone and not among those from elsewhere (M, 21, 2)."""
    keys = [row.tobytes() for row in shapes]
    others = {row.tobytes() for row in elsewhere}
    holders: dict[bytes, set[int]] = {}
    for key, recorder in zip(keys, recorders.tolist(), strict=True):
        holders.setdefault(key, set()).add(recorder)
    return np.array([len(holders[key]) == 1 and key not in others for key in keys])
