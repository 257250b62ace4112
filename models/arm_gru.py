"""Whoever signs moves an arm, and it is all the same which: one encoder for both arms, and a GRU over the frames.

Each arm is described with the head, the right one as a mirror shows it, by the same small network; what that makes of
both goes on as their sum and how far they are apart, so that nothing is learnt twice for left and right. A gated
recurrent unit (Cho et al. 2014) carries what has been seen. It looks at no frame to come, so a stream is answered frame
by frame with what a clip up to that frame would be.

Fits of one recipe differ much where few people show what is asked for. So a network may have several members, which
share nothing but their input, and answers by the mean of what they say before softmax.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from landmarks import Layout
from models.network import Continual, State
from models.normalise import CausalNormalise


@dataclass(frozen=True)
class Config:
    """What a network of two arms is built from.

    labels: outputs. fps: frames per second of its input.
    members: networks that answer together.
    inner, embed: widths of the two layers that describe an arm. hidden: units of the GRU.
    input_dropout: share of an arm's inputs that training hides; dropout: of what lies between layers.
    axes: 2 leaves z out, 3 keeps it; hand_depth: z within the hands all the same.
    memory_s: time constant of the normalisation's unit, in seconds (CausalNormalise).
    """

    labels: int
    fps: float
    members: int = 1
    inner: int = 96
    embed: int = 64
    hidden: int = 64
    input_dropout: float = 0.2
    dropout: float = 0.25
    axes: int = 2
    hand_depth: bool = False
    memory_s: float = 4.0

    def __post_init__(self) -> None:
        widths = (self.labels, self.members, self.inner, self.embed, self.hidden)
        if min(widths) < 1 or not (self.fps > 0 and self.memory_s > 0):
            raise ValueError(
                "labels, members, inner, embed and hidden are at least 1, fps and memory_s above 0, got "
                f"{', '.join(map(str, widths))}, {self.fps}, {self.memory_s}"
            )
        if not (0 <= self.input_dropout < 1 and 0 <= self.dropout < 1):
            raise ValueError(
                f"need 0 <= input_dropout < 1 and 0 <= dropout < 1, got {self.input_dropout}, {self.dropout}"
            )


class Arms(nn.Module):
    """Each arm with the joints of neither side -> what is told of both.

    In: (B, C, T, V) as CausalNormalise describes joints. Out: (B, T, 2E): the sum of what one encoder says of the left
    arm and of the right one in the mirror, and the size of their difference. All joints of a layout without sides
    count as an arm, as they are and in the mirror.
    """

    def __init__(self, layout: Layout, config: Config) -> None:
        super().__init__()
        arm = tuple(joint for joint in layout.joints if not joint.startswith("right_"))
        left = layout.indices(*arm)
        # x of every position, shape and velocity turns round in a mirror; that a joint was seen does not.
        hand_axes = 3 if config.hand_depth else config.axes
        mirrored = [*(sign for axes in (config.axes, hand_axes, config.axes) for sign in (-1.0, 1.0, 1.0)[:axes]), 1.0]
        self.register_buffer("left", torch.from_numpy(left), persistent=False)
        self.register_buffer("right", torch.from_numpy(layout.mirror[left]), persistent=False)
        self.register_buffer("mirrored", torch.tensor(mirrored).view(-1, 1, 1), persistent=False)  # (C, 1, 1)
        self.left: Tensor
        self.right: Tensor
        self.mirrored: Tensor
        width = len(mirrored) * len(arm)
        self.scale = nn.BatchNorm1d(width)
        self.hide = nn.Dropout(config.input_dropout)
        self.encode = nn.Sequential(
            nn.Linear(width, config.inner),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.inner, config.embed),
            nn.ReLU(),
        )

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, T, V) -> (B, T, 2E)."""
        left = self._encoded(features.index_select(3, self.left))  # (B, T, E)
        right = self._encoded(features.index_select(3, self.right) * self.mirrored)  # (B, T, E)
        return torch.cat([left + right, (left - right).abs()], dim=-1)  # (B, T, 2E)

    def _encoded(self, arm: Tensor) -> Tensor:
        """(B, C, T, A) -> (B, T, E)."""
        x = arm.permute(0, 2, 1, 3).flatten(2)  # (B, T, C*A)
        x = self.scale(x.flatten(0, 1)).view_as(x)  # (B, T, C*A)
        return self.encode(self.hide(x))  # (B, T, E)


