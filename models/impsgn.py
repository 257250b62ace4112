"""impSGN: SGN with four inputs, a graph of its own in each of three blocks, and convolutions of several dilations.

Mansouri, Bakir, Elzaar, Journal of Visual Communication and Image Representation 104:104281, 2024. Where what was
published does other than the paper says, the paper's is the default and the published an option.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from landmarks import Layout
from models import sgn
from models.sgn import Embed, FewFrames, GraphLayer, JointNorm, OverFrames, Relation, Semantics
from models.streams import Bones, difference

_BONE_MARGIN = 1e-4
"""Added to a bone's length before its direction is taken (as published)."""
_COSINE_LIMIT = 1 - 1e-6
"""Beyond it an arc cosine's gradient is not finite; only bones longer than 100 units come so near to an axis."""


@dataclass(frozen=True)
class Config(sgn.Config):
    """What an impSGN is built from: the fields of an SGN, and

    widths: channels out of each block. inner: channels between a block's graph layers.
    branch: channels of each branch of its multi-scale convolution; dilations: one branch each, and two more.
    axis: what that convolution slides over: `time`, or `joint` as published, from a joint to the next in the layout.
    attention: `joint-time` weighs a block's joints and frames, as the paper has it; `none` as published.
    velocity_weights: one a joint, of the second velocity input; none is 1 for each. The batch normalisation after
        it takes them out again, whatever they are; published weights need their own (1, 2, 3, 5, 7, ... by index).
    centre: also the joint from which positions are taken in the second half of the first input.
    """

    widths: tuple[int, ...] = (256, 256, 512)
    inner: tuple[int, ...] = (128, 256)
    branch: int = 42
    dilations: tuple[int, ...] = (1, 2, 3, 4)
    axis: Literal["time", "joint"] = "time"
    attention: Literal["joint-time", "none"] = "joint-time"
    velocity_weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.segments < 3:
            raise ValueError(f"velocities look two frames ahead: need segments >= 3, got {self.segments}")
        if min(self.branch, *self.inner, *self.dilations) < 1 or not self.dilations:
            raise ValueError(
                f"branch, inner and dilations are at least 1, got {self.branch}, {self.inner}, {self.dilations}"
            )
        if self.axis not in ("time", "joint"):
            raise ValueError(f"axis is time or joint, got {self.axis!r}")
        if self.attention not in ("joint-time", "none"):
            raise ValueError(f"attention is joint-time or none, got {self.attention!r}")


