"""CoST-GCN and CoST-GCN++: an ST-GCN that answers a stream frame by frame, by the weights that answer a clip.

Hedegaard, Heidari, Iosifidis: Continual Spatio-Temporal Graph Convolutional Networks, Pattern Recognition 140, 2023.
All but convolution over frames looks at one frame at a time. So each block keeps the few frames that its next output
still needs, a frame costs the work of one frame, and what a stream says is what a clip would say, not an approximation.
A clip goes through the same code as a stream does, all its frames at once.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from landmarks import Layout
from models import stgcn
from models.network import Continual, State
from models.normalise import CausalNormalise
from models.people import with_absent
from models.stgcn import STGCN, Block

Beginning = Literal["causal", "padded", "valid"]


@dataclass(frozen=True)
class Config(stgcn.Config):
    """What a CoST-GCN is built from: the fields of an ST-GCN, and how it meets a stream.

    The defaults are CoST-GCN* (Hedegaard et al. 2023): stride 1, so a prediction every frame. With the strides of
    an ST-GCN it is their CoST-GCN, which predicts every 4 frames.

    pool_size: features that a prediction is the mean of. It has no weights, so any network may be given another.
    beginning: what each block takes to stand before a stream. `causal`: zeros, so that the first frame already brings
        a prediction. `padded`: half as many, as in the clips of an ST-GCN, so that the first feature is that of a
        clip's first frame, and comes with the last of the frames that this one needs. `valid`: nothing, so that the
        first feature comes when every block is full of true frames. Once exact, all say the same of a frame.
    memory_s: time constant of the normalisation's unit, in seconds (CausalNormalise).
    """

    strides: tuple[int, ...] = (1,) * 10
    partition: str = "direction"
    graph_bias: stgcn.GraphBias = "after"
    around_graph: bool = True
    pool_size: int = 220
    beginning: Beginning = "causal"
    memory_s: float = 4.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pool_size < 1 or not self.memory_s > 0:
            raise ValueError(
                f"need pool_size of at least 1 and memory_s above 0, got {self.pool_size}, {self.memory_s}"
            )
        if self.stream:
            # Motion is towards the next frame, which a live stream has not seen.
            raise ValueError(f"a continual network takes all features, got the stream {self.stream!r}")
        if self.unit != "body":
            raise ValueError(f"a continual network measures by the body, got the unit {self.unit!r}")
        if self.beginning not in ("causal", "padded", "valid"):
            raise ValueError(f"beginning is one of causal, padded, valid, got {self.beginning!r}")


@dataclass(frozen=True)
class PlusConfig(Config):
    """What a CoST-GCN++ is built from: the fields of a CoST-GCN, with the blocks of an ST-GCN++."""

    edges: stgcn.Edges = "free"
    graph_bias: stgcn.GraphBias = "before"
    time: Literal["plain", "branches"] = "branches"


@dataclass(frozen=True)
class Pace:
    """When a block works, in frames of the stream and in inputs of the block.

    since: the frame that brings its first input. every: frames from one input to the next.
    first: the input that brings its first output; after it, every stride-th does.
    """

    since: int
    every: int
    first: int
    stride: int

    def seen(self, frames: int) -> int:
        """Inputs that a stream's first `frames` frames brought."""
        return max(0, -(-(frames - self.since) // self.every))

    def skip(self, seen: int) -> int:
        """Inputs to pass over, after those seen, before the next that brings an output."""
        return max(self.first - seen, (self.first - seen) % self.stride)


def paces(strides: Sequence[int], reaches: Sequence[int], beginning: Beginning) -> list[Pace]:
    """Of each block, which looks `reach` frames to both sides, and at the end of the features that they bring."""
    found, since, every = [], 0, 1
    for stride, reach in zip(strides, reaches, strict=True):
        before = {"causal": 2 * reach, "padded": reach, "valid": 0}[beginning]
        found.append(Pace(since, every, 2 * reach - before, stride))
        since, every = since + (2 * reach - before) * every, every * stride
    return [*found, Pace(since, every, 0, 1)]


def receptive_field(strides: Sequence[int], reaches: Sequence[int]) -> int:
    """Frames that one feature depends on."""
    every = [math.prod(strides[:i]) for i in range(len(strides))]
    return 1 + sum(2 * reach * step for reach, step in zip(reaches, every, strict=True))


def advance(block: Block, x: Tensor, past: list[Tensor], skip: int) -> tuple[Tensor, list[Tensor]]:
    """A block's next T inputs (B, C, T, V) -> the outputs that they bring (B, D, N, V), and the next past.

    past: what the last frames became before convolution over time (B, D, 2 * reach, V); where there is a way around,
    the last inputs too (B, C, reach, V). skip: inputs to pass over before the next that brings an output.
    """
    frames = x.shape[2]
    views = torch.cat([past[0], block.time.frames(block.space(x))], dim=2)  # (B, D, 2 * reach + T, V)
    kept = [views[:, :, frames:]]  # (B, D, 2 * reach, V)
    if block.around is not None:
        x = torch.cat([past[1], x], dim=2)  # (B, C, reach + T, V)
        kept.append(x[:, :, frames:])  # (B, C, reach, V)
    if skip >= frames:
        return kept[0][:, :, :0], kept
    y = block.time.over_time(views[:, :, skip:], padded=False)  # (B, D, N, V)
    if block.around is not None:
        # Around goes the middle one of the frames that an output sees, `reach` before the last of them.
        y = y + block.around(x[:, :, skip:frames])  # (B, D, N, V)
    return torch.relu(y), kept


class CoSTGCN(STGCN, Continual):
    """Raw landmarks in, probabilities out: of a clip, or of a stream frame by frame.

    A clip's answer is the last prediction of a stream of its frames. Names and shapes of the weights are an STGCN's.
    Streams are answered in evaluation mode, and those of a batch step together. They are `exact` but for the
    normalisation, which fades with memory_s and forgets no frame at once.

    What a stream carries, all 0 at its start: the frames it has seen (B, 1), up to as many as count; the features that
    its next prediction is the mean of (B, D*P, pool_size); of each block the views (B, M, D, 2 * reach, V) and,
    where there is a way around, the inputs (B, M, C, reach, V) of `advance`; and, where inputs are normalised, the
    state of CausalNormalise (B, M, 8) and (B, M, V, 4). With stride 1 and unless the beginning is `padded`, these are
    all that one step has to know of those before it: as a graph, a step is the same at every frame, and streams of
    any age may share a batch.
    """

    def __init__(self, layout: Layout, config: Config) -> None:
        super().__init__(layout, config)
        self.channels_last = False
        self.pool_size = config.pool_size
        self.width: int = config.widths[-1] * len(self.parts)
        if config.inputs == "normalised":
            self.features = CausalNormalise(layout, config.fps, config.memory_s, config.axes, config.hand_depth)
        reaches = [block.reach for block in self._blocks()]
        *self.paces, self.pace = paces(config.strides, reaches, config.beginning)
        self.delay, self.stride = self.pace.since, self.pace.every
        self.receptive_field = receptive_field(config.strides, reaches) + (config.pool_size - 1) * self.stride

    def start(self, batch: int) -> State:
        """The state of B streams that have seen nothing."""
        persons, joints, zeros = self.config.persons, len(self.layout), self.parts.new_zeros
        tensors = [zeros(batch, 1), zeros(batch, self.width, self.pool_size)]
        channels = cast("int", self.features.channels)
        for block, width in zip(self._blocks(), self.config.widths, strict=True):
            tensors.append(zeros(batch, persons, width, 2 * block.reach, joints))
            if block.around is not None:
                tensors.append(zeros(batch, persons, channels, block.reach, joints))
            channels = width
        if isinstance(self.features, CausalNormalise):
            tensors += [each.unflatten(0, (-1, persons)) for each in self.features.start(batch * persons)]
        return State(0, tuple(tensors))

    def step(self, frame: Tensor, state: State) -> tuple[Tensor | None, State]:
        """One frame (B, V, 3) or (B, M, V, 3) -> logits (B, labels), or None where none are due; and the next state."""
        said, state = self.advance(frame.unsqueeze(-3), state)  # (B, N, labels), N is 0 or 1
        return (said[:, 0] if said.shape[1] else None), state

    def predictions(self, landmarks: Tensor) -> Tensor:
        """See Continual; (B, M, T, V, 3) of several persons too. None in a clip of `delay` frames or fewer."""
        return self.advance(landmarks, self.start(landmarks.shape[0]))[0]  # (B, N, labels)

    def classify(self, features: Tensor) -> Tensor:
        """(B, C, T, V) or (B, M, C, T, V) -> the last prediction (B, labels), before softmax.

        Raises ValueError for a clip of `delay` frames or fewer.
        """
        said, _ = self.answer(features, self.start(features.shape[0]))  # (B, N, labels)
        if not said.shape[1]:
            raise ValueError(f"a first prediction takes {self.delay + 1} frames, got {features.shape[-2]}")
        return said[:, -1]  # (B, labels)

    def advance(self, landmarks: Tensor, state: State) -> tuple[Tensor, State]:
        """The next T frames (B, T, V, 3) or (B, M, T, V, 3) -> logits that fall due (B, N, labels); the next state."""
        x = landmarks if landmarks.dim() == 5 else landmarks.unsqueeze(1)  # (B, M, T, V, 3)
        x = with_absent(x, self.config.persons, torch.nan).flatten(0, 1)  # (B*M, T, V, 3)
        tensors = state.tensors
        if isinstance(self.features, CausalNormalise):
            slow, last = (each.flatten(0, 1) for each in tensors[-2:])  # (B*M, 8), (B*M, V, 4)
            features, after = self.features.advance(x, (slow, last))  # (B*M, C, T, V)
            tensors = (*tensors[:-2], *(each.unflatten(0, (-1, self.config.persons)) for each in after))
        else:
            features = self.features(x)  # (B*M, C, T, V)
        features = features.unflatten(0, (-1, self.config.persons))  # (B, M, C, T, V)
        return self.answer(features, State(state.frames, tensors))

    def answer(self, features: Tensor, state: State) -> tuple[Tensor, State]:
        """The next T frames as `classify` takes them -> logits that fall due (B, N, labels), and the next state."""
        age, pool, *past = state.tensors  # (B, 1), (B, D*P, S)
        x, past = self._through(features, state.frames, past)  # (B, N, D*P)
        frames, size = state.frames + features.shape[-2], self.pool_size
        seen = (age + features.shape[-2]).clamp(max=self.delay + size * self.stride)  # (B, 1)
        if not x.shape[1]:
            return self.head(x), State(frames, (seen, pool, *past))  # (B, 0, labels)
        # How many features the pool holds at each of these. From 0 down it is a feature of before the beginning, which
        # only a graph that runs all blocks at every frame ever makes.
        first = self.delay + self.stride * self.pace.seen(state.frames) - state.frames
        nth = torch.arange(1, x.shape[1] + 1, device=x.device)  # (N)
        held = (age + (first - self.delay)) / self.stride + nth  # (B, N)
        x = x * (held > 0).unsqueeze(-1)  # (B, N, D*P)
        pool = torch.cat([pool, x.transpose(1, 2)], dim=2)  # (B, D*P, S + N)
        x = F.avg_pool1d(pool[:, :, 1:], size, stride=1).transpose(1, 2)  # (B, N, D*P)
        x = x * (size / held.clamp(1, size)).unsqueeze(-1)  # (B, N, D*P)
        return self.head(x), State(frames, (seen, pool[:, :, -size:], *past))  # (B, N, labels)

    def newest(self, state: State) -> Tensor:
        """(B, D*P) the last feature that has come of a stream, before it is averaged with others."""
        return state.tensors[1][:, :, -1]  # (B, D*P)

    def _through(self, features: Tensor, frames: int, past: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """T frames after `frames` others, through all blocks -> (B, N, D*P), and the next past of the blocks."""
        x = self.rescale(features)  # (B*M, C, T, V)
        persons, after = self.config.persons, list(past)
        at = 0
        for block, pace in zip(self._blocks(), self.paces, strict=True):
            if not x.shape[2]:
                return x.new_zeros(features.shape[0], 0, self.width), after  # (B, 0, D*P)
            mine = slice(at, at + 1 + (block.around is not None))
            before = [each.flatten(0, 1) for each in past[mine]]  # (B*M, D, 2 * reach, V), (B*M, C, reach, V)
            x, kept = advance(block, x, before, pace.skip(pace.seen(frames)))  # (B*M, D, N, V)
            after[mine] = [each.unflatten(0, (-1, persons)) for each in kept]
            at = mine.stop
        count = x.shape[2]
        x = x.unflatten(0, (-1, persons)).permute(0, 3, 1, 2, 4)  # (B, N, M, D, V)
        x = self.describe(x.flatten(0, 1)) if count else x.new_zeros(0, self.width)  # (B*N, D*P)
        return x.reshape(features.shape[0], count, self.width), after  # (B, N, D*P)

    def _blocks(self) -> list[Block]:
        return cast("list[Block]", list(self.blocks))


def of(network: STGCN, **options: Any) -> CoSTGCN:
    """The continual form of a network as it is: the same weights, not a copy of them.

    options: fields of Config that an ST-GCN lacks (pool_size, beginning, memory_s). `padded` is the beginning that
    clips had in the training of an ST-GCN, and the default here.
    """
    fields = {field.name: getattr(network.config, field.name) for field in dataclasses.fields(network.config)}
    made = CoSTGCN(network.layout, Config(**{"beginning": "padded", **fields, **options}))
    made.to(network.parts.device).train(network.training)
    made.scale, made.blocks, made.head = network.scale, network.blocks, network.head
    return made
