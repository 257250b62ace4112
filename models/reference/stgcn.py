"""ST-GCN and ST-GCN++ as published: yysijie/st-gcn, mmaction2 0.x and 1.x, pyskl; and the blocks of CoST-GCN.

Known besides the weights: layout, persons, strides, fps, edges ("importance" or "offset" for pyskl's PA).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import permutations
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landmarks import LAYOUTS, Layout, numbered
from models.graph import PARTITIONS, adjacency
from models.network import Network
from models.reference.published import Arrays, Family, Names, Published, State, layout_in

# Our name of each published one, inside a block; what is not here is handled by _graph_conv.
_ORIGINAL = {
    "tcn.0": "space.norm",
    "tcn.2": "time.conv",
    "tcn.3": "time.norm",
    "residual.0": "around.0",
    "residual.1": "around.1",
}
_PYSKL = {
    "gcn.bn": "space.norm",
    "gcn.down.0": "space.around.0",
    "gcn.down.1": "space.around.1",
    "tcn.conv": "time.conv",
    "tcn.bn": "time.norm",
    "tcn.transform.0": "time.mix.0",
    "tcn.transform.2": "time.mix.2",
    "residual.conv": "around.0",
    "residual.bn": "around.1",
}
_CONTINUAL = {
    "gcn.bn": "space.norm",
    "gcn.gcn_residual.0": "space.around.0",
    "gcn.gcn_residual.1": "space.around.1",
    "tcn.t_conv": "time.conv",
    "tcn.bn": "time.norm",
    "residual.t_conv": "around.0",
    "residual.bn": "around.1",
}
_BLOCK = re.compile(r"(st_gcn_networks|gcn|layers)\.(?:layer)?(\d+)\.")
_PACKS = {"openpose": "openpose_18", "handmp": "hand_21", "nturgb+d": "ntu_25", "ntu-rgb+d": "ntu_25_chain"}
"""Layouts as the published code calls them -> ours; "coco" differs between the two."""


def recognises(state: State) -> bool:
    """Are these the names of an ST-GCN?"""
    names = {plain(name) for name in state}
    return "st_gcn_networks.0.gcn.conv.weight" in names or "gcn.0.gcn.conv.weight" in names


def plain(name: str) -> str:
    """A published name without wrappers: recogniser parts, and the containers of the continual library."""
    name = name.removeprefix("backbone.").removeprefix("cls_head.")
    return name.replace("0.0.residual", "residual").replace("0.1.", "") if name.startswith("layers.") else name


def translate(state: State, known: Mapping[str, Any]) -> Published:
    """Weights in our places, the graph recognised. See Family."""
    names = Names({plain(name): tensor for name, tensor in state.items()})
    style = next(m[1] for name in names if (m := _BLOCK.match(name)))
    first = 1 if style == "layers" else 0
    prefix = {"st_gcn_networks": "st_gcn_networks.{}.", "gcn": "gcn.{}.", "layers": "layers.layer{}."}[style]
    dilated = sum(name.startswith(prefix.format(0)) and name.endswith(".3.conv.weight") for name in names)
    table = {
        "st_gcn_networks": _ORIGINAL,
        "gcn": {**_PYSKL, **_branches(dilated)},
        "layers": _CONTINUAL,
    }[style]
    count = max(int(m[2]) for name in names if (m := _BLOCK.match(name))) + 1 - first
    head = next((h for h in ("fcn", "fc_cls", "fc") if f"{h}.weight" in names), "fc")
    places = [prefix.format(i + first) for i in range(count)]

    weights: dict[str, Tensor] = {
        name.replace("data_bn", "scale"): names[name] for name in list(names) if name.startswith("data_bn.")
    }
    weights["head.1.weight"] = names[f"{head}.weight"].flatten(1)
    weights["head.1.bias"] = names[f"{head}.bias"]
    for i, place in enumerate(places):
        for name in [name for name in names if name.startswith(place)]:
            theirs, _, leaf = name.removeprefix(place).rpartition(".")
            if theirs in table:
                weights[f"blocks.{i}.{table[theirs]}.{leaf}"] = names[name]
    links = [names["A"] if "A" in names else names[f"{place}gcn.A"] for place in places]
    kinds, joints = links[0].shape[0], links[0].shape[1]
    edges = _edges(names, places[0], known)
    bias = "before"
    for i, place in enumerate(places):
        bias = _graph_conv(names, weights, i, place, kinds, known)
        weights[f"blocks.{i}.space.conv.adjacency"] = links[i]
        if edges in ("importance", "offset"):
            learned = {
                "st_gcn_networks": f"edge_importance.{i}",
                "gcn": f"{place}gcn.PA",
                "layers": f"{place}gcn.graph_attn",
            }[style]
            weights[f"blocks.{i}.space.conv.{edges}"] = names[learned]
    names.refuse_unused()

    widths = tuple(_width(weights, i) for i in range(count))
    channels = weights["blocks.0.space.conv.project.weight"].shape[1] // kinds
    layout, partition = _graph(links[0], layout_in(known))
    branches = "blocks.0.time.mix.2.weight" in weights
    scaled = weights["scale.weight"].numel() // (joints * channels) if "scale.weight" in weights else 0
    persons = known.get("persons", scaled if scaled > 1 else (1 if joints == 21 else 2))
    options: dict[str, Any] = {
        "labels": weights["head.1.bias"].numel(),
        "fps": float(known.get("fps", 30.0)),
        "persons": persons,
        "widths": widths,
        "strides": tuple(known.get("strides", _strides(weights, widths))),
        "edges": edges,
        "graph_bias": bias,
        "around_graph": any(f"blocks.{i}.space.around.0.weight" in weights for i in range(count)),
        "time": "branches" if branches else "plain",
        "scale": {0: "none", 1: known.get("scale", "shared")}.get(scaled, "persons"),
        "inputs": "given" if channels != 3 or "spine_mid" in layout or joints == 21 else "scored",
        "axes": channels,
        **({"partition": partition} if partition else {"kinds": kinds}),
        **(
            {"dilations": tuple(range(1, dilated + 1))}
            if branches
            else {"kernel": weights["blocks.0.time.conv.weight"].shape[2]}
        ),
        **({"around_graph": known["around_graph"]} if "around_graph" in known else {}),
    }
    return Published(
        network_name="stgcn++" if branches else "stgcn",
        layout=layout,
        options=options,
        weights=weights,
        window_frames=known.get("frames", 300 if style != "gcn" else 100),
        expects="coordinates centred and turned as its training code does (specs: PreNormalize2D or 3D)",
    )


def _branches(dilated: int) -> dict[str, str]:
    """Names of ST-GCN++'s temporal unit: dilated branches, one that takes the maximum, one plain."""
    return {
        **{f"tcn.branches.{b}.{i}": f"time.reduces.{b}.{i}" for b in range(dilated) for i in range(2)},
        **{f"tcn.branches.{b}.3.conv": f"time.dilated.{b}" for b in range(dilated)},
        **{f"tcn.branches.{dilated}.{i}": f"time.reduce_max.{i}" for i in range(2)},
        f"tcn.branches.{dilated + 1}": "time.itself",
    }


