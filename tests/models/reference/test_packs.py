"""Golden parity: published networks, rebuilt from numbers, say what they said (shared/parity)."""

import dataclasses

import pytest
import torch
from safetensors.torch import save_file

from bench import packs, parity
from export import Target, export
from export import parity as onnx_parity
from models import checkpoint
from models.__main__ import main
from models.reference import FAMILIES, PartialLoad, find_family, recognise, translate
from tests.golden import PARITY, every_pack, folders, needs_packs

pytestmark = pytest.mark.slow
# Trainable parameters, as the specs count them ("VERIFIED" or "measured" there). CoST-GCN: 3,144,508 of its backbone,
# less the frozen graphs of 10 blocks (18,750) and two of three biases that are only ever summed (2,816), with
# data_bn (300) and the last layer (15,420). ST-SGCN: less the edge weights that nothing asks for.
PARAMETERS = {
    "costgcn-star": 3_144_508 - 18_750 - 2_816 + 300 + 15_420,
    "dsta-slr": 7_219_502 - 2_916,
    "impsgn-60": 3_489_560,
    "sca-stgcn-additive": 1_085_002,
    "sca-stgcn-film": 1_110_603 + 133_380,
    "sgn-120": 721_828,
    "sgn-60": 691_048,
    "sign-detector-2020": 23_170,
    "st-sgcn-briareo": 10_421_015 - 1_676,
    "st-sgcn-ipn": 13_871_163 - 2_060,
    "stgcn-mmaction0": 3_098_832,
    "stgcn-original": 3_098_832,
    "stgcn-pyskl-ntu": 3_098_832,
    "stgcnpp-pyskl-handmp": 197_478,
    "stgcnpp-pyskl-ntu": 1_403_144,
}


@every_pack()
def test_outputs_are_the_published_ones(folder):
    pack = packs.load(folder)
    assert pack.error(parity.answers(pack, parity.translate(pack))) <= 1


@every_pack()
def test_a_change_of_weights_is_out_of_tolerance(folder):
    pack = packs.load(folder)
    published = parity.translate(pack)
    name = [name for name, weight in published.weights.items() if weight.is_floating_point() and "head" in name][-1]
    weights = {**published.weights, name: published.weights[name] * 1.01 + 0.01}
    assert pack.error(parity.answers(pack, dataclasses.replace(published, weights=weights))) > 1


@every_pack()
def test_the_family_is_recognised_by_its_names_alone(folder):
    pack = packs.load(folder)
    assert recognise(pack.state) is find_family(pack.config["family"])


@every_pack()
def test_parameters_are_as_many_as_published(folder):
    if folder.name in PARAMETERS:
        network = parity.translate(packs.load(folder)).network()
        assert sum(p.numel() for p in network.parameters()) == PARAMETERS[folder.name]


@every_pack()
def test_a_missing_a_strange_and_a_misshapen_weight_are_refused_by_name(folder):
    pack = packs.load(folder)
    known = find_family(pack.config["family"]).arguments(pack.config)
    state = {name: torch.from_numpy(values.copy()) for name, values in pack.state.items()}
    published = translate(state, **known)
    biases = [name for name in state if name.endswith("bias") and name not in published.dropped]
    gone = {name: tensor for name, tensor in state.items() if name != biases[-1]}
    with pytest.raises(PartialLoad, match=r"has no|missing"):
        translate(gone, **known)
    with pytest.raises(PartialLoad, match="extra"):
        translate({**state, "extra.weight": torch.zeros(3)}, **known)
    with pytest.raises(PartialLoad, match=r"shape|has no|built"):
        translate({**state, biases[0]: torch.zeros(3)}, **known)


@every_pack()
def test_a_checkpoint_file_is_imported(folder, tmp_path, capsys):
    """`python -m models import` without what the pack knows besides: from torch's file and from safetensors alike."""
    state = {name: torch.from_numpy(values.copy()) for name, values in packs.load(folder).state.items()}
    wrapped = {f"module.{name}": value for name, value in state.items()}
    torch.save({"epoch": 3, "state_dict": wrapped}, tmp_path / "a.pth")
    save_file({name: value.contiguous() for name, value in state.items()}, tmp_path / "a.safetensors")
    saved = []
    for file in ("a.pth", "a.safetensors"):
        run = tmp_path / file.split(".")[1]
        assert main(["import", str(tmp_path / file), "--as", "theirs", "--out", str(run)]) == 0
        assert "none missing" in capsys.readouterr().out
        saved.append(checkpoint.load(run))
    one, other = saved
    assert one.manifest == other.manifest
    assert all(torch.equal(other.weights[name], weight) for name, weight in one.weights.items())


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "costgcn-star",
        "dsta-slr",
        "impsgn-60",
        "sca-stgcn-film",
        "sgn-60",
        "sign-detector-2020",
        "st-sgcn-briareo",
        "stgcn-original",
        "stgcnpp-pyskl-handmp",
    ],
)
def test_what_was_imported_becomes_a_graph(name, tmp_path):
    needs_packs()
    state = {key: torch.from_numpy(values.copy()) for key, values in packs.load(PARITY / name).state.items()}
    torch.save(state, tmp_path / "a.pth")
    # Ten seconds of two persons export slowly. A stream's first prediction takes 77 frames.
    published = translate(state)
    frames = {"stgcn": 20, "stgcn++": 20, "costgcn": 77}.get(published.network_name, published.window_frames)
    command = ["import", str(tmp_path / "a.pth"), "--as", "theirs", "--out", str(tmp_path), "--frames", str(frames)]
    assert main(command) == 0
    one = Target(batch=1)  # a graph of any batch takes twice as long to make; tests/export makes those
    assert export(checkpoint.load(tmp_path), tmp_path / "theirs.onnx", one).difference <= onnx_parity.TOLERANCE


def test_every_family_has_a_pack():
    needs_packs()
    assert {find_family(packs.load(folder).config["family"]).name for folder in folders()} == set(FAMILIES)
