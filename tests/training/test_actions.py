"""Whole clips, one label each: the task of the skeleton benchmarks."""

import numpy as np
import pytest

from landmarks import KINECT_20, LandmarkSequence, Manifest
from models import Normalise
from training.augment import Augment
from training.clip import Clip
from training.config import ConfigError, from_dict
from training.evaluate import clip_probabilities
from training.labels import EmptyClass
from training.tasks import Actions
from training.tasks.actions import ActionsConfig


def clip(label, frames=40, person=1, take=0):
    """Joint i at x = i; y tells the frame."""
    xyz = np.zeros((frames, 20, 3), np.float32)
    xyz[..., 0] = np.arange(20)
    xyz[..., 1] = np.arange(frames)[:, None]
    return Clip(LandmarkSequence.of(KINECT_20, xyz, fps=30.0), label, person, f"{label}/{person}/{take}", "made")


def task(frames=8, **settings):
    return Actions(ActionsConfig(("sit", "stand"), **settings), KINECT_20, frames, 30.0, 0.5)


def test_a_clip_is_measured_by_the_middle_of_its_segments_whatever_its_length():
    windows = task().windows([clip("sit"), clip("stand", frames=6), clip("jump")], stride=1)
    assert windows.landmarks.shape == (2, 8, 20, 3)
    assert windows.landmarks[0, :, 0, 1].tolist() == [2, 7, 12, 17, 22, 27, 32, 37]
    assert windows.landmarks[1, :, 0, 1].tolist() == [0, 1, 1, 2, 3, 4, 4, 5]
    assert windows.truth.tolist() == [0, 1]


def test_several_draws_of_a_clip_are_averaged():
    windows = task(draws=3).windows([clip("sit"), clip("stand")], stride=1)
    assert len(windows) == 6
    said = np.array([[1, 0], [0, 1], [0.5, 0.5], [0, 1], [0, 1], [0, 1]], np.float32)
    mean, clips = clip_probabilities(lambda landmarks: said, windows)
    assert clips.truth.tolist() == [0, 1]
    np.testing.assert_allclose(mean, [[0.5, 0.5], [0, 1]])


def test_training_windows_are_parts_of_a_clip_in_order():
    plain = Augment(rate_low=1, rate_high=1, wobble=0, rotate_deg=0, turn_deg=0, stretch=0, scale=0, shift=0, noise=0)
    plain = Augment(**{**vars(plain), "lose_hand": 0, "lose_frame": 0, "lose_pose": 0, "late": 0, "ended": 0})
    sampler = task(crop=0.5).sampler([clip("sit"), clip("stand")], plain)
    random, spans, shown = np.random.default_rng(0), [], []
    for _ in range(60):
        window, truth, _ = sampler.draw(random)
        order = np.diff(window[:, 0, 1])
        assert (order > 0).all()
        spans.append(np.ptp(window[:, 0, 1]))
        shown.append(truth)
    assert min(spans) < 25 < max(spans)
    assert {0, 1} == set(shown)


def test_actions_are_drawn_evenly_or_as_they_come():
    clips = [clip("sit", take=i) for i in range(9)] + [clip("stand")]
    for balanced, share in ((True, 0.5), (False, 0.1)):
        sampler, random = task(balanced=balanced).sampler(clips, Augment()), np.random.default_rng(0)
        assert np.mean([sampler.draw(random)[1] for _ in range(300)]) == pytest.approx(share, abs=0.07)


def test_an_action_that_no_clip_shows_is_an_error_that_names_the_near_ones():
    with pytest.raises(EmptyClass, match=r"no training clip shows stand; .*did you mean Stand"):
        task().sampler([clip("sit"), clip("Stand")], Augment())


@pytest.mark.parametrize(
    "split", [{}, {"protocol": "nw-ucla", "test": [1], "validation": [2]}, {"protocol": "nw-ucla", "share": 1.0}]
)
def test_a_split_is_by_persons_or_by_protocol(split):
    with pytest.raises(ConfigError, match=r"protocol|share"):
        from_dict({"name": "x", "task": "signing", "data": {"sets": []}, "window": {"frames": 4}, "split": split})


def test_a_model_of_actions_has_no_background():
    said = Manifest("m", "1", "gesture", "sgn", "kinect_20", KINECT_20.joints, 8, 8, 30.0, ("sit", "stand"), "")
    assert Manifest.from_json(said.to_json()) == said


def test_where_depth_is_measured_the_trunk_is_the_unit_however_it_leans_and_shoulders_are_not():
    """A trunk 1 long in depth alone: on a picture's layout it would be no measure."""
    import torch

    names = ("spine_shoulder", "spine_base", "left_shoulder", "right_shoulder", "left_hand")
    top, base, left, right, hand = KINECT_20.indices(*names).tolist()
    xyz = torch.zeros(1, 2, 20, 3)
    xyz[..., top, 2], xyz[..., base, 2], xyz[..., hand, 1] = 0.5, -0.5, 2.0
    for width in (0.1, 3.0):
        xyz[..., left, 0], xyz[..., right, 0] = width / 2, -width / 2
        assert Normalise(KINECT_20, 30.0)(xyz)[0, 1, 0, hand] == pytest.approx(2.0, abs=1e-4)
