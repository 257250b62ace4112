import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from landmarks import SHREC_20, LandmarkSequence
from models import Continual, build, checkpoint
from training import config, evaluate, sweep, trainer
from training.__main__ import main as command
from training.augment import Augment, moments, resample, retime
from training.clip import Clip
from training.config import ConfigError
from training.labels import EmptyClass
from training.splits import by_fold
from training.stream import Event, Stream, whole
from training.tasks.frames import UNLABELLED, Frames, FramesConfig, cut

FPS = 20.0
STILL = Augment(
    rate_low=1, rate_high=1, wobble=0, rotate_deg=0, turn_deg=0, stretch=0, scale=0, shift=0, lose_hand=0,
    lose_frame=0, lose_pose=0, late=0, ended=0, noise=0,
)  # fmt: skip
SINGLE, STREAM = 1000.0, 0.0


def numbered(frames, first=STREAM):
    """A hand whose first joint's x tells the frame."""
    xyz = np.random.default_rng(0).normal(size=(1, 20, 3)).repeat(frames, axis=0)
    xyz[:, 0, 0] = first + np.arange(frames)
    return LandmarkSequence.of(SHREC_20, xyz.astype(np.float32), fps=FPS)


def stream(frames=100, events=((20, 39, "tap"), (60, 79, "v")), take="s"):
    found = tuple(Event(label, first / FPS, last / FPS) for first, last, label in events)
    return Stream(numbered(frames), "", 0, take, "tests", events=found)


def task(frames=10, centre=0.5, **options):
    return Frames(FramesConfig(("tap", "v"), **options), SHREC_20, frames, FPS, centre)


def shown(points):
    """Which frame of a stream each frame of a sample is; NaN where it is none."""
    return points[:, 0, 0]


def stretch(sampler, random):
    """A drawn stretch and the labels of its frames."""
    points, labels, _ = sampler.draw(random)
    assert isinstance(labels, np.ndarray)
    assert len(labels) == len(points)
    return points, labels


def test_a_frame_is_labelled_by_the_event_that_covers_it():
    _, truth = task().line(stream(), ignoring=True)
    assert truth.tolist() == [2] * 20 + [0] * 20 + [2] * 20 + [1] * 20 + [2] * 20


def test_an_event_of_another_name_is_background():
    _, truth = task(border_s=0.2).line(stream(events=((20, 39, "wave"),)), ignoring=True)
    assert set(truth) == {2}


def test_what_cannot_be_known_yet_and_what_is_near_a_border_counts_nowhere_in_training_and_is_measured():
    made = task(known_after=0.5, border_s=0.1)
    _, truth = made.line(stream(events=((20, 40, "tap"),)), ignoring=True)
    # Half of an event of 20 steps is 10; borders reach over one frame on each side, and the border itself.
    assert np.flatnonzero(truth == UNLABELLED).tolist() == [*range(19, 30), 39, 40, 41]
    assert np.flatnonzero(truth == 0).tolist() == list(range(30, 39))
    windows = made.windows([stream(events=((20, 40, "tap"),))], 1)
    assert np.flatnonzero(windows.truth == 0).tolist() == list(range(20, 41))


@pytest.mark.parametrize("centre", [0.0, 0.4, 1.0])
def test_a_window_speaks_of_its_moment(centre):
    made = task(centre=centre)
    _, truth = made.line(stream(), ignoring=False)
    windows = made.windows([stream()], 3)
    for window, label in zip(windows.landmarks, windows.truth, strict=True):
        moment = shown(window)[9 - made.behind]
        assert moment % 3 == 0
        assert label == truth[int(moment)]
    assert len(windows) == len(range(0, 100 - made.behind, 3))
    assert (windows.hands[made.behind + 9 :] == 1).all()


