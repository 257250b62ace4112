"""Raw landmarks -> features that no camera moves: the first layer of every network, exported with it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from landmarks import Layout

_SMALLEST = 1e-4
"""A scale below this share of the picture's height is no body."""
_SPEED_UNIT = 2.0
"""Shoulder widths per second that count as one: brings speeds of signing hands near 1."""


class Normalise(nn.Module):
    """Positions, hand shapes and speeds in shoulder widths, and what was seen.

    The centre is the shoulders' midpoint and the unit the shoulders' distance in x and y, each a mean over
    the frames of the window that see both; without shoulders, the mean of all seen joints and twice their
    mean distance from it. So shifting or scaling the picture changes nothing, and motion within the window stays.

    layout: joints of the input. fps: frames per second of the input. axes: 2 leaves z out, 3 keeps it.
    hand_depth: keep z from the hand's own wrist even so; unlike the body's, it hardly depends on the camera.
    In: (B, T, V, 3) in square units, NaN where unseen.
    Out: (B, C, T, V), C = 2 * axes + (3 with hand depth, else axes) + 1: position; position from the hand's own
    wrist (0 off the hands); velocity, 0 where a joint was not seen twice in a row; 1 where seen. Unseen joints are
    0 throughout, so the output is finite for any input.
    """

    def __init__(self, layout: Layout, fps: float, axes: int = 3, hand_depth: bool = False) -> None:
        super().__init__()
        if axes not in (2, 3):
            raise ValueError(f"axes is 2 or 3, got {axes}")
        self.fps, self.axes = fps, axes
        self.hand_axes = 3 if hand_depth else axes
        self.channels = 2 * axes + self.hand_axes + 1
        self._has_shoulders = {"left_shoulder", "right_shoulder"} <= set(layout.joints)
        roots, on_hand = _hand_roots(layout)
        self.register_buffer(
            "shoulders",
            _shoulders(layout) if self._has_shoulders else torch.zeros(2, dtype=torch.long),
            persistent=False,
        )
        self.register_buffer("roots", roots, persistent=False)
        self.register_buffer("on_hand", on_hand, persistent=False)
        self.shoulders: Tensor
        self.roots: Tensor
        self.on_hand: Tensor

    def forward(self, landmarks: Tensor) -> Tensor:
        """(B, T, V, 3) -> (B, C, T, V)."""
        seen = ~torch.isnan(landmarks).any(dim=-1, keepdim=True)  # (B, T, V, 1)
        points = torch.where(seen, landmarks, torch.zeros_like(landmarks))  # (B, T, V, 3)
        known = seen.to(points.dtype)  # (B, T, V, 1)
        centre, unit = self._frame_of_reference(points, known)  # (B, 1, 1, 3), (B, 1, 1, 1)
        placed = (points - centre) / unit * known  # (B, T, V, 3)
        position = placed[..., : self.axes]  # (B, T, V, A)
        root_known = known.index_select(2, self.roots)  # (B, T, V, 1)
        from_wrist = (placed - placed.index_select(2, self.roots)) * known * root_known * self.on_hand  # (B, T, V, 3)
        local = from_wrist[..., : self.hand_axes]  # (B, T, V, H)
        both = known[:, 1:] * known[:, :-1]  # (B, T-1, V, 1)
        moved = (position[:, 1:] - position[:, :-1]) * both * (self.fps / _SPEED_UNIT)  # (B, T-1, V, A)
        velocity = torch.cat([torch.zeros_like(position[:, :1]), moved], dim=1)  # (B, T, V, A)
        features = torch.cat([position, local, velocity, known], dim=-1)  # (B, T, V, C)
        return features.permute(0, 3, 1, 2)  # (B, C, T, V)

    def _frame_of_reference(self, points: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        count = known.sum(dim=(1, 2), keepdim=True).clamp(min=1.0)  # (B, 1, 1, 1)
        centre = points.sum(dim=(1, 2), keepdim=True) / count  # (B, 1, 1, 3)
        apart = ((points - centre) * known)[..., :2].square().sum(dim=-1, keepdim=True)  # (B, T, V, 1)
        # sqrt of an exact 0 has no gradient, and padding is full of them.
        spread = 2.0 * (apart + 1e-12).sqrt().mul(known).sum(dim=(1, 2), keepdim=True) / count  # (B, 1, 1, 1)
        if self._has_shoulders:
            both = known.index_select(2, self.shoulders).prod(dim=2, keepdim=True)  # (B, T, 1, 1)
            frames = both.sum(dim=1, keepdim=True)  # (B, 1, 1, 1)
            pair = points.index_select(2, self.shoulders)  # (B, T, 2, 3)
            middle = (pair.mean(dim=2, keepdim=True) * both).sum(dim=1, keepdim=True) / frames.clamp(min=1.0)
            across = (pair[:, :, :1, :2] - pair[:, :, 1:, :2]).square().sum(dim=-1, keepdim=True)  # (B, T, 1, 1)
            width = ((across + 1e-12).sqrt() * both).sum(dim=1, keepdim=True) / frames.clamp(min=1.0)  # (B, 1, 1, 1)
            usable = (frames > 0) & (width > _SMALLEST)  # (B, 1, 1, 1)
            centre = torch.where(usable, middle, centre)
            spread = torch.where(usable, width, spread)
        unit = torch.where(spread > _SMALLEST, spread, torch.ones_like(spread))  # (B, 1, 1, 1)
        return centre, unit


def _shoulders(layout: Layout) -> Tensor:
    return torch.from_numpy(layout.indices("left_shoulder", "right_shoulder"))


def _hand_roots(layout: Layout) -> tuple[Tensor, Tensor]:
    """(V,) position of each joint's hand wrist, its own off the hands; (V, 1) 1 on the hands."""
    roots, on_hand = [], []
    for joint in layout.joints:
        prefix = next((side for side in ("left_hand_", "right_hand_") if joint.startswith(side)), None)
        root = f"{prefix}wrist" if prefix else ("wrist" if "wrist" in layout else None)
        found = root is not None and root in layout
        roots.append(root if found and root is not None else joint)
        on_hand.append([float(found)])
    return torch.from_numpy(layout.indices(*roots)), torch.tensor(on_hand)


class AsGiven(nn.Module):
    """Coordinates as they come, 0 where unseen: for published weights, whose preprocessing is their users' own.

    channels: how many of x, y, z. scored: the last channel is 1 where the joint is seen instead.
    In: (B, T, V, 3), NaN where unseen. Out: (B, channels, T, V).
    """

    def __init__(self, channels: int = 3, scored: bool = False) -> None:
        super().__init__()
        self.channels, self.scored = channels, scored

    def forward(self, landmarks: Tensor) -> Tensor:
        """(B, T, V, 3) -> (B, C, T, V)."""
        seen = ~torch.isnan(landmarks).any(dim=-1, keepdim=True)  # (B, T, V, 1)
        points = torch.where(seen, landmarks, torch.zeros_like(landmarks))  # (B, T, V, 3)
        if self.scored:
            points = torch.cat([points[..., : self.channels - 1], seen.to(points.dtype)], dim=-1)  # (B, T, V, C)
        return points[..., : self.channels].permute(0, 3, 1, 2)  # (B, C, T, V)
