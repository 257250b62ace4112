import numpy as np
import pytest

from landmarks import NTU_25, FormatError, NoFrames, NoPerson, formats
from landmarks.formats import Given, ntu
from tests.recordings import ntu_file, person_25


def body(first, frames, **kwargs):
    return range(first, first + frames), person_25(frames, **kwargs)


def found(frames, *bodies):
    """The actors of a file of so many frames: what each shows, as (first frame, last frame, x of the first joint)."""
    data = ntu_file(frames, [(f"7205{i}", at, xyz) for i, (at, xyz) in enumerate(bodies)])
    people = ntu.actors(ntu.read_bodies(data))
    return [(int(p.frames[0]), int(p.frames[-1]), len(p), round(float(-p.xyz[0, 0, 0]))) for p in people]


def test_a_body_is_read_in_a_pictures_directions():
    at, xyz = body(2, 20)
    data = ntu_file(25, [("a", at, xyz)])
    assert formats.sniff(data) == "ntu-skeleton"
    clip = formats.read(data)
    assert clip.layout == NTU_25
    np.testing.assert_allclose(clip.xyz, xyz, rtol=1e-6)
    np.testing.assert_allclose(clip.at_s, np.arange(2, 22) / 30)
    assert (clip.aspect, clip.confidence.min()) == (1, 1)


def test_a_joint_that_was_inferred_is_half_sure_and_one_not_tracked_is_unseen():
    data = ntu_file(1, [("a", *body(0, 1))]).splitlines()
    data[4], data[5] = data[4][:-1] + b"1", data[5][:-1] + b"0"
    clip = formats.read(b"\r\n".join(data))
    assert clip.confidence[0, :3].tolist() == [0.5, 0, 1]
    assert clip.seen[0, :3].tolist() == [True, False, True]


def test_one_body_is_the_actor_however_short_or_wide():
    assert found(5, body(0, 5, wide=3)) == [(0, 4, 5, 0)]


def test_short_bodies_are_noise_beside_others():
    assert found(30, body(0, 30), body(3, 11, at=5)) == [(0, 29, 30, 0)]
    assert len(found(30, body(0, 30), body(3, 12, at=5))) == 2


def test_wide_bodies_are_noise_beside_others_and_wide_frames_are_cut():
    assert found(30, body(0, 30), body(0, 30, at=5, wide=0.9)) == [(0, 29, 30, 0)]
    assert len(found(30, body(0, 30), body(0, 30, at=5, wide=0.7))) == 2
    at, xyz = body(0, 30)
    xyz[4:9, :, 0] *= 4
    assert found(30, (at, xyz), body(0, 30, at=5, seed=1))[0][2] == 25


def test_who_moves_most_comes_first():
    at, xyz = body(0, 30)
    quick = xyz + np.linspace(0, 2, 30, dtype=np.float32)[:, None, None]
    assert [person[3] for person in found(30, (at, xyz + np.float32([9, 0, 0])), (at, quick))] == [0, 9]


def test_a_body_lost_and_found_is_one_actor():
    again = (range(40, 60), person_25(20, at=3))
    assert found(60, body(0, 40), again) == [(0, 59, 60, 0)]
    # A third body beside the first actor, and after the second, is the second again.
    assert found(90, body(0, 90, wide=0.6), body(0, 40, at=5), (range(41, 90), person_25(49, at=7))) == [
        (0, 89, 90, 0),
        (0, 89, 89, 5),
    ]


def test_all_at_once_leaves_two():
    assert len(found(30, *(body(0, 30, at=2 * i, seed=i) for i in range(4)))) == 2


def test_frames_of_zeros_are_left_out():
    at, xyz = body(0, 20)
    xyz[5:8] = 0
    assert found(20, (at, xyz)) == [(0, 19, 17, 0)]


WHOLE = ntu_file(3, [("a", *body(0, 3))])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"3\n1\n", "ends after line 2"),
        (WHOLE[: len(WHOLE) // 2], "line|ends"),
        (WHOLE.replace(b"25", b"24", 1), "needs 25 joints, got 24"),
        (WHOLE.replace(b"3\n1\n", b"3\n101\n"), "101 bodies are over the limit"),
        (WHOLE.replace(b"3\n1\n", b"9999999\n1\n"), "frames are over the limit"),
        (WHOLE.replace(b" 2\n", b" 5\n"), "the state 0, 1 or 2"),
        (WHOLE.replace(b"0.5 0.5", b"half 0.5").replace(b"25\n", b"25\nnan nan "), "coordinates must be finite"),
        (WHOLE.replace(b"25\n", b"25\nleft ", 1), "must hold a joint"),
    ],
)
def test_what_is_broken_is_refused_with_the_line(data, says):
    assert formats.sniff(data) == "ntu-skeleton"
    with pytest.raises(FormatError, match=says):
        formats.read(data)


def test_no_frames_and_nobody_say_so():
    with pytest.raises(NoFrames):
        formats.read(b"0\n0\n")
    with pytest.raises(NoPerson):
        formats.ntu.read(b"2\n0\n0\n", Given())
