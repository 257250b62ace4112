"""What every network of the registry is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn


class Network(nn.Module, ABC):
    """Raw landmarks in, probabilities out. Built as `network(layout, config)`.

    features: the first layer, (B, T, V, 3) landmarks -> (B, C, T, V): what normalisation makes of them.
    The rest, `classify`, is what the literature calls the network: published inputs go straight into it.
    channels_last: its convolutions train faster on a CPU with weights that lie so.
    """

    features: nn.Module
    channels_last: bool = False

    @abstractmethod
    def classify(self, features: Tensor) -> Tensor:
        """(B, C, T, V) finite -> (B, labels), before softmax."""

    def logits(self, landmarks: Tensor) -> Tensor:
        """(B, T, V, 3) in square units, NaN where unseen -> (B, labels), before softmax."""
        return self.classify(self.features(landmarks))  # (B, labels)

    def forward(self, landmarks: Tensor) -> Tensor:
        """(B, T, V, 3) in square units, NaN where unseen -> probabilities (B, labels)."""
        return torch.softmax(self.logits(landmarks), dim=-1)  # (B, labels)


@dataclass(frozen=True, eq=False)
class State:
    """What a stream carries from frame to frame; never changed in place.

    frames: seen since the stream began. tensors: each with the batch first.
    """

    frames: int
    tensors: tuple[Tensor, ...]


class Continual(Network, ABC):
    """A network that answers a stream frame by frame, by the weights that answer a clip.

    receptive_field: frames that one prediction depends on. delay: frames that a stream sees before the one that brings
    its first prediction. stride: frames from one prediction to the next.
    """

    receptive_field: int
    delay: int
    stride: int

    @abstractmethod
    def start(self, batch: int) -> State:
        """The state of B streams that have seen nothing."""

    @abstractmethod
    def step(self, frame: Tensor, state: State) -> tuple[Tensor | None, State]:
        """One frame (B, V, 3) -> logits (B, labels), or None where no prediction is due; and the next state."""

    @abstractmethod
    def predictions(self, landmarks: Tensor) -> Tensor:
        """(B, T, V, 3) -> all that a stream of these frames is told: logits (B, N, labels), as N steps would say.

        All at once, for training on whole streams. Which frames they are told with: `told_at`.
        """

    def told_at(self, frames: int) -> range:
        """The N frames, of a stream's first T, that bring a prediction."""
        return range(self.delay, frames, self.stride)

    def exact(self, state: State) -> bool:
        """Has the stream lasted long enough that its predictions are a clip's?"""
        return state.frames >= self.receptive_field
