import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from landmarks import HAND_21, HOLISTIC_75, NTU_25, SIGN_27, Layout
from models import Normalise, build, impsgn, sgn

TINY = {"labels": 3, "fps": 15.0, "segments": 6, "embed": 4, "relation": 4, "widths": (4, 8), "frame_width": 8}
TINY_IMP = {**TINY, "inner": (4,), "branch": 2, "dilations": (1, 2)}
both = pytest.mark.parametrize("name", ["sgn", "impsgn"])


def made(name="sgn", layout=SIGN_27, seed=0, **options):
    torch.manual_seed(seed)
    network = build(name, layout, **{**(TINY_IMP if name == "impsgn" else TINY), **options})
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return network.eval()


def body(frames=6, layout=SIGN_27, batch=2, seed=0):
    random = np.random.default_rng(seed)
    return torch.from_numpy(random.uniform(0, 1, (batch, frames, len(layout), 3)).astype(np.float32))


class Picks(sgn.FewFrames):
    """Says which frames it looks at, where each frame's features are its number."""

    def decide(self, frames):
        return frames[:, 0, :, 0]


def picked(frames, segments, draws=1, training=False, batch=1):
    config = sgn.Config(labels=1, fps=15.0, segments=segments, draws=draws, inputs="given")
    numbers = torch.arange(float(frames)).view(1, 1, -1, 1).expand(batch, 3, -1, len(HAND_21))
    return Picks(HAND_21, config).train(training).classify(numbers)


@given(frames=st.integers(1, 300), segments=st.integers(1, 40), draws=st.integers(1, 5))
def test_each_draw_looks_into_each_part_of_the_window_once(frames, segments, draws):
    mean = picked(frames, segments, draws)[0]
    parts = np.arange(segments) * frames / segments
    if frames == segments:
        assert mean.tolist() == list(range(frames))
        return
    # By the definition: of D draws, number d looks (d + 0.5) / D into each part.
    phases = (np.arange(draws) + 0.5) / draws
    looked = np.floor(parts[:, None] + phases * frames / segments + 1e-9)
    np.testing.assert_allclose(mean, looked.mean(axis=1), rtol=1e-5, atol=1e-5)
    assert mean.min() >= 0
    assert mean.max() <= frames - 1


def test_a_short_window_shows_its_frames_more_than_once():
    assert picked(3, 6)[0].tolist() == [0, 0, 1, 1, 2, 2]


@settings(max_examples=30)
@given(frames=st.integers(1, 100), segments=st.integers(1, 30))
def test_in_training_each_clip_shows_random_frames_of_its_parts(frames, segments):
    drawn = picked(frames, segments, training=True, batch=8)
    starts = np.floor(np.arange(segments) * frames / segments - 1e-3)
    ends = np.ceil((np.arange(segments) + 1) * frames / segments + 1e-3)
    assert (drawn.numpy() >= starts).all()
    assert (drawn.numpy() < ends).all()
    if frames >= 8 * segments and segments > 4:
        assert len({tuple(clip) for clip in drawn.tolist()}) > 1


@both
def test_draws_are_averaged_before_softmax_and_change_nothing_where_every_frame_is_seen(name):
    one, five, long = made(name), made(name, draws=5), body(30)
    assert torch.equal(one(body(6)), five(body(6)))
    features = five.features(long)
    # 6 parts of 5 frames: the d-th of 5 draws is the d-th frame of each.
    each = [five.decide(features[:, :, d::5]) for d in range(5)]
    torch.testing.assert_close(five.logits(long), torch.stack(each).mean(dim=0))
    torch.testing.assert_close(one.logits(long), each[2])


def test_positions_are_normalised_ones_and_their_velocity_comes_after_picking():
    xyz, layout = body(8), SIGN_27
    xyz[0, 3:5, 9] = float("nan")
    features = made(axes=2, hand_depth=True).features(xyz)  # (B, 6, T, V)
    whole = Normalise(layout, 15.0, axes=2, hand_depth=True)(xyz)  # (B, 8, T, V)
    assert torch.equal(features, whole[:, [0, 1, 2, 3, 4, 7]])


