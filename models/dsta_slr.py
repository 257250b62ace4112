"""DSTA-SLR: which joint heeds which is made from the clip itself, in every layer anew.

Hu, Gao, Liu, Feng: Dynamic Spatial-Temporal Aggregation for Skeleton-Aware Sign Language Recognition, LREC-COLING
2024, arXiv 2403.12519. The defaults are the published network on one stream (joint); `stream` chooses another.
widths=(16, 32, 64), strides=(1, 2, 2), frames=32 makes one for a CPU (5 ms a window against 112, one thread).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landmarks import SIGN_27, Layout
from models.graph import adjacency
from models.normalise import AsGiven, Positions
from models.people import OfPeople, rescale
from models.streams import STREAMS, Stream, StreamName

_PICTURE_PIXELS = 512.0
"""Height of the square picture that published weights know coordinates in."""


def _published_bones() -> tuple[tuple[str, str], ...]:
    """(child, parent) of the 27 nodes in the order of the published preprocessing; in place, the order matters."""
    arms = (
        ("left_shoulder", "nose"),
        ("right_shoulder", "nose"),
        *(
            (f"{side}_{child}", f"{side}_{parent}")
            for side in ("left", "right")
            for child, parent in (("elbow", "shoulder"), ("wrist", "elbow"))
        ),
    )
    fingers = ("index", "middle", "ring", "pinky")
    from_wrist = [(part, "wrist") for part in ("thumb_tip", *(f"{finger}_mcp" for finger in fingers))]
    hand = (*from_wrist, *((f"{finger}_tip", f"{finger}_mcp") for finger in fingers))
    hands = tuple((f"{side}_hand_{a}", f"{side}_hand_{b}") for side in ("left", "right") for a, b in hand)
    return (*arms, *hands, *((f"{side}_hand_wrist", f"{side}_wrist") for side in ("left", "right")))


@dataclass(frozen=True)
class Config:
    """What a DSTA-SLR is built from.

    labels: outputs. fps: frames per second of its input. persons: M, each of whom its input may show.
    widths, strides: channels out of each layer, and how many of its frames a layer steps over.
    subsets: K groups of channels, each with its own attention between joints.
    edge_features: learned directions in which a joint's features are weighed. expansion: of the perceptron's width.
    kernels: frames that the branches of a temporal unit see; odd. units: temporal units in a layer.
    frames: T that the network sees, taken evenly from the window; 0 takes the window as it is.
    stream: joint, bone, joint-motion or bone-motion.
    bones: `true`, from each joint's parent, 0 with an unseen end; or as the `reference` makes them, in place (see
        AliasedBones), where what is seen is subtracted too, in motion as well.
    inputs: `normalised` positions (models.normalise), or coordinates as `given`, or as `published` preprocessing
        makes them: in pixels, from the mean place of the first joint.
    axes: 3 takes z too, 2 does not. score: whether a joint is seen is a channel.
    keep: what structured dropout keeps when training, see DSTASLR.schedule. drop_layers: how many layers have it, of
        the last ones. drop_block: frames that it drops together; odd.
    """

    labels: int
    fps: float
    persons: int = 1
    widths: tuple[int, ...] = (64, 128, 256, 512)
    strides: tuple[int, ...] = (1, 2, 2, 2)
    subsets: int = 8
    edge_features: int = 6
    expansion: int = 4
    kernels: tuple[int, ...] = (5, 7)
    units: int = 3
    frames: int = 120
    stream: StreamName = "joint"
    bones: Literal["true", "reference"] = "true"
    inputs: Literal["normalised", "given", "published"] = "normalised"
    axes: int = 2
    score: bool = True
    keep: float = 0.9
    drop_layers: int = 2
    drop_block: int = 41

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.strides) or not self.widths:
            raise ValueError(f"need one stride a layer, got widths {self.widths} and strides {self.strides}")
        sizes = (*self.widths, *self.strides, self.labels, self.persons, self.subsets, self.edge_features)
        if min(*sizes, self.expansion, self.units) < 1 or not self.fps > 0:
            raise ValueError("widths, strides, labels, persons and all other sizes are at least 1, fps is above 0")
        if not self.kernels or any(kernel < 1 or kernel % 2 == 0 for kernel in (*self.kernels, self.drop_block)):
            raise ValueError(f"need odd kernels and an odd drop_block, got {self.kernels}, {self.drop_block}")
        into = (self.widths[0], *self.widths[:-1])
        for width, out in zip(into, self.widths, strict=True):
            if width < 2 or width % self.subsets or out % len(self.kernels) or out % width:
                raise ValueError(
                    f"a layer's width is a multiple of {self.subsets} subsets, of {len(self.kernels)} kernels, "
                    f"and of the width before, got {self.widths}"
                )
        if self.frames < 0 or self.drop_layers < 0 or not 0 < self.keep <= 1:
            raise ValueError(
                f"need frames >= 0, drop_layers >= 0 and 0 < keep <= 1, "
                f"got {self.frames}, {self.drop_layers}, {self.keep}"
            )
        if self.axes not in ((2, 3) if self.inputs == "normalised" else (1, 2, 3)):
            raise ValueError(f"axes is 2 or 3, got {self.axes}")
        for name, value, known in (
            ("stream", self.stream, STREAMS),
            ("bones", self.bones, ("true", "reference")),
            ("inputs", self.inputs, ("normalised", "given", "published")),
        ):
            if value not in known:
                raise ValueError(f"{name} is one of {', '.join(known)}, got {value!r}")


class Pixels(nn.Module):
    """Coordinates in picture heights -> in pixels of the published picture; the last channel as it is.

    In and out: (B, A + 1, T, V).
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, A + 1, T, V) -> (B, A + 1, T, V)."""
        return torch.cat([x[:, :-1] * _PICTURE_PIXELS, x[:, -1:]], dim=1)  # (B, A+1, T, V)


class FromFirstJoint(nn.Module):
    """All joints from the first one's mean place in the window, unseen ones too; the last channel as it is.

    In and out: (B, A + 1, T, V).
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, A + 1, T, V) -> (B, A + 1, T, V)."""
        place = x[:, :-1, :, :1].mean(dim=2, keepdim=True)  # (B, A, 1, 1)
        return torch.cat([x[:, :-1] - place, x[:, -1:]], dim=1)  # (B, A+1, T, V)


class Sample(nn.Module):
    """As many frames as wanted, evenly from the window: the i-th is its frame floor(i * T / frames).

    In: (B, C, T, V). Out: (B, C, frames, V); with `frames` 0 as it came.
    """

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.frames = frames

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, V) -> (B, C, frames, V)."""
        window = x.shape[2]
        if self.frames in (0, window):
            return x
        chosen = [i * window // self.frames for i in range(self.frames)]
        return x.index_select(2, torch.tensor(chosen, device=x.device))  # (B, C, frames, V)


class Channels(nn.Module):
    """The first so many channels.

    In: (B, C, T, V). Out: (B, channels, T, V).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, V) -> (B, channels, T, V)."""
        return x[:, : self.channels]  # (B, channels, T, V)


def features(layout: Layout, config: Config) -> nn.Sequential:
    """(B, T, V, 3) landmarks -> (B, C, T', V), C = axes, and 1 where there is a score.

    In the published order: streams are taken at the window's rate, then frames are chosen, then the centre is.
    """
    published = config.bones == "reference"
    bones = _published_bones() if published and layout.joints == SIGN_27.joints else None
    steps: list[nn.Module] = [
        Positions(layout, config.fps, config.axes)
        if config.inputs == "normalised"
        else AsGiven(config.axes + 1, scored=True)
    ]
    if config.inputs == "published":
        steps.append(Pixels())
    steps.append(Stream(layout, config.stream, bones, "difference" if published else "seen", aliased=published))
    steps.append(Sample(config.frames))
    if config.inputs == "published":
        steps.append(FromFirstJoint())
    return nn.Sequential(*steps, Channels(config.axes + config.score))


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over channels: each frame of each joint by itself.

    In and out: (B, C, T, V).
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        """(B, C, T, V) -> (B, C, T, V)."""
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)  # (B, C, T, V)