class MultiScale(nn.Module):
    """Views of several dilations side by side, a maximum, the place itself; and a way around (Liu et al. 2020, MS-G3D).

    In: (B, C, T, V). Out: (B, N * branch, T, V), N = one view a dilation, and two.
    """

    def __init__(self, channels: int, config: Config) -> None:
        super().__init__()

        def along(reach: int, across: int) -> tuple[int, int]:
            return (reach, across) if config.axis == "time" else (across, reach)

        def narrow(*then: nn.Module) -> nn.Sequential:
            return nn.Sequential(nn.Conv2d(channels, config.branch, 1), nn.BatchNorm2d(config.branch), *then)

        def slide(dilation: int) -> nn.Conv2d:
            kernel, padding = along(3, 1), along(dilation, 0)
            return nn.Conv2d(config.branch, config.branch, kernel, padding=padding, dilation=along(dilation, 1))

        self.views = nn.ModuleList(
            narrow(nn.ReLU(), slide(dilation), nn.BatchNorm2d(config.branch)) for dilation in config.dilations
        )
        pool = nn.MaxPool2d(along(3, 1), stride=1, padding=along(1, 0))
        self.views.append(narrow(nn.ReLU(), pool, nn.BatchNorm2d(config.branch)))
        self.views.append(narrow())
        self.out = len(self.views) * config.branch
        self.around = nn.Sequential(nn.Conv2d(channels, self.out, 1), nn.BatchNorm2d(self.out))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, V) -> (B, N * branch, T, V)."""
        views = torch.cat([view(x) for view in self.views], dim=1)  # (B, N * branch, T, V)
        return torch.relu(views + self.around(x))  # (B, N * branch, T, V)


class JointTime(nn.Module):
    """How much each frame and each joint counts, each channel its own (Song et al. 2022, EfficientGCN, ST-JointAtt).

    In and out: (B, C, T, V).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        reduced = max(1, channels // 2)
        self.reduce = nn.Sequential(nn.Conv2d(channels, reduced, 1), nn.BatchNorm2d(reduced), nn.Hardswish())
        self.frames = nn.Conv2d(reduced, channels, 1)
        self.joints = nn.Conv2d(reduced, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, V) -> (B, C, T, V)."""
        by_frame = x.mean(dim=3, keepdim=True)  # (B, C, T, 1)
        by_joint = x.mean(dim=2, keepdim=True).transpose(2, 3)  # (B, C, V, 1)
        both = self.reduce(torch.cat([by_frame, by_joint], dim=2))  # (B, C/2, T+V, 1)
        frames, joints = both.split([x.shape[2], x.shape[3]], dim=2)  # (B, C/2, T, 1), (B, C/2, V, 1)
        frame_weight = torch.sigmoid(self.frames(frames))  # (B, C, T, 1)
        joint_weight = torch.sigmoid(self.joints(joints.transpose(2, 3)))  # (B, C, 1, V)
        return x * frame_weight * joint_weight  # (B, C, T, V)


class Block(nn.Module):
    """Graph layers over one relation, the multi-scale convolution, and a way around each of both.

    In: (B, C, T, V). Out: (B, D, T, V).
    """

    def __init__(self, channels: int, out: int, joints: int, config: Config) -> None:
        super().__init__()
        self.relation = Relation(channels, config.relation, config.bias)
        widths = (channels, *config.inner, out)
        self.layers = nn.ModuleList(GraphLayer(narrow, wide, config.bias) for narrow, wide in pairwise(widths))
        self.norm = JointNorm(out, joints)
        self.scales = MultiScale(out, config)
        self.widen = nn.Conv2d(self.scales.out, out, 1)
        self.attention = JointTime(out) if config.attention == "joint-time" else nn.Identity()
        self.around = nn.Conv2d(channels, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, V) -> (B, D, T, V)."""
        around, links = self.around(x), self.relation(x)  # (B, D, T, V), (B, T, V, V)
        for layer in self.layers:
            x = layer(x, links)  # (B, D, T, V)
        x = torch.relu(self.norm(x)) + around  # (B, D, T, V)
        return self.attention(self.widen(self.scales(x))) + around  # (B, D, T, V)


class ImpSGN(FewFrames):
    """Raw landmarks in, probabilities out. See Config."""

    def __init__(self, layout: Layout, config: Config) -> None:
        super().__init__(layout, config)
        self.config = config
        joints = len(layout)
        weights = torch.tensor(config.velocity_weights or (1.0,) * joints, dtype=torch.float32)  # (V,)
        if len(weights) != joints:
            raise ValueError(f"need one velocity weight a joint, got {len(weights)} for {joints} joints")
        self.register_buffer("weights", weights, persistent=False)
        self.register_buffer(
            "centre", torch.from_numpy(layout.indices(config.centre or layout.centre)), persistent=False
        )
        self.weights: Tensor
        self.bones = Bones(layout)
        self.centre: Tensor
        pair = 2 * config.axes
        self.position = Embed(config.axes + self.channels, joints, config.embed, config.bias)
        self.velocity = Embed(pair, joints, config.embed, config.bias)
        self.weighted = Embed(pair, joints, config.embed, config.bias)
        self.bone = Embed(pair, joints, config.embed, config.bias)
        self.which_joint = Semantics((1, joints), config.embed, config.embed, config.bias)
        self.which_frame = Semantics((config.segments, 1), config.embed, config.widths[-1], config.bias)
        widths = (2 * config.embed, *config.widths)
        self.blocks = nn.ModuleList(Block(channels, out, joints, config) for channels, out in pairwise(widths))
        self.over_frames = OverFrames(widths[-1], config)
        self.head = nn.Linear(config.frame_width, config.labels)
        # The published code sets the neighbours' weights to 0 as SGN does, and then overwrites them.
        sgn.initialise(self)

    def decide(self, frames: Tensor) -> Tensor:
        """(B, C, F, V), the picked frames -> (B, labels), before softmax."""
        position, velocity, bone = self.streams(frames)  # (B, C+A, F, V), (B, 2*A, F, V), (B, 2*A, F, V)
        x = self.position(position) + self.velocity(velocity)  # (B, E, F, V)
        x = x + self.weighted(velocity * self.weights) + self.bone(bone)  # (B, E, F, V)
        x = sgn.with_semantics(x, self.which_joint())  # (B, 2*E, F, V)
        for block in self.blocks:
            x = block(x)  # (B, D, F, V)
        return self.head(self.over_frames(x + self.which_frame()))  # (B, labels)

    def streams(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, C, F, V) -> position (B, C+A, F, V), velocity (B, 2*A, F, V) and bone (B, 2*A, F, V).

        position: where a joint is; where it is from the centre; whatever else the features tell.
        velocity: how far it goes in one frame, and in two; 0 in the last two frames.
        bone: from its parent to it; the angles between that and the axes, in radians.
        Differences are 0 where one of their ends is not seen.
        """
        places = self.places(frames)  # (B, A+1, F, V)
        from_centre = difference(places, places.index_select(3, self.centre), "seen")[:, :-1]  # (B, A, F, V)
        told = [frames[:, self.axes :]] if self.tells_seen else []  # (B, C-A, F, V)
        position = torch.cat([frames[:, : self.axes], from_centre, *told], dim=1)  # (B, C+A, F, V)
        now, last = places[:, :, :-2], places.shape[2] - 2  # (B, A+1, F-2, V)
        gone = [difference(places[:, :, step : step + last], now, "seen")[:, :-1] for step in (1, 2)]  # (B, A, F-2, V)
        velocity = torch.cat(gone, dim=1)  # (B, 2*A, F-2, V)
        velocity = torch.cat([velocity, torch.zeros_like(velocity[:, :, :2])], dim=2)  # (B, 2*A, F, V)
        bone = self.bones(places)[:, :-1]  # (B, A, F, V)
        # sqrt of an exact 0 has no gradient, and the root's bone is one.
        length = (bone.square().sum(dim=1, keepdim=True) + 1e-12).sqrt()  # (B, 1, F, V)
        cosine = (bone / (length + _BONE_MARGIN)).clamp(-_COSINE_LIMIT, _COSINE_LIMIT)  # (B, A, F, V)
        return position, velocity, torch.cat([bone, torch.acos(cosine)], dim=1)
