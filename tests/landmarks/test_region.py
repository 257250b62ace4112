import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.detection import Detector
from landmarks.region import Region, angle_of, follows, hand_region, pose_region, tracked_region, whole, wrist_region
from landmarks.smoothing import FRAME_S, LowPass, OneEuro

ANGLES = st.floats(-3, 3)


def regions():
    return st.builds(Region, st.floats(-100, 800), st.floats(-100, 800), st.floats(2, 900), ANGLES)


def turned(points, angle, by=1.0, to=(0.0, 0.0)):
    cos, sin = math.cos(angle), math.sin(angle)
    return by * points @ np.array([[cos, sin], [-sin, cos]]) + to


def hand(seed=0):
    """Joints of a hand that points up."""
    random = np.random.default_rng(seed)
    fingers = [(0.1 * f - 0.2, -0.35 - 0.15 * part) for f in range(5) for part in range(4)]
    return np.array([(0.0, 0.0), *fingers]) * 100 + random.normal(0, 2, (21, 2))


@given(regions(), st.integers(0, 2**16))
def test_what_lies_in_a_region_is_placed_back_in_the_picture(region, seed):
    points = np.random.default_rng(seed).uniform(-1, 2, (5, 3))
    placed = region.place(points)
    np.testing.assert_allclose(region.share(placed[:, :2]) + 0.5, points[:, :2], atol=1e-9)
    np.testing.assert_allclose(placed[:, 2], points[:, 2] * region.side)


@pytest.mark.parametrize("angle", [0.0, 0.5, -2.0])
def test_a_crop_shows_what_stands_there_upright(angle):
    picture = np.zeros((240, 320, 3), np.uint8)
    region = Region(150, 110, 120, angle)
    spot = region.place(np.array([[0.25, 0.75]]))[0]
    cv2.circle(picture, tuple(round(v) for v in spot), 6, (255, 255, 255), -1)
    crop = region.crop(picture, 64)
    y, x = np.argwhere(crop[..., 0] > 128).mean(axis=0)
    np.testing.assert_allclose((x, y), (16, 48), atol=1)


def test_beyond_the_picture_a_crop_repeats_its_edge_or_is_black():
    picture = np.full((40, 80, 3), 200, np.uint8)
    assert whole(picture) == Region(40, 20, 80, 0.0)
    assert (whole(picture).crop(picture, 32) == 200).all()
    letterbox = whole(picture).crop(picture, 32, cv2.BORDER_CONSTANT)
    assert (letterbox[:7] == 0).all()
    assert (letterbox[9:23] == 200).all()


@given(ANGLES, st.floats(0.2, 5), st.floats(-500, 500), st.floats(-500, 500))
def test_regions_turn_grow_and_move_with_the_body(angle, by, x, y):
    def region_of(points, kind):
        return {
            "pose": lambda: pose_region(points[0], points[12]),
            "wrist": lambda: wrist_region(points[0], points[17], points[5]),
            "hand": lambda: hand_region(points[9], points[0]),
            "tracked": lambda: tracked_region(points),
        }[kind]()

    still, moved = hand(), turned(hand(), angle, by, (x, y))
    for kind in ("pose", "wrist", "hand", "tracked"):
        before, after = region_of(still, kind), region_of(moved, kind)
        centre = turned(np.array([[before.x, before.y]]), angle, by, (x, y))[0]
        np.testing.assert_allclose((after.x, after.y), centre, atol=1e-6)
        assert after.side == pytest.approx(before.side * by)
        turn = (after.angle - before.angle - angle + math.pi) % (2 * math.pi) - math.pi
        assert turn == pytest.approx(0, abs=1e-9)


def test_a_hand_that_points_up_is_not_turned_and_well_inside():
    for region in (tracked_region(hand()), wrist_region(hand()[0], hand()[17], hand()[5])):
        assert abs(region.angle) < 0.3
        assert np.abs(region.share(hand())).max() < 0.5
    assert angle_of(np.zeros(2), np.array([1.0, 0.0]), math.pi / 2) == pytest.approx(math.pi / 2)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, True),
        ({"angle": math.radians(39)}, True),
        ({"angle": math.radians(41)}, False),
        ({"angle": math.radians(-381)}, True),
        ({"side": 135}, True),
        ({"side": 145}, False),
        ({"side": 55}, False),
        ({"x": 19}, True),
        ({"y": -21}, False),
    ],
)
def test_a_hand_is_followed_until_the_pose_tells_otherwise(change, expected):
    told = Region(0, 0, 100, 0.0)
    before = Region(**({"x": 0, "y": 0, "side": 100, "angle": 0.0} | change))
    inside = np.array([[-40.0, 10.0], [44.0, -44.0]])
    assert follows(before, inside, told) == expected
    assert not follows(before, inside * 1.1, told)


def test_a_detector_means_all_answers_for_the_best_thing():
    detector = Detector(side=64, strides=(16, 32, 32))
    places = detector.places()
    assert len(places) == 4 * 4 * 2 + 2 * 2 * 4
    np.testing.assert_allclose(
        places[[0, 1, 2, 32, 35, 36]], np.array([[8, 8], [8, 8], [24, 8], [16, 16], [16, 16], [48, 16]]) / 64
    )
    answers, scores = np.zeros((len(places), 6), np.float32), np.full((len(places), 1), -9, np.float32)
    assert detector.best(answers, scores) is None
    for i, score, point in ((0, 2.0, 10.0), (1, 0.5, 14.0), (47, 1.0, 3.0)):  # the last is elsewhere
        answers[i] = [0, 0, 16, 16, point, 0]
        scores[i] = score
    sure = 1 / (1 + np.exp(-np.array([2.0, 0.5])))
    expected = (8 + sure @ [10.0, 14.0] / sure.sum()) / 64
    np.testing.assert_allclose(detector.best(answers, scores), [[expected, 8 / 64]], atol=1e-7)


def test_smoothing_holds_what_is_still_and_follows_what_moves():
    trembling = [np.array([0.5 + 0.001 * (-1) ** i]) for i in range(60)]
    calm = OneEuro(cutoff=0.05, beta=1)
    held = [calm.push(value, unit=1.0)[0] for value in trembling]
    assert np.abs(np.diff(held[30:])).max() < 0.02 * np.abs(np.diff(trembling, axis=0)).max()
    fast = OneEuro(cutoff=0.05, beta=80)
    moved = [fast.push(np.array([float(i)]), unit=1.0)[0] for i in range(60)]
    assert moved[-1] == pytest.approx(59, abs=0.5)
    fast.reset()
    assert fast.push(np.array([7.0]), unit=1.0) == 7.0
    mean = LowPass()
    assert [float(mean.push(np.array([v]), 0.1)[0]) for v in (1.0, 2.0)] == pytest.approx([1.0, 1.1])


@given(st.floats(0.1, 100), st.integers(0, 2**16))
def test_smoothing_does_not_know_how_large_the_body_is(unit, seed):
    values = np.random.default_rng(seed).normal(size=(6, 2))
    small, large = OneEuro(0.05, 80), OneEuro(0.05, 80)
    for value in values:
        np.testing.assert_allclose(large.push(value * unit, unit), small.push(value, 1.0) * unit, rtol=1e-9, atol=1e-9)


def test_the_first_step_of_smoothing_is_the_papers():
    smooth = OneEuro(cutoff=1.0, beta=0.0)
    smooth.push(np.array([0.0]), 1.0)
    alpha = 1 / (1 + 1 / (2 * math.pi * FRAME_S))
    assert smooth.push(np.array([1.0]), 1.0)[0] == pytest.approx(alpha)