class EdgeFeatures(nn.Module):
    """Learned directions, each weighed by how far a joint's features point its way.

    In and out: (B, C, T, V). Parameters: directions (C, E), weight (E,).
    """

    def __init__(self, channels: int, count: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels)
        self.project = nn.Conv2d(channels, channels, kernel_size=1)
        self.directions = nn.Parameter(nn.init.trunc_normal_(torch.empty(channels, count), std=0.02))
        self.weight = nn.Parameter(torch.ones(count))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, V) -> (B, C, T, V)."""
        x = self.project(self.norm(x)).permute(0, 2, 3, 1)  # (B, T, V, C)
        along = torch.tanh(torch.matmul(x, self.directions)) / x.shape[-1] * self.weight  # (B, T, V, E)
        return torch.matmul(along, self.directions.T).permute(0, 3, 1, 2)  # (B, C, T, V)


class JointAttention(nn.Module):
    """Joints weigh each other by what they do over the whole clip: one graph a clip and subset, of tanh, not softmax.

    In and out: (B, C, T, V), already normalised; what is weighed is the input itself. Parameter: weight (K,).
    """

    def __init__(self, channels: int, subsets: int) -> None:
        super().__init__()
        self.subsets = subsets
        self.query_key = nn.Conv2d(channels, 2 * channels, kernel_size=1)
        self.weight = nn.Parameter(torch.ones(subsets))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, V) -> (B, C, T, V)."""
        query, key = self.query_key(x).unflatten(1, (2, self.subsets, -1)).flatten(3, 4).unbind(1)  # (B, K, C/K*T, V)
        alike = torch.matmul(query.transpose(2, 3), key) / query.shape[2]  # (B, K, V, V)
        graph = torch.tanh(alike) * self.weight[:, None, None]  # (B, K, V, V)
        values = x.unflatten(1, (self.subsets, -1)).flatten(2, 3)  # (B, K, C/K*T, V)
        return torch.matmul(values, graph).reshape(x.shape)  # (B, C, T, V)


