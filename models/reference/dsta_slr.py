"""DSTA-SLR as published: hulianyuyy/DSTA-SLR (its weights are for non-commercial use).

Known besides the weights: layout, frames, stream, fps; weights of all four streams look alike.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landmarks import LAYOUTS, SIGN_27, Layout, numbered
from models.graph import adjacency
from models.network import Network
from models.reference.published import Arrays, Family, Names, PartialLoad, Published, State, layout_in

# Our name of each published one, inside a layer; the temporal units and what needs another shape stand apart.
_PLACES = {
    "san.bn0": "space.embed_norm",
    "san.Edge_conv.norm1": "space.edges.norm",
    "san.Edge_conv.transform": "space.edges.project",
    "san.norm1": "space.attention_norm",
    "san.in_nets": "space.attention.query_key",
    "san.norm2": "space.perceptron.norm",
    "san.mlp.fc1": "space.perceptron.widen",
    "san.mlp.fc2": "space.perceptron.narrow",
    "san.bn": "space.norm",
    "san.down.0": "space.around.0",
    "san.down.1": "space.around.1",
    "conv_sa": "gates.joints",
    "conv_ta": "gates.frames",
    "fc1c": "gates.squeeze",
    "fc2c": "gates.widen",
    "residual.pool.net.0": "around.0",
    "residual.pool.net.1": "around.1",
    "residual.bn": "around.2",
}
_LAYER = re.compile(r"layers\.(\d+)\.")
_BRANCH = re.compile(r"tcn(\d*)\.branches\.(\d+)\.(conv|bn)")


def recognises(state: State) -> bool:
    """Are these the names of a DSTA-SLR?"""
    return "layers.0.san.attention0s" in state


def translate(state: State, known: Mapping[str, Any]) -> Published:
    """Weights in our places. See Family."""
    names = Names(state)
    count = 1 + max(int(found[1]) for name in names if (found := _LAYER.match(name)))
    weights: dict[str, Tensor] = {}
    for name in list(names):
        if name.startswith("data_bn."):
            weights[f"scale.{name.removeprefix('data_bn.')}"] = names[name]
    for leaf in ("weight", "bias"):
        weights[f"head.{leaf}"] = names[f"fc.{leaf}"]
    joints = names["layers.0.san.attention0s"].shape[-1]
    links = names.get("layers.0.A")
    layout = _layout(joints, links, layout_in(known))
    for i in range(count):
        _layer(names, weights, f"layers.{i}.", layout)
    names.refuse_unused()

    channels = weights["layers.0.space.embed.weight"].shape[1]
    if not 1 <= channels <= 4:
        raise PartialLoad(f"landmarks have three axes and a score, the checkpoint takes {channels} channels")
    first = "layers.0.time.0.convs."
    branches = sum(name.startswith(first) and name.endswith(".weight") for name in weights)
    widths = tuple(
        sum(weights[f"layers.{i}.time.0.convs.{branch}.weight"].shape[0] for branch in range(branches))
        for i in range(count)
    )
    # A way around with weights steps over frames: so it is in the published network.
    strides = tuple(2 if f"layers.{i}.around.0.weight" in weights else 1 for i in range(count))
    inside = weights["layers.0.space.perceptron.widen.weight"]
    options: dict[str, Any] = {
        "labels": weights["head.bias"].numel(),
        "fps": float(known.get("fps", 30.0)),
        "persons": known.get("persons", max(1, weights["scale.weight"].numel() // (joints * channels))),
        "widths": widths,
        "strides": tuple(known.get("strides", strides)),
        "subsets": weights["layers.0.space.attention.weight"].numel(),
        "edge_features": weights["layers.0.space.edges.weight"].numel(),
        "expansion": inside.shape[0] // inside.shape[1],
        "kernels": tuple(weights[f"{first}{branch}.weight"].shape[2] for branch in range(branches)),
        "units": 1 + max(int(name.split(".")[3]) for name in weights if name.startswith("layers.0.time.")),
        "inputs": known.get("inputs", "published"),
        "bones": known.get("bones", "reference"),
        "stream": known.get("stream", "joint"),
        "axes": min(channels, 2) if channels < 4 else 3,
        "score": channels > 2,
        **{key: known[key] for key in ("frames", "drop_layers", "drop_block") if key in known},
    }
    return Published(
        network_name="dsta-slr",
        layout=layout,
        options=options,
        weights=weights,
        window_frames=known.get("frames", 120),
        expects="landmarks as they are: its published preprocessing is part of the network (inputs='given' leaves it "
        "out); which of the four streams the weights are of, only their source says (stream=...)",
    )


def _layer(names: Names, weights: dict[str, Tensor], place: str, layout: Layout) -> None:
    """One layer's weights under our names; its graph, where the checkpoint lacks it, from the layout."""
    space = f"{place}san."
    weights[f"{place}space.embed.weight"] = names[f"{space}Linear_weight"].T[..., None, None]  # (D, C, 1, 1)
    weights[f"{place}space.embed.bias"] = names[f"{space}Linear_bias"].flatten()  # (D,)
    weights[f"{place}space.edge_gain"] = names[f"{space}edge_weight"].reshape(1)  # (1,)
    weights[f"{place}space.edges.directions"] = names[f"{space}Edge_conv.edge_features"]  # (D, E)
    weights[f"{place}space.edges.weight"] = names[f"{space}Edge_conv.alphas"].flatten()  # (E,)
    weights[f"{place}space.attention.weight"] = names[f"{space}alphas"].flatten()  # (K,)
    weights[f"{place}space.graph"] = names[f"{space}attention0s"].flatten(0, 2)  # (D, V, V)
    weights[f"{place}links"] = (
        names[f"{place}A"]
        if f"{place}A" in names
        else torch.from_numpy(adjacency(layout, "direction")).sum(dim=0)  # only training asks for it
    )  # (V, V)
    for name in [name for name in names if name.startswith(place)]:
        theirs, _, leaf = name.removeprefix(place).rpartition(".")
        if theirs in _PLACES:
            weights[f"{place}{_PLACES[theirs]}.{leaf}"] = names[name]
        elif branch := _BRANCH.fullmatch(theirs):
            unit, kind = int(branch[1] or 1) - 1, {"conv": "convs", "bn": "norms"}[branch[3]]
            weights[f"{place}time.{unit}.{kind}.{branch[2]}.{leaf}"] = names[name]


