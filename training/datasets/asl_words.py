"""asl-words: ASL words and some letters by two signers (traduttore-model, MIT)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.clip import Clip
from training.datasets.holistic import WIDE, sequence

SOURCE = "asl-words"


def load(folder: Path) -> list[Clip]:
    """The clips of FOLDER/asl-words/words.npz, persons 1 and 2."""
    with np.load(folder / SOURCE / "words.npz", allow_pickle=False) as file:
        values, labels, persons, takes = (file[key] for key in ("xyz", "label", "signer", "take"))
    return [
        Clip(sequence(frames, WIDE), str(label), int(person), f"{SOURCE}/{person}/{label}/{take}", SOURCE)
        for frames, label, person, take in zip(values, labels, persons, takes, strict=True)
    ]
