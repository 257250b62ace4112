"""`python -m training convert FILE.pkl OUT.npz`: published pickles -> our archives, which hold none.

Read are pyskl's and mmaction2 1.x's dictionaries of splits and annotations, mmaction2 0.x's bare lists, and the label
files (names, labels) of ST-GCN and those after it beside their data as .npy. This unpickles, and is the only place
that does: a pickle may name any code to be run, so all but numpy's arrays and plain containers are refused unread.
"""

from __future__ import annotations

import argparse
import json
import pickle
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.datasets import archives
from training.datasets.archives import Sample

WARNING = "{} is a pickle: it is unpickled here, with all refused but numpy arrays and plain containers"


class RefusedPickle(ValueError):
    """A pickle that asks for more than arrays and plain containers."""


class UnknownPickle(ValueError):
    """Plain content, but none that we know."""


def _latin(text: str, encoding: str = "latin1") -> bytes:
    """How Python 3 writes bytes into pickles that Python 2 can read."""
    if encoding != "latin1":
        raise RefusedPickle(f"it asks for the codec {encoding!r}")
    return text.encode("latin1")


def _allowed() -> dict[tuple[str, str], Any]:
    reconstruct, _ = np.zeros(1).__reduce__()[:2]  # type: ignore[misc]
    scalar = np.float64(0).__reduce__()[0]  # type: ignore[index]
    frombuffer = np.zeros(1).__reduce_ex__(5)[0]
    known: dict[tuple[str, str], Any] = {("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype}
    for package in ("numpy.core", "numpy._core"):
        known[package + ".multiarray", "_reconstruct"] = reconstruct
        known[package + ".multiarray", "scalar"] = scalar
        known[package + ".numeric", "_frombuffer"] = frombuffer
    for kind in (set, frozenset, bytearray, complex):
        for package in ("builtins", "__builtin__"):
            known[package, kind.__name__] = kind
    known["collections", "OrderedDict"] = OrderedDict
    known["_codecs", "encode"] = _latin
    return known


class _Plain(pickle.Unpickler):
    """Lets through what `_allowed` names."""

    known = _allowed()

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.known:
            raise RefusedPickle(f"it asks for {module}.{name}")
        return self.known[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise RefusedPickle("it asks for objects outside itself")


def unpickle(path: Path) -> Any:
    """The content of a pickle, where it is arrays and plain containers. Raises RefusedPickle for all else."""
    try:
        with path.open("rb") as file:
            return _Plain(file, encoding="latin1").load()
    except RefusedPickle as error:
        raise RefusedPickle(f"{path} is refused: {error}; only numpy arrays and plain containers are read") from error
    except FileNotFoundError:
        raise
    except Exception as error:  # a broken pickle may raise anything
        raise RefusedPickle(f"{path} cannot be unpickled: {error!r}") from error


def samples_of(content: Any) -> tuple[list[Sample], dict[str, list[str]]]:
    """The samples of an unpickled annotation file, and its splits by name. Raises UnknownPickle, ArchiveError."""
    splits: dict[str, list[str]] = {}
    if isinstance(content, Mapping) and "annotations" in content:
        splits = {str(name): [str(one) for one in names] for name, names in content.get("split", {}).items()}
        content = content["annotations"]
    elif isinstance(content, Mapping) and "keypoint" in content:
        content = [content]
    if not isinstance(content, list) or not all(isinstance(a, Mapping) and "keypoint" in a for a in content):
        raise UnknownPickle("it holds neither annotations with keypoints nor, with --data, (names, labels)")
    return [_sample(annotation) for annotation in content], splits


def _sample(annotation: Mapping[str, Any]) -> Sample:
    name = str(annotation.get("frame_dir") or annotation.get("filename") or annotation.get("name") or "")
    if not name:
        raise UnknownPickle("a sample has neither frame_dir nor filename")
    keypoint = np.asarray(annotation["keypoint"])
    score = annotation.get("keypoint_score")
    if keypoint.dtype.kind not in "fiu":
        raise UnknownPickle(f"{name}: keypoint must hold numbers, got {keypoint.dtype}")
    if keypoint.ndim == 3:
        keypoint, score = keypoint[None], None if score is None else np.asarray(score)[None]
    size = annotation.get("img_shape", annotation.get("original_shape"))
    return Sample(
        name,
        int(annotation.get("label", -1)),
        keypoint,
        None if score is None else np.asarray(score),
        (int(size[1]), int(size[0])) if size is not None else None,  # they write height, width
    )


def samples_of_arrays(content: Any, data: NDArray) -> list[Sample]:
    """ST-GCN's form: (names, labels) and data (N, C, T, V, M). Frames and persons that are all zeros are padding.

    Raises UnknownPickle where the two do not fit.
    """
    if not (isinstance(content, list | tuple) and len(content) >= 2 and len(content[0]) == len(content[1])):
        raise UnknownPickle("it must hold (names, labels), equally many")
    names, labels = content[0], content[1]
    if data.ndim != 5 or len(data) != len(names):
        raise UnknownPickle(f"the data must be ({len(names)}, C, T, V, M), got {data.shape}")
    found = []
    for name, label, sample in zip(names, labels, data, strict=True):
        points = np.asarray(sample).transpose(3, 1, 2, 0)  # (M, T, V, C)
        shown = np.flatnonzero(points.any(axis=(0, 2, 3)))
        end = int(shown[-1]) + 1 if len(shown) else 1
        people = points.any(axis=(1, 2, 3))
        found.append(Sample(str(name), int(label), points[people if people.any() else slice(0, 1), :end]))
    return found


def split_files(splits: Mapping[str, list[str]], out: Path) -> dict[Path, dict[str, Any]]:
    """Split files for `xsub_train` and `xsub_val` and the like: OUT.xsub.json; their val is tested on."""
    files: dict[Path, dict[str, Any]] = {}
    for name, videos in splits.items():
        protocol, _, side = name.rpartition("_")
        other = {"train": "train", "val": "test", "test": "test"}.get(side)
        if other is None:
            continue
        path = out.with_suffix(f".{protocol}.json" if protocol else ".split.json")
        empty = {side: {"videos": [], "counts": {}} for side in ("train", "val", "test")}
        content = files.setdefault(path, {"meta": {"protocol": protocol, "apart": ["take"]}, "splits": empty})
        content["splits"][other]["videos"] = sorted(set(videos))
    return files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `python -m training convert`."""
    parser.add_argument("pickle", type=Path, metavar="FILE.pkl", help="annotations, or (names, labels) with --data")
    parser.add_argument("out", type=Path, metavar="OUT.npz", help="archive to write; splits go beside it")
    parser.add_argument("--data", type=Path, metavar="DATA.npy", help="(N, C, T, V, M), for (names, labels)")


def run(options: argparse.Namespace, report: Callable[[str], object]) -> int:
    """Write the archive, and a split file for each protocol in the pickle."""
    report(WARNING.format(options.pickle))
    content = unpickle(options.pickle)
    if options.data is not None:
        data = np.load(options.data, mmap_mode="r", allow_pickle=False)
        samples, splits = samples_of_arrays(content, data), {}
    else:
        samples, splits = samples_of(content)
    archives.write(options.out, samples)
    labels = Counter(sample.label for sample in samples)
    report(f"{len(samples)} samples of {len(labels)} classes, joints {samples[0].keypoint.shape[2:]}")
    report(f"written: {options.out}")
    for path, split in split_files(splits, options.out).items():
        path.write_text(json.dumps(split, indent=1) + "\n")
        report(f"written: {path}")
    return 0
