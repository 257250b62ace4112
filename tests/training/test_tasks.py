import shutil
from functools import partial

import numpy as np
import pytest

from landmarks import HOLISTIC_75, SIGN_27
from training import datasets
from training.augment import Augment
from training.tasks import Gesture, Signing, UnknownTask, find_task
from training.tasks.gesture import GestureConfig
from training.tasks.lead import laid_over
from training.tasks.signing import SigningConfig


@pytest.fixture
def clips(tiny):
    return datasets.load(tiny, ("asl-words",))


def test_clips_are_read_without_the_frame_before_the_pause(clips):
    assert len(clips) == 36
    assert {clip.person for clip in clips} == {1, 2, 3}
    assert len({clip.take for clip in clips}) == 36
    assert clips[0].sequence.layout is HOLISTIC_75
    assert len(clips[0].sequence) == 19


def test_undetected_parts_are_nan_not_zero(tiny, tmp_path):
    shutil.copytree(tiny, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "asl-words" / "words.npz"
    with np.load(path) as file:
        arrays = dict(file)
    arrays["xyz"][0, 5, 132:195] = 0
    np.savez(path, **arrays)
    xyz = datasets.load(tmp_path, ("asl-words",))[0].sequence.xyz
    left = [joint.startswith("left_hand_") for joint in HOLISTIC_75.joints]
    assert np.isnan(xyz[4, left]).all()
    assert np.isfinite(xyz[3]).all()


def test_a_wrong_set_and_a_missing_folder_say_the_way_out(tiny):
    with pytest.raises(datasets.UnknownDataset, match=r"asl-words, .*, signs"):
        datasets.load(tiny, ("asl-word",))
    with pytest.raises(datasets.DataMissing, match=r"data\.folder"):
        datasets.load(tiny, ("signs",))


def test_signing_windows_carry_the_clips_truth(clips):
    task = Signing(SigningConfig(), SIGN_27, frames=8, fps=15, centre=0.5)
    windows = task.windows(clips, stride=4)
    assert windows.landmarks.shape == (36 * 3, 8, 27, 3)
    idle = np.array(["/none/" in take for take in windows.take])
    assert (windows.truth == np.where(idle, 0, 1)).all()
    assert (windows.hands == 1).all()


def test_held_signs_are_left_out(clips):
    task = Signing(SigningConfig(static=("asl-words/wave",)), SIGN_27, frames=8, fps=15, centre=0.5)
    assert {task.truth(clip) for clip in clips} == {0, None}


def test_signing_draws_positives_that_move_at_the_share_asked_for(clips):
    task = Signing(SigningConfig(positives=0.5), SIGN_27, frames=8, fps=15, centre=0.5)
    sampler = task.sampler(clips, Augment(lose_hand=0, lose_frame=0, late=0, ended=0))
    random = np.random.default_rng(0)
    truth = [sampler.draw(random)[1] for _ in range(300)]
    assert 0.4 < np.mean(truth) < 0.6


def test_a_window_without_a_hand_is_never_signing(clips):
    task = Signing(SigningConfig(positives=1.0, idle=0.0), SIGN_27, frames=8, fps=15, centre=0.5)
    sampler = task.sampler(clips, Augment(lose_frame=1.0))
    random = np.random.default_rng(0)
    hands = [joint.startswith(("left_hand", "right_hand")) for joint in SIGN_27.joints]
    drawn = [sampler.draw(random) for _ in range(200)]
    unseen = [truth for window, truth, _ in drawn if np.isnan(window[:, hands]).all()]
    assert unseen
    assert not any(unseen)


def test_gesture_draws_every_label_and_cuts_one_window_a_clip(clips):
    task = Gesture(GestureConfig(words=("wave",)), SIGN_27, frames=12, fps=15, centre=0.5)
    assert task.labels == ("wave", "none")
    windows = task.windows(clips, stride=3)
    assert len(windows) == len(clips)
    random = np.random.default_rng(0)
    drawn = [task.sampler(clips, Augment()).draw(random) for _ in range(60)]
    assert {truth for _, truth, _ in drawn} == {0, 1}
    assert {window.shape for window, _, _ in drawn} == {(12, 27, 3)}


STILL_CAMERA = Augment(
    rate_low=1, rate_high=1, wobble=0, rotate_deg=0, turn_deg=0, stretch=0, scale=0, shift=0, noise=0, lose_hand=0,
    lose_frame=0, lose_pose=0, late=0, ended=0,
)  # fmt: skip


def with_lead(task, lead):
    if task is Gesture:
        return Gesture(GestureConfig(words=("wave",), lead=lead), SIGN_27, frames=12, fps=15, centre=0.5)
    return Signing(SigningConfig(lead=lead), SIGN_27, frames=12, fps=15, centre=0.5)


@pytest.mark.parametrize("task", [Gesture, Signing])
def test_a_lead_goes_before_the_window_and_changes_nothing_in_it(clips, task):
    plain, led = (with_lead(task, lead).sampler(clips, STILL_CAMERA) for lead in (0, 9))
    nose = SIGN_27.indices("nose")[0]
    before = []
    for seed in range(100):
        window, truth, signer = plain.draw(np.random.default_rng(seed))
        longer, also, who = led.draw(np.random.default_rng(seed))
        assert longer.shape == (21, 27, 3)
        assert (truth, signer) == (also, who)
        began = int(np.isfinite(window[..., 0]).any(axis=1).argmax())
        np.testing.assert_array_equal(longer[9 + began :], window[began:])
        before.append(int(np.isfinite(longer[: 9 + began, nose, 0]).sum()))
    assert {0, 9} <= set(before)
    assert len(set(before)) > 5


def test_what_leads_is_laid_over_the_body_that_follows(clips):
    before, after = (clip.points(SIGN_27, 15) for clip in clips[:2])
    shoulders = SIGN_27.indices("left_shoulder", "right_shoulder")
    moved = before * 0.5 + 0.3
    laid = laid_over(moved, after, SIGN_27)
    middles = [points[shoulders, :2].mean(axis=0) for points in (laid[-1], after[0])]
    widths = [np.linalg.norm(np.diff(points[shoulders, :2], axis=0)) for points in (laid[-1], after[0])]
    np.testing.assert_allclose(middles[0], middles[1], atol=1e-6)
    np.testing.assert_allclose(widths[0], widths[1], rtol=1e-5)
    np.testing.assert_allclose(np.diff(laid, axis=0), np.diff(laid_over(before, after, SIGN_27), axis=0), atol=1e-6)
    assert laid_over(np.full_like(before, np.nan), after, SIGN_27) is None
    assert laid_over(before, np.full_like(after, np.nan), SIGN_27) is None


def test_a_lead_of_less_than_nothing_is_refused():
    for config in (SigningConfig, partial(GestureConfig, words=("wave",))):
        with pytest.raises(ValueError, match="lead is at least 0 frames, got -1"):
            config(lead=-1)


def test_a_word_that_has_begun_is_not_yet_told(clips):
    config = GestureConfig(words=("wave",), words_share=0.5, others_share=0.1, begun_share=0.4)
    task = Gesture(config, SIGN_27, frames=12, fps=15, centre=0.5)
    sampler = task.sampler(clips, STILL_CAMERA)
    drawn = [sampler.draw(np.random.default_rng(seed)) for seed in range(200)]
    frames = [int(np.isfinite(window[:, 0, 0]).sum()) for window, truth, _ in drawn if truth == 1]
    longest = max(len(clip.points(SIGN_27, 15)) for clip in clips)
    short = [count for count in frames if count <= longest // 3 + 1]
    assert 0.6 < len(short) / len(frames) < 0.95


def test_words_that_are_all_held_have_no_beginning():
    with pytest.raises(ValueError, match="words that are not held, and all are"):
        GestureConfig(words=("wave",), held=("wave",), begun_share=0.1)


def test_a_word_nobody_shows_is_an_error_not_an_empty_class(clips):
    task = Gesture(GestureConfig(words=("wave", "hello")), SIGN_27, frames=12, fps=15, centre=0.5)
    with pytest.raises(ValueError, match=r"no training clip shows hello.*the labels there are: wave \(\d+\), none"):
        task.sampler(clips, Augment())
    task = Gesture(GestureConfig(words=("Wave",)), SIGN_27, frames=12, fps=15, centre=0.5)
    with pytest.raises(ValueError, match=r"no training clip shows Wave.*did you mean wave\?"):
        task.sampler(clips, Augment())


def test_an_idle_label_nobody_has_is_an_error_not_all_signing(clips):
    task = Signing(SigningConfig(idle_label="None"), SIGN_27, frames=8, fps=15, centre=0.5)
    with pytest.raises(ValueError, match=r"no training clip is labelled None.*did you mean none\?"):
        task.sampler(clips, Augment())


def test_impossible_tasks_are_refused():
    with pytest.raises(UnknownTask, match="gesture, signing"):
        find_task("dance")
    with pytest.raises(ValueError, match="not among the words"):
        GestureConfig(words=("wave",), held=("hello",))
    with pytest.raises(ValueError, match="shares"):
        SigningConfig(positives=0.8, idle=0.4)


@pytest.mark.slow
def test_the_real_sets_are_read(data):
    clips = datasets.load(data, ("asl-words", "signs"))
    assert len(clips) == 4214 + 3030
    assert {clip.person for clip in clips} == {1, 2, 11, 12, 21, 22, 23, 24, 25}
    assert len({clip.take for clip in clips}) == len(clips)
