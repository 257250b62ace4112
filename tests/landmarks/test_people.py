"""Who is who: two recorded signers who walk past each other, and made-up bodies."""

import itertools
import json
from dataclasses import replace

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.people import SCENES, Scene, follow, mistaken, walk_past
from landmarks import HOLISTIC_75, TimeError
from landmarks.assignment import assign
from landmarks.people import Crowd, People
from training.datasets.holistic import sequence

ASPECT = 4 / 3
SHOULDERS = HOLISTIC_75.indices("left_shoulder", "right_shoulder")


@pytest.fixture(scope="module")
def signers(data):
    """A few takes of each of the two signers of asl-words."""
    with np.load(data / "asl-words" / "words.npz") as words:
        xyz, signer = words["xyz"], words["signer"]
    return [[sequence(take, ASPECT).xyz for take in xyz[signer == who][::150]] for who in (1, 2)]


def somebody(x=0.5, width=0.2, seed=0):
    """(75, 3) a body that stands at x, so many heights across the shoulders."""
    xyz = np.random.default_rng(seed).uniform(-0.3, 0.3, (75, 3)).astype(np.float32)
    places = {"left_shoulder": (0.5, 0), "right_shoulder": (-0.5, 0), "left_hip": (0.3, 1.5), "right_hip": (-0.3, 1.5)}
    for joint, place in places.items():
        xyz[HOLISTIC_75.indices(joint)[0], :2] = place
    return (xyz * width * np.array([1 / ASPECT, 1, 1 / ASPECT]) + (x, 0.4, 0)).astype(np.float32)


def numbers(people, at_s, *bodies):
    """The number of each body in the order given, None where it has none."""
    told = people.push(at_s, np.stack(bodies) if bodies else np.zeros((0, 75, 3), np.float32), ASPECT)
    whose = {xyz.tobytes(): number for number, xyz in told}
    return [whose.get(one.tobytes()) for one in bodies]


@pytest.mark.parametrize(
    "scene",
    [
        SCENES["all seen"],
        SCENES["10% lost, one hidden 0.4 s"],
        replace(SCENES["30% lost, one hidden 0.8 s"], noise=0.05),
        Scene(sizes=(0.5, 0.5), ways=3),
        Scene(ways=4, lost=0.0),
        Scene(fps=7.5, lost=0.2),
    ],
    ids=["seen", "lost", "much lost", "one size", "fast", "slow camera"],
)
@pytest.mark.parametrize("seed", range(4))
def test_who_walks_past_another_keeps_the_number(signers, scene, seed):
    random = np.random.default_rng(seed)
    walk = walk_past(signers[0], signers[1], scene, random)
    assert 1 < walk.speed < 6
    assert mistaken(follow(walk, random)) == 0


def test_one_signer_beside_a_copy_in_another_moment_is_two(signers):
    random = np.random.default_rng(0)
    walk = walk_past(signers[0], signers[0], Scene(sizes=(0.5, 0.5)), random)
    assert mistaken(follow(walk, random)) == 0


@given(st.integers(0, 2**16), st.integers(2, 4))
@settings(max_examples=25, deadline=None)
def test_the_order_of_bodies_makes_no_difference_to_the_bit(seed, count):
    random = np.random.default_rng(seed)
    ordered, shuffled = People(), People()
    at = random.uniform(0, 1, count)
    for i in range(12):
        at += random.normal(0, 0.03, count)
        seen = np.flatnonzero(random.random(count) < 0.8)
        bodies = np.array([somebody(at[k], 0.1 + 0.02 * k, k) for k in seen], np.float32).reshape(-1, 75, 3)
        mixed = random.permutation(len(bodies))
        one, other = ordered.push(i / 10, bodies, ASPECT), shuffled.push(i / 10, bodies[mixed], ASPECT)
        assert [number for number, _ in one] == [number for number, _ in other]
        np.testing.assert_array_equal([xyz for _, xyz in one], [xyz for _, xyz in other])
        assert ordered.main == shuffled.main
    assert ordered.snapshot() == shuffled.snapshot()


def test_who_is_not_seen_keeps_the_number_until_forgotten_and_no_number_comes_twice():
    people = People(Crowd(forget_s=1.0))
    left, right = somebody(0.2, 0.21), somebody(0.8, seed=1)
    assert numbers(people, 0.0, left, right) == [1, 2]
    assert numbers(people, 0.5, right) == [2]
    assert numbers(people, 1.0, left) == [1]
    assert people.numbers == (1, 2)
    assert numbers(people, 1.9, left, right) == [1, 3]
    assert people.numbers == (1, 3)
    people.reset()
    assert numbers(people, 0.0, left) == [4]


def test_who_comes_elsewhere_is_somebody_else():
    people = People()
    assert numbers(people, 0.0, somebody(0.2)) == [1]
    assert numbers(people, 0.1, somebody(0.7)) == [2]
    assert numbers(people, 0.2, somebody(0.7), somebody(0.2)) == [2, 1]


def test_no_more_are_followed_than_asked_for_and_the_largest_come_first():
    people = People(Crowd(most=2))
    crowd = [somebody(0.1 + 0.3 * i, 0.1 + 0.02 * i, i) for i in range(3)]
    assert numbers(people, 0.0, *crowd) == [None, 2, 1]
    assert numbers(people, 0.1, *crowd[:2]) == [None, 2]


