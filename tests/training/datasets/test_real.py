"""The sets beside the checkout, as their readers give them."""

import numpy as np
import pytest

from landmarks import HAND_21, HOLISTIC_75, INDEX_TIP, KINECT_20, SHREC_20
from training import datasets
from training.datasets import asl_words, hands_static, nw_ucla, signs, utd_mhad

pytestmark = pytest.mark.slow

WRISTS = KINECT_20.indices("left_wrist", "right_wrist")


def mean(clips, *joints):
    """(joints, 3) where they are on average over all frames."""
    frames = np.concatenate([clip.sequence.xyz[:, KINECT_20.indices(*joints)] for clip in clips])
    return np.nanmean(frames, axis=0)


@pytest.fixture(scope="module")
def ucla(data):
    return nw_ucla.load(data)


@pytest.fixture(scope="module")
def utd(data):
    return utd_mhad.load(data)


def test_nw_ucla_is_whole(ucla):
    assert (len(ucla), len({clip.label for clip in ucla}), len({clip.take for clip in ucla})) == (1484, 10, 1484)
    assert {clip.person for clip in ucla} == set(range(101, 111))
    assert {clip.view for clip in ucla} == {1, 2, 3}
    assert sum(len(clip.sequence) for clip in ucla) == 58534


def test_utd_mhad_is_whole(utd):
    assert (len(utd), len({clip.label for clip in utd}), len({clip.take for clip in utd})) == (861, 27, 861)
    assert {clip.person for clip in utd} == set(range(201, 209))


def test_faces_are_as_broad_in_every_set_as_in_a_video_of_known_size(data):
    # A picture taken for narrower or wider than it was is off by a third.
    breadths = {}
    for clip in (*asl_words.load(data)[::20], *signs.load(data)[::20]):
        xyz = clip.sequence.square().xyz[..., :2]
        ears, eyes, mouth = (
            xyz[:, HOLISTIC_75.indices(*pair)]
            for pair in (("left_ear", "right_ear"), ("left_eye", "right_eye"), ("mouth_left", "mouth_right"))
        )
        high = np.linalg.norm(mouth.mean(axis=1) - eyes.mean(axis=1), axis=-1)  # (T,)
        breadths.setdefault((clip.source, clip.person), []).append(
            np.linalg.norm(ears[:, 0] - ears[:, 1], axis=-1) / high
        )
    found = {who: float(np.nanmedian(np.concatenate(each))) for who, each in breadths.items()}
    assert len(found) == 10
    assert all(1.7 < breadth < 2.0 for breadth in found.values()), found


@pytest.mark.parametrize("name", ["ucla", "utd"])
def test_kinects_bodies_stand_upright_and_face_the_camera(name, request):
    clips = request.getfixturevalue(name)
    down = ("head", "spine_shoulder", "spine_mid", "spine_base", "left_knee", "left_ankle", "left_foot")
    assert (np.diff(mean(clips, *down)[:, 1]) > 0).all()
    for part in ("shoulder", "elbow", "wrist", "hip"):
        left, right = mean(clips, f"left_{part}", f"right_{part}")
        assert left[0] > right[0]  # as a camera that does not mirror sees them
    spine, foot = mean(clips, "spine_mid", "left_foot")
    assert 2 < spine[2] < 4
    assert abs(spine[2] - foot[2]) < 0.5


@pytest.mark.parametrize("name", ["ucla", "utd"])
def test_kinects_bones_keep_their_length_better_than_other_pairs(name, request):
    frames = np.concatenate([clip.sequence.xyz for clip in request.getfixturevalue(name)])
    apart = np.linalg.norm(frames[:, :, None] - frames[:, None], axis=-1)  # (F, 20, 20)
    limbs = {child: parent for child, parent in KINECT_20.edges.tolist() if "wrist" in KINECT_20.joints[child]}
    for child, parent in limbs.items():
        spread = np.nanstd(apart[:, child], axis=0)
        hand = KINECT_20.indices(KINECT_20.joints[child].replace("wrist", "hand"))[0]
        near = np.argsort(spread)[1:3]  # the first is the joint itself
        assert set(near) == {parent, hand}


