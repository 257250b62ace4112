import math

import pytest

from landmarks import Decoding
from training.decoding import choose, shrec_jaccard
from training.online_metrics import Event, Recording

CHOICES = {
    "start_above": (0.2, 0.4, 0.6, 0.8),
    "stop_share": (0.5, 1.0),
    "smoothing_s": (0.0, 0.1),
    "min_duration_s": (0.0, 0.2, 0.4),
    "min_gap_s": (0.0, 0.2),
}


def test_the_best_of_each_field_is_found_where_they_do_not_depend_on_each_other():
    want = Decoding(start_above=0.8, stop_below=0.4, smoothing_s=0.1, min_duration_s=0.0, min_gap_s=0.2)

    def worth(decoding):
        pairs = ((getattr(decoding, name), getattr(want, name)) for name in ("start_above", "smoothing_s", "min_gap_s"))
        share = decoding.stop_below / decoding.start_above
        return -sum(abs(a - b) for a, b in pairs) - abs(share - 0.5) - decoding.min_duration_s

    assert choose(lambda decoding: decoding, worth, CHOICES) == want


def test_what_is_worth_the_same_stays_in_the_middle_and_undefined_is_worst():
    middle = Decoding(start_above=0.6, stop_below=0.6, smoothing_s=0.1, min_duration_s=0.2, min_gap_s=0.2)
    assert choose(lambda decoding: decoding, lambda decoding: 0.0, CHOICES) == middle
    only = choose(lambda decoding: decoding, lambda d: 0.0 if d.min_gap_s == 0 else math.nan, CHOICES)
    assert only.min_gap_s == 0


def test_by_default_it_is_the_jaccard_index_of_shrec():
    true = (Event("a", 0, 1),)

    def decode(decoding):
        said = true if decoding.start_above >= 0.8 else (*true, Event("a", 5, 6))
        return [Recording(said, true, 10)]

    assert choose(decode).start_above == 0.8
    assert shrec_jaccard(decode(Decoding(start_above=0.5))) == pytest.approx(0.5)
