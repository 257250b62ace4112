import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from landmarks import HAND_21, SIGN_27
from models import build
from models.normalise import Normalise
from models.streams import STREAMS, Bones, Motion

TINY = {"labels": 3, "fps": 15.0, "widths": (6, 6, 12), "strides": (1, 1, 1)}


def made(name="stgcn", layout=SIGN_27, **options):
    torch.manual_seed(0)
    network = build(name, layout, **{**TINY, **options})
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return network.eval()


def people(persons, frames=10, batch=2, layout=SIGN_27):
    shape = (batch, persons, frames, len(layout), 3)
    return torch.from_numpy(np.random.default_rng(0).uniform(0, 1, shape).astype(np.float32))


@pytest.mark.parametrize("partition", ["uniform", "distance", "spatial", "spatial-published", "direction"])
@pytest.mark.parametrize("edges", ["fixed", "importance", "offset", "free"])
def test_every_partition_goes_with_every_kind_of_edge(partition, edges):
    network = made(partition=partition, edges=edges)
    conv = network.blocks[0].space.conv
    network.logits(people(1)[:, 0]).sum().backward()
    learned = {"fixed": [], "importance": [conv.importance], "offset": [conv.offset], "free": [conv.adjacency]}[edges]
    assert all(parameter.grad.abs().max() > 0 for parameter in learned)
    assert isinstance(conv.adjacency, torch.nn.Parameter) == (edges == "free")


def test_a_person_who_is_not_given_is_one_who_is_not_seen():
    network, alone = made(persons=2), people(1)
    nobody = torch.full_like(alone, float("nan"))
    both = torch.cat([alone, nobody], dim=1)
    torch.testing.assert_close(network(alone[:, 0]), network(both))
    torch.testing.assert_close(network(alone), network(both))


def test_persons_may_change_places_unless_their_scale_tells_them_apart():
    two = people(2)
    same = made(persons=2)
    torch.testing.assert_close(same(two), same(two.flip(1)))
    apart = made(persons=2, scale="persons")
    assert (apart(two) - apart(two.flip(1))).abs().max() > 1e-4


def test_more_people_than_it_takes_are_refused():
    with pytest.raises(ValueError, match="takes 1 persons, got 2"):
        made()(people(2))


@pytest.mark.slow
@pytest.mark.parametrize("time", ["plain", "branches"])
@settings(max_examples=12, deadline=None)
@given(strides=st.sampled_from([(1, 1, 1), (1, 2, 1), (2, 1, 2)]), frames=st.integers(60, 70))
def test_without_padding_it_says_what_the_middle_of_a_padded_clip_says(time, strides, frames):
    network = made("stgcn++" if time == "branches" else "stgcn", strides=strides)
    features = network.features(people(1, frames)[:, 0])
    padded, valid = network.embed(features), network.embed(features, padded=False)
    # A valid output's middle is `lost` frames into the clip; padded outputs stand at every `step` frames from 0.
    lost, step = 0, 1
    for block in network.blocks:
        lost += block.reach * step
        step *= block.stride
    first, rest = divmod(lost, step)
    assert rest == 0
    torch.testing.assert_close(padded[:, :, :, first : first + valid.shape[3]], valid, atol=2e-5, rtol=1e-4)


def test_a_bias_before_the_sum_weighs_by_a_joints_neighbours_and_one_after_does_not():
    before, after = made(graph_bias="before"), made(graph_bias="after")
    nothing = torch.zeros(1, before.features.channels, 4, len(SIGN_27))
    with torch.no_grad():
        assert before.blocks[0].space.conv(nothing).std(dim=3).max() > 1e-3
        assert after.blocks[0].space.conv(nothing).std(dim=3).max() < 1e-6


def test_parts_are_pooled_apart():
    assert made(pool="parts").head[1].in_features == 3 * 12
    assert made(pool="parts", layout=HAND_21).head[1].in_features == 12
    assert made(pool="mean").head[1].in_features == 12


def test_scored_inputs_say_whether_a_joint_is_seen():
    network = made(inputs="scored")
    landmarks = people(1)[:, 0]
    landmarks[0, :, 3] = float("nan")
    features = network.features(landmarks)
    assert features.shape[1] == 3
    assert features[0, 2, :, 3].max() == 0
    assert features[1, 2].min() == 1
    torch.testing.assert_close(features[1, :2], landmarks[1, ..., :2].permute(2, 0, 1))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"strides": (1,)}, "stride"),
        ({"kernel": 4}, "odd kernel"),
        ({"dropout": 1.0}, "dropout"),
        ({"head_dropout": -0.1}, "dropout"),
        ({"widths": (), "strides": ()}, "widths"),
        ({"persons": 0}, "persons"),
        ({"time": "branches", "widths": (5, 5, 5)}, "at least 6"),
        ({"dilations": (0,)}, "dilations"),
        ({"edges": "loose"}, "importance"),
        ({"pool": "max"}, "mean, parts"),
        ({"unit": "inch"}, "body, picture"),
    ],
)
def test_impossible_values_are_refused(options, named):
    with pytest.raises(ValueError, match=named):
        made(**options)


def test_streams_are_of_normalised_positions_and_what_was_seen():
    x = people(1)[:, 0]
    x[0, 3:5, 7] = float("nan")
    every = Normalise(SIGN_27, 15.0)(x)  # (B, 10, T, V)
    joint = torch.cat([every[:, :3], every[:, -1:]], dim=1)  # (B, 4, T, V)
    bone = Bones(SIGN_27)(joint)
    expected = {"joint": joint, "bone": bone, "joint-motion": Motion()(joint), "bone-motion": Motion()(bone)}
    for name in STREAMS:
        torch.testing.assert_close(made(stream=name).features(x), expected[name])


@pytest.mark.parametrize("name", ["stgcn", "stgcn++"])
def test_each_stream_says_something_else_and_no_camera_changes_it(name):
    x = people(1)[:, 0]
    said = [made(name, stream=stream).logits(x) for stream in ("", *STREAMS)]
    for i, one in enumerate(said):
        assert all((one - other).abs().max() > 1e-3 for other in said[:i])
    for stream in STREAMS:
        network = made(name, stream=stream)
        torch.testing.assert_close(network(3 * x + 0.5), network(x), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("stream", STREAMS)
def test_a_stream_of_anything_missing_is_finite_and_so_are_its_gradients(stream):
    x = people(1)[:, 0]
    x[torch.rand(x.shape[:3], generator=torch.Generator().manual_seed(0)) < 0.5] = float("nan")
    x[1] = float("nan")
    network = made(stream=stream)
    network.logits(x).sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())
    assert network(x).isfinite().all()


def test_motion_does_not_see_where_a_still_body_is():
    still = people(1)[:, 0, :1].expand(-1, 10, -1, -1)
    moved = made(stream="joint-motion").features(still)
    assert moved[:, :-1].abs().max() == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"stream": "bones"}, "bone-motion, got 'bones'"),
        ({"stream": "bone", "inputs": "given"}, "got inputs 'given'"),
        ({"stream": "bone", "axes": 2, "hand_depth": True}, "hand_depth True"),
        ({"stream": "bone", "unit": "picture"}, "unit 'picture'"),
    ],
)
def test_a_stream_that_cannot_be_is_refused(options, told):
    with pytest.raises(ValueError, match=told):
        made(**options)


def test_a_continual_network_has_no_streams():
    with pytest.raises(ValueError, match="takes all features, got the stream 'bone'"):
        build("costgcn", SIGN_27, labels=3, fps=15.0, stream="bone")
