"""The detector of signing: how fast each joint moves, and an LSTM over the frames.

Moryossef, Tsochantaridis, Aharoni, Ebling, Narayanan: Real-Time Sign Language Detection using Human Pose Estimation,
SLRTP 2020 (arXiv 2008.04637). The defaults are the published network; it looks at no frame to come, so a stream is
answered frame by frame with what a clip up to that frame would be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landmarks import BODY_25, HOLISTIC_75, Layout, blend
from models.network import Continual, State
from models.normalise import CausalNormalise, Normalise, hand_roots

_HANDS = ("left_hand_", "right_hand_")


@dataclass(frozen=True)
class Config:
    """What a detector of signing is built from.

    labels: outputs; in published weights 1 is signing. fps: frames per second of its input.
    hidden: units of an LSTM, in each direction. layers: of LSTMs, one on the other.
    bidirectional: it looks back from the end too, as some published ones do; it then answers clips only.
    input_dropout: share of its inputs that training hides.
    points: the layout's `own` joints, or `body_25` made of them: what published weights know. Feet are then unseen
        unless the layout has OpenPose's own, as in the published demo.
    hands: the joints left_hand_* and right_hand_* too.
    wrist_flow: a second input a joint: how it moves against the wrist of its own hand.
    width: of the shoulders, the unit of motion: a `running` mean (CausalNormalise with `memory_s`), or the mean over
        the `clip`, which looks ahead, as the published training did.
    axes: 2 leaves z out, 3 keeps it.
    """

    labels: int
    fps: float
    hidden: int = 64
    layers: int = 1
    bidirectional: bool = False
    input_dropout: float = 0.5
    points: Literal["own", "body_25"] = "own"
    hands: bool = True
    wrist_flow: bool = False
    width: Literal["running", "clip"] = "running"
    memory_s: float = 1.0
    axes: int = 2

    def __post_init__(self) -> None:
        if min(self.labels, self.hidden, self.layers) < 1 or not (self.fps > 0 and self.memory_s > 0):
            raise ValueError(
                "labels, hidden and layers are at least 1, fps and memory_s above 0, got "
                f"{self.labels}, {self.hidden}, {self.layers}, {self.fps}, {self.memory_s}"
            )
        if not 0 <= self.input_dropout < 1:
            raise ValueError(f"need 0 <= input_dropout < 1, got {self.input_dropout}")
        if self.axes not in (2, 3):
            raise ValueError(f"axes is 2 or 3, got {self.axes}")
        for name, value, known in (
            ("points", self.points, ("own", "body_25")),
            ("width", self.width, ("running", "clip")),
        ):
            if value not in known:
                raise ValueError(f"{name} is one of {', '.join(known)}, got {value!r}")


class Flow(nn.Module):
    """How fast each point moves, in shoulder widths a second (Moryossef et al. 2020, sec. 3).

    0 for a point that is not seen twice in a row, and in the first frame. What the unit is where no shoulders are seen,
    Normalise and CausalNormalise say.

    In: (B, T, V, 3) in square units, NaN where unseen. Out: (B, C, T, P) of P points; C = 1, or 2 with `wrist_flow`:
    the second is the motion against the wrist of the point's hand, 0 off the hands.
    """

    def __init__(self, layout: Layout, config: Config) -> None:
        super().__init__()
        target = _points(layout, config)
        weights = torch.from_numpy(blend(layout, target))  # (P, V)
        if config.points == "body_25" and "left_big_toe" not in layout:
            weights[[joint.endswith(("_big_toe", "_small_toe", "_heel")) for joint in target.joints]] = 0.0
        if not weights.any():
            raise ValueError(f"layout {layout.name} gives no point: points={config.points!r}, hands={config.hands}")
        self.fps, self.axes, self.wrist_flow = config.fps, config.axes, config.wrist_flow
        self.points, self.channels = len(target), 1 + config.wrist_flow
        self.reference: Normalise | CausalNormalise = (
            Normalise(target, config.fps, config.axes)
            if config.width == "clip"
            else CausalNormalise(target, config.fps, config.memory_s, config.axes)
        )
        roots, on_hand = hand_roots(target)
        self.register_buffer("blend", weights, persistent=False)
        self.register_buffer("roots", roots, persistent=False)
        self.register_buffer("on_hand", on_hand, persistent=False)
        self.blend: Tensor
        self.roots: Tensor
        self.on_hand: Tensor

    def forward(self, landmarks: Tensor) -> Tensor:
        """(B, T, V, 3) -> (B, C, T, P)."""
        return self.advance(landmarks, self.start(landmarks.shape[0]))[0]  # (B, C, T, P)

    def start(self, batch: int) -> tuple[Tensor, Tensor]:
        """The state of B streams that have seen nothing: of the unit (B, 8), the frame before (B, P, 4)."""
        if isinstance(self.reference, CausalNormalise):
            return self.reference.start(batch)
        return self.blend.new_zeros(batch, 8), self.blend.new_zeros(batch, self.points, 4)

    def advance(self, landmarks: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The next T frames (B, T, V, 3) -> (B, C, T, P), and the next state; by the whole clip, T is all of it."""
        slow, last = state  # (B, 8), (B, P, 4)
        points, known = self._made(landmarks)  # (B, T, P, 3), (B, T, P, 1)
        frames = torch.cat([last.unsqueeze(1), torch.cat([points, known], dim=-1)], dim=1)  # (B, T+1, P, 4)
        if isinstance(self.reference, CausalNormalise):
            _, unit, slow = self.reference.frame_of_reference(points, known, slow)  # (B, T, 1, 1), (B, 8)
        else:
            _, unit = self.reference.frame_of_reference(points, known)  # (B, 1, 1, 1)
        speed = self.fps * known * frames[:, :-1, :, 3:] / unit  # (B, T, P, 1)
        places = frames[..., : self.axes]  # (B, T+1, P, A)
        flows = [_norm(places[:, 1:] - places[:, :-1]) * speed]  # (B, T, P, 1)
        if self.wrist_flow:
            local = places - places.index_select(2, self.roots)  # (B, T+1, P, A)
            on_hand = (speed.index_select(2, self.roots) > 0) * self.on_hand  # (B, T, P, 1)
            flows.append(_norm(local[:, 1:] - local[:, :-1]) * speed * on_hand)  # (B, T, P, 1)
        features = torch.cat(flows, dim=-1).permute(0, 3, 1, 2)  # (B, C, T, P)
        return features, (slow, frames[:, -1])

    def _made(self, landmarks: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, V, 3) -> points (B, T, P, 3), and 1 where all that a point is made of is seen (B, T, P, 1)."""
        seen = ~torch.isnan(landmarks).any(dim=-1, keepdim=True)  # (B, T, V, 1)
        joints = torch.where(seen, landmarks, torch.zeros_like(landmarks))  # (B, T, V, 3)
        share = torch.matmul(self.blend, seen.to(joints.dtype))  # (B, T, P, 1) of what a point is made of
        known = (share > 0.99).to(joints.dtype)  # (B, T, P, 1)
        return torch.matmul(self.blend, joints) * known, known  # (B, T, P, 3), (B, T, P, 1)


def _points(layout: Layout, config: Config) -> Layout:
    """The points whose motion is seen."""
    joints = layout.joints if config.points == "own" else BODY_25.joints + HOLISTIC_75.joints[33:]
    return Layout("points", tuple(joint for joint in joints if config.hands or not joint.startswith(_HANDS)), ())


def _norm(vectors: Tensor) -> Tensor:
    """(..., A) -> (..., 1), at 0 with the gradient 0."""
    squared = vectors.square().sum(dim=-1, keepdim=True)  # (..., 1)
    still = squared <= 0  # (..., 1)
    return torch.where(still, squared, torch.where(still, torch.ones_like(squared), squared).sqrt())  # (..., 1)


class Layer(nn.Module):
    """An LSTM, with Keras' one bias a gate: the weight of an input that is always 1.

    In: (B, T, I). Out: (B, T, H), or (B, T, 2H) in both directions. Gates in the order input, forget, cell, output.
    """

    def __init__(self, inputs: int, hidden: int, bidirectional: bool) -> None:
        super().__init__()
        self.lstm = nn.LSTM(inputs + 1, hidden, bias=False, batch_first=True, bidirectional=bidirectional)
        self.outputs = hidden * (1 + bidirectional)
        with torch.no_grad():  # as Keras starts it
            for name, weight in self.lstm.named_parameters():
                if "weight_hh" in name:
                    nn.init.orthogonal_(weight)
                else:
                    nn.init.xavier_uniform_(weight[:, :inputs])
                    weight[:, inputs] = 0.0
                    weight[hidden : 2 * hidden, inputs] = 1.0

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """(B, T, I), after a state (B, H), (B, H) or after nothing -> (B, T, H), and the state after it."""
        before = None if state is None else (state[0].unsqueeze(0), state[1].unsqueeze(0))  # (1, B, H) each
        y, (hidden, cell) = self.lstm(F.pad(x, (0, 1), value=1.0), before)  # (B, T, H), (1, B, H), (1, B, H)
        return y, (hidden[0], cell[0])


class SigningLSTM(Continual):
    """Raw landmarks in; out, the probabilities of what the window's last frame shows.

    As a stream it says the same of every frame, from the first on, as a clip that began with the stream. A prediction
    depends on all frames since, so `receptive_field` is only the least that it can be made from.
    """

    receptive_field = 1
    delay = 0
    stride = 1

    def __init__(self, layout: Layout, config: Config) -> None:
        super().__init__()
        self.layout, self.config = layout, config
        self.features = flow = Flow(layout, config)
        self.dropout = nn.Dropout(config.input_dropout)
        width = flow.channels * flow.points
        layers = []
        for _ in range(config.layers):
            layers.append(Layer(width, config.hidden, config.bidirectional))
            width = layers[-1].outputs
        self.layers = nn.ModuleList(layers)
        self.head = nn.Linear(width, config.labels)
        nn.init.xavier_uniform_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def classify(self, features: Tensor) -> Tensor:
        """(B, C, T, P) -> (B, labels) of the last frame, before softmax."""
        return self.head(self._remember(features, None)[0][:, -1])  # (B, labels)

    def predictions(self, landmarks: Tensor) -> Tensor:
        """See Continual; also of a network that looks ahead, which no stream can follow."""
        return self.classify_frames(self.features(landmarks))  # (B, T, labels)

    def classify_frames(self, features: Tensor) -> Tensor:
        """(B, C, T, P) -> (B, T, labels) of every frame, before softmax."""
        return self.head(self._remember(features, None)[0])  # (B, T, labels)

    def _remember(self, features: Tensor, state: Sequence[Tensor] | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """(B, C, T, P), after a state of each layer's (B, H), (B, H) or after nothing -> (B, T, H), state."""
        x = self.dropout(features.permute(0, 2, 1, 3).flatten(2))  # (B, T, C*P)
        after: list[Tensor] = []
        for i, layer in enumerate(self.layers):
            x, last = layer(x, None if state is None else (state[2 * i], state[2 * i + 1]))  # (B, T, H)
            after += last
        return x, tuple(after)

    def start(self, batch: int) -> State:
        """See Continual. Raises ValueError for a network that looks ahead."""
        if self.config.bidirectional or self.config.width == "clip":
            raise ValueError(
                "it looks at frames to come: bidirectional, or in units of the whole clip's shoulder width"
            )
        nothing = self.head.weight.new_zeros(batch, self.config.hidden)  # (B, H)
        return State(0, (*self._flow.start(batch), *[nothing] * (2 * len(self.layers))))

    def step(self, frame: Tensor, state: State) -> tuple[Tensor, State]:
        """See Continual."""
        slow, last, *memory = state.tensors
        features, seen = self._flow.advance(frame.unsqueeze(1), (slow, last))  # (B, C, 1, P)
        x, remembered = self._remember(features, memory)  # (B, 1, H)
        return self.head(x[:, 0]), State(state.frames + 1, (*seen, *remembered))  # (B, labels)

    @property
    def _flow(self) -> Flow:
        assert isinstance(self.features, Flow)
        return self.features

    def exact(self, state: State) -> bool:
        """Always: a clip's answer does not wait for frames either."""
        return True
