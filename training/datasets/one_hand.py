"""one-hand: every hand of asl-words, asl-letters and signs by itself, and the letters made with one hand alone.

A clip of two hands becomes two, of HAND_21, whose takes end in /left or /right; frames before a hand is first seen and
after it is last seen are cut off, and a hand seen in fewer than `LEAST` frames is no clip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np

from landmarks import HAND_21, Hand
from training.clip import Clip
from training.datasets import asl_letters, asl_words, signs

LEAST = 3


def load(folder: Path) -> list[Clip]:
    """The hands of FOLDER/asl-words and FOLDER/signs."""
    return hands([*asl_words.load(folder), *asl_letters.load(folder), *signs.load(folder), *signs.load_letters(folder)])


def hands(clips: Sequence[Clip]) -> list[Clip]:
    """Clips of one hand, of clips of bodies."""
    found = []
    for clip in clips:
        for side in get_args(Hand):
            sequence = clip.sequence.pick(HAND_21, side)
            at = np.flatnonzero(sequence.seen.any(axis=1))
            if len(at) >= LEAST:
                sequence = sequence[int(at[0]) : int(at[-1]) + 1]
                found.append(replace(clip, sequence=sequence, take=f"{clip.take}/{side}"))
    return found
