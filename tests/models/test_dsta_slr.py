import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from export import parity
from export.onnx import to_onnx
from landmarks import HOLISTIC_75, SIGN_27, Manifest
from models import build
from models.dsta_slr import JointAttention, StructuredDropout
from models.people import rescale
from models.streams import STREAMS

TINY = {
    "labels": 3,
    "fps": 15.0,
    "widths": (4, 8),
    "strides": (1, 2),
    "subsets": 2,
    "kernels": (3, 5),
    "expansion": 2,
    "frames": 0,
}
every_stream = pytest.mark.parametrize("stream", STREAMS)
# The specification's nodes by MediaPipe's numbers, and its links by its own, parent first, in its order.
POSE_NODES, HAND_NODES = (0, 11, 12, 13, 14, 15, 16), (0, 4, 5, 8, 9, 12, 13, 16, 17, 20)
LINKS = [(0, 1), (0, 2), (1, 3), (3, 5), (2, 4), (4, 6)]
LINKS += [(root, root + k) for root in (7, 17) for k in (1, 2, 4, 6, 8)]
LINKS[11:11] = [(9, 10), (11, 12), (13, 14), (15, 16)]
LINKS += [(19, 20), (21, 22), (23, 24), (25, 26), (5, 7), (6, 17)]


def made(layout=SIGN_27, seed=0, **options):
    torch.manual_seed(seed)
    network = build("dsta-slr", layout, **{**TINY, **options})
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return network.eval()


def people(persons=0, frames=9, batch=2, layout=SIGN_27, seed=0, share=0.0):
    random = np.random.default_rng(seed)
    shape = (batch, *((persons,) if persons else ()), frames, len(layout), 3)
    xyz = random.uniform(0, 1, shape).astype(np.float32)
    xyz[random.random(shape[:-1]) < share] = np.nan
    return torch.from_numpy(xyz)


def test_the_27_nodes_come_from_mediapipe_by_name():
    numbers = [*POSE_NODES, *(33 + n for n in HAND_NODES), *(54 + n for n in HAND_NODES)]
    assert HOLISTIC_75.indices(*SIGN_27.joints).tolist() == numbers


def test_the_layout_has_the_published_links_and_one_between_the_shoulders():
    ours = {frozenset(edge) for edge in SIGN_27.edges.tolist()}
    assert ours - {frozenset(link) for link in LINKS} == {frozenset((1, 2))}
    assert len(ours) == len(LINKS) + 1


