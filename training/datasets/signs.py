"""signs: small sets of words and signals, one person each (nine MIT repositories)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.clip import Clip
from training.datasets.holistic import sequence

SOURCES = (
    "words-isl",
    "words-asl",
    "referee-signals",
    "phrases-a",
    "phrases-b",
    "phrases-c",
    "phrases-d",
    "phrases-e",
)
"""All but LETTERS, which has no pose."""
LETTERS = "letters-one-hand"


def load(folder: Path) -> list[Clip]:
    """The clips of FOLDER/signs/*.npz; a take is the clip's place in its file."""
    return _read(folder, SOURCES)


def load_letters(folder: Path) -> list[Clip]:
    """The clips of FOLDER/signs/letters-one-hand.npz: one hand, in the right one's place, and no pose."""
    return _read(folder, (LETTERS,))


def _read(folder: Path, sources: tuple[str, ...]) -> list[Clip]:
    clips = []
    for source in sources:
        with np.load(folder / "signs" / f"{source}.npz", allow_pickle=False) as file:
            values, labels, persons = (file[key] for key in ("xyz", "label", "signer"))
        clips += [
            Clip(sequence(frames), str(label), int(person), f"{source}/{person}/{label}/{i}", source)
            for i, (frames, label, person) in enumerate(zip(values, labels, persons, strict=True))
        ]
    return clips
