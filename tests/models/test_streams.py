import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from landmarks import HAND_21, LAYOUTS, SIGN_27
from landmarks.layout import Layout, numbered
from models.streams import STREAMS, AliasedBones, Bones, Motion, Stream

FRAMES = 5
every_stream = pytest.mark.parametrize("name", STREAMS)
CHAIN = Layout("chain", ("a", "b", "c", "d"), (("b", "a"), ("c", "b"), ("d", "c")))


def clip(layout, seed=0, share=0.0, axes=2):
    """(2, axes + 1, T, V) positions and a last channel that is 1 where seen; 0 throughout where not."""
    random = np.random.default_rng(seed)
    seen = random.random((2, 1, FRAMES, len(layout))) >= share
    places = random.normal(0, 1, (2, axes, FRAMES, len(layout))) * seen
    return torch.from_numpy(np.concatenate([places, seen], axis=1).astype(np.float32))


@pytest.mark.parametrize("layout", [x for x in LAYOUTS.values() if x.bones], ids=lambda layout: layout.name)
def test_bones_from_a_joint_to_where_no_parent_is_add_up_to_its_place(layout):
    x = clip(layout)
    bones = Bones(layout)
    reached = bones(x)[:, :2]
    joints, places = torch.arange(len(layout)), torch.zeros_like(reached)
    for _ in range(len(layout)):  # no way up is longer
        places = places + reached.index_select(3, joints)
        joints = bones.parents[joints]
    assert torch.equal(bones.parents[joints], joints), "every way up ends"
    torch.testing.assert_close(places, x[:, :2] - x[:, :2].index_select(3, joints), atol=1e-5, rtol=0)


def test_of_several_parents_the_first_in_the_layout_counts():
    shoulder, nose = SIGN_27.indices("left_shoulder", "nose").tolist()
    assert ("left_shoulder", "right_shoulder") in SIGN_27.bones
    assert Bones(SIGN_27).parents[shoulder] == nose
    other = Bones(SIGN_27, [("left_shoulder", "right_shoulder"), ("left_shoulder", "nose")])
    assert other.parents[shoulder] == SIGN_27.indices("right_shoulder")[0]
    assert other.parents[nose] == nose


@settings(max_examples=30, deadline=None)
@given(share=st.floats(0, 1), seed=st.integers(0, 1000), name=st.sampled_from(STREAMS[1:]))
def test_what_has_an_unseen_end_is_zero_and_what_has_none_is_not(share, seed, name):
    x = clip(HAND_21, seed, share)
    out, seen = Stream(HAND_21, name)(x), x[:, 2:] > 0
    ends = seen
    if name.startswith("bone"):
        ends = ends & ends[..., Bones(HAND_21).parents]
    if name.endswith("motion"):
        ends = torch.cat([ends[:, :, 1:] & ends[:, :, :-1], torch.zeros_like(ends[:, :, :1])], dim=2)
    assert torch.equal(out[:, 2:], ends.float())
    assert out.masked_select(~ends).abs().sum() == 0
    roots = Bones(HAND_21).parents == torch.arange(21)
    moves = ends[..., ~roots] if name.startswith("bone") else ends
    assert (out[:, :1][..., ~roots] if name.startswith("bone") else out[:, :1]).ne(0).equal(moves)


@settings(max_examples=20, deadline=None)
@given(dx=st.floats(-5, 5), dy=st.floats(-5, 5), seed=st.integers(0, 100), name=st.sampled_from(STREAMS[1:]))
def test_where_the_body_stands_is_in_the_joint_stream_alone(dx, dy, seed, name):
    x = clip(SIGN_27, seed)
    moved = x + torch.tensor([dx, dy, 0.0])[:, None, None]
    torch.testing.assert_close(Stream(SIGN_27, name)(moved), Stream(SIGN_27, name)(x), atol=1e-5, rtol=0)
    assert torch.equal(Stream(SIGN_27, "joint")(moved), moved)


