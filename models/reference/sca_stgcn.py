"""SCA-STGCN as published: Cyr-Ch/SCA-STGCN.

Known besides the weights: layout, dilations, heads, fps; statistics "given" where they do not follow from the input.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from landmarks import HOLISTIC_75, POSE_33, numbered
from models.network import Network
from models.reference.published import Arrays, Family, Names, PartialLoad, Published, State, layout_in
from models.sca_stgcn import SCASTGCN, links

# Our name of each published one.
_PLACES = {
    "signer_enc.net": "signer.of_statistics",
    "attn.q_proj": "attention.query",
    "attn.k_proj": "attention.key",
    "attn.v_proj": "attention.value",
    "attn.out_proj": "attention.out",
    "attn.k_scale_net.0": "attention.key_film.scale",
    "attn.k_shift_net": "attention.key_film.shift",
    "attn.v_scale_net.0": "attention.value_film.scale",
    "attn.v_shift_net": "attention.value_film.shift",
    "temporal.gru": "aggregator.gru",
    "cls_head.net": "head",
    "signer_head.net": "adversary.layers",
}
_IN_BLOCK = {"gc.lin": "space", "temporal": "time", "bn": "norm", "res_proj": "around"}
_BLOCK = re.compile(r"backbone\.layers\.(\d+)\.(.+)\.(\w+)")


def recognises(state: State) -> bool:
    """Are these the names of an SCA-STGCN?"""
    return "signer_enc.net.1.weight" in state and "attn.q_proj.weight" in state


def translate(state: State, known: Mapping[str, Any]) -> Published:
    """Weights in our places. See Family."""
    names = Names(state)
    weights: dict[str, Tensor] = {}
    for name in names:
        if block := _BLOCK.fullmatch(name):
            i, part, leaf = block.groups()
            if part in _IN_BLOCK:
                weight = names[name]
                # They apply a matrix where we convolve: the same, in other axes.
                pointwise = part in ("gc.lin", "res_proj") and leaf == "weight"
                weights[f"blocks.{i}.{_IN_BLOCK[part]}.{leaf}"] = weight[..., None, None] if pointwise else weight
        elif place := next((place for place in _PLACES if name.startswith(f"{place}.")), None):
            weights[_PLACES[place] + name.removeprefix(place)] = names[name]
    names.refuse_unused()

    depth = len({block[1] for name in names if (block := _BLOCK.fullmatch(name))})
    norms = [names[f"backbone.layers.{i}.bn.weight"] for i in range(depth)]
    for i in range(depth):
        weights.setdefault(f"blocks.{i}.norm.num_batches_tracked", torch.tensor(0))
    axes = names["backbone.layers.0.gc.lin.weight"].shape[1]
    options: dict[str, Any] = {
        "labels": names["cls_head.net.4.bias"].numel(),
        "fps": 30.0,
        "widths": tuple(norm.numel() for norm in norms),
        "dilations": tuple(range(1, depth + 1)),
        "kernel": names["backbone.layers.0.temporal.weight"].shape[2],
        "edges": "chain",
        "signer_width": names["signer_enc.net.3.bias"].numel(),
        **_statistics(names["signer_enc.net.0.weight"].numel(), axes, known),
        "attention": "film" if any(name.startswith("attn.k_scale_net.") for name in names) else "additive",
        "hidden": names["temporal.gru.weight_hh_l0"].shape[1],
        "pool": "last",
        "signers": names["signer_head.net.4.bias"].numel() if "adversary.layers.0.weight" in weights else 0,
        "inputs": "given",
        "axes": axes,
    }
    may_say = ("fps", "dilations", "heads", "dropout", "attention_dropout", "reversal", "edges")
    options |= {key: known[key] for key in may_say if key in known}
    return Published(
        network_name="sca-stgcn",
        layout=layout_in(known) or HOLISTIC_75,
        options=options,
        weights=weights,
        window_frames=known.get("frames", 25),
        expects="x and y as shares of the picture's width and height (as MediaPipe gives them), 0 where unseen",
    )


def _statistics(count: int, axes: int, known: Mapping[str, Any]) -> dict[str, Any]:
    """How the signer encoder gets what it reads: a mean and a deviation of each axis can be taken of the input."""
    if known.get("statistics") == "given":
        return {"statistics": "given", "statistics_width": count}
    if count != 2 * axes:
        raise PartialLoad(
            f"the signer encoder reads {count} statistics, and {2 * axes} follow from {axes} axes; set "
            "statistics='given' to hand them in"
        )
    return {"statistics": "all"}


def arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """Constructor arguments of the published code. See Family."""
    known: dict[str, Any] = {
        "heads": config.get("attn_heads", 4),
        "dilations": tuple(config.get("stgcn_dilations", (1, 2, 3))),
        "dropout": config.get("dropout", 0.1),
        "attention_dropout": config.get("attn_dropout", 0.0),
        "reversal": config.get("lambda_grl", 0.5),
    }
    if "frames" in config:
        known["frames"] = config["frames"]
    joints = config.get("joints", config.get("num_joints", len(HOLISTIC_75)))
    joints = joints[0] if isinstance(joints, list) else joints
    known["layout"] = next((ours for ours in (HOLISTIC_75, POSE_33) if len(ours) == joints), None) or numbered(joints)
    axes = config.get("in_coords", 2)
    if config.get("signer_stats_dim", 2 * axes) != 2 * axes:
        known["statistics"] = "given"
    return known


def answer(network: Network, inputs: Arrays, pack: Mapping[str, Any], run: str) -> dict[str, NDArray[Any]]:
    """All that the published network tells of one run. See Family."""
    assert isinstance(network, SCASTGCN)
    x = torch.from_numpy(inputs["x"]).permute(0, 3, 1, 2)  # (N, T, J, C) -> (B, C, T, V)
    given = inputs.get("stats")
    statistics = None if given is None else torch.from_numpy(given)  # (B, S)
    adjacency = (  # (V, V): theirs is from target to source; the same weights answer any number of joints
        torch.from_numpy(inputs["A"]).T if "A" in inputs else links(numbered(x.shape[3]), network.config.edges)
    )
    said = network.describe(x, statistics, adjacency)
    return {
        "logits": said.logits.numpy(),
        "embedding": said.embedding.numpy(),
        "signer_emb": said.signer.numpy(),
        "H": said.joints.permute(0, 2, 3, 1).numpy(),
        "H_att": said.frames.numpy(),
        **({} if said.signer_logits is None else {"signer_logits": said.signer_logits.numpy()}),
    }


FAMILY = Family("sca-stgcn", recognises, translate, arguments, answer)