@pytest.mark.parametrize("centre", [0.0, 0.4, 1.0])
def test_a_drawn_window_is_labelled_by_its_moment(centre):
    made = task(centre=centre)
    _, truth = made.line(stream(), ignoring=True)
    sampler, random = made.sampler([stream()], STILL), np.random.default_rng(0)
    drawn = [sampler.draw(random) for _ in range(200)]
    for window, label, _ in drawn:
        assert label == truth[round(shown(window)[9 - made.behind])]
    # six in ten about events
    assert 0.25 < np.mean([label == 2 for _, label, _ in drawn]) < 0.55


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), centre=st.sampled_from([0.6, 1.0]))
def test_labels_move_with_frames_whose_tempo_changes(seed, centre):
    made = task(every=True, stretch=30, centre=centre, border_s=0.1)
    _, truth = made.line(stream(), ignoring=True)
    quick = Augment(**(vars(STILL) | {"rate_low": 0.5, "rate_high": 2.0, "wobble": 0.5, "warp": 0.3}))
    points, labels = stretch(made.sampler([stream()], quick), np.random.default_rng(seed))
    assert points.shape == (30, 20, 3)
    at = shown(points)  # which may lie between two frames
    assert np.isfinite(at).any()
    for frame in range(made.behind, 30):
        moment = at[frame - made.behind]
        if np.isnan(moment) or np.isnan(at[frame]):
            assert labels[frame] == UNLABELLED
        else:
            assert labels[frame] in {truth[int(np.floor(moment))], truth[int(np.ceil(moment))]}
    assert (labels[: made.behind] == UNLABELLED).all()


@given(length=st.integers(2, 60), seed=st.integers(0, 1000))
def test_retime_takes_the_frames_at_its_moments(length, seed):
    xyz, augment = np.random.default_rng(1).normal(size=(length, 3, 3)).astype(np.float32), Augment(warp=0.4)
    at = moments(length, augment, np.random.default_rng(seed))
    assert (np.diff(at) >= 0).all()
    assert (at[0], at[-1]) == pytest.approx((0, length - 1))
    np.testing.assert_array_equal(retime(xyz, augment, np.random.default_rng(seed)), resample(xyz, at))


def test_frames_in_which_nothing_is_seen_count_nowhere():
    blind = Augment(**(vars(STILL) | {"drop_frame": 1.0}))
    sampler, random = task(every=True, stretch=40, centre=1).sampler([stream()], blind), np.random.default_rng(0)
    for _ in range(20):
        points, labels = stretch(sampler, random)
        unseen = np.isnan(points).all(axis=(1, 2))
        assert (labels[unseen] == UNLABELLED).all()
        assert (labels[~unseen] >= 0).all()


def test_single_clips_stand_between_pieces_of_background():
    made = task(every=True, stretch=60, centre=1, clips_share=1.0, events_share=1.0, bridge_s=0.15)
    clips = [
        whole(Clip(numbered(15, SINGLE * (1 + i)), label, 0, label, "tests")) for i, label in enumerate(("tap", "v"))
    ]
    sampler, random = made.sampler([stream(), *clips], STILL), np.random.default_rng(0)
    whole_ones = 0
    for _ in range(50):
        points, labels = stretch(sampler, random)
        at = shown(points)
        assert np.isfinite(at).all()
        assert (labels != UNLABELLED).sum() > 20
        for label in (0, 1):
            assert (at[labels == label] >= SINGLE * (1 + label)).all()
            whole_ones += int((labels == label).sum() >= 15)
        _, truth = made.line(stream(), ignoring=True)
        assert (truth[at[labels == 2].astype(int)] == 2).all()
    assert whole_ones > 10


def test_an_event_that_no_stream_has_is_refused():
    with pytest.raises(EmptyClass, match="no training stream shows v"):
        task().sampler([stream(events=((20, 39, "tap"),))], STILL)
    with pytest.raises(EmptyClass, match="between its events"):
        task().sampler([whole(Clip(numbered(9), label, 0, label, "tests")) for label in ("tap", "v")], STILL)


@given(first=st.integers(-30, 30), length=st.integers(1, 30))
def test_a_cut_may_lie_anywhere(first, length):
    values = np.arange(10)
    assert cut(values, first, length, -1).tolist() == [i if 0 <= i < 10 else -1 for i in range(first, first + length)]


@pytest.mark.parametrize(
    "impossible",
    [{"events": ()}, {"events": ("tap", "none")}, {"known_after": 1.0}, {"stretch": 0}, {"border_s": -1.0}],
)
def test_impossible_settings_are_refused(impossible):
    with pytest.raises(ValueError, match=r"need|share|stretch"):
        FramesConfig(**({"events": ("tap", "v")} | impossible))


@given(count=st.integers(3, 20), folds=st.integers(3, 6))
def test_over_all_folds_every_take_is_tested_once(count, folds):
    clips = [stream(take=f"s{i}") for i in range(count)]
    if count < folds:
        folds = count
    splits = [by_fold(clips, fold, folds) for fold in range(1, folds + 1)]
    assert sorted(c.take for split in splits for c in split.test) == sorted(c.take for c in clips)
    for split, following in zip(splits, [*splits[1:], splits[0]], strict=True):
        assert split.validation == following.test
        assert len(split.train) + len(split.validation) + len(split.test) == count


