import contextlib
import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from landmarks import LandmarkError, holistic
from service import wire
from service.errors import InvalidMessage

points = st.floats(-2, 2, width=16)


def read(raw, **session):
    """The one message that comes of it."""
    (one,) = wire.Reader(**session).read(raw)
    return one


def binary(seq, at_s, kind, **parts):
    flags = 1 if kind == "<f2" else 0
    body = b""
    for name, flag in (("pose", 2), ("left_hand", 4), ("right_hand", 8)):
        if name in parts:
            flags |= flag
            body += parts[name].astype(kind).tobytes()
    return struct.pack("<IHHd", seq, flags, 0, at_s) + body


@given(
    seq=st.integers(0, 2**32 - 1),
    at_s=st.floats(0, 1e6),
    kind=st.sampled_from(["<f2", "<f4"]),
    pose=arrays(np.float32, (33, 4), elements=st.floats(0.125, 1, width=16)),
    hand=st.none() | arrays(np.float32, (21, 3), elements=points).filter(lambda a: a.any()),
)
def test_a_binary_frame_says_what_its_json_twin_says(seq, at_s, kind, pose, hand):
    parts = {"pose": pose} | ({} if hand is None else {"right_hand": hand})
    one = read(binary(seq, at_s, kind, **parts))
    text = {"type": "frame", "seq": seq, "at_s": at_s, "left_hand": None}
    other = read(json.dumps(text | {name: part.tolist() for name, part in parts.items()}))
    assert (one.seq, one.at_s) == (other.seq, other.at_s) == (seq, at_s)
    np.testing.assert_array_equal(one.bodies, other.bodies)
    split = holistic.split(one.bodies[0], np.ones(75, np.float32))
    np.testing.assert_array_equal(split["pose"][:, :3], pose[:, :3])
    assert split["left_hand"] is None


def test_a_picture_frame_keeps_its_bytes():
    frame = read(struct.pack("<IHHd", 7, 16, 0, 0.5) + b"picture")
    assert frame == wire.PictureFrame(7, 0.5, b"picture")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"short", "header of 16 bytes, got 5"),
        (struct.pack("<IHHd", 0, 2, 0, 0) + bytes(4), "ask for 544 bytes, got 20"),
        (struct.pack("<IHHd", 0, 64, 0, 0), "mean nothing"),
        (struct.pack("<IHHd", 0, 34, 0, 0), "joints stand instead of pose"),
        (struct.pack("<IHHd", 0, 0, 1, 0), "mean nothing"),
        (struct.pack("<IHHd", 0, 18, 0, 0) + b"x", "no other flag"),
        (struct.pack("<IHHd", 0, 16, 0, 0), "and a picture"),
        (b"", "header of 16 bytes, got 0"),
        (struct.pack("<IHHd", 0, 0, 0, 0) + b"more", "header of 16 bytes, got 4"),
        (b"".join([struct.pack("<IHHd", 0, 0, 0, 0)] * 17), "at most 16 bodies, got 17"),
    ],
)
def test_binary_that_breaks_the_rules_is_refused_with_the_reason(data, says):
    with pytest.raises(InvalidMessage, match=says):
        read(data)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not JSON"),
        ("[1]", "an object with a type"),
        ("{}", "discriminator|type"),
        ('{"type": "dance"}', "start"),
        ('{"type": "start", "modles": []}', "modles: Extra"),
        ('{"type": "start", "aspect": 0}', "aspect: .*0.1"),
        ('{"type": "start", "scores": "yes"}', "scores"),
        ('{"type": "start", "models": "signing"}', "models"),
        ('{"type": "stop", "now": true}', "now: Extra"),
        ('{"type": "frame"}', "at_s must be a number of seconds"),
        ('{"type": "frame", "at_s": true}', "at_s"),
        ('{"type": "frame", "at_s": 0, "seq": -1}', "seq must be a whole number"),
        ('{"type": "frame", "at_s": 0, "pose": [[1, 2]]}', "pose needs 33 points"),
        ('{"type": "frame", "at_s": 0, "left_hand": [["a", "b"]]}', "numbers"),
        ('{"type": "frame", "at_s": 0, "people": {}}', "a list of bodies"),
        ('{"type": "frame", "at_s": 0, "people": []}', "a list of bodies"),
        ('{"type": "frame", "at_s": 0, "joints": [[1, 2, 3]]}', "holistic_75 has 75 joints of 3 numbers"),
        ('{"type": "frame", "at_s": 0, "joints": [[1], "b"]}', "points of 3 numbers"),
    ],
)
def test_text_that_breaks_the_rules_is_refused_with_the_reason(text, says):
    with pytest.raises((InvalidMessage, LandmarkError), match=says):
        read(text)


