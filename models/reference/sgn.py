"""SGN as published: microsoft/SGN.

Known besides the weights: layout, fps, and the fields of models.sgn.Config that have no weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landmarks import NTU_25, Layout, numbered
from models.network import Network
from models.reference.published import Arrays, Family, Names, Published, State, layout_in

WINDOW_FRAMES = 60
"""Of an imported network, unless told: 2 s of Kinect. Published ones take a clip of any length."""
POOLED_FRAMES = 20
"""What the published maximum over joints leaves of any number of frames."""
EXPECTS = (
    "Kinect's joints in metres, neither scaled nor turned, unseen ones missing; frames of a second person stand "
    "between those of the first"
)
_NORM = ("running_mean", "running_var", "num_batches_tracked")


def recognises(state: State) -> bool:
    """Are these the names of an SGN?"""
    return "compute_g1.g1.cnn.weight" in state and "dif_embed.cnn.1.cnn.weight" in state


def translate(state: State, known: Mapping[str, Any]) -> Published:
    """Weights in our places. See Family."""
    names = Names(state)
    count = sum(f"gcn{i}.w.cnn.weight" in names for i in range(1, len(names)))
    places = {
        **embed("joint_embed", "position"),
        **embed("dif_embed", "velocity"),
        **SEMANTICS,
        **relation("", ""),
        **graph_layers(count, "", ""),
        **OVER_FRAMES,
        "fc": "head",
    }
    weights = move(names, places)
    names.refuse_unused()
    joints = weights["which_joint.first.weight"].shape[1]
    layout = layout_in(known) or (NTU_25 if joints == len(NTU_25) else numbered(joints))
    options = {
        **shared_options(weights, layout, known),
        "axes": weights["position.first.weight"].shape[1],
        "relation": weights["relation.listener.weight"].shape[0],
        "widths": tuple(weights[f"layers.{i}.heard.weight"].shape[0] for i in range(count)),
        "bias": "position.first.bias" in weights,
    }
    return Published("sgn", layout, options, weights, (), known.get("frames", WINDOW_FRAMES), EXPECTS)


def embed(theirs: str, ours: str) -> dict[str, str]:
    """Published name of each part -> ours: two layers on a joint."""
    return {
        f"{theirs}.cnn.0.bn": f"{ours}.norm",
        f"{theirs}.cnn.1.cnn": f"{ours}.first",
        f"{theirs}.cnn.3.cnn": f"{ours}.second",
    }


def relation(theirs: str, ours: str) -> dict[str, str]:
    """Published name of each part -> ours: who listens to whom."""
    return {
        f"{theirs}compute_g1.g1.cnn": f"{ours}relation.listener",
        f"{theirs}compute_g1.g2.cnn": f"{ours}relation.source",
    }


def graph_layers(count: int, theirs: str, ours: str) -> dict[str, str]:
    """Published name of each part -> ours: graph layers one after the other."""
    parts = (("w.cnn", "heard"), ("w1.cnn", "itself"), ("bn", "norm"))
    return {f"{theirs}gcn{i + 1}.{part}": f"{ours}layers.{i}.{our}" for i in range(count) for part, our in parts}


SEMANTICS = {
    "spa_embed.cnn.0.cnn": "which_joint.first",
    "spa_embed.cnn.2.cnn": "which_joint.second",
    "tem_embed.cnn.0.cnn": "which_frame.first",
    "tem_embed.cnn.2.cnn": "which_frame.second",
}
"""Published name of each part -> ours: what joints and frames are."""
OVER_FRAMES = {
    "cnn.cnn1": "over_frames.near",
    "cnn.bn1": "over_frames.near_norm",
    "cnn.cnn2": "over_frames.widen",
    "cnn.bn2": "over_frames.widen_norm",
}
"""Published name of each part -> ours: the layers over frames."""


def move(names: Names, places: Mapping[str, str]) -> dict[str, Tensor]:
    """Our state dict of the published one; `places` are their names of layers and ours.

    Their tensors are (B, C, V, T), ours (B, C, T, V), so kernels are transposed.
    """
    weights: dict[str, Tensor] = {}
    for theirs, ours in places.items():
        weight = names[f"{theirs}.weight"]
        weights[f"{ours}.weight"] = weight.transpose(2, 3) if weight.dim() == 4 else weight
        for leaf in ("bias", *_NORM):
            if f"{theirs}.{leaf}" in names:
                weights[f"{ours}.{leaf}"] = names[f"{theirs}.{leaf}"]
    return weights


def shared_options(weights: Mapping[str, Tensor], layout: Layout, known: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of the Config that an SGN and an impSGN find alike, in our weights or in what is known."""
    unweighted = ("draws", "pooled_frames", "dropout", "inputs", "centre")
    return {
        "labels": weights["head.weight"].shape[0],
        "fps": float(known.get("fps", 30.0)),
        "segments": weights["which_frame.first.weight"].shape[1],
        "embed": weights["position.first.weight"].shape[0],
        "frame_width": weights["over_frames.widen.weight"].shape[0],
        "pooled_frames": POOLED_FRAMES,
        "inputs": "centred",
        "centre": layout.joints[min(1, len(layout) - 1)],  # the middle of the spine, in Kinect's order
        **{key: known[key] for key in unweighted if key in known},
    }


def arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """Constructor arguments; all of them show in the weights. See Family."""
    return {}


def answer(network: Network, inputs: Arrays, pack: Mapping[str, Any], run: str) -> dict[str, NDArray[np.float32]]:
    """Logits of one run. See Family."""
    x = torch.from_numpy(inputs["x"])  # (B, T, V*C)
    x = x.unflatten(2, (-1, pack["config"].get("in_channels", 3)))  # (B, T, V, C)
    return {"logits": network.classify(x.permute(0, 3, 1, 2)).numpy()}


FAMILY = Family("sgn", recognises, translate, arguments, answer)
