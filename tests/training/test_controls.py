import json

import numpy as np
import pytest
import torch

from landmarks import HAND_21, INDEX_TIP, LandmarkSequence
from models import Normalise
from tests.training.conftest import hand
from training import labels
from training.__main__ import main
from training.augment import Augment
from training.clip import Clip
from training.evaluate import controls
from training.tasks import Controls
from training.tasks.controls import ControlsConfig, between
from training.windows import Windows

PLAIN = Augment(
    rate_low=1, rate_high=1, wobble=0, rotate_deg=0, turn_deg=0, stretch=0, scale=0, shift=0, lose_hand=0,
    lose_frame=0, lose_pose=0, late=0, ended=0, noise=0,
)  # fmt: skip
SHAPES = {"open": ("1/palm", "2/open"), "up": ("1/good",), "down": ("2/bad",)}


def shape(points, label, person, frames=1, source="hand-shapes"):
    sequence = LandmarkSequence.of(HAND_21, np.repeat(points[None], frames, axis=0), fps=15)
    return Clip(sequence, label, person, f"{source}/{person}/{label}", source)


def path(step, label, person, frames=16, source="finger-paths"):
    xy = np.arange(frames)[:, None] * np.array(step, np.float32)
    return Clip(LandmarkSequence.of(INDEX_TIP, xy[:, None], fps=15), label, person, f"{source}/{person}", source)


def shapes(**options):
    config = ControlsConfig(SHAPES, ("rest", "3/*", "signs/*"), **options)
    return Controls(config, HAND_21, 1, 15.0, 1.0)


def swipes(**options):
    config = ControlsConfig({"swipe left": ("1/l",), "swipe right": ("1/r",)}, ("rest",), paths=True, **options)
    return Controls(config, INDEX_TIP, 16, 15.0, 1.0)


def test_a_recorders_word_is_looked_up_by_person_then_alone_then_by_set():
    task = shapes()
    said = {(p, word, source): task.truth(shape(hand(1), word, p, source=source)) for p, word, source in [
        (1, "palm", "a"), (2, "palm", "a"), (2, "open", "a"), (9, "rest", "a"), (9, "wave", "signs"), (9, "wave", "a"),
        (1, "good", "signs"),
    ]}  # fmt: skip
    assert [None if t is None else task.labels[t] for t in said.values()] == [
        "open", None, "open", "none", "none", None, "up",
    ]  # fmt: skip


def test_a_long_take_counts_in_its_middle_half_only():
    task = shapes()
    points = np.stack([hand(1) + i for i in range(20)])
    sequence = LandmarkSequence.of(HAND_21, points, fps=15)
    windows = task.windows([Clip(sequence, "palm", 1, "t", "s")], 1)
    assert windows.landmarks[:, 0, 0, 0].tolist() == list(range(4, 16))
    assert len(task.windows([shape(hand(1), "palm", 1)], 1)) == 1


def test_a_path_counts_where_it_shows_what_its_recorder_said():
    task = swipes()
    right, back, still = path((0.02, 0), "r", 1), path((-0.02, 0), "r", 1), path((0, 0), "r", 1)
    at_rest, moving = path((0, 0), "rest", 2), path((0.02, 0), "rest", 2)
    down = path((0, 0.02), "rest", 2)  # a swipe, but none of this task's
    windows = task.windows([right, back, still, at_rest, moving, down], 1)
    assert [task.labels[t] for t in windows.truth] == ["swipe right", "none", "none"]


def test_training_windows_show_what_they_are_labelled_with():
    task = swipes(made_share=0.2)
    sampler = task.sampler([path((0.02, 0), "r", 1), path((0, 0), "rest", 2)], PLAIN)  # nobody swipes left
    random = np.random.default_rng(0)
    drawn = [sampler.draw(random) for _ in range(200)]
    assert {task.labels[one.truth] for one in drawn} == set(task.labels)
    seen = [one for one in drawn if np.isfinite(one.landmarks).any()]
    assert all(task.agrees(one.landmarks, int(one.truth)) for one in seen)
    assert {task.labels[one.truth] for one in drawn if not np.isfinite(one.landmarks).any()} == {"none"}  # of nobody


