"""What a user gives an export to be tried on: landmark files, and labelled windows."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks import Manifest, cut_whole, formats

Clips = NDArray[np.float32]
MOST_REAL = 64
"""Windows of one file that are compared, spread over it."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """N windows and their labels' positions: landmarks (N, T, V, 3) in square units, truth (N,)."""

    landmarks: Clips
    truth: NDArray[np.intp]


class NotLabelled(ValueError):
    """A file that holds no labelled windows."""


def labelled(path: Path) -> Labelled:
    """As `python -m training windows` writes them: `landmarks` and `truth` in an .npz. Raises NotLabelled.

    Nothing in the file is executed.
    """
    try:
        with np.load(path, allow_pickle=False) as saved:
            found = Labelled(saved["landmarks"].astype(np.float32), saved["truth"].astype(np.intp))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise NotLabelled(f"{path} holds no labelled windows: {error}") from error
    shape, truth = found.landmarks.shape, found.truth.shape
    if len(shape) != 4 or shape[3] != 3 or truth != shape[:1] or not len(found.truth):
        raise NotLabelled(f"{path}: need landmarks (N, T, V, 3) and truth (N,), got {shape} and {truth}")
    return found


def real(files: Sequence[Path], manifest: Manifest) -> Iterator[tuple[str, Clips]]:
    """Of each landmark file its name, and what a service would put to the model: windows (B, T, V, 3), or each run of
    frames as a stream (1, T, V, 3); nothing where it rests. Raises LandmarkError for what is no landmark file.
    """
    for path in files:
        cuts = [cut for cut in cut_whole(manifest, formats.read(path.read_bytes())) if not cut.rests]
        if not cuts:
            continue
        if manifest.form == "window":
            chosen = np.linspace(0, len(cuts) - 1, min(len(cuts), MOST_REAL)).astype(int)
            yield path.name, np.stack([cuts[i].landmarks for i in chosen])
            continue
        begins = [i for i, cut in enumerate(cuts) if cut.fresh]
        for first, after in zip(begins, [*begins[1:], len(cuts)], strict=True):
            # A run's first window brings all of its frames, each other one its newest.
            newest = [cut.landmarks[-1] for cut in cuts[first + 1 : after]]
            yield path.name, np.stack([*cuts[first].landmarks, *newest])[None]
