import struct

import numpy as np
import pytest

from landmarks import HOLISTIC_75, LandmarkError, NoFrames, formats
from tests.fakes import signer
from tests.recordings import pose_file, pose_header

CLIP = signer([True, False, True, True], fps=25)


@pytest.mark.parametrize(("version", "people"), [(0.1, 1), (0.2, 1), (0.2, 3)])
def test_a_clip_comes_back(version, people):
    data = pose_file(CLIP, version, people)
    assert formats.sniff(data) == "pose"
    clip = formats.read(data)
    assert clip.layout == HOLISTIC_75
    np.testing.assert_allclose(clip.xyz, CLIP.xyz, rtol=1e-5)
    np.testing.assert_array_equal(clip.confidence, CLIP.confidence)
    np.testing.assert_allclose(clip.at_s, CLIP.at_s)
    assert clip.aspect == pytest.approx(4 / 3)


@pytest.mark.parametrize(
    ("name", "frames", "fps", "aspect", "unseen"),
    [
        ("example", 97, 25, 4 / 3, ()),
        ("mediapipe", 170, 24, 1, ("nose", "left_knee")),  # eight joints of the pose are in it
        ("mediapipe_long", 278, 24, 1, ("nose", "left_knee")),
        ("openpose", 93, 24, 1, ("left_pinky", "left_ankle", "left_foot_index")),  # version 0.0
    ],
)
def test_real_files_show_a_person(data, name, frames, fps, aspect, unseen):
    content = (data / "pose" / f"{name}.pose").read_bytes()
    assert formats.sniff(content) == "pose"
    clip = formats.read(content)
    assert (len(clip), round(clip.fps, 3), round(clip.aspect, 3)) == (frames, fps, round(aspect, 3))
    seen = dict(zip(HOLISTIC_75.joints, clip.seen.mean(axis=0), strict=True))
    assert min(seen["left_shoulder"], seen["right_elbow"], seen["right_wrist"]) > 0.9
    assert seen["right_hand_index_tip"] > 0.4
    assert not any(seen[joint] for joint in unseen)
    shoulders = clip.xyz[:, HOLISTIC_75.indices("left_shoulder", "right_shoulder")]
    assert (shoulders[:, 0, 0] > shoulders[:, 1, 0]).all()  # facing the camera, not mirrored
    hand, wrist = (clip.xyz[:, HOLISTIC_75.indices(j)[0], :2] for j in ("right_hand_wrist", "right_wrist"))
    away = np.linalg.norm(hand - wrist, axis=-1)
    assert np.nanmedian(away) < 0.3 * np.nanmedian(np.linalg.norm(np.diff(shoulders, axis=1), axis=-1))


def oldest(frames, people, points):
    """Version 0.0: so many people of so many points in each frame, all zeros."""
    header = pose_header(0.0, {"pose_keypoints_2d": [f"p{i}" for i in range(points)]}, form="XYC")
    body = struct.pack("<H", people) + people * bytes(2 + 12 * points)
    return header + struct.pack("<HH", 25, frames) + frames * body


WHOLE = pose_file(CLIP)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (WHOLE[:-1], "cannot be read"),
        (WHOLE[:300], "cannot be read"),
        (pose_header(0.2, {"FACE_LANDMARKS": ["0"]}) + struct.pack("<fIH", 25, 1, 1) + bytes(16), "no component that"),
        (pose_header(0.2, {"POSE_LANDMARKS": []}) + struct.pack("<fIH", 25, 2**32 - 1, 1), "without points"),
        (pose_header(0.2, {"POSE_LANDMARKS": ["NOSE"]}, form="C") + struct.pack("<fIH", 25, 1, 1), "points XYC or"),
        (pose_header(0.2, {"POSE_LANDMARKS": ["NOSE"]}) + struct.pack("<fIH", 25, 2**32 - 1, 65535), "cannot be read"),
        (pose_header(0.1, {"POSE_LANDMARKS": ["NOSE"]}) + struct.pack("<HHH", 25, 1, 0), "cannot be read"),
        (pose_header(0.2, {"POSE_LANDMARKS": ["NOSE"]}) + struct.pack("<fIH", 0, 1, 1) + bytes(16), "fps must be"),
        (pose_header(0.2, {"POSE_LANDMARKS": ["NOSE"]}) + struct.pack("<fIH", np.nan, 1, 1) + bytes(16), "fps must be"),
        (oldest(2, 1, 25)[:-1], "ends early"),
        (oldest(1001, 100, 1), "100100 people over all frames"),
    ],
)
def test_what_is_broken_is_refused_with_the_reason(data, says):
    assert formats.sniff(data) == "pose"
    with pytest.raises(LandmarkError, match=says):
        formats.read(data)


@pytest.mark.parametrize(
    "body", [struct.pack("<fIH", 25, 0, 1), struct.pack("<fIH", 25, 2**32 - 1, 0)], ids=["no frames", "nobody"]
)
def test_no_frames_and_nobody_say_so(body):
    with pytest.raises(NoFrames):
        formats.read(pose_header(0.2, {"POSE_LANDMARKS": ["NOSE"]}) + body)
