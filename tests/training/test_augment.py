import hashlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landmarks import HAND_21, HOLISTIC_75, NTU_25, SHREC_20, SIGN_27, LandmarkSequence
from training.augment import Augment, clip_window, mirror, resample, retime, track, view
from training.idle import IDLE

SIDES = ("left", "right")


def clip(frames=12, seed=0):
    random = np.random.default_rng(seed)
    xyz = random.uniform(0, 1, (1, 27, 3)) + random.normal(0, 0.02, (frames, 27, 3))
    return xyz.astype(np.float32)


def same(one, other):
    np.testing.assert_allclose(one, other, atol=1e-5)


@given(seed=st.integers(0, 1000), missing=st.floats(0, 0.9))
def test_a_mirror_of_a_mirror_is_the_clip(seed, missing):
    xyz = clip(seed=seed)
    xyz[np.random.default_rng(seed).random(xyz.shape[:2]) < missing] = np.nan
    same(mirror(mirror(xyz, SIGN_27), SIGN_27), xyz)


def test_a_mirror_swaps_hands_and_is_that_of_a_sequence():
    xyz = clip()
    left = SIGN_27.indices("left_hand_wrist")
    xyz[:, left] = np.nan
    flipped = mirror(xyz, SIGN_27)
    assert np.isnan(flipped[:, SIGN_27.indices("right_hand_wrist")]).all()
    assert np.isfinite(flipped[:, left]).all()
    same(flipped, LandmarkSequence.of(SIGN_27, xyz, fps=15).mirror().xyz)


@settings(deadline=None)
@given(fps=st.sampled_from([7.3, 9.7, 11.3, 17.1, 23.9]), seed=st.integers(0, 100))
def test_resampling_is_what_a_live_stream_gets(fps, seed):
    xyz = clip(seed=seed)
    xyz[4:6, 7:17] = np.nan
    live = LandmarkSequence.of(SIGN_27, xyz, fps=15).resample(fps).xyz
    np.testing.assert_allclose(resample(xyz, np.arange(len(live)) * 15 / fps), live, atol=1e-4)


@given(seed=st.integers(0, 200))
def test_retimed_clips_keep_their_ends_and_change_length_within_the_rates(seed):
    xyz = clip(frames=21)
    slow = retime(xyz, Augment(rate_low=0.5, rate_high=0.5), np.random.default_rng(seed))
    assert len(slow) == 41
    same(slow[[0, -1]], xyz[[0, -1]])


@settings(deadline=None)
@given(seed=st.integers(0, 200))
def test_augmentation_leaves_its_input_alone_and_makes_nothing_up(seed):
    xyz = clip()
    xyz[:, 7:17] = np.nan
    before = xyz.copy()
    random = np.random.default_rng(seed)
    seen = track(view(xyz, SIGN_27, Augment(mirror=0.0), random), SIGN_27, Augment(), random)
    np.testing.assert_array_equal(xyz, before)
    assert seen.dtype == np.float32
    assert np.isnan(seen[:, 7:17]).all()


