"""signs: small sets of words and signals, one person each (nine MIT repositories)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from training.clip import Clip
from training.datasets.holistic import NARROW, WIDE, sequence

ASPECTS = {
    "words-isl": NARROW,
    "words-asl": NARROW,
    "referee-signals": WIDE,
    "phrases-a": NARROW,
    "phrases-b": NARROW,
    "phrases-c": WIDE,
    "phrases-d": WIDE,
    "phrases-e": NARROW,
}
"""Set -> its pictures' width by height, as its faces tell; all but LETTERS, which has no pose."""
LETTERS = "letters-one-hand"
"""Its pictures were square, as its palms tell: their lengths vary least over all ways to hold them with about 0.9."""


def load(folder: Path) -> list[Clip]:
    """The clips of FOLDER/signs/*.npz; a take is the clip's place in its file."""
    return _read(folder, ASPECTS)


def load_letters(folder: Path) -> list[Clip]:
    """The clips of FOLDER/signs/letters-one-hand.npz: one hand, in the right one's place, and no pose."""
    return _read(folder, {LETTERS: 1.0})


def _read(folder: Path, aspects: Mapping[str, float]) -> list[Clip]:
    clips = []
    for source, aspect in aspects.items():
        with np.load(folder / "signs" / f"{source}.npz", allow_pickle=False) as file:
            values, labels, persons = (file[key] for key in ("xyz", "label", "signer"))
        clips += [
            Clip(sequence(frames, aspect), str(label), int(person), f"{source}/{person}/{label}/{i}", source)
            for i, (frames, label, person) in enumerate(zip(values, labels, persons, strict=True))
        ]
    return clips
