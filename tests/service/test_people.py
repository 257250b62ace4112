"""A session whose frames hold several people."""

import numpy as np
import pytest

from landmarks import HOLISTIC_75, holistic
from landmarks.people import Crowd
from service.session import Frame, Manner, Session
from tests.fakes import RuleEngine, manifest, right_hand_seen, signer

BODY = signer([True], fps=10).xyz[0]


def in_view(hand_up, *, left, size=1.0):
    """(T, 75, 3) somebody at that place of the picture, whose right hand is up or not at each frame."""
    place = np.array([left, 0.1, 0.0], np.float32)
    hidden = np.isnan(signer(hand_up, fps=10).xyz)
    return np.where(hidden, np.nan, place + 0.2 * size * BODY).astype(np.float32)


UP, DOWN = [True] * 10, [False] * 10
NEAR = in_view(DOWN + UP + DOWN, left=0.1, size=1.5)
FAR = in_view(UP + DOWN + UP, left=0.7)


def people(session, *bodies, first=0):
    """Events of bodies (T, 75, 3) that are in view together; None where somebody is not."""
    events = []
    for i in range(first, len(bodies[0])):
        there = [body[i] for body in bodies if not np.isnan(body[i]).all()]
        events += session.push(Frame(i / 10, np.stack(there or [np.full((75, 3), np.nan, np.float32)])))
    events += [event for scored in session.judge(session.finish()) for event in session.settle(scored)]
    return events + session.close()


def told(events):
    """(person, start, end) of the events that have ended, and that ids are unique."""
    assert len({event.id for event in events}) == sum(event.state == "start" for event in events)
    return [(e.person, round(e.start_s, 2), round(e.end_s, 2)) for e in events if e.state == "end"]


def looks_for_a_hand():
    return [RuleEngine(manifest(frames=4, fps=10), right_hand_seen)]


@pytest.mark.parametrize("swap", [False, True])
def test_everybody_in_view_is_judged_alone_if_asked_for(swap):
    session = Session(looks_for_a_hand(), 1.0, Manner(follow="all"))
    bodies = [FAR, NEAR] if swap else [NEAR, FAR]
    assert sorted(told(people(session, *bodies))) == [(1, 1.0, 2.0), (2, 0.0, 1.0), (2, 2.0, 2.9)]


def test_the_largest_person_is_judged_and_no_other():
    session = Session(looks_for_a_hand(), 1.0)
    assert told(people(session, FAR, NEAR)) == [(1, 1.0, 2.0)]


def test_who_is_joined_by_somebody_stays_the_same_person():
    session = Session(looks_for_a_hand(), 1.0)
    joins = FAR.copy()
    joins[:5] = np.nan
    assert told(people(session, NEAR, joins)) == told(replay_of(NEAR)) == [(1, 1.0, 2.0)]


def replay_of(body):
    return people(Session(looks_for_a_hand(), 1.0), body)


def test_when_the_largest_leaves_their_event_ends_and_the_next_is_watched():
    leaves = NEAR.copy()
    leaves[15:] = np.nan
    session = Session(looks_for_a_hand(), 1.0, Manner(crowd=Crowd(forget_s=0.3)))
    assert told(people(session, leaves, FAR)) == [(1, 1.0, 1.4), (2, 2.0, 2.9)]


def test_a_person_who_is_judged_again_goes_on_counting_events():
    session = Session(looks_for_a_hand(), 1.0)
    away, back = in_view(UP + UP + UP, left=0.1), in_view(UP + UP + UP, left=0.7, size=1.0)
    back[10:20] = in_view([True] * 10, left=0.7, size=3.0)[:10]
    events = people(session, away, back)
    assert len({event.id for event in events}) == sum(event.state == "start" for event in events)


def test_a_reset_forgets_who_was_there():
    session = Session(looks_for_a_hand(), 1.0, Manner(follow="all"))
    first = people_until(session, 12)
    ended = session.reset()
    assert {event.person for event in [*first, *ended]} == {1, 2}
    again = people(session, NEAR, FAR)
    assert {event.person for event in again} == {3, 4}


@pytest.mark.parametrize("others", [0, 1])
def test_hands_go_to_the_wrists_that_they_are_at_if_asked_for(others):
    """A right hand that a detector calls left, or of which it does not say whose it is."""
    clip = in_view(DOWN + UP + DOWN, left=0.1)
    right, left = holistic.PARTS["right_hand"], holistic.PARTS["left_hand"]
    wrist = HOLISTIC_75.indices("right_wrist")[0]
    seen = ~np.isnan(clip[:, right]).all(axis=(1, 2))
    clip[seen, right] = clip[seen][:, [wrist]] + np.linspace(0, 0.01, 21, dtype=np.float32)[:, None]
    called, loose = clip.copy(), [clip[i, right] if seen[i] else None for i in range(len(clip))]
    called[:, left], called[:, right] = clip[:, right], np.nan
    nobodys = clip.copy()
    nobodys[:, right] = np.nan
    for bodies, hands in ((called, [None] * len(clip)), (nobodys, loose)):
        session = Session(looks_for_a_hand(), 1.0, Manner(sides=True))
        events = []
        for i, body in enumerate(bodies):
            there = np.stack([body, *[FAR[i]] * others])
            events += session.push(Frame(i / 10, there, [] if hands[i] is None else [hands[i]]))
        assert [event.start_s for event in events if event.state == "start" and event.person == 1] == [1.0]
    as_given = people(Session(looks_for_a_hand(), 1.0), called)
    assert not told(as_given)


def people_until(session, frames):
    return [e for i in range(frames) for e in session.push(Frame(i / 10, np.stack([NEAR[i], FAR[i]])))]
