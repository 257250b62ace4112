"""Checkpoint files of other projects -> named tensors. Nothing in them is executed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from models.checkpoint import CheckpointError

_WRAPPERS = ("state_dict", "model_state_dict", "model", "weights", "net")
"""Under one of these, training scripts put the weights beside optimiser and epoch."""


def read(path: Path) -> dict[str, Tensor]:
    """The weights in a file, by the names that they have there; a "module." before all of them is taken off.

    Reads safetensors and torch's own files (with `weights_only`). Raises CheckpointError.
    """
    if not path.is_file():
        raise CheckpointError(f"there is no file {path}")
    found = _safetensors(path) if path.suffix == ".safetensors" else _torch(path)
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
