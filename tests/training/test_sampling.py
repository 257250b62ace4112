import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.sampling import NOTHING, bins, gather, loop, pad, segments, segments_test, subset, windows

LENGTH, FRAMES = st.integers(1, 90), st.integers(1, 40)


def seeded(seed=0):
    return np.random.default_rng(seed)


@given(LENGTH, FRAMES, st.integers(0, 1000))
def test_every_rule_gives_as_many_frames_of_the_clip_as_asked(length, frames, seed):
    rules = [
        loop(length, frames),
        segments(length, frames),
        segments(length, frames, seeded(seed)),
        bins(length, frames),
        bins(length, frames, seeded(seed)),
        subset(length, frames),
        subset(length, frames, seeded(seed)),
        *segments_test(length, frames, clips=3),
    ]
    for positions in rules:
        assert positions.shape == (frames,)
        assert positions.min() >= 0
        assert positions.max() < length


@given(LENGTH, FRAMES, st.integers(0, 1000))
def test_drawn_frames_are_in_order_and_new_where_there_are_enough(length, frames, seed):
    long_enough = length + frames
    for rule in (segments, bins, subset):
        assert (np.diff(rule(long_enough, frames, seeded(seed))) > 0).all()
        assert (np.diff(rule(long_enough, frames)) > 0).all()
    assert (np.diff(subset(length, frames, seeded(seed))) >= 0).all()


@given(FRAMES, st.integers(2, 6), st.integers(0, 1000))
def test_a_segment_gives_one_frame_each(frames, times, seed):
    length = frames * times + seed % frames
    edges = np.arange(frames + 1) * length // frames
    for positions in (
        segments(length, frames, seeded(seed)),
        segments(length, frames),
        segments_test(length, frames, 2)[1],
    ):
        assert (edges[:-1] <= positions).all()
        assert (positions < edges[1:]).all()


def test_every_frame_of_a_segment_and_every_start_of_a_loop_is_drawn():
    random = seeded()
    assert {int(segments(12, 4, random)[1]) for _ in range(100)} == {3, 4, 5}
    assert {int(segments(5, 8, random)[0]) for _ in range(100)} == set(range(5))
    assert {int(bins(11, 3, random)[2]) for _ in range(100)} == {6, 7, 8}  # 9 and 10 are the tail
    skipping = {tuple(segments(5, 4, random)) for _ in range(200)}
    assert skipping == {(1, 2, 3, 4), (0, 2, 3, 4), (0, 1, 3, 4), (0, 1, 2, 4), (0, 1, 2, 3)}


def test_middles():
    np.testing.assert_array_equal(segments(12, 4), [1, 4, 7, 10])
    np.testing.assert_array_equal(segments(2, 4), [0, 0, 1, 1])
    np.testing.assert_array_equal(bins(11, 3), [1, 4, 7])
    np.testing.assert_array_equal(bins(2, 4), [0, 0, 1, 1])
    np.testing.assert_array_equal(subset(7, 3), [0, 2, 4])


def test_test_clips_are_the_published_draws():
    # The legacy generator's, asked as the published code asks it.
    np.random.seed(255)
    expected = []
    for _ in range(3):
        np.random.rand()
        np.random.randint(1)
        edges = np.array([i * 250 // 100 for i in range(101)])
        expected.append(edges[:-1] + np.random.randint(np.diff(edges)))
    np.testing.assert_array_equal(segments_test(250, 100, clips=3), expected)
    without = segments_test(250, 100, clips=3, interval=False)
    assert (without != expected).any()
    np.testing.assert_array_equal(segments_test(250, 100, clips=3), segments_test(250, 100, clips=10)[:3])


def test_short_test_clips_are_looped_from_even_starts():
    np.testing.assert_array_equal(segments_test(20, 30, clips=10)[:, 0], np.arange(10) * 2)
    np.testing.assert_array_equal(
        segments_test(4, 6, clips=3), [[0, 1, 2, 3, 0, 1], [1, 2, 3, 0, 1, 2], [2, 3, 0, 1, 2, 3]]
    )
    np.testing.assert_array_equal(segments_test(3, 3, clips=5), np.tile(np.arange(3), (5, 1)))
    np.testing.assert_array_equal(segments_test(2, 4, clips=5)[:, 0], [0, 1, 0, 1, 0])


def test_test_clips_leave_the_global_generator_alone():
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    segments_test(250, 100)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_windows_lie_within_the_clip():
    np.testing.assert_array_equal(windows(7, 3, 2), [[0, 1, 2], [2, 3, 4], [4, 5, 6]])
    assert windows(2, 3).shape == (0, 3)
    assert len(windows(30, 25)) == 6


def test_a_clip_is_looped_or_padded_on_either_side():
    np.testing.assert_array_equal(loop(3, 7), [0, 1, 2, 0, 1, 2, 0])
    np.testing.assert_array_equal(loop(9, 3), [0, 1, 2])
    np.testing.assert_array_equal(pad(3, 5), [0, 1, 2, NOTHING, NOTHING])
    np.testing.assert_array_equal(pad(3, 5, at_end=False), [NOTHING, NOTHING, 0, 1, 2])
    np.testing.assert_array_equal(pad(5, 3), [0, 1, 2])
    np.testing.assert_array_equal(pad(5, 3, at_end=False), [2, 3, 4])


def test_a_short_clip_is_filled_with_all_its_frames():
    counts = np.bincount(subset(4, 10, seeded()), minlength=4)
    assert counts.sum() == 10
    assert set(counts) == {2, 3}


def test_gathered_frames_are_nan_where_there_is_nothing():
    xyz = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    window = gather(xyz, pad(2, 3))
    np.testing.assert_array_equal(window[:2], xyz)
    assert np.isnan(window[2]).all()
    window[:] = 0
    assert xyz.any()
    assert gather(xyz, windows(2, 1)).shape == (2, 1, 2, 3)


@pytest.mark.parametrize("rule", [loop, pad, windows, segments, segments_test, bins, subset])
@pytest.mark.parametrize(("length", "frames"), [(0, 3), (3, 0)])
def test_no_frames_are_refused(rule, length, frames):
    with pytest.raises(ValueError, match="at least"):
        rule(length, frames)
