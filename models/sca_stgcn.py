"""SCA-STGCN: a graph network whose attention over time is conditioned on who signs.

Cyr-Ch/SCA-STGCN, a code base without a paper. Conditioning by scale and shift: Perez et al.: FiLM, AAAI 2018. The
adversarial signer head: Ganin and Lempitsky: Unsupervised Domain Adaptation by Backpropagation, ICML 2015.
Our defaults leave four of its ways, each still an option: its additive attention does not depend on the signer at all;
its graph is a chain through unrelated joints; its statistics measure framing and missing hands; and of the backward
direction it reads the one state that has seen a single frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from landmarks import Layout
from models.graph import hop_distance
from models.network import Network
from models.normalise import AsGiven, Normalise

Edges = Literal["bones", "chain"]
Conditioning = Literal["film", "gate", "additive"]


@dataclass(frozen=True)
class Config:
    """What an SCA-STGCN is built from.

    labels: outputs. fps: frames per second of its input.
    widths, dilations: channels out of each block, and the step between the frames that its convolution sees.
    kernel: frames that it sees; odd. dropout: in blocks and heads.
    edges: the layout's bones, or as published the chain of consecutive joints.
    signer: what the signer's embedding is made from: statistics of the input, features of the last block (adaptive),
        or half from each (hybrid). signer_width: its channels, E.
    statistics: over the joints seen; over all as published, unseen ones counting as 0; or not taken but `given` to
        `describe`, `statistics_width` of them.
    attention: the signer scales and shifts keys and values (film), or scales what is attended to (gate); joins the
        keys (additive, as published: softmax cancels it, so the signer changes nothing); or attention over the joints
        of each frame, then over frames, both film (hierarchical). heads, attention_dropout: of every attention.
    hidden: of the recurrent layer, in each direction.
    pool: frames -> clip: their mean, by which both directions count with all they have seen, and which adds no
        weights; a learned attention; or the last frame, as published.
    signers: outputs of the adversarial signer head; 0 for none. reversal: what its gradients are multiplied by,
        negated, before they reach the rest.
    inputs: `normalised` features (models.normalise), or coordinates as `given` to published weights.
    axes: 3 takes z too, 2 does not; hand_depth: z within the hands all the same.
    """

    labels: int
    fps: float
    widths: tuple[int, ...] = (64, 128, 128)
    dilations: tuple[int, ...] = (1, 2, 3)
    kernel: int = 3
    dropout: float = 0.1
    edges: Edges = "bones"
    signer: Literal["statistics", "adaptive", "hybrid"] = "statistics"
    signer_width: int = 64
    statistics: Literal["seen", "all", "given"] = "seen"
    statistics_width: int = 0
    attention: Literal["film", "gate", "additive", "hierarchical"] = "film"
    heads: int = 4
    attention_dropout: float = 0.0
    hidden: int = 256
    pool: Literal["mean", "attention", "last"] = "mean"
    signers: int = 0
    reversal: float = 0.5
    inputs: Literal["normalised", "given"] = "normalised"
    axes: int = 2
    hand_depth: bool = False

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.dilations) or not self.widths:
            raise ValueError(f"need one dilation a block, got widths {self.widths} and dilations {self.dilations}")
        sizes = (*self.widths, *self.dilations, self.labels, self.signer_width, self.heads, self.hidden, self.axes)
        if min(sizes) < 1 or not self.fps > 0:
            raise ValueError(
                "widths, dilations, labels, signer_width, heads, hidden and axes are at least 1, fps is above 0"
            )
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise ValueError(f"need an odd kernel, got {self.kernel}")
        if not (0 <= self.dropout < 1 and 0 <= self.attention_dropout < 1):
            raise ValueError(f"need 0 <= dropout < 1, got {self.dropout}, {self.attention_dropout}")
        if self.widths[-1] % self.heads:
            raise ValueError(f"heads share the last width evenly, got {self.heads} heads for {self.widths[-1]}")
        if self.signers < 0 or not self.reversal >= 0:
            raise ValueError(f"signers and reversal are at least 0, got {self.signers}, {self.reversal}")
        for name, value, known in (
            ("edges", self.edges, ("bones", "chain")),
            ("signer", self.signer, ("statistics", "adaptive", "hybrid")),
            ("statistics", self.statistics, ("seen", "all", "given")),
            ("attention", self.attention, ("film", "gate", "additive", "hierarchical")),
            ("pool", self.pool, ("mean", "attention", "last")),
            ("inputs", self.inputs, ("normalised", "given")),
        ):
            if value not in known:
                raise ValueError(f"{name} is one of {', '.join(known)}, got {value!r}")
        if self.signer == "hybrid" and self.signer_width % 2:
            raise ValueError(f"a hybrid signer is made of two halves, got a signer_width of {self.signer_width}")
        if self.statistics == "seen" and self.inputs == "given":
            raise ValueError("given inputs do not say what was seen: statistics is all or given")
        if (self.statistics == "given") != (self.statistics_width > 0):
            raise ValueError(f"a statistics_width is for given statistics, got {self.statistics_width} of them")


def links(layout: Layout, edges: Edges) -> Tensor:
    """(V, V) D^-1/2 (A + I) D^-1/2 of the layout's bones, or of the chain of its consecutive joints as published."""
    if edges == "chain":
        linked = np.eye(len(layout), k=-1) + np.eye(len(layout)) + np.eye(len(layout), k=1)  # (V, V)
        degree = linked.sum(axis=1) + 1e-6  # (V,)
    else:
        linked = (hop_distance(layout) <= 1).astype(np.float64)  # (V, V)
        degree = linked.sum(axis=1)  # (V,)
    return torch.from_numpy((linked / np.sqrt(np.outer(degree, degree))).astype(np.float32))  # (V, V)


