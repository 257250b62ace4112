"""What gates and the decoder's times change of events that were judged before."""

from dataclasses import replace

import numpy as np
import pytest

from bench import decoding, gating
from bench.material import Material, Piece
from bench.replay import as_stream, judge, settle
from landmarks import HOLISTIC_75, Decoding, LandmarkSequence
from service.gate import Gate
from tests.fakes import RuleEngine, manifest
from training.clip import Clip
from training.online_metrics import Event, Recording

FPS = 10.0
NOSE = HOLISTIC_75.indices("nose")


class Waves:
    """A task with one label that is told."""

    labels, background = ("none", "wave"), "none"

    def truth(self, clip):
        return self.labels.index(clip.label)


def a_stream():
    """The nose stands at 1 from 0.5 s to 1.4 s; from 0.5 s to 1.9 s somebody waves."""
    xyz = np.full((30, len(HOLISTIC_75), 3), 0.5, np.float32)
    xyz[:, NOSE, 0] = 0
    xyz[5:15, NOSE, 0] = 1
    sequence = LandmarkSequence.of(HOLISTIC_75, xyz, fps=FPS)
    takes = [("none", 0, 5), ("wave", 5, 20), ("none", 20, 30)]
    pieces = tuple(Piece(Clip(sequence, label, 1, "take", "made"), *span) for label, *span in takes)
    return as_stream(Material("one", "made/wave", 1, sequence, pieces), Waves())


def engine(name, rule):
    return RuleEngine(manifest(name, ("none", "wave"), frames=1, fps=FPS), rule)


def at_nose(window):
    return float(window[-1, 0, 0])


def test_a_material_is_a_stream_with_what_is_done_in_it():
    stream = a_stream()
    assert [(e.label, round(e.start_s, 6), round(e.end_s, 6)) for e in stream.events] == [("wave", 0.5, 1.9)]
    assert (stream.person, stream.source) == (1, "made/wave")


@pytest.mark.parametrize(("mode", "spans"), [("not-while", [(0.0, 0.4), (1.5, 2.9)]), ("only-while", [(0.5, 1.4)])])
def test_what_was_judged_apart_is_settled_behind_a_gate(mode, spans):
    (ruled,), (ruler,) = (judge(engine(*of), [a_stream()]) for of in (("waves", lambda w: 1.0), ("rules", at_nose)))
    found = settle(ruled, gates=[Gate("rules", ("waves",), mode)], rulers=[ruler])
    assert [(round(e.start_s, 6), round(e.end_s, 6)) for e in found.predicted] == spans
    assert len(settle(ruled).predicted) == 1


def test_each_time_is_tried_alone():
    shipped = Decoding(min_gap_s=0.2)
    tried = decoding._tried(shipped)
    assert next(iter(tried.values())) == shipped
    assert tried["pad_s 0.1, not 0"] == replace(shipped, pad_s=0.1)
    assert len(set(tried.values())) == len(tried), "nothing is tried twice"


def test_a_change_is_of_the_same_streams():
    true = (Event("wave", 0.0, 1.0),)
    missed, found = Recording((), true, 2.0), Recording(true, true, 2.0)
    assert decoding._change([missed] * 3, [found] * 3) == (1, 1, 1)
    assert decoding._change([found, missed], [found, missed]) == (0, 0, 0)


def test_every_gate_rules_the_model_that_it_stands_before():
    assert all(gate.models == (name,) for name, gates in gating.GATES.items() for gate in gates)