def test_persons_may_be_dealt_to_folds_instead():
    clips = [Clip(numbered(3), "a", i % 4, f"c{i}", "tests") for i in range(20)]
    split = by_fold(clips, 2, 4, over="person")
    persons = [{clip.person for clip in side} for side in (split.train, split.validation, split.test)]
    assert [len(each) for each in persons] == [2, 1, 1]
    assert split.apart == ("person", "take")


# A small set in the files of sfinge3d: a hand that swipes to the left or taps.


def acting(random, label, frames):
    xyz = np.concatenate([random.normal(size=(1, 20, 3)) * 20, np.zeros((1, 20, 3))])[:1].repeat(frames, axis=0)
    way = np.sin(np.linspace(0, np.pi, frames)) * 150
    if label:
        xyz[..., 0 if label == 10 else 1] -= way[:, None]
    return xyz + random.normal(size=xyz.shape)


@pytest.fixture(scope="module")
def recipe_file(tmp_path_factory):
    folder, random = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    (folder / "sfinge3d").mkdir()

    def write(name, parts, **about):
        joints = np.concatenate([np.concatenate([part, np.zeros((*part.shape[:2], 4))], axis=2) for part in parts])
        lengths = np.array([len(part) for part in parts])
        np.savez(folder / "sfinge3d" / name, joints=joints.astype(np.float32), length=lengths, **about)

    streams, events = [], []
    for i in range(6):
        parts, at = [], 0
        for label in (0, 10, 0, 9, 0):
            parts.append(acting(random, label, 16))
            if label:
                events.append((i, label, at, at + 15))
            at += 16
        streams.append(np.concatenate(parts))
    write("streams.npz", streams, stream=np.arange(6), events=np.array(events))
    write(
        "gestures.npz",
        [acting(random, label, 16) for label in (10, 9) for _ in range(3)],
        label=np.repeat((10, 9), 3),
        take=np.tile(np.arange(3), 2),
    )
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(f"""
name = "tiny-frames"
task = "frames"
data = {{ folder = "{folder}", sets = ["sfinge3d"], clips = ["sfinge3d"] }}
split = {{ folds = 3, refit = false }}
window = {{ frames = 10, fps = 20.0, stride = 2, centre = 0.6 }}
frames = {{ events = ["swipe left", "tap"], stretch = 24 }}
augment = {{ turn_deg = 5.0, rotate_deg = 5.0, late = 0.0, ended = 0.0 }}
fit = {{ epochs = 3, windows = 256, batch = 16, threads = 1, rate = 0.01 }}
events = {{ rule = "balanced", lowest = 0.1 }}
[network]
layout = "shrec_20"
options = {{ widths = [12], strides = [1], kernel = 5 }}
""")
    return path


EVERY = (
    "frames.every=true",
    "window.centre=1",
    "loss.dice=0.5",
    "network.name=costgcn",
    "network.options.pool_size=4",
)


@pytest.fixture(scope="module")
def continual(recipe_file):
    return trainer.fit(config.load(recipe_file, EVERY))


@pytest.mark.slow
def test_a_window_network_learns_events_of_streams_that_it_never_saw(recipe_file):
    figures = trainer.fit(config.load(recipe_file)).manifest.metrics
    assert figures["accuracy"] > 0.7
    assert figures["accuracy_low"] <= figures["accuracy"] <= figures["accuracy_high"]
    assert figures["frames"] == 2 * len(range(0, 80 - 4, 2))


@pytest.mark.slow
def test_a_continual_network_learns_from_every_frame_and_is_measured_as_a_window_and_as_a_stream(continual):
    figures = continual.manifest.metrics
    assert min(figures["accuracy"], figures["stream_accuracy"]) > 0.7
    assert figures["stream_f1_macro_low"] <= figures["stream_f1_macro"] <= figures["stream_f1_macro_high"]
    assert (figures["frames"], figures["stream_frames"]) == (80, 160)
    assert continual.manifest.labels == ("swipe left", "tap", "none")
    assert (continual.manifest.centre, continual.manifest.background) == (1, "none")


