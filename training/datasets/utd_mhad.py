"""utd-mhad: 27 actions of eight subjects before one Kinect (Chen et al. 2015). Odd subjects train, even ones test."""

from __future__ import annotations

from pathlib import Path

from landmarks import KINECT_20, Layout
from training.clip import Clip
from training.datasets import kinect

SOURCE = "utd-mhad"
PERSONS_FROM = 200
"""Subject 1 is person 201."""
ORDER = Layout("utd_mhad", ("head", "spine_shoulder", "spine_mid", "spine_base", *KINECT_20.joints[4:]), ())
"""The files' joints: as Kinect's, but for a trunk from the head down."""
ACTIONS = (
    "swipe left",
    "swipe right",
    "wave",
    "clap",
    "throw",
    "cross arms",
    "basketball shoot",
    "draw x",
    "draw circle clockwise",
    "draw circle counter-clockwise",
    "draw triangle",
    "bowling",
    "boxing",
    "baseball swing",
    "tennis swing",
    "arm curl",
    "tennis serve",
    "push",
    "knock",
    "catch",
    "pick up and throw",
    "jog",
    "walk",
    "sit to stand",
    "stand to sit",
    "lunge",
    "squat",
)
"""Actions 1 to 27; swipes, throws and drawings are the right arm's."""


def load(folder: Path) -> list[Clip]:
    """The clips of FOLDER/utd-mhad/skeletons.npz."""
    sequences, about = kinect.read(folder / SOURCE / "skeletons.npz", ORDER)
    rows = zip(sequences, *(about[key].tolist() for key in ("action", "subject", "take")), strict=True)
    return [
        Clip(sequence, ACTIONS[action - 1], PERSONS_FROM + subject, f"{SOURCE}/{action}/{subject}/{take}", SOURCE)
        for sequence, action, subject, take in rows
    ]
