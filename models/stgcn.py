"""ST-GCN and ST-GCN++: graph convolution over joints, convolution over frames.

ST-GCN: Yan, Xiong, Lin: Spatial Temporal Graph Convolutional Networks for Skeleton-Based Action Recognition,
AAAI 2018. ST-GCN++: Duan, Wang, Chen, Lin: PYSKL, ACM MM 2022 (adaptive graph, multi-branch temporal unit).
The defaults are the published networks; a narrow one with few blocks, pooled by body part, answers live on a CPU.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landmarks import Layout
from models.graph import adjacency
from models.normalise import AsGiven, Normalise, Positions, Unit
from models.people import OfPeople, rescale
from models.streams import STREAMS, Stream, StreamName

Edges = Literal["fixed", "importance", "offset", "free"]
GraphBias = Literal["none", "before", "after"]


@dataclass(frozen=True)
class Config:
    """What an ST-GCN is built from.

    labels: outputs. fps: frames per second of its input. persons: M, each of whom its input may show.
    widths, strides: channels out of each block, and how many of its frames a block steps over.
    kernel: frames that a plain temporal convolution sees; odd.
    dropout: in each block after the first. head_dropout: before the last layer.
    partition: kinds of neighbour, see models.graph; `kinds` instead makes K empty ones, to be filled by weights.
    edges: the graph is fixed; each edge has a learned importance, or a learned offset; or all of it is learned.
    graph_bias: of the graph convolution: none, one a kind of neighbour before they are summed, or one after.
    around_graph: a way around the graph convolution, too. around_first: a way around the first block.
    time: a plain temporal convolution, or the branches of ST-GCN++, one for each of `dilations`, and two more.
    scale: the batch normalisation of the input is shared by persons, or tells them apart, or there is none.
    pool: over all joints, or by body part (body, left hand, right hand).
    inputs: `normalised` features (models.normalise), or coordinates as `given` to published weights; `scored` are
        x, y and whether the joint is seen, for weights published for 2-D key points.
    axes: 3 takes z too, 2 does not; hand_depth: z within the hands all the same.
    unit: of normalised features, see models.normalise.
    stream: of normalised inputs only the positions, and what was seen, go in: as joint, bone, joint-motion or
        bone-motion, each for a network of an ensemble (training.ensemble); none takes all features.
    """

    labels: int
    fps: float
    persons: int = 1
    widths: tuple[int, ...] = (64, 64, 64, 64, 128, 128, 128, 256, 256, 256)
    strides: tuple[int, ...] = (1, 1, 1, 1, 2, 1, 1, 2, 1, 1)
    kernel: int = 9
    dropout: float = 0.0
    head_dropout: float = 0.0
    partition: str = "spatial"
    kinds: int = 0
    edges: Edges = "importance"
    graph_bias: GraphBias = "before"
    around_graph: bool = False
    around_first: bool = False
    time: Literal["plain", "branches"] = "plain"
    dilations: tuple[int, ...] = (1, 2, 3, 4)
    scale: Literal["shared", "persons", "none"] = "shared"
    pool: Literal["mean", "parts"] = "mean"
    inputs: Literal["normalised", "given", "scored"] = "normalised"
    axes: int = 3
    hand_depth: bool = False
    unit: Unit = "body"
    stream: StreamName | Literal[""] = ""

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.strides) or not self.widths:
            raise ValueError(f"need one stride a block, got widths {self.widths} and strides {self.strides}")
        if min(*self.widths, *self.strides, self.labels, self.persons) < 1 or not self.fps > 0:
            raise ValueError("widths, strides, labels and persons are at least 1, fps is above 0")
        if self.kernel % 2 == 0 or not (0 <= self.dropout < 1 and 0 <= self.head_dropout < 1):
            raise ValueError(
                f"need an odd kernel and 0 <= dropout < 1, got {self.kernel}, {self.dropout}, {self.head_dropout}"
            )
        if not self.dilations or min(self.dilations) < 1:
            raise ValueError(f"dilations are at least 1, got {self.dilations}")
        if self.time == "branches" and min(self.widths) < len(self.dilations) + 2:
            raise ValueError(f"branches need widths of at least {len(self.dilations) + 2}, got {self.widths}")
        for name, value, known in (
            ("edges", self.edges, ("fixed", "importance", "offset", "free")),
            ("graph_bias", self.graph_bias, ("none", "before", "after")),
            ("time", self.time, ("plain", "branches")),
            ("scale", self.scale, ("shared", "persons", "none")),
            ("pool", self.pool, ("mean", "parts")),
            ("inputs", self.inputs, ("normalised", "given", "scored")),
            ("unit", self.unit, ("body", "picture")),
            ("stream", self.stream or "joint", STREAMS),
        ):
            if value not in known:
                raise ValueError(f"{name} is one of {', '.join(known)}, got {value!r}")
        if self.stream and (self.inputs != "normalised" or self.hand_depth or self.unit != "body"):
            raise ValueError(
                f"stream {self.stream} is of normalised positions in the body's unit, without hand_depth, "
                f"got inputs {self.inputs!r}, unit {self.unit!r} and hand_depth {self.hand_depth}"
            )


@dataclass(frozen=True)
class PlusConfig(Config):
    """What an ST-GCN++ is built from: the fields of an ST-GCN, with the defaults of Duan et al. 2022."""

    partition: str = "direction"
    edges: Edges = "free"
    around_graph: bool = True
    time: Literal["plain", "branches"] = "branches"


class GraphConv(nn.Module):
    """Sum over neighbours, one weight matrix per kind of neighbour (Yan et al. 2018, eq. 10).

    In: (B, C, T, V). Out: (B, D, T, V). adjacency (K, V, V): a buffer, or a parameter where edges are free;
    parameter importance or offset (K, V, V): multiplies or shifts each edge.
    """

    def __init__(self, channels: int, out: int, links: Tensor, edges: Edges, bias: GraphBias) -> None:
        super().__init__()
        self.kinds = links.shape[0]
        self.adjacency: Tensor
        if edges == "free":
            self.adjacency = nn.Parameter(links)
        else:
            self.register_buffer("adjacency", links)
        self.importance = nn.Parameter(torch.ones_like(links)) if edges == "importance" else None
        self.offset = nn.Parameter(torch.zeros_like(links)) if edges == "offset" else None
        self.project = nn.Conv2d(channels * self.kinds, out, kernel_size=1, bias=bias == "after")
        self.kind_bias = nn.Parameter(torch.zeros(self.kinds, out)) if bias == "before" else None

    def edges(self) -> Tensor:
        """(K, V, V) from source to target."""
        if self.importance is not None:
            return self.adjacency * self.importance
        return self.adjacency if self.offset is None else self.adjacency + self.offset

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, V) -> (B, D, T, V)."""
        edges = self.edges()  # (K, V, V)
        # Neighbours are summed before the weights, not after as in the paper: the same, in fewer and larger products.
        x = torch.cat([torch.matmul(x, edges[kind]) for kind in range(self.kinds)], dim=1)  # (B, K*C, T, V)
        x = self.project(x)  # (B, D, T, V)
        if self.kind_bias is not None:
            x = x + torch.matmul(self.kind_bias.T, edges.sum(dim=1)).unsqueeze(1)  # (B, D, T, V) + (D, 1, V)
        return x


