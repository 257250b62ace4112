import numpy as np
import pytest

from landmarks import SIGN_27
from training import motion


def still(frames=6):
    xyz = np.full((frames, 27, 3), 0.5, np.float32)
    xyz[:, SIGN_27.indices("left_shoulder"), 0] = 0.6
    xyz[:, SIGN_27.indices("right_shoulder"), 0] = 0.4
    return xyz


def test_speeds_are_shoulder_widths_per_second():
    xyz = still()
    xyz[:, SIGN_27.indices("left_wrist"), 1] += np.arange(6)[:, None] * 0.02  # a tenth of the shoulders a frame
    assert motion.wrist_energy(xyz, SIGN_27, fps=15) == pytest.approx(1.5, rel=1e-3)
    assert motion.hand_speed(xyz, SIGN_27, fps=15) == 0


def test_nothing_seen_has_no_speed_and_no_hand():
    xyz = np.full((6, 27, 3), np.nan, np.float32)
    assert motion.wrist_energy(xyz, SIGN_27, fps=15) == 0
    assert motion.hand_speed(xyz, SIGN_27, fps=15) == 0
    assert motion.shoulder_width(xyz, SIGN_27) == 1
    assert not motion.hands_seen(xyz, SIGN_27).any()


def test_one_hand_is_enough_to_be_seen():
    xyz = still()
    xyz[:, [j.startswith("left_hand_") for j in SIGN_27.joints]] = np.nan
    xyz[2:, [j.startswith("right_hand_") for j in SIGN_27.joints]] = np.nan
    assert motion.hands_seen(xyz, SIGN_27).tolist() == [True, True, False, False, False, False]
