"""Raw landmarks -> features that no camera moves: the first layer of every network, exported with it."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from landmarks import Layout

Unit = Literal["body", "picture"]

_SMALLEST = 1e-4
"""A scale below this share of the picture's height is no body."""
_SPEED_UNIT = 2.0
"""Shoulder widths per second that count as one: brings speeds of signing hands near 1."""
_SHOULDERS = ("left_shoulder", "right_shoulder")
_TRUNK = ("spine_shoulder", "spine_base")
_FORGOTTEN = 1e-4
"""Of a first sight, this much is left after nine time constants: too little to go by."""


class _Described(nn.Module):
    """What each joint of each frame is told by, once it is known where the body stands and how large it is.

    C = 2 * axes + (3 with hand depth, else axes) + 1.
    """

    def __init__(self, layout: Layout, fps: float, axes: int, hand_depth: bool) -> None:
        super().__init__()
        if axes not in (2, 3):
            raise ValueError(f"axes is 2 or 3, got {axes}")
        self.fps, self.axes, self.measured = fps, axes, 3 if layout.solid else 2
        self.hand_axes = 3 if hand_depth else axes
        self.channels = 2 * axes + self.hand_axes + 1
        roots, on_hand = hand_roots(layout)
        self.register_buffer("roots", roots, persistent=False)
        self.register_buffer("on_hand", on_hand, persistent=False)
        self.roots: Tensor
        self.on_hand: Tensor

    def _describe(self, placed: Tensor, known: Tensor, moved: Tensor) -> Tensor:
        """(B, T, V, 3) from the centre and (B, T, V, 3) since the frame before, in units, 0 where not known.

        known: (B, T, V, 1), 1 where seen. Gives (B, C, T, V).
        """
        root_known = known.index_select(2, self.roots)  # (B, T, V, 1)
        from_wrist = (placed - placed.index_select(2, self.roots)) * known * root_known * self.on_hand  # (B, T, V, 3)
        local = from_wrist[..., : self.hand_axes]  # (B, T, V, H)
        velocity = moved[..., : self.axes] * (self.fps / _SPEED_UNIT)  # (B, T, V, A)
        features = torch.cat([placed[..., : self.axes], local, velocity, known], dim=-1)  # (B, T, V, C)
        return features.permute(0, 3, 1, 2)  # (B, C, T, V)


