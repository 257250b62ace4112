"""How many live streams are served well, as the bench finds it."""

import pytest

from bench.live import Found, search


def served(sessions: int, most: int) -> Found:
    """By a server that is good for `most` streams."""
    return Found(sessions, 1.0, 2.0 if sessions <= most else 200.0, 0.0, 0.0, 0.0, 0.0, 0.0, lost=0)


@pytest.mark.parametrize("most", [0, 1, 3, 49, 50, 51, 173, 900])
@pytest.mark.parametrize("given", [[], [1, 50, 200], [500]])
def test_the_most_streams_are_found_to_a_twentieth(most, given):
    found = [served(sessions, most) for sessions in given]
    found += search(lambda sessions: served(sessions, most), found)
    best = max((one.sessions for one in found if one.good), default=0)
    assert most - max(1, most // 20) <= best <= most


def test_a_lost_frame_is_not_served_well():
    assert not Found(1, 1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, lost=1).good
