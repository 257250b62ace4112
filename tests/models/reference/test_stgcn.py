"""Checkpoints of the ST-GCN code bases in the forms that no parity pack has, against the published equations."""

import numpy as np
import pytest
import torch

from landmarks import HAND_21, NTU_25, numbered
from models import adjacency
from models.reference import PartialLoad, UnknownCheckpoint, translate

FRAMES, LABELS, PERSONS, CHANNELS, JOINTS = 12, 5, 2, 3, 25


def fill(shapes, seed=0):
    """A state dict of these shapes whose numbers keep activations near 1."""
    random = np.random.default_rng(seed)
    state = {}
    for name, shape in shapes.items():
        fan_in = np.prod(shape[1:]) if len(shape) > 1 else 25
        values = random.normal(0, 1.5 / np.sqrt(fan_in), shape)
        if name.endswith(("running_var", "bn.weight", "data_bn.weight")):
            values = 1 + 0.2 * random.random(shape)
        state[name] = torch.from_numpy(values.astype(np.float32))
    return state


def norm(name, width):
    return {f"{name}.{leaf}": (width,) for leaf in ("weight", "bias", "running_mean", "running_var")} | {
        f"{name}.num_batches_tracked": ()
    }


def pyskl(widths=(8, 8, 16), strides=(1, 2, 1), kinds=3, scale="VC", learned="PA", post=False):
    """Names and numbers of a small pyskl ST-GCN."""
    shapes, channels = {}, CHANNELS
    if scale:
        shapes |= norm("backbone.data_bn", (PERSONS if scale == "MVC" else 1) * JOINTS * CHANNELS)
    for i, (width, stride) in enumerate(zip(widths, strides, strict=True)):
        block = f"backbone.gcn.{i}"
        shapes |= {f"{block}.gcn.A": (kinds, JOINTS, JOINTS)}
        if learned:
            shapes |= {f"{block}.gcn.PA": (kinds, JOINTS, JOINTS)}
        shapes |= norm(f"{block}.gcn.bn", width) | norm(f"{block}.tcn.bn", width)
        shapes |= {
            f"{block}.gcn.conv.weight": (width, kinds * channels, 1, 1) if post else (kinds * width, channels, 1, 1),
            f"{block}.gcn.conv.bias": (width,) if post else (kinds * width,),
            f"{block}.tcn.conv.weight": (width, width, 9, 1),
            f"{block}.tcn.conv.bias": (width,),
        }
        if i and (channels != width or stride > 1):
            shapes |= {
                f"{block}.residual.conv.weight": (width, channels, 1, 1),
                f"{block}.residual.conv.bias": (width,),
            }
            shapes |= norm(f"{block}.residual.bn", width)
        channels = width
    shapes |= {"cls_head.fc_cls.weight": (LABELS, channels), "cls_head.fc_cls.bias": (LABELS,)}
    return fill(shapes)


def normed(state, name, x, axis=1):
    shape = [1] * x.dim()
    shape[axis] = -1
    weight, bias, mean, var = (
        state[f"{name}.{leaf}"].reshape(shape) for leaf in ("weight", "bias", "running_mean", "running_var")
    )
    return (x - mean) / torch.sqrt(var + 1e-5) * weight + bias


def by_the_equations(state, x, strides, scale, learned, post):
    """(N, M, T, V, C) through the network as the spec writes it, one contraction after the other."""
    n, m, t, v, c = x.shape
    flat = x.permute(0, 1, 3, 4, 2)  # N M V C T
    if scale == "MVC":
        flat = normed(state, "backbone.data_bn", flat.reshape(n, m * v * c, t)).reshape(n, m, v, c, t)
    elif scale == "VC":
        flat = normed(state, "backbone.data_bn", flat.reshape(n * m, v * c, t)).reshape(n, m, v, c, t)
    h = flat.permute(0, 1, 3, 4, 2).reshape(n * m, c, t, v)
    for i, stride in enumerate(strides):
        block, before = f"backbone.gcn.{i}", h
        links = state[f"{block}.gcn.A"]
        if learned:
            shift = state[f"{block}.gcn.PA"]
            links = links + shift if learned == "offset" else links * shift
        weight, bias = state[f"{block}.gcn.conv.weight"], state[f"{block}.gcn.conv.bias"]
        if post:
            mixed = torch.einsum("nctv,kvw->nkctw", h, links).flatten(1, 2)
            h = torch.nn.functional.conv2d(mixed, weight, bias)
        else:
            each = torch.nn.functional.conv2d(h, weight, bias).unflatten(1, (len(links), -1))
            h = torch.einsum("nkctv,kvw->nctw", each, links)
        h = normed(state, f"{block}.gcn.bn", h).relu()
        tcn = f"{block}.tcn"
        h = torch.nn.functional.conv2d(h, state[f"{tcn}.conv.weight"], state[f"{tcn}.conv.bias"], (stride, 1), (4, 0))
        h = normed(state, f"{tcn}.bn", h)
        if f"{block}.residual.conv.weight" in state:
            around = f"{block}.residual"
            weight, bias = state[f"{around}.conv.weight"], state[f"{around}.conv.bias"]
            h = h + normed(state, f"{around}.bn", torch.nn.functional.conv2d(before, weight, bias, (stride, 1)))
        elif i:
            h = h + before
        h = h.relu()
    pooled = h.mean(dim=(2, 3)).reshape(n, m, -1).mean(dim=1)
    return pooled @ state["cls_head.fc_cls.weight"].T + state["cls_head.fc_cls.bias"]


