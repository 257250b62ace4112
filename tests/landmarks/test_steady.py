"""Landmarks made steady: held hands, smoothed trembling, on the stream's own irregular clock."""

import json

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landmarks import HAND_21, HOLISTIC_75, SIGN_27, TimeError, holistic
from landmarks.smoothing import OneEuro
from landmarks.steady import Steady, Steadying
from landmarks.torso import Torso
from training.datasets.holistic import sequence

LEFT, RIGHT = holistic.PARTS["left_hand"], holistic.PARTS["right_hand"]
WRIST = HOLISTIC_75.indices("left_wrist")[0]
ASPECT = 4 / 3
HOWS = [Steadying(hold_s=0.15), Steadying(cutoff_hz=1.0, beta=0.5), Steadying(cutoff_hz=0.7, beta=2.0, hold_s=0.3)]


def standing(frames, seed=0):
    """(T, 75, 3) somebody 0.3 high across the shoulders who trembles."""
    random = np.random.default_rng(seed)
    xyz = np.repeat(random.uniform(0.3, 0.6, (1, 75, 3)), frames, axis=0)
    left, right = HOLISTIC_75.indices("left_shoulder", "right_shoulder")
    xyz[:, left], xyz[:, right] = (0.6, 0.4, 0.0), (0.6 - 0.3 / ASPECT, 0.4, 0.0)
    return (xyz + random.normal(0, 0.003, xyz.shape)).astype(np.float32)


def one_by_one(steady, at_s, xyz):
    return np.concatenate([steady.push([now_s], frame[None], ASPECT) for now_s, frame in zip(at_s, xyz, strict=True)])


streams = st.tuples(
    st.integers(0, 2**16),
    st.lists(st.sampled_from([0.02, 0.033, 0.0667, 0.1, 0.2, 0.7]), min_size=1, max_size=30),
    st.floats(0, 0.6),
)


def made(seed, steps, lost):
    """Times and frames, of which each part is lost so often."""
    at_s, xyz, random = np.cumsum(steps).tolist(), standing(len(steps), seed), np.random.default_rng(seed)
    for part in holistic.PARTS.values():
        xyz[random.random(len(xyz)) < lost, part] = np.nan
    return at_s, xyz


@given(streams, st.sampled_from(HOWS))
@settings(max_examples=40, deadline=None)
def test_frame_by_frame_is_the_whole_clip_at_once_to_the_bit(stream, how):
    at_s, xyz = made(*stream)
    given_ = xyz.copy()
    whole = Steady(how).push(at_s, xyz, ASPECT)
    np.testing.assert_array_equal(one_by_one(Steady(how), at_s, xyz), whole)
    np.testing.assert_array_equal(xyz, given_)
    assert whole.dtype == np.float32


@given(streams, st.sampled_from(HOWS), st.integers(0, 30), st.sampled_from([orjson, json]))
@settings(max_examples=40, deadline=None)
def test_a_snapshot_goes_on_elsewhere_to_the_bit(stream, how, after, writer):
    at_s, xyz = made(*stream)
    unbroken, before, later = Steady(how), Steady(how), Steady(how)
    want = one_by_one(unbroken, at_s, xyz) if len(at_s) else xyz
    if after:
        before.push(at_s[:after], xyz[:after], ASPECT)
    later.restore(writer.loads(writer.dumps(before.snapshot())))
    if after < len(at_s):
        np.testing.assert_array_equal(one_by_one(later, at_s[after:], xyz[after:]), want[after:])
    whole = Steady(how)
    whole.push(at_s, xyz, ASPECT)
    assert repr(whole.snapshot()) == repr((later if after < len(at_s) else before).snapshot())


@given(streams)
@settings(max_examples=20, deadline=None)
def test_nothing_asked_changes_nothing(stream):
    at_s, xyz = made(*stream)
    assert not Steadying()
    np.testing.assert_array_equal(Steady(Steadying()).push(at_s, xyz, ASPECT), xyz)


def test_a_lost_hand_stays_at_its_wrist_for_so_long_and_no_longer():
    at_s, xyz = [0.0, 0.1, 0.2, 0.3, 0.4], standing(5)
    xyz[1:, LEFT] = np.nan
    xyz[:, WRIST, :2] = np.linspace((0.2, 0.3), (0.4, 0.8), 5)
    held = Steady(Steadying(hold_s=0.2)).push(at_s, xyz, ASPECT)
    assert np.isfinite(held[:, LEFT, 0]).all(axis=1).tolist() == [True, True, True, False, False]
    np.testing.assert_allclose(held[2, LEFT, :2] - xyz[2, WRIST, :2], xyz[0, LEFT, :2] - xyz[0, WRIST, :2], atol=1e-6)
    np.testing.assert_array_equal(held[2, LEFT, 2], xyz[0, LEFT, 2])
    untouched = np.ones(75, bool)
    untouched[LEFT] = False
    np.testing.assert_array_equal(held[:, untouched], xyz[:, untouched])


