import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training import online_metrics as online
from training.online_metrics import Event, Recording


def recording(predicted, true, duration_s=100.0):
    return Recording(
        tuple(Event(*event) for event in predicted), tuple(Event(*event) for event in true), float(duration_s)
    )


TRUE = (("a", 10, 20), ("b", 30, 40), ("a", 50, 60))
ERRORS = {"delay_median_s", "delay_p90_s", "boundary_start_s", "boundary_end_s", "false_per_hour"}
ERRORS |= {"shrec21_false_positive_rate", "shrec21_false_positive_rate_strict", "shrec21_wrong_label_rate"}
ERRORS |= {"boundary_start_median_s", "boundary_end_median_s"}
ERRORS |= {"shrec22_false_positive_rate", "sfinge_false_positive_rate", "sfinge_missed_rate", "fragmentation_pieces"}


def test_shrec21_counts_as_the_organisers_do():
    found = online.shrec21(
        [
            recording(
                [
                    ("a", 12, 20),  # covers 0.8 of the first
                    ("a", 11, 19),  # a second detection of it: not counted
                    ("a", 31, 40),  # covers the b: a wrong label
                    ("b", 50, 55),  # covers just half of the last: on no true event
                    ("c", 80, 90),  # on nothing
                ],
                TRUE,
            )
        ]
    )
    assert found["detection_rate"] == pytest.approx(1 / 3)
    assert found["false_positive_rate"] == pytest.approx(2 / 3)
    assert found["wrong_label_rate"] == pytest.approx(1 / 3)
    assert found["false_positive_rate_strict"] == pytest.approx(1)
    # a: 1 of 2; b: 0 of 1 true + 1 wrong + 1 false; c: 0 of 1 false.
    assert found["jaccard"] == pytest.approx((1 / 2 + 0 + 0) / 3)


def test_shrec22_takes_half_refuses_the_overlong_and_counts_second_detections_as_false():
    half = online.shrec22([recording([("a", 10, 15)], [("a", 10, 20)])])
    assert half == {"detection_rate": 1, "false_positive_rate": 0, "jaccard": 1}
    overlong = online.shrec22([recording([("a", 5, 26)], [("a", 10, 20)])])
    assert overlong == {"detection_rate": 0, "false_positive_rate": 1, "jaccard": 0}
    twice = online.shrec22([recording([("a", 10, 20), ("a", 11, 19)], [("a", 10, 20)])])
    assert twice == {"detection_rate": 1, "false_positive_rate": 1, "jaccard": 0.5}


def test_the_two_rules_differ_where_half_is_covered():
    just_half = [recording([("a", 10, 15)], [("a", 10, 20)])]
    assert online.shrec21(just_half)["detection_rate"] == 0
    assert online.shrec22(just_half)["detection_rate"] == 1


@pytest.mark.parametrize(
    ("start", "label", "detected"),
    [(9.0, "a", 1), (8.9, "a", 0), (20.0, "a", 1), (20.1, "a", 0), (12.0, "b", 0)],
)
def test_sfinge_takes_a_start_within_the_gesture_or_a_second_before(start, label, detected):
    found = online.sfinge([recording([(label, start, 90.0)], [("a", 10, 20)])], margin_s=20 / 20)
    assert found == {"detection_rate": detected, "missed_rate": 1 - detected, "false_positive_rate": 1 - detected}


def test_sfinge_gives_two_close_gestures_a_start_each_whatever_the_order():
    # The first start could be either's, the second only the first gesture's.
    true = [("a", 10, 20), ("a", 20.5, 30)]
    for predicted in ([("a", 19.8, 21), ("a", 15, 16)], [("a", 15, 16), ("a", 19.8, 21)]):
        assert online.sfinge([recording(predicted, true)])["detection_rate"] == 1


