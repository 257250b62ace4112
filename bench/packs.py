"""Parity packs: a published network in numbers. Weights and inputs are formulas, outputs are values.

The format is `skeleton-parity-1`; a pack says it in words under "formula".
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORMAT = "skeleton-parity-1"
Array = NDArray[Any]


class PackError(ValueError):
    """A folder that holds no parity pack."""


@dataclass(frozen=True, eq=False)
class Pack:
    """One published network.

    about: the whole pack.json. state: name -> weights, in the published names and order.
    inputs, outputs: run -> name -> array.
    """

    about: Mapping[str, Any]
    state: dict[str, Array]
    inputs: dict[str, dict[str, Array]]
    outputs: dict[str, dict[str, NDArray[np.float32]]]

    @property
    def name(self) -> str:
        """Of the network."""
        return self.about["name"]

    @property
    def config(self) -> Mapping[str, Any]:
        """Arguments of the published constructor, and `family`."""
        return self.about["config"]

    def error(self, got: Mapping[str, Mapping[str, Array]]) -> float:
        """The largest difference as a share of what the pack allows: within tolerance up to 1.

        got: run -> output name -> array; every output of the pack must be there. Infinite where a value is not
        finite, a shape is wrong or an output is absent.
        """
        tolerance = self.about["tolerance"]
        worst = 0.0
        for run, wanted in self.outputs.items():
            for name, want in wanted.items():
                have = got.get(run, {}).get(name)
                if have is None or have.shape != want.shape or not np.isfinite(have).all():
                    return math.inf
                allowed = tolerance["atol"][name] + tolerance["rtol"] * np.abs(want, dtype=np.float64)
                worst = max(worst, float(np.max(np.abs(have.astype(np.float64) - want) / allowed)))
        return worst


def load(folder: Path) -> Pack:
    """The pack in a folder. Raises PackError."""
    path = folder / "pack.json"
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PackError(f"no parity pack at {folder}: {error}") from error
    if about.get("format") != FORMAT:
        raise PackError(f"{path} has format {about.get('format')!r}, this reads {FORMAT}")
    try:
        constants = {name: _constant(entry) for name, entry in about.get("constants", {}).items()}
        return Pack(
            about,
            {
                name: _weight(name, tuple(shape), about["kinds"][kind], about["seed"], constants)
                for name, shape, kind in about["state"]
            },
            {
                run: {name: _input(spec, constants) for name, spec in entry["inputs"].items()}
                for run, entry in about["runs"].items()
            },
            {
                run: {
                    name: np.asarray(out["values"], np.float32).reshape(out["shape"])
                    for name, out in entry["outputs"].items()
                }
                for run, entry in about["runs"].items()
            },
        )
    except (KeyError, TypeError, ValueError) as error:
        raise PackError(f"{path} is no parity pack: {type(error).__name__} {error}") from error


def _constant(entry: Mapping[str, Any]) -> Array:
    """Dense values, or values at flat positions of an otherwise filled array."""
    if "at" not in entry:
        return np.asarray(entry["values"], np.float64).reshape(entry["shape"])
    dense = np.full(math.prod(entry["shape"]), entry.get("fill", 0.0))
    dense[np.asarray(entry["at"], np.intp)] = entry["values"]
    return dense.reshape(entry["shape"])


def _weight(
    name: str, shape: tuple[int, ...], kind: Mapping[str, Any], seed: float, constants: dict[str, Array]
) -> Array:
    dtype = np.dtype(kind.get("dtype", "float32"))
    if "keep" in kind:
        return constants[kind["keep"]].reshape(shape).astype(dtype)
    if "value" in kind:
        return np.full(shape, kind["value"], dtype)
    scale = kind["scale"]
    if isinstance(scale, str):
        scale = kind.get("gain", 1.0) / math.sqrt(math.prod(shape[1:] if scale == "fan_in" else shape[:1]))
    i = np.arange(math.prod(shape), dtype=np.int64)
    angle = kind.get("freq", 0.37) * i + (zlib.crc32(name.encode()) % 1000) / 1000 * math.tau + seed
    if chirp := kind.get("chirp"):
        angle = angle + math.tau * ((i * i) % chirp) / chirp
    values = kind.get("offset", 0.0) + scale * np.sin(angle) ** kind.get("power", 1)
    if "base" in kind:
        values = values + constants[kind["base"]].reshape(-1)
    return values.reshape(shape).astype(dtype)


def _input(spec: Mapping[str, Any], constants: dict[str, Array]) -> Array:
    dtype = np.dtype(spec.get("dtype", "float32"))
    if "constant" in spec:
        return constants[spec["constant"]].astype(dtype)
    if "values" in spec:
        return np.asarray(spec["values"], np.float64).reshape(spec["shape"]).astype(dtype)
    i = np.arange(math.prod(spec["shape"]), dtype=np.float64)
    values = spec["amp"] * np.sin(spec["freq"] * i + spec["phase"]) + spec["offset"]
    values = (np.abs(values) if spec.get("abs") else values).reshape(spec["shape"]).astype(dtype)
    for patch in spec.get("set", []):
        values[tuple(slice(*reach) if reach else slice(None) for reach in patch["box"])] = patch["value"]
    return values