@both
def test_a_frame_that_is_not_picked_changes_nothing(name):
    network, xyz = made(name, inputs="given"), body(18)
    other = xyz.clone()
    other[:, 0::3] = 0.0  # 6 parts of 3 frames: the middle ones are looked at
    other[:, 2::3] = 1.0
    assert torch.equal(network(xyz), network(other))


@both
def test_a_joint_that_comes_into_sight_has_not_moved(name):
    """Where in the picture an unseen joint is said to be, may not show in any difference."""
    network = made(name)
    features = network.features(body(6))
    features[:, -1, 2:4, 5] = 0.0  # joint 5 unseen in frames 2 and 3
    moved = features.clone()
    moved[:, :3, 2:4, 5] += 10.0
    if name == "sgn":
        velocities: list[torch.Tensor] = []
        network.velocity.register_forward_pre_hook(lambda _, given: velocities.append(given[0]))
        network.decide(features)
        network.decide(moved)
        assert torch.equal(*velocities)
    else:
        for one, other in zip(network.streams(features)[1:], network.streams(moved)[1:], strict=True):
            assert torch.equal(one, other)


def test_start_no_joint_hears_another_and_learns_to():
    for network in (build("sgn", SIGN_27, **TINY), build("impsgn", SIGN_27, **TINY_IMP)):
        layers = [module for module in network.modules() if isinstance(module, sgn.GraphLayer)]
        assert all(layer.heard.weight.abs().max() == 0 for layer in layers)
        network.logits(body(6)).sum().backward()
        assert all(layer.heard.weight.grad.abs().max() > 0 for layer in layers)


def test_convolutions_start_with_the_spread_that_is_published():
    torch.manual_seed(0)
    network = build("sgn", NTU_25, labels=60, fps=30.0)
    assert network.over_frames.near.weight.std().item() == pytest.approx((2 / (3 * 256)) ** 0.5, rel=0.02)
    assert network.relation.listener.weight.std().item() == pytest.approx((2 / 256) ** 0.5, rel=0.02)


@given(segments=st.integers(3, 40), pooled=st.integers(1, 40))
@settings(max_examples=25, deadline=None)
def test_pooled_frames_are_those_of_an_adaptive_pool(segments, pooled):
    config = {"labels": 2, "fps": 15.0, "frame_width": 4}
    layers = sgn.OverFrames(4, sgn.Config(segments=segments, pooled_frames=pooled, **config)).eval()
    plain = sgn.OverFrames(4, sgn.Config(segments=pooled, **config)).eval()
    plain.load_state_dict(layers.state_dict())
    x = torch.randn(2, 4, segments, 5)
    torch.testing.assert_close(layers(x), plain(F.adaptive_max_pool2d(x, (pooled, 1))))


@both
def test_without_bias_only_the_last_layer_and_a_blocks_own_have_one(name):
    biased = {key for key in made(name, bias=False).state_dict() if key.endswith("bias")}
    convs = {key for key in biased if key.split(".")[-2] in ("first", "second", "listener", "itself", "near", "widen")}
    assert convs == ({"blocks.0.widen.bias", "blocks.1.widen.bias"} if name == "impsgn" else set())
    assert "head.bias" in biased


