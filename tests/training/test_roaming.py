import numpy as np
import pytest

from landmarks import SIGN_27
from tests.training.test_augment import clip
from training.idle import leave
from training.motion import hand_speed, hands_seen, shoulder_width, sides
from training.roaming import roam

FRAMES, FPS = 16, 15
SEEDS = range(40)


def made(xyz, seed):
    return roam(xyz, FRAMES, SIGN_27, np.random.default_rng(seed))


@pytest.fixture
def xyz():
    """A body whose shoulders are apart and do not move."""
    xyz = clip()
    xyz[:, SIGN_27.indices("left_shoulder", "right_shoulder")] = [(0.6, 0.4, 0.0), (0.4, 0.4, 0.0)]
    return xyz


def test_hands_move_about_on_a_body_that_stays(xyz):
    found = [made(xyz, seed) for seed in SEEDS]
    assert np.median([hand_speed(window, SIGN_27, FPS) for window in found]) > 0.3
    shoulder = SIGN_27.indices("left_shoulder")[0]
    for window in found:
        assert np.abs(window[:, shoulder] - xyz[0, shoulder]).max() < 0.2 * shoulder_width(xyz, SIGN_27)
        assert hands_seen(window, SIGN_27).all()


def test_arms_hold_together(xyz):
    """A hand's wrist is the arm's, and neither bone of an arm is longer than an arm's is."""
    width, joints = shoulder_width(xyz, SIGN_27), ("shoulder", "elbow", "wrist", "hand_wrist")
    for seed in SEEDS:
        window = made(xyz, seed)[..., :2]
        for side in ("left", "right"):
            shoulder, elbow, wrist, root = np.moveaxis(
                window[:, SIGN_27.indices(*(f"{side}_{j}" for j in joints))], 1, 0
            )
            assert np.linalg.norm(elbow - shoulder, axis=-1).max() < 1.2 * width
            assert np.linalg.norm(wrist - elbow, axis=-1).max() < 1.1 * width
            apart = np.linalg.norm(root - wrist, axis=-1)
            assert np.nanmax(apart, initial=0) < 0.1 * width


def test_a_hand_keeps_a_hands_size(xyz):
    width = shoulder_width(xyz, SIGN_27)
    for seed in SEEDS:
        window = made(xyz, seed)[..., :2]
        for hand in sides(SIGN_27):
            reach = np.linalg.norm(window[:, hand] - window[:, hand][:, :1], axis=-1).max(axis=1)
            assert not (reach > 0.7 * width).any()


def test_without_shoulders_or_hands_there_is_less_to_move(xyz):
    nobody = np.full_like(xyz, np.nan)
    assert np.isnan(made(nobody, 0)).all()
    handless = xyz.copy()
    handless[:, sides(SIGN_27)[0] | sides(SIGN_27)[1]] = np.nan
    window = made(handless, 0)
    assert not hands_seen(window, SIGN_27).any()
    assert np.isfinite(window[:, SIGN_27.indices("left_wrist", "right_wrist")]).all()


def test_hands_that_leave_are_gone_for_half_a_window_at_least(xyz):
    for seed in SEEDS:
        seen = hands_seen(leave(xyz, FRAMES, SIGN_27, np.random.default_rng(seed)), SIGN_27)
        assert seen[:2].all()
        assert not seen[FRAMES // 2 :].any()
