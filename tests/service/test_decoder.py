import itertools
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks import Decoding
from service.decoder import Decoder

LABELS = ("none", "hello", "water")


SHARP = Decoding(start_above=0.6, stop_below=0.4, min_duration_s=0, min_gap_s=0)


def push(decoder, probabilities, first=0, step_s=0.1):
    """The events of predictions a step apart, from the first-th on."""
    times = [round((first + i) * step_s, 6) for i in range(len(probabilities))]
    return [event for at_s, said in zip(times, probabilities, strict=True) for event in decoder.push(at_s, said, at_s)]


def decode(probabilities, step_s=0.1, **how):
    """All events of one stream, the end of the stream included."""
    decoder = Decoder("signs", LABELS, "none", replace(SHARP, **how))
    return push(decoder, probabilities, step_s=step_s) + decoder.interrupt()


def hello(p):
    return (1 - p, p, 0.0)


def water(p):
    return (1 - p, 0.0, p)


def told(events):
    return [(event.state, event.label, event.start_s, event.end_s) for event in events if event.state != "update"]


def spans(events):
    """What ended: (label, start_s, end_s)."""
    return [(event.label, round(event.start_s, 6), round(event.end_s, 6)) for event in events if event.state == "end"]


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


def test_padding_widens_an_event_at_both_ends_and_its_end_waits_until_it_is_judged():
    said = [hello(p) for p in (0.1, 0.1, 0.1, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1)]
    events = decode(said, pad_s=0.2)
    assert spans(events) == [("hello", 0.1, 0.7)]
    assert (events[0].state, events[0].decided_at_s) == ("start", 0.3)
    assert (events[-1].end_s, events[-1].decided_at_s) == (pytest.approx(0.7), 0.7)


def test_padding_stays_within_the_stream_and_after_an_interrupt_within_what_follows():
    assert spans(decode([hello(0.1), hello(0.9), hello(0.1)], pad_s=0.5)) == [("hello", 0.0, 0.2)]
    decoder = Decoder("signs", LABELS, "none", replace(SHARP, pad_s=0.5))
    first = push(decoder, [hello(0.9)] * 2) + decoder.interrupt()
    after = push(decoder, [hello(0.1), hello(0.9)], first=2) + decoder.interrupt()
    assert spans(first) == [("hello", 0.0, 0.1)]
    assert spans(after) == [("hello", 0.2, 0.3)]


def test_padded_neighbours_touch_and_never_overlap():
    events = decode([hello(0.9), hello(0.9), hello(0.1), water(0.9), water(0.9)], pad_s=0.3)
    assert spans(events) == [("hello", 0.0, 0.3), ("water", 0.3, 0.4)]
    apart = decode([hello(0.9), *[hello(0.1)] * 4, hello(0.9)], pad_s=0.3)
    assert spans(apart) == [("hello", 0.0, 0.4), ("hello", 0.4, 0.5)]


def test_padding_does_not_make_a_short_event_long():
    assert decode([hello(p) for p in (0.1, 0.9, 0.1, 0.1, 0.1, 0.1)], pad_s=0.2, min_duration_s=0.2) == []


def test_after_an_event_its_label_rests_and_another_does_not():
    held = [hello(0.9), hello(0.1), *[hello(0.9)] * 5]
    assert spans(decode(held, refractory_s=0.3)) == [("hello", 0.0, 0.1), ("hello", 0.4, 0.6)]
    both = [hello(0.9), hello(0.1), *[(0.0, 0.9, 0.7)] * 2]
    assert spans(decode(both, refractory_s=0.3)) == [("hello", 0.0, 0.1), ("water", 0.2, 0.3)]


def test_what_was_never_told_does_not_make_its_label_rest():
    said = [hello(p) for p in (0.9, 0.1, 0.9, 0.9, 0.9, 0.9)]
    assert spans(decode(said, refractory_s=5, min_duration_s=0.2)) == [("hello", 0.2, 0.5)]


def test_an_interrupt_does_not_cut_a_refractory_time_short():
    decoder = Decoder("signs", LABELS, "none", replace(SHARP, refractory_s=0.5))
    assert spans(push(decoder, [hello(0.9)] * 2) + decoder.interrupt()) == [("hello", 0.0, 0.1)]
    assert told(push(decoder, [hello(0.9)] * 5, first=2)) == [("start", "hello", 0.6, None)]


def test_a_long_event_ends_and_a_new_one_goes_on():
    events = decode([hello(0.9)] * 8, max_duration_s=0.3)
    assert spans(events) == [("hello", 0.0, 0.3), ("hello", 0.3, 0.6), ("hello", 0.6, 0.7)]
    assert len({event.id for event in events}) == 3
    assert spans(decode([hello(0.9)] * 8, max_duration_s=0.3, refractory_s=0.2)) == [
        ("hello", 0.0, 0.3),
        ("hello", 0.5, 0.7),
    ]


def test_a_label_may_have_thresholds_and_times_of_its_own():
    said = [hello(0.5), hello(0.5), water(0.5), water(0.9), water(0.9), hello(0.0)]
    labels = {"hello": {"start_above": 0.5, "min_duration_s": 0.1}, "water": {"pad_s": 0.1}}
    assert spans(decode(said, labels=labels)) == [("hello", 0.0, 0.2), ("water", 0.2, 0.5)]