class GraphUnit(nn.Module):
    """Graph convolution, and a way around it where asked.

    In: (B, C, T, V). Out: (B, D, T, V).
    """

    def __init__(self, channels: int, out: int, links: Tensor, config: Config) -> None:
        super().__init__()
        self.conv = GraphConv(channels, out, links, config.edges, config.graph_bias)
        self.norm = nn.BatchNorm2d(out)
        self.around: nn.Module | None = None
        if config.around_graph:
            self.around = (
                nn.Identity()
                if channels == out
                else nn.Sequential(nn.Conv2d(channels, out, kernel_size=1), nn.BatchNorm2d(out))
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, V) -> (B, D, T, V)."""
        y = self.norm(self.conv(x))  # (B, D, T, V)
        return torch.relu(y if self.around is None else y + self.around(x))  # (B, D, T, V)


class TimeConv(nn.Module):
    """Convolution over a joint's frames.

    In: (B, D, T, V). Out: (B, D, ceil(T / stride), V), zeros before and after the clip; with `padded` off only what
    `reach` frames on both sides fully support: (B, D, ceil((T - 2 * reach) / stride), V).
    """

    def __init__(self, channels: int, config: Config, stride: int) -> None:
        super().__init__()
        self.reach = config.kernel // 2
        self.conv = nn.Conv2d(channels, channels, (config.kernel, 1), (stride, 1), (self.reach, 0))
        self.norm = nn.BatchNorm2d(channels)
        self.dropout = nn.Dropout(config.dropout)

    def frames(self, x: Tensor) -> Tensor:
        """(B, D, T, V) -> the same: nothing is done to single frames before those around them are looked at."""
        return x  # (B, D, T, V)

    def over_time(self, x: Tensor, padded: bool = True) -> Tensor:
        """What `frames` gives, (B, D, T, V) -> (B, D, T', V)."""
        return self.dropout(self.norm(_over_time(self.conv, x, padded)))  # (B, D, T', V)

    def forward(self, x: Tensor, padded: bool = True) -> Tensor:
        """(B, D, T, V) -> (B, D, T', V)."""
        return self.over_time(self.frames(x), padded)  # (B, D, T', V)


class TimeBranches(nn.Module):
    """Views of a joint's frames side by side: dilations, a maximum, and the frame itself (Duan et al. 2022).

    In and out: as TimeConv, with a reach of the largest dilation.
    """

    def __init__(self, channels: int, config: Config, stride: int) -> None:
        super().__init__()
        self.dilations, self.reach, self.stride = config.dilations, max(config.dilations), stride
        branches = len(self.dilations) + 2
        width = channels // branches
        widths = [channels - width * (branches - 1), *[width] * (len(self.dilations) - 1)]

        def reduce(out: int) -> nn.Sequential:
            return nn.Sequential(nn.Conv2d(channels, out, 1), nn.BatchNorm2d(out), nn.ReLU())

        self.reduces = nn.ModuleList(reduce(out) for out in widths)
        self.dilated = nn.ModuleList(
            nn.Conv2d(out, out, (3, 1), (stride, 1), (dilation, 0), (dilation, 1))
            for out, dilation in zip(widths, self.dilations, strict=True)
        )
        self.reduce_max = reduce(width)
        self.itself = nn.Conv2d(channels, width, 1)
        self.widths = [*widths, width, width]
        self.mix = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, channels, 1))
        self.norm = nn.BatchNorm2d(channels)
        self.dropout = nn.Dropout(config.dropout)

    def frames(self, x: Tensor) -> Tensor:
        """(B, D, T, V) -> what the branches make of each frame by itself, side by side (B, D, T, V)."""
        views = [*(reduce(x) for reduce in self.reduces), self.reduce_max(x), self.itself(x)]  # (B, ~D/6, T, V) each
        return torch.cat(views, dim=1)  # (B, D, T, V)

    def over_time(self, x: Tensor, padded: bool = True) -> Tensor:
        """What `frames` gives, (B, D, T, V) -> (B, D, T', V)."""
        *reduced, for_max, itself = x.split(self.widths, dim=1)  # (B, ~D/6, T, V) each
        views = []
        for view, conv, dilation in zip(reduced, self.dilated, self.dilations, strict=True):
            views.append(_over_time(conv, view if padded else _crop(view, self.reach - dilation), padded))
        for_max = for_max if padded else _crop(for_max, self.reach - 1)  # (B, ~D/6, T, V)
        views.append(F.max_pool2d(for_max, (3, 1), (self.stride, 1), (int(padded), 0)))
        views.append((itself if padded else _crop(itself, self.reach))[:, :, :: self.stride])
        return self.dropout(self.norm(self.mix(torch.cat(views, dim=1))))  # (B, D, T', V)

    def forward(self, x: Tensor, padded: bool = True) -> Tensor:
        """(B, D, T, V) -> (B, D, T', V)."""
        return self.over_time(self.frames(x), padded)  # (B, D, T', V)


