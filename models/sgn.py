"""SGN: what each joint and each frame is goes in with the coordinates; who listens to whom is learned frame by frame.

Zhang, Lan, Zeng, Xing, Xue, Zheng: Semantics-Guided Neural Networks for Efficient Skeleton-Based Human Action
Recognition, CVPR 2020. The defaults are the published network; a window of any length is answered from 20 frames.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from landmarks import Layout
from models.network import Network
from models.normalise import AsGiven, Normalise
from models.streams import difference


@dataclass(frozen=True)
class Config:
    """What an SGN is built from.

    labels: outputs. fps: frames per second of its input.
    segments: equal parts F that the window is cut into; one frame of each is looked at, in training a random one, else
        the middle one. A window of fewer frames shows some of them more than once.
    draws: D frames of each part, evenly spread, are looked at instead, and the mean of their logits is the answer.
        Published figures are means over 5 random draws; these are the same ones every time.
    embed: channels of a joint's movement, and of what a joint is. relation: channels in which joints are compared.
    widths: channels out of each graph layer. frame_width: channels out of the last layers over frames.
    pooled_frames: frames after the maximum over joints, by an adaptive maximum; 0 is as many as there are segments.
        Published networks always have 20.
    dropout: of whole channels, between the layers over frames.
    bias: of every convolution but those that mix neighbours.
    inputs: `normalised` features, see Positions; coordinates as `given` to published weights; or `centred` as their
        data was, see Centred.
    centre: the joint that is the origin of centred coordinates; empty for the layout's centre.
    axes: 3 takes z too, 2 does not; hand_depth: z within the hands all the same, where inputs are normalised.
    """

    labels: int
    fps: float
    segments: int = 20
    draws: int = 1
    embed: int = 64
    relation: int = 256
    widths: tuple[int, ...] = (128, 256, 256)
    frame_width: int = 512
    pooled_frames: int = 0
    dropout: float = 0.2
    bias: bool = True
    inputs: Literal["normalised", "given", "centred"] = "normalised"
    centre: str = ""
    axes: int = 3
    hand_depth: bool = False

    def __post_init__(self) -> None:
        sizes = (self.labels, self.segments, self.draws, self.embed, self.relation, self.frame_width, *self.widths)
        if min(sizes) < 1 or not self.widths or self.pooled_frames < 0 or not self.fps > 0:
            raise ValueError(
                "labels, segments, draws, embed, relation, frame_width and widths are at least 1, fps is above 0 and "
                f"pooled_frames not below 0, got {sizes}, {self.fps}, {self.pooled_frames}"
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"need 0 <= dropout < 1, got {self.dropout}")
        if self.axes not in (2, 3):
            raise ValueError(f"axes is 2 or 3, got {self.axes}")
        if self.inputs not in ("normalised", "given", "centred"):
            raise ValueError(f"inputs is one of normalised, given, centred, got {self.inputs!r}")


class Positions(nn.Module):
    """Normalised positions, hand shapes and what was seen; velocities follow once frames are picked.

    In: (B, T, V, 3) in square units, NaN where unseen.
    Out: (B, C, T, V), C = axes + (3 with hand depth, else axes) + 1: position; position from the hand's own wrist;
    1 where seen. All as in Normalise.
    """

    def __init__(self, layout: Layout, config: Config) -> None:
        super().__init__()
        self.normalise = Normalise(layout, config.fps, config.axes, config.hand_depth)
        self.places = config.axes + self.normalise.hand_axes
        self.channels = self.places + 1

    def forward(self, landmarks: Tensor) -> Tensor:
        """(B, T, V, 3) -> (B, C, T, V)."""
        x = self.normalise(landmarks)  # (B, 2*A+H+1, T, V)
        return torch.cat([x[:, : self.places], x[:, -1:]], dim=1)  # (B, C, T, V)


class Centred(nn.Module):
    """Coordinates from where one joint was first seen, unscaled; 0 where unseen: published preprocessing of NTU.

    In: (B, T, V, 3), NaN where unseen. Out: (B, axes, T, V).
    """

    def __init__(self, layout: Layout, centre: str, axes: int) -> None:
        super().__init__()
        self.centre, self.channels = int(layout.indices(centre)[0]), axes

    def forward(self, landmarks: Tensor) -> Tensor:
        """(B, T, V, 3) -> (B, axes, T, V)."""
        seen = ~torch.isnan(landmarks).any(dim=-1, keepdim=True)  # (B, T, V, 1)
        points = torch.where(seen, landmarks, torch.zeros_like(landmarks))  # (B, T, V, 3)
        known = seen.to(points.dtype)  # (B, T, V, 1)
        frames = landmarks.shape[1]
        earlier = torch.arange(frames, 0, -1, device=points.device).view(-1, 1)  # (T, 1)
        first = (known[:, :, self.centre] * earlier).argmax(dim=1, keepdim=True)  # (B, 1, 1)
        # Where the joint is never seen this is 0, and nothing moves.
        origin = points[:, :, self.centre].gather(1, first.expand(-1, -1, 3))  # (B, 1, 3)
        placed = (points - origin.unsqueeze(2)) * known  # (B, T, V, 3)
        return placed[..., : self.channels].permute(0, 3, 1, 2)  # (B, C, T, V)


class FewFrames(Network, ABC):
    """A network that answers from a few frames of its window, spread evenly, whatever the window's length.

    layout: V joints, in the order of the input. config: an SGN's, or one with more fields.
    """

    def __init__(self, layout: Layout, config: Config) -> None:
        super().__init__()
        self.layout, self.segments, self.draws = layout, config.segments, config.draws
        self.axes, self.tells_seen = config.axes, config.inputs == "normalised"
        features: Positions | Centred | AsGiven
        if config.inputs == "normalised":
            features = Positions(layout, config)
        elif config.inputs == "centred":
            features = Centred(layout, config.centre or layout.centre, config.axes)
        else:
            features = AsGiven(config.axes)
        self.features, self.channels = features, features.channels

    @abstractmethod
    def decide(self, frames: Tensor) -> Tensor:
        """(B, C, F, V), the picked frames -> (B, labels), before softmax."""

    def classify(self, features: Tensor) -> Tensor:
        """(B, C, T, V) -> (B, labels), before softmax. With T = F all frames are looked at, each once."""
        frames = features.shape[2]
        if frames == self.segments:
            return self.decide(features)  # (B, labels)
        if self.training:
            return self.decide(self._drawn(features))  # (B, labels)
        moments = self.segments * self.draws
        # The middle of each of F * D parts, in whole numbers; draw d takes every D-th of them.
        at = (2 * torch.arange(moments, device=features.device) + 1) * frames // (2 * moments)  # (F*D,)
        picked = features.index_select(2, at).unflatten(2, (self.segments, self.draws))  # (B, C, F, D, V)
        each = picked.permute(0, 3, 1, 2, 4).flatten(0, 1)  # (B*D, C, F, V)
        return self.decide(each).unflatten(0, (-1, self.draws)).mean(dim=1)  # (B, labels)

    def _drawn(self, features: Tensor) -> Tensor:
        """A random frame of each part, for each clip its own (Zhang et al. 2020)."""
        batch, channels, frames, joints = features.shape
        starts = torch.arange(self.segments, device=features.device)  # (F,)
        within = torch.rand(batch, self.segments, device=features.device)  # (B, F)
        at = ((starts + within) * (frames / self.segments)).long().clamp(max=frames - 1)  # (B, F)
        return features.gather(2, at[:, None, :, None].expand(-1, channels, -1, joints))  # (B, C, F, V)

    def places(self, frames: Tensor) -> Tensor:
        """(B, C, F, V) -> (B, axes+1, F, V): coordinates, and 1 where seen, or everywhere if inputs do not tell."""
        seen = frames[:, -1:] if self.tells_seen else torch.ones_like(frames[:, :1])  # (B, 1, F, V)
        return torch.cat([frames[:, : self.axes], seen], dim=1)  # (B, axes+1, F, V)


class JointNorm(nn.BatchNorm1d):
    """Batch normalisation with statistics of its own for each channel of each joint.

    In and out: (B, C, T, V).
    """

    def __init__(self, channels: int, joints: int) -> None:
        super().__init__(channels * joints)
        self.each = (channels, joints)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """(B, C, T, V) -> (B, C, T, V)."""
        flat = input.transpose(2, 3).flatten(1, 2)  # (B, C*V, T)
        return super().forward(flat).unflatten(1, self.each).transpose(2, 3)  # (B, C, T, V)


class Embed(nn.Module):
    """Two layers on each joint of each frame by itself (Zhang et al. 2020).

    In: (B, C, T, V). Out: (B, D, T, V).
    """

    def __init__(self, channels: int, joints: int, out: int, bias: bool) -> None:
        super().__init__()
        self.norm = JointNorm(channels, joints)
        self.first = nn.Conv2d(channels, out, 1, bias=bias)
        self.second = nn.Conv2d(out, out, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, V) -> (B, D, T, V)."""
        x = torch.relu(self.first(self.norm(x)))  # (B, D, T, V)
        return torch.relu(self.second(x))  # (B, D, T, V)


