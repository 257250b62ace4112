"""Data sets on disk -> clips; one file a set."""

from collections.abc import Callable
from pathlib import Path

from training.clip import Clip
from training.datasets import asl_words, signs


class UnknownDataset(ValueError):
    """No data set of that name."""


class DataMissing(FileNotFoundError):
    """The data folder is not there."""


DATASETS: dict[str, Callable[[Path], list[Clip]]] = {"asl-words": asl_words.load, "signs": signs.load}
"""Name -> reader of the data folder; the name is also the set's folder in it."""


def load(folder: Path, names: tuple[str, ...]) -> list[Clip]:
    """The clips of the named sets.

    folder: holds one folder a set. Raises UnknownDataset, which names those there are, and DataMissing.
    """
    clips: list[Clip] = []
    for name in names:
        if name not in DATASETS:
            raise UnknownDataset(f"no data set {name!r}; choose from {', '.join(sorted(DATASETS))}")
        if not (folder / name).is_dir():
            raise DataMissing(f"{folder / name} is not there; say where the data is with --set data.folder=FOLDER")
        clips += DATASETS[name](folder)
    return clips