def test_an_empty_body_is_nobody():
    people, nobody = People(), np.full((75, 3), np.nan, np.float32)
    assert people.push(0.0, np.stack([nobody, somebody()]), ASPECT)[0][0] == 1
    assert people.push(0.1, nobody[None], ASPECT) == []
    assert people.push(0.2, np.zeros((0, 75, 3), np.float32), ASPECT) == []


def test_a_person_of_whom_only_hands_are_left_keeps_the_number():
    people, left, right = People(), somebody(0.2, 0.21), somebody(0.8, seed=1)
    numbers(people, 0.0, left, right)
    for xyz in (left, right):
        xyz[:33] = np.nan
    assert numbers(people, 0.1, right, left) == [2, 1]


def test_the_main_person_is_the_largest_and_does_not_flicker():
    people, random, mains = People(), np.random.default_rng(0), []
    for i in range(60):
        widths = 0.2 + random.normal(0, 0.015, 2)
        numbers(people, i / 15, somebody(0.2, widths[0]), somebody(0.8, widths[1], 1))
        mains.append(people.main)
    assert set(mains) == {mains[0]}


def test_the_main_person_is_who_came_near_only_once_that_lasts():
    people, mains = People(), []
    for i in range(45):
        ghost = [somebody(0.5, 0.5, 2)] if i == 10 else []
        numbers(people, i / 15, somebody(0.2, 0.2), somebody(0.8, 0.15 + max(0, i - 15) * 0.01, 1), *ghost)
        mains.append(people.main)
    changes = [i for i, (now, then) in enumerate(itertools.pairwise(mains)) if now != then]
    assert mains[0] == 1
    assert mains[-1] == 2
    assert len(changes) == 1
    assert 25 < changes[0] < 42


def test_the_main_person_stays_while_remembered_and_then_is_another():
    people, near, far = People(Crowd(forget_s=1.0)), somebody(0.2, 0.2), somebody(0.8, 0.1, 1)
    numbers(people, 0.0, near, far)
    for at_s, main in ((0.9, 1), (1.1, 2)):
        numbers(people, at_s, far)
        assert people.main == main


@given(st.integers(0, 2**16), st.integers(0, 20), st.sampled_from([orjson, json]))
@settings(max_examples=25, deadline=None)
def test_a_snapshot_goes_on_elsewhere_to_the_bit(seed, after, writer):
    random = np.random.default_rng(seed)
    frames = []
    for i in range(20):
        bodies = np.array([somebody(0.3 + 0.4 * k + 0.01 * i, 0.2, k) for k in range(2)])
        bodies[random.random((2, 75)) < 0.2] = np.nan
        frames.append((i / 15, bodies[random.random(2) < 0.8]))
    unbroken, before, later = People(), People(), People()
    want = [unbroken.push(at_s, bodies, ASPECT) for at_s, bodies in frames]
    for at_s, bodies in frames[:after]:
        before.push(at_s, bodies, ASPECT)
    later.restore(writer.loads(writer.dumps(before.snapshot())))
    for (at_s, bodies), told in zip(frames[after:], want[after:], strict=True):
        assert [number for number, _ in later.push(at_s, bodies, ASPECT)] == [number for number, _ in told]
    assert repr(later.snapshot()) == repr(unbroken.snapshot())


@pytest.mark.parametrize("wrong", [0.1, 0.05, float("inf")])
def test_time_that_does_not_grow_is_refused_and_changes_nothing(wrong):
    people = People()
    numbers(people, 0.1, somebody(0.3))
    before = people.snapshot()
    with pytest.raises(TimeError):
        numbers(people, wrong, somebody(0.8))
    assert repr(people.snapshot()) == repr(before)


@pytest.mark.parametrize("wrong", [{"most": 0}, {"forget_s": -1.0}, {"forget_s": float("nan")}])
def test_impossible_settings_are_refused_with_their_numbers(wrong):
    with pytest.raises(ValueError, match=str(next(iter(wrong.values())))):
        Crowd(**wrong)


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**16), st.booleans())
def test_an_assignment_has_the_most_pairs_at_the_least_cost(rows, columns, seed, coarse):
    random = np.random.default_rng(seed)
    costs = random.random((rows, columns))
    costs = np.round(4 * costs) if coarse else costs
    costs[random.random(costs.shape) < 0.25] = np.inf
    found = assign(costs)
    assert len({row for row, _ in found}) == len(found) == len({column for _, column in found})
    wide = costs if rows <= columns else costs.T
    ways = (
        [wide[row, column] for row, column in enumerate(order) if np.isfinite(wide[row, column])]
        for order in itertools.permutations(range(wide.shape[1]), len(wide))
    )
    most, least = min((-len(way), sum(way)) for way in ways)
    assert len(found) == -most
    assert sum(costs[row, column] for row, column in found) == pytest.approx(least)


def test_nobody_to_assign_is_no_pair():
    assert assign(np.zeros((0, 3))) == assign(np.zeros((2, 0))) == []
