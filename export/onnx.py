"""A checkpoint -> one .onnx file: raw landmarks in, probabilities out, the manifest in its metadata."""

from __future__ import annotations

import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import onnx
import torch
from torch import nn

from export import parity
from landmarks import Manifest
from landmarks.manifest import METADATA_KEY
from models import Checkpoint

OPSET = 18


def export(checkpoint: Checkpoint, path: Path, tolerance: float = parity.TOLERANCE) -> float:
    """Write a checkpoint's network to `path`; returns the largest difference between torch and onnxruntime.

    The graph takes `landmarks` (B, T, V, 3) float32, square units, NaN where unseen, any B, and gives
    `probabilities` (B, labels). Raises parity.Disagreement above `tolerance`; `path` is then as it was.
    """
    manifest, network = checkpoint.manifest, checkpoint.network()
    graph = to_onnx(network, manifest)
    difference = parity.check(network, graph, manifest.window_frames, len(manifest.joints), tolerance)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(graph)
    partial.replace(path)
    return difference


def to_onnx(network: nn.Module, manifest: Manifest) -> bytes:
    """The graph of a network in evaluation mode, with the manifest in its metadata, checked by onnx."""
    example = torch.zeros(2, manifest.window_frames, len(manifest.joints), 3)  # (B, T, V, 3)
    with tempfile.TemporaryDirectory() as folder, quiet():
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            network,
            (example,),
            path,
            input_names=["landmarks"],
            output_names=["probabilities"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        model = onnx.load(path)
    del model.metadata_props[:]
    for node in model.graph.node:  # the exporter leaves stack traces, with paths of this machine
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    model.metadata_props.add(key=METADATA_KEY, value=manifest.to_json())
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


@contextmanager
def quiet() -> Iterator[None]:
    """torch's exporter warns about its own insides; what counts is checked afterwards."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
