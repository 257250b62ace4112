import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landmarks import SIGN_27, LandmarkSequence
from training.augment import Augment, clip_window, mirror, resample, retime, track, view
from training.idle import IDLE


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


def test_no_augmentation_changes_nothing():
    off = Augment(0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
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