@pytest.mark.slow
def test_what_is_measured_of_a_stream_is_what_its_steps_say(recipe_file, continual):
    bench = evaluate.make_bench(config.load(recipe_file, EVERY))
    network = continual.network()
    assert isinstance(network, Continual)
    assert isinstance(bench.task, Frames)
    right = []
    for each in bench.split.test:
        points, truth = bench.task.line(each, ignoring=False)
        state = network.start(1)
        for frame, label in zip(torch.from_numpy(points), truth, strict=True):
            with torch.inference_mode():
                said, state = network.step(frame[None], state)
            assert said is not None
            right.append(int(said.argmax()) == label)
    assert continual.manifest.metrics["stream_accuracy"] == pytest.approx(np.mean(right), abs=0.01)


@pytest.mark.slow
def test_a_fit_of_frames_goes_on_to_the_same_weights(recipe_file, continual, tmp_path):
    class Killed(Exception):
        pass

    def until_second(line):
        if line.startswith("epoch 2"):
            raise Killed

    recipe = config.load(recipe_file, EVERY)
    with pytest.raises(Killed):
        trainer.fit(recipe, until_second, run=tmp_path)
    resumed = trainer.fit(recipe, run=tmp_path, resume=True)
    assert all(torch.equal(continual.weights[key], value) for key, value in resumed.weights.items())


def test_strided_networks_learn_from_the_frames_that_bring_a_prediction(recipe_file):
    saved = trainer.fit(
        config.load(
            recipe_file, (*EVERY, "network.options.widths=[8, 8]", "network.options.strides=[1, 2]", "fit.epochs=1")
        )
    )
    assert saved.manifest.metrics["stream_frames"] == 80


def test_the_weights_of_stretches_have_a_gradient_from_labelled_frames_alone():
    network = build("costgcn", SHREC_20, labels=3, fps=FPS, widths=(8,), strides=(1,), kernel=3, pool_size=2)
    assert isinstance(network, Continual)
    xyz = torch.randn(1, 12, 20, 3, requires_grad=True)
    told = network.eval().predictions(xyz)
    told[:, 3].sum().backward()
    reach = network.receptive_field
    assert xyz.grad is not None
    assert xyz.grad[:, 3].any()
    assert not xyz.grad[:, 4:].any()
    assert reach == 4


@pytest.mark.slow
def test_a_continual_network_trained_on_frames_exports_with_the_answer_of_its_last_frame(continual, tmp_path, capsys):
    from export.__main__ import main

    continual.save(tmp_path / "run")
    assert main([str(tmp_path / "run"), str(tmp_path / "tiny.onnx")]) == 0
    capsys.readouterr()
    predict, manifest = evaluate.of_onnx(tmp_path / "tiny.onnx")
    network = checkpoint.load(tmp_path / "run").network()
    assert isinstance(network, Continual)
    assert command(["evaluate", str(tmp_path / "run")]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures == pytest.approx(continual.manifest.metrics, abs=1e-5)
    window = np.random.default_rng(0).normal(size=(2, manifest.window_frames, 20, 3)).astype(np.float32)
    with torch.inference_mode():
        last = torch.softmax(network.predictions(torch.from_numpy(window))[:, -1], dim=-1)
    np.testing.assert_allclose(predict(window), last.numpy(), atol=1e-4)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("frames.every=true", "continual"),
        ("split.folds=2", "folds"),
        ("split.fold=4", "fold 4 of 3"),
        ("split.test=[1]", None),
        ("split.protocol=nw-ucla", "only one"),
        ("loss.dice=-1", "dice"),
    ],
)
def test_recipes_that_cannot_be_are_refused(recipe_file, override, told):
    if told is None:
        config.load(recipe_file, (override,))  # half of a split by persons is none
        return
    with pytest.raises(ConfigError, match=told):
        config.load(recipe_file, (override,))


def test_the_shipped_variations_compare_window_and_continual_networks():
    configs = Path("training/configs")
    base = config.load(configs / "sfinge3d.toml").to_dict()
    recipes = [sweep.vary(base, one) for one in sweep.from_file(configs / "variations" / "sfinge3d.toml")]
    for recipe in recipes:
        made = evaluate.make_task(recipe)
        built = build(recipe.network.name, SHREC_20, labels=len(made.labels), fps=FPS, **recipe.network.options)
        assert isinstance(built, Continual) == recipe.by_frame
    assert {recipe.by_frame for recipe in recipes} == {False, True}
