"""Whose hand is which, by the wrists of bodies."""

import json

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.people import detectors, sorted_hands
from landmarks import HOLISTIC_75, TimeError, holistic
from landmarks.sides import Sides
from training.datasets.holistic import sequence

ASPECT = 4 / 3
LEFT, RIGHT = holistic.PARTS["left_hand"], holistic.PARTS["right_hand"]
LEFT_WRIST, RIGHT_WRIST = HOLISTIC_75.indices("left_wrist", "right_wrist")
UNSEEN = np.full((21, 3), np.nan, np.float32)


@pytest.fixture(scope="module")
def takes(data):
    """Recorded takes of several people, their hands as MediaPipe Holistic found them."""
    found = []
    for name in ("asl-words/words", "signs/words-isl", "signs/referee-signals", "signs/phrases-b"):
        with np.load(data / f"{name}.npz") as file:
            xyz = file["xyz"]
        found += [sequence(take, ASPECT).xyz for take in xyz[:: len(xyz) // 12]]
    return found


def hand(x, y=0.6, seed=0):
    """(21, 3) a hand whose wrist lies there."""
    points = np.random.default_rng(seed).uniform(-0.02, 0.02, (21, 3))
    points[0] = 0
    return (points + np.array([x, y, 0])).astype(np.float32)


def somebody(left=0.7, right=0.3, middle=0.5, y=0.6):
    """(75, 3) a body, 0.2 heights across the shoulders, with wrists there and no hands."""
    xyz = np.full((75, 3), np.nan, np.float32)
    places = {
        "left_shoulder": (middle + 0.1 / ASPECT, 0.3),
        "right_shoulder": (middle - 0.1 / ASPECT, 0.3),
        "left_wrist": (left, y),
        "right_wrist": (right, y),
    }
    for joint, place in places.items():
        xyz[HOLISTIC_75.indices(joint)[0]] = (*place, 0)
    return xyz


def with_hands(xyz, left=None, right=None):
    xyz = xyz.copy()
    xyz[LEFT], xyz[RIGHT] = UNSEEN if left is None else left, UNSEEN if right is None else right
    return xyz


def test_what_holistic_finds_stays_as_it_is(takes):
    wrong, count = sorted_hands(takes, detectors(np.random.default_rng(0))["as recorded"])
    assert count > 1000
    assert wrong == 0


def test_hands_without_sides_come_to_their_wrists(takes):
    wrong, count = sorted_hands(takes, detectors(np.random.default_rng(0))["without sides"])
    assert wrong < 0.03 * count  # phrases-b: hands that lie on each other


def test_sides_by_chance_are_put_right(takes):
    wrong, count = sorted_hands(takes, detectors(np.random.default_rng(0))["sides by chance"])
    assert wrong < 0.04 * count


def test_hands_that_a_mirrored_picture_changed_are_changed_back():
    given_ = with_hands(somebody(), left=hand(0.3), right=hand(0.7, seed=1))
    ((number, found),) = Sides().push(0.0, [(7, given_)], ASPECT)
    assert number == 7
    np.testing.assert_array_equal(found[LEFT], given_[RIGHT])
    np.testing.assert_array_equal(found[RIGHT], given_[LEFT])
    np.testing.assert_array_equal(found[:33], given_[:33])
    np.testing.assert_array_equal(given_[LEFT], hand(0.3))


def test_a_hand_belongs_to_whoever_s_wrist_it_is_at():
    one, other = somebody(), somebody(left=1.4, right=1.0, middle=1.2)
    found = Sides().push(0.0, [(1, with_hands(one, left=hand(1.0))), (2, other)], ASPECT)
    assert [number for number, _ in found] == [1, 2]
    assert np.isnan(found[0][1][33:]).all()
    np.testing.assert_array_equal(found[1][1][RIGHT], hand(1.0))
    assert np.isnan(found[1][1][LEFT]).all()


def test_a_hand_with_no_body_near_stays_what_it_came_as():
    far = with_hands(somebody(), left=hand(0.1, 0.1), right=hand(0.9, 0.1))
    nobody = np.full((75, 3), np.nan, np.float32)
    for given_ in (far, with_hands(nobody, left=hand(0.5))):
        np.testing.assert_array_equal(Sides().push(0.0, [(1, given_)], ASPECT)[0][1], given_)


def test_loose_hands_far_from_everybody_and_without_anybody_are_left_out():
    ((_, found),) = Sides().push(0.0, [(1, somebody())], ASPECT, [hand(0.1, 0.1), hand(0.31)])
    assert np.isnan(found[LEFT]).all()
    np.testing.assert_array_equal(found[RIGHT], hand(0.31))
    assert Sides().push(0.0, [], ASPECT, [hand(0.5)]) == []
    assert Sides().push(0.0, [], ASPECT) == []


def test_two_hands_found_at_one_wrist_leave_the_other_wrist_empty():
    ((_, found),) = Sides().push(0.0, [(1, with_hands(somebody(), left=hand(0.7)))], ASPECT, [hand(0.71, seed=1)])
    np.testing.assert_array_equal(found[LEFT], hand(0.7))
    assert np.isnan(found[RIGHT]).all()


@pytest.mark.parametrize("y", [0.0, 0.01])
def test_hands_that_cross_do_not_change_places(y):
    """The wrists pass each other; the pose is off by more than they are apart when they meet."""
    sides, random = Sides(), np.random.default_rng(0)
    for i, way in enumerate(np.linspace(0, 1, 30)):
        left, right = 0.6 - 0.2 * way, 0.4 + 0.2 * way
        xyz = somebody(left, right, y=0.6)
        xyz[RIGHT_WRIST, 1] += y
        xyz[[LEFT_WRIST, RIGHT_WRIST], :2] += random.normal(0, 0.005, (2, 2))
        hands = [hand(left), hand(right, 0.6 + y, seed=1)]
        order = random.permutation(2)
        ((_, found),) = sides.push(i / 15, [(1, xyz)], ASPECT, [hands[k] for k in order])
        np.testing.assert_array_equal(found[LEFT], hands[0])
        np.testing.assert_array_equal(found[RIGHT], hands[1])


@given(st.integers(0, 2**16), st.integers(0, 20), st.sampled_from([orjson, json]))
@settings(max_examples=25, deadline=None)
def test_a_snapshot_goes_on_elsewhere_to_the_bit(seed, after, writer):
    random, frames = np.random.default_rng(seed), []
    for i in range(20):
        people = []
        for who in range(2):
            at = random.uniform(0.3, 0.7, 2)
            body = somebody(*at, middle=0.5)
            people.append((who, with_hands(body, *(hand(x + random.normal(0, 0.02)) for x in random.permutation(at)))))
        frames.append((i / 15, people, [hand(random.uniform(0.3, 0.7))]))
    unbroken, before, later = Sides(), Sides(), Sides()
    want = [unbroken.push(at_s, people, ASPECT, hands) for at_s, people, hands in frames]
    for at_s, people, hands in frames[:after]:
        before.push(at_s, people, ASPECT, hands)
    later.restore(writer.loads(writer.dumps(before.snapshot())))
    for (at_s, people, hands), told in zip(frames[after:], want[after:], strict=True):
        found = later.push(at_s, people, ASPECT, hands)
        np.testing.assert_array_equal([xyz for _, xyz in found], [xyz for _, xyz in told])
    assert repr(later.snapshot()) == repr(unbroken.snapshot())


def test_time_that_does_not_grow_is_refused_and_changes_nothing():
    sides, people = Sides(), [(1, with_hands(somebody(), left=hand(0.7)))]
    sides.push(0.1, people, ASPECT)
    before = sides.snapshot()
    with pytest.raises(TimeError):
        sides.push(0.1, people, ASPECT)
    assert repr(sides.snapshot()) == repr(before)
    sides.reset()
    assert sides.push(0.0, people, ASPECT)[0][0] == 1
