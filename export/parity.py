"""Does an ONNX graph say what torch says?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.graph import Graph

TOLERANCE = 1e-4
"""Largest difference of a probability."""
BATCHES = (1, 2, 5)

Clips = NDArray[np.float32]


class Disagreement(ValueError):
    """torch and onnxruntime differ by more than the tolerance, or give something that is not finite."""


@dataclass(frozen=True)
class Comparison:
    """One kind of input at one batch size, and the largest difference of a probability."""

    kind: str
    batch: int
    difference: float


def inputs(frames: int, joints: int, batch: int, seed: int = 0) -> dict[str, Clips]:
    """Kinds of clips (B, T, V, 3) that a service meets, NaN where unseen."""
    random = np.random.default_rng(seed)
    pose = random.uniform(0, 1, (batch, 1, joints, 3)).astype(np.float32)
    moving = pose + random.normal(0, 0.05, (batch, frames, joints, 3)).astype(np.float32)
    parts, late, flicker = moving.copy(), moving.copy(), moving.copy()
    parts[:, :, joints // 2 :] = np.nan
    late[:, : frames // 2] = np.nan
    flicker[random.random(moving.shape[:3]) < 0.4] = np.nan
    return {
        "random": moving,
        "still": np.repeat(pose, frames, axis=1),
        "half of the joints missing": parts,
        "first half of the frames missing": late,
        "joints missing here and there": flicker,
        "nothing seen": np.full_like(moving, np.nan),
        "one point": np.full_like(moving, 0.5),
    }


def made(frames: int, joints: int) -> Iterator[tuple[str, Clips]]:
    """Every kind of `inputs` at every batch size."""
    for batch in BATCHES:
        yield from inputs(frames, joints, batch).items()


def compare(
    ours: Callable[[Tensor], Tensor], theirs: Callable[[Clips], Clips], clips: Iterable[tuple[str, Clips]]
) -> list[Comparison]:
    """torch's answers (B, N, labels) to clips (B, T, V, 3) of each kind, beside a graph's.

    Raises Disagreement where either gives a value that is not finite.
    """
    found = []
    for kind, given in clips:
        with torch.inference_mode():
            one = ours(torch.from_numpy(given)).numpy()
        other = theirs(given)
        if one.shape != other.shape or not (np.isfinite(one).all() and np.isfinite(other).all()):
            raise Disagreement(f"{kind}, batch {len(given)}: shapes {one.shape}, {other.shape}, or values not finite")
        found.append(Comparison(kind, len(given), float(np.abs(one - other).max())))
    return found


def hold(found: Iterable[Comparison], tolerance: float) -> float:
    """The largest difference. Raises Disagreement, which names the worst, above `tolerance`."""
    worst = max(found, key=lambda c: c.difference)
    if worst.difference > tolerance:
        raise Disagreement(
            f"torch and onnxruntime differ by {worst.difference:.2e} on {worst.kind}, batch {worst.batch}; "
            f"allowed is {tolerance:.0e}. Nothing was written."
        )
    return worst.difference


def check(network: nn.Module, graph: bytes, frames: int, joints: int, tolerance: float = TOLERANCE) -> float:
    """`hold` of a network, in evaluation mode, beside its graph of windows, on `made` clips."""
    return hold(compare(lambda clips: network(clips).unsqueeze(1), Graph(graph), made(frames, joints)), tolerance)