class Member(nn.Module):
    """One network: arms, memory, answer.

    In: (B, C, T, V), after a memory (B, H) or after nothing. Out: (B, T, labels), before softmax, and the memory after.
    """

    def __init__(self, layout: Layout, config: Config) -> None:
        super().__init__()
        self.arms = Arms(layout, config)
        self.remember = nn.GRU(2 * config.embed, config.hidden, batch_first=True)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.hidden, config.labels)

    def forward(self, features: Tensor, memory: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(B, C, T, V), (B, H) -> (B, T, labels), (B, H)."""
        before = None if memory is None else memory.unsqueeze(0)  # (1, B, H)
        y, after = self.remember(self.arms(features), before)  # (B, T, H), (1, B, H)
        return self.head(self.dropout(y)), after[0]  # (B, T, labels), (B, H)


class ArmGRU(Continual):
    """Raw landmarks in; out, the probabilities of what the window's last frame shows, the same in a mirror.

    As a stream it says the same of every frame, from the first on, as a clip that began with the stream. A prediction
    depends on all frames since, so `receptive_field` is only the least that it can be made from.

    In training every sample is one member's alone, so that they stay apart: of M members each learns from an M-th of
    what is drawn.
    """

    receptive_field = 1
    delay = 0
    stride = 1

    def __init__(self, layout: Layout, config: Config) -> None:
        super().__init__()
        self.layout, self.config = layout, config
        self.features = CausalNormalise(layout, config.fps, config.memory_s, config.axes, config.hand_depth)
        self.members = nn.ModuleList(Member(layout, config) for _ in range(config.members))

    def classify(self, features: Tensor) -> Tensor:
        """(B, C, T, V) -> (B, labels) of the last frame, before softmax."""
        return self.classify_frames(features)[:, -1]  # (B, labels)

    def predictions(self, landmarks: Tensor) -> Tensor:
        """See Continual."""
        return self.classify_frames(self.features(landmarks))  # (B, T, labels)

    def classify_frames(self, features: Tensor) -> Tensor:
        """(B, C, T, V) -> (B, T, labels) of every frame, before softmax."""
        if not self.training:
            return torch.stack([member(features)[0] for member in self.members]).mean(dim=0)  # (B, T, labels)
        turns = torch.randperm(features.shape[0], device=features.device) % len(self.members)  # (B)
        said = features.new_zeros(features.shape[0], features.shape[2], self.config.labels)  # (B, T, labels)
        for i, member in enumerate(self.members):
            mine = (turns == i).nonzero().squeeze(1)  # (B / M)
            if len(mine):
                answer, _ = member(features[mine])  # (B / M, T, labels)
                said = said.index_copy(0, mine, answer.to(said.dtype))  # (B, T, labels)
        return said

    def start(self, batch: int) -> State:
        """See Continual."""
        nothing = self._normalise.on_hand.new_zeros(batch, self.config.hidden)  # (B, H)
        return State(0, (*self._normalise.start(batch), *[nothing] * len(self.members)))

    def step(self, frame: Tensor, state: State) -> tuple[Tensor, State]:
        """See Continual."""
        slow, last, *memories = state.tensors  # (B, 8), (B, V, 4), M x (B, H)
        features, seen = self._normalise.advance(frame.unsqueeze(1), (slow, last))  # (B, C, 1, V)
        told = [member(features, memory) for member, memory in zip(self.members, memories, strict=True)]
        said, after = zip(*told, strict=True)  # M x (B, 1, labels), M x (B, H)
        return torch.stack(said).mean(dim=0)[:, 0], State(state.frames + 1, (*seen, *after))  # (B, labels)

    def exact(self, state: State) -> bool:
        """Always: a clip's answer does not wait for frames either."""
        return True

    @property
    def _normalise(self) -> CausalNormalise:
        assert isinstance(self.features, CausalNormalise)
        return self.features