class Normalise(_Described):
    """Positions, hand shapes and speeds in shoulder widths, and what was seen.

    The centre is the shoulders' midpoint and the unit the shoulders' distance in x and y, each a mean over the frames
    of the window that see both; without shoulders, the mean of all seen joints and twice their mean distance from it.
    On a solid layout with a spine the unit is the trunk's length: a depth camera at the side of somebody mistakes
    shoulders more. So shifting or scaling the picture changes nothing, and motion within the window stays.

    layout: joints of the input. fps: frames per second of the input. axes: 2 leaves z out, 3 keeps it.
    hand_depth: keep z from the hand's own wrist even so; unlike the body's, it hardly depends on the camera.
    unit: the `body`'s, as above; or the `picture`'s height, for joints that tell no size: of a fingertip alone, what
        trembles and what sweeps would look the same in units of its own path.
    In: (B, T, V, 3) in square units, NaN where unseen.
    Out: (B, C, T, V), C = 2 * axes + (3 with hand depth, else axes) + 1: position; position from the hand's own
    wrist (0 off the hands); velocity, 0 where a joint was not seen twice in a row; 1 where seen. Unseen joints are
    0 throughout, so the output is finite for any input.
    """

    def __init__(
        self, layout: Layout, fps: float, axes: int = 3, hand_depth: bool = False, unit: Unit = "body"
    ) -> None:
        super().__init__(layout, fps, axes, hand_depth)
        centre, ends = _body(layout)
        self._has_shoulders, self._unit = bool(centre), unit
        self.register_buffer("shoulders", torch.from_numpy(layout.indices(*centre)), persistent=False)
        self.register_buffer("ends", torch.from_numpy(layout.indices(*ends)), persistent=False)
        self.shoulders: Tensor
        self.ends: Tensor

    def forward(self, landmarks: Tensor) -> Tensor:
        """(B, T, V, 3) -> (B, C, T, V)."""
        points, known = _seen(landmarks)  # (B, T, V, 3), (B, T, V, 1)
        centre, unit = self.frame_of_reference(points, known)  # (B, 1, 1, 3), (B, 1, 1, 1)
        placed = (points - centre) / unit * known  # (B, T, V, 3)
        moved = torch.cat([torch.zeros_like(placed[:, :1]), placed[:, 1:] - placed[:, :-1]], dim=1)  # (B, T, V, 3)
        both = torch.cat([torch.zeros_like(known[:, :1]), known[:, 1:] * known[:, :-1]], dim=1)  # (B, T, V, 1)
        return self._describe(placed, known, moved * both)  # (B, C, T, V)

    def frame_of_reference(self, points: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Of points (B, T, V, 3), 0 where known (B, T, V, 1) is 0: centre (B, 1, 1, 3) and unit (B, 1, 1, 1)."""
        count = known.sum(dim=(1, 2), keepdim=True).clamp(min=1.0)  # (B, 1, 1, 1)
        centre = points.sum(dim=(1, 2), keepdim=True) / count  # (B, 1, 1, 3)
        apart = ((points - centre) * known)[..., : self.measured].square().sum(dim=-1, keepdim=True)  # (B, T, V, 1)
        # sqrt of an exact 0 has no gradient, and padding is full of them.
        spread = 2.0 * (apart + 1e-12).sqrt().mul(known).sum(dim=(1, 2), keepdim=True) / count  # (B, 1, 1, 1)
        if self._has_shoulders:
            anchors = torch.cat([self.shoulders, self.ends])  # (4)
            both = known.index_select(2, anchors).prod(dim=2, keepdim=True)  # (B, T, 1, 1)
            frames = both.sum(dim=1, keepdim=True)  # (B, 1, 1, 1)
            pair = points.index_select(2, self.shoulders)  # (B, T, 2, 3)
            middle = (pair.mean(dim=2, keepdim=True) * both).sum(dim=1, keepdim=True) / frames.clamp(min=1.0)
            one, other = points.index_select(2, self.ends).split(1, dim=2)  # (B, T, 1, 3), (B, T, 1, 3)
            across = (one - other)[..., : self.measured].square().sum(dim=-1, keepdim=True)  # (B, T, 1, 1)
            width = ((across + 1e-12).sqrt() * both).sum(dim=1, keepdim=True) / frames.clamp(min=1.0)  # (B, 1, 1, 1)
            usable = (frames > 0) & (width > _SMALLEST)  # (B, 1, 1, 1)
            centre = torch.where(usable, middle, centre)
            spread = torch.where(usable, width, spread)
        if self._unit == "picture":
            return centre, torch.ones_like(spread)
        unit = torch.where(spread > _SMALLEST, spread, torch.ones_like(spread))  # (B, 1, 1, 1)
        return centre, unit


class Positions(nn.Module):
    """Of normalised features the positions and what was seen.

    layout, fps, axes: as for Normalise.
    In: (B, T, V, 3) in square units, NaN where unseen. Out: (B, axes + 1, T, V), the last channel 1 where seen.
    """

    def __init__(self, layout: Layout, fps: float, axes: int) -> None:
        super().__init__()
        self.axes, self.channels = axes, axes + 1
        self.normalise = Normalise(layout, fps, axes)

    def forward(self, landmarks: Tensor) -> Tensor:
        """(B, T, V, 3) -> (B, A + 1, T, V)."""
        features = self.normalise(landmarks)  # (B, C, T, V)
        return torch.cat([features[:, : self.axes], features[:, -1:]], dim=1)  # (B, A+1, T, V)


class CausalNormalise(_Described):
    """What Normalise gives, for a stream: no frame is told by one that comes after it.

    The centre is each frame's own: the shoulders' midpoint, on a layout of one hand its wrist. The unit is slow:
    Normalise's distance, on a hand that from the wrist to the middle finger's first joint, as a mean over the stream so
    far in which a frame counts by exp(-age / memory_s). Where the centre is not seen, it stands at
    its own such mean. Without these joints, or before they were ever seen, or nine memories after: the mean of all
    seen joints, and such a mean of twice their mean distance from it. So shifting or scaling the picture changes
    nothing. Velocity is the joint's own, as in Normalise, whatever the centre does.

    layout, fps, axes, hand_depth: as for Normalise. memory_s: time constant of the unit, in seconds.
    In and out: as Normalise. `forward` takes a stream from its start; `advance` goes on by T >= 1 frames, and any
    cutting of a stream gives the same features.
    """

    def __init__(self, layout: Layout, fps: float, memory_s: float, axes: int = 3, hand_depth: bool = False) -> None:
        super().__init__(layout, fps, axes, hand_depth)
        if not memory_s > 0:
            raise ValueError(f"memory_s is above 0, got {memory_s}")
        self.joints, self.memory_frames = len(layout), memory_s * fps
        centre, across = _anchors(layout)
        self._anchored = bool(centre)
        self.register_buffer("centre", torch.from_numpy(layout.indices(*centre)), persistent=False)
        self.register_buffer("across", torch.from_numpy(layout.indices(*across)), persistent=False)
        self.centre: Tensor
        self.across: Tensor

    def start(self, batch: int) -> tuple[Tensor, Tensor]:
        """The state of B streams that have seen nothing: decaying sums (B, 8), the frame before (B, V, 4)."""
        device = self.on_hand.device
        return torch.zeros(batch, 8, device=device), torch.zeros(batch, self.joints, 4, device=device)

    def forward(self, landmarks: Tensor) -> Tensor:
        """(B, T, V, 3), from the start of a stream -> (B, C, T, V)."""
        return self.advance(landmarks, self.start(landmarks.shape[0]))[0]  # (B, C, T, V)

    def advance(self, landmarks: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The next T frames (B, T, V, 3) -> (B, C, T, V), and the next state."""
        slow, last = state  # (B, 8), (B, V, 4)
        points, known = _seen(landmarks)  # (B, T, V, 3), (B, T, V, 1)
        frames = torch.cat([last.unsqueeze(1), torch.cat([points, known], dim=-1)], dim=1)  # (B, T+1, V, 4)
        centre, unit, slow = self.frame_of_reference(points, known, slow)  # (B, T, 1, 3), (B, T, 1, 1), (B, 8)
        placed = (points - centre) / unit * known  # (B, T, V, 3)
        before = frames[:, :-1]  # (B, T, V, 4)
        moved = (points - before[..., :3]) / unit * known * before[..., 3:]  # (B, T, V, 3)
        return self._describe(placed, known, moved), (slow, frames[:, -1])

    def frame_of_reference(self, points: Tensor, known: Tensor, slow: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As Normalise's, but of each frame (B, T, 1, 3), (B, T, 1, 1); slow (B, 8): the sums before and after."""
        count = known.sum(dim=2)  # (B, T, 1)
        anyone = count.clamp(max=1.0)  # (B, T, 1)
        middle = points.sum(dim=2) / count.clamp(min=1.0)  # (B, T, 3)
        spread = (
            2.0 * (_length(points - middle.unsqueeze(2), self.measured) * known).sum(dim=2) / count.clamp(min=1.0)
        )  # (B, T, 1)
        centre, stands = middle, torch.zeros_like(anyone)  # (B, T, 3), (B, T, 1)
        width, wide = spread, torch.zeros_like(anyone)  # (B, T, 1), (B, T, 1)
        if self._anchored:
            centre = points.index_select(2, self.centre).mean(dim=2)  # (B, T, 3)
            stands = known.index_select(2, self.centre).prod(dim=2)  # (B, T, 1)
            one, other = points.index_select(2, self.across).unbind(dim=2)  # (B, T, 3), (B, T, 3)
            width = _length(one - other, self.measured)  # (B, T, 1)
            wide = known.index_select(2, self.across).prod(dim=2) * (width > _SMALLEST)  # (B, T, 1)
        now = torch.cat([centre * stands, stands, width * wide, wide, spread * anyone, anyone], dim=-1)  # (B, T, 8)
        sums = self._decay(now, slow)  # (B, T, 8)
        centre_sum, centre_weight, width_sum, width_weight, spread_sum, weight = sums.split([3, 1, 1, 1, 1, 1], dim=-1)
        usual = torch.where(centre_weight > _FORGOTTEN, centre_sum / centre_weight.clamp(min=_FORGOTTEN), middle)
        centre = torch.where(stands > 0, centre, usual)  # (B, T, 3)
        unit = torch.where(
            width_weight > _FORGOTTEN,
            width_sum / width_weight.clamp(min=_FORGOTTEN),
            spread_sum / weight.clamp(min=_FORGOTTEN),
        )  # (B, T, 1)
        unit = torch.where(unit > _SMALLEST, unit, torch.ones_like(unit))  # (B, T, 1)
        return centre.unsqueeze(2), unit.unsqueeze(2), sums[:, -1]

    def _decay(self, now: Tensor, before: Tensor) -> Tensor:
        """What T frames bring (B, T, Q), and sums so far (B, Q) -> sums after each of them (B, T, Q)."""
        frame = torch.arange(now.shape[1], device=now.device)  # (T)
        ago = frame.unsqueeze(1) - frame  # (T, T)
        weights = torch.tril(torch.exp(-ago.clamp(min=0) / self.memory_frames))  # (T, T)
        faded = torch.exp(-(frame + 1) / self.memory_frames).unsqueeze(-1)  # (T, 1)
        return torch.matmul(weights, now) + faded * before.unsqueeze(1)  # (B, T, Q)


def _seen(landmarks: Tensor) -> tuple[Tensor, Tensor]:
    """(B, T, V, 3) with NaN -> with 0 in its place (B, T, V, 3), and 1 where seen (B, T, V, 1)."""
    seen = ~torch.isnan(landmarks).any(dim=-1, keepdim=True)  # (B, T, V, 1)
    return torch.where(seen, landmarks, torch.zeros_like(landmarks)), seen.to(landmarks.dtype)


def _length(x: Tensor, axes: int) -> Tensor:
    """(..., 3) -> (..., 1) in that many axes; sqrt of an exact 0 has no gradient, and padding is full of them."""
    return (x[..., :axes].square().sum(dim=-1, keepdim=True) + 1e-12).sqrt()


def _anchors(layout: Layout) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Joints whose mean is a body's or a hand's centre, and the two whose distance is its unit; none on others."""
    if "wrist" in layout and "middle_mcp" in layout and "left_shoulder" not in layout:
        return ("wrist",), ("wrist", "middle_mcp")
    return _body(layout)


def _body(layout: Layout) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """As _anchors, of a body."""
    if not all(joint in layout for joint in _SHOULDERS):
        return (), ()
    trunk = layout.solid and all(joint in layout for joint in _TRUNK)
    return _SHOULDERS, _TRUNK if trunk else _SHOULDERS


def hand_roots(layout: Layout) -> tuple[Tensor, Tensor]:
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
        points, known = _seen(landmarks)  # (B, T, V, 3), (B, T, V, 1)
        if self.scored:
            points = torch.cat([points[..., : self.channels - 1], known], dim=-1)  # (B, T, V, C)
        return points[..., : self.channels].permute(0, 3, 1, 2)  # (B, C, T, V)
