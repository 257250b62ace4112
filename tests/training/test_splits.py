import numpy as np
import pytest

from landmarks import HAND_21, LandmarkSequence
from training.clip import Clip
from training.splits import EmptySide, Overlap, Split, by_person


def clip(person, take="a"):
    sequence = LandmarkSequence.of(HAND_21, np.zeros((2, 21, 3)), fps=15)
    return Clip(sequence, "hello", person, f"{person}/{take}", "made")


def test_everybody_not_named_is_trained_on():
    split = by_person([clip(1), clip(2), clip(3), clip(4)], validation=[2], test=[3])
    assert [c.person for c in split.train] == [1, 4]
    assert [c.person for c in split.validation] == [2]
    assert [c.person for c in split.test] == [3]


def test_a_person_on_two_sides_is_refused():
    with pytest.raises(Overlap, match="person 2"):
        by_person([clip(1), clip(2)], validation=[2], test=[2])
    with pytest.raises(Overlap, match="person 1 is in train and in test"):
        Split((clip(1, "a"),), (clip(2),), (clip(1, "b"),))


def test_a_take_on_two_sides_is_refused_even_under_another_persons_number():
    shared = Clip(clip(1).sequence, "hello", 5, "1/a", "made")
    with pytest.raises(Overlap, match="take 1/a"):
        Split((clip(1),), (clip(2),), (shared,))


def test_an_empty_side_is_refused():
    with pytest.raises(EmptySide, match="test"):
        by_person([clip(1), clip(2)], validation=[2], test=[3])