def test_a_half_turn_makes_one_label_of_the_other():
    task = shapes(half_turns=(("up", "down"),), made_share=0)
    sampler = task.sampler([shape(hand(0.1), "good", 1), shape(hand(1), "palm", 1), shape(hand(0.5), "rest", 3)], PLAIN)
    random = np.random.default_rng(0)
    found = {task.labels[one.truth]: one.landmarks for one in (sampler.draw(random) for _ in range(200))}
    np.testing.assert_allclose(found["down"][0, :, :2], -found["up"][0, :, :2], atol=1e-6)
    with pytest.raises(labels.EmptyClass, match=r"no training clip shows down.*1/good \(1\)"):
        shapes().sampler([shape(hand(0.1), "good", 1), shape(hand(1), "palm", 1), shape(hand(0.5), "rest", 3)], PLAIN)


def test_between_two_shapes_lies_a_third_whatever_their_place_size_turn_and_side():
    one, other = hand(1.0)[None], hand(0.2)[None]
    one, other = (np.concatenate([each, np.zeros((1, 21, 1), np.float32)], axis=2) for each in (one, other))
    np.testing.assert_allclose(between(one, other, 0.0, HAND_21), one, atol=1e-6)
    half = between(one, other, 0.5, HAND_21)
    np.testing.assert_allclose(half[0, :, :2], (hand(1.0) + hand(0.2)) / 2, atol=1e-6)
    elsewhere = np.stack([other[..., 1], other[..., 0], other[..., 2]], axis=-1) * 3 + 5  # mirrored, too
    np.testing.assert_allclose(between(one, elsewhere, 0.5, HAND_21), half, atol=1e-5)


def test_every_person_who_shows_a_label_counts_as_much():
    task = shapes()
    truth = np.array([0, 0, 0, 0, 0, 1, 3, 3])
    person = np.array([1, 1, 1, 1, 2, 2, 2, 2])
    right = np.array([1, 1, 1, 1, 0, 1, 1, 0], bool)
    said = np.where(right, truth, (truth + 1) % 4)
    probabilities = np.full((8, 4), 0.1, np.float32)
    probabilities[np.arange(8), said] = 0.7
    windows = Windows(np.zeros((8, 1, 21, 3), np.float32), truth, person, person.astype(str), np.ones(8, np.float32))
    figures = controls(probabilities, windows, task, 0.6)
    assert figures["recall_open"] == pytest.approx(0.5)
    assert figures["recall_macro"] == pytest.approx(0.75)  # open and up; nobody shows down
    assert figures["recall_none"] == figures["false_share"] == pytest.approx(0.5)
    assert "recall_down" not in figures
    assert controls(probabilities, windows, task, 0.8)["found_macro"] == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"shows": {"none": ("1/a",)}}, "none of them 'none'"),
        ({"shows": {"a": ("1/a",), "b": ("1/a",)}}, "1/a: named twice"),
        ({"shows": {"a": ("1/a",)}, "paths": True}, "a: no path; choose from swipe right"),
        ({"shows": {"a": ("1/a",)}, "half_turns": (("a", "b"),)}, "pairs of labels"),
        ({"shows": {"a": ("1/a",)}, "others_share": 0.6, "made_share": 0.4}, "below 1"),
    ],
)
def test_impossible_settings_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        ControlsConfig(others=(), **options)


def test_in_the_pictures_unit_size_stays_and_place_does_not():
    torch.manual_seed(0)
    xyz = torch.rand(2, 16, 1, 3)
    picture, body = Normalise(INDEX_TIP, 15.0, 2, unit="picture"), Normalise(INDEX_TIP, 15.0, 2)
    torch.testing.assert_close(picture(xyz + 3), picture(xyz), atol=1e-5, rtol=0)
    torch.testing.assert_close(picture(2 * xyz)[:, :-1], 2 * picture(xyz)[:, :-1])
    torch.testing.assert_close(body(2 * xyz), body(xyz), atol=1e-5, rtol=1e-4)


@pytest.mark.slow
def test_shapes_are_learnt_and_measured_on_other_recorders(shapes_recipe, tmp_path):
    run = tmp_path / "run"
    assert main(["fit", str(shapes_recipe), "--out", str(run)]) == 0
    figures = json.loads((run / "metrics.json").read_text())
    assert figures["persons"] == 2
    assert figures["recall_macro"] > 0.9
    assert figures["recall_macro_low"] <= figures["recall_macro"] <= figures["recall_macro_high"]
