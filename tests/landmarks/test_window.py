import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks import Window


@given(st.integers(1, 8), st.integers(0, 30))
def test_a_window_is_a_slice_of_the_stream_with_nan_before_its_start(frames, pushed):
    stream = np.arange(pushed * 6, dtype=np.float32).reshape(pushed, 2, 3)
    window = Window(frames, joints=2)
    for values in stream:
        window.push(values)
    padded = np.concatenate([np.full((frames, 2, 3), np.nan, np.float32), stream])
    np.testing.assert_array_equal(window.copy(), padded[-frames:])


def test_later_pushes_leave_a_copy_alone():
    window = Window(2, joints=1, channels=1)
    window.push(np.array([[1.0]], np.float32))
    copy = window.copy()
    window.push(np.array([[2.0]], np.float32))
    assert copy[-1, 0, 0] == 1.0


def test_clearing_forgets():
    window = Window(2, joints=1)
    window.push(np.ones((1, 3), np.float32))
    window.clear()
    assert np.isnan(window.copy()).all()
    assert window.pushed == 0


def test_a_window_needs_a_frame():
    with pytest.raises(ValueError, match="at least 1"):
        Window(0, joints=1)