@settings(max_examples=20, deadline=None)
@given(share=st.floats(0, 1), seed=st.integers(0, 100), score=st.sampled_from(["seen", "mean", "difference"]))
def test_the_motion_of_bones_is_the_bones_of_motion(share, seed, score):
    x = clip(HAND_21, seed, share)
    bones, motion = Bones(HAND_21, score=score), Motion(score)
    torch.testing.assert_close(motion(bones(x)), bones(motion(x)), atol=1e-6, rtol=0)
    assert torch.equal(Stream(HAND_21, "bone-motion", score=score)(x), motion(bones(x)))


def test_motion_is_from_each_frame_to_the_next_and_nothing_in_the_last():
    places = torch.tensor([0.0, 1.0, 3.0, 6.0]).reshape(1, 1, 4, 1)
    x = torch.cat([places, torch.ones_like(places)], dim=1)
    assert Motion()(x).flatten().tolist() == [1, 2, 3, 0, 1, 1, 1, 0]
    assert Motion("difference")(x)[0, 1].flatten().tolist() == [0, 0, 0, 0]
    assert Motion()(x[:, :, :1]).flatten().tolist() == [0, 0], "one frame moves nowhere"


def test_a_score_is_the_mean_of_both_ends():
    x = torch.tensor([[5.0, 1.0, 2.0, 0.0], [0.5, 1.0, 0.0, 0.2]]).reshape(1, 2, 1, 4)
    said = Bones(CHAIN, score="mean")(x).reshape(2, 4)
    torch.testing.assert_close(said, torch.tensor([[0.0, -4, 1, -2], [0.5, 0.75, 0.5, 0.1]]))


def in_place(x, layout, bones):
    """The published loop: a joint that is a parent later is a bone by then."""
    buffer = x.double().numpy().copy()
    for child, parent in bones:
        here, above = layout.indices(child, parent)
        buffer[..., here] = buffer[..., here] - buffer[..., above]
    return torch.from_numpy(buffer).float()


@pytest.mark.parametrize("layout", [x for x in LAYOUTS.values() if x.bones], ids=lambda layout: layout.name)
def test_aliased_bones_are_a_loop_in_place(layout):
    x = clip(layout)
    torch.testing.assert_close(AliasedBones(layout)(x), in_place(x, layout, layout.bones), atol=1e-5, rtol=0)
    upward = layout.bones[::-1]
    torch.testing.assert_close(AliasedBones(layout, upward)(x), in_place(x, layout, upward), atol=1e-5, rtol=0)


def test_aliased_bones_are_true_ones_where_children_come_before_their_parents():
    x = clip(CHAIN)
    true = Bones(CHAIN, score="difference")(x)
    torch.testing.assert_close(AliasedBones(CHAIN, CHAIN.bones[::-1])(x)[..., 1:], true[..., 1:])
    downward = AliasedBones(CHAIN)(x)
    torch.testing.assert_close(downward[..., 1], true[..., 1])
    torch.testing.assert_close(downward[..., 2], x[..., 2] - (x[..., 1] - x[..., 0]))
    assert torch.equal(downward[..., 0], x[..., 0]), "the first joint stays a position"


@every_stream
@settings(max_examples=10, deadline=None)
@given(share=st.floats(0, 1), seed=st.integers(0, 100), score=st.sampled_from(["seen", "mean", "difference"]))
def test_no_stream_has_weights_and_all_keep_the_shape(name, share, seed, score):
    stream, x = Stream(HAND_21, name, score=score), clip(HAND_21, seed, share, axes=3)
    assert not stream.state_dict()
    assert stream(x).shape == x.shape
    assert torch.isfinite(stream(x)).all()


def test_impossible_streams_are_refused():
    with pytest.raises(ValueError, match=r"no stream 'bones'; choose from joint, bone, joint-motion, bone-motion"):
        Stream(SIGN_27, "bones")
    with pytest.raises(ValueError, match="score is seen, mean or difference"):
        Stream(SIGN_27, "bone", score="sum")
    with pytest.raises(ValueError, match="aliased bones subtract the score too"):
        Stream(SIGN_27, "bone", aliased=True)
    with pytest.raises(ValueError, match="has no bones"):
        Stream(numbered(5), "bone-motion")
    assert len(Stream(numbered(5), "joint-motion")) == 1, "the others need none"