def test_event_f1_pairs_one_to_one():
    found = online.event_f1([recording([("a", 10, 18), ("a", 12, 20), ("b", 70, 80)], TRUE)])
    assert found["precision"] == pytest.approx(1 / 3)
    assert found["recall"] == pytest.approx(1 / 3)
    assert found["f1"] == pytest.approx(1 / 3)


def test_time_that_is_both_over_time_that_is_either():
    # a: 5 of 15 s; b is only said.
    found = online.time_jaccard([recording([("a", 15, 25), ("b", 40, 50)], [("a", 10, 20)])])
    assert found["jaccard"] == pytest.approx((1 / 3 + 0) / 2)


def test_time_said_twice_counts_once():
    assert online.time_jaccard([recording([("a", 10, 18), ("a", 12, 20)], [("a", 10, 20)])])["jaccard"] == 1


def test_delay_is_from_the_true_start_to_the_first_word_of_it():
    predicted = [("a", 11, 15, 14.0), ("a", 15, 19, 12.5), ("b", 29, 35, 33.0), ("a", 70, 80, 71.0)]
    found = online.delay([recording(predicted, TRUE)])
    assert found["median_s"] == pytest.approx((2.5 + 3.0) / 2)
    assert found["p90_s"] == pytest.approx(2.5 + 0.9 * 0.5)
    assert found["share"] == pytest.approx(2 / 3)


def test_levenshtein_counts_edits_of_the_labels():
    def accuracy(said):
        return online.levenshtein([recording([(label, i, i + 1) for i, label in enumerate(said)], TRUE)])["accuracy"]

    assert [accuracy(said) for said in ("aba", "ab", "aca", "abxa", "")] == pytest.approx([1, 2 / 3, 2 / 3, 2 / 3, 0])
    assert accuracy("xxxxxx") < 0


def test_false_events_an_hour_and_pieces_a_gesture():
    predicted = [("a", 10, 12), ("a", 13, 15), ("a", 16, 20), ("b", 31, 39), ("b", 51, 59), ("a", 80, 81)]
    streams = [recording(predicted, TRUE, 1000), recording([], [], 800)]
    assert online.false_events(streams)["per_hour"] == pytest.approx(2 * 3600 / 1800)
    assert online.fragmentation(streams)["pieces"] == pytest.approx((3 + 1) / 2)


def test_boundary_errors_of_matched_events():
    found = online.boundary_error([recording([("a", 9, 19), ("b", 33, 41), ("a", 80, 90)], TRUE)])
    assert found == pytest.approx({"start_s": 2, "end_s": 1, "start_median_s": 2, "end_median_s": 1})
    three = [recording([("a", 10 + off, 20 + 2 * off)], [("a", 10, 20)]) for off in (0, 0, 2)]
    found = online.boundary_error(three)
    assert found == pytest.approx({"start_s": 2 / 3, "end_s": 4 / 3, "start_median_s": 0, "end_median_s": 0})


def test_nothing_said_of_nothing_has_no_figures_but_no_false_events():
    found = online.figures([recording([], [], 3600)])
    assert found["false_per_hour"] == 0
    assert math.isnan(found["shrec21_detection_rate"])
    assert math.isnan(found["event_f1"])


def test_nothing_said_finds_nothing():
    found = online.figures([recording([], TRUE)])
    for name in ("shrec21_detection_rate", "sfinge_detection_rate", "event_f1", "time_jaccard", "levenshtein_accuracy"):
        assert found[name] == 0


def test_impossible_events_and_durations_are_refused():
    with pytest.raises(ValueError, match="start_s <= end_s"):
        Event("a", 2.0, 1.0)
    with pytest.raises(ValueError, match="duration_s"):
        Recording((), (), float("nan"))


LABELS = st.sampled_from("abc")


@st.composite
def apart(draw, most=5):
    """True events that do not touch, at times that floats add exactly."""
    events, at = [], 0.0
    for _ in range(draw(st.integers(1, most))):
        start = at + draw(st.integers(1, 40)) / 4
        at = start + draw(st.integers(2, 40)) / 4
        events.append(Event(draw(LABELS), start, at))
    return tuple(events)