def _edges(names: Names, place: str, known: Mapping[str, Any]) -> str:
    if "edge_importance.0" in names or f"{place}gcn.graph_attn" in names:
        return "importance"
    if f"{place}gcn.PA" not in names:
        return known.get("edges") or ("fixed" if "A" in names else "free")
    return known.get("edges") or ("importance" if names[f"{place}gcn.PA"].mean() > 0.5 else "offset")


def _graph_conv(
    names: Names, weights: dict[str, Tensor], i: int, place: str, kinds: int, known: Mapping[str, Any]
) -> str:
    """One block's graph convolution, from any of three forms; returns where its bias stands."""
    ours = f"blocks.{i}.space.conv."
    if f"{place}gcn.g_conv.0.weight" in names:  # one convolution a kind, each with a bias that is simply added
        each = [names[f"{place}gcn.g_conv.{k}.weight"] for k in range(kinds)]
        weights[f"{ours}project.weight"] = torch.cat(each, dim=1)  # (D, K*C, 1, 1)
        biases = [names[f"{place}gcn.g_conv.{k}.bias"] for k in range(kinds)]
        weights[f"{ours}project.bias"] = torch.stack(biases).sum(dim=0)
        return "after"
    weight, bias = names[f"{place}gcn.conv.weight"], names[f"{place}gcn.conv.bias"]
    # pyskl's conv_pos "post" sums neighbours first. With one kind, shapes do not tell.
    after = weight.shape[0] == names[_norm_of(names, place)].numel() and kinds > 1
    if after or known.get("graph_bias") == "after":
        weights[f"{ours}project.weight"], weights[f"{ours}project.bias"] = weight, bias
        return "after"
    by_kind = weight.unflatten(0, (kinds, -1))  # (K, D, C, 1, 1)
    weights[f"{ours}project.weight"] = by_kind.transpose(0, 1).flatten(1, 2)  # (D, K*C, 1, 1)
    weights[f"{ours}kind_bias"] = bias.unflatten(0, (kinds, -1))  # (K, D)
    return "before"