def test_a_held_hand_is_nearer_to_the_truth_than_one_that_stays_put(data):
    with np.load(data / "signs" / "words-asl.npz") as words:
        takes = [sequence(take, ASPECT).xyz for take in words["xyz"][::10]]
    held, put = [], []
    for xyz in takes:
        for first in range(0, 14, 4):  # seen, then lost for three frames
            lost = xyz[first : first + 4].copy()
            lost[1:, RIGHT] = np.nan
            found = Steady(Steadying(hold_s=0.2)).push((np.arange(4) / 15).tolist(), lost, ASPECT)
            held.append(np.linalg.norm(found[1:, RIGHT, :2] - xyz[first + 1 : first + 4, RIGHT, :2], axis=-1).mean())
            put.append(np.linalg.norm(xyz[first, RIGHT, :2] - xyz[first + 1 : first + 4, RIGHT, :2], axis=-1).mean())
    assert np.isfinite(held).sum() > 50
    assert np.nanmean(held) < 0.8 * np.nanmean(put)


def test_a_hand_that_never_had_a_wrist_stays_where_it_was():
    xyz = standing(2)
    xyz[:, holistic.PARTS["pose"]] = np.nan
    xyz[1, RIGHT] = np.nan
    held = Steady(Steadying(hold_s=0.2)).push([0.0, 0.1], xyz, ASPECT)
    np.testing.assert_array_equal(held[1, RIGHT], xyz[0, RIGHT])
    alone = Steady(Steadying(hold_s=0.2), HAND_21).push([0.0, 0.1], xyz[:, RIGHT], ASPECT)
    np.testing.assert_array_equal(alone[1], xyz[0, RIGHT])


def test_a_hand_goes_with_the_body_that_it_was_on():
    xyz = standing(2)
    xyz[1] = np.nan
    assert np.isnan(Steady(Steadying(hold_s=0.2)).push([0.0, 0.1], xyz, ASPECT)[1]).all()


def test_a_long_gap_begins_afresh():
    xyz = standing(2)
    xyz[1, RIGHT] = np.nan
    held = Steady(Steadying(cutoff_hz=0.1, hold_s=9.0), max_gap_s=0.5).push([0.0, 0.6], xyz, ASPECT)
    np.testing.assert_array_equal(held, xyz)


def test_after_a_reset_nothing_is_left_of_what_was_before():
    xyz, steady = standing(4), Steady(HOWS[2])
    steady.push([7.0, 7.1], xyz[:2], ASPECT)
    steady.reset()
    np.testing.assert_array_equal(
        steady.push([0.0, 0.1], xyz[2:], ASPECT), Steady(HOWS[2]).push([0.0, 0.1], xyz[2:], ASPECT)
    )


def test_hands_of_other_layouts_are_held_too():
    joints = HOLISTIC_75.indices(*SIGN_27.joints)
    xyz = standing(2)
    xyz[1, LEFT] = np.nan
    want = Steady(Steadying(hold_s=0.2)).push([0.0, 0.1], xyz, ASPECT)[:, joints]
    np.testing.assert_array_equal(Steady(Steadying(hold_s=0.2), SIGN_27).push([0.0, 0.1], xyz[:, joints], ASPECT), want)


def test_trembling_gets_less_and_a_fast_hand_is_followed():
    at_s, xyz = (np.arange(60) / 30).tolist(), standing(60)
    calm = Steady(Steadying(cutoff_hz=1.0, beta=0.5)).push(at_s, xyz, ASPECT)
    assert np.diff(calm[20:], axis=0).std() < 0.4 * np.diff(xyz[20:], axis=0).std()
    xyz[:, LEFT, 0] += np.linspace(0, 6, 60)[:, None].astype(np.float32)
    followed = Steady(Steadying(cutoff_hz=1.0, beta=0.5)).push(at_s, xyz, ASPECT)
    assert np.abs(followed[-1, LEFT, 0] - xyz[-1, LEFT, 0]).max() < 6 / 59  # less than a frame behind


