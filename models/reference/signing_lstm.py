"""The detector of signing as published: Keras weights of google-research, or the same as TensorFlow.js.

Known besides the weights: layout, fps, width.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landmarks import HOLISTIC_75, POSE_33, Layout, numbered
from models.network import Network
from models.reference.published import Arrays, Family, Names, PartialLoad, Published, State, layout_in
from models.signing_lstm import SigningLSTM

_RECURRENT = "/recurrent_kernel"
_BODY, _BODY_AND_HANDS = 25, 67
"""Points that the published code reads: OpenPose's body, and both of its hands too."""


def recognises(state: State) -> bool:
    """Are these the names of Keras LSTMs (four gates side by side) and a dense layer?"""
    lstms = [w.shape for name, w in state.items() if name.endswith(_RECURRENT)]
    return bool(lstms) and all(len(s) == 2 and s[1] == 4 * s[0] for s in lstms) and _dense(state) is not None


def _dense(state: State) -> str | None:
    """The place of the last layer."""
    found = [m[1] for name in state if (m := re.fullmatch(r"((?:.*/)?dense(?:_\d+)?)/kernel", name))]
    return found[0] if len(found) == 1 else None


def _order(place: str) -> tuple[int, ...]:
    """Keras numbers layers as they are made, and gives the first no number."""
    parts = [part for part in place.split("/") if "cell" not in part]
    return tuple(int(m[1]) if (m := re.search(r"_(\d+)$", part)) else 0 for part in parts)


def translate(state: State, known: Mapping[str, Any]) -> Published:
    """Weights in our places. See Family."""
    names = Names(state)
    places = [name.removesuffix(_RECURRENT) for name in names if name.endswith(_RECURRENT)]
    backward = sorted((place for place in places if "backward" in place), key=_order)
    forward = sorted((place for place in places if "backward" not in place), key=_order)
    if backward and len(backward) != len(forward):
        raise PartialLoad(f"{len(forward)} LSTMs look forward ({', '.join(forward)}), {len(backward)} backward")
    weights: dict[str, Tensor] = {}
    for direction, layers in (("", forward), ("_reverse", backward)):
        for i, place in enumerate(layers):
            into, recurrent = f"layers.{i}.lstm.weight_ih_l0{direction}", f"layers.{i}.lstm.weight_hh_l0{direction}"
            weights[into], weights[recurrent] = _lstm(names, place)
    dense = _dense(state)
    weights["head.weight"], weights["head.bias"] = names[f"{dense}/kernel"].T, names[f"{dense}/bias"]
    names.refuse_unused()
    points = weights["layers.0.lstm.weight_ih_l0"].shape[1] - 1
    layout = _layout(points, layout_in(known))
    made = points in (_BODY, _BODY_AND_HANDS) and len(layout) != points
    return Published(
        network_name="signing-lstm",
        layout=layout,
        options={
            "labels": weights["head.weight"].shape[0],
            "fps": float(known.get("fps", 25.0)),
            "hidden": weights["layers.0.lstm.weight_hh_l0"].shape[1],
            "layers": len(forward),
            "bidirectional": bool(backward),
            "points": "body_25" if made else "own",
            "hands": not made or points == _BODY_AND_HANDS,
        },
        weights=weights,
        window_frames=known.get("frames", 50),
        expects="points with a visibility above 0.5, and says in label 1 that the last frame shows signing",
    )


def _lstm(names: Names, place: str) -> tuple[Tensor, Tensor]:
    """Keras keeps weights as input x gates; its bias is the last column of ours."""
    kernel, recurrent, bias = names[f"{place}/kernel"], names[f"{place}/recurrent_kernel"], names[f"{place}/bias"]
    if kernel.dim() != 2 or bias.dim() != 1 or not kernel.shape[1] == recurrent.shape[1] == bias.shape[0]:
        shapes = ", ".join(f"{leaf} {tuple(w.shape)}" for leaf, w in (("kernel", kernel), ("bias", bias)))
        raise PartialLoad(f"{place} has weights of a wrong shape: {shapes} for {tuple(recurrent.shape)}")
    return torch.cat([kernel.T, bias.unsqueeze(1)], dim=1), recurrent.T


def _layout(points: int, wanted: Layout | None) -> Layout:
    if wanted is not None:
        return wanted
    return {_BODY: POSE_33, _BODY_AND_HANDS: HOLISTIC_75}.get(points) or numbered(points)


def arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """The weights say it all but the window. See Family."""
    return {"frames": config["frames"]} if "frames" in config else {}


def answer(network: Network, inputs: Arrays, pack: Mapping[str, Any], run: str) -> dict[str, NDArray[np.float32]]:
    """Logits of every frame, and the probability that it shows signing. See Family."""
    assert isinstance(network, SigningLSTM)
    x = torch.from_numpy(inputs["x"]).unsqueeze(1)  # (B, 1, T, P)
    logits = network.classify_frames(x)  # (B, T, labels)
    return {"logits": logits.numpy(), "signing": torch.softmax(logits, dim=-1)[..., 1].numpy()}


FAMILY = Family("signing-lstm", recognises, translate, arguments, answer, aliases=("sign-detector-2020",))
