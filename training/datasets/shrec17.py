"""shrec17: 14 hand gestures made with one finger or the whole hand, 2,800 takes (De Smedt et al. 2017).

FOLDER/shrec17 is the set as it is handed out: gesture_G/finger_F/subject_S/essai_E/skeletons_world.txt, and
train_gestures.txt and test_gestures.txt, whose rows are gesture, finger, subject, essai, 14-label, 28-label, length.
"""

from __future__ import annotations

from pathlib import Path

from landmarks.formats import Given, shrec
from training.clip import Clip

SOURCE = "shrec17"
FPS = 30.0
PERSONS_FROM = 300
"""Subject 1 is person 301."""
GESTURES = (
    "grab",
    "tap",
    "expand",
    "pinch",
    "rotation clockwise",
    "rotation counter-clockwise",
    "swipe right",
    "swipe left",
    "swipe up",
    "swipe down",
    "swipe x",
    "swipe +",
    "swipe v",
    "shake",
)
"""Gestures 1 to 14; the finger follows in the label of 28 classes, as in `tap, whole hand`."""
FINGERS = ("one finger", "whole hand")


def load(folder: Path) -> list[Clip]:
    """The clips by 14 gestures; which are trained on and which tested says `sides`."""
    return _load(folder, fingers=False)


def load_28(folder: Path) -> list[Clip]:
    """The clips by 28 classes: gesture and finger."""
    return _load(folder, fingers=True)


def sides(folder: Path) -> dict[str, list[str]]:
    """train and test -> takes, by the official lists."""
    return {side: [_take(*row[:4]) for row in _rows(folder, side)] for side in ("train", "test")}


def _load(folder: Path, fingers: bool) -> list[Clip]:
    clips = []
    for side in ("train", "test"):
        for gesture, finger, subject, essai, *_ in _rows(folder, side):
            place = f"gesture_{gesture}/finger_{finger}/subject_{subject}/essai_{essai}/skeletons_world.txt"
            label = GESTURES[gesture - 1] + (f", {FINGERS[finger - 1]}" if fingers else "")
            sequence = shrec.read((folder / SOURCE / place).read_bytes(), Given(fps=FPS))
            take = _take(gesture, finger, subject, essai)
            clips.append(Clip(sequence, label, PERSONS_FROM + subject, take, SOURCE))
    return clips


def _take(gesture: int, finger: int, subject: int, essai: int) -> str:
    return f"{SOURCE}/{gesture}/{finger}/{subject}/{essai}"


def _rows(folder: Path, side: str) -> list[list[int]]:
    text = (folder / SOURCE / f"{side}_gestures.txt").read_text()
    return [[int(word) for word in line.split()] for line in text.splitlines() if line.strip()]