@given(st.floats(0.05, 3), st.floats(0.5, 2))
@settings(max_examples=20, deadline=None)
def test_neither_the_size_of_a_body_nor_the_shape_of_the_picture_matters(size, aspect):
    at_s, xyz = (np.arange(12) / 15).tolist(), standing(12).astype(np.float64)
    how = Steadying(cutoff_hz=1.0, beta=2.0)
    want = Steady(how).push(at_s, xyz.astype(np.float32), ASPECT)
    turn = size * np.array([ASPECT / aspect, 1.0, ASPECT / aspect])
    found = Steady(how).push(at_s, (xyz * turn).astype(np.float32), aspect)
    np.testing.assert_allclose(found, want * turn, rtol=2e-4, atol=2e-5)


def test_an_unseen_joint_resets_its_filter_and_no_other():
    at_s, xyz = (np.arange(6) / 15).tolist(), standing(6)
    lost = xyz.copy()
    lost[3, LEFT] = np.nan
    how = Steadying(cutoff_hz=0.2, beta=0.1)
    steadied, unbroken = Steady(how).push(at_s, lost, ASPECT), Steady(how).push(at_s, xyz, ASPECT)
    assert np.isnan(steadied[3, LEFT]).all()
    np.testing.assert_array_equal(steadied[4, LEFT], xyz[4, LEFT])
    np.testing.assert_array_equal(steadied[:, RIGHT], unbroken[:, RIGHT])


@pytest.mark.parametrize("wrong", [0.1, 0.05, float("nan")])
def test_time_that_does_not_grow_is_refused_and_changes_nothing(wrong):
    xyz, steady, other = standing(3), Steady(HOWS[2]), Steady(HOWS[2])
    for one in (steady, other):
        one.push([0.0, 0.1], xyz[:2], ASPECT)
    with pytest.raises(TimeError):
        steady.push([0.2, wrong], xyz[1:], ASPECT)
    np.testing.assert_array_equal(steady.push([0.2], xyz[2:], ASPECT), other.push([0.2], xyz[2:], ASPECT))


@pytest.mark.parametrize("wrong", [{"cutoff_hz": -1}, {"hold_s": float("nan")}, {"beta": 1.0}, {"hold_s": -0.1}])
def test_impossible_settings_are_refused_with_their_numbers(wrong):
    with pytest.raises(ValueError, match=str(next(iter(wrong.values())))):
        Steadying(**wrong)


@given(st.lists(st.floats(0.005, 0.5), min_size=2, max_size=12), st.floats(0.1, 3), st.floats(0, 5), st.floats(0.1, 9))
def test_the_filter_is_the_papers_at_any_rate(steps, cutoff, beta, unit):
    """Casiez et al. 2012, algorithm 1, written out for one number."""

    def alpha(hz, step_s):
        return 1 / (1 + 1 / (2 * np.pi * hz) / step_s)

    smooth, values = OneEuro(cutoff, beta), np.random.default_rng(0).normal(size=len(steps))
    speed = value = raw = None
    for step_s, x in zip(steps, values, strict=True):
        change = 0.0 if raw is None else (x - raw) / unit / step_s
        speed = change if speed is None else alpha(1.0, step_s) * change + (1 - alpha(1.0, step_s)) * speed
        share = alpha(cutoff + beta * abs(speed), step_s)
        value = x if value is None else share * x + (1 - share) * value
        raw = x
        assert smooth.push(np.array([x]), unit, step_s)[0] == pytest.approx(value, rel=1e-9, abs=1e-12)


def test_a_bodys_size_is_its_shoulders_or_its_trunk_or_its_hand():
    torso, xyz = Torso(HOLISTIC_75), np.full((4, 75, 3), np.nan)
    places = {
        "left_shoulder": (0.6, 0.2),
        "right_shoulder": (0.4, 0.2),
        "left_hip": (0.6, 0.96),
        "right_hip": (0.4, 0.96),
    }
    for joint, place in places.items():
        xyz[:3, HOLISTIC_75.indices(joint)[0], :2] = place
    xyz[1, HOLISTIC_75.indices("left_shoulder", "right_shoulder"), 0] = 0.5  # sideways
    xyz[2, HOLISTIC_75.indices("left_hip", "right_hip")] = np.nan
    assert torso.size(xyz) == pytest.approx([0.4, 0.4, 0.2, np.nan], nan_ok=True)
    hand = np.zeros((21, 3))
    hand[HAND_21.indices("middle_mcp")[0], 1] = 0.056
    assert Torso(HAND_21).size(hand) == pytest.approx(0.2)
    xyz[3, LEFT] = hand
    assert torso.size(xyz[3]) == pytest.approx(0.2)
