import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks import Decoding
from service.decoder import Decoder

LABELS = ("none", "hello", "water")


def decode(probabilities, step_s=0.1, **how):
    """(state, label, start_s, end_s, confidence) of all events of one stream, the end of the stream included."""
    decoding = Decoding(**{"start_above": 0.6, "stop_below": 0.4, "min_duration_s": 0, "min_gap_s": 0} | how)
    decoder = Decoder("signs", LABELS, "none", decoding)
    events = []
    for i, said in enumerate(probabilities):
        at_s = round(i * step_s, 6)
        events += decoder.push(at_s, said, at_s)
    return events + decoder.interrupt()


def hello(p):
    return (1 - p, p, 0.0)


def water(p):
    return (1 - p, 0.0, p)


def told(events):
    return [(event.state, event.label, event.start_s, event.end_s) for event in events if event.state != "update"]


def test_a_sign_starts_once_and_ends_with_one_id():
    events = decode([hello(p) for p in (0.1, 0.8, 0.9, 0.1)])
    assert told(events) == [("start", "hello", 0.1, None), ("end", "hello", 0.1, 0.3)]
    assert [event.state for event in events] == ["start", "update", "end"]
    assert {event.id for event in events} == {"signs-1"}
    assert [event.confidence for event in events] == [0.8, 0.9, 0.9]


def test_between_the_two_thresholds_nothing_changes():
    assert told(decode([hello(p) for p in (0.5, 0.5, 0.7, 0.5, 0.45, 0.3)])) == [
        ("start", "hello", 0.2, None),
        ("end", "hello", 0.2, 0.5),
    ]


def test_a_short_event_is_not_told_and_a_longer_one_is_as_soon_as_it_is_long_enough():
    assert decode([hello(p) for p in (0.9, 0.9, 0.1, 0.1)], min_duration_s=0.3) == []
    events = decode([hello(0.9)] * 6, min_duration_s=0.3)
    assert (events[0].state, events[0].start_s, events[0].decided_at_s) == ("start", 0.0, 0.3)


def test_a_short_gap_is_bridged_and_a_long_one_ends_where_it_began():
    dip = [0.9, 0.9, 0.1, 0.9, 0.9, 0.1, 0.1, 0.1]
    events = decode([hello(p) for p in dip], min_gap_s=0.2)
    assert told(events) == [("start", "hello", 0.0, None), ("end", "hello", 0.0, 0.5)]
    assert events[-1].decided_at_s == 0.7


def test_another_label_takes_over_at_once():
    events = decode([hello(0.9), hello(0.9), water(0.9), water(0.9)], min_gap_s=0.5)
    assert told(events) == [
        ("start", "hello", 0.0, None),
        ("end", "hello", 0.0, 0.2),
        ("start", "water", 0.2, None),
        ("end", "water", 0.2, 0.3),
    ]
    assert [event.id for event in events if event.state == "start"] == ["signs-1", "signs-2"]


def test_smoothing_holds_back_a_single_spike():
    spike = [hello(p) for p in (0.0, 0.9, 0.0, 0.0)]
    assert decode(spike)
    assert decode(spike, smoothing_s=0.3) == []


def test_the_background_is_never_an_event():
    assert decode([(0.95, 0.03, 0.02)] * 5) == []


def test_an_interrupt_ends_at_the_last_moment_that_was_judged():
    events = decode([hello(0.9)] * 3)
    assert (events[-1].state, events[-1].end_s) == ("end", 0.2)


@given(
    st.lists(st.floats(0, 1), max_size=60),
    st.floats(0, 0.5),
    st.floats(0, 0.5),
    st.sampled_from([0.0, 0.2]),
)
def test_events_never_overlap_and_every_start_has_its_end(probabilities, min_duration_s, min_gap_s, smoothing_s):
    events = decode(
        [hello(p) for p in probabilities],
        min_duration_s=min_duration_s,
        min_gap_s=min_gap_s,
        smoothing_s=smoothing_s,
    )
    states = [(event.id, event.state) for event in events if event.state != "update"]
    assert states == [(f"signs-{i // 2 + 1}", ("start", "end")[i % 2]) for i in range(len(states))]
    ends = [event for event in events if event.state == "end"]
    for event in ends:
        assert event.end_s - event.start_s >= min_duration_s - 1e-5
        assert event.confidence >= 0.6
    for before, after in itertools.pairwise(ends):
        assert after.start_s >= before.end_s


@pytest.mark.parametrize("label", [hello, water])
def test_every_label_can_start(label):
    assert decode([label(0.9)])[0].label == label.__name__
