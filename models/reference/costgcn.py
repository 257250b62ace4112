"""CoST-GCN and CoST-GCN* as published: LukasHedegaard/continual-skeletons.

Its networks for clips and for streams share names and shapes, so weights do not say at which pace they work. They are
read as CoST-GCN, whose blocks step over frames where channels change; `strides` all 1 make them CoST-GCN*.
Known besides the weights: layout, persons, strides, frames, pool_size, beginning, fps.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.continual import CoSTGCN, of, paces, receptive_field
from models.network import Network
from models.reference import stgcn
from models.reference.published import Arrays, Family, Published, State

CONTINUAL = {"stgcn": "costgcn", "stgcn++": "costgcn++"}
"""Networks and their continual forms."""


def recognises(state: State) -> bool:
    """Are these the names of a CoST-GCN?"""
    return any(stgcn.plain(name) == "layers.layer1.gcn.g_conv.0.weight" for name in state)


def translate(state: State, known: Mapping[str, Any]) -> Published:
    """Weights in our places, and a pool as large as their `frames` fill. See Family."""
    return frame_by_frame(stgcn.translate(state, known), known)


def frame_by_frame(published: Published, known: Mapping[str, Any]) -> Published:
    """The continual form of an ST-GCN or ST-GCN++ that was read: its weights, and a pool as large as its window."""
    options = published.options
    strides = options["strides"]
    beginning = known.get("beginning", "valid" if max(strides) == 1 else "padded")
    reach = max(options["dilations"]) if options["time"] == "branches" else options["kernel"] // 2
    reaches = [reach] * len(strides)
    features = paces(strides, reaches, beginning)[-1]
    # ceil((T - field + 2 * padding + 1) / stride) in the published code, with padding = field - 1 - delay.
    room = published.window_frames + receptive_field(strides, reaches) - 1 - 2 * features.since
    pool_size = known.get("pool_size", max(1, -(-room // features.every)))
    return dataclasses.replace(
        published,
        network_name=CONTINUAL[published.network_name],
        options={**options, "beginning": beginning, "pool_size": pool_size},
    )


def arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """Of its networks' constructors. See Family."""
    known = stgcn.arguments(config)
    stride = config.get("stride", config.get("strides"))
    if stride == 1:
        known["strides"] = (1,) * config.get("blocks", 10)
    elif isinstance(stride, list):
        known["strides"] = tuple(stride)
    if "temporal_padding" in config:
        known["beginning"] = "padded" if config["temporal_padding"] else "valid"
    if "default_pool_size" in config:
        known["pool_size"] = config["default_pool_size"]
    return known


def answer(network: Network, inputs: Arrays, pack: Mapping[str, Any], run: str) -> dict[str, NDArray[np.float32]]:
    """What one run's stream is told, frame by frame, and what clips of it are told. See Family."""
    assert isinstance(network, CoSTGCN)
    asked = pack["runs"][run]
    network = of(network, pool_size=asked.get("pool_size", network.pool_size))
    x = stgcn.given(inputs, pack)  # (B, M, C, T, V)
    state, said, features = network.start(len(x)), {}, {}
    for frame in range(x.shape[3]):
        logits, state = network.answer(x[:, :, :, frame : frame + 1], state)  # (B, 0 or 1, labels)
        if logits.shape[1]:
            said[frame], features[frame] = logits[:, 0], network.newest(state)  # (B, labels), (B, D)
    exact = [frame for frame in said if frame + 1 >= network.receptive_field]
    frames = asked.get("output_frames", exact)
    ends = (frames[0], frames[-1])
    clips = [x[:, :, :, max(0, end + 1 - network.receptive_field) : end + 1] for end in ends]
    found = {
        "logits": torch.stack([said[frame] for frame in frames], dim=1),  # (B, N, labels)
        "clip_logits": torch.stack([network.classify(clip) for clip in clips], dim=1),  # (B, 2, labels)
    }
    if "feature_frames" in asked:
        found["features"] = torch.stack([features[frame] for frame in asked["feature_frames"]], dim=1)  # (B, 2, D)
    return {name: values.numpy() for name, values in found.items()}


FAMILY = Family("costgcn", recognises, translate, arguments, answer, aliases=("costgcn-star",))
