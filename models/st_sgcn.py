"""ST-SGCN: hand gestures over sparse directed graphs, of joints in each frame and of frames for each joint.

Ikne, Slama, Saoudi, Wannous: Spatio-Temporal Sparse Graph Convolution Network for Hand Gesture Recognition, FG 2024,
hal-04574611; its sparse graphs are those of Shi et al. 2021, SGCN. The sizes are the published ones for Briareo; what
differs from the published code by default is said at the option that brings it back.
frames=32, embed=32, width=8, hidden=(64, 32) makes one for a CPU.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from landmarks import Layout
from models.network import Network
from models.normalise import AsGiven, Normalise

Links = Literal["bones", "connections"]
LinkCount = Literal["both-and-self", "outward", "outward-and-self"]
TimePrior = Literal["self-and-later", "self-and-earlier", "self", "later"]
Positions = Literal["sinusoid", "published", "none"]

HAND_CONNECTIONS = (
    *(("thumb_cmc", "wrist"), ("index_mcp", "wrist"), ("pinky_mcp", "wrist")),
    *(("middle_mcp", "index_mcp"), ("ring_mcp", "middle_mcp"), ("pinky_mcp", "ring_mcp")),
    *(("thumb_mcp", "thumb_cmc"), ("thumb_ip", "thumb_mcp"), ("thumb_tip", "thumb_ip")),
    *(
        (f"{finger}_{part}", f"{finger}_{before}")
        for finger in ("index", "middle", "ring", "pinky")
        for before, part in (("mcp", "pip"), ("pip", "dip"), ("dip", "tip"))
    ),
)
"""(child, parent) of the 21 links that MediaPipe draws: around the palm, where bones would go to the wrist."""

_NORMALISED = ("position", "hand", "velocity", "seen", "links")
_GIVEN = ("x", "y", "z", "links", "speed", "acceleration", "other")
_UNSEEN = -1.0
"""What stands in all columns of an unseen joint, in published inputs."""
_SMALLEST_SUM = 1e-5
"""Added to the sum that a row is divided by (Shi et al. 2021, as published)."""


@dataclass(frozen=True)
class Config:
    """What an ST-SGCN is built from.

    labels: outputs. fps: frames per second of its input.
    frames: T that the weights are for; a window of another length is taken at as many even moments, linear between
        two frames.
    embed: channels in which joints, and frames, are compared; heads: H graphs beside each other, each on its share.
    masks: asymmetric convolutions before links are cut. width: D, channels out of each graph convolution.
    cross_hops: graph convolutions over the other axis after the first one: 1 as in the paper, whose features cross
        from space to time and from time to space; 0 in all published weights.
    hidden: channels of the two layers before the last. dropout: after each graph convolution and hidden layer, when
        training; the published code goes on dropping in evaluation.
    links: which joints the prior links: by the layout's `bones`, or by MediaPipe's `connections` as published for
        hands of 21 joints. self_links: weight of a joint's link to itself; published 1 for MediaPipe, 2 for SHREC.
    time_prior: frames that the prior links each frame to. Published is `later`, without the frame itself; `self` is
        SGCN's (Shi et al. 2021).
    positions: what tells frames apart where joints are compared: a `sinusoid` of one frequency for each two channels;
        as `published`, one for all, which takes an even number of channels; `none`.
    inputs: `normalised` features (models.normalise), or coordinates as `given` to published weights, where unseen
        joints are -1.
    columns: what a joint is told by, in this order. Normalised: position, hand (position from its hand's wrist),
        velocity, seen, links (how many it has, as a share of the most); empty is all of these. Given: x, y, z, links,
        speed and acceleration (published for Briareo: not in time, but from each joint to the next in the layout),
        other (no landmark gives it, so only `classify` can be asked); empty is x, y, z, links, as for IPN Hand.
    link_count: what counts for `links`: both ends of each link and the joint itself (published for SHREC'17); only
        its end nearer to the wrist (Briareo, IPN Hand); that and the joint itself (SHREC'21).
    axes: 3 takes z too, 2 does not; hand_depth: z within the hands all the same, where inputs are normalised.
    """

    labels: int
    fps: float
    frames: int = 60
    embed: int = 64
    heads: int = 4
    masks: int = 3
    width: int = 16
    cross_hops: int = 1
    hidden: tuple[int, int] = (512, 128)
    dropout: float = 0.5
    links: Links = "bones"
    self_links: float = 1.0
    time_prior: TimePrior = "self-and-later"
    positions: Positions = "sinusoid"
    inputs: Literal["normalised", "given"] = "normalised"
    columns: tuple[str, ...] = ()
    link_count: LinkCount = "both-and-self"
    axes: int = 3
    hand_depth: bool = False

    def __post_init__(self) -> None:
        sizes = (self.labels, self.embed, self.heads, self.masks, self.width, *self.hidden)
        if min(sizes) < 1 or len(self.hidden) != 2 or not self.fps > 0:
            raise ValueError(
                "labels, embed, heads, masks, width and two hidden widths are at least 1 and fps is above 0, "
                f"got {sizes}, {self.fps}"
            )
        if self.embed % self.heads:
            raise ValueError(f"embed is a multiple of heads, got {self.embed} and {self.heads}")
        if self.frames < 2 or self.cross_hops < 0 or not self.self_links >= 0 or not 0 <= self.dropout < 1:
            raise ValueError(
                "need frames >= 2, cross_hops >= 0, self_links >= 0 and 0 <= dropout < 1, "
                f"got {self.frames}, {self.cross_hops}, {self.self_links}, {self.dropout}"
            )
        if self.axes not in (2, 3):
            raise ValueError(f"axes is 2 or 3, got {self.axes}")
        for name, value, known in (
            ("links", self.links, ("bones", "connections")),
            ("link_count", self.link_count, ("both-and-self", "outward", "outward-and-self")),
            ("time_prior", self.time_prior, ("self-and-later", "self-and-earlier", "self", "later")),
            ("positions", self.positions, ("sinusoid", "published", "none")),
            ("inputs", self.inputs, ("normalised", "given")),
        ):
            if value not in known:
                raise ValueError(f"{name} is one of {', '.join(known)}, got {value!r}")
        known = _NORMALISED if self.inputs == "normalised" else _GIVEN
        once = [column for column in self.columns if column != "other"]
        if not set(self.columns) <= set(known) or len(set(once)) < len(once):
            raise ValueError(f"columns of {self.inputs} inputs are {', '.join(known)}, once each; got {self.columns}")
        if self.positions == "published" and self.channels % 2:
            raise ValueError(f"published positions take an even number of channels, {self.told} make {self.channels}")

    @property
    def told(self) -> tuple[str, ...]:
        """The columns, where they are said and where they are not."""
        return self.columns or (_NORMALISED if self.inputs == "normalised" else ("x", "y", "z", "links"))

    @property
    def channels(self) -> int:
        """C of its features."""
        if self.inputs == "given":
            return len(self.told)
        sizes = {"position": self.axes, "hand": 3 if self.hand_depth else self.axes, "velocity": self.axes}
        return sum(sizes.get(column, 1) for column in self.told)


def edges(layout: Layout, links: Links) -> NDArray[np.intp]:
    """(E, 2) the linked joints as (child, parent) positions. Raises UnknownJoint where the layout is no such hand."""
    if links == "bones":
        return layout.edges
    return layout.indices(*(joint for link in HAND_CONNECTIONS for joint in link)).reshape(-1, 2)


def joint_prior(layout: Layout, config: Config) -> Tensor:
    """(V, V) 1 between linked joints, and the weight of a joint's own link."""
    prior = torch.eye(len(layout)) * config.self_links  # (V, V)
    children, parents = torch.from_numpy(edges(layout, config.links).T.copy())  # (E,), (E,)
    prior[children, parents] = 1.0
    prior[parents, children] = 1.0
    return prior


def time_prior(config: Config) -> Tensor:
    """(T, T) 1 from a frame (row) to those that it looks at."""
    every = torch.ones(config.frames, config.frames)  # (T, T)
    if config.time_prior == "self":
        return torch.eye(config.frames)  # (T, T)
    if config.time_prior == "self-and-earlier":
        return every.tril()  # (T, T)
    return every.triu(1 if config.time_prior == "later" else 0)  # (T, T)


def positions(config: Config) -> Tensor:
    """(T, 1, C) sine on even channels and cosine on odd ones, of each frame's number."""
    if config.positions == "none":
        return torch.zeros(config.frames, 1, config.channels)  # (T, 1, C)
    channel = torch.arange(config.channels)  # (C,)
    pair = channel // 2 if config.positions == "sinusoid" else torch.ones_like(channel)  # (C,)
    rate = 10_000.0 ** (-2.0 * pair.double() / config.channels)  # (C,)
    angle = torch.arange(config.frames).view(-1, 1, 1) * rate  # (T, 1, C)
    return torch.where(channel % 2 == 0, angle.sin(), angle.cos()).float()  # (T, 1, C)


def link_shares(layout: Layout, config: Config) -> Tensor:
    """(1, 1, 1, V) how many links each joint has, as a share of the most that one has."""
    children, parents = edges(layout, config.links).T
    count = np.bincount(parents, minlength=len(layout)).astype(np.float32)  # (V,)
    if config.link_count == "both-and-self":
        count += np.bincount(children, minlength=len(layout))
    if config.link_count != "outward":
        count += 1
    return torch.from_numpy(count / max(count.max(), 1)).view(1, 1, 1, -1)  # (1, 1, 1, V)


class NormalisedColumns(nn.Module):
    """The wanted columns of normalised features; all are 0 where a joint is not seen.

    In: (B, T, V, 3) in square units, NaN where unseen. Out: (B, C, T, V).
    """

    def __init__(self, layout: Layout, config: Config) -> None:
        super().__init__()
        self.columns, self.channels = config.told, config.channels
        self.normalise = Normalise(layout, config.fps, config.axes, config.hand_depth)
        self.sizes = [config.axes, self.normalise.hand_axes, config.axes, 1]
        self.register_buffer("links", link_shares(layout, config), persistent=False)
        self.links: Tensor

    def forward(self, landmarks: Tensor) -> Tensor:
        """(B, T, V, 3) -> (B, C, T, V)."""
        position, hand, velocity, seen = self.normalise(landmarks).split(self.sizes, dim=1)  # (B, ~A, T, V) each
        told = {"position": position, "hand": hand, "velocity": velocity, "seen": seen, "links": self.links * seen}
        return torch.cat([told[column] for column in self.columns], dim=1)  # (B, C, T, V)


class GivenColumns(nn.Module):
    """Coordinates as they come with what was published beside them; all are -1 where a joint is not seen.

    In: (B, T, V, 3), NaN where unseen. Out: (B, C, T, V). Raises ValueError for a column that is no landmark's.
    """

    def __init__(self, layout: Layout, config: Config) -> None:
        super().__init__()
        self.columns, self.channels = config.told, config.channels
        self.given = AsGiven(4, scored=True)
        self.register_buffer("links", link_shares(layout, config), persistent=False)
        self.links: Tensor

    def forward(self, landmarks: Tensor) -> Tensor:
        """(B, T, V, 3) -> (B, C, T, V)."""
        if "other" in self.columns:
            raise ValueError(
                f"these weights take {self.channels} columns a joint, of which {self.columns.count('other')} are not "
                "made of landmarks (rotations, as published for SHREC'21); give them to `classify`"
            )
        x = self.given(landmarks)  # (B, 4, T, V)
        seen = x[:, 3:]  # (B, 1, T, V)
        place = torch.cat([self.links.expand_as(seen), x[:, :3]], dim=1)  # (B, 4, T, V)
        place = torch.where(seen > 0, place, torch.full_like(place, _UNSEEN))  # (B, 4, T, V)
        apart = (place[..., 1:] - place[..., :-1]).square().sum(dim=1, keepdim=True)  # (B, 1, T, V-1)
        start = torch.zeros_like(seen[..., :2])  # (B, 1, T, 2)
        # sqrt of an exact 0 has no gradient, and unseen joints are all in one place.
        speed = torch.cat([start[..., :1], (apart + 1e-12).sqrt()], dim=3)  # (B, 1, T, V)
        acceleration = torch.cat([start, speed[..., 2:] - speed[..., 1:-1]], dim=3)  # (B, 1, T, V)
        links, x_axis, y_axis, z_axis = place.split(1, dim=1)  # (B, 1, T, V) each
        told = {"x": x_axis, "y": y_axis, "z": z_axis, "links": links, "speed": speed, "acceleration": acceleration}
        columns = torch.cat([told[column] for column in self.columns], dim=1)  # (B, C, T, V)
        return torch.where(seen > 0, columns, torch.full_like(columns, _UNSEEN))  # (B, C, T, V)


class Moments(nn.Module):
    """As many frames as wanted, evenly from the first to the last, linear between two.

    In: (B, C, T', V). Out: (B, C, T, V); as it came where it has as many.
    """

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.frames = frames

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T', V) -> (B, C, T, V)."""
        given = x.shape[2]
        if given == self.frames:
            return x
        at = torch.arange(self.frames, device=x.device) * ((given - 1) / (self.frames - 1))  # (T,)
        away = (at.unsqueeze(1) - torch.arange(given, device=x.device)).abs()  # (T, T')
        return torch.matmul((1 - away).clamp(min=0).to(x.dtype), x)  # (B, C, T, V)


class Attention(nn.Module):
    """How much each of N nodes looks at each other one, in each head.

    In: (..., N, C). Out: (..., H, N, N), indexed (looking, looked at); rows sum to 1.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.heads = config.heads
        self.embed = nn.Linear(config.channels, config.embed)
        self.query, self.key = nn.Linear(config.embed, config.embed), nn.Linear(config.embed, config.embed)

    def forward(self, x: Tensor) -> Tensor:
        """(..., N, C) -> (..., H, N, N)."""
        x = self.embed(x)  # (..., N, E)
        query = self.query(x).unflatten(-1, (self.heads, -1)).transpose(-3, -2)  # (..., H, N, E/H)
        key = self.key(x).unflatten(-1, (self.heads, -1)).transpose(-3, -2)  # (..., H, N, E/H)
        # Over all E channels, not over a head's: so Shi et al. 2021 do, and with them published weights.
        alike = torch.matmul(query, key.transpose(-2, -1)) / math.sqrt(x.shape[-1])  # (..., H, N, N)
        return torch.softmax(alike, dim=-1)  # (..., H, N, N)


class OverFrames(nn.Module):
    """A link's strength in each frame from its strengths in all of them.

    In and out: (B, T, H, V, V).
    """

    def __init__(self, frames: int) -> None:
        super().__init__()

        def mix() -> tuple[nn.Module, nn.Module]:
            return nn.Conv2d(frames, frames, kernel_size=1), nn.BatchNorm2d(frames)

        self.mix = nn.Sequential(*mix(), nn.PReLU(), *mix())
        self.around = nn.Sequential(*mix())

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, H, V, V) -> (B, T, H, V, V)."""
        by_head = x.transpose(1, 2).flatten(0, 1)  # (B*H, T, V, V)
        mixed = torch.relu(self.mix(by_head) + self.around(by_head))  # (B*H, T, V, V)
        return mixed.unflatten(0, (-1, x.shape[2])).transpose(1, 2)  # (B, T, H, V, V)


class AsymmetricConv(nn.Module):
    """Each link beside those of its neighbours as looking ones, and as looked at ones (Shi et al. 2021).

    In and out: (N, H, S, S).
    """

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.looking = nn.Conv2d(heads, heads, (3, 1), padding=(1, 0), bias=False)
        self.looked_at = nn.Conv2d(heads, heads, (1, 3), padding=(0, 1))
        self.slope = nn.PReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, S, S) -> (N, H, S, S)."""
        return self.slope(self.looking(x) + self.looked_at(x)) + x  # (N, H, S, S)


class Mask(nn.Module):
    """Which links there are: a weight above 0.5, or exactly 0.

    In and out: (B, L, H, S, S).
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(AsymmetricConv(config.heads) for _ in range(config.masks)))

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, H, S, S) -> (B, L, H, S, S)."""
        weight = torch.sigmoid(self.layers(x.flatten(0, 1)))  # (B*L, H, S, S)
        weight = torch.where(weight > 0.5, weight, torch.zeros_like(weight))  # (B*L, H, S, S)
        return weight.unflatten(0, (-1, x.shape[1]))  # (B, L, H, S, S)


def sparse_softmax(x: Tensor) -> Tensor:
    """(..., S, S) -> (..., S, S): rows sum to nearly 1, or to 0, and what is 0 stays 0 (Shi et al. 2021)."""
    x = (x.exp() - 1).square()  # (..., S, S)
    return x / (x.sum(dim=-1, keepdim=True) + _SMALLEST_SUM)  # (..., S, S)


class SparseGraphs(nn.Module):
    """The two graphs of a clip: which joints look at which in each frame, which frames at which for each joint.

    In: (B, C, T, V). Out: (B, T, H, V, V) and (B, V, H, T, T), indexed (looking, looked at). Buffers joint_prior
    (V, V), time_prior (T, T), positions (T, 1, C).
    """

    def __init__(self, layout: Layout, config: Config) -> None:
        super().__init__()
        self.joints, self.frames = Attention(config), Attention(config)
        self.over_frames = OverFrames(config.frames)
        self.joint_mask, self.frame_mask = Mask(config), Mask(config)
        self.register_buffer("joint_prior", joint_prior(layout, config), persistent=False)
        self.register_buffer("time_prior", time_prior(config), persistent=False)
        self.register_buffer("positions", positions(config), persistent=False)
        self.joint_prior: Tensor
        self.time_prior: Tensor
        self.positions: Tensor

    def forward(self, x: Tensor, prior: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(B, C, T, V), and (V, V) in place of the joint prior -> (B, T, H, V, V), (B, V, H, T, T)."""
        joints = self.joints(x.permute(0, 2, 3, 1) + self.positions)  # (B, T, H, V, V)
        # Frames are compared without their numbers, as published; the mask's prior and the last layers know them.
        frames = self.frames(x.permute(0, 3, 2, 1))  # (B, V, H, T, T)
        joint_mask = self.joint_mask(self.over_frames(joints))  # (B, T, H, V, V)
        joint_mask = joint_mask + (self.joint_prior if prior is None else prior)  # (B, T, H, V, V)
        frame_mask = self.frame_mask(frames) + self.time_prior  # (B, V, H, T, T)
        return sparse_softmax(joints * joint_mask), sparse_softmax(frames * frame_mask)