def test_centred_coordinates_start_at_the_centre_and_keep_their_scale():
    network, xyz = made(layout=NTU_25, inputs="centred", centre="spine_mid"), body(5, NTU_25)
    spine, wrist = NTU_25.indices("spine_mid", "left_wrist").tolist()
    xyz[0, :2, spine] = float("nan")
    xyz[1, 0] = float("nan")
    features = network.features(xyz)  # (B, 3, T, V)
    assert features[0, :, 2, spine].abs().max() == 0, "the first frame that shows the centre"
    torch.testing.assert_close(features[0, :, 0, wrist], xyz[0, 0, wrist] - xyz[0, 2, spine])
    torch.testing.assert_close(features[1, :, 4, wrist], xyz[1, 4, wrist] - xyz[1, 1, spine])
    assert features[1, :, 0].abs().max() == 0, "unseen is 0"
    torch.testing.assert_close(network.features(xyz + 3), features, atol=1e-5, rtol=0)
    torch.testing.assert_close(network.features(xyz * 3), features * 3)
    nobody = network.features(torch.full_like(xyz, float("nan")))
    assert nobody.abs().max() == 0


def test_the_centre_is_the_layouts_unless_named():
    network, named = made(layout=NTU_25, inputs="centred"), made(layout=NTU_25, inputs="centred", centre="spine_base")
    xyz = body(5, NTU_25)
    assert network.features(xyz)[:, :, 0, NTU_25.indices(NTU_25.centre)].abs().max() == 0
    assert named.features(xyz)[:, :, 0, NTU_25.indices("spine_base")].abs().max() == 0
    with pytest.raises(ValueError, match="no joint belly"):
        made(layout=NTU_25, inputs="centred", centre="belly")


ARM = Layout("arm", ("hand", "elbow", "shoulder"), (("hand", "elbow"), ("elbow", "shoulder")))


def test_streams_are_the_published_ones():
    network = made("impsgn", ARM, inputs="given", axes=2, segments=4)
    frames = torch.zeros(1, 2, 4, 3)
    frames[0, :, :, 2] = torch.tensor([[1.0, 2.0, 4.0, 8.0], [0.0, 0.0, 0.0, 0.0]])  # the shoulder moves along x
    frames[0, :, :, 1] = torch.tensor([[1.0, 2.0, 4.0, 8.0], [3.0, 3.0, 3.0, 3.0]])  # the elbow above it
    position, velocity, bone = network.streams(frames)
    torch.testing.assert_close(position[0, :, 0, 1], torch.tensor([1.0, 3.0, 0.0, 3.0]), msg="from the shoulder")
    assert velocity[0, :, :, 2].tolist() == [[1, 2, 0, 0], [0, 0, 0, 0], [3, 6, 0, 0], [0, 0, 0, 0]]
    half = np.pi / 2
    np.testing.assert_allclose(bone[0, :, 0, 1], [0, 3, half, np.arccos(3 / 3.0001)], atol=1e-5)
    np.testing.assert_allclose(bone[0, :, 0, 2], [0, 0, half, half], atol=1e-6, err_msg="the root")
    np.testing.assert_allclose(bone[0, :2, 0, 0], [-1, -3])


@pytest.mark.parametrize("layout", [SIGN_27, HAND_21, HOLISTIC_75, NTU_25], ids=lambda layout: layout.name)
def test_a_bone_goes_to_the_first_parent_and_a_root_has_none(layout):
    frames = body(6, layout).permute(0, 3, 1, 2)  # (B, 3, F, V)
    bone = made("impsgn", layout, inputs="given").streams(frames)[2]
    children = {child for child, _ in layout.bones}
    for joint, name in enumerate(layout.joints):
        parent = next((above for child, above in layout.bones if child == name), name)
        expected = frames[..., joint] - frames[..., layout.indices(parent)[0]]
        assert torch.equal(bone[:, :3, :, joint], expected)
        assert (expected.abs().max() == 0) == (name not in children)


@pytest.mark.parametrize("size", [0.0, 1e-9, 1.0, 1e6])
def test_bones_of_no_length_and_along_an_axis_have_finite_gradients(size):
    network = made("impsgn", ARM, inputs="given", segments=4).train()
    frames = torch.zeros(2, 3, 4, 3)
    frames[:, 1, :, 0], frames[:, 1, :, 2] = size, -size
    frames.requires_grad_()
    network.decide(frames).sum().backward()
    assert torch.isfinite(frames.grad).all()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


