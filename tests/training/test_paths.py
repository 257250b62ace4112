import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training import paths

TIME = np.linspace(0, 1, 16)


def line(angle_deg, length=0.3):
    """A straight path; 0 runs to the right, 90 down."""
    angle = np.deg2rad(angle_deg)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1 - 1)[None] * (length * TIME[:, None])


def circle(turns, start=0.3, size=0.1):
    """Clockwise on the screen where turns > 0."""
    angle = 2 * np.pi * (start + turns * TIME)
    return size * np.stack([np.cos(angle), np.sin(angle)], axis=1)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (line(0), "swipe right"),
        (line(90), "swipe down"),
        (line(180), "swipe left"),
        (line(-90), "swipe up"),
        (line(20), "swipe right"),
        (line(45), ""),
        (line(0, length=0.02), ""),
        (circle(1), "circle clockwise"),
        (circle(-0.9), "circle counter-clockwise"),
        (circle(0.2, size=0.3), ""),
        (np.concatenate([line(0)[::2], line(0)[::-2]]), ""),
    ],
    ids=str,
)
def test_a_path_is_named_by_where_it_goes(path, name):
    assert paths.shown(path.astype(np.float32)) == name


def test_a_path_of_which_little_is_seen_says_nothing():
    path = line(0).astype(np.float32)
    path[:5] = np.nan
    assert paths.shown(path) is None
    path[3:5] = line(0)[3:5]
    assert paths.shown(path) == "swipe right"


def test_a_tip_that_leaps_says_nothing():
    path = line(0).astype(np.float32)
    path[8:] += (0.5, 0)
    assert paths.shown(path) is None


@given(
    angle=st.sampled_from([0, 10, 80, 180, 260]),
    turns=st.sampled_from([0.0, 0.8, -1.0]),
    quarters=st.integers(0, 3),
    mirrored=st.booleans(),
)
def test_what_a_turned_path_is_called_is_what_it_shows(angle, turns, quarters, mirrored):
    path = (circle(turns) if turns else line(angle)).astype(np.float32)
    xyz = np.concatenate([path, np.zeros((16, 1), np.float32)], axis=1)[:, None]
    seen = paths.turn(xyz, quarters, mirrored)[:, 0, :2]
    assert paths.shown(seen) == paths.turned(paths.shown(path) or "", quarters, mirrored)


def test_made_paths_show_nothing_most_of_the_time():
    random = np.random.default_rng(0)
    for make in paths.MADE:
        shown = []
        for angle in range(0, 360, 6):
            xyz = np.concatenate([line(angle), np.zeros((16, 1))], axis=1).astype(np.float32)[:, None]
            made = make(xyz, random)
            assert made.shape == xyz.shape
            assert made.dtype == np.float32
            shown.append(paths.shown(made[:, 0, :2]))
        assert shown.count("") >= 0.7 * len(shown), make.__name__


def test_a_hand_that_rests_shows_nothing():
    random = np.random.default_rng(0)
    xyz = random.uniform(0, 1, (16, 1, 3)).astype(np.float32)
    assert {paths.shown(paths.resting(xyz, random)[:, 0, :2]) for _ in range(50)} == {""}
