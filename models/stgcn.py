"""ST-GCN: spatial-temporal graph convolution over joints and frames.

Yan, Xiong, Lin: Spatial Temporal Graph Convolutional Networks for Skeleton-Based Action Recognition, AAAI 2018.
Kept from the paper: partitioned graph convolution, edge importance, temporal convolution, residual blocks.
Ours: normalisation in the network, few and narrow blocks (a CPU answers many streams), pooling by body part.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from landmarks import Layout
from models.graph import adjacency
from models.network import Network
from models.normalise import Normalise


@dataclass(frozen=True)
class Config:
    """What an ST-GCN is built from.

    labels: outputs. fps: frames per second of its input.
    widths, strides: channels out of each block, and how many of its frames a block steps over.
    kernel: frames that a temporal convolution sees; odd. dropout: in each block after the first, and before the head.
    partition: see models.graph. axes: 3 takes z too, 2 does not;
    hand_depth: z within the hands all the same.
    """

    labels: int
    fps: float
    widths: tuple[int, ...] = (32, 32, 64, 64)
    strides: tuple[int, ...] = (1, 1, 2, 1)
    kernel: int = 5
    dropout: float = 0.2
    partition: str = "spatial"
    axes: int = 3
    hand_depth: bool = False

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.strides) or not self.widths:
            raise ValueError(f"need one stride a block, got widths {self.widths} and strides {self.strides}")
        if min(*self.widths, *self.strides, self.labels) < 1 or not self.fps > 0:
            raise ValueError("widths, strides and labels are at least 1, fps is above 0")
        if self.kernel % 2 == 0 or not 0 <= self.dropout < 1:
            raise ValueError(f"need an odd kernel and 0 <= dropout < 1, got {self.kernel}, {self.dropout}")


class GraphConv(nn.Module):
    """Sum over neighbours, one weight matrix per kind of neighbour (Yan et al. 2018, eq. 10).

    In: (B, C, T, V). Out: (B, D, T, V). Buffer: adjacency (K, V, V); parameter: importance of each
    edge, the same shape.
    """

    def __init__(self, channels: int, out: int, links: Tensor) -> None:
        super().__init__()
        self.kinds = links.shape[0]
        self.register_buffer("adjacency", links)
        self.adjacency: Tensor
        self.importance = nn.Parameter(torch.ones_like(links))
        self.project = nn.Conv2d(channels * self.kinds, out, kernel_size=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, V) -> (B, D, T, V)."""
        edges = self.adjacency * self.importance  # (K, V, V)
        # Neighbours are summed before the weights, not after as in the paper: the same, in fewer and larger products.
        x = torch.cat([torch.matmul(x, edges[kind]) for kind in range(self.kinds)], dim=1)  # (B, K*C, T, V)
        return self.project(x)  # (B, D, T, V)


class Block(nn.Module):
    """Graph convolution, temporal convolution, and a way around both (Yan et al. 2018, fig. 3 and sec. 3.6).

    In: (B, C, T, V). Out: (B, D, ceil(T / stride), V).
    """

    def __init__(self, channels: int, out: int, links: Tensor, kernel: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.space = nn.Sequential(GraphConv(channels, out, links), nn.BatchNorm2d(out), nn.ReLU())
        self.time = nn.Sequential(
            nn.Conv2d(out, out, (kernel, 1), (stride, 1), ((kernel - 1) // 2, 0)),
            nn.BatchNorm2d(out),
            nn.Dropout(dropout),
        )
        self.around = (
            nn.Identity()
            if channels == out and stride == 1
            else nn.Sequential(nn.Conv2d(channels, out, 1, (stride, 1)), nn.BatchNorm2d(out))
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, V) -> (B, D, T', V)."""
        return torch.relu(self.time(self.space(x)) + self.around(x))  # (B, D, T', V)


class STGCN(Network):
    """Raw landmarks in, probabilities out.

    layout: V joints, in the order of the input.
    """

    def __init__(self, layout: Layout, config: Config) -> None:
        super().__init__()
        self.layout, self.config = layout, config
        links = torch.from_numpy(adjacency(layout, config.partition))  # (K, V, V)
        parts = _parts(layout)  # (P, V)
        self.normalise = Normalise(layout, config.fps, config.axes, config.hand_depth)
        self.scale = nn.BatchNorm1d(self.normalise.channels * len(layout))
        blocks, channels = [], self.normalise.channels
        for i, (width, stride) in enumerate(zip(config.widths, config.strides, strict=True)):
            blocks.append(Block(channels, width, links.clone(), config.kernel, stride, config.dropout if i else 0.0))
            channels = width
        self.blocks = nn.Sequential(*blocks)
        self.register_buffer("parts", parts)
        self.parts: Tensor
        self.head = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(channels * len(parts), config.labels))

    def logits(self, landmarks: Tensor) -> Tensor:
        """(B, T, V, 3), NaN where unseen -> (B, labels), before softmax."""
        x = self.normalise(landmarks)  # (B, C, T, V)
        flat = x.permute(0, 3, 1, 2).flatten(1, 2)  # (B, V*C, T), joint by joint
        x = self.scale(flat).unflatten(1, (len(self.layout), -1)).permute(0, 2, 3, 1)  # (B, C, T, V)
        x = self.blocks(x).mean(dim=2)  # (B, D, V)
        x = torch.matmul(x, self.parts.T).flatten(1)  # (B, D*P)
        return self.head(x)  # (B, labels)


def _parts(layout: Layout) -> Tensor:
    """(P, V) rows that average the joints of the body, of the left and of the right hand; empty parts left out."""
    sides = ("left_hand_", "right_hand_")
    rows = [[float(joint.startswith(side)) for joint in layout.joints] for side in sides]
    rows.insert(0, [float(not joint.startswith(sides)) for joint in layout.joints])
    parts = torch.tensor([row for row in rows if any(row)])
    return parts / parts.sum(dim=1, keepdim=True)