class GraphConv(nn.Module):
    """What a node is told by those that it looks at; without bias, so one that looks at nobody is told nothing.

    In: graph (B, L, H, S, S), x (B, L, H, S, C) or one for all heads (B, L, 1, S, C). Out: (B, L, H, S, D).
    """

    def __init__(self, channels: int, config: Config) -> None:
        super().__init__()
        self.project = nn.Linear(channels, config.width, bias=False)
        self.slope = nn.PReLU()
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, graph: Tensor, x: Tensor) -> Tensor:
        """(B, L, H, S, S), (B, L, H, S, C) -> (B, L, H, S, D)."""
        return self.dropout(self.slope(self.project(torch.matmul(graph, x))))  # (B, L, H, S, D)


class Branch(nn.ModuleList):
    """A graph convolution over one axis, and as many as wanted over the other one after it.

    In: its own axis' graph (B, L, H, S, S), the other's (B, S, H, L, L), x (B, L, 1, S, C).
    Out: (B, S, H, L, D), turned to the other axis.
    """

    def __init__(self, config: Config) -> None:
        crossing = (GraphConv(config.width, config) for _ in range(config.cross_hops))
        super().__init__([GraphConv(config.channels, config), *crossing])

    def forward(self, own: Tensor, other: Tensor, x: Tensor) -> Tensor:
        """(B, L, H, S, S), (B, S, H, L, L), (B, L, 1, S, C) -> (B, S, H, L, D)."""
        first, *crossing = self
        x = first(own, x).transpose(1, 3)  # (B, S, H, L, D)
        for conv in crossing:
            x = conv(other, x)  # (B, S, H, L, D)
        return x