OFF = Augment(0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def test_no_augmentation_changes_nothing():
    off = OFF
    xyz, random = clip(), np.random.default_rng(0)
    same(track(view(retime(xyz, off, random), SIGN_27, off, random), SIGN_27, off, random), xyz)


def test_late_and_ended_lose_first_and_last_frames():
    xyz = clip()
    late = track(
        xyz, SIGN_27, Augment(lose_hand=0, lose_pose=0, lose_frame=0, late=1, ended=0), np.random.default_rng(0)
    )
    ended = track(
        xyz, SIGN_27, Augment(lose_hand=0, lose_pose=0, lose_frame=0, late=0, ended=1), np.random.default_rng(0)
    )
    assert np.isnan(late[0]).all()
    assert np.isfinite(late[-1]).all()
    assert np.isfinite(ended[0]).all()
    assert np.isnan(ended[-1]).all()


def test_a_window_before_enough_frames_came_starts_with_nothing():
    xyz = clip(frames=5)
    window = clip_window(xyz, end=2, frames=8)
    assert np.isnan(window[:5]).all()
    np.testing.assert_array_equal(window[5:], xyz[:3])


@pytest.mark.parametrize("kind", sorted(IDLE))
def test_idle_windows_have_the_shape_and_leave_their_source_alone(kind):
    xyz = clip()
    xyz[:3, 7:17] = np.nan
    before = xyz.copy()
    for seed in range(20):
        window = IDLE[kind](xyz, 16, SIGN_27, np.random.default_rng(seed))
        assert window.shape == (16, 27, 3)
        assert window.dtype == np.float32
    np.testing.assert_array_equal(xyz, before)


def test_impossible_augmentation_is_refused():
    with pytest.raises(ValueError, match="rate_low"):
        Augment(rate_low=2.0, rate_high=1.0)
    with pytest.raises(ValueError, match="chances"):
        Augment(mirror=1.5)
    with pytest.raises(ValueError, match="rest_hand"):
        Augment(rest_hand=-0.1)
    with pytest.raises(ValueError, match="proportions"):
        Augment(proportions=-0.1)


def test_draws_of_recipes_from_before_the_newer_options_stay_to_the_bit():
    # Lengths, what is lost and where the generator stands; the last digits of coordinates differ between platforms.
    seen = hashlib.sha256()
    for seed in range(10):
        random = np.random.default_rng(seed)
        augment = Augment(mirror=0.5)
        xyz = track(view(retime(clip(17, seed), augment, random), SIGN_27, augment, random), SIGN_27, augment, random)
        seen.update(f"{xyz.shape} {np.isnan(xyz).sum()} {random.integers(1 << 40)}".encode())
    assert seen.hexdigest() == "dff7cd630bcba77bdf368c1c8f8760992c34a4c6a6b2f1fdd13ce4bcf23c6028"


NEWER = {"nod_deg": 20.0, "perspective": 0.2, "warp": 0.5, "lose_joint": 0.3, "drop_hand": 0.5, "drop_frame": 0.5}
NEWER["proportions"] = 0.3


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), missing=st.floats(0, 1), layout=st.sampled_from([SIGN_27, NTU_25, HAND_21, SHREC_20]))
def test_newer_options_take_any_layout_leave_their_input_alone_and_make_nothing_up(seed, missing, layout):
    random = np.random.default_rng(seed)
    xyz = random.uniform(0, 1, (9, len(layout), 3)).astype(np.float32)
    unseen = random.random(xyz.shape[:2]) < missing
    xyz[unseen] = np.nan
    before, augment = xyz.copy(), Augment(**NEWER)
    seen = track(view(xyz, layout, augment, random), layout, augment, random)
    np.testing.assert_array_equal(xyz, before)
    assert seen.dtype == np.float32
    assert np.isnan(seen[unseen]).all()
    assert not np.isinf(seen).any()
    assert (np.isnan(seen).all(axis=-1) == np.isnan(seen).any(axis=-1)).all()


@pytest.mark.parametrize("option", NEWER)
def test_each_newer_option_does_something(option):
    augment, random = replace(OFF, **{option: NEWER[option]}), np.random.default_rng(1)
    xyz = clip()
    seen = track(view(retime(xyz, augment, random), SIGN_27, augment, random), SIGN_27, augment, random)
    assert not np.array_equal(seen, xyz)


@settings(deadline=None)
@given(seed=st.integers(0, 200))
def test_a_nod_keeps_distances_in_space(seed):
    # Without wrists: a hand's depth counts from its own.
    xyz = clip(seed=seed)[:, :5]
    layout = NTU_25
    body = np.zeros((len(xyz), len(layout), 3), np.float32)
    body[:, :4] = xyz[:, :4]
    seen = view(body, layout, replace(OFF, nod_deg=30.0), np.random.default_rng(seed))[:, :4]

    def lengths(points):
        return np.linalg.norm(np.diff(points, axis=1), axis=-1)

    same(lengths(seen), lengths(body[:, :4]))


@settings(deadline=None)
@given(seed=st.integers(0, 200))
def test_perspective_keeps_straight_lines_and_the_middle(seed):
    random = np.random.default_rng(seed)
    xyz = clip(frames=1, seed=seed)
    one, other = xyz[0, 0].copy(), xyz[0, 1].copy()
    xyz[0, 2] = 0.3 * one + 0.7 * other
    seen = view(xyz, SIGN_27, replace(OFF, perspective=0.2), random)
    a, b, c = seen[0, :3, :2].astype(np.float64)
    across = (b - a)[0] * (c - a)[1] - (b - a)[1] * (c - a)[0]
    assert abs(across) < 1e-4
    middle = xyz.mean(axis=1, keepdims=True)
    alone = np.concatenate([xyz, middle.repeat(27, axis=1)])  # a frame in which all are in the middle
    moved = view(alone, SIGN_27, replace(OFF, perspective=0.2), np.random.default_rng(seed))
    same(moved[1], alone[1])


@given(seed=st.integers(0, 200), warp=st.floats(0.01, 3))
def test_a_warp_keeps_the_ends_the_length_and_the_order(seed, warp):
    xyz = np.arange(30, dtype=np.float32)[:, None, None].repeat(27, 1).repeat(3, 2)
    seen = retime(xyz, replace(OFF, warp=warp), np.random.default_rng(seed))
    assert len(seen) == len(xyz)
    same(seen[[0, -1]], xyz[[0, -1]])
    steps = np.diff(seen[:, 0, 0])
    assert (steps > 0).all()
    assert steps.max() <= (1 + warp) ** 2 + 1e-4


