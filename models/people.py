"""What networks of up to M persons share."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.network import Network


class OfPeople(Network):
    """A network whose input may also be (B, M, T, V, 3), and whose `classify` then takes (B, M, C, T, V)."""

    def logits(self, landmarks: Tensor) -> Tensor:
        """(B, T, V, 3) or (B, M, T, V, 3), NaN where unseen -> (B, labels), before softmax."""
        if landmarks.dim() == 4:
            return self.classify(self.features(landmarks))  # (B, labels)
        features = self.features(landmarks.flatten(0, 1))  # (B*M, C, T, V)
        return self.classify(features.unflatten(0, (-1, landmarks.shape[1])))  # (B, labels)


def with_absent(x: Tensor, persons: int, value: float) -> Tensor:
    """(B, M', ...) -> (B, M, ...): those who are not there are `value` throughout. Raises ValueError if M' > M."""
    absent = persons - x.shape[1]
    if absent < 0:
        raise ValueError(f"this network takes {persons} persons, got {x.shape[1]}")
    return torch.cat([x, *[torch.full_like(x[:, :1], value)] * absent], dim=1) if absent else x  # (B, M, ...)


def rescale(scale: nn.Module, features: Tensor, persons: int, tell_apart: bool) -> Tensor:
    """(B, C, T, V) or (B, M, C, T, V), fewer than M persons too -> batch normalised (B*M, C, T, V).

    scale: of M*V*C channels where persons are told apart, else of V*C, joint by joint, a joint's channels together.
    """
    x = features if features.dim() == 5 else features.unsqueeze(1)  # (B, M, C, T, V)
    x = with_absent(x, persons, 0.0).permute(0, 1, 4, 2, 3)  # (B, M, V, C, T)
    joints, channels = x.shape[2:4]
    flat = x.flatten(1, 3) if tell_apart else x.flatten(0, 1).flatten(1, 2)  # (B, M*V*C, T) or (B*M, V*C, T)
    flat = scale(flat)
    if tell_apart:
        flat = flat.unflatten(1, (persons, -1)).flatten(0, 1)  # (B*M, V*C, T)
    return flat.unflatten(1, (joints, channels)).permute(0, 2, 3, 1)  # (B*M, C, T, V)