@st.composite
def guessed(draw, most=6):
    """Predicted events anywhere, in any order, also of no length."""
    events = []
    for _ in range(draw(st.integers(0, most))):
        start = draw(st.integers(0, 240)) / 4
        told = start + draw(st.integers(0, 20)) / 4
        events.append(Event(draw(LABELS), start, start + draw(st.integers(0, 60)) / 4, told))
    return tuple(events)


@given(st.lists(apart(), min_size=1, max_size=3))
@settings(deadline=None)
def test_a_perfect_prediction_has_perfect_figures(streams):
    found = online.figures(
        [
            Recording(tuple(replace(event, decided_at_s=event.start_s) for event in true), true, 300.0)
            for true in streams
        ]
    )
    for name, value in found.items():
        best = 1.0 if name not in ERRORS or name == "fragmentation_pieces" else 0.0
        assert value == pytest.approx(best), name


def no_better(before, after, names):
    for name in names:
        if math.isnan(before[name]):
            continue
        slack = 1e-9
        better = after[name] < before[name] - slack if name in ERRORS else after[name] > before[name] + slack
        assert not better, f"{name} went from {before[name]} to {after[name]}"


@given(apart(), guessed(), st.integers(0, 300), st.integers(0, 60))
@settings(deadline=None)
def test_an_event_of_a_strange_label_never_improves_anything(true, predicted, start, length):
    false = Event("never true", start / 4, (start + length) / 4, start / 4)
    before = online.figures([Recording(predicted, true, 400.0)])
    after = online.figures([Recording((*predicted, false), true, 400.0)])
    no_better(before, after, before)
    assert after["false_per_hour"] > before["false_per_hour"]


@given(apart(), guessed(), LABELS)
@settings(deadline=None)
def test_an_event_far_from_all_true_ones_never_improves_what_looks_at_time(true, predicted, label):
    false = Event(label, 1000.0, 1003.0, 1001.0)
    before = online.figures([Recording(predicted, true, 2000.0)])
    after = online.figures([Recording((*predicted, false), true, 2000.0)])
    no_better(before, after, set(before) - {"levenshtein_accuracy"})  # which knows no time
    assert after["shrec21_false_positive_rate"] > before["shrec21_false_positive_rate"]


def moved(event, by_s):
    told = None if event.decided_at_s is None else event.decided_at_s + by_s
    return Event(event.label, event.start_s + by_s, event.end_s + by_s, told)


@given(apart(), guessed(), st.integers(-4000, 4000))
@settings(deadline=None)
def test_a_shift_of_the_clock_changes_nothing(true, predicted, quarters):
    def shifted(events):
        return tuple(moved(event, quarters / 4) for event in events)

    before = online.figures([Recording(predicted, true, 400.0)])
    after = online.figures([Recording(shifted(predicted), shifted(true), 400.0)])
    assert after == pytest.approx(before, nan_ok=True)


@given(apart(), guessed(), st.randoms())
@settings(deadline=None)
def test_the_order_of_events_changes_nothing(true, predicted, random):
    def mixed(events):
        return tuple(random.sample(events, len(events)))

    before = online.figures([Recording(predicted, true, 400.0)])
    after = online.figures([Recording(mixed(predicted), mixed(true), 400.0)])
    assert after == pytest.approx(before, nan_ok=True)


@given(apart(), guessed())
@settings(deadline=None)
def test_shares_lie_between_0_and_1(true, predicted):
    found = online.figures([Recording(predicted, true, 400.0)])
    for name in ("shrec21_jaccard", "shrec22_jaccard", "time_jaccard", "sfinge_detection_rate", "event_f1"):
        assert 0 <= found[name] <= 1
    assert found["sfinge_detection_rate"] + found["sfinge_missed_rate"] == pytest.approx(1)
