import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks import Resampler, TimeError


def through(resampler, frames):
    return [out for at_s, value in frames for out in resampler.push(at_s, np.array([[value]], np.float32))]


def test_a_stream_at_the_grids_own_rate_passes_unchanged():
    frames = [(k / 15, float(k)) for k in range(20)]
    out = through(Resampler(15), frames)
    assert [(round(f.at_s * 15), float(f.values[0, 0])) for f in out] == [
        (k, pytest.approx(k, abs=1e-4)) for k in range(20)
    ]


@given(st.lists(st.floats(0.005, 0.2), min_size=1, max_size=60), st.sampled_from([5.0, 15.0, 30.0, 60.0]))
def test_a_straight_line_stays_one_at_any_rate(steps, fps):
    times = np.cumsum([0.0, *steps])
    out = through(Resampler(fps, max_gap_s=1), [(t, 3 * t) for t in times.tolist()])
    assert len(out) == int((times[-1] + 1e-6) * fps) + 1
    np.testing.assert_allclose([f.at_s for f in out], np.arange(len(out)) / fps, atol=1e-9)
    np.testing.assert_allclose([f.values[0, 0] for f in out], [3 * f.at_s for f in out], atol=1e-4)


def test_between_a_seen_and_an_unseen_joint_the_nearer_frame_decides():
    out = through(Resampler(10), [(0.0, 1.0), (0.4, np.nan)])
    assert np.isnan([f.values[0, 0] for f in out]).tolist() == [False, False, True, True, True]


def test_a_long_gap_starts_a_new_grid():
    out = through(Resampler(10, max_gap_s=0.5), [(0.0, 1.0), (0.1, 2.0), (0.73, 9.0), (0.83, 8.0)])
    assert [(round(f.at_s, 6), f.fresh) for f in out] == [(0.0, True), (0.1, False), (0.73, True), (0.83, False)]


@pytest.mark.parametrize("wrong", [0.1, 0.05, float("nan"), float("inf")])
def test_time_that_does_not_grow_is_refused_and_changes_nothing(wrong):
    resampler = Resampler(10)
    through(resampler, [(0.0, 0.0), (0.1, 1.0)])
    with pytest.raises(TimeError):
        through(resampler, [(wrong, 5.0)])
    assert float(through(resampler, [(0.2, 2.0)])[0].values[0, 0]) == pytest.approx(2.0)


def test_values_handed_out_are_copies():
    frame = np.zeros((1, 1), np.float32)
    out = Resampler(10).push(0.0, frame)
    frame[:] = 7
    assert out[0].values[0, 0] == 0