class Semantics(nn.Module):
    """What each joint, or each frame, is: two layers on its one-hot number. After training it is a constant.

    Out: (1, D, 1, V) of V joints, or (1, D, F, 1) of F frames; by broadcasting it goes with any batch.
    """

    def __init__(self, shape: tuple[int, int], hidden: int, out: int, bias: bool) -> None:
        super().__init__()
        count = shape[0] * shape[1]
        self.register_buffer("one_hot", torch.eye(count).view(1, count, *shape), persistent=False)  # (1, N, F, V)
        self.one_hot: Tensor
        self.first = nn.Conv2d(count, hidden, 1, bias=bias)
        self.second = nn.Conv2d(hidden, out, 1, bias=bias)

    def forward(self) -> Tensor:
        """(1, D, 1, V) or (1, D, F, 1)."""
        x = torch.relu(self.first(self.one_hot))  # (1, H, F, V)
        return torch.relu(self.second(x))  # (1, D, F, V)


class Relation(nn.Module):
    """How much each joint listens to each other one, in each frame (Zhang et al. 2020).

    In: (B, C, T, V). Out: (B, T, V, V), indexed (listener, source); rows sum to 1.
    """

    def __init__(self, channels: int, compared: int, bias: bool) -> None:
        super().__init__()
        self.listener = nn.Conv2d(channels, compared, 1, bias=bias)
        self.source = nn.Conv2d(channels, compared, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, V) -> (B, T, V, V)."""
        listeners = self.listener(x).permute(0, 2, 3, 1)  # (B, T, V, R)
        sources = self.source(x).permute(0, 2, 1, 3)  # (B, T, R, V)
        return torch.softmax(torch.matmul(listeners, sources), dim=-1)  # (B, T, V, V)


class GraphLayer(nn.Module):
    """What a joint hears, and the joint itself, each by weights of its own (Zhang et al. 2020).

    In: x (B, C, T, V), links (B, T, V, V). Out: (B, D, T, V).
    """

    def __init__(self, channels: int, out: int, bias: bool) -> None:
        super().__init__()
        self.heard = nn.Conv2d(channels, out, 1, bias=False)
        self.itself = nn.Conv2d(channels, out, 1, bias=bias)
        self.norm = nn.BatchNorm2d(out)

    def forward(self, x: Tensor, links: Tensor) -> Tensor:
        """(B, C, T, V), (B, T, V, V) -> (B, D, T, V)."""
        heard = torch.matmul(links, x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)  # (B, C, T, V)
        return torch.relu(self.norm(self.heard(heard) + self.itself(x)))  # (B, D, T, V)


class OverFrames(nn.Module):
    """The strongest joint of each frame, two layers over frames, and the strongest frame.

    In: (B, C, F, V). Out: (B, D).
    """

    def __init__(self, channels: int, config: Config) -> None:
        super().__init__()
        pooled = config.pooled_frames or config.segments
        self.pooled = pooled if pooled != config.segments else 0
        self.register_buffer("bins", _bins(config.segments, pooled), persistent=False)  # (P, K)
        self.bins: Tensor
        self.near = nn.Conv2d(channels, channels, (3, 1), padding=(1, 0), bias=config.bias)
        self.near_norm = nn.BatchNorm2d(channels)
        self.dropout = nn.Dropout2d(config.dropout)
        self.widen = nn.Conv2d(channels, config.frame_width, 1, bias=config.bias)
        self.widen_norm = nn.BatchNorm2d(config.frame_width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, F, V) -> (B, D)."""
        x = x.amax(dim=3, keepdim=True)  # (B, C, F, 1)
        if self.pooled:
            x = x.index_select(2, self.bins.flatten()).unflatten(2, self.bins.shape).amax(dim=3)  # (B, C, P, 1)
        x = self.dropout(torch.relu(self.near_norm(self.near(x))))  # (B, C, P, 1)
        x = torch.relu(self.widen_norm(self.widen(x)))  # (B, D, P, 1)
        return x.amax(dim=(2, 3))  # (B, D)


