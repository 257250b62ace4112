import numpy as np
import pytest

from landmarks import HAND_21, HOLISTIC_75, SIGN_27, LandmarkSequence, NoFrames, TimeError, UnknownJoint
from tests.fakes import signer


def test_mirroring_twice_gives_the_sequence_back():
    clip = signer([True, False, True])
    np.testing.assert_allclose(clip.mirror().mirror().xyz, clip.xyz, atol=1e-6)
    right = HOLISTIC_75.indices("right_hand_wrist")
    left = HOLISTIC_75.indices("left_hand_wrist")
    np.testing.assert_allclose(clip.mirror().xyz[0, left, 0], 1 - clip.xyz[0, right, 0])


def test_picking_joints_goes_by_name():
    clip = signer([True])
    picked = clip.pick(SIGN_27)
    for joint in SIGN_27.joints:
        np.testing.assert_array_equal(picked.xyz[:, SIGN_27.indices(joint)], clip.xyz[:, HOLISTIC_75.indices(joint)])
    with pytest.raises(UnknownJoint):
        clip.pick(HAND_21)


def test_squaring_makes_a_circle_round_and_is_done_once():
    clip = signer([True])
    square = clip.square()
    np.testing.assert_allclose(square.xyz[..., 0], clip.xyz[..., 0] * 4 / 3, rtol=1e-6)
    np.testing.assert_allclose(square.xyz[..., 1], clip.xyz[..., 1])
    np.testing.assert_array_equal(square.square().xyz, square.xyz)


def test_resampling_twice_as_fast_a_stream_takes_every_second_frame():
    clip = signer([True] * 21, fps=30)
    half = clip.resample(15)
    np.testing.assert_allclose(half.xyz, clip.xyz[::2], atol=1e-5)
    np.testing.assert_allclose(half.at_s, clip.at_s[::2])
    assert half.fps == pytest.approx(15)


def test_a_time_span_is_half_open():
    clip = signer([True] * 10, fps=10)
    assert len(clip.between(0.2, 0.5)) == 3
    assert clip.between(0.2, 0.5).duration_s == pytest.approx(0.2)


def test_what_is_not_finite_was_not_seen():
    xyz = np.zeros((1, 21, 2))
    xyz[0, 3, 1] = np.inf
    clip = LandmarkSequence.of(HAND_21, xyz, fps=30)
    assert clip.seen.sum() == 20
    assert clip.confidence[0, 3] == 0
    assert np.isnan(clip.xyz[0, 3]).all()


def test_times_must_grow_and_shapes_must_fit():
    with pytest.raises(TimeError):
        LandmarkSequence.of(HAND_21, np.zeros((2, 21, 3)), at_s=np.array([0.0, 0.0]))
    with pytest.raises(ValueError, match=r"\(2, 21, 3\)"):
        LandmarkSequence.of(HAND_21, np.zeros((2, 20, 3)), fps=30)
    with pytest.raises(ValueError, match="fps"):
        LandmarkSequence.of(HAND_21, np.zeros((2, 21, 3)))


def test_no_frames_cannot_be_resampled():
    with pytest.raises(NoFrames):
        LandmarkSequence.of(HAND_21, np.zeros((0, 21, 3)), fps=30).resample(15)
