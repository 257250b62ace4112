"""Published names of any size are read whole, and only what the answer needs."""

import pytest
import torch

from landmarks import HAND_21, LAYOUTS, SIGN_27, numbered
from models import build
from models.graph import adjacency
from models.reference import PartialLoad, read, recognise, translate
from models.reference.dsta_slr import _PLACES, arguments

pytestmark = pytest.mark.slow

SIZES = {
    "published": {},
    "two persons, three layers": {"persons": 2, "widths": (8, 16, 32), "strides": (1, 2, 2), "subsets": 4},
    "a layer that keeps its width": {"widths": (8, 8), "strides": (1, 1), "subsets": 2},
    "coordinates only": {"widths": (8,), "strides": (1,), "subsets": 1, "score": False, "kernels": (3,)},
    "with z": {"widths": (6, 12), "strides": (1, 2), "subsets": 3, "axes": 3, "kernels": (3, 5, 9), "units": 2},
    "as wide as its input": {"widths": (3, 6), "strides": (1, 2), "subsets": 1, "kernels": (5,), "edge_features": 2},
}


def small(layout=SIGN_27, labels=5, **options):
    torch.manual_seed(0)
    network = build("dsta-slr", layout, labels=labels, fps=30.0, inputs="published", bones="reference", **options)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return network.eval()


def as_published(network):
    """Our state dict under the published names and in the published shapes."""
    theirs = {ours: name for name, ours in _PLACES.items()}
    kinds, ends = {"convs": "conv", "norms": "bn"}, {"scale": "data_bn", "head": "fc"}
    subsets = network.config.subsets
    state = {}
    for name, weight in network.state_dict().items():
        part, _, leaf = name.rpartition(".")
        if part in ("scale", "head"):
            state[f"{ends[part]}.{leaf}"] = weight
            continue
        layer, i, ours = part.split(".", 2) if part.count(".") > 1 else (*part.split("."), "")
        start = f"{layer}.{i}."
        if ours in theirs:
            state[f"{start}{theirs[ours]}.{leaf}"] = weight
        elif ours.startswith("time"):
            _, unit, kind, branch = ours.split(".")
            state[f"{start}tcn{int(unit) + 1 if int(unit) else ''}.branches.{branch}.{kinds[kind]}.{leaf}"] = weight
        elif leaf == "links":
            state[f"{start}A"] = weight
        else:
            name, shape = {
                "space.embed.weight": ("Linear_weight", (weight.shape[0], -1)),
                "space.embed.bias": ("Linear_bias", (1, -1, 1, 1)),
                "space.edge_gain": ("edge_weight", (1,)),
                "space.graph": ("attention0s", (1, subsets, -1, *weight.shape[-2:])),
                "space.attention.weight": ("alphas", (1, -1, 1, 1)),
                "space.edges.weight": ("Edge_conv.alphas", (1, 1, -1, 1)),
                "space.edges.directions": ("Edge_conv.edge_features", (weight.shape[0], -1)),
            }[f"{ours}.{leaf}"]
            weight = weight.reshape(shape)
            state[f"{start}san.{name}"] = weight.T if name == "Linear_weight" else weight
    return state


@pytest.mark.parametrize("layout", [SIGN_27, HAND_21], ids=lambda layout: layout.name)
@pytest.mark.parametrize("size", SIZES)
def test_what_weights_say_is_read_from_them(size, layout):
    network = small(layout, **SIZES[size])
    state = as_published(network)
    assert recognise(state).name == "dsta-slr"
    found = translate(state)
    assert found.layout is layout
    again = found.network()
    said = {field: getattr(again.config, field) for field in found.options}
    assert said == {field: getattr(network.config, field) for field in found.options}
    x = torch.rand(2, network.config.persons, 6, len(layout), 3)
    torch.testing.assert_close(again.logits(x), network.logits(x), rtol=0, atol=0)


def test_as_many_parameters_as_published_with_2000_classes():
    frozen = 4 * 27 * 27
    assert sum(p.numel() for p in small(labels=2000).parameters()) == 8_194_202 - frozen
    assert sum(p.numel() for p in small(labels=100).parameters()) == 7_219_502 - frozen


@pytest.mark.parametrize("layout", [x for x in LAYOUTS.values() if len(x) < 30], ids=lambda layout: layout.name)
def test_the_layout_is_known_by_its_links(layout):
    found = translate(as_published(small(layout, **SIZES["coordinates only"]))).layout
    if found is not layout:  # some differ in names alone
        assert len(found) == len(layout)
        ours, theirs = (adjacency(x, "direction").sum(axis=0) > 0 for x in (found, layout))
        assert (ours == theirs).all()


def test_the_graph_of_the_dropout_may_be_missing_and_is_kept_where_it_is_not():
    state = as_published(small(**SIZES["a layer that keeps its width"]))
    graph = torch.eye(27)
    kept = translate({**state, "layers.1.A": graph}).network()
    assert torch.equal(kept.layers[1].links, graph)
    without = {name: weight for name, weight in state.items() if not name.endswith(".A")}
    filled = translate(without).network()
    assert torch.equal(filled.layers[1].links, state["layers.1.A"])
    x = torch.rand(1, 6, 27, 3)
    assert torch.equal(kept(x), filled(x)), "no part in the answer"


def test_joints_of_no_layout_are_numbered_and_have_no_bones():
    state = as_published(small(numbered(23), **SIZES["coordinates only"]))
    assert translate(state).layout == numbered(23)
    with pytest.raises(PartialLoad, match="has no bones"):
        translate(state, stream="bone")


def test_more_channels_than_landmarks_have_are_refused():
    state = as_published(small(**SIZES["coordinates only"]))
    state["layers.0.san.Linear_weight"] = torch.zeros(5, 8)
    with pytest.raises(PartialLoad, match="three axes and a score, the checkpoint takes 5"):
        translate(state)


def test_what_is_known_besides_goes_over_what_weights_say():
    state = as_published(small(**SIZES["a layer that keeps its width"]))
    known = arguments({"num_person": 1, "window_size": 64, "block_size": 21, "drop_layers": 1, "groups": 16})
    found = translate(state, **known, stream="bone-motion", inputs="given", strides=(2, 1), fps=25.0)
    config = found.network().config
    assert (config.frames, config.drop_block, config.drop_layers, config.persons) == (64, 21, 1, 1)
    assert (config.stream, config.inputs, config.strides, config.fps) == ("bone-motion", "given", (2, 1), 25.0)
    assert found.window_frames == 64
    with pytest.raises(PartialLoad, match="does not fill"):
        translate(state, persons=2)


def test_the_published_file_is_read(tmp_path):
    state = as_published(small(**SIZES["a layer that keeps its width"]))
    wrapped = {f"module.{name}": weight for name, weight in state.items()}
    torch.save({"weights": wrapped, "optimizer": {"state": {}}, "lr": 0.1, "epoch": 3}, tmp_path / "best.pt")
    assert translate(read(tmp_path / "best.pt")).options["labels"] == 5
