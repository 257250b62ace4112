"""asl-letters: the ASL alphabet in motion, `none` and `space`, by two signers (traduttore-model, MIT); hands only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks import HOLISTIC_75, LandmarkSequence
from training.clip import Clip
from training.datasets.holistic import ASSUMED_FPS, WIDE

SOURCE = "asl-letters"


def load(folder: Path) -> list[Clip]:
    """The clips of FOLDER/asl-words/letters.npz, persons 1 and 2; a take is the clip's place in the file."""
    with np.load(folder / "asl-words" / "letters.npz", allow_pickle=False) as file:
        values, labels, persons = (file[key] for key in ("hands", "label", "signer"))
    return [
        Clip(_sequence(frames), str(label), int(person), f"{SOURCE}/{person}/{label}/{i}", SOURCE)
        for i, (frames, label, person) in enumerate(zip(values, labels, persons, strict=True))
    ]


def _sequence(values: NDArray[np.floating]) -> LandmarkSequence:
    """(T, 126) left hand 21 x 3, right hand 21 x 3, zeros where not detected -> HOLISTIC_75 without a pose.

    Without the first frame, which belongs to the take before: see training.datasets.holistic.
    """
    hands = values[1:].astype(np.float32).reshape(-1, 2, 21, 3)  # (T, 2, 21, 3)
    hands = np.where((hands == 0).all(axis=(2, 3), keepdims=True), np.nan, hands)
    pose = np.full((len(hands), 33, 3), np.nan, np.float32)
    xyz = np.concatenate([pose, hands[:, 0], hands[:, 1]], axis=1)  # (T, 75, 3)
    return LandmarkSequence.of(HOLISTIC_75, xyz, fps=ASSUMED_FPS, aspect=WIDE)