def _over_time(conv: nn.Module, x: Tensor, padded: bool) -> Tensor:
    assert isinstance(conv, nn.Conv2d)
    return conv(x) if padded else F.conv2d(x, conv.weight, conv.bias, conv.stride, 0, conv.dilation)


def _crop(x: Tensor, frames: int) -> Tensor:
    return x[:, :, frames : x.shape[2] - frames]  # (B, C, T - 2 * frames, V)


class Block(nn.Module):
    """Graph convolution, temporal convolution, and a way around both (Yan et al. 2018, fig. 3 and sec. 3.6).

    In: (B, C, T, V). Out: (B, D, T', V), T' as TimeConv says.
    """

    def __init__(self, channels: int, out: int, links: Tensor, config: Config, stride: int, first: bool) -> None:
        super().__init__()
        self.space = GraphUnit(channels, out, links, config)
        self.time = (TimeConv if config.time == "plain" else TimeBranches)(out, config, stride)
        self.stride, self.reach = stride, self.time.reach
        self.around: nn.Module | None = None
        if not first or config.around_first:
            self.around = (
                nn.Identity()
                if channels == out and stride == 1
                else nn.Sequential(nn.Conv2d(channels, out, 1, (stride, 1)), nn.BatchNorm2d(out))
            )

    def forward(self, x: Tensor, padded: bool = True) -> Tensor:
        """(B, C, T, V) -> (B, D, T', V)."""
        y = self.time(self.space(x), padded)  # (B, D, T', V)
        if self.around is None:
            return torch.relu(y)
        return torch.relu(y + self.around(x if padded else _crop(x, self.reach)))  # (B, D, T', V)