class Perceptron(nn.Module):
    """Two layers over the channels of each joint in each frame.

    In and out: (B, C, T, V).
    """

    def __init__(self, channels: int, expansion: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.widen, self.narrow = nn.Linear(channels, expansion * channels), nn.Linear(expansion * channels, channels)
        for layer in (self.widen, self.narrow):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, V) -> (B, C, T, V)."""
        x = self.widen(self.norm(x.permute(0, 2, 3, 1)))  # (B, T, V, E*C)
        return self.narrow(F.gelu(x)).permute(0, 3, 1, 2)  # (B, C, T, V)


class SpatialUnit(nn.Module):
    """Dynamic spatial aggregation: attention between joints, then a learned graph for each channel.

    In: (B, C, T, V). Out: (B, D, T, V). Parameters: graph (D, V, V) from source to target; edge_gain (1,), which
    starts at 0, as the weight of the last normalisation starts at 1e-6: a new unit passes on what came in.
    """

    def __init__(self, channels: int, out: int, joints: int, config: Config) -> None:
        super().__init__()
        self.embed, self.embed_norm = nn.Conv2d(channels, out, kernel_size=1), nn.BatchNorm2d(out)
        self.edges = EdgeFeatures(out, config.edge_features)
        self.edge_gain = nn.Parameter(torch.zeros(1))
        self.attention_norm, self.attention = ChannelNorm(out), JointAttention(out, config.subsets)
        self.perceptron = Perceptron(out, config.expansion)
        self.graph = nn.Parameter(torch.full((out, joints, joints), 1 / joints))
        self.norm = nn.BatchNorm2d(out)
        self.around: nn.Module = (
            nn.Identity()
            if channels == out
            else nn.Sequential(nn.Conv2d(channels, out, kernel_size=1), nn.BatchNorm2d(out))
        )
        nn.init.normal_(self.embed.weight, std=math.sqrt(0.5 / out))
        nn.init.constant_(_bias(self.embed), 1e-6)
        nn.init.constant_(self.norm.weight, 1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, V) -> (B, D, T, V)."""
        h = self.embed_norm(self.embed(x))  # (B, D, T, V)
        edges = self.edges(h) * self.edge_gain  # (B, D, T, V)
        h = h + self.attention(self.attention_norm(h))  # (B, D, T, V)
        h = h + self.perceptron(h) + edges  # (B, D, T, V)
        h = torch.matmul(h, self.graph)  # (B, D, T, V)
        return torch.relu(self.norm(h) + self.around(x))  # (B, D, T, V)