def _layout(joints: int, links: Tensor | None, wanted: Layout | None) -> Layout:
    """The wanted layout; else the 27 nodes; else the one whose bones are these links, or as many numbered joints."""
    if wanted is not None:
        return wanted
    if joints == len(SIGN_27):  # the published graph has its bones but for the link between the shoulders
        return SIGN_27
    for layout in LAYOUTS.values():
        if links is not None and len(layout) == joints:
            ours = adjacency(layout, "direction").sum(axis=0)
            if np.array_equal(ours > 0, links.numpy() > 0):
                return layout
    return numbered(joints)


def arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """Constructor arguments of the published code; `groups` plays no part there. See Family."""
    known: dict[str, Any] = {}
    for theirs, ours in (
        ("window_size", "frames"),
        ("frames", "frames"),
        ("num_person", "persons"),
        ("block_size", "drop_block"),
        ("drop_layers", "drop_layers"),
    ):
        if config.get(theirs) is not None:
            known[ours] = config[theirs]
    return known


def answer(network: Network, inputs: Arrays, pack: Mapping[str, Any], run: str) -> dict[str, NDArray[np.float32]]:
    """Logits of one run. See Family."""
    axes = pack["layout"]["x"].strip("()").split(")")[0].replace(" ", "").split(",")
    x = torch.from_numpy(inputs["x"]).permute([axes.index(axis) for axis in ("N", "M", "C", "T", "V")])
    return {"logits": network.classify(x).numpy()}


FAMILY = Family("dsta-slr", recognises, translate, arguments, answer, aliases=("dsta_slr",))
