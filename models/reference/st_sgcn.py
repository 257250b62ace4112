"""ST-SGCN as published: HichemSaoudi/ST-SGCN.

Known besides the weights: layout, frames of a window, and the fields of models.st_sgcn.Config that have no weights.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from landmarks import HAND_21, LAYOUTS, SHREC_20, SHREC_22, Layout, numbered
from models.network import Network
from models.reference.published import Arrays, Family, Names, PartialLoad, Published, State, layout_in
from models.st_sgcn import STSGCN, Config, Links, edges, positions

_GRAPHS = "sparse_weighted_adjacency_matrices."
_NUMBERS = f"{_GRAPHS}pet.pe"
"""The table of positions; beside it stands one of joints, `pes`, that nothing asks for."""
_UNUSED = (f"{_GRAPHS}pes.", "temporal_edge_weights.", "spatial_edge_weights.")
"""What the published network builds and does not ask."""
# Our name of each published one; {} is a number.
_PLACES = {
    f"{_GRAPHS}spatial_attention.embedding": "graphs.joints.embed",
    f"{_GRAPHS}spatial_attention.query": "graphs.joints.query",
    f"{_GRAPHS}spatial_attention.key": "graphs.joints.key",
    f"{_GRAPHS}temporal_attention.embedding": "graphs.frames.embed",
    f"{_GRAPHS}temporal_attention.query": "graphs.frames.query",
    f"{_GRAPHS}temporal_attention.key": "graphs.frames.key",
    f"{_GRAPHS}spa_fusion.conv.{{}}": "graphs.over_frames.mix.{}",
    f"{_GRAPHS}spa_fusion.shortcut.{{}}": "graphs.over_frames.around.{}",
    **{
        f"{_GRAPHS}interaction_mask.{theirs}_asymmetric_convolutions.{{}}.{part}": f"graphs.{ours}.layers.{{}}.{our}"
        for theirs, ours in (("spatial", "joint_mask"), ("temporal", "frame_mask"))
        for part, our in (("conv1", "looking"), ("conv2", "looked_at"), ("activation", "slope"))
    },
    **{
        f"stsgcn.{theirs}_sparse_gcn.{{}}.{part}": f"{ours}.{{}}.{our}"
        for theirs, ours in (("spatial_temporal", "space"), ("temporal_spatial", "time"))
        for part, our in (("embedding", "project"), ("activation", "slope"))
    },
    "fusion_": "merge",
    "mlp.{}": "head.{}",
}
_BLOCK = re.compile(r"stsgcn\.(\d+)\.(.+)")
_LAYOUTS = {21: HAND_21, 22: SHREC_22, 20: SHREC_20}
"""V of the published data sets (Briareo and IPN Hand, SHREC'17, SHREC'21) -> their joints."""
_INPUTS: dict[tuple[int, int], dict[str, Any]] = {
    (21, 6): {"columns": ("links", "x", "y", "z", "speed", "acceleration"), "link_count": "outward"},
    (21, 4): {"columns": ("x", "y", "z", "links"), "link_count": "outward"},
    (22, 4): {"columns": ("links", "x", "y", "z"), "link_count": "both-and-self"},
    (20, 8): {"columns": ("links", "x", "y", "z", *["other"] * 4), "link_count": "outward-and-self"},
}
"""(V, C) of the published data sets -> what their columns are."""


def recognises(state: State) -> bool:
    """Are these the names of an ST-SGCN?"""
    return all(f"{name}.weight" in state for name in (f"{_GRAPHS}spatial_attention.embedding", "fusion_", "mlp.7"))


def translate(state: State, known: Mapping[str, Any]) -> Published:
    """Weights in our places. See Family."""
    blocks = [int(block[1]) for name in state if (block := _BLOCK.fullmatch(name))]
    last = max(blocks, default=0)
    # Each block is given the input, and only what the last one says is used.
    earlier = [name for name in state if (block := _BLOCK.fullmatch(name)) and int(block[1]) < last]
    dropped = [name for name in state if name.startswith(_UNUSED) or name == _NUMBERS or name in earlier]
    names = Names({_in_last(name, last): state[name] for name in state if name not in dropped})
    weights: dict[str, Tensor] = {}
    for name in names:
        place, _, leaf = name.rpartition(".")
        numbers = re.findall(r"(?<=\.)\d+", place)
        ours = _PLACES.get(re.sub(r"(?<=\.)\d+", "{}", place))
        if ours is not None:
            weights[f"{ours.format(*numbers)}.{leaf}"] = names[name]
    names.refuse_unused()
    for norm in ("mix.1", "mix.4", "around.1"):  # old checkpoints do not count batches
        weights.setdefault(f"graphs.over_frames.{norm}.num_batches_tracked", torch.tensor(0))

    embed, channels = names[f"{_GRAPHS}spatial_attention.embedding.weight"].shape
    frames = names[f"{_GRAPHS}spa_fusion.conv.0.weight"].shape[0]
    width = names["stsgcn.spatial_temporal_sparse_gcn.0.embedding.weight"].shape[0]
    joints = names["mlp.1.weight"].shape[1] // (frames * width)
    layout = _layout(joints, layout_in(known))
    options: dict[str, Any] = {
        "labels": names["mlp.7.weight"].shape[0],
        "fps": 30.0,
        "frames": frames,
        "embed": embed,
        "heads": names["fusion_.weight"].shape[0],
        "masks": _count(weights, "graphs.joint_mask.layers."),
        "width": width,
        "cross_hops": _count(weights, "space.") - 1,
        "hidden": (names["mlp.1.weight"].shape[0], names["mlp.4.weight"].shape[0]),
        "links": "connections" if layout.joints == HAND_21.joints else "bones",
        "self_links": 2.0 if joints in (len(SHREC_20), len(SHREC_22)) else 1.0,
        "time_prior": "later",
        "positions": "published",
        "inputs": "given",
        **_INPUTS.get((joints, channels), {"columns": _columns(channels)}),
    }
    unweighted = ("fps", "dropout", "links", "self_links", "time_prior", "positions", "inputs", "columns", "link_count")
    unweighted += ("axes", "hand_depth")
    options |= {key: known[key] for key in unweighted if key in known}
    if _NUMBERS in state:
        _check_positions(state[_NUMBERS], options)
    return Published(
        network_name="st-sgcn",
        layout=layout,
        options=options,
        weights=weights,
        dropped=tuple(dropped),
        window_frames=known.get("frames", frames),
        expects=_expects(options["columns"]),
    )


def _in_last(name: str, last: int) -> str:
    """A name without the number of the last block."""
    return name.replace(f"stsgcn.{last}.", "stsgcn.", 1) if name.startswith(f"stsgcn.{last}.") else name


def _count(weights: Mapping[str, Tensor], prefix: str) -> int:
    """How many numbered layers there are under a prefix."""
    return len({name.removeprefix(prefix).split(".")[0] for name in weights if name.startswith(prefix)})


def _layout(joints: int, wanted: Layout | None) -> Layout:
    if wanted is not None:
        return wanted
    if joints not in _LAYOUTS:
        raise PartialLoad(f"an ST-SGCN of {joints} joints needs a layout: its weights do not say where the bones are")
    return _LAYOUTS[joints]


def _columns(channels: int) -> tuple[str, ...]:
    """For inputs that were never published: as many coordinates as there are, then what no landmark gives."""
    return tuple("xyz"[:channels]) + ("other",) * max(0, channels - 3)


def _check_positions(table: Tensor, options: Mapping[str, Any]) -> None:
    """Their table (T, V, C) is a formula; it is refused where it is another than ours. Raises PartialLoad."""
    try:
        ours = positions(Config(**options))  # (T, 1, C)
    except (TypeError, ValueError) as error:
        raise PartialLoad(f"no st-sgcn is built like this: {error}") from error
    fits = table.dim() == 3 and table.shape[::2] == ours.shape[::2]
    if not fits or not torch.allclose(table, ours.expand_as(table), atol=1e-4):
        raise PartialLoad(
            f"{_NUMBERS} {tuple(table.shape)} is not the table of positions {options['positions']!r} "
            f"for {ours.shape[0]} frames and {ours.shape[2]} channels; positions='sinusoid' or 'none' may be"
        )


def _expects(columns: Sequence[str]) -> str:
    if "other" in columns:
        return (
            f"{len(columns)} columns a joint, of which landmarks do not give {columns.count('other')} (rotations, as "
            "published for SHREC'21): it can be asked through `classify`, not be served"
        )
    return (
        "coordinates as its sensor gives them, or MediaPipe (x and y as shares of the picture's width and height), "
        f"neither centred nor scaled; the columns {', '.join(columns)} are made of them in the network"
    )


def arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """Constructor arguments, and the edges that its prior is made of. See Family."""
    known: dict[str, Any] = {}
    joints = config.get("joints", config.get("num_joints"))
    if config.get("edges") is not None and joints:
        known["layout"], known["links"] = _graph(joints, config["edges"])
    elif joints and joints not in _LAYOUTS:
        known["layout"] = numbered(joints)
    if config.get("prior_diagonal") is not None:
        known["self_links"] = float(config["prior_diagonal"])
    if config.get("dropout") is not None:
        known["dropout"] = config["dropout"]
    return known


def _graph(joints: int, given: Sequence[Sequence[int]]) -> tuple[Layout, Links]:
    """The layout with these (parent, child) edges, or as many numbered joints."""
    known: list[tuple[Layout, Links]] = [(layout, "bones") for layout in LAYOUTS.values()]
    for layout, links in [*known, (HAND_21, "connections")]:
        if len(layout) == joints and _undirected(edges(layout, links).tolist()) == _undirected(given):
            return layout, links
    return numbered(joints, [(child, parent) for parent, child in given if child != parent]), "bones"


def _undirected(pairs: Iterable[Sequence[int]]) -> set[frozenset[int]]:
    return {frozenset(pair) for pair in pairs if len(set(pair)) > 1}


def answer(network: Network, inputs: Arrays, pack: Mapping[str, Any], run: str) -> dict[str, NDArray[Any]]:
    """All that the published network tells of one run. See Family."""
    assert isinstance(network, STSGCN)
    axes = pack["layout"]["x"].strip("()").split(")")[0].replace(" ", "").split(",")
    x = torch.from_numpy(inputs["x"]).permute([axes.index(axis) for axis in ("N", "C", "T", "V")])  # (B, C, T, V)
    prior = torch.from_numpy(inputs["A"]) if "A" in inputs else None  # (V, V), in the published code an input
    said = network.explain(x, prior)
    return {
        "logits": said.logits.numpy(),
        "features_mean": said.nodes.mean(dim=(1, 2)).numpy(),
        "spatial_row": said.joints[:, 0, 0, 0].numpy(),
        "temporal_row": said.frames[:, 0, 0, -1].numpy(),
    }


FAMILY = Family("st-sgcn", recognises, translate, arguments, answer, aliases=("st_sgcn", "stsgcn"))