class Gates(nn.Module):
    """What matters, joint by joint, then frame by frame, then channel by channel: each makes features up to double.

    In and out: (B, C, T, V). Shi et al. 2020, the attention module.
    """

    def __init__(self, channels: int, joints: int) -> None:
        super().__init__()
        kernel = joints - 1 + joints % 2
        self.joints = nn.Conv1d(channels, 1, kernel, padding=kernel // 2)
        self.frames = nn.Conv1d(channels, 1, kernel_size=9, padding=4)
        self.squeeze, self.widen = nn.Linear(channels, channels // 2), nn.Linear(channels // 2, channels)
        nn.init.xavier_normal_(self.joints.weight)
        nn.init.zeros_(self.frames.weight)
        nn.init.kaiming_normal_(self.squeeze.weight)
        nn.init.zeros_(self.widen.weight)
        for layer in (self.joints, self.frames, self.squeeze, self.widen):
            nn.init.zeros_(_bias(layer))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, V) -> (B, C, T, V)."""
        x = x + x * torch.sigmoid(self.joints(x.mean(dim=2))).unsqueeze(2)  # (B, C, T, V), gate (B, 1, 1, V)
        x = x + x * torch.sigmoid(self.frames(x.mean(dim=3))).unsqueeze(3)  # (B, C, T, V), gate (B, 1, T, 1)
        channels = self.widen(torch.relu(self.squeeze(x.mean(dim=(2, 3)))))  # (B, C)
        return x + x * torch.sigmoid(channels)[..., None, None]  # (B, C, T, V), gate (B, C, 1, 1)


class StructuredDropout(nn.Module):
    """When training, neighbouring joints fall out together, then neighbouring frames (Cheng et al. 2020, DropGraph).

    Where features are large they are likelier to fall out; what is left grows so that the mean stays.
    keep: probability to stay, 1 for all. block: frames around a seed that fall out with it.
    In and out: (B, C, T, V); links (V, V) above 0 from a seed to the joints that fall out with it.
    """

    def __init__(self, keep: float, block: int) -> None:
        super().__init__()
        self.keep, self.block = keep, block

    def forward(self, x: Tensor, links: Tensor) -> Tensor:
        """(B, C, T, V) -> (B, C, T, V)."""
        if not self.training or self.keep >= 1:
            return x
        together = (links > 0).sum() / len(links)  # joints that one seed takes with it, 2.92 in the published code
        seeds = self._seeds(x.detach().abs().mean(dim=(1, 2)), together)  # (B, V)
        fallen = (torch.matmul(seeds, links) > 0).to(x.dtype)  # (B, V)
        x = self._without(x, fallen[:, None, None])  # (B, C, T, V)
        seeds = self._seeds(x.detach().abs().mean(dim=(1, 3)), self.block)  # (B, T)
        fallen = F.max_pool1d(seeds.unsqueeze(1), self.block, stride=1, padding=self.block // 2)  # (B, 1, T)
        return self._without(x, fallen.unsqueeze(3))  # (B, C, T, V)

    def _seeds(self, size: Tensor, together: Tensor | int) -> Tensor:
        """(B, L) mean features -> (B, L) 1 where a block falls out around, else 0."""
        share = size / size.mean(dim=1, keepdim=True).clamp(min=1e-12)  # (B, L)
        return torch.bernoulli((share * (1 - self.keep) / together).clamp(max=1.0))  # (B, L)

    def _without(self, x: Tensor, fallen: Tensor) -> Tensor:
        stays = 1 - fallen  # as fallen
        return x * stays * (stays.numel() / stays.sum().clamp(min=1.0))  # (B, C, T, V)


class TemporalUnit(nn.Module):
    """Convolutions of several lengths over a joint's frames, side by side.

    In: (B, C, T, V). Out: (B, D, ceil(T / stride), V); nothing follows the normalisation.
    """

    def __init__(self, channels: int, out: int, stride: int, keep: float, config: Config) -> None:
        super().__init__()
        width = out // len(config.kernels)
        convs = [nn.Conv2d(channels, width, (kernel, 1), (stride, 1), (kernel // 2, 0)) for kernel in config.kernels]
        self.convs = nn.ModuleList(convs)
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in config.kernels)
        self.dropout = StructuredDropout(keep, config.drop_block)
        for conv in convs:
            # Published is fan_out for a ReLU that is not there. When training, the normalisation makes it the same; a
            # fresh network, without statistics yet, would multiply features at every unit, to logits of 10,000.
            nn.init.kaiming_normal_(conv.weight, mode="fan_in", nonlinearity="linear")
            nn.init.zeros_(_bias(conv))

    def forward(self, x: Tensor, links: Tensor) -> Tensor:
        """(B, C, T, V) -> (B, D, T', V)."""
        views = [norm(conv(x)) for conv, norm in zip(self.convs, self.norms, strict=True)]  # each (B, D/k, T', V)
        return torch.cat([self.dropout(view, links) for view in views], dim=1)  # (B, D, T', V)


class Layer(nn.Module):
    """Joints look at each other, features are gated, then frames follow; and a way around all but in the first layer.

    In: (B, C, T, V). Out: (B, D, ceil(T / stride), V). Buffer: links (V, V), for the structured dropout alone.
    """

    def __init__(
        self, channels: int, out: int, stride: int, links: Tensor, keep: float, config: Config, first: bool
    ) -> None:
        super().__init__()
        inside = out if first else channels
        self.space = SpatialUnit(channels, inside, len(links), config)
        self.gates = Gates(inside, len(links))
        steps = [1] * (config.units - 1) + [stride]
        self.time = nn.ModuleList(
            TemporalUnit(out if i else inside, out, step, keep, config) for i, step in enumerate(steps)
        )
        self.around: nn.Module | None = None
        if not first:
            self.around = (
                nn.Identity()
                if channels == out and stride == 1
                else nn.Sequential(
                    nn.Conv2d(channels, out, kernel_size=1, stride=(stride, 1), groups=channels),
                    nn.Conv2d(out, out, kernel_size=1),
                    nn.BatchNorm2d(out),
                )
            )
        self.register_buffer("links", links)
        self.links: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, V) -> (B, D, T', V)."""
        y = self.gates(self.space(x))  # (B, C, T, V), in the first layer (B, D, T, V)
        for unit in self.time:
            y = unit(y, self.links)  # (B, D, T', V)
        return torch.relu(y if self.around is None else y + self.around(x))  # (B, D, T', V)


class DSTASLR(OfPeople):
    """Raw landmarks in, probabilities out.

    layout: V joints, in the order of the input. The input may also be (B, M, T, V, 3): up to `persons` people,
    of whom those not given count as absent.
    """

    def __init__(self, layout: Layout, config: Config) -> None:
        super().__init__()
        self.layout, self.config = layout, config
        self.features = features(layout, config)
        channels = config.axes + config.score
        self.scale = nn.BatchNorm1d(config.persons * len(layout) * channels)
        # The joint itself and those one bone away, either way along the bone.
        links = torch.from_numpy(adjacency(layout, "direction")).sum(dim=0)  # (V, V)
        layers = []
        for i, (width, stride) in enumerate(zip(config.widths, config.strides, strict=True)):
            keep = config.keep if i >= len(config.widths) - config.drop_layers else 1.0
            layers.append(Layer(channels, width, stride, links.clone(), keep, config, first=i == 0))
            channels = width
        self.layers = nn.ModuleList(layers)
        self.head = nn.Linear(channels, config.labels)
        nn.init.normal_(self.head.weight, std=math.sqrt(2 / config.labels))

    def schedule(self, share: float) -> None:
        """Set what structured dropout keeps: all at a share of 0 of its schedule, `config.keep` at 1, linear between.

        The published schedule lasts 100 of 250 epochs. A network that is never told keeps `config.keep`.
        """
        if not 0 <= share <= 1:
            raise ValueError(f"a share is from 0 to 1, got {share}")
        for layer in list(self.layers)[max(0, len(self.layers) - self.config.drop_layers) :]:
            for module in layer.modules():
                if isinstance(module, StructuredDropout):
                    module.keep = 1 - share * (1 - self.config.keep)

    def classify(self, features: Tensor) -> Tensor:
        """(B, C, T, V) or (B, M, C, T, V) -> (B, labels), before softmax."""
        x = rescale(self.scale, features, self.config.persons, tell_apart=True)  # (B*M, C, T, V)
        for layer in self.layers:
            x = layer(x)  # (B*M, D, T', V)
        x = x.mean(dim=(2, 3)).unflatten(0, (-1, self.config.persons))  # (B, M, D)
        return self.head(x.mean(dim=1))  # (B, labels)


def _bias(layer: nn.Module) -> Tensor:
    assert isinstance(layer.bias, Tensor)
    return layer.bias
