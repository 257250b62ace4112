from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

from landmarks import SIGN_27
from training import datasets
from training.augment import Augment
from training.config import ConfigError, from_dict
from training.motion import hands_seen, moving_speed
from training.tasks import Signing
from training.tasks.frames import UNLABELLED
from training.tasks.signing import SigningConfig
from training.tasks.stretches import IDLE, SIGNING, StretchConfig

STEADY = Augment(
    mirror=0,
    rate_low=1,
    rate_high=1,
    wobble=0,
    rotate_deg=0,
    turn_deg=0,
    stretch=0,
    scale=0,
    shift=0,
    lose_hand=0,
    lose_frame=0,
    lose_pose=0,
    late=0,
    ended=0,
    noise=0,
)
STRETCH = StretchConfig(frames=50)


@pytest.fixture
def clips(tiny):
    return datasets.load(tiny, ("asl-words",))


class Stretch(NamedTuple):
    landmarks: np.ndarray
    truth: np.ndarray


def drawn(clips, augment=STEADY, count=40, centre=1.0, stretch=STRETCH, **options):
    config = SigningConfig(every=True, stretch=stretch, **options)
    sampler = Signing(config, SIGN_27, frames=8, fps=15, centre=centre).sampler(clips, augment)
    found = [sampler.draw(np.random.default_rng(seed)) for seed in range(count)]
    return [Stretch(each.landmarks, np.asarray(each.truth)) for each in found]


def test_a_stretch_has_a_label_for_every_frame(clips):
    found = drawn(clips)
    assert {each.landmarks.shape for each in found} == {(50, 27, 3)}
    assert {each.truth.shape for each in found} == {(50,)}
    assert {int(label) for each in found for label in each.truth} == {UNLABELLED, IDLE, SIGNING}


def test_the_same_number_draws_the_same_stretch(clips):
    for one, other in zip(drawn(clips, count=5), drawn(clips, count=5), strict=True):
        np.testing.assert_array_equal(one.landmarks, other.landmarks)
        np.testing.assert_array_equal(one.truth, other.truth)


def test_some_stretches_show_no_sign_at_all(clips):
    none = drawn(clips, stretch=replace(STRETCH, idle_only=1.0))
    assert not any((each.truth == SIGNING).any() for each in none)
    some = drawn(clips, stretch=replace(STRETCH, idle_only=0.0, next_sign=1.0))
    assert np.mean([(each.truth == SIGNING).any() for each in some]) > 0.9


def test_a_hand_signs_where_it_moves(clips):
    for each in drawn(clips, stretch=replace(STRETCH, idle_only=0.0, bridge=0), least_speed=0.3):
        signing = each.truth == SIGNING
        if signing.any():
            # Its speed is a mean over frames on either side, which a seam may bring to a frame at the edge.
            fast = moving_speed(each.landmarks, SIGN_27, 15.0, 8) > 0.1
            assert fast[signing].mean() > 0.8


def test_hands_that_are_gone_do_not_sign(clips):
    hidden = drawn(clips, replace(STEADY, drop_hand=1.0), stretch=replace(STRETCH, idle_only=0.0))
    assert all((each.truth == IDLE).all() for each in hidden)


def test_a_hand_that_is_lost_for_a_moment_goes_on_signing(clips):
    lossy = replace(STEADY, lose_frame=0.3)
    found = drawn(clips, lossy, stretch=replace(STRETCH, idle_only=0.0, next_sign=1.0))
    unseen = np.concatenate([each.truth[~hands_seen(each.landmarks, SIGN_27)] for each in found])
    assert (unseen == SIGNING).any()


def test_a_network_that_answers_later_is_told_later(clips):
    at_once, later = drawn(clips, centre=1.0), drawn(clips, centre=1 - 3 / 7)
    for one, other in zip(at_once, later, strict=True):
        np.testing.assert_array_equal(one.landmarks, other.landmarks)
        np.testing.assert_array_equal(one.truth[:-3], other.truth[3:])
        assert (other.truth[:3] == UNLABELLED).all()


def test_signs_alone_are_enough(clips):
    signs = [clip for clip in clips if clip.label != "none"]
    assert {int(label) for each in drawn(signs) for label in each.truth} == {UNLABELLED, IDLE, SIGNING}


@pytest.mark.parametrize("wrong", [{"frames": 0}, {"idle_low": 9, "idle_high": 8}, {"real": 1.5}, {"around": -1}])
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        StretchConfig(**wrong)


def test_a_label_a_frame_is_for_networks_that_answer_every_frame():
    raw = {
        "name": "signing",
        "task": "signing",
        "data": {"sets": ["asl-words"]},
        "split": {"validation": [1], "test": [2]},
        "window": {"frames": 8},
        "signing": {"every": True},
    }
    with pytest.raises(ConfigError, match=r"signing\.every is for continual networks, stgcn is none"):
        from_dict(raw)
    assert from_dict({**raw, "network": {"name": "signing-lstm"}}).by_frame