class Block(nn.Module):
    """Graph convolution, convolution over frames, and a way around both.

    In: (B, C, T, V), adjacency (V, V) from source to target. Out: (B, D, T, V).
    """

    def __init__(self, channels: int, out: int, dilation: int, config: Config) -> None:
        super().__init__()
        self.space = nn.Conv2d(channels, out, kernel_size=1)
        reach = config.kernel // 2 * dilation
        self.time = nn.Conv2d(out, out, (config.kernel, 1), padding=(reach, 0), dilation=(dilation, 1), bias=False)
        self.norm = nn.BatchNorm2d(out)
        self.around = nn.Identity() if channels == out else nn.Conv2d(channels, out, kernel_size=1)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        """(B, C, T, V), (V, V) -> (B, D, T, V)."""
        y = torch.matmul(self.space(x), adjacency)  # (B, D, T, V)
        y = self.norm(self.time(y)) + self.around(x)  # (B, D, T, V)
        return self.dropout(torch.relu(y))  # (B, D, T, V)


class Statistics(nn.Module):
    """Mean, then standard deviation + 1e-6, of each channel over a clip's frames and joints.

    counted (C - 1, V): the channels that each joint counts in, where it is seen, which the last channel says: so
    hand shapes are those of hands, and a hand out of view is not a hand at the origin. None: all of them, always.
    Of normalised features they are proportions and signing space, hand size and spread, and pace, whatever the camera.
    In: (B, C, T, V). Out: (B, S), S = 2 * (C - 1), or 2 * C without `counted`.
    """

    def __init__(self, counted: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("counted", None if counted is None else counted.unsqueeze(1), persistent=False)
        self.counted: Tensor | None  # (C - 1, 1, V)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, T, V) -> (B, S)."""
        x, weight = features, torch.ones_like(features)  # (B, C, T, V), (B, C, T, V)
        if self.counted is not None:
            x, weight = features[:, :-1], features[:, -1:] * self.counted  # (B, C-1, T, V), (B, C-1, T, V)
        count = weight.sum(dim=(2, 3), keepdim=True).clamp(min=1.0)  # (B, C', 1, 1)
        mean = (x * weight).sum(dim=(2, 3), keepdim=True) / count  # (B, C', 1, 1)
        variance = ((x - mean).square() * weight).sum(dim=(2, 3), keepdim=True) / count  # (B, C', 1, 1)
        # sqrt of an exact 0 has no gradient, and channels of what is not seen are full of them.
        spread = variance.clamp(min=1e-24).sqrt() + 1e-6  # (B, C', 1, 1)
        return torch.cat([mean, spread], dim=1).flatten(1)  # (B, S)


class AttentionPool(nn.Module):
    """A mean over N items that learns how much each counts.

    In: (B, N, D). Out: (B, D).
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(width, hidden), nn.Tanh(), nn.Linear(hidden, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) -> (B, D)."""
        share = torch.softmax(self.score(x), dim=1)  # (B, N, 1)
        return (x * share).sum(dim=1)  # (B, D)


class SignerEncoder(nn.Module):
    """How this person signs, from statistics of the clip, from its features, or from both.

    In: statistics (B, S), x (B, D, T, V). Out: (B, E).
    """

    def __init__(self, statistics: int, width: int, config: Config) -> None:
        super().__init__()
        out, hidden = config.signer_width, 2 * config.signer_width
        share = out // 2 if config.signer == "hybrid" else out
        self.of_statistics: nn.Module | None = None
        self.of_features: nn.Module | None = None
        if config.signer != "adaptive":
            self.of_statistics = nn.Sequential(
                nn.LayerNorm(statistics), nn.Linear(statistics, hidden), nn.ReLU(), nn.Linear(hidden, share)
            )
        if config.signer != "statistics":
            self.of_features = nn.Sequential(
                AttentionPool(width, hidden),
                nn.LayerNorm(width),
                nn.Linear(width, hidden),
                nn.ReLU(),
                nn.Linear(hidden, hidden),
                nn.ReLU(),
                nn.Linear(hidden, share),
            )
        self.fuse = (
            nn.Sequential(nn.Linear(out, hidden), nn.ReLU(), nn.Linear(hidden, out))
            if config.signer == "hybrid"
            else nn.Identity()
        )

    def forward(self, statistics: Tensor, x: Tensor) -> Tensor:
        """(B, S), (B, D, T, V) -> (B, E)."""
        found = []
        if self.of_statistics is not None:
            found.append(self.of_statistics(statistics))  # (B, E) or (B, E/2)
        if self.of_features is not None:
            found.append(self.of_features(x.flatten(2).transpose(1, 2)))  # (B, E) or (B, E/2)
        return self.fuse(torch.cat(found, dim=1))  # (B, E)


class FiLM(nn.Module):
    """Each channel scaled, and shifted where asked, by what a condition says (Perez et al. 2018, eq. 2).

    In: (B, ..., D), condition (B, ..., E) that broadcasts to it. Out: (B, ..., D).
    """

    def __init__(self, condition: int, width: int, shift: bool = True) -> None:
        super().__init__()
        self.scale = nn.Linear(condition, width)
        self.shift = nn.Linear(condition, width) if shift else None

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(B, ..., D), (B, ..., E) -> (B, ..., D)."""
        x = x * (1 + torch.tanh(self.scale(condition)))  # (B, ..., D)
        return x if self.shift is None else x + self.shift(condition)  # (B, ..., D)


class SignerAttention(nn.Module):
    """Attention among N items, conditioned on the signer; with no way around it.

    In: (B, ..., N, D), signer (B, E). Out: (B, ..., N, D).
    """

    def __init__(self, width: int, conditioning: Conditioning, config: Config) -> None:
        super().__init__()
        signer = config.signer_width
        self.heads, self.additive = config.heads, conditioning == "additive"
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width + signer * self.additive, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.gate = FiLM(signer, width, shift=False) if conditioning == "gate" else None
        # What shifts all keys alike is removed by softmax: the keys' shift is here because it was published.
        self.key_film = FiLM(signer, width) if conditioning == "film" else None
        self.value_film = FiLM(signer, width) if conditioning == "film" else None
        self.dropout = nn.Dropout(config.attention_dropout)

    def forward(self, x: Tensor, signer: Tensor) -> Tensor:
        """(B, ..., N, D), (B, E) -> (B, ..., N, D)."""
        for _ in range(x.dim() - 2):
            signer = signer.unsqueeze(1)  # (B, ..., 1, E)
        if self.gate is not None:
            x = self.gate(x, signer)  # (B, ..., N, D)
        keyed = x  # (B, ..., N, D)
        if self.additive:
            keyed = torch.cat([x, signer.expand(*x.shape[:-1], -1)], dim=-1)  # (B, ..., N, D + E)
        query, key, value = self.query(x), self.key(keyed), self.value(x)  # (B, ..., N, D) each
        if self.key_film is not None and self.value_film is not None:
            key, value = self.key_film(key, signer), self.value_film(value, signer)  # (B, ..., N, D) each
        query, key, value = self._split(query), self._split(key), self._split(value)  # (B, ..., heads, N, D/heads) each
        alike = torch.matmul(query, key.transpose(-1, -2)) / math.sqrt(query.shape[-1])  # (B, ..., heads, N, N)
        mixed = torch.matmul(self.dropout(torch.softmax(alike, dim=-1)), value)  # (B, ..., heads, N, D/heads)
        return self.out(mixed.transpose(-2, -3).flatten(-2))  # (B, ..., N, D)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(-2, -3)  # (B, ..., heads, N, D/heads)


class Aggregator(nn.Module):
    """Frames read in both directions, then pooled.

    In: (B, T, D). Out: (B, 2 * hidden).
    """

    def __init__(self, width: int, config: Config) -> None:
        super().__init__()
        hidden = config.hidden
        self.gru = nn.GRU(width, hidden, batch_first=True, bidirectional=True)
        self.last = config.pool == "last"
        self.pool = AttentionPool(2 * hidden, hidden) if config.pool == "attention" else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, 2 * hidden)."""
        states, _ = self.gru(x)  # (B, T, 2 * hidden)
        if self.pool is not None:
            return self.pool(states)  # (B, 2 * hidden)
        return states[:, -1] if self.last else states.mean(dim=1)  # (B, 2 * hidden)


class Reversal(torch.autograd.Function):
    """The identity whose gradient is turned round (Ganin and Lempitsky 2015)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, strength: float) -> Tensor:
        """Any shape -> the same."""
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Any shape -> the same, times -strength."""
        return -ctx.strength * gradients[0], None


class Adversary(nn.Module):
    """Tells signers apart, while what feeds it learns that they cannot be told apart.

    In: (B, D). Out: (B, signers).
    """

    def __init__(self, width: int, config: Config) -> None:
        super().__init__()
        self.reversal = config.reversal
        self.layers = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, width // 2),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(width // 2, config.signers),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, D) -> (B, signers)."""
        return self.layers(Reversal.apply(x, self.reversal))  # (B, signers)


@dataclass(frozen=True, eq=False)
class Description:
    """What the network makes of clips, as training needs it.

    logits: (B, labels), before softmax. embedding: (B, 2 * hidden) the clip. signer: (B, E) how this person signs.
    signer_logits: (B, signers), before softmax, of the adversarial head; None without one.
    joints: (B, D, T, V) out of the last block. frames: (B, T, D) out of the attention.
    """

    logits: Tensor
    embedding: Tensor
    signer: Tensor
    signer_logits: Tensor | None
    joints: Tensor
    frames: Tensor


class SCASTGCN(Network):
    """Raw landmarks in, probabilities out.

    layout: V joints, in the order of the input. No weight depends on V.
    """

    def __init__(self, layout: Layout, config: Config) -> None:
        super().__init__()
        self.layout, self.config = layout, config
        counted: Tensor | None = None
        if config.inputs == "normalised":
            self.features = Normalise(layout, config.fps, config.axes, config.hand_depth)
            if config.statistics == "seen":
                counted = _counted(self.features, len(layout))  # (C - 1, V)
        else:
            self.features = AsGiven(config.axes)
        channels = self.features.channels
        self.statistics = Statistics(counted)
        self.register_buffer("adjacency", links(layout, config.edges), persistent=False)
        self.adjacency: Tensor
        blocks, before = [], channels
        for width, dilation in zip(config.widths, config.dilations, strict=True):
            blocks.append(Block(before, width, dilation, config))
            before = width
        self.blocks = nn.ModuleList(blocks)
        width = config.widths[-1]
        taken = config.statistics_width or 2 * (channels if counted is None else channels - 1)
        self.signer = SignerEncoder(taken, width, config)
        hierarchical = config.attention == "hierarchical"
        self.joint_attention = SignerAttention(width, "film", config) if hierarchical else None
        self.attention = SignerAttention(
            width, "film" if config.attention == "hierarchical" else config.attention, config
        )
        self.aggregator = Aggregator(width, config)
        clip = 2 * config.hidden
        self.head = nn.Sequential(
            nn.LayerNorm(clip),
            nn.Linear(clip, clip),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(clip, config.labels),
        )
        self.adversary = Adversary(clip, config) if config.signers else None

    def classify(self, features: Tensor) -> Tensor:
        """(B, C, T, V) -> (B, labels), before softmax."""
        return self.describe(features).logits  # (B, labels)

    def describe(
        self, features: Tensor, statistics: Tensor | None = None, adjacency: Tensor | None = None
    ) -> Description:
        """(B, C, T, V), statistics (B, S), adjacency (V, V) from source to target -> all that training needs.

        Without them, the statistics are taken of the features, and the adjacency is the layout's.
        Raises ValueError where the network is built for given statistics and there are none.
        """
        if statistics is None:
            if self.config.statistics == "given":
                raise ValueError(f"this network needs {self.config.statistics_width} statistics beside its input")
            statistics = self.statistics(features)  # (B, S)
        x = features  # (B, C, T, V)
        for block in self.blocks:
            x = block(x, self.adjacency if adjacency is None else adjacency)  # (B, D, T, V)
        signer = self.signer(statistics, x)  # (B, E)
        joints = x.permute(0, 2, 3, 1)  # (B, T, V, D)
        if self.joint_attention is not None:
            joints = self.joint_attention(joints, signer)  # (B, T, V, D)
        frames = self.attention(joints.mean(dim=2), signer)  # (B, T, D)
        embedding = self.aggregator(frames)  # (B, 2 * hidden)
        return Description(
            logits=self.head(embedding),
            embedding=embedding,
            signer=signer,
            signer_logits=None if self.adversary is None else self.adversary(embedding),
            joints=x,
            frames=frames,
        )


def _counted(normalise: Normalise, joints: int) -> Tensor:
    """(C - 1, V) 1 where a joint's channel says something: positions from the hand's wrist only on the hands."""
    counted = torch.ones(normalise.channels - 1, joints)
    counted[normalise.axes : normalise.axes + normalise.hand_axes] = normalise.on_hand.T
    return counted  # (C - 1, V)