def published(landmarks, stream, frames):
    """The specification's preprocessing, sample by sample: pixels, bones, motion, frames, centre."""
    out = []
    for xyz in landmarks.double().numpy():
        seen = ~np.isnan(xyz).any(axis=-1, keepdims=True)
        data = np.concatenate([np.nan_to_num(xyz[..., :2]) * 512 * seen, seen], axis=-1)  # (T, V, C)
        if stream.startswith("bone"):
            for parent, child in LINKS:
                data[:, child] = data[:, child] - data[:, parent]
        if stream.endswith("motion"):
            for t in range(len(data) - 1):
                data[t] = data[t + 1] - data[t]
            data[-1] = 0
        data = data[[i * len(data) // frames for i in range(frames)]]
        data[..., :2] -= data[:, 0, :2].mean(axis=0)
        out.append(data.transpose(2, 0, 1))
    return torch.from_numpy(np.stack(out)).float()


@every_stream
@pytest.mark.parametrize("window", [7, 12, 30])
def test_published_inputs_are_made_as_published(stream, window):
    network, xyz = made(stream=stream, inputs="published", bones="reference", frames=12), people(0, window, share=0.2)
    torch.testing.assert_close(network.features(xyz), published(xyz, stream, 12), atol=2e-3, rtol=0)


@every_stream
def test_true_bones_make_another_stream_of_bones_and_the_same_joints(stream):
    xyz = people()
    same = torch.equal(made(stream=stream)(xyz), made(stream=stream, bones="reference")(xyz))
    assert same == (stream == "joint")


def test_four_streams_say_four_things():
    xyz = people()
    said = torch.stack([made(stream=stream).logits(xyz) for stream in STREAMS])
    assert (said[:, None] - said[None]).abs().amax(dim=(2, 3))[~torch.eye(4, dtype=torch.bool)].min() > 1e-3


@every_stream
@settings(max_examples=5, deadline=None)
@given(scale=st.floats(0.3, 3), dx=st.floats(-1, 1), dy=st.floats(-1, 1), seed=st.integers(0, 100))
def test_no_stream_is_moved_by_the_camera(stream, scale, dx, dy, seed):
    features, xyz = made(stream=stream).features, people(seed=seed)
    moved = xyz * scale + torch.tensor([dx, dy, 0.0])
    torch.testing.assert_close(features(moved), features(xyz), atol=1e-4, rtol=0)


@every_stream
@settings(max_examples=3, deadline=None)
@given(share=st.floats(0, 1), seed=st.integers(0, 100), inputs=st.sampled_from(["normalised", "given", "published"]))
def test_whatever_is_missing_values_and_gradients_are_finite(stream, share, seed, inputs):
    network = made(stream=stream, inputs=inputs).train()
    logits = network.logits(people(seed=seed, share=share))
    logits.sum().backward()
    assert torch.isfinite(logits).all()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())


@pytest.mark.parametrize("window", [6, 12, 30])
def test_frames_are_taken_evenly_after_motion_is(window):
    xyz = people(0, window)
    all_frames = made(stream="joint-motion").features(xyz)
    chosen = [i * window // 12 for i in range(12)]
    assert torch.equal(made(stream="joint-motion", frames=12).features(xyz), all_frames[:, :, chosen])


@pytest.mark.parametrize(("axes", "score", "channels"), [(2, True, 3), (2, False, 2), (3, True, 4), (3, False, 3)])
def test_z_and_the_score_are_channels_or_not(axes, score, channels):
    options = {"axes": axes, "score": score, "stream": "bone"}
    features = made(**options).features(people(share=0.3))
    assert features.shape[1] == channels
    assert torch.equal(made(axes=3, stream="bone").features(people(share=0.3))[:, :axes], features[:, :axes])


def test_a_person_who_is_not_given_is_one_who_is_not_seen_and_places_are_told_apart():
    network, two = made(persons=2), people(2)
    alone = two[:, :1]
    both = torch.cat([alone, torch.full_like(alone, float("nan"))], dim=1)
    torch.testing.assert_close(network(alone[:, 0]), network(both))
    torch.testing.assert_close(network(alone), network(both))
    torch.testing.assert_close(network(two), network(two.flip(1)))
    with torch.no_grad():  # statistics are by person, joint and channel, in this order
        network.scale.bias.add_(torch.arange(2 * 27 * 3.0))
    flat = rescale(network.scale, torch.zeros(1, 2, 3, 4, 27), 2, tell_apart=True)
    expected = network.scale.bias.reshape(2, 27, 3).permute(0, 2, 1)[:, :, None].expand(-1, -1, 4, -1)
    torch.testing.assert_close(flat, expected)
    with pytest.raises(ValueError, match="takes 1 persons, got 2"):
        made()(two)


def test_attention_is_one_graph_for_the_whole_clip():
    torch.manual_seed(0)
    attention, x = JointAttention(8, 2), torch.randn(2, 8, 6, 27)
    order = torch.randperm(6)
    torch.testing.assert_close(attention(x[:, :, order]), attention(x)[:, :, order], atol=1e-5, rtol=1e-4)
    doubled = x.repeat(1, 1, 2, 1)  # it is a mean over frames, so a clip shown twice has the same graph
    torch.testing.assert_close(attention(doubled), attention(x).repeat(1, 1, 2, 1), atol=1e-5, rtol=1e-4)
    order = torch.randperm(27)
    torch.testing.assert_close(attention(x[..., order]), attention(x)[..., order], atol=1e-5, rtol=1e-4)


def test_a_fresh_spatial_unit_passes_on_what_came_in():
    torch.manual_seed(0)
    layer = build("dsta-slr", SIGN_27, **TINY).layers[1].eval()
    x = torch.randn(2, 4, 5, 27)
    torch.testing.assert_close(layer.space(x), torch.relu(x), atol=1e-4, rtol=0)
    assert layer.space.edge_gain == 0


def test_gates_make_features_up_to_double_thrice():
    torch.manual_seed(0)
    x = torch.rand(2, 4, 5, 27) + 0.1
    gain = made().layers[1].gates(x) / x
    assert gain.min() >= 1
    assert gain.max() <= 8
    assert gain.std() > 0.01


def test_structured_dropout_is_for_training_and_only_in_the_last_layers():
    network, xyz = made(widths=(4, 8, 8), strides=(1, 1, 1), keep=0.5, drop_block=3, drop_layers=1), people()
    features = network.features(xyz)
    assert torch.equal(network.classify(features), network.classify(features))
    x = rescale(network.scale, features, 1, tell_apart=True)
    for layer, drops in zip(network.layers, (False, False, True), strict=True):
        for module in layer.modules():
            module.training = isinstance(module, StructuredDropout)
        assert torch.equal(layer(x), layer(x)) != drops
        x = layer.eval()(x)
    network.schedule(0.0)
    last = network.layers[-1].time[0].dropout.train()
    y = torch.rand(2, 4, 9, 27)
    assert last(y, network.layers[-1].links) is y, "all is kept when its schedule begins"
    kept = []
    for share in (0.0, 0.5, 1.0):
        network.schedule(share)
        kept += [unit.dropout.keep for layer in network.layers for unit in layer.time]
    assert kept == [1] * 6 + [1] * 3 + [1] * 6 + [0.75] * 3 + [1] * 6 + [0.5] * 3
    with pytest.raises(ValueError, match="from 0 to 1"):
        network.schedule(1.5)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), keep=st.floats(0.5, 0.95))