def _norm_of(names: Names, place: str) -> str:
    return f"{place}tcn.0.weight" if f"{place}tcn.0.weight" in names else f"{place}gcn.bn.weight"


def _width(weights: dict[str, Tensor], i: int) -> int:
    return weights[f"blocks.{i}.space.norm.weight"].numel()


def _strides(weights: dict[str, Tensor], widths: tuple[int, ...]) -> tuple[int, ...]:
    """A way around with weights, in a block after the first, steps over frames: so all published networks do."""
    return tuple(2 if f"blocks.{i}.around.0.weight" in weights else 1 for i in range(len(widths)))


def _graph(links: Tensor, wanted: Layout | None) -> tuple[Layout, str]:
    """The layout and partition that give this adjacency, up to the order of kinds; a partition "" for none we know."""
    given = links.numpy()
    for layout in (wanted,) if wanted else LAYOUTS.values():
        if len(layout) != given.shape[1]:
            continue
        for partition in ("spatial-published", *PARTITIONS):
            ours = adjacency(layout, partition)
            if len(ours) == len(given) and any(
                np.allclose(ours[list(order)], given, atol=1e-6) for order in permutations(range(len(ours)))
            ):
                return layout, partition
    if wanted:
        return wanted, ""
    same_size = [layout for layout in LAYOUTS.values() if len(layout) == given.shape[1]]
    return (same_size[0] if same_size else numbered(given.shape[1])), ""


def arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """Constructor arguments of the four code bases. See Family."""
    backbone = config.get("backbone", config)
    known: dict[str, Any] = {"persons": config.get("persons", 1)}
    graph = backbone.get("graph_cfg") or config.get("graph_cfg") or config.get("graph_args") or {}
    pyskl = "num_stages" in backbone or config.get("key_names") in ("pyskl", "mmaction2-1.x")
    name = graph.get("layout", "")
    if name == "coco":
        known["layout"] = "coco_17" if pyskl else "coco_17_linked"
    elif name in _PACKS:
        known["layout"] = _PACKS[name]
    if pyskl:
        stages = backbone.get("num_stages", 10)
        down = backbone.get("down_stages", [5, 8])
        known["strides"] = tuple(2 if stage in down else 1 for stage in range(1, stages + 1))
        known["around_graph"] = bool(backbone.get("gcn_with_res", False))
        if backbone.get("gcn_conv_pos", "pre") == "post":
            known["graph_bias"] = "after"
        if backbone.get("data_bn_type", "VC") == "MVC":
            known["scale"] = "persons"
        adaptive = backbone.get("gcn_adaptive", "importance")
        known["edges"] = {"importance": "importance", "offset": "offset", "init": "free", None: "fixed"}[adaptive]
    return known


def answer(network: Network, inputs: Arrays, pack: Mapping[str, Any], run: str) -> dict[str, NDArray[np.float32]]:
    """Logits of one run. See Family."""
    return {"logits": network.classify(given(inputs, pack)).numpy()}


def given(inputs: Arrays, pack: Mapping[str, Any]) -> Tensor:
    """A run's input as `classify` takes it: (B, M, C, T, V)."""
    axes = pack["layout"]["x"].strip("()").split(")")[0].replace(" ", "").split(",")
    return torch.from_numpy(inputs["x"]).permute([axes.index(axis) for axis in ("N", "M", "C", "T", "V")])


FAMILY = Family("stgcn", recognises, translate, arguments, answer, aliases=("stgcn++",))
