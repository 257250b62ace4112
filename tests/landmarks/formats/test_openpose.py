import json

import numpy as np
import pytest

from landmarks import BODY_25, HOLISTIC_75, FormatError, LandmarkError, NoFrames, formats
from landmarks.formats import Given, openpose
from tests.fakes import signer
from tests.recordings import openpose_frames, openpose_person, openpose_zip, zipped

CLIP = signer([True, False, True], fps=30)
FRAMES = openpose_frames(CLIP, 640, 480)
SHARED = [joint for joint in HOLISTIC_75.joints if joint in BODY_25 or "_hand_" in joint]
AT = HOLISTIC_75.indices(*SHARED)
NUMBERED = {str(i): frame for i, frame in enumerate(FRAMES)}
FORMS = {
    "list": json.dumps(FRAMES).encode(),
    "lines": "\n".join(json.dumps(frame) for frame in FRAMES).encode(),
    "frames": json.dumps({"frames": FRAMES, "width": 640, "height": 480, "fps": 30}).encode(),
    "by number": json.dumps(
        {"width": 640, "height": 480, "frames": {str(i): f for i, f in enumerate(FRAMES)}}
    ).encode(),
    "zip": openpose_zip(FRAMES),
}


def test_one_file_is_one_frame():
    clip = formats.read(json.dumps(FRAMES[0]).encode())
    assert len(clip) == 1


@pytest.mark.parametrize("form", FORMS)
def test_joints_come_by_name_whatever_the_frames_are_in(form):
    assert formats.sniff(FORMS[form]) == "openpose"
    clip = formats.read(FORMS[form])
    assert clip.layout == HOLISTIC_75
    assert clip.fps == pytest.approx(30)
    seen = CLIP.seen[:, AT]
    np.testing.assert_array_equal(clip.seen[:, AT], seen)
    got, want = clip.square().xyz[:, AT][seen], CLIP.square().xyz[:, AT][seen]
    unit = want[0, 0] / got[0, 0]
    assert unit == pytest.approx(1) or form in ("list", "lines", "zip")  # these do not say the picture's size
    np.testing.assert_allclose(got[:, :2] * unit, want[:, :2], rtol=1e-4)
    assert (got[:, 2] == 0).all()
    np.testing.assert_allclose(clip.confidence[:, AT], np.where(seen, CLIP.confidence[:, AT], 0), rtol=1e-6)


def test_what_mediapipe_lacks_is_left_out_and_what_openpose_lacks_is_unseen():
    clip = formats.read(FORMS["frames"])
    rest = np.setdiff1d(np.arange(75), AT)
    assert len(rest) == 75 - len(SHARED) > 0
    assert not clip.seen[:, rest].any()


def test_without_a_size_pixels_are_square_and_shares_are_shares():
    pixels = formats.read(json.dumps(FRAMES).encode(), Given(aspect=1.5))
    assert pixels.aspect == 1
    assert np.nanmax(pixels.xyz) == 1
    shares = formats.read(json.dumps(openpose_frames(CLIP)).encode(), Given(aspect=1.5))
    assert shares.aspect == 1.5
    np.testing.assert_allclose(shares.xyz[:, AT, :2], CLIP.xyz[:, AT, :2], rtol=1e-6)


def test_cocos_eighteen_joints_are_read():
    body = [0.0] * 54
    body[4 * 3 : 4 * 3 + 3] = [0.25, 0.5, 0.75]  # right wrist
    clip = formats.read(json.dumps({"people": [{"pose_keypoints_2d": body}]}).encode())
    assert clip.seen.sum() == 1
    wrist = HOLISTIC_75.indices("right_wrist")[0]
    assert clip.xyz[0, wrist].tolist() == [0.25, 0.5, 0.0]
    assert clip.confidence[0, wrist] == 0.75


def test_the_surest_person_is_followed_whoever_is_listed_first():
    here, there = np.full((75, 3), 0.25, np.float32), np.full((75, 3), 0.75, np.float32)
    sure, unsure = np.full(75, 0.9, np.float32), np.full(75, 0.3, np.float32)
    frames = [
        {"people": [openpose_person(there, unsure), openpose_person(here, sure)]},
        {"people": []},
        {"people": [openpose_person(there, sure), openpose_person(here + 0.05, unsure)]},
    ]
    clip = formats.read(json.dumps(frames).encode())
    assert clip.seen.any(axis=1).tolist() == [True, False, True]
    np.testing.assert_allclose(clip.xyz[[0, 2], 0, 0], [0.25, 0.3], rtol=1e-6)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'{"people": 3}', 'frame 0: a frame must be an object with a list "people"'),
        (b'[{"people": []}, 7]', "frame 1: a frame must be"),
        (b'{"people": [7]}', "a person must be an object"),
        (b'{"people": [{"pose_keypoints_2d": [1, 2, 3]}]}', "needs 75 or 54 numbers"),
        (b'{"people": [{"hand_left_keypoints_2d": {"a": 1}}]}', "must be a list of numbers"),
        (b'{"people": [{"pose_keypoints_2d": [[1], [2, 3]]}]}', "must be a list of numbers"),
        (b'{"people": [{"pose_keypoints_2d": [' + b"1" * 400 + b"]}]}", "must be a list of numbers"),
        (b'{"people": [' + b"{}," * 100 + b"{}]}", "101 people are over the limit of 100"),
        (b'{"frames": {"first": {"people": []}}}', "must be numbers"),
        (b'{"frames": "people", "people": []}', "must be a list"),
        (b'{"fps": "people", "people": []}', "fps must be a number"),
        (b'{"width": 1e301, "people": []}', "width must be a number"),
        (b'{"people": [', "cannot be read"),
        (zipped({"a.json": b"{torn"}), "cannot be read"),
        (zipped({"a.json": b"[]"}), "frame 0: a frame must be"),
        (FORMS["zip"][:-30], "the zip cannot be read"),
        (zipped({"a.json": bytes(openpose.MAX_FRAME_BYTES + 1)}), "unpacks to over"),
    ],
)
def test_what_is_broken_is_refused_with_the_reason(data, says):
    assert formats.sniff(data) == "openpose"
    with pytest.raises(FormatError, match=says):
        formats.read(data)


def test_an_encrypted_zip_is_refused():
    data = bytearray(FORMS["zip"])
    for magic, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        first = data.find(magic)
        while first >= 0:
            data[first + at] |= 1
            first = data.find(magic, first + 4)
    with pytest.raises(LandmarkError, match="cannot be read"):
        formats.read(bytes(data))


def test_no_frames_say_so():
    with pytest.raises(NoFrames):
        formats.read(b'{"frames": [], "people": []}')