def _bins(frames: int, pooled: int) -> Tensor:
    """(P, K) the frames of each bin of an adaptive pool, the last of them repeated where bins are shorter than K."""
    ends = [(i * frames // pooled, -(-(i + 1) * frames // pooled)) for i in range(pooled)]
    longest = max(end - start for start, end in ends)
    return torch.tensor([[min(start + k, end - 1) for k in range(longest)] for start, end in ends])


class SGN(FewFrames):
    """Raw landmarks in, probabilities out. See Config."""

    channels_last = True

    def __init__(self, layout: Layout, config: Config) -> None:
        super().__init__(layout, config)
        self.config = config
        joints = len(layout)
        self.position = Embed(self.channels, joints, config.embed, config.bias)
        self.velocity = Embed(config.axes, joints, config.embed, config.bias)
        self.which_joint = Semantics((1, joints), config.embed, config.embed, config.bias)
        self.which_frame = Semantics((config.segments, 1), config.embed, config.widths[-1], config.bias)
        self.relation = Relation(2 * config.embed, config.relation, config.bias)
        widths = (2 * config.embed, *config.widths)
        self.layers = nn.ModuleList(GraphLayer(channels, out, config.bias) for channels, out in pairwise(widths))
        self.over_frames = OverFrames(widths[-1], config)
        self.head = nn.Linear(config.frame_width, config.labels)
        initialise(self)

    def decide(self, frames: Tensor) -> Tensor:
        """(B, C, F, V), the picked frames -> (B, labels), before softmax."""
        places = self.places(frames)  # (B, A+1, F, V)
        moved = difference(places[:, :, 1:], places[:, :, :-1], "seen")[:, :-1]  # (B, A, F-1, V)
        velocity = torch.cat([torch.zeros_like(moved[:, :, :1]), moved], dim=2)  # (B, A, F, V)
        x = self.position(frames) + self.velocity(velocity)  # (B, E, F, V)
        x = with_semantics(x, self.which_joint())  # (B, 2*E, F, V)
        links = self.relation(x)  # (B, F, V, V)
        for layer in self.layers:
            x = layer(x, links)  # (B, D, F, V)
        return self.head(self.over_frames(x + self.which_frame()))  # (B, labels)


def with_semantics(x: Tensor, semantics: Tensor) -> Tensor:
    """(B, C, T, V) and (1, D, 1, V) -> (B, C+D, T, V), side by side."""
    return torch.cat([x, semantics.expand(x.shape[0], -1, x.shape[2], -1)], dim=1)  # (B, C+D, T, V)


def initialise(network: nn.Module) -> None:
    """Start values as published: He's by channels out for convolutions, and no joint hears any other yet."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=math.sqrt(2 / (math.prod(module.kernel_size) * module.out_channels)))
    for module in network.modules():
        if isinstance(module, GraphLayer):
            nn.init.zeros_(module.heard.weight)
