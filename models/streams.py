"""The four streams of a skeleton: joints, bones, and the motion of either (Shi et al. 2020, multi-stream AGCN).

Layers between the features and a network, exported with it. They take (B, C, T, V) and give (B, C, T, V).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from landmarks import Layout
from landmarks.layout import Bone

StreamName = Literal["joint", "bone", "joint-motion", "bone-motion"]
STREAMS: tuple[StreamName, ...] = ("joint", "bone", "joint-motion", "bone-motion")
"""Every stream by its name."""

Score = Literal["seen", "mean", "difference"]
"""What becomes of the last channel. `seen`: it is 1 where a joint is seen, else 0; a difference with an unseen end
is 0, and so is its last channel. `mean`: it is a score, and a difference has the mean of its ends' (Duan et al. 2022
for 2-D key points). `difference`: it is subtracted like any coordinate."""


def difference(x: Tensor, other: Tensor, score: Score) -> Tensor:
    """(B, C, T, V) twice -> x - other (B, C, T, V), its last channel by `score`."""
    apart = x - other  # (B, C, T, V)
    if score == "difference":
        return apart
    if score == "mean":
        return torch.cat([apart[:, :-1], (x[:, -1:] + other[:, -1:]) / 2], dim=1)  # (B, C, T, V)
    both = x[:, -1:] * other[:, -1:]  # (B, 1, T, V)
    return torch.cat([apart[:, :-1] * both, both], dim=1)  # (B, C, T, V)


class Bones(nn.Module):
    """Each joint from its parent; a joint without one from itself, so 0.

    layout: of the joints. bones: (child, parent) names, by default the layout's; of several parents the first counts.
    score: see Score. Raises ValueError for a layout without bones.
    """

    def __init__(self, layout: Layout, bones: Sequence[Bone] | None = None, score: Score = "seen") -> None:
        super().__init__()
        self.score: Score = score
        bones = _known(layout, bones)
        parent = dict(reversed(bones))
        parents = layout.indices(*(parent.get(joint, joint) for joint in layout.joints))
        self.register_buffer("parents", torch.from_numpy(parents), persistent=False)
        self.parents: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, V) -> (B, C, T, V)."""
        return difference(x, x.index_select(3, self.parents), self.score)  # (B, C, T, V)


class AliasedBones(nn.Module):
    """Bones as the published DSTA-SLR makes them, all channels alike: in place, bone after bone.

    So a bone whose parent is already a bone is a joint less that bone, and a joint without a parent stays a position.
    bones: (child, parent) names in the order of the reference, by default the layout's.
    """

    def __init__(self, layout: Layout, bones: Sequence[Bone] | None = None) -> None:
        super().__init__()
        steps = np.eye(len(layout), dtype=np.float32)
        for child, parent in layout.indices(*(j for bone in _known(layout, bones) for j in bone)).reshape(-1, 2):
            steps[:, child] -= steps[:, parent]
        self.register_buffer("steps", torch.from_numpy(steps), persistent=False)
        self.steps: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, V) -> (B, C, T, V)."""
        return torch.matmul(x, self.steps)  # (B, C, T, V)


def _known(layout: Layout, bones: Sequence[Bone] | None) -> tuple[Bone, ...]:
    bones = layout.bones if bones is None else tuple(bones)
    if not bones:
        raise ValueError(f"layout {layout.name} has no bones, so there is no stream of them")
    return bones


class Motion(nn.Module):
    """From each frame to the next; 0 in the last.

    score: see Score.
    """

    def __init__(self, score: Score = "seen") -> None:
        super().__init__()
        self.score: Score = score

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, V) -> (B, C, T, V)."""
        moved = difference(x[:, :, 1:], x[:, :, :-1], self.score)  # (B, C, T-1, V)
        return torch.cat([moved, torch.zeros_like(x[:, :, :1])], dim=2)  # (B, C, T, V)


class Stream(nn.Sequential):
    """One of STREAMS, by its name.

    layout, bones, score: see Bones and Score. aliased: bones as in AliasedBones; takes `score` "difference".
    In: (B, C, T, V). Out: (B, C, T, V). Raises ValueError for an unknown name or score.
    """

    def __init__(
        self,
        layout: Layout,
        name: StreamName,
        bones: Sequence[Bone] | None = None,
        score: Score = "seen",
        aliased: bool = False,
    ) -> None:
        if name not in STREAMS:
            raise ValueError(f"no stream {name!r}; choose from {', '.join(STREAMS)}")
        if score not in ("seen", "mean", "difference"):
            raise ValueError(f"score is seen, mean or difference, got {score!r}")
        if aliased and score != "difference":
            raise ValueError(f"aliased bones subtract the score too, got {score!r}")
        steps: list[nn.Module] = []
        if name.startswith("bone"):
            steps.append(AliasedBones(layout, bones) if aliased else Bones(layout, bones, score))
        if name.endswith("motion"):
            steps.append(Motion(score))
        super().__init__(*steps)
