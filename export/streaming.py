"""Continual networks as the graph of one step: a frame and the state in, probabilities and the next state out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from export.onnx import CannotExport, Source, mean
from landmarks import Manifest, frames_behind
from models import NETWORKS, Continual, Network, State

MOST_FRAMES = 72
"""Of the clips that a step's graph is compared with torch on; no network needs all of its past to be wrong."""


class Steps(nn.Module):
    """One frame of B streams through networks, whose states lie one after the other; their weighted mean."""

    def __init__(self, networks: Sequence[Continual], weights: Sequence[float]) -> None:
        super().__init__()
        self.networks, self.weights = nn.ModuleList(networks), tuple(weights)
        self.counts = [len(network.start(1).tensors) for network in networks]

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """frame (B, V, 3) and the states -> probabilities (B, labels) and the next states."""
        frame, states = given[0], given[1:]
        said, after = [], []
        for each, count in zip(self.networks, self.counts, strict=True):
            network = cast("Continual", each)
            # With stride 1 and no delay, a step is the same at every frame: the state alone knows the stream's age.
            logits, state = network.step(frame, State(0, states[:count]))
            assert logits is not None
            said.append(torch.softmax(logits, dim=-1))  # (B, labels)
            after += state.tensors
            states = states[count:]
        return mean(said, self.weights), *after

    def predictions(self, landmarks: Tensor) -> Tensor:
        """(B, T, V, 3) -> what torch says of the whole streams, (B, T, labels)."""
        said = [torch.softmax(cast("Continual", one).predictions(landmarks), dim=-1) for one in self.networks]
        return mean(said, self.weights)  # (B, T, labels)


def of_steps(networks: Sequence[Network], weights: Sequence[float], manifest: Manifest) -> Source:
    """A graph `frame`, `state_0` ... -> `probabilities`, `next_0` ..., as landmarks.manifest describes it.

    manifest: of the windows that the networks were trained on. Raises CannotExport for a network that is not
    continual, looks ahead, or does not predict at every frame from the first on.
    """
    steps = Steps([_continual(network, manifest) for network in networks], weights).eval()
    states = [tuple(tensor.shape[1:]) for one in steps.networks for tensor in cast("Continual", one).start(1).tensors]
    # A prediction is about the frames back to the moment that it speaks of.
    behind = frames_behind(manifest.centre, manifest.window_frames)
    needed = max(cast("Continual", one).receptive_field for one in steps.networks)
    return Source(
        replace(manifest, form="stream", states=tuple(states), window_frames=behind + 1, stride_frames=1, centre=0.0),
        steps,
        {"frame": (len(manifest.joints), 3), **{f"state_{i}": shape for i, shape in enumerate(states)}},
        ("probabilities", *(f"next_{i}" for i in range(len(states)))),
        min(max(needed, manifest.window_frames), MOST_FRAMES - 8) + 8,
        steps.predictions,
    )


def _continual(network: Network, manifest: Manifest) -> Continual:
    if not isinstance(network, Continual):
        continual = sorted(name for name, (_, kind) in NETWORKS.items() if issubclass(kind, Continual))
        raise CannotExport(
            f"the network {manifest.network!r} of {manifest.name!r} answers whole windows only; "
            f"a stream takes one of {', '.join(continual)}"
        )
    if network.stride != 1 or network.delay != 0:
        raise CannotExport(
            f"{manifest.name!r} predicts every {network.stride} frames, from frame {network.delay} on; a stream's "
            "graph predicts at every frame from the first: strides of 1, and for a CoST-GCN beginning = 'causal'"
        )
    try:
        network.start(1)
    except ValueError as error:
        raise CannotExport(f"{manifest.name!r} cannot answer a stream: {error}") from error
    return network
