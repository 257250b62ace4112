"""Frames as bytes and back."""

import struct
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from signstream_client import BadFrame, Frame, Picture
from signstream_client.frame import decode_frame, encode_frame


def _rows(points: int, channels: int, width: int) -> st.SearchStrategy[tuple[tuple[float, ...], ...] | None]:
    values = st.floats(width=width, allow_nan=False, allow_infinity=False)
    row = st.tuples(*[values] * channels)
    # One row repeated with one odd one: as telling as 33 random ones, and far quicker to make.
    rows = st.builds(
        lambda one, other, at: (*[one] * at, other, *[one] * (points - at - 1)), row, row, st.integers(0, points - 1)
    )
    return st.none() | rows


def _frames(width: int) -> st.SearchStrategy[Frame]:
    return st.builds(
        Frame,
        at_s=st.floats(allow_nan=False, allow_infinity=False),
        pose=_rows(33, 4, width),
        left_hand=_rows(21, 3, width),
        right_hand=_rows(21, 3, width),
        seq=st.integers(0, 2**32 - 1),
    )


@given(_frames(32))
def test_what_is_decoded_is_what_was_encoded(frame: Frame):
    assert decode_frame(encode_frame(frame)) == frame


@given(_frames(16))
def test_half_size_values_come_back_exactly_where_half_size_holds_them(frame: Frame):
    data = encode_frame(frame, float16=True)
    assert decode_frame(data) == frame
    assert 2 * (len(data) - 16) == len(encode_frame(frame)) - 16


@given(st.floats(0, 1e6), st.binary(min_size=1), st.integers(0, 2**32 - 1))
def test_a_picture_comes_back_to_the_byte(at_s: float, data: bytes, seq: int):
    picture = Picture(at_s, data, seq)
    assert decode_frame(encode_frame(picture)) == picture


@given(st.binary(max_size=120))
def test_any_bytes_are_a_frame_or_a_clear_refusal(data: bytes):
    try:
        frame = decode_frame(data)
    except BadFrame:
        return
    half = isinstance(frame, Frame) and data[4] & 1 == 1
    assert len(encode_frame(frame, float16=half)) == len(data)


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


def test_mediapipes_result_is_taken_as_it_is():
    point = SimpleNamespace(x=0.1, y=0.2, z=0.3, visibility=0.4)
    results = SimpleNamespace(
        pose_landmarks=SimpleNamespace(landmark=[point] * 33),
        left_hand_landmarks=None,
        right_hand_landmarks=SimpleNamespace(landmark=[point] * 21),
    )
    frame = Frame.of_holistic(results, 1.5)
    assert frame == Frame(1.5, ((0.1, 0.2, 0.3, 0.4),) * 33, None, ((0.1, 0.2, 0.3),) * 21)
