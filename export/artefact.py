"""Runs -> one .onnx file and its report, or neither: nothing is written that does not agree with torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from export import parity
from export.graph import Graph
from export.onnx import OPSET, Source, of_windows, seal, sha256, trace
from export.streaming import of_steps
from landmarks.manifest import FORMAT_VERSION
from models import Checkpoint


@dataclass(frozen=True)
class Target:
    """What a file shall be.

    form: whole windows, or one step of a stream. opset: of ONNX. batch: the only one that it takes; 0 is any.
    """

    form: Literal["window", "stream"] = "window"
    opset: int = OPSET
    batch: int = 0

    def __post_init__(self) -> None:
        if self.form not in ("window", "stream") or self.batch < 0:
            raise ValueError(f"form is window or stream, batch 0 or more; got {self.form!r}, {self.batch}")


def export(
    checkpoint: Checkpoint,
    path: Path,
    target: Target = Target(),
    real: Iterable[tuple[str, parity.Clips]] = (),
    tolerance: float = parity.TOLERANCE,
) -> float:
    """Write a checkpoint's network to `path`; returns the largest difference between torch and onnxruntime.

    The graph is what landmarks.manifest says of its form. Raises parity.Disagreement above `tolerance`, CannotExport
    for a form that the network does not have; `path` is then as it was.
    """
    source = make_source([checkpoint], [1.0], target)
    graph = seal(trace(source, target.opset, target.batch), source.manifest)
    clips = [*parity.made(source.frames, len(source.manifest.joints)), *real]
    difference = parity.hold(parity.compare(source.answer, Graph(graph), clips), tolerance)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(graph)
    partial.replace(path)
    return difference


def make_source(checkpoints: Sequence[Checkpoint], weights: Sequence[float], target: Target) -> Source:
    """What becomes the graph, with a manifest that says so."""
    manifest = replace(
        checkpoints[0].manifest,
        weights_sha256=sha256([one.weights for one in checkpoints]),
        format_version=FORMAT_VERSION,
    )
    of = of_steps if target.form == "stream" else of_windows
    return of([one.network() for one in checkpoints], weights, manifest)