@dataclass(frozen=True, eq=False)
class Explanation:
    """An answer, and what it comes from.

    joints: (B, T, H, V, V) how much a joint (row) takes from each other one, in each frame and head. frames:
    (B, V, H, T, T) how much a frame (row) takes from each other one, for each joint and head. Exact zeros are links
    that were cut. nodes: (B, V, T, D) what each joint of each frame has become. logits: (B, labels), before softmax.
    """

    joints: Tensor
    frames: Tensor
    nodes: Tensor
    logits: Tensor


class STSGCN(Network):
    """Raw landmarks in, probabilities out. See Config.

    layout: V joints, in the order of the input.
    """

    channels_last = True

    def __init__(self, layout: Layout, config: Config) -> None:
        super().__init__()
        self.layout, self.config = layout, config
        columns = NormalisedColumns if config.inputs == "normalised" else GivenColumns
        self.features = columns(layout, config)
        self.moments = Moments(config.frames)
        self.graphs = SparseGraphs(layout, config)
        self.space, self.time = Branch(config), Branch(config)
        self.merge = nn.Conv2d(config.heads, config.heads, kernel_size=1, bias=False)
        first, second = config.hidden
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(len(layout) * config.frames * config.width, first),
            nn.PReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(first, second),
            nn.PReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(second, config.labels),
        )

    def classify(self, features: Tensor) -> Tensor:
        """(B, C, T', V) -> (B, labels), before softmax."""
        return self.explain(features).logits  # (B, labels)

    def explain(self, features: Tensor, prior: Tensor | None = None) -> Explanation:
        """(B, C, T', V) -> the answer with its graphs; `prior` (V, V) stands in for the network's prior of joints."""
        x = self.moments(features)  # (B, C, T, V)
        joints, frames = self.graphs(x, prior)  # (B, T, H, V, V), (B, V, H, T, T)
        space = self.space(joints, frames, x.permute(0, 2, 3, 1).unsqueeze(2))  # (B, V, H, T, D)
        time = self.time(frames, joints, x.permute(0, 3, 2, 1).unsqueeze(2)).transpose(1, 3)  # (B, V, H, T, D)
        nodes = self._merged(space, time)  # (B, V, T, D)
        return Explanation(joints, frames, nodes, self.head(nodes))

    def _merged(self, space: Tensor, time: Tensor) -> Tensor:
        """(B, V, H, T, D) twice -> their heads' mean (B, V, T, D); those of space are mixed before."""
        mixed = self.merge(space.flatten(0, 1)).unflatten(0, (-1, space.shape[1]))  # (B, V, H, T, D)
        return (mixed + time).mean(dim=2)  # (B, V, T, D)