def test_velocity_weights_are_taken_out_by_the_normalisation_after_them():
    weights = tuple(float(1 + joint) for joint in range(len(SIGN_27)))
    plain, weighted = made("impsgn", dropout=0.0), made("impsgn", dropout=0.0, velocity_weights=weights)
    assert (plain(body(6)) - weighted(body(6))).abs().max() > 1e-5, "its statistics are not yet those of the data"
    torch.testing.assert_close(
        plain.train().logits(body(6, batch=8)), weighted.train().logits(body(6, batch=8)), atol=1e-3, rtol=1e-3
    )


@pytest.mark.parametrize("axis", ["time", "joint"])
def test_the_multi_scale_convolution_slides_over_its_axis_only(axis):
    torch.manual_seed(0)
    scales = impsgn.MultiScale(4, impsgn.Config(**{**TINY_IMP, "axis": axis})).eval()
    x = torch.randn(64, 4, 9, 9, requires_grad=True)
    scales(x)[:, :, 4, 4].sum().backward()
    reached = x.grad.abs().sum(dim=(0, 1)) > 0  # (T, V)
    line = [2, 3, 4, 5, 6]  # the larger of two dilations, either way
    expected = {(t, 4) for t in line} if axis == "time" else {(4, v) for v in line}
    assert {tuple(place) for place in reached.nonzero().tolist()} == expected


def test_attention_weighs_what_there_is_by_frame_times_joint():
    torch.manual_seed(0)
    attention, x = impsgn.JointTime(6).eval(), torch.rand(2, 6, 5, 7) + 0.5
    weight = attention(x) / x  # (B, C, T, V)
    assert weight.min() > 0
    assert weight.max() < 1
    torch.testing.assert_close(weight[:, :, :1, :1] * weight, weight[:, :, :1] * weight[:, :, :, :1])
    order = torch.randperm(7)
    torch.testing.assert_close(attention(x[..., order]), attention(x)[..., order])


def test_attention_and_axis_change_the_answer():
    answers = [
        made("impsgn", attention=attention, axis=axis)(body(6))
        for attention in ("joint-time", "none")
        for axis in ("time", "joint")
    ]
    for i, one in enumerate(answers):
        assert all((one - other).abs().max() > 1e-5 for other in answers[:i])


def test_parameters_of_the_published_form_on_120_classes():
    network = build("impsgn", NTU_25, labels=120, fps=30.0, inputs="given", attention="none", axis="joint")
    assert sum(p.numel() for p in network.parameters()) == 3_520_340


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"labels": 0}, "labels"),
        ({"fps": 0.0}, "fps"),
        ({"segments": 0}, "segments"),
        ({"draws": 0}, "draws"),
        ({"widths": ()}, "widths"),
        ({"pooled_frames": -1}, "pooled_frames"),
        ({"dropout": 1.0}, "dropout < 1, got 1.0"),
        ({"axes": 4}, "axes is 2 or 3, got 4"),
        ({"inputs": "raw"}, "got 'raw'"),
    ],
)
@both
def test_impossible_settings_are_refused(name, options, says):
    with pytest.raises(ValueError, match=says):
        made(name, **options)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"segments": 2}, "segments >= 3, got 2"),
        ({"branch": 0}, "branch"),
        ({"inner": (0,)}, "inner"),
        ({"dilations": ()}, "dilations"),
        ({"axis": "space"}, "axis is time or joint, got 'space'"),
        ({"attention": "stj"}, "got 'stj'"),
        ({"velocity_weights": (1.0, 2.0)}, "got 2 for 27 joints"),
    ],
)
def test_impossible_settings_of_an_impsgn_are_refused(options, says):
    with pytest.raises(ValueError, match=says):
        made("impsgn", **options)
