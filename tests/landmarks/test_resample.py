import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks import Resampler, TimeError


@dataclass(frozen=True)
class Even:
    at_s: float
    value: float
    fresh: bool


def through(resampler, frames):
    """Frames (at_s, value), pushed one by one."""
    return [even for at_s, value in frames for even in block(resampler, [(at_s, value)])]


def block(resampler, frames):
    """Frames (at_s, value), pushed at once."""
    values = np.array([value for _, value in frames], np.float32)[:, None, None]
    return [
        Even(at_s, float(value[0, 0]), run.fresh and i == 0)
        for run in resampler.push([at_s for at_s, _ in frames], values)
        for i, (at_s, value) in enumerate(zip(run.at_s, run.values, strict=True))
    ]


@pytest.mark.parametrize("rate", [15, 30, 60])
def test_a_frame_on_the_grid_passes_unchanged(rate):
    frames = [(k / rate, math.nan if k % 7 == 0 else 1e3 * math.sin(k)) for k in range(80)]
    on_grid = [np.float32(value) for _, value in frames[:: rate // 15]]
    for out in (through(Resampler(15), frames), block(Resampler(15), frames)):
        assert [round(f.at_s * 15, 6) for f in out] == list(range(len(on_grid)))
        np.testing.assert_array_equal([f.value for f in out], on_grid)


@given(st.lists(st.floats(0.005, 0.2), min_size=1, max_size=60), st.sampled_from([5.0, 15.0, 30.0, 60.0]))
def test_a_straight_line_stays_one_at_any_rate(steps, fps):
    times = np.cumsum([0.0, *steps])
    out = through(Resampler(fps, max_gap_s=1), [(t, 3 * t) for t in times.tolist()])
    assert len(out) == int((times[-1] + 1e-6) * fps) + 1
    np.testing.assert_allclose([f.at_s for f in out], np.arange(len(out)) / fps, atol=1e-9)
    np.testing.assert_allclose([f.value for f in out], [3 * f.at_s for f in out], atol=1e-4)


def test_between_a_seen_and_an_unseen_joint_the_nearer_frame_decides():
    out = through(Resampler(10), [(0.0, 1.0), (0.4, np.nan)])
    assert np.isnan([f.value for f in out]).tolist() == [False, False, True, True, True]


def test_a_long_gap_starts_a_new_grid():
    out = through(Resampler(10, max_gap_s=0.5), [(0.0, 1.0), (0.1, 2.0), (0.73, 9.0), (0.83, 8.0)])
    assert [(round(f.at_s, 6), f.fresh) for f in out] == [(0.0, True), (0.1, False), (0.73, True), (0.83, False)]


@pytest.mark.parametrize("wrong", [0.1, 0.05, float("nan"), float("inf")])
def test_time_that_does_not_grow_is_refused_and_changes_nothing(wrong):
    resampler = Resampler(10)
    through(resampler, [(0.0, 0.0), (0.1, 1.0)])
    with pytest.raises(TimeError):
        through(resampler, [(wrong, 5.0)])
    assert through(resampler, [(0.2, 2.0)])[0].value == pytest.approx(2.0)


def test_values_handed_out_are_copies():
    resampler, frames = Resampler(10), np.zeros((1, 1, 1), np.float32)
    (run,) = resampler.push([0.0], frames)
    frames[:] = 7
    assert run.values[0, 0, 0] == 0
    (run,) = resampler.push([0.1], np.ones((1, 1, 1), np.float32))
    assert run.values[0, 0, 0] == 1
    frames = np.full((1, 1, 1), 2, np.float32)
    (run,) = resampler.push([0.2], frames)
    frames[:] = 7
    assert run.values[0, 0, 0] == 2
    (run,) = resampler.push([0.35], np.full((1, 1, 1), 5, np.float32))
    assert run.values[0, 0, 0] == pytest.approx(4)


@given(
    st.lists(st.tuples(st.floats(0.003, 1.0), st.floats(-1, 1) | st.just(math.nan)), min_size=1, max_size=40),
    st.lists(st.integers(1, 12), min_size=40, max_size=40),
    st.sampled_from([5.0, 15.0, 60.0]),
)
def test_how_frames_are_parcelled_makes_no_difference_to_the_bit(steps, sizes, fps):
    times = np.cumsum([step for step, _ in steps]).tolist()
    frames = list(zip(times, [value for _, value in steps], strict=True))
    parcelled, resampler, at = [], Resampler(fps), 0
    for size in sizes:
        parcelled += block(resampler, frames[at : at + size]) if frames[at : at + size] else []
        at += size
    one_by_one = through(Resampler(fps), frames)
    assert repr(parcelled) == repr(one_by_one)