@pytest.mark.parametrize(
    ("scale", "learned", "post", "kinds"),
    [
        ("VC", "importance", False, 3),
        ("MVC", "importance", False, 3),
        (None, "importance", False, 3),
        ("VC", "offset", False, 3),
        ("VC", "importance", True, 3),
        ("VC", None, False, 2),
        ("VC", "importance", False, 1),
        ("VC", "importance", True, 1),
        ("VC", "offset", False, 8),
    ],
)
def test_variants_of_pyskl_say_what_their_equations_say(scale, learned, post, kinds):
    strides = (1, 2, 1)
    state = pyskl(strides=strides, kinds=kinds, scale=scale, learned=bool(learned), post=post)
    known = {"strides": strides, "persons": PERSONS}
    if learned:
        known["edges"] = learned
    if post:
        known["graph_bias"] = "after"
    network = translate(state, **known).network()
    x = torch.from_numpy(
        np.random.default_rng(1).normal(size=(3, PERSONS, FRAMES, JOINTS, CHANNELS)).astype(np.float32)
    )
    want = by_the_equations(state, x, strides, scale, learned, post)
    assert want.std() > 0.1
    torch.testing.assert_close(network.classify(x.permute(0, 1, 4, 2, 3)), want, atol=2e-5, rtol=2e-5)


def test_mmaction2_1_names_its_head_fc():
    state = pyskl()
    renamed = {name.replace("fc_cls", "fc"): tensor for name, tensor in state.items()}
    x = torch.randn(1, PERSONS, CHANNELS, FRAMES, JOINTS, generator=torch.Generator().manual_seed(0))
    assert torch.equal(translate(renamed).network().classify(x), translate(state).network().classify(x))


@pytest.mark.parametrize(("layout", "partition"), [(NTU_25, "spatial-published"), (NTU_25, "direction")])
def test_the_graph_is_recognised_whatever_the_order_of_its_kinds(layout, partition):
    state = pyskl()
    links = torch.from_numpy(adjacency(layout, partition))[[2, 0, 1]]
    published = translate({name: links if name.endswith("gcn.A") else value for name, value in state.items()})
    assert published.layout is layout
    assert published.options["partition"] == partition


def test_a_graph_we_do_not_know_is_kept_as_it_is():
    state = pyskl()
    published = translate(state, layout=numbered(JOINTS))
    assert published.options["kinds"] == 3
    assert published.layout.joints[0] == "joint_0"
    assert torch.equal(published.weights["blocks.1.space.conv.adjacency"], state["backbone.gcn.1.gcn.A"])


def test_something_known_that_the_network_lacks_is_refused():
    with pytest.raises(ValueError, match="takes no colour"):
        translate(pyskl(), colour="red")


def test_a_layout_of_another_size_is_refused():
    with pytest.raises(PartialLoad, match="shape"):
        translate(pyskl(), layout=HAND_21)


def test_files_of_before_batch_normalisation_counted_are_read():
    state = pyskl()
    old = {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}
    x = torch.randn(1, PERSONS, CHANNELS, FRAMES, JOINTS, generator=torch.Generator().manual_seed(0))
    assert torch.equal(translate(old).network().classify(x), translate(state).network().classify(x))


@pytest.mark.parametrize("frames", [20, 33])
def test_weights_of_clips_are_read_as_a_stream_too(frames):
    """The stream's features are those of a padded clip, up to the frames that see past the clip's end."""
    state = pyskl(strides=(1, 2, 1))
    clip = translate(state, "stgcn", strides=(1, 2, 1)).network()
    stream = translate(state, "costgcn", strides=(1, 2, 1)).network()
    x = torch.randn(1, PERSONS, CHANNELS, frames, JOINTS, generator=torch.Generator().manual_seed(0))
    embedded = clip.embed(x).mean(dim=(1, 4))  # (B, D, T')
    now, came = stream.start(1), []
    for frame in range(frames):
        logits, now = stream.answer(x[:, :, :, frame : frame + 1], now)
        if logits.shape[1]:
            came.append(stream.newest(now))
    assert len(came) >= (frames - stream.delay) // stream.stride
    torch.testing.assert_close(torch.stack(came, dim=2), embedded[:, :, : len(came)], atol=1e-5, rtol=1e-4)


def test_weights_of_another_network_are_refused():
    with pytest.raises(UnknownCheckpoint, match=r"a stgcn, not of a stgcn\+\+"):
        translate(pyskl(), "stgcn++")
