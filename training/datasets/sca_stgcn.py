"""sca-stgcn: SCA-STGCN's file set, one npz a video and one text that says what some of the frames show.

A line of the text is `video frame label`; frames count from 0, rows of the npz. The author's labels are S signing,
P speaking, n neither, ? unknown. Nobody says who is seen: each video counts as a person of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks import LandmarkSequence
from landmarks.formats import Given, npz
from training import labels
from training.clip import Clip

SOURCE = "sca-stgcn"
FPS = 25.0
"""Taken where a file does not say."""
FRAMES = 25
STRIDE = 5
UNKNOWN = "unknown"
"""Label of a window in which no frame is labelled."""
PERSONS_FROM = 1_000_000

SIGNING: Mapping[str, Sequence[str]] = {"S": ("S",), "other": (labels.REST,)}
"""SCA-STGCN's two classes. Labels are taken as they are spelt: `s` is not `S`."""
THREE: Mapping[str, Sequence[str]] = {"S": ("S",), "P": ("P",), "other": (labels.REST,)}


@dataclass(frozen=True, eq=False)
class Video:
    """One video: name, landmarks, and the frames (L,), growing, that have a label, with those labels."""

    name: str
    sequence: LandmarkSequence
    frames: NDArray[np.intp]
    labels: tuple[str, ...]

    def windows(self, frames: int = FRAMES, stride: int = 1) -> Iterator[tuple[int, str]]:
        """(first frame, label) of every window that lies within the video.

        The label is the one that most of the window's labelled frames have; of several the first in the alphabet.
        """
        for first in range(0, len(self.sequence) - frames + 1, stride):
            inside = slice(*np.searchsorted(self.frames, [first, first + frames]))
            counts = Counter(self.labels[inside])
            yield first, min(counts, key=lambda label: (-counts[label], label)) if counts else UNKNOWN


def read_truth(text: str) -> dict[str, dict[int, str]]:
    """Video -> frame -> label. Raises ValueError, naming the line, for another form or a frame labelled twice."""
    truth: dict[str, dict[int, str]] = {}
    for i, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        if len(words) != 3 or not words[1].isdecimal():
            raise ValueError(f"line {i} of the ground truth must be `video frame label`, got {line.strip()[:80]!r}")
        video, frame, label = words[0], int(words[1]), words[2]
        if truth.setdefault(video, {}).setdefault(frame, label) != label:
            raise ValueError(f"line {i} of the ground truth labels frame {frame} of {video} again, as {label}")
    return truth


def videos(folder: Path) -> list[Video]:
    """The videos of FOLDER/sca-stgcn, which holds *.npz and one *.txt; those without any label are left out.

    Raises ValueError where the text is not there, where it labels no video that is, or a frame behind a video's end.
    """
    texts = sorted((folder / SOURCE).glob("*.txt"))
    if len(texts) != 1:
        raise ValueError(f"{folder / SOURCE} must hold one text of ground truth, it holds {len(texts)}")
    truth = read_truth(texts[0].read_text())
    files = {path.stem: path for path in sorted((folder / SOURCE).glob("*.npz"))}
    if not truth.keys() & files.keys():
        spelt = f"it names {', '.join(sorted(truth)[:3])}; the files are {', '.join(list(files)[:3])}"
        raise ValueError(f"{texts[0].name} labels none of the videos: {spelt}")
    found = []
    for name in sorted(truth.keys() & files.keys()):
        sequence = npz.read(files[name].read_bytes(), Given(fps=FPS))
        frames = sorted(truth[name])
        if frames[-1] >= len(sequence):
            raise ValueError(f"{texts[0].name} labels frame {frames[-1]} of {name}, which has {len(sequence)} frames")
        found.append(Video(name, sequence, np.array(frames, np.intp), tuple(truth[name][frame] for frame in frames)))
    return found


def load(
    folder: Path, classes: Mapping[str, Sequence[str]] | None = SIGNING, frames: int = FRAMES, stride: int = STRIDE
) -> list[Clip]:
    """A clip a window; all of one video are one take.

    classes: class -> labels as the text spells them; the clip's label is its class. None keeps the text's labels.
    Raises labels.EmptyClass and labels.StrayLabel.
    """
    cut = [(i, video, window) for i, video in enumerate(videos(folder)) for window in video.windows(frames, stride)]
    names = tuple(classes or ())
    of = labels.assign(classes, (label for *_, (_, label) in cut)) if classes else {}
    return [
        Clip(
            video.sequence[first : first + frames],
            names[of[label]] if classes else label,
            PERSONS_FROM + i,
            f"{SOURCE}/{video.name}",
            SOURCE,
        )
        for i, video, (first, label) in cut
    ]
