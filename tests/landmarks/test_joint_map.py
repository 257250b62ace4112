import numpy as np
import pytest

from landmarks import (
    COCO_17,
    HOLISTIC_75,
    NTU_25,
    OPENPOSE_18,
    SIGN_27,
    JointMap,
    LandmarkSequence,
    UnknownJoint,
)


def frames(seed=0):
    return np.random.default_rng(seed).random((4, 75, 3)).astype(np.float32)


def test_joints_of_the_same_name_are_taken_as_they_are():
    xyz = frames()
    for layout in (SIGN_27, COCO_17):
        np.testing.assert_array_equal(
            JointMap(HOLISTIC_75, layout.joints)(xyz), xyz[:, HOLISTIC_75.indices(*layout.joints)]
        )


def test_joints_that_mediapipe_does_not_know_lie_between_those_it_does():
    xyz = frames()
    taken = JointMap(HOLISTIC_75, NTU_25.joints)(xyz)
    shoulders = xyz[:, HOLISTIC_75.indices("left_shoulder", "right_shoulder")].mean(axis=1)
    hips = xyz[:, HOLISTIC_75.indices("left_hip", "right_hip")].mean(axis=1)
    nose = xyz[:, HOLISTIC_75.indices("nose")[0]]
    np.testing.assert_allclose(taken[:, 20], shoulders, atol=1e-6)
    np.testing.assert_allclose(taken[:, 0], hips, atol=1e-6)
    np.testing.assert_allclose(taken[:, 1], (shoulders + hips) / 2, atol=1e-6)
    np.testing.assert_allclose(taken[:, 2], shoulders + 0.3 * (nose - shoulders), atol=1e-6)
    np.testing.assert_array_equal(taken[:, 21], xyz[:, HOLISTIC_75.indices("left_hand_middle_tip")[0]])


def test_a_joint_is_unseen_when_a_part_of_it_is_and_only_then():
    xyz = frames()
    xyz[:, HOLISTIC_75.indices("left_shoulder")] = np.nan
    unseen = np.isnan(JointMap(HOLISTIC_75, OPENPOSE_18.joints)(xyz)).any(axis=(0, 2))
    assert {OPENPOSE_18.joints[i] for i in np.flatnonzero(unseen)} == {"neck", "left_shoulder"}


def test_a_clip_gives_its_joints_with_their_confidence():
    clip = LandmarkSequence.of(HOLISTIC_75, frames(), fps=10.0)
    clip.confidence[:, HOLISTIC_75.indices("left_shoulder")] = 0.5
    picked = clip.pick(OPENPOSE_18)
    assert picked.layout is OPENPOSE_18
    np.testing.assert_allclose(picked.confidence[:, 1], 0.75)


def test_joints_that_cannot_be_had_are_named():
    with pytest.raises(UnknownJoint, match="holistic_75 has no joint tail"):
        JointMap(HOLISTIC_75, ("nose", "tail"))
    with pytest.raises(UnknownJoint, match="sign_27 has no joint spine_base"):
        JointMap(SIGN_27, ("spine_base",))