def test_one_message_holds_several_frames_and_one_frame_several_bodies():
    pose = np.full((33, 4), 0.5, np.float32)
    bodies = [binary(7, 0.5, "<f4", pose=pose * scale) for scale in (1, 0.5)]
    later = binary(8, 0.6, "<f2", pose=pose)
    picture = struct.pack("<IHHd", 9, 16, 0, 0.7) + b"picture"
    two, one, last = wire.Reader().read(b"".join([*bodies, later, picture]))
    assert (two.seq, two.at_s, two.bodies.shape) == (7, 0.5, (2, 75, 3))
    assert two.bodies[:, 0, 0].tolist() == [0.5, 0.25]
    assert (one.seq, one.at_s, one.bodies.shape) == (8, 0.6, (1, 75, 3))
    assert last == wire.PictureFrame(9, 0.7, b"picture")
    people = [{"pose": (pose * scale).tolist()} for scale in (1, 0.5)]
    told = read(json.dumps({"type": "frame", "seq": 7, "at_s": 0.5, "people": people}))
    np.testing.assert_array_equal(told.bodies, two.bodies)


@pytest.mark.parametrize("kind", ["<f2", "<f4"])
def test_frames_may_hold_the_joints_of_another_layout(kind):
    joints = np.arange(63, dtype=np.float32).reshape(21, 3) / 64
    flags = 33 if kind == "<f2" else 32
    one = read(struct.pack("<IHHd", 1, flags, 0, 0.5) + joints.astype(kind).tobytes(), layout="hand_21")
    np.testing.assert_array_equal(one.bodies[0], joints)
    points = [None, *joints[1:].tolist()]
    other = read(json.dumps({"type": "frame", "at_s": 0.5, "joints": points}), layout="hand_21")
    np.testing.assert_array_equal(other.bodies[0, 1:], joints[1:])
    assert np.isnan(other.bodies[0, 0]).all()
    with pytest.raises(InvalidMessage, match="layout is hand_21: send its joints"):
        read(json.dumps({"type": "frame", "at_s": 0.5, "left_hand": None}), layout="hand_21")


def test_frames_of_an_even_rate_take_their_time_from_their_number():
    assert read(struct.pack("<IHHd", 45, 0, 0, 99.0), fps=30.0).at_s == 1.5
    assert read('{"type": "frame", "seq": 45}', fps=30.0).at_s == 1.5


@pytest.mark.parametrize("promised", ["json", "float32", "float16", "picture"])
def test_a_frame_of_another_encoding_than_promised_is_refused(promised):
    frames = {
        "json": '{"type": "frame", "at_s": 0}',
        "float32": struct.pack("<IHHd", 0, 0, 0, 0),
        "float16": struct.pack("<IHHd", 0, 1, 0, 0),
        "picture": struct.pack("<IHHd", 0, 16, 0, 0) + b"picture",
    }
    assert read(frames.pop(promised), encoding=promised)
    for kind, frame in frames.items():
        with pytest.raises(InvalidMessage, match=f"are {promised}, got {kind}"):
            read(frame, encoding=promised)


@given(st.binary(max_size=700))
def test_any_bytes_are_a_message_or_an_error_of_ours(data):
    for raw in (data, data.decode("latin-1")):
        with contextlib.suppress(InvalidMessage, LandmarkError):
            wire.Reader().read(raw)
