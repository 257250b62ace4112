"""Runs -> one .onnx file and its report, or neither: nothing is written that does not agree with torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import torch

from export import clips, ensemble, fold, parity, quantise, report
from export.clips import Clips, Labelled
from export.graph import CHUNK, Given, Graph
from export.onnx import OPSET, Source, of_windows, seal, trace
from export.report import Report
from export.streaming import of_steps
from models import Checkpoint

TOLERANCES = {"fp32": parity.TOLERANCE, "fp16": 2e-2, "int8": math.inf}
"""Largest difference of a probability, by precision. What integers may change is said by accuracy alone."""
CALIBRATION = {"window": 256, "stream": 16}
"""Most clips that tell int8 its ranges."""


class LessAccurate(ValueError):
    """A precision that costs more accuracy than is allowed, or whose cost nobody can tell."""


@dataclass(frozen=True)
class Target:
    """What a file shall be.

    form: whole windows, or one step of a stream. precision: of weights and products. opset: of ONNX.
    batch: the only one that it takes; 0 is any. name: of the model, instead of the runs' own.
    weights: of an ensemble's members; none are equal ones.
    """

    form: Literal["window", "stream"] = "window"
    precision: Literal["fp32", "fp16", "int8"] = "fp32"
    opset: int = OPSET
    batch: int = 0
    name: str = ""
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.form not in ("window", "stream") or self.precision not in TOLERANCES:
            raise ValueError(
                f"form is window or stream, precision fp32, fp16 or int8; got {self.form!r}, {self.precision!r}"
            )
        if self.batch < 0:
            raise ValueError(f"batch is 1 or more, or 0 for any; got {self.batch}")


@dataclass(frozen=True, eq=False)
class Evidence:
    """What an export is tried on besides made inputs.

    files: of landmarks, compared with torch. calibration: windows (N, T, V, 3) not tested on, which tell int8 its
    ranges. labelled: windows on which the file must be as good as torch. most_lost: share of them that it may get wrong
    more than torch.
    """

    files: tuple[Path, ...] = ()
    calibration: Clips | None = None
    labelled: Labelled | None = None
    most_lost: float = 0.01


def export(
    runs: Checkpoint | Sequence[Checkpoint],
    path: Path,
    target: Target = Target(),
    evidence: Evidence = Evidence(),
    tolerance: float | None = None,
) -> Report:
    """Write a run's network, or several runs' as an ensemble, to `path`, and a report beside it.

    The graph is what landmarks.manifest says of its form. tolerance: instead of the precision's own. Raises
    parity.Disagreement above it; LessAccurate; CannotExport for what the networks cannot be. Files are then as they
    were.
    """
    if path.suffix != ".onnx":
        raise ValueError(f"the file to write ends in .onnx, got {path}")
    if target.precision == "int8" and (evidence.calibration is None or evidence.labelled is None):
        raise LessAccurate(
            "int8 takes windows of training to tell ranges by, and labelled windows to tell what it costs: "
            "`python -m training windows RUN FILE.npz --side train` (then test) writes them"
        )
    runs = [runs] if isinstance(runs, Checkpoint) else list(runs)
    source = make_source(runs, target)
    model = trace(source, target.opset, target.batch)
    if target.precision == "fp16":
        model = quantise.half(model)
    elif evidence.calibration is not None and target.precision == "int8":
        model = quantise.int8(model, _calibration(model, source, evidence.calibration))
    manifest = replace(source.manifest, precision=target.precision)
    data = seal(model, manifest)
    graph = Graph(data)
    tried = [*parity.made(source.frames, len(manifest.joints)), *clips.real(evidence.files, manifest)]
    found = parity.compare(source.answer, graph, tried)
    parity.hold(found, TOLERANCES[target.precision] if tolerance is None else tolerance)
    differences: dict[str, float] = {}
    for one in found:
        differences[one.kind] = max(one.difference, differences.get(one.kind, 0.0))
    accuracy = _accuracy(source, graph, evidence)
    if target.precision != "fp32":  # the fit's figures are of other weights
        own = {"windows": accuracy["windows"], "accuracy": accuracy["file"]} if accuracy else {}
        data = seal(model, replace(manifest, metrics=own))
    said = Report(
        *(manifest.name, manifest.version, target.form, target.precision, target.opset, target.batch),
        differences,
        len(data),
        report.milliseconds(graph, tried[0][1]),
        fold.operators(onnx.load_from_string(data)),
        accuracy,
    )
    _write({path: data, report.place(path): said.to_json().encode()})
    return said


def make_source(runs: Sequence[Checkpoint], target: Target) -> Source:
    """What becomes the graph, with a manifest that says so."""
    of = of_steps if target.form == "stream" else of_windows
    manifest = ensemble.describe(runs, target.name)
    return of([one.network() for one in runs], ensemble.share(target.weights, len(runs)), manifest)


def _calibration(model: onnx.ModelProto, source: Source, windows: Clips) -> list[Given]:
    """All that a graph is given while it answers some of the windows."""
    given: list[Given] = []
    chosen = np.unique(np.linspace(0, len(windows) - 1, CALIBRATION[source.manifest.form]).astype(int))
    Graph(seal(model, source.manifest), watch=given.append)(windows[chosen])
    return given


def _accuracy(source: Source, graph: Graph, evidence: Evidence) -> dict[str, float]:
    """On labelled windows, by the last prediction of each."""
    labelled = evidence.labelled
    if labelled is None:
        return {}
    said = []
    for first in range(0, len(labelled.truth), CHUNK):
        with torch.inference_mode():
            said.append(source.answer(torch.from_numpy(labelled.landmarks[first : first + CHUNK]))[:, -1].numpy())
    ours = float((np.concatenate(said).argmax(axis=1) == labelled.truth).mean())
    theirs = float((graph(labelled.landmarks)[:, -1].argmax(axis=1) == labelled.truth).mean())
    if ours - theirs > evidence.most_lost:
        raise LessAccurate(
            f"{graph.manifest.precision} gets {theirs:.1%} of {len(labelled.truth)} labelled windows right, torch "
            f"{ours:.1%}: at most {evidence.most_lost:.1%} may be lost. Nothing was written."
        )
    return {"windows": float(len(labelled.truth)), "torch": ours, "file": theirs}


def _write(files: dict[Path, bytes]) -> None:
    """All of them, or none."""
    partials = {path: path.with_name(path.name + ".partial") for path in files}
    try:
        for path, data in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            partials[path].write_bytes(data)
        for path, partial in partials.items():
            partial.replace(path)
    finally:
        for partial in partials.values():
            partial.unlink(missing_ok=True)
