"""Checkpoint files of other projects -> named tensors. Nothing in them is executed."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from models.checkpoint import CheckpointError

_WRAPPERS = ("state_dict", "model_state_dict", "model", "weights", "net")
"""Under one of these, training scripts put the weights beside optimiser and epoch."""


_DEFLATE = 1032
"""No byte of a deflated file can stand for more bytes than this."""


def read(path: Path) -> dict[str, Tensor]:
    """The weights in a file, by the names that they have there, without what is before all of them.

    Reads safetensors, torch's own files (with `weights_only`), Keras' HDF5 (.h5, .hdf5), TensorFlow.js' model.json
    with its shards beside it, and numpy's .npz. Taken off: "module." before all names, the name of a Keras model,
    ":0". Raises CheckpointError.
    """
    if not path.is_file():
        raise CheckpointError(f"there is no file {path}")
    found = _READERS.get(path.suffix.lower(), _torch)(path)
    while found and all(name.startswith("module.") for name in found):
        found = {name.removeprefix("module."): tensor for name, tensor in found.items()}
    if not found:
        raise CheckpointError(f"{path} holds no weights")
    return found


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is not a safetensors file: {error}") from error


def _torch(path: Path) -> dict[str, Tensor]:
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a file that is not its own
        raise CheckpointError(
            f"{path} cannot be read as weights alone, and nothing else is read, since it could run code: {error}. "
            "Save its state dict by itself (torch.save(checkpoint['state_dict'], ...) or safetensors) where it is from."
        ) from error
    while isinstance(saved, Mapping) and not _is_state(saved):
        inner = next((saved[key] for key in _WRAPPERS if isinstance(saved.get(key), Mapping)), None)
        if inner is None:
            break
        saved = inner
    if not _is_state(saved):
        raise CheckpointError(f"{path} holds no state dict, neither itself nor under {', '.join(_WRAPPERS)}")
    return dict(saved)


def _is_state(saved: Any) -> bool:
    return isinstance(saved, Mapping) and bool(saved) and all(isinstance(value, Tensor) for value in saved.values())


def _keras(path: Path) -> dict[str, Tensor]:
    """A Keras model or its weights, saved as HDF5: one group a layer, and in it the layer's weights by their paths."""
    try:
        with h5py.File(path, "r") as file:
            layers = file.get("model_weights", file)
            if not isinstance(layers, h5py.Group):
                raise ValueError("model_weights is no group")
            arrays = dict(_arrays(layers, path.stat().st_size))
        return _named(arrays)
    except Exception as error:  # HDF5 raises many kinds for a broken file
        raise CheckpointError(f"{path} cannot be read as Keras' HDF5: {error}") from error


def _arrays(layers: h5py.Group, file_bytes: int) -> Iterator[tuple[str, NDArray[Any]]]:
    found: list[h5py.Dataset] = []
    # Follows no link out of the file.
    layers.visititems(lambda _, item: found.append(item) if isinstance(item, h5py.Dataset) else None)
    for item in found:
        layer, *inside = str(item.name).removeprefix(str(layers.name)).strip("/").split("/")
        if item.is_virtual or item.external:
            raise ValueError(f"{item.name} lies in another file")
        if item.nbytes > file_bytes * _DEFLATE:
            raise ValueError(f"{item.name} claims {item.nbytes} bytes in a file of {file_bytes}")
        # A layer's group holds paths that begin with the model, with the layer, or with neither.
        yield "/".join(inside if layer in inside else (layer, *inside)), np.asarray(item[()])


def _tensorflow_js(path: Path) -> dict[str, Tensor]:
    """model.json of a layers or graph model, or its list of weights alone; shards are read from beside it only."""
    try:
        model = json.loads(path.read_text(encoding="utf-8"))
        arrays: dict[str, NDArray[Any]] = {}
        for group in model["weightsManifest"] if isinstance(model, Mapping) else model:
            data = b"".join(_shard(path.parent, name) for name in group["paths"])
            for entry in group["weights"]:
                arrays[entry["name"]], data = _cut(entry, data)
            if data:
                raise ValueError(f"{len(data)} bytes too many in {', '.join(group['paths'])}")
        return _named(arrays)
    except Exception as error:  # JSON of any other form fails in as many ways
        reason = f"it has no {error}" if isinstance(error, KeyError) else error
        raise CheckpointError(f"{path} cannot be read as a TensorFlow.js model: {reason}") from error


def _shard(folder: Path, name: str) -> bytes:
    shard = (folder / name).resolve()
    if not shard.is_relative_to(folder.resolve()):
        raise ValueError(f"shard {name} is outside {folder}")
    return shard.read_bytes()


def _cut(entry: Mapping[str, Any], data: bytes) -> tuple[NDArray[Any], bytes]:
    """One weight from the front of the data, and the data after it."""
    quantised = entry.get("quantization") or {}
    kind = quantised.get("dtype", entry["dtype"])
    if kind not in ("float32", "float16", "int32", "uint16", "uint8"):
        raise ValueError(f"{entry['name']} is of type {kind}")
    stored = np.dtype(kind).newbyteorder("<")
    end = math.prod(entry["shape"]) * stored.itemsize
    if min(entry["shape"], default=0) < 0 or end > len(data):
        raise ValueError(f"{entry['name']} {tuple(entry['shape'])} takes {end} bytes, {len(data)} are left")
    values = np.frombuffer(data[:end], stored).reshape(entry["shape"]).astype(np.dtype(kind))
    if "scale" in quantised:
        values = (values * np.float64(quantised["scale"]) + quantised["min"]).astype(np.float32)
    return values, data[end:]


def _npz(path: Path) -> dict[str, Tensor]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return _named({name: file[name] for name in file.files})
    except Exception as error:  # numpy and zipfile raise many kinds for a broken file
        raise CheckpointError(f"{path} cannot be read as numpy's .npz: {error}") from error


def _named(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
    """As tensors, halves and doubles as floats, by names without the model's before all of them and without ":0"."""
    parts = {name.removesuffix(":0"): name for name in arrays}
    while parts and len({name.split("/")[0] for name in parts}) == 1 and all(name.count("/") > 1 for name in parts):
        parts = {name.partition("/")[2]: full for name, full in parts.items()}
    floats = {name: np.issubdtype(array.dtype, np.floating) for name, array in arrays.items()}
    return {
        name: torch.from_numpy(np.array(arrays[full], np.float32 if floats[full] else None, order="C"))
        for name, full in parts.items()
    }


_READERS = {
    ".safetensors": _safetensors,
    ".h5": _keras,
    ".hdf5": _keras,
    ".json": _tensorflow_js,
    ".npz": _npz,
}
"""By the file's suffix; torch's own files have many."""
