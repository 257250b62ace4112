"""Checkpoints of SCA-STGCN in the forms that no parity pack has, against the published equations."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from bench import packs
from landmarks import HAND_21, HOLISTIC_75, numbered
from models.reference import PartialLoad, find_family, translate
from models.sca_stgcn import links
from tests.golden import every_pack

CLIPS, FRAMES, JOINTS = 3, 7, 9


def published(
    widths=(6, 8, 8), axes=2, kernel=3, labels=3, signer=6, reads=None, film=True, hidden=5, signers=0, seed=0
):
    """Names and numbers of a small one."""
    shapes, channels, reads = {}, axes, reads or 2 * axes
    for i, width in enumerate(widths):
        block = f"backbone.layers.{i}"
        shapes |= {f"{block}.gc.lin.weight": (width, channels), f"{block}.gc.lin.bias": (width,)}
        shapes |= {f"{block}.temporal.weight": (width, width, kernel, 1), f"{block}.bn.num_batches_tracked": ()}
        shapes |= {f"{block}.bn.{leaf}": (width,) for leaf in ("weight", "bias", "running_mean", "running_var")}
        if channels != width:
            shapes |= {f"{block}.res_proj.weight": (width, channels), f"{block}.res_proj.bias": (width,)}
        channels = width
    shapes |= {f"signer_enc.net.0.{leaf}": (reads,) for leaf in ("weight", "bias")}
    shapes |= linear("signer_enc.net.1", reads, 2 * signer) | linear("signer_enc.net.3", 2 * signer, signer)
    shapes |= {f"attn.{part}_proj.weight": (channels, channels) for part in ("q", "v", "out")}
    shapes |= {"attn.k_proj.weight": (channels, channels if film else channels + signer)}
    if film:
        for part in ("k_scale_net.0", "k_shift_net", "v_scale_net.0", "v_shift_net"):
            shapes |= linear(f"attn.{part}", signer, channels)
    for way in ("", "_reverse"):
        shapes |= {f"temporal.gru.weight_ih_l0{way}": (3 * hidden, channels)}
        shapes |= {f"temporal.gru.weight_hh_l0{way}": (3 * hidden, hidden)}
        shapes |= {f"temporal.gru.bias_{part}_l0{way}": (3 * hidden,) for part in ("ih", "hh")}
    for head, width, outputs in (("cls_head", 2 * hidden, labels), ("signer_head", hidden, signers)):
        if outputs:
            shapes |= {f"{head}.net.0.{leaf}": (2 * hidden,) for leaf in ("weight", "bias")}
            shapes |= linear(f"{head}.net.1", 2 * hidden, width) | linear(f"{head}.net.4", width, outputs)
    random, state = np.random.default_rng(seed), {}
    for name, shape in shapes.items():
        values = random.normal(0, 1.5 / np.sqrt(np.prod(shape[1:]) if len(shape) > 1 else 25), shape)
        if name.endswith(("running_var", "bn.weight", "net.0.weight")):
            values = 1 + 0.2 * random.random(shape)
        state[name] = torch.tensor(values, dtype=torch.int64 if shape == () else torch.float32)
    return state


def linear(name, inputs, outputs):
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def by_the_equations(state, x, adjacency, statistics, heads, dilations):
    """(N, T, J, C) through the network as the spec writes it."""

    def affine(name, x):
        return F.linear(x, state[f"{name}.weight"], state.get(f"{name}.bias"))

    def norm(name, x):
        return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"])

    h = x
    for i, dilation in enumerate(dilations):
        block = f"backbone.layers.{i}"
        g = torch.einsum("vw,ntwc->ntvc", adjacency, affine(f"{block}.gc.lin", h))
        kernel = state[f"{block}.temporal.weight"][..., 0]
        reach = kernel.shape[-1] // 2
        padded = F.pad(g, (0, 0, 0, 0, reach * dilation, reach * dilation))
        steps = [padded[:, k * dilation : k * dilation + x.shape[1]] @ kernel[..., k].T for k in range(2 * reach + 1)]
        mean, var, weight, bias = (
            state[f"{block}.bn.{leaf}"] for leaf in ("running_mean", "running_var", "weight", "bias")
        )
        g = (sum(steps) - mean) / torch.sqrt(var + 1e-5) * weight + bias
        h = torch.relu(g + (affine(f"{block}.res_proj", h) if f"{block}.res_proj.weight" in state else h))
    joints, h = h, h.mean(dim=2)
    s = affine("signer_enc.net.3", affine("signer_enc.net.1", norm("signer_enc.net.0", statistics)).relu())
    again = s[:, None].expand(-1, h.shape[1], -1)
    film = "attn.k_shift_net.weight" in state
    q, v = affine("attn.q_proj", h), affine("attn.v_proj", h)
    k = affine("attn.k_proj", h if film else torch.cat([h, again], dim=-1))
    if film:
        k = k * (1 + torch.tanh(affine("attn.k_scale_net.0", again))) + affine("attn.k_shift_net", again)
        v = v * (1 + torch.tanh(affine("attn.v_scale_net.0", again))) + affine("attn.v_shift_net", again)
    each = []
    for q_, k_, v_ in zip(q.chunk(heads, -1), k.chunk(heads, -1), v.chunk(heads, -1), strict=True):
        each.append(torch.softmax(q_ @ k_.mT / np.sqrt(q_.shape[-1]), dim=-1) @ v_)
    attended = affine("attn.out_proj", torch.cat(each, dim=-1))
    z = torch.cat([recurrent(state, attended, ""), recurrent(state, attended[:, -1:], "_reverse")], dim=-1)
    said = {"embedding": z, "signer_emb": s, "H": joints, "H_att": attended}
    said["logits"] = affine("cls_head.net.4", F.gelu(affine("cls_head.net.1", norm("cls_head.net.0", z))))
    if "signer_head.net.0.weight" in state:
        said["signer_logits"] = affine(
            "signer_head.net.4", affine("signer_head.net.1", norm("signer_head.net.0", z)).relu()
        )
    return said


def recurrent(state, x, way):
    """The last state of a gated recurrent unit (Cho et al. 2014, with torch's reset of the product)."""
    h = torch.zeros(len(x), state["temporal.gru.weight_hh_l0"].shape[1])
    for frame in x.unbind(dim=1):
        of_input, of_state = (
            F.linear(value, state[f"temporal.gru.weight_{part}_l0{way}"], state[f"temporal.gru.bias_{part}_l0{way}"])
            for part, value in (("ih", frame), ("hh", h))
        )
        (reset, update, new), (reset_h, update_h, new_h) = of_input.chunk(3, -1), of_state.chunk(3, -1)
        update = torch.sigmoid(update + update_h)
        h = (1 - update) * torch.tanh(new + torch.sigmoid(reset + reset_h) * new_h) + update * h
    return h


@pytest.mark.parametrize(
    ("made", "config"),
    [
        ({}, {}),
        ({"film": False, "labels": 10, "signers": 8}, {}),
        ({"axes": 3, "widths": (3, 8, 8, 12), "kernel": 5}, {"in_coords": 3, "stgcn_dilations": [2, 1, 1, 3]}),
        ({"signers": 3, "signer": 9, "hidden": 8, "kernel": 1}, {"attn_heads": 2, "num_joints": JOINTS}),
        ({"reads": 16, "widths": (4,)}, {"signer_stats_dim": 16, "stgcn_dilations": [2], "attn_heads": 1}),
        ({"reads": 5, "film": False, "axes": 4}, {"signer_stats_dim": 5, "in_coords": 4, "joints": [JOINTS, 75]}),
    ],
)
def test_variants_say_what_their_equations_say(made, config):
    state, family, random = published(**made), find_family("sca-stgcn"), np.random.default_rng(1)
    network = family.translate(state, family.arguments(config)).network()
    axes, reads = state["backbone.layers.0.gc.lin.weight"].shape[1], len(state["signer_enc.net.0.weight"])
    given = {
        "x": random.normal(size=(CLIPS, FRAMES, JOINTS, axes)).astype(np.float32),
        "stats": random.normal(size=(CLIPS, reads)).astype(np.float32),
        "A": random.uniform(0, 0.4, (JOINTS, JOINTS)).astype(np.float32),
    }
    with torch.inference_mode():
        said = family.answer(network, given, {}, "")
        x, statistics, adjacency = (torch.from_numpy(given[name]) for name in ("x", "stats", "A"))
        heads, dilations = config.get("attn_heads", 4), config.get("stgcn_dilations", (1, 2, 3))
        want = by_the_equations(state, x, adjacency, statistics, heads, dilations)
    assert set(said) == set(want)
    for name, wanted in want.items():
        assert wanted.std() > 0.01
        np.testing.assert_allclose(said[name], wanted.numpy(), atol=1e-4, rtol=1e-4, err_msg=name)


@pytest.mark.parametrize(
    ("made", "parameters"),
    [
        ({"film": False}, 1_085_515),
        ({"film": False, "labels": 2}, 1_085_002),
        ({}, 1_110_603),
        ({"signers": 4}, 1_110_603 + 133_380),
        (
            {"film": False, "labels": 10},
            1_089_749 - 643,
        ),  # the repository counts 643 buffers of batch normalisation too
        ({"labels": 10, "signers": 4}, 1_248_217 - 643),
        ({"film": False, "labels": 2, "signers": 8}, 1_220_053 - 643),
    ],
)
def test_parameters_are_as_many_as_published(made, parameters):
    state = published(**{"widths": (64, 128, 128), "signer": 64, "hidden": 256, **made})
    assert sum(p.numel() for p in translate(state).network().parameters()) == parameters


@every_pack("sca-stgcn-*")
def test_the_statistics_and_the_graph_of_a_pack_follow_from_its_input(folder):
    pack = packs.load(folder)
    family = find_family("sca-stgcn")
    state = {name: torch.from_numpy(values.copy()) for name, values in pack.state.items()}
    network = family.translate(state, family.arguments(pack.config)).network()
    for run, given in pack.inputs.items():
        x = torch.from_numpy(given["x"]).permute(0, 3, 1, 2)
        # Theirs are float32 sums in one go, some 1e-6 off, which the encoder's normalisation makes a hundredfold.
        np.testing.assert_allclose(network.statistics(x).numpy(), given["stats"], atol=5e-6)
        np.testing.assert_allclose(links(numbered(x.shape[3]), "chain").numpy(), given["A"], atol=1e-7)
        with torch.inference_mode():
            said = family.answer(network, {"x": given["x"]}, pack.about, run)
        for name, want in pack.outputs[run].items():
            np.testing.assert_allclose(said[name], want, atol=1e-3)
    assert torch.equal(network.adjacency, links(HOLISTIC_75, "chain"))


def test_a_run_without_statistics_and_graph_gets_the_published_ones():
    family, x = find_family("sca-stgcn"), np.random.default_rng(0).normal(size=(2, FRAMES, JOINTS, 2))
    network, given = translate(published()).network(), {"x": x.astype(np.float32)}
    flat = x.reshape(2, -1, 2)
    stats = np.concatenate([flat.mean(axis=1), flat.std(axis=1) + 1e-6], axis=1).astype(np.float32)
    with torch.inference_mode():
        said = family.answer(network, given, {}, "")
        told = family.answer(network, {**given, "stats": stats, "A": links(numbered(JOINTS), "chain").numpy()}, {}, "")
    for name, value in told.items():
        np.testing.assert_allclose(said[name], value, atol=1e-5)


def test_statistics_that_do_not_follow_from_the_input_must_be_given():
    state = published(reads=16)
    with pytest.raises(PartialLoad, match="16 statistics, and 4 follow from 2 axes"):
        translate(state)
    network = translate(state, statistics="given").network()
    with pytest.raises(ValueError, match="needs 16 statistics"):
        network.classify(torch.zeros(1, 2, FRAMES, 75))


def test_what_weights_cannot_say_is_taken_from_what_is_known():
    options = translate(published(), layout="hand_21", dilations=(3, 2, 1), heads=2, fps=25.0).options
    assert (options["dilations"], options["heads"], options["fps"]) == ((3, 2, 1), 2, 25.0)
    assert translate(published(), layout="hand_21").layout is HAND_21
    assert translate(published()).options["dilations"] == (1, 2, 3)
    assert translate(published()).layout is HOLISTIC_75


def test_counters_of_batches_may_be_missing():
    state = published()
    without = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    x = torch.randn(1, 2, FRAMES, 75, generator=torch.Generator().manual_seed(0))
    assert torch.equal(translate(without).network().classify(x), translate(state).network().classify(x))


@pytest.mark.parametrize("gone", ["attn.k_scale_net.0.bias", "attn.v_shift_net.weight", "signer_head.net.4.weight"])
def test_half_a_film_or_half_a_signer_head_is_refused(gone):
    state = published(signers=3)
    del state[gone]
    with pytest.raises(PartialLoad, match="missing"):
        translate(state)