class STGCN(OfPeople):
    """Raw landmarks in, probabilities out; by its config an ST-GCN or an ST-GCN++.

    layout: V joints, in the order of the input. The input may also be (B, M, T, V, 3): up to `persons` people,
    of whom those not given count as absent.
    """

    def __init__(self, layout: Layout, config: Config) -> None:
        super().__init__()
        self.layout, self.config = layout, config
        self.channels_last = config.time == "branches"
        joints = len(layout)
        links = torch.zeros(config.kinds, joints, joints)  # (K, V, V)
        if not config.kinds:
            links = torch.from_numpy(adjacency(layout, config.partition))  # (K, V, V)
        parts = _parts(layout) if config.pool == "parts" else torch.full((1, joints), 1 / joints)  # (P, V)
        self.features, channels = _features(layout, config)
        tell_apart = config.scale == "persons"
        self.scale = (
            nn.Identity()
            if config.scale == "none"
            else nn.BatchNorm1d((config.persons if tell_apart else 1) * channels * joints)
        )
        blocks = []
        for i, (width, stride) in enumerate(zip(config.widths, config.strides, strict=True)):
            # The first block has no dropout (Yan et al. 2018 as published).
            config_here = config if i else replace(config, dropout=0.0)
            blocks.append(Block(channels, width, links.clone(), config_here, stride, first=i == 0))
            channels = width
        self.blocks = nn.ModuleList(blocks)
        self.register_buffer("parts", parts, persistent=False)
        self.parts: Tensor
        self.head = nn.Sequential(nn.Dropout(config.head_dropout), nn.Linear(channels * len(parts), config.labels))

    def classify(self, features: Tensor) -> Tensor:
        """(B, C, T, V) or (B, M, C, T, V) -> (B, labels), before softmax."""
        return self.decide(self.embed(features).mean(dim=3))  # (B, labels)

    def embed(self, features: Tensor, padded: bool = True) -> Tensor:
        """(B, C, T, V) or (B, M, C, T, V) -> (B, M, D, T', V): each person through all blocks."""
        x = self.rescale(features)  # (B*M, C, T, V)
        for block in self.blocks:
            x = block(x, padded)  # (B*M, D, T', V)
        return x.unflatten(0, (-1, self.config.persons))  # (B, M, D, T', V)

    def rescale(self, features: Tensor) -> Tensor:
        """(B, C, T, V) or (B, M, C, T, V), fewer than M persons too -> batch normalised (B*M, C, T, V)."""
        tell_apart = self.config.scale == "persons"
        return rescale(self.scale, features, self.config.persons, tell_apart)  # (B*M, C, T, V)

    def decide(self, embedding: Tensor) -> Tensor:
        """(B, M, D, V), pooled over time -> (B, labels), before softmax."""
        return self.head(self.describe(embedding))  # (B, labels)

    def describe(self, embedding: Tensor) -> Tensor:
        """(B, M, D, V) -> (B, D*P): the mean over persons and the joints of each of P parts."""
        x = torch.matmul(embedding, self.parts.T).mean(dim=1)  # (B, D, P)
        return x.flatten(1)  # (B, D*P)


def _features(layout: Layout, config: Config) -> tuple[nn.Module, int]:
    """The layer (B, T, V, 3) -> (B, C, T, V), and C."""
    if config.inputs != "normalised":
        return AsGiven(config.axes, scored=config.inputs == "scored"), config.axes
    if config.stream:
        positions = Positions(layout, config.fps, config.axes)
        return nn.Sequential(positions, Stream(layout, config.stream)), positions.channels
    normalise = Normalise(layout, config.fps, config.axes, config.hand_depth, config.unit)
    return normalise, normalise.channels


def _parts(layout: Layout) -> Tensor:
    """(P, V) rows that average the joints of the body, of the left and of the right hand; empty parts left out."""
    sides = ("left_hand_", "right_hand_")
    rows = [[float(joint.startswith(side)) for joint in layout.joints] for side in sides]
    rows.insert(0, [float(not joint.startswith(sides)) for joint in layout.joints])
    parts = torch.tensor([row for row in rows if any(row)])
    return parts / parts.sum(dim=1, keepdim=True)
