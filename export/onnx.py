"""Networks -> one ONNX graph: raw landmarks in, probabilities out, the manifest in its metadata."""

from __future__ import annotations

import hashlib
import io
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from export import fold
from landmarks import Manifest
from landmarks.manifest import METADATA_KEY
from models import Network

OPSET = 18


class CannotExport(ValueError):
    """What is asked for does not exist: the message says why."""


@dataclass(frozen=True, eq=False)
class Source:
    """What becomes a graph.

    manifest: travels with it. module: takes `inputs` in their order as *given, gives `outputs` in theirs.
    inputs: name -> shape without the batch, which comes first. frames: T of the clips that it is compared on.
    answer: what torch says of clips (B, T, V, 3), probabilities (B, N, labels); N is 1, or T of a stream.
    """

    manifest: Manifest
    module: nn.Module
    inputs: Mapping[str, tuple[int, ...]]
    outputs: tuple[str, ...]
    frames: int
    answer: Callable[[Tensor], Tensor]


class Windows(nn.Module):
    """Networks of whole windows as one: the weighted mean of their probabilities."""

    def __init__(self, networks: Sequence[Network], weights: Sequence[float]) -> None:
        super().__init__()
        self.networks, self.weights = nn.ModuleList(networks), tuple(weights)

    def forward(self, *given: Tensor) -> Tensor:
        """landmarks (B, T, V, 3) -> (B, labels)."""
        (landmarks,) = given
        return mean([network(landmarks) for network in self.networks], self.weights)  # (B, labels)


def mean(said: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Weighted mean, weights of sum 1; of one tensor the tensor itself."""
    if len(said) == 1:
        return said[0]
    return torch.stack([one * weight for one, weight in zip(said, weights, strict=True)]).sum(dim=0)


def of_windows(networks: Sequence[Network], weights: Sequence[float], manifest: Manifest) -> Source:
    """A graph `landmarks` (B, T, V, 3) -> `probabilities` (B, labels)."""
    module = Windows(networks, weights).eval()
    shape = (manifest.window_frames, len(manifest.joints), 3)
    return Source(
        manifest,
        module,
        {"landmarks": shape},
        ("probabilities",),
        manifest.window_frames,
        lambda clips: module(clips).unsqueeze(1),
    )


def to_onnx(network: Network, manifest: Manifest, opset: int = OPSET) -> bytes:
    """One network's windows as a graph, with the manifest in its metadata."""
    return seal(trace(of_windows([network], [1.0], manifest), opset), manifest)


def trace(source: Source, opset: int = OPSET, batch: int = 0) -> onnx.ModelProto:
    """The folded graph of a module in evaluation mode. batch: the only one it takes; 0 is any."""
    size = batch or 2
    examples = tuple(torch.zeros(size, *shape) for shape in source.inputs.values())
    dynamic = (tuple({0: torch.export.Dim("batch")} for _ in examples),)  # forward takes *given
    with tempfile.TemporaryDirectory() as folder, quiet():
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            source.module,
            examples,
            path,
            input_names=list(source.inputs),
            output_names=list(source.outputs),
            dynamic_shapes=None if batch else dynamic,
            opset_version=opset,
            dynamo=True,
            external_data=False,
            optimize=False,  # once is enough: fold does it
            verbose=False,
        )
        model = onnx.load(path)
    (found,) = (entry.version for entry in model.opset_import if entry.domain == "")
    if found != opset:
        raise CannotExport(f"torch gives this network's graph in opset {found}, not in {opset}")
    return fold.fold(model)


def seal(model: onnx.ModelProto, manifest: Manifest) -> bytes:
    """A graph with its manifest and nothing else in its metadata, checked by onnx."""
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


def sha256(weights: Sequence[Mapping[str, Tensor]]) -> str:
    """Of networks' weights: each name, kind, shape and bytes, in the order of names."""
    digest = hashlib.sha256()
    for one in weights:
        for name in sorted(one):
            values = one[name].detach().cpu().contiguous().numpy()
            digest.update(f"{name} {values.dtype.str} {values.shape}\n".encode())
            digest.update(values.tobytes())
    return digest.hexdigest()


@contextmanager
def quiet(name: str = "torch.onnx") -> Iterator[None]:
    """Exporters and quantisers warn about their own insides; what counts is checked afterwards. name: of a logger."""
    log = logging.getLogger(name)
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