def test_dropped_hands_and_frames_are_dropped_whole():
    xyz = clip(frames=40)
    hands = np.array([j.startswith(("left_hand_", "right_hand_")) for j in SIGN_27.joints])
    handless = track(xyz, SIGN_27, replace(OFF, drop_hand=1.0), np.random.default_rng(0))
    assert np.isnan(handless[:, hands]).all()
    assert np.isfinite(handless[:, ~hands]).all()
    fewer = track(xyz, SIGN_27, replace(OFF, drop_frame=0.9), np.random.default_rng(0))
    gone = np.isnan(fewer).all(axis=(1, 2))
    assert 0 < gone.sum() < 40
    assert np.isfinite(fewer[~gone]).all()


def test_lost_joints_are_lost_for_a_stretch():
    seen = track(clip(frames=40), SIGN_27, replace(OFF, lose_joint=0.5), np.random.default_rng(0))
    changes = np.abs(np.diff(np.isnan(seen[..., 0]).astype(int), axis=0)).sum(axis=0)
    assert (changes <= 2).all()
    assert 0 < np.isnan(seen).any(axis=(0, 2)).sum() < 27


@pytest.mark.parametrize("impossible", [{"drop_hand": 1.1}, {"lose_joint": -0.1}, {"perspective": 1.0}, {"warp": -1.0}])
def test_impossible_newer_options_are_refused(impossible):
    with pytest.raises(ValueError, match=next(iter(impossible))):
        Augment(**impossible)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("layout", [SIGN_27, HOLISTIC_75], ids=lambda layout: layout.name)
def test_a_resting_hand_hangs_from_the_wrist_of_the_side_that_is_not_seen(side, layout):
    hand = np.array([joint.startswith(f"{side}_hand_") for joint in layout.joints])
    wrist, root, knuckle = layout.indices(f"{side}_wrist", f"{side}_hand_wrist", f"{side}_hand_middle_mcp")
    whole, down = 0, 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        xyz = random.uniform(0, 1, (6, len(layout), 3)).astype(np.float32)
        xyz[:, hand] = np.nan
        xyz[2, wrist] = np.nan
        before = xyz.copy()
        seen = view(xyz, layout, replace(OFF, rest_hand=1.0), random)
        np.testing.assert_array_equal(xyz, before)
        same(seen[:, ~hand], xyz[:, ~hand])
        there = np.isfinite(seen[:, hand]).all(axis=(1, 2))  # (T,)
        assert not there[2], "without a wrist there is nowhere to hang from"
        whole += there.sum() == 5
        same(seen[there][:, root, :2], xyz[there][:, wrist, :2])
        down += (seen[there][:, knuckle, 1] >= seen[there][:, root, 1]).all()
        shapes = np.linalg.norm(seen[there][:, hand] - seen[there][:, root, None], axis=-1)  # (<=5, H)
        twin = layout.mirror[hand]
        others = np.linalg.norm(xyz[:, twin] - xyz[:, layout.mirror[root], None], axis=-1)  # (T, H)
        assert all(np.abs(others - shape).max(axis=1).min() < 1e-4 for shape in shapes), "of a size that the other has"
    assert 60 < whole < 90, "now and then it is lost for a stretch"
    assert down > 95


@pytest.mark.parametrize("unseen", [[], ["left", "right"]])
def test_no_hand_is_made_up_where_both_or_none_are_seen(unseen):
    xyz = clip()
    for side in unseen:
        xyz[:, [joint.startswith(f"{side}_hand_") for joint in SIGN_27.joints]] = np.nan
    same(view(xyz, SIGN_27, replace(OFF, rest_hand=1.0), np.random.default_rng(0)), xyz)


@settings(deadline=None)
@given(seed=st.integers(0, 200))
def test_other_proportions_are_those_of_one_body_and_no_larger_than_asked(seed):
    xyz = clip(seed=seed)
    seen = view(xyz, SIGN_27, replace(OFF, proportions=0.25), np.random.default_rng(seed))

    def lengths(points):
        limbs = [("nose", "shoulder"), ("shoulder", "elbow"), ("elbow", "wrist"), ("hand_wrist", "hand_index_mcp")]
        ends = [
            [(one if one == "nose" else f"{side}_{one}", f"{side}_{other}") for one, other in limbs] for side in SIDES
        ]
        at = np.array([[SIGN_27.indices(*pair) for pair in pairs] for pairs in ends])  # (2, L, 2)
        return np.linalg.norm(points[:, at[..., 0]] - points[:, at[..., 1]], axis=-1)  # (T, 2, L)

    grown = lengths(seen) / lengths(xyz)
    np.testing.assert_allclose(grown, np.broadcast_to(grown[:1, :1], grown.shape), rtol=1e-3)
    assert ((grown > 0.799) & (grown < 1.251)).all()
    assert np.ptp(grown[0, 0]) > 0