def test_the_most_probable_label_that_may_begin_does():
    both = (0.0, 0.5, 0.45)
    assert spans(decode([both] * 2, labels={"water": {"start_above": 0.45}})) == [("water", 0.0, 0.1)]


def test_thresholds_change_under_way_and_what_is_open_stays_open():
    decoder = Decoder("signs", LABELS, "none", SHARP)
    events = push(decoder, [hello(0.7)] * 2)
    decoder.configure(replace(SHARP, start_above=0.8, stop_below=0.65))
    events += push(decoder, [hello(0.7), hello(0.6), hello(0.7)], first=2)
    assert told(events) == [("start", "hello", 0.0, None), ("end", "hello", 0.0, 0.3)]


def test_a_decoding_of_a_label_that_the_model_has_not_is_refused_and_changes_nothing():
    strange = replace(SHARP, labels={"fire": {"pad_s": 1}})
    with pytest.raises(ValueError, match="fire; choose from hello, water"):
        Decoder("signs", LABELS, "none", strange)
    decoder = Decoder("signs", LABELS, "none", SHARP)
    with pytest.raises(ValueError, match="unknown labels none"):
        decoder.configure(replace(SHARP, start_above=0.95, labels={"none": {"pad_s": 1}}))
    assert told(push(decoder, [hello(0.7)])) == [("start", "hello", 0.0, None)]


def test_events_carry_hand_and_person_in_themselves_and_in_their_ids():
    whose = {
        (hand, person): Decoder("a", LABELS, "none", SHARP, hand, person)
        for hand in ("left", None)
        for person in (2, 1)
    }
    events = {key: push(decoder, [hello(0.9)])[0] for key, decoder in whose.items()}
    assert all((event.hand, event.person) == key for key, event in events.items())
    assert [event.id for event in events.values()] == ["a-1-p2-left", "a-1-left", "a-1-p2", "a-1"]


def test_an_end_may_be_decided_from_a_later_frame():
    decoder = Decoder("signs", LABELS, "none", SHARP)
    push(decoder, [hello(0.9)] * 2)
    (end,) = decoder.interrupt(decided_at_s=0.4)
    assert (end.end_s, end.decided_at_s) == (0.1, 0.4)


DECODINGS = st.builds(
    lambda start, share, pad_s, least_s, more_s, labels, **times: Decoding(
        start,
        start * share,
        min_duration_s=least_s,
        pad_s=pad_s,
        max_duration_s=None if more_s is None else least_s + 2 * pad_s + more_s,
        labels=labels,
        **times,
    ),
    start=st.floats(0.3, 0.9),
    share=st.floats(0.3, 1),
    pad_s=st.sampled_from([0.0, 0.1, 0.25]),
    least_s=st.sampled_from([0.0, 0.1, 0.2]),
    more_s=st.none() | st.floats(0.1, 0.5),
    labels=st.sampled_from([{}, {"water": {"refractory_s": 0.4}}, {"hello": {"pad_s": 0.0, "start_above": 0.95}}]),
    min_gap_s=st.sampled_from([0.0, 0.1, 0.3]),
    smoothing_s=st.sampled_from([0.0, 0.15]),
    refractory_s=st.sampled_from([0.0, 0.3]),
)
PROBABILITIES = st.tuples(*[st.sampled_from([0.0, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0])] * 3)


@given(st.lists(PROBABILITIES, max_size=50), DECODINGS, st.data())
def test_a_restored_decoder_says_what_the_unbroken_one_says(said, decoding, data):
    cut = data.draw(st.integers(0, len(said)))
    decoder = Decoder("signs", LABELS, "none", decoding, "left", 3)
    before = push(decoder, said[:cut])
    kept = json.loads(json.dumps(decoder.snapshot()))
    restored = Decoder("signs", LABELS, "none", decoding, "left", 3)
    restored.restore(kept)
    unbroken = push(decoder, said[cut:], first=cut) + decoder.interrupt()
    assert push(restored, said[cut:], first=cut) + restored.interrupt() == unbroken
    starts = [event.id for event in before + unbroken if event.state == "start"]
    assert starts == [f"signs-{i + 1}-p3-left" for i in range(len(starts))]


@pytest.mark.slow
@given(st.lists(PROBABILITIES, max_size=50), DECODINGS, st.sets(st.integers(0, 50)))
def test_whatever_is_asked_for_events_keep_to_it(said, decoding, interrupts):
    decoder = Decoder("signs", LABELS, "none", decoding)
    events = []
    for i, one in enumerate(said):
        events += push(decoder, [one], first=i) + (decoder.interrupt() if i in interrupts else [])
    events += decoder.interrupt()
    ends = [event for event in events if event.state == "end"]
    assert [event.id for event in events if event.state == "start"] == [event.id for event in ends]
    assert all(event.end_s <= event.decided_at_s for event in ends)
    for before, after in itertools.pairwise(ends):
        assert before.start_s <= before.end_s <= after.start_s
    how = dict(zip(LABELS[1:], decoding.of(LABELS[1:]), strict=True))
    for label, mine in how.items():
        own = [event for event in ends if event.label == label]
        if mine.max_duration_s is not None:
            assert all(event.end_s - event.start_s <= mine.max_duration_s + 0.1 + 1e-5 for event in own)
        for before, after in itertools.pairwise(own):
            assert after.start_s >= before.end_s + mine.refractory_s - 1e-5


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
