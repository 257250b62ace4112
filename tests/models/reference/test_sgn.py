"""Checkpoints of SGN and impSGN in the forms that no parity pack has, against the published equations."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from landmarks import NTU_25, NTU_25_CHAIN, numbered
from models.reference import PartialLoad, find_family, translate

LABELS = 5
PARENTS = (1, 1, 20, 2, 20, 4, 5, 6, 20, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18, 1, 22, 7, 24, 11)


def fill(shapes, seed=0):
    """A state dict of these shapes whose numbers keep activations near 1."""
    random = np.random.default_rng(seed)
    state = {}
    for name, shape in shapes.items():
        fan_in = np.prod(shape[1:]) if len(shape) > 1 else 25
        values = random.normal(0, (0.5 if "compute" in name else 1.5) / np.sqrt(fan_in), shape)
        if name.endswith("running_var") or (name.endswith("weight") and len(shape) == 1):
            values = 1 + 0.2 * random.random(shape)
        state[name] = torch.from_numpy(np.asarray(values, np.float32))
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(7)
    return state


def conv(name, out, channels, bias, kernel=(1, 1)):
    return {f"{name}.weight": (out, channels, *kernel)} | ({f"{name}.bias": (out,)} if bias else {})


def norm(name, width):
    leaves = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{leaf}": (width,) for leaf in leaves} | {f"{name}.num_batches_tracked": ()}


def embedding(name, channels, joints, out, bias):
    return (
        norm(f"{name}.cnn.0.bn", channels * joints)
        | conv(f"{name}.cnn.1.cnn", out, channels, bias)
        | conv(f"{name}.cnn.3.cnn", out, out, bias)
    )


def graph(place, channels, widths, relation, bias):
    shapes = conv(f"{place}compute_g1.g1.cnn", relation, channels, bias)
    shapes |= conv(f"{place}compute_g1.g2.cnn", relation, channels, bias)
    for i, width in enumerate(widths, start=1):
        shapes |= conv(f"{place}gcn{i}.w.cnn", width, channels, False) | norm(f"{place}gcn{i}.bn", width)
        shapes |= conv(f"{place}gcn{i}.w1.cnn", width, channels, bias)
        channels = width
    return shapes


def frame(seg, joints, width, bias, hidden=6):
    """Semantics, layers over frames and the last layer."""
    return (
        conv("tem_embed.cnn.0.cnn", hidden, seg, bias)
        | conv("tem_embed.cnn.2.cnn", width, hidden, bias)
        | conv("spa_embed.cnn.0.cnn", hidden, joints, bias)
        | conv("spa_embed.cnn.2.cnn", hidden, hidden, bias)
        | conv("cnn.cnn1", width, width, bias, (1, 3))
        | norm("cnn.bn1", width)
        | conv("cnn.cnn2", 10, width, bias)
        | norm("cnn.bn2", 10)
        | {"fc.weight": (LABELS, 10), "fc.bias": (LABELS,)}
    )


def sgn(seg=20, joints=25, channels=3, bias=True, widths=(7, 8, 9)):
    shapes = frame(seg, joints, widths[-1], bias)
    for name in ("joint_embed", "dif_embed"):
        shapes |= embedding(name, channels, joints, 6, bias)
    return fill(shapes | graph("", 12, widths, 5, bias))


def impsgn(seg=20, joints=25, channels=3, bias=True, own_bias=True, blocks=(8, 9), dilated=4):
    shapes = frame(seg, joints, blocks[-1], bias)
    for name in ("joint_embed", "velocity_embed", "velocity_prime_embed", "bone_embed"):
        shapes |= embedding(name, 2 * channels, joints, 6, bias)
    before = 12
    for i, width in enumerate(blocks):
        place = f"stab_modules.{i}."
        shapes |= graph(place, before, (5, 7, width), 5, bias) | norm(f"{place}bn_relu.bn", width * joints)
        for view in range(dilated + 2):
            branch = f"{place}mstcn.branches.{view}"
            shapes |= conv(f"{branch}.0", 3, width, own_bias) | norm(f"{branch}.1", 3)
            if view < dilated:
                shapes |= conv(f"{branch}.3.conv", 3, 3, own_bias, (3, 1)) | norm(f"{branch}.3.bn", 3)
            elif view == dilated:
                shapes |= norm(f"{branch}.4", 3)
        out = 3 * (dilated + 2)
        shapes |= conv(f"{place}mstcn.residual.conv", out, width, own_bias) | norm(f"{place}mstcn.residual.bn", out)
        shapes |= conv(f"{place}upsampling", width, out, own_bias) | conv(f"{place}residual", width, before, own_bias)
        before = width
    return fill(shapes)


class Equations:
    """The published networks as the specs write them, on tensors (N, C, V, T)."""

    def __init__(self, state):
        self.state = state

    def conv(self, name, x, **how):
        return F.conv2d(x, self.state[f"{name}.weight"], self.state.get(f"{name}.bias"), **how)

    def norm(self, name, x):
        weight, bias, mean, var = (
            self.state[f"{name}.{leaf}"] for leaf in ("weight", "bias", "running_mean", "running_var")
        )
        return F.batch_norm(x, mean, var, weight, bias)

    def joint_norm(self, name, x):
        return self.norm(name, x.flatten(1, 2)).reshape(x.shape)

    def embed(self, name, x, first=1):
        x = self.joint_norm(f"{name}.cnn.0.bn", x) if first else x
        return self.conv(f"{name}.cnn.{first + 2}.cnn", self.conv(f"{name}.cnn.{first}.cnn", x).relu()).relu()

    def graph(self, place, x, layers=3):
        one, two = self.conv(f"{place}compute_g1.g1.cnn", x), self.conv(f"{place}compute_g1.g2.cnn", x)
        links = torch.einsum("ncit,ncjt->ntij", one, two).softmax(dim=-1)
        for i in range(1, layers + 1):
            heard = torch.einsum("ntij,ncjt->ncit", links, x)
            x = self.conv(f"{place}gcn{i}.w.cnn", heard) + self.conv(f"{place}gcn{i}.w1.cnn", x)
            x = self.norm(f"{place}gcn{i}.bn", x).relu()
        return x

    def joints(self, like):
        n, _, v, t = like.shape
        return self.embed("spa_embed", torch.eye(v).view(1, v, v, 1).expand(n, -1, -1, t), first=0)

    def over_frames(self, x):
        n, _, v, t = x.shape
        x = x + self.embed("tem_embed", torch.eye(t).view(1, t, 1, t).expand(n, -1, v, -1), first=0)
        x = F.adaptive_max_pool2d(x, (1, 20))
        x = self.norm("cnn.bn1", self.conv("cnn.cnn1", x, padding=(0, 1))).relu()
        x = self.norm("cnn.bn2", self.conv("cnn.cnn2", x)).relu()
        return x.amax(dim=(2, 3)) @ self.state["fc.weight"].T + self.state["fc.bias"]

    def sgn(self, x):
        moved = torch.zeros_like(x)
        moved[..., 1:] = x[..., 1:] - x[..., :-1]
        x = self.embed("joint_embed", x) + self.embed("dif_embed", moved)
        return self.over_frames(self.graph("", torch.cat([x, self.joints(x)], dim=1)))

    def impsgn(self, x, parents, weights, blocks, dilated=4):
        n, c, v, t = x.shape
        velocity, bone = torch.zeros(n, 2 * c, v, t), torch.zeros(n, 2 * c, v, t)
        for i in range(t - 2):
            velocity[:, :c, :, i], velocity[:, c:, :, i] = x[..., i + 1] - x[..., i], x[..., i + 2] - x[..., i]
        for i, parent in enumerate(parents):
            bone[:, :c, i] = x[:, :, i] - x[:, :, parent]
        length = bone[:, :c].square().sum(dim=1).sqrt() + 1e-4
        for axis in range(c):
            bone[:, c + axis] = torch.acos(bone[:, axis] / length)
        weighted = velocity * torch.tensor(weights).view(1, 1, -1, 1)
        joint = torch.cat([x, x - x[:, :, 1:2]], dim=1)
        streams = {
            "joint_embed": joint,
            "velocity_embed": velocity,
            "velocity_prime_embed": weighted,
            "bone_embed": bone,
        }
        x = torch.stack([self.embed(name, given) for name, given in streams.items()]).sum(dim=0)
        x = torch.cat([x, self.joints(x)], dim=1)
        for i in range(blocks):
            place = f"stab_modules.{i}."
            around = self.conv(f"{place}residual", x)
            x = self.joint_norm(f"{place}bn_relu.bn", self.graph(place, x)).relu() + around
            views = []
            for view in range(dilated + 2):
                branch = f"{place}mstcn.branches.{view}"
                y = self.norm(f"{branch}.1", self.conv(f"{branch}.0", x))
                if view < dilated:
                    far = view + 1
                    y = self.conv(f"{branch}.3.conv", y.relu(), padding=(far, 0), dilation=(far, 1))
                    y = self.norm(f"{branch}.3.bn", y)
                elif view == dilated:
                    y = self.norm(f"{branch}.4", F.max_pool2d(y.relu(), (3, 1), 1, (1, 0)))
                views.append(y)
            y = self.norm(f"{place}mstcn.residual.bn", self.conv(f"{place}mstcn.residual.conv", x))
            x = self.conv(f"{place}upsampling", (torch.cat(views, dim=1) + y).relu()) + around
        return self.over_frames(x)


def inputs(seg, joints, channels):
    """(N, T, V*C), with joints missing and a clip padded as published."""
    x = np.random.default_rng(1).normal(0, 1, (3, seg, joints, channels)).astype(np.float32)
    x[1, seg // 2 :] = 0
    x[2, :, joints // 2] = 0
    return x.reshape(3, seg, joints * channels)


def said(published, config, x):
    family = find_family(config["family"])
    with torch.inference_mode():
        return family.answer(published.network(), {"x": x}, {"config": config}, "main")["logits"]


def published_axes(x, channels):
    return torch.from_numpy(x).unflatten(2, (-1, channels)).permute(0, 3, 2, 1)


@pytest.mark.parametrize(
    ("seg", "joints", "channels", "bias", "widths"),
    [
        (20, 25, 3, True, (7, 8, 9)),
        (20, 25, 3, False, (7, 8, 9)),
        (16, 25, 3, True, (7, 8, 9)),
        (32, 21, 2, False, (7, 8, 9)),
        (13, 17, 2, True, (6, 8)),
    ],
)
def test_an_sgn_of_any_form_says_what_its_equations_say(seg, joints, channels, bias, widths):
    state, x = sgn(seg, joints, channels, bias, widths), inputs(seg, joints, channels)
    equations = Equations(state)
    if len(widths) == 2:
        equations.graph = lambda place, x: Equations.graph(equations, place, x, layers=2)
    wanted = equations.sgn(published_axes(x, channels))
    config = {"family": "sgn", "seg": seg, "joints": joints, "in_channels": channels, "bias": bias}
    published = translate(state, **find_family("sgn").arguments(config))
    np.testing.assert_allclose(said(published, config, x), wanted, atol=2e-5, rtol=1e-5)
    assert published.options["bias"] is bias


@pytest.mark.parametrize(
    ("seg", "joints", "channels", "bias", "own_bias", "dilated"),
    [
        (20, 25, 3, True, True, 4),
        (20, 25, 3, False, True, 4),
        (20, 25, 3, False, False, 4),
        (12, 25, 2, True, True, 2),
        (24, 19, 2, True, False, 3),
    ],
)
def test_an_impsgn_of_any_form_says_what_its_equations_say(seg, joints, channels, bias, own_bias, dilated):
    state, x = impsgn(seg, joints, channels, bias, own_bias, dilated=dilated), inputs(seg, joints, channels)
    parents = PARENTS if joints == 25 else [1, 1, *range(1, joints - 1)]
    weights = [1, 2, *range(3, 2 * joints, 2)][:joints]
    wanted = Equations(state).impsgn(published_axes(x, channels), parents, weights, blocks=2, dilated=dilated)
    config = {"family": "impsgn", "joints": joints, "in_channels": channels}
    if joints != 25:
        config |= {"parents_0based": parents}
    published = translate(state, **find_family("impsgn").arguments(config))
    np.testing.assert_allclose(said(published, config, x), wanted, atol=2e-5, rtol=1e-5)


def test_other_weights_of_velocities_and_the_axis_are_taken_from_the_pack():
    state, x = impsgn(), inputs(20, 25, 3)
    weights = [float(1 + i % 3) for i in range(25)]
    config = {"family": "impsgn", "velocity_weights": weights, "multi_scale_conv_axis": "joint index (as it is)"}
    published = translate(state, **find_family("impsgn").arguments(config))
    wanted = Equations(state).impsgn(published_axes(x, 3), PARENTS, weights, blocks=2)
    np.testing.assert_allclose(said(published, config, x), wanted, atol=2e-5, rtol=1e-5)
    over_time = translate(state, **find_family("impsgn").arguments({**config, "multi_scale_conv_axis": "time"}))
    assert over_time.options["axis"] == "time"
    assert np.abs(said(over_time, config, x) - wanted.numpy()).max() > 1e-2


def test_what_is_imported_is_served_as_it_was_trained():
    published = translate(sgn())
    assert published.layout is NTU_25
    network = published.network()
    xyz = torch.rand(2, 50, 25, 3)
    middle = network.layout.indices("spine_mid")
    picks = torch.tensor([int((i + 0.5) * 50 / 20) for i in range(20)])
    by_hand = (xyz - xyz[:, :1, middle])[:, picks].permute(0, 3, 1, 2)
    torch.testing.assert_close(network.logits(xyz), network.classify(by_hand))
    assert translate(sgn(joints=19)).layout == numbered(19)
    assert translate(sgn(), draws=5).network().draws == 5


def test_bones_of_an_impsgn_are_ntus_rooted_in_the_middle_of_the_spine():
    layout = translate(impsgn()).layout
    assert layout.joints == NTU_25.joints
    assert layout.centre == "spine_mid"
    turned = {("spine_mid", "spine_shoulder"): ("spine_shoulder", "spine_mid")}
    assert set(layout.bones) == {turned.get(bone, bone) for bone in NTU_25_CHAIN.bones}


def test_bones_that_nothing_tells_are_asked_for():
    state = impsgn(joints=19)
    with pytest.raises(PartialLoad, match="19 joints needs a layout"):
        translate(state)
    chain = numbered(19, [(i, i - 1) for i in range(1, 19)])
    assert translate(state, layout=chain).layout is chain


@pytest.mark.parametrize("state", [sgn(), impsgn()], ids=["sgn", "impsgn"])
def test_batches_that_were_not_counted_do_no_harm(state):
    old = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    xyz = torch.rand(2, 30, 25, 3)
    assert torch.equal(translate(old).network()(xyz), translate(state).network()(xyz))


@pytest.mark.parametrize(
    "gone",
    ["stab_modules.0.mstcn.branches.2.3.conv.bias", "stab_modules.1.residual.bias", "joint_embed.cnn.1.cnn.bias"],
)
def test_one_missing_bias_of_many_is_no_bias_of_0(gone):
    state = impsgn()
    with pytest.raises(PartialLoad, match="1 missing"):
        translate({name: value for name, value in state.items() if name != gone})


def test_a_block_with_attention_is_not_read_without_it():
    state = impsgn() | fill(conv("stab_modules.0.stj.fcn.0", 4, 8, True))
    with pytest.raises(PartialLoad, match=r"stab_modules\.0\.stj\.fcn"):
        translate(state)
