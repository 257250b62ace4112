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
    one = wire.read_binary(binary(seq, at_s, kind, **parts))
    text = {"type": "frame", "seq": seq, "at_s": at_s, "left_hand": None}
    other = wire.read_text(json.dumps(text | {name: part.tolist() for name, part in parts.items()}))
    assert (one.seq, one.at_s) == (other.seq, other.at_s) == (seq, at_s)
    np.testing.assert_array_equal(one.xyz, other.xyz)
    np.testing.assert_array_equal(one.confidence, other.confidence)
    split = holistic.split(one.xyz, one.confidence)
    np.testing.assert_array_equal(split["pose"], pose)
    assert split["left_hand"] is None


def test_a_picture_frame_keeps_its_bytes():
    frame = wire.read_binary(struct.pack("<IHHd", 7, 16, 0, 0.5) + b"picture")
    assert frame == wire.PictureFrame(7, 0.5, b"picture")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"short", "header of 16 bytes, got 5"),
        (struct.pack("<IHHd", 0, 2, 0, 0) + bytes(4), "ask for 544 bytes, got 20"),
        (struct.pack("<IHHd", 0, 32, 0, 0), "mean nothing"),
        (struct.pack("<IHHd", 0, 0, 1, 0), "mean nothing"),
        (struct.pack("<IHHd", 0, 18, 0, 0) + b"x", "no other flag"),
        (struct.pack("<IHHd", 0, 16, 0, 0), "and a picture"),
    ],
)
def test_binary_that_breaks_the_rules_is_refused_with_the_reason(data, says):
    with pytest.raises(InvalidMessage, match=says):
        wire.read_binary(data)


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
    ],
)
def test_text_that_breaks_the_rules_is_refused_with_the_reason(text, says):
    with pytest.raises((InvalidMessage, LandmarkError), match=says):
        wire.read_text(text)


@given(st.binary(max_size=700))
def test_any_bytes_are_a_message_or_an_error_of_ours(data):
    for read in (wire.read_binary, lambda raw: wire.read_text(raw.decode("latin-1"))):
        with contextlib.suppress(InvalidMessage, LandmarkError):
            read(data)
