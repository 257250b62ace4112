import numpy as np
import pytest

from landmarks import SHREC_20, SHREC_22, FormatError, NoFrames, formats
from landmarks.formats import Given
from tests.recordings import shrec_lines

RANDOM = np.random.default_rng(0)
WORLD = RANDOM.normal(size=(5, 22, 3)).astype(np.float32)
LEAP = RANDOM.normal(size=(4, 20, 7)).astype(np.float32)


def test_shrec_17_has_22_joints():
    data = shrec_lines(WORLD)
    assert formats.sniff(data) == "shrec"
    clip = formats.read(data, Given(fps=50))
    assert clip.layout == SHREC_22
    np.testing.assert_array_equal(clip.xyz, WORLD)
    assert (clip.aspect, round(clip.fps)) == (1, 50)


@pytest.mark.parametrize("ending", [b"", b";", b";\n", b"\r\n\r\n"])
def test_shrec_21_has_20_joints_and_turns_that_are_not_read(ending):
    data = shrec_lines(LEAP, ";").replace(b"\n", ending.strip(b"\r\n") + b"\n") + ending
    assert formats.sniff(data) == "shrec"
    clip = formats.read(data)
    assert clip.layout == SHREC_20
    np.testing.assert_array_equal(clip.xyz, LEAP[..., :3])


def test_nan_was_not_seen():
    points = WORLD.copy()
    points[1, 3] = np.nan
    clip = formats.read(shrec_lines(points))
    assert clip.seen.sum() == 5 * 22 - 1


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (shrec_lines(WORLD) + b"\n1 2 3", "line 6 has 3 numbers"),
        (shrec_lines(WORLD) + b"\n" + shrec_lines(LEAP, ";"), "line 6 has 140 numbers, the first has 66"),
        (shrec_lines(WORLD).replace(b"\n", b"\n1e e ", 1), "line 2 has 68 numbers"),
        (shrec_lines(WORLD[:1]) + b"\n" + b"1e " * 66, "line 2: could not convert"),
    ],
)
def test_what_is_broken_is_refused_with_the_line(data, says):
    with pytest.raises(FormatError, match=says):
        formats.read(data)


def test_other_numbers_are_not_shrecs():
    assert formats.sniff(shrec_lines(WORLD[:, :21])) is None
    assert formats.sniff(b"1;2;3") is None


def test_too_many_frames_are_refused(monkeypatch):
    monkeypatch.setattr("landmarks.holistic.MAX_FRAMES", 4)
    with pytest.raises(FormatError, match="over the limit of 4"):
        formats.read(shrec_lines(WORLD))


def test_nothing_but_blank_lines_has_no_frames():
    with pytest.raises(NoFrames):
        formats.shrec.read(b"\n\n", Given())