def test_what_falls_out_are_joints_with_their_neighbours_and_frames_in_a_row(seed, keep):
    torch.manual_seed(seed)
    links, block = made().layers[0].links, 5
    x = torch.rand(1, 6, 40, 27) + 0.5
    out = StructuredDropout(keep, block).train()(x, links)
    gone = (out == 0).all(dim=1)[0]  # (T, V)
    assert torch.equal(gone, (out == 0).any(dim=1)[0]), "all channels or none"
    frames, joints = gone.all(dim=1), gone.all(dim=0)
    assert torch.equal(gone, frames[:, None] | joints[None]), "a frame, or a joint throughout"
    if not frames.all():
        rest = out[out != 0] / x[out != 0]
        torch.testing.assert_close(rest, rest[:1].expand_as(rest))
        torch.testing.assert_close(rest[0], 1 / ((~frames).float().mean() * (~joints).float().mean()))
        seeds = [v for v in range(27) if joints[links[v] > 0].all()]
        assert joints.tolist() == (links[seeds] > 0).any(dim=0).tolist()
        runs = "".join("x" if fell else " " for fell in frames.tolist()).strip().split(" ")
        inner = runs[1:-1] if len(runs) > 2 else []  # at the ends of the clip a block may be cut off
        assert all(len(run) >= block for run in inner if run)


def test_structured_dropout_keeps_about_what_it_is_told_and_prefers_what_is_large():
    torch.manual_seed(0)
    links = made().layers[0].links
    x = torch.ones(400, 2, 8, 27)
    x[..., :9] = 3.0
    out = StructuredDropout(0.9, 1).train()(x, links)
    gone = (out == 0).all(dim=(1, 2)).float().mean(dim=0)  # (V,)
    assert gone[7:9].mean() > 1.5 * gone[18:].mean()
    assert 0.8 < 1 - (out == 0).float().mean() < 0.95
    assert StructuredDropout(0.9, 1).train()(torch.zeros_like(x), links).abs().max() == 0


@pytest.mark.parametrize(
    "options",
    [
        {"strides": (1,)},
        {"widths": (), "strides": ()},
        {"kernels": (4,)},
        {"kernels": ()},
        {"drop_block": 40},
        {"subsets": 3},
        {"widths": (4, 6)},
        {"keep": 0.0},
        {"frames": -1},
        {"axes": 1},
        {"axes": 4, "inputs": "given"},
        {"stream": "bones"},
        {"bones": "published"},
        {"inputs": "pixels"},
        {"labels": 0},
        {"fps": 0.0},
    ],
)
def test_impossible_values_are_refused(options):
    with pytest.raises(ValueError, match=r"need|at least|multiple|axes|is one of"):
        build("dsta-slr", SIGN_27, **{**TINY, **options})


@pytest.mark.slow
@pytest.mark.parametrize("stream", ["joint", "bone-motion"])
def test_published_streams_are_in_the_graph(stream):
    network = made(stream=stream, inputs="published", bones="reference", frames=12)
    manifest = Manifest(
        name="a", version="1", task="gesture", network="dsta-slr", layout="sign_27", joints=SIGN_27.joints,
        window_frames=18, stride_frames=3, fps=15.0, labels=("a", "b", "c"), background="a", licence="",
    )  # fmt: skip
    assert parity.check(network, to_onnx(network, manifest), 18, 27) <= parity.TOLERANCE
