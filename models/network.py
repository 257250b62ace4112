"""What every network of the registry is."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class Network(nn.Module, ABC):
    """Raw landmarks in, probabilities out. Built as `network(layout, config)`."""

    @abstractmethod
    def logits(self, landmarks: Tensor) -> Tensor:
        """(B, T, V, 3) in square units, NaN where unseen -> (B, labels), before softmax."""

    def forward(self, landmarks: Tensor) -> Tensor:
        """(B, T, V, 3) in square units, NaN where unseen -> probabilities (B, labels)."""
        return torch.softmax(self.logits(landmarks), dim=-1)  # (B, labels)
