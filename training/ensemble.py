"""Several streams' answers as one, and files of answers that other code reads and writes.

**Known of the files.** pyskl and mmaction2 0.x write `result.pkl`: a pickled list, one (K,) numpy vector a sample, in
the order of the data set; raw logits from mmaction2 0.x, probabilities (means over clips) from pyskl. Dumps of
mmaction2 1.x hold torch tensors in dicts instead and are refused.
**Assumed.** How DSTA-SLR writes its answers was not to be read; taken is the form of the code it descends from
(2s-AGCN): a pickled dict of sample name -> (K,) vector of logits. A list of (name, vector) pairs is read too.

A pickle can run anything. `read` lets it name numpy's arrays, data types and numbers, and nothing else.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating]
GRID = tuple(round(0.1 * step, 1) for step in range(21))
"""Weights that `search` tries for each stream."""

PUBLISHED: dict[str, tuple[float, ...]] = {
    "pyskl two": (1.0, 1.0),
    "pyskl four": (2.0, 2.0, 1.0, 1.0),
    "dsta_slr WLASL2000": (1.7, 0.8, 0.5, 0.5),
    "dsta_slr WLASL1000": (1.5, 0.6, 0.5, 0.1),
    "dsta_slr WLASL300": (1.5, 0.7, 0.4, 0.4),
    "dsta_slr WLASL100": (1.7, 1.2, 0.2, 0.3),
    "dsta_slr SLR500": (1.3, 1.3, 0.8, 1.0),
    "dsta_slr AUTSL": (1.8, 0.5, 0.1, 0.7),
    "dsta_slr MSASL1000": (1.5, 0.6, 0.3, 0.8),
    "dsta_slr MSASL500": (1.6, 1.2, 0.6, 0.9),
    "dsta_slr MSASL200": (1.7, 0.5, 0.4, 0.6),
    "dsta_slr MSASL100": (1.9, 1.4, 0.3, 0.4),
}
"""Weights of joint, bone, joint motion and bone motion. DSTA-SLR's were searched with the labels of the set that they
were reported on: use them to compare with its figures, not to make new ones."""


class ResultError(ValueError):
    """A file that holds no answers, or anything beside them."""


def combine(streams: Sequence[Scores], weights: Sequence[float]) -> Scores:
    """Weighted mean of S streams' (N, K) logits, or of their probabilities; all of one kind.

    Raises ValueError for streams of other shapes and for weights that are negative, all 0 or of another number.
    """
    if not streams or len(weights) != len(streams):
        raise ValueError(f"need a weight a stream, got {len(weights)} for {len(streams)}")
    if min(weights) < 0 or not sum(weights) > 0:
        raise ValueError(f"weights are at least 0 and not all 0, got {tuple(weights)}")
    if len({stream.shape for stream in streams}) != 1:
        raise ValueError(f"streams differ in shape: {', '.join(str(stream.shape) for stream in streams)}")
    mixed = sum(weight * np.asarray(stream, np.float64) for weight, stream in zip(weights, streams, strict=True))
    return np.asarray(mixed) / sum(weights)


@dataclass(frozen=True)
class Mixture:
    """Weights that were searched, and how far they got on the validation data that they were searched on.

    weights: one a stream. accuracy: theirs. equal: that of equal weights. alone: that of each stream.
    """

    weights: tuple[float, ...]
    accuracy: float
    equal: float
    alone: tuple[float, ...]


def search(
    validation: Sequence[Scores],
    truth: NDArray[np.intp],
    kind: Literal["logits", "probabilities"] = "logits",
    grid: Sequence[float] = GRID,
) -> Mixture:
    """The weights that answer VALIDATION data best: accuracy first, then the mean log-likelihood of the truth.

    Never give it what is tested on: weights found there report a figure that nobody gets again. Each weight in turn
    takes the best value of the grid while the others stand, from equal weights and from each stream alone, until
    nothing improves; deterministic, and never worse than any of these starts.

    validation: S of (N, K). truth: (N,).
    """
    truth = np.asarray(truth)
    if not len(truth) or any(len(stream) != len(truth) for stream in validation):
        raise ValueError(f"need one truth a sample, got {len(truth)} for {[len(stream) for stream in validation]}")
    if max(grid) <= 0 or min(grid) < 0:
        raise ValueError(f"grid holds weights of at least 0, not all 0, got {tuple(grid)}")

    def worth(weights: tuple[float, ...]) -> tuple[float, float]:
        mixed = combine(validation, weights)
        if kind == "logits":
            mixed = mixed - mixed.max(axis=1, keepdims=True)
            likely = mixed - np.log(np.exp(mixed).sum(axis=1, keepdims=True))
        else:
            likely = np.log(np.maximum(mixed, 1e-12))
        right = float((mixed.argmax(axis=1) == truth).mean())
        # Rounded, so that the same mixture at another scale is no improvement.
        return right, round(float(likely[np.arange(len(truth)), truth].mean()), 9)

    streams = len(validation)
    equal = (1.0,) * streams
    alone = [tuple(float(i == j) for j in range(streams)) for i in range(streams)]
    best = max((_climb(start, worth, grid) for start in (equal, *alone)), key=worth)
    return Mixture(best, worth(best)[0], worth(equal)[0], tuple(worth(one)[0] for one in alone))


def _climb(
    weights: tuple[float, ...], worth: Callable[[tuple[float, ...]], tuple[float, float]], grid: Sequence[float]
) -> tuple[float, ...]:
    reached = worth(weights)
    while True:
        before = reached
        for stream in range(len(weights)):
            for value in grid:
                tried = (*weights[:stream], float(value), *weights[stream + 1 :])
                if sum(tried) > 0 and (found := worth(tried)) > reached:
                    weights, reached = tried, found
        if reached == before:
            return weights


@dataclass(frozen=True, eq=False)
class Result:
    """Answers to N samples.

    scores: (N, K) logits or probabilities. names: of the samples, or () where none are known.
    """

    scores: Scores
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.scores.ndim != 2 or (self.names and len(self.names) != len(self.scores)):
            raise ValueError(f"need (N, K) scores and N names or none, got {self.scores.shape} and {len(self.names)}")

    def ordered(self, names: Sequence[str]) -> Scores:
        """(N, K) in the order of these names. Raises ResultError, which names those that are missing."""
        place = {name: i for i, name in enumerate(self.names)}
        if missing := [name for name in names if name not in place]:
            raise ResultError(f"no answer to {', '.join(missing[:5])} ({len(missing)} of {len(names)} samples)")
        return self.scores[[place[name] for name in names]]


def unpickle(path: Path) -> Any:
    """What a pickle of numbers, text and plain containers holds. Raises ResultError for anything else, unrun."""
    try:
        with path.open("rb") as file:
            return _Numbers(file).load()
    except ResultError as error:
        raise ResultError(f"{path}: {error}") from error
    except (pickle.UnpicklingError, EOFError, AttributeError, TypeError, ValueError, IndexError, KeyError) as error:
        raise ResultError(f"{path} is no pickle of answers: {error}") from error


def read(path: Path) -> Result:
    """Answers as pyskl, mmaction2 0.x or DSTA-SLR pickle them; several clips of a sample, (clips, K), are averaged.

    Raises ResultError for anything else.
    """
    names, vectors = _parts(unpickle(path))
    try:
        scores = np.stack([np.atleast_2d(np.asarray(vector, np.float64)).mean(axis=0) for vector in vectors])
    except (TypeError, ValueError) as error:
        raise ResultError(f"{path}: need one vector of numbers a sample, all of one length: {error}") from error
    if scores.ndim != 2:
        raise ResultError(f"{path}: need one vector of numbers a sample, got the shape {scores.shape[1:]}")
    return Result(scores, names)


def _parts(content: Any) -> tuple[tuple[str, ...], list[Any]]:
    if isinstance(content, Mapping):
        content = list(content.items())
    if not isinstance(content, list | tuple | np.ndarray) or not len(content):
        raise ResultError(f"need a list or a dict of vectors, got {type(content).__name__}")
    if all(isinstance(part, list | tuple) and len(part) == 2 and isinstance(part[0], str) for part in content):
        names, vectors = zip(*content, strict=True)
        return names, list(vectors)
    return (), list(content)


def write(path: Path, result: Result, form: Literal["pyskl", "dsta_slr"] = "pyskl") -> None:
    """Pickle answers: `pyskl` as a list of float32 vectors, `dsta_slr` as a dict by name.

    Raises ValueError without names that the form needs.
    """
    vectors = [np.array(row, np.float32) for row in result.scores]
    if form == "dsta_slr" and len(set(result.names)) != len(vectors):
        raise ValueError(f"dsta_slr files answers by name: need {len(vectors)} different names, got {result.names[:3]}")
    content = dict(zip(result.names, vectors, strict=True)) if form == "dsta_slr" else vectors
    with path.open("wb") as file:
        pickle.dump(content, file, protocol=4)


def _latin1(text: str, encoding: str) -> bytes:
    """What old protocols write for bytes."""
    return text.encode("latin1")


_ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy.core.numeric", "_frombuffer"),
}


class _Numbers(pickle.Unpickler):
    """Reads numbers, strings, lists, dicts and numpy arrays."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):
            return _latin1
        module = module.replace("numpy._core", "numpy.core")  # numpy 2's name of the same
        if (module, name) not in _ALLOWED:
            raise ResultError(
                f"it names {module}.{name}; answers are numbers and numpy arrays, and nothing else is read"
            )
        return super().find_class(module, name)
