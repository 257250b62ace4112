"""Data sets on disk -> clips; one file a set."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from training.clip import Clip
from training.datasets import (
    archives,
    asl_letters,
    asl_signs,
    asl_words,
    finger_paths,
    hands_static,
    ntu,
    nw_ucla,
    one_hand,
    sca_stgcn,
    sfinge3d,
    shrec17,
    shrec21,
    signs,
    utd_mhad,
)
from training.stream import Stream


class UnknownDataset(ValueError):
    """No data set of that name."""


class DataMissing(FileNotFoundError):
    """The data folder is not there."""


DATASETS: dict[str, Callable[[Path], list[Clip]]] = {
    "archives": archives.load,
    "asl-letters": asl_letters.load,
    "asl-signs": asl_signs.load,
    "asl-words": asl_words.load,
    "finger-paths": finger_paths.load,
    "hand-shapes": finger_paths.load_shapes,
    "hands-static": hands_static.load,
    "hands-static-paths": hands_static.load_paths,
    "ntu": ntu.load,
    "nw-ucla": nw_ucla.load,
    "one-hand": one_hand.load,
    "sca-stgcn": sca_stgcn.load,
    "sfinge3d": sfinge3d.load,
    "shrec17": shrec17.load,
    "shrec17-28": shrec17.load_28,
    "signs": signs.load,
    "utd-mhad": utd_mhad.load,
}
"""Name -> reader of the data folder; the name is also the set's folder in it, except for those in FOLDERS."""

STREAMS: dict[str, Callable[[Path], list[Stream]]] = {"sfinge3d": sfinge3d.streams, "shrec21": shrec21.streams}
"""Sets of streams, likewise."""

FOLDERS = {
    "asl-letters": "asl-words",
    "hand-shapes": "finger-paths",
    "hands-static-paths": "hands-static",
    "one-hand": "signs",
    "shrec17-28": "shrec17",
}


def load(folder: Path, names: tuple[str, ...]) -> list[Clip]:
    """The clips of the named sets.

    folder: holds one folder a set. Raises UnknownDataset, which names those there are, and DataMissing.
    """
    return [clip for name in names for clip in _reader(folder, name, DATASETS)(folder)]


def load_streams(folder: Path, names: tuple[str, ...]) -> list[Stream]:
    """The streams of the named sets. As `load`."""
    return [stream for name in names for stream in _reader(folder, name, STREAMS)(folder)]


Reader = TypeVar("Reader")


def _reader(folder: Path, name: str, readers: dict[str, Reader]) -> Reader:
    if name not in readers:
        raise UnknownDataset(f"no data set {name!r}; choose from {', '.join(sorted(readers))}")
    place = folder / FOLDERS.get(name, name)
    if not place.is_dir():
        raise DataMissing(f"{place} is not there; say where the data is with --set data.folder=FOLDER")
    return readers[name]
