"""Frames as bytes and back."""

import struct
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from signstream_client import BadFrame, Body, Frame, Picture
from signstream_client.frame import decode_frames, encode_frame, frame_text


def _rows(points: int, channels: int, width: int) -> st.SearchStrategy[tuple[tuple[float, ...], ...] | None]:
    values = st.floats(width=width, allow_nan=False, allow_infinity=False)
    row = st.tuples(*[values] * channels)
    # One row repeated with one odd one: as telling as 33 random ones, and far quicker to make.
    rows = st.builds(
        lambda one, other, at: (*[one] * at, other, *[one] * (points - at - 1)), row, row, st.integers(0, points - 1)
    )
    return st.none() | rows


JOINTS = 5


def _frames(width: int) -> st.SearchStrategy[Frame]:
    """Of one body, of its joints, or of several bodies."""
    moment = {"at_s": st.floats(allow_nan=False, allow_infinity=False), "seq": st.integers(0, 2**32 - 1)}
    parts = {"pose": _rows(33, 4, width), "left_hand": _rows(21, 3, width), "right_hand": _rows(21, 3, width)}
    value = st.floats(width=width, allow_nan=False, allow_infinity=False)
    joints = {"joints": st.tuples(*[st.none() | st.tuples(value, value, value)] * JOINTS)}
    bodies = st.builds(Body, **parts) | st.builds(Body, **joints)
    people = {"people": st.lists(bodies, min_size=2, max_size=3).map(tuple)}
    return st.one_of(*(st.builds(Frame, **moment, **told) for told in (parts, joints, people)))


@given(_frames(32))
def test_what_is_decoded_is_what_was_encoded(frame: Frame):
    assert decode_frames(encode_frame(frame), JOINTS) == [frame]


@pytest.mark.slow
@given(st.lists(_frames(32), max_size=4, unique_by=lambda frame: frame.seq), st.binary(min_size=1) | st.none())
def test_frames_that_travel_together_come_apart_again(frames: list[Frame], picture: bytes | None):
    told: list[Frame | Picture] = [*frames, *([] if picture is None else [Picture(0.5, picture)])]
    if told:
        assert decode_frames(b"".join(map(encode_frame, told)), JOINTS) == told


@pytest.mark.slow
@given(_frames(16))
def test_half_size_values_come_back_exactly_where_half_size_holds_them(frame: Frame):
    data = encode_frame(frame, float16=True)
    assert decode_frames(data, JOINTS) == [frame]
    headers = 16 * len(frame.bodies)
    assert 2 * (len(data) - headers) == len(encode_frame(frame)) - headers


@given(st.floats(0, 1e6), st.binary(min_size=1), st.integers(0, 2**32 - 1))
def test_a_picture_comes_back_to_the_byte(at_s: float, data: bytes, seq: int):
    picture = Picture(at_s, data, seq)
    assert decode_frames(encode_frame(picture)) == [picture]


@given(st.binary(max_size=120))
def test_any_bytes_are_a_frame_or_a_clear_refusal(data: bytes):
    try:
        frames = decode_frames(data, JOINTS)
    except BadFrame:
        return
    assert sum(len(encode_frame(frame)) for frame in frames) >= len(data)  # some may be half that size


def test_the_bytes_are_those_of_the_protocol():
    hand = [[0.25, 0.5, -1.0]] * 21
    expected = struct.pack("<IHHd", 7, 8, 0, 0.233) + struct.pack("<63f", *[0.25, 0.5, -1.0] * 21)
    assert encode_frame(Frame(0.233, right_hand=hand, seq=7)) == expected  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"pose": [(0.0, 0.0, 0.0)] * 33}, "pose must be 33 x 4 numbers, got 33 x 3"),
        ({"left_hand": [(0.0, 0.0, 0.0)] * 20}, "left_hand must be 21 x 3 numbers, got 20 x 3"),
        ({"right_hand": [(0.0, float("nan"), 0.0)] * 21}, "not finite"),
        ({"right_hand": ["abc"] * 21}, "right_hand must be 21 rows"),
        ({"joints": [(0.0, 0.0)]}, "joints must be rows of 3 numbers, or None"),
        ({"joints": [(0.0, float("nan"), 0.0)]}, "not finite"),
        ({"joints": [None], "left_hand": [(0.0, 0.0, 0.0)] * 21}, "joints, or pose and hands"),
        ({"people": [Body()], "left_hand": [(0.0, 0.0, 0.0)] * 21}, "or people; not both"),
        ({"at_s": float("inf")}, "at_s must be a finite"),
        ({"seq": 2**32}, "unsigned 32-bit"),
    ],
)
def test_a_frame_that_breaks_the_rules_is_refused_with_the_numbers(parts: dict, told: str):
    with pytest.raises(BadFrame, match=told):
        Frame(**({"at_s": 0.0} | parts))


def test_a_value_that_half_size_cannot_hold_is_refused():
    with pytest.raises(BadFrame, match="float16"):
        encode_frame(Frame(0.0, left_hand=((1e6, 0.0, 0.0),) * 21), float16=True)


def test_json_has_no_word_for_several_peoples_joints():
    with pytest.raises(BadFrame, match="float32"):
        frame_text(Frame(0.0, people=(Body(joints=(None,)), Body(joints=(None,)))))


def test_mediapipes_result_is_taken_as_it_is():
    point = SimpleNamespace(x=0.1, y=0.2, z=0.3, visibility=0.4)
    results = SimpleNamespace(
        pose_landmarks=SimpleNamespace(landmark=[point] * 33),
        left_hand_landmarks=None,
        right_hand_landmarks=SimpleNamespace(landmark=[point] * 21),
    )
    frame = Frame.of_holistic(results, 1.5)
    assert frame == Frame(1.5, ((0.1, 0.2, 0.3, 0.4),) * 33, None, ((0.1, 0.2, 0.3),) * 21)
