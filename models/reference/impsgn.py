"""impSGN as published: acvai/impSGN, its default block.

Known besides the weights: layout (whose bones are its bones), fps, and the fields of models.impsgn.Config that have
no weights.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from landmarks import NTU_25_CHAIN, Layout, numbered
from models.reference.published import Family, Names, PartialLoad, Published, State, layout_in
from models.reference.sgn import (
    EXPECTS,
    OVER_FRAMES,
    SEMANTICS,
    WINDOW_FRAMES,
    answer,
    embed,
    graph_layers,
    move,
    relation,
    shared_options,
)

_NTU_PARENTS = (1, 1, 20, 2, 20, 4, 5, 6, 20, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18, 1, 22, 7, 24, 11)
"""Of each of Kinect's joints, by position; the middle of the spine is its own."""
_STREAMS = {
    "joint_embed": "position",
    "velocity_embed": "velocity",
    "velocity_prime_embed": "weighted",
    "bone_embed": "bone",
}


def _rooted(joints: int, parents: Sequence[int]) -> Layout:
    """A layout whose bones go from each joint to its parent, but for a joint that is its own."""
    edges = [(child, parent) for child, parent in enumerate(parents) if child != parent]
    if joints != len(NTU_25_CHAIN):
        return numbered(joints, edges)
    names = NTU_25_CHAIN.joints
    return Layout("ntu_25_spine", names, tuple((names[child], names[parent]) for child, parent in edges))


def recognises(state: State) -> bool:
    """Are these the names of an impSGN?"""
    return "stab_modules.0.compute_g1.g1.cnn.weight" in state


def translate(state: State, known: Mapping[str, Any]) -> Published:
    """Weights in our places. See Family."""
    names = Names(state)
    blocks = _count(names, "stab_modules.{}.upsampling.weight")
    layers = _count(names, "stab_modules.0.gcn{}.w.cnn.weight", start=1)
    dilated = _count(names, "stab_modules.0.mstcn.branches.{}.3.conv.weight")
    places = {**SEMANTICS, **OVER_FRAMES, "fc": "head"}
    for theirs, ours in _STREAMS.items():
        places |= embed(theirs, ours)
    for i in range(blocks):
        places |= _block(f"stab_modules.{i}.", f"blocks.{i}.", layers, dilated)
    weights = move(names, places)
    names.refuse_unused()
    bias = _settle_biases(weights)
    slid = [f"blocks.{i}.scales.views.{view}.3.weight" for i in range(blocks) for view in range(dilated)]
    axis = known.get("axis", "joint")
    if axis == "time":  # the published kernel as it is, which then slides over frames
        weights |= {name: weights[name].transpose(2, 3) for name in slid}
    joints = weights["which_joint.first.weight"].shape[1]
    layout = layout_in(known) or (_rooted(joints, _NTU_PARENTS) if joints == len(_NTU_PARENTS) else None)
    if layout is None:
        raise PartialLoad(f"an impSGN of {joints} joints needs a layout: its weights do not say where the bones are")
    options = {
        **shared_options(weights, layout, known),
        "axes": weights["velocity.first.weight"].shape[1] // 2,
        "relation": weights["blocks.0.relation.listener.weight"].shape[0],
        "widths": tuple(weights[f"blocks.{i}.widen.weight"].shape[0] for i in range(blocks)),
        "inner": tuple(weights[f"blocks.0.layers.{i}.heard.weight"].shape[0] for i in range(layers - 1)),
        "branch": weights["blocks.0.scales.views.0.0.weight"].shape[0],
        "dilations": tuple(known.get("dilations", range(1, dilated + 1))),
        "bias": bias,
        "axis": axis,
        "attention": "none",
        "velocity_weights": tuple(known.get("velocity_weights", velocity_weights(joints))),
    }
    return Published("impsgn", layout, options, weights, (), known.get("frames", WINDOW_FRAMES), EXPECTS)


def velocity_weights(joints: int) -> tuple[float, ...]:
    """1, 2, 3, 5, 7, ...: what the published code multiplies joints' velocities by, in the order of the joints."""
    return tuple(float(weight) for weight in (1, 2, *range(3, 2 * joints, 2)))[:joints]


def _settle_biases(weights: dict[str, Tensor]) -> bool:
    """Are convolutions biased? Kinds of layer that have no bias at all where ours have one get 0, which is the same.

    So it does not matter which convolutions the published `bias` reaches.
    """
    kinds: dict[str, list[str]] = {}
    for name, weight in weights.items():
        kind = re.sub(r"^blocks\.\d+\.", "", name).split(".")[0]
        if weight.dim() == 4 and not name.endswith("heard.weight"):
            kinds.setdefault(kind, []).append(name.removesuffix("weight") + "bias")
    without = {kind for kind, biases in kinds.items() if not any(bias in weights for bias in biases)}
    always = {"scales", "widen", "around"}
    bias = not kinds.keys() - always <= without
    for kind in without if bias else without & always:
        weights |= {name: torch.zeros(weights[name.removesuffix("bias") + "weight"].shape[0]) for name in kinds[kind]}
    return bias


def _count(names: Names, pattern: str, start: int = 0) -> int:
    count = 0
    while pattern.format(start + count) in names:
        count += 1
    return count


def _block(theirs: str, ours: str, layers: int, dilated: int) -> dict[str, str]:
    """Published name of each part -> ours: one block."""
    table = {
        **relation(theirs, ours),
        **graph_layers(layers, theirs, ours),
        f"{theirs}bn_relu.bn": f"{ours}norm",
        f"{theirs}mstcn.residual.conv": f"{ours}scales.around.0",
        f"{theirs}mstcn.residual.bn": f"{ours}scales.around.1",
        f"{theirs}upsampling": f"{ours}widen",
        f"{theirs}residual": f"{ours}around",
    }
    for view in range(dilated):
        parts = (("0", "0"), ("1", "1"), ("3.conv", "3"), ("3.bn", "4"))
        table |= {f"{theirs}mstcn.branches.{view}.{part}": f"{ours}scales.views.{view}.{our}" for part, our in parts}
    for view, parts in ((dilated, "014"), (dilated + 1, "01")):
        table |= {f"{theirs}mstcn.branches.{view}.{part}": f"{ours}scales.views.{view}.{part}" for part in parts}
    return table


def arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a pack says of bones, weights and axis; the rest shows in the weights. See Family."""
    known: dict[str, Any] = {}
    if parents := config.get("parents_0based"):
        known["layout"] = _rooted(len(parents), parents)
    if "velocity_weights" in config:
        known["velocity_weights"] = tuple(float(weight) for weight in config["velocity_weights"])
    if "multi_scale_conv_axis" in config:
        known["axis"] = "joint" if config["multi_scale_conv_axis"].startswith("joint") else "time"
    return known


FAMILY = Family("impsgn", recognises, translate, arguments, answer)
