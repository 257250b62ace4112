"""sfinge3d: gestures of one hand over a Leap Motion, cut out and in streams (Caputo et al. 2020, "please cite").

Nobody says who performs: person 0. Positions are the sensor's, along its axes; the turns of the joints are not read.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks import SHREC_20, LandmarkSequence
from training.clip import Clip
from training.stream import Event, Stream

SOURCE = "sfinge3d"
FPS = 20.0
GESTURES = (
    "one",
    "two",
    "three",
    "four",
    "ok",
    "pinch",
    "grab",
    "expand",
    "tap",
    "swipe left",
    "swipe right",
    "v",
    "o",
)
"""Labels 1 to 13."""


def load(folder: Path) -> list[Clip]:
    """The gestures of FOLDER/sfinge3d/gestures.npz, 36 of each kind."""
    sequences, about = _read(folder / SOURCE / "gestures.npz")
    return [
        Clip(sequence, GESTURES[label - 1], 0, f"{SOURCE}/{label}/{take}", SOURCE)
        for sequence, label, take in zip(sequences, about["label"].tolist(), about["take"].tolist(), strict=True)
    ]


def streams(folder: Path) -> list[Stream]:
    """The streams of FOLDER/sfinge3d/streams.npz, 36 of some ten to thirty seconds, with their gestures."""
    sequences, about = _read(folder / SOURCE / "streams.npz")
    found = []
    for sequence, stream in zip(sequences, about["stream"].tolist(), strict=True):
        rows = about["events"][about["events"][:, 0] == stream][:, 1:].tolist()
        events = (Event(GESTURES[label - 1], first / FPS, last / FPS) for label, first, last in rows)
        ordered = tuple(sorted(events, key=lambda event: event.start_s))
        found.append(Stream(sequence, "", 0, f"{SOURCE}/stream/{stream}", SOURCE, events=ordered))
    return found


def _read(path: Path) -> tuple[list[LandmarkSequence], dict[str, NDArray]]:
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    takes = np.split(arrays["joints"][..., :3], np.cumsum(arrays["length"])[:-1])
    return [LandmarkSequence.of(SHREC_20, take, fps=FPS) for take in takes], arrays
