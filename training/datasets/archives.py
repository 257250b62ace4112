"""archives: what `python -m training convert` makes of pyskl's, mmaction2's and ST-GCN's pickles.

An archive is an npz without pickles. Frames of all samples and persons stand one after another, sample by sample and in
it person by person: `keypoint` (R, V, C), C = 2 or 3, and if known `score` (R, V). A row a sample: `frames`, `persons`,
`label` (-1 for none), `name`, and for pixels `height` and `width` (0 where unknown).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks import COCO_17, HAND_21, NTU_25, OPENPOSE_18, LandmarkSequence, Layout, numbered
from landmarks.kinect import turned
from training.clip import Clip
from training.datasets import ntu

SOURCE = "archives"
FPS = 30.0
"""Archives do not say their rate; NTU's is this."""


class ArchiveError(ValueError):
    """An npz that is no archive."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One recording. keypoint: (M, T, V, C). score: (M, T, V). size: (width, height) of the picture, if known."""

    name: str
    label: int
    keypoint: NDArray[np.floating]
    score: NDArray[np.floating] | None = None
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.keypoint.ndim != 4 or self.keypoint.shape[3] not in (2, 3):
            raise ArchiveError(f"{self.name}: keypoint must be (M, T, V, 2 or 3), got {self.keypoint.shape}")
        if self.score is not None and self.score.shape != self.keypoint.shape[:3]:
            raise ArchiveError(f"{self.name}: score must be {self.keypoint.shape[:3]}, got {self.score.shape}")


def write(path: Path, samples: list[Sample]) -> None:
    """Raises ArchiveError where samples differ in joints or channels, in having scores, or there are none."""
    if not samples:
        raise ArchiveError("there are no samples")
    forms = {(sample.keypoint.shape[2:], sample.score is None) for sample in samples}
    if len(forms) > 1:
        raise ArchiveError(f"samples differ in joints, channels or scores: {sorted(map(str, forms))}")
    arrays = {
        "keypoint": np.concatenate([s.keypoint.reshape(-1, *s.keypoint.shape[2:]) for s in samples]),
        "frames": np.array([s.keypoint.shape[1] for s in samples]),
        "persons": np.array([s.keypoint.shape[0] for s in samples]),
        "label": np.array([s.label for s in samples]),
        "name": np.array([s.name for s in samples]),
        "width": np.array([s.size[0] if s.size else 0 for s in samples]),
        "height": np.array([s.size[1] if s.size else 0 for s in samples]),
    }
    if samples[0].score is not None:
        arrays["score"] = np.concatenate(
            [s.score.reshape(-1, s.score.shape[2]) for s in samples if s.score is not None]
        )
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read(path: Path) -> list[Sample]:
    """The samples of an archive. Raises ArchiveError for what is none."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        counts = arrays["frames"] * arrays["persons"]
        keypoints = np.split(arrays["keypoint"], np.cumsum(counts)[:-1])
        scores = np.split(arrays["score"], np.cumsum(counts)[:-1]) if "score" in arrays else [None] * len(counts)
        rows = zip(
            *(arrays[key].tolist() for key in ("name", "label", "persons", "frames", "width", "height")),
            keypoints,
            scores,
            strict=True,
        )
        return [
            Sample(
                name,
                label,
                points.reshape(people, frames, *points.shape[1:]),
                None if score is None else score.reshape(people, frames, -1),
                (width, height) if width and height else None,
            )
            for name, label, people, frames, width, height, points, score in rows
        ]
    except (OSError, KeyError, ValueError) as error:
        raise ArchiveError(f"{path} is no archive of `python -m training convert`: {error}") from error


def load(folder: Path, people: int = 1) -> list[Clip]:
    """The clips of FOLDER/archives/*.npz, labelled by number, or by NAME.txt beside NAME.npz, a label a line.

    people: 2 gives the second person of a sample, where there is one, as a clip of the same take.
    """
    clips = []
    for path in sorted((folder / SOURCE).glob("*.npz")):
        listed = path.with_suffix(".txt")
        words = listed.read_text().splitlines() if listed.is_file() else None
        for sample in read(path):
            if words and not 0 <= sample.label < len(words):
                raise ArchiveError(f"{listed.name} has {len(words)} labels, {sample.name} is labelled {sample.label}")
            label = words[sample.label].strip() if words else str(sample.label)
            name = ntu.parse(sample.name)
            person = ntu.PERSONS_FROM + name.person if name else 0
            view = name.camera if name else None
            found = [_sequence(sample, i) for i in range(min(people, len(sample.keypoint)))]
            take = f"{path.stem}/{sample.name}"
            clips += [Clip(each, label, person, take, path.stem, view) for each in found if each is not None]
    return clips


def _layout(joints: int, channels: int) -> Layout:
    known = {(25, 3): NTU_25, (17, 2): COCO_17, (18, 2): OPENPOSE_18, (21, 2): HAND_21, (21, 3): HAND_21}
    return known.get((joints, channels)) or numbered(joints)


def _sequence(sample: Sample, person: int) -> LandmarkSequence | None:
    """One person, in a picture's directions; None where no frame shows them."""
    points = sample.keypoint[person].astype(np.float32)  # (T, V, C)
    layout = _layout(points.shape[1], points.shape[2])
    unseen = (points == 0).all(axis=-1)
    if layout is NTU_25:
        points = turned(points)
    aspect = 1.0
    if points.shape[2] == 2 and sample.size is not None:
        points, aspect = points / np.array(sample.size, np.float32), sample.size[0] / sample.size[1]
    points[unseen] = np.nan
    if unseen.all():
        return None
    score = None if sample.score is None else np.clip(sample.score[person], 0, 1)
    return LandmarkSequence.of(layout, points, fps=FPS, confidence=score, aspect=aspect)
