"""Does an ONNX graph say what torch says?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from torch import nn

TOLERANCE = 1e-4
"""Largest difference of a probability."""
BATCHES = (1, 2, 5)

Windows = NDArray[np.float32]


class Disagreement(ValueError):
    """torch and onnxruntime differ by more than the tolerance, or give something that is not finite."""


@dataclass(frozen=True)
class Comparison:
    """One kind of input at one batch size, and the largest difference of a probability."""

    kind: str
    batch: int
    difference: float


def inputs(frames: int, joints: int, batch: int, seed: int = 0) -> dict[str, Windows]:
    """Kinds of windows (B, T, V, 3) that a service meets, NaN where unseen."""
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


def compare(network: nn.Module, graph: bytes, frames: int, joints: int) -> list[Comparison]:
    """Run both on every kind of input at several batch sizes.

    network: in evaluation mode. graph: a serialised ONNX model with input `landmarks` and output `probabilities`.
    Raises Disagreement where either gives a value that is not finite.
    """
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    found = []
    for batch in BATCHES:
        for kind, windows in inputs(frames, joints, batch).items():
            with torch.inference_mode():
                ours = network(torch.from_numpy(windows)).numpy()
            theirs = np.asarray(session.run(["probabilities"], {"landmarks": windows})[0])
            if ours.shape != theirs.shape or not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
                raise Disagreement(f"{kind}, batch {batch}: shapes {ours.shape}, {theirs.shape}, or values not finite")
            found.append(Comparison(kind, batch, float(np.abs(ours - theirs).max())))
    return found


def check(network: nn.Module, graph: bytes, frames: int, joints: int, tolerance: float = TOLERANCE) -> float:
    """The largest difference over all kinds of input. Raises Disagreement, which names the worst, above `tolerance`."""
    worst = max(compare(network, graph, frames, joints), key=lambda c: c.difference)
    if worst.difference > tolerance:
        raise Disagreement(
            f"torch and onnxruntime differ by {worst.difference:.2e} on {worst.kind}, batch {worst.batch}; "
            f"allowed is {tolerance:.0e}. Nothing was written."
        )
    return worst.difference
