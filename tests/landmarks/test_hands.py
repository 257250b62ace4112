"""Models of one hand, in frames of a body or of a hand."""

import numpy as np
import pytest

from landmarks import (
    HAND_21,
    HOLISTIC_75,
    INDEX_TIP,
    POSE_33,
    SHREC_20,
    SHREC_22,
    SIGN_27,
    UnknownJoint,
    cut_whole,
    cutters,
    holistic,
)
from tests.fakes import manifest, signer

BODY, EITHER = [None], ["left", "right"]


@pytest.mark.parametrize(
    ("model", "frames", "hands"),
    [
        (HAND_21, HOLISTIC_75, EITHER),
        (INDEX_TIP, HOLISTIC_75, EITHER),
        (INDEX_TIP, SIGN_27, EITHER),
        (SIGN_27, HOLISTIC_75, BODY),
        (HAND_21, HAND_21, BODY),
        (INDEX_TIP, HAND_21, BODY),
        (HAND_21, SHREC_22, BODY),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_model_of_one_hand_judges_each_hand_of_a_body(model, frames, hands):
    assert [cutter.hand for cutter in cutters(manifest(layout=model), frames)] == hands


@pytest.mark.parametrize(
    ("frames", "says"),
    [(POSE_33, "pose_33 has no joint left_hand_wrist, left_hand_thumb_cmc"), (SHREC_20, "shrec_20 has no joint wrist")],
    ids=lambda value: getattr(value, "name", None),
)
def test_what_has_no_such_hand_is_told_which_joints_are_missing(frames, says):
    with pytest.raises(UnknownJoint, match=says):
        cutters(manifest(layout=HAND_21), frames)


@pytest.mark.parametrize("hand", EITHER)
def test_a_hand_of_a_body_is_taken_by_name(hand):
    clip = signer([True, False, True])
    taken = clip.pick(HAND_21, hand)
    assert taken.layout is HAND_21
    where = holistic.PARTS[f"{hand}_hand"]
    np.testing.assert_array_equal(taken.xyz, clip.xyz[:, where])
    np.testing.assert_array_equal(taken.confidence, clip.confidence[:, where])


def test_a_hand_is_cut_from_a_body_as_it_is_from_a_recording_of_that_hand_alone():
    clip = signer([True, True, False, True, True, True], fps=12)
    model = manifest(frames=4, stride=2, fps=10, layout=HAND_21, centre=0.5)
    both = cut_whole(model, clip)
    for hand in EITHER:
        ours = [cut for cut in both if cut.hand == hand]
        alone = cut_whole(model, clip.pick(HAND_21, hand))
        assert [(cut.at_s, cut.fresh) for cut in ours] == [(cut.at_s, cut.fresh) for cut in alone]
        for mine, theirs in zip(ours, alone, strict=True):
            assert theirs.hand is None
            np.testing.assert_array_equal(mine.landmarks, theirs.landmarks)
