import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks import Window


@pytest.mark.slow
@given(st.integers(1, 8), st.lists(st.integers(0, 9), max_size=6))
def test_windows_are_slices_of_the_stream_with_nan_before_its_start(frames, pushes):
    stream = np.arange(sum(pushes) * 6, dtype=np.float32).reshape(-1, 2, 3)
    padded = np.concatenate([np.full((frames - 1, 2, 3), np.nan, np.float32), stream])
    window, done = Window(frames, joints=2), 0
    for count in pushes:
        pushed = window.push(stream[done : done + count])
        for i in range(count):
            np.testing.assert_array_equal(pushed[i : i + frames], padded[done + i : done + i + frames])
        done += count
    assert window.pushed == done


def test_later_pushes_leave_a_window_alone():
    window = Window(2, joints=1, channels=1)
    first = window.push(np.array([[[1.0]]], np.float32))
    window.push(np.array([[[2.0]]], np.float32))
    assert first[-1, 0, 0] == 1.0


def test_clearing_forgets():
    window = Window(2, joints=1)
    window.push(np.ones((1, 1, 3), np.float32))
    window.clear()
    assert window.pushed == 0
    assert np.isnan(window.push(np.ones((1, 1, 3), np.float32))[0]).all()


def test_a_window_needs_a_frame():
    with pytest.raises(ValueError, match="at least 1"):
        Window(0, joints=1)