def test_utd_mhads_right_arm_makes_what_its_names_say(utd):
    for label in ("swipe left", "swipe right", "wave", "throw", "draw x", "draw triangle", "knock", "catch"):
        moves = np.mean(
            [clip.sequence.xyz[:, WRISTS].std(axis=0).sum(axis=-1) for clip in utd if clip.label == label], axis=0
        )
        assert moves[1] > 5 * moves[0], label


def test_sfinge_has_gestures_and_streams_with_events(data):
    clips = datasets.load(data, ("sfinge3d",))
    assert len(clips) == 13 * 36 == len({clip.take for clip in clips})
    assert {clip.sequence.layout for clip in clips} == {SHREC_20}
    streams = datasets.load_streams(data, ("sfinge3d",))
    assert (len(streams), sum(len(stream.events) for stream in streams)) == (36, 137)
    assert {event.label for stream in streams for event in stream.events} == {clip.label for clip in clips}
    for stream in streams:
        starts = [event.start_s for event in stream.events]
        assert starts == sorted(starts)
        assert stream.events[-1].end_s <= stream.sequence.at_s[-1] + 0.15
    first = streams[0]
    assert [(e.label, e.start_s, e.end_s) for e in first.events[:2]] == [("expand", 2.55, 4.65), ("expand", 7.75, 8.9)]


def test_letters_are_hands_without_a_pose(data):
    clips = datasets.load(data, ("asl-letters",))
    assert len(clips) == 2670
    assert {clip.label for clip in clips} >= {"a", "z", "none", "space"}
    seen = np.stack([clip.sequence.seen for clip in clips])
    assert seen.shape[1:] == (19, 75)
    assert not seen[:, :, :33].any()
    assert seen[:, :, 33].mean() == pytest.approx(0.016, abs=0.01)  # letters are made with the right hand
    assert seen[:, :, 54].mean() == pytest.approx(0.975, abs=0.01)
    assert clips[0].sequence.layout == HOLISTIC_75


def test_one_recorder_is_one_take(data):
    for name, layout, recorders in (("finger-paths", INDEX_TIP, 23), ("hand-shapes", HAND_21, 17)):
        clips = datasets.load(data, (name,))
        assert {clip.sequence.layout for clip in clips} == {layout}
        assert len({clip.person for clip in clips}) == len({clip.take for clip in clips}) == recorders


def test_copies_of_others_shapes_are_nobodys(data):
    clips = datasets.load(data, ("hand-shapes",))
    words = {(clip.person, clip.label) for clip in clips}
    assert (62, "scissor") in words
    assert not {(62, "stone"), (62, "paper")} & words  # hands-static's close and open
    rows, theirs = (
        {clip.sequence.xyz.round(3).tobytes() for clip in some} for some in (clips, hands_static.load(data))
    )
    assert not rows & theirs


def test_one_hand_is_every_hand_by_itself(data):
    clips = datasets.load(data, ("one-hand",))
    assert {clip.sequence.layout for clip in clips} == {HAND_21}
    assert len({clip.take for clip in clips}) == len(clips)
    assert {clip.person for clip in clips} == {1, 2, 11, 12, 21, 22, 23, 24, 25, 26}
    assert all(clip.sequence.seen[[0, -1]].any(axis=1).all() for clip in clips)


def test_the_smaller_file_of_static_hands_is_part_of_the_larger(data):
    rows = {name: (data / "hands-static" / f"keypoint-{name}.csv").read_text().splitlines() for name in "ab"}
    assert set(rows["a"]) < set(rows["b"])
    assert len(hands_static.load(data)) == len(rows["b"])
    paths = hands_static.load_paths(data)
    assert {clip.label for clip in paths} == {"stop", "clockwise", "counter clockwise", "move"}


def test_clockwise_is_clockwise_on_a_screen(data):
    def turn(clip):
        step = np.diff(clip.sequence.square().xyz[:, 0, :2], axis=0)
        return float(np.sum(step[:-1, 0] * step[1:, 1] - step[:-1, 1] * step[1:, 0]))  # y runs down

    turns = {
        label: [turn(clip) for clip in hands_static.load_paths(data) if clip.label == label]
        for label in ("clockwise", "counter clockwise")
    }
    assert np.nanmedian(turns["clockwise"]) > 0 > np.nanmedian(turns["counter clockwise"])
