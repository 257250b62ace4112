"""Models that gate each other: by themselves, and in a session."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landmarks import HAND_21, HOLISTIC_75, SIGN_27, Decoding, LandmarkSequence, holistic
from service.decoder import Event
from service.errors import InvalidRequest, UnknownModel
from service.gate import Gate, Gatekeeper
from service.session import Frame, Manner, Session, replay
from tests.fakes import RuleEngine, manifest, signer

FPS = 10.0
SHARP = Decoding(start_above=0.6, stop_below=0.4, min_duration_s=0.0, min_gap_s=0.0)
NOT_WHILE, ONLY_WHILE = Gate("signing", ("gesture",)), Gate("signing", ("gesture",), "only-while")


def event(state, name="signing-1", label="signing"):
    return Event("signing", name, state, label, 0.9, 0.0, None, 0.0)


def permitted(keeper, *times):
    return [keeper.permits(at_s) for at_s in times]


def test_a_gate_is_shut_from_the_moment_that_an_event_is_told_to_the_one_that_its_end_is():
    for gate, inside in ((NOT_WHILE, False), (ONLY_WHILE, True)):
        keeper = Gatekeeper(gate)
        keeper.hear(1.0, [event("start")])
        keeper.hear(1.5, [event("update")])
        keeper.hear(2.0, [event("end")])
        assert permitted(keeper, 0.9, 1.0, 1.9, 2.0) == [not inside, inside, inside, not inside]


def test_one_of_two_events_that_overlap_is_enough():
    keeper = Gatekeeper(NOT_WHILE)
    keeper.hear(1.0, [event("start", "signing-1-left"), event("start", "signing-2-right")])
    keeper.hear(2.0, [event("end", "signing-1-left")])
    keeper.hear(3.0, [event("end", "signing-2-right")])
    assert permitted(keeper, 1.0, 2.0, 3.0) == [False, False, True]


def test_only_the_labels_that_a_gate_names_count():
    keeper = Gatekeeper(Gate("shapes", ("motions",), "only-while", ("point",)))
    keeper.hear(1.0, [event("start", "a", "fist")])
    keeper.hear(2.0, [event("end", "a", "fist"), event("start", "b", "point")])
    assert permitted(keeper, 1.0, 2.0) == [False, True]


def test_a_keeper_goes_on_from_its_snapshot():
    keeper = Gatekeeper(NOT_WHILE)
    keeper.hear(1.0, [event("start")])
    keeper.permits(1.0)
    keeper.hear(2.0, [event("end")])
    other = Gatekeeper(NOT_WHILE)
    other.restore(json.loads(json.dumps(keeper.snapshot())))
    assert permitted(other, 1.5, 2.0) == permitted(keeper, 1.5, 2.0) == [False, True]


NOSE = HOLISTIC_75.indices("nose")
ELBOW = HOLISTIC_75.indices("left_elbow")


def reads(joint):
    """What the newest frame that a SIGN_27 window has says, as this joint's x."""
    at = SIGN_27.indices(joint)

    def rule(window):
        x = window[:, at, 0].ravel()
        return float(x[np.isfinite(x)][-1]) if np.isfinite(x).any() else 0.0

    return rule


def engines(ruling=None, ruled=None):
    """`gesture` reads the elbow, `signing` the nose."""
    options = {"fps": FPS, "frames": 1, "decoding": SHARP}
    return [
        RuleEngine(manifest("gesture", ("none", "wave"), **options | (ruled or {})), reads("left_elbow")),
        RuleEngine(manifest("signing", **options | (ruling or {})), reads("nose")),
    ]


def clip_of(signing, waving, at_s=None):
    """A body whose nose and elbow stand at these x."""
    clip = signer([True] * len(signing), fps=FPS)
    clip.xyz[:, NOSE, 0] = np.array(signing, np.float32)[:, None]
    clip.xyz[:, ELBOW, 0] = np.array(waving, np.float32)[:, None]
    times = clip.at_s if at_s is None else at_s
    return LandmarkSequence(HOLISTIC_75, clip.xyz, clip.confidence, times, 1.0)


def live(session, clip, frames=1):
    """All events, as they are told where so many frames come at a time."""
    events = []
    for first in range(0, len(clip), frames):
        part = slice(first, first + frames)
        windows = session.take_clip(
            LandmarkSequence(clip.layout, clip.xyz[part], clip.confidence[part], clip.at_s[part], clip.aspect)
        )
        events += [told for scored in session.judge(windows) for told in session.settle(scored)]
    events += [told for scored in session.judge(session.finish()) for told in session.settle(scored)]
    return events + session.close()


def spans(events, model):
    return [(round(e.start_s, 6), round(e.end_s, 6)) for e in events if e.model == model and e.state == "end"]


BOTH = clip_of([0, 0, 0, 1, 1, 1, 0, 0, 0, 0], [0, 1, 1, 1, 1, 1, 1, 1, 0, 0])


@pytest.mark.parametrize(
    ("gates", "waves"),
    [((), [(0.1, 0.8)]), ((NOT_WHILE,), [(0.1, 0.2), (0.6, 0.8)]), ((ONLY_WHILE,), [(0.3, 0.5)])],
)
def test_gestures_are_told_while_nobody_signs_or_only_while_somebody_does(gates, waves):
    events = live(Session(engines(), 1.0, Manner(gates=gates)), BOTH)
    assert spans(events, "gesture") == waves
    assert spans(events, "signing") == [(0.3, 0.6)]


def test_what_a_shut_gate_ends_was_decided_from_the_frame_that_shut_it():
    events = live(Session(engines(), 1.0, Manner(gates=(NOT_WHILE,))), BOTH)
    end = next(one for one in events if one.model == "gesture" and one.state == "end")
    assert (end.end_s, round(end.decided_at_s, 6)) == (0.2, 0.3)


def test_a_gate_shuts_when_its_model_tells_and_not_before():
    slow = {"decoding": Decoding(0.6, 0.4, min_duration_s=0.2, min_gap_s=0.0)}
    events = live(Session(engines(ruling=slow), 1.0, Manner(gates=(NOT_WHILE,))), BOTH)
    assert spans(events, "gesture") == [(0.1, 0.4), (0.6, 0.8)]


def test_after_an_interrupt_no_gate_is_shut_by_what_ended():
    session = Session(engines(), 1.0, Manner(gates=(NOT_WHILE,)))
    frames = [Frame(at_s, xyz) for at_s, xyz in clip_of([1, 1, 0, 0], [1, 1, 1, 1])]
    before = [*session.push(frames[0]), *session.push(frames[1]), *session.interrupt()]
    assert [one.state for one in before if one.model == "gesture"] == []
    assert [one.state for one in session.push(frames[2]) if one.model == "gesture"] == ["start"]


def streams(*steps, longest=40):
    """Random x of nose and elbow, frames so many seconds apart."""
    values = st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0])
    rows = st.tuples(values, values, st.sampled_from(steps))
    return st.lists(rows, min_size=1, max_size=longest)


def views():
    """What one of the models looks at, and when."""
    return st.fixed_dictionaries(
        {
            "frames": st.integers(1, 9),
            "stride": st.just(1),
            "fps": st.sampled_from([5.0, 10.0, 12.0]),
            "centre": st.sampled_from([0.0, 0.5, 1.0]),
            "decoding": st.sampled_from([SHARP, Decoding(min_duration_s=0.1, min_gap_s=0.1, pad_s=0.1)]),
        }
    ) | st.fixed_dictionaries({"frames": st.integers(3, 9), "stride": st.integers(2, 3), "decoding": st.just(SHARP)})


@settings(max_examples=60, deadline=None)
@given(
    streams(0.04, 0.07, 0.1, 0.15, 0.6, 0.8),
    views(),
    views(),
    st.sampled_from([NOT_WHILE, ONLY_WHILE]),
    st.integers(2, 7),
)
def test_live_in_parts_and_as_a_file_the_events_are_the_same(rows, ruling, ruled, gate, frames):
    signing, waving, steps = zip(*rows, strict=True)
    clip = clip_of(signing, waving, np.cumsum(steps))
    told = [live(Session(engines(ruling, ruled), 1.0, Manner(gates=(gate,))), clip, n) for n in (1, frames)]
    told.append(replay(Session(engines(ruling, ruled), 1.0, Manner(gates=(gate,))), clip)[1])
    for model in ("gesture", "signing"):
        each = [[one for one in events if one.model == model] for events in told]
        assert each[0] == each[1] == each[2]
    ungated = live(Session(engines(ruling, ruled), 1.0), clip)
    assert [one for one in told[0] if one.model == "signing"] == [one for one in ungated if one.model == "signing"]


@settings(max_examples=40, deadline=None)
@given(streams(0.03, 0.04, 0.08), views(), views(), st.sampled_from([NOT_WHILE, ONLY_WHILE]))
def test_where_models_answer_the_same_frames_one_by_one_the_messages_themselves_keep_the_rule(
    rows, ruling, ruled, gate
):
    signing, waving, steps = zip(*rows, strict=True)
    session = Session(engines(ruling | {"fps": FPS}, ruled | {"fps": FPS}), 1.0, Manner(gates=(gate,)))
    opened = False
    for at_s, xyz in clip_of(signing, waving, np.cumsum(steps)):
        for told in session.push(Frame(float(at_s), xyz)):
            if told.model == "signing":
                opened = told.state != "end"
            elif told.state != "end":
                assert opened == (gate.mode == "only-while")


def hand_clip(left, right):
    """A body whose hands stand at these x."""
    clip = signer([True] * len(left), fps=FPS)
    for hand, values in (("left", left), ("right", right)):
        clip.xyz[:, holistic.PARTS[f"{hand}_hand"]] = np.array(values, np.float32)[:, None, None]
    clip.xyz[:, NOSE, 0] = np.array(left, np.float32)[:, None]
    return LandmarkSequence.of(HOLISTIC_75, clip.xyz, fps=FPS)


def of_hand(name, rule):
    return RuleEngine(manifest(name, ("none", "over"), frames=1, fps=FPS, layout=HAND_21, decoding=SHARP), rule)


def wrist(window):
    return float(window[-1, 0, 0])


def hand_spans(events, hand):
    return [(round(e.start_s, 6), round(e.end_s, 6)) for e in events if (e.hand, e.state) == (hand, "end")]


def test_a_hand_rules_that_hand_alone():
    clip = hand_clip([0.1, 0.9, 0.9, 0.1], [0.1, 0.1, 0.1, 0.1])
    models = [of_hand("motions", lambda window: 1.0), of_hand("shapes", wrist)]
    _, events = replay(Session(models, 1.0, Manner(gates=(Gate("shapes", ("motions",)),))), clip)
    motions = [one for one in events if one.model == "motions"]
    assert hand_spans(motions, "left") == [(0.0, 0.0), (0.3, 0.3)]
    assert hand_spans(motions, "right") == [(0.0, 0.3)]


def test_a_body_rules_both_hands_and_either_hand_rules_a_body():
    clip = hand_clip([0.1, 0.9, 0.1, 0.1], [0.1, 0.1, 0.9, 0.1])
    body = [of_hand("motions", lambda window: 1.0), engines()[1]]
    _, events = replay(Session(body, 1.0, Manner(gates=(Gate("signing", ("motions",)),))), clip)
    motions = [one for one in events if one.model == "motions"]
    assert hand_spans(motions, "left") == hand_spans(motions, "right") == [(0.0, 0.0), (0.2, 0.3)]
    hands = [of_hand("shapes", wrist), RuleEngine(manifest(frames=1, fps=FPS), lambda window: 1.0)]
    _, events = replay(Session(hands, 1.0, Manner(gates=(Gate("shapes", ("signing",), "only-while"),))), clip)
    assert spans(events, "signing") == [(0.1, 0.2)]


@pytest.mark.parametrize(
    ("gate", "error", "says"),
    [
        (Gate("signing", ("nosuch",)), UnknownModel, "'nosuch'; the session has gesture, signing"),
        (Gate("nosuch", ("gesture",)), UnknownModel, "'nosuch'"),
        (Gate("signing", ("gesture",), labels=("singing",)), InvalidRequest, "no singing; choose from signing"),
    ],
)
def test_a_gate_that_the_models_cannot_keep_is_refused(gate, error, says):
    with pytest.raises(error, match=says):
        Session(engines(), 1.0, Manner(gates=(gate,)))


def test_what_is_ruled_rules_nobody():
    with pytest.raises(InvalidRequest, match="signing rules a gate and is ruled"):
        Session(
            engines(),
            1.0,
            Manner(
                gates=(
                    NOT_WHILE,
                    Gate("gesture", ("signing",)),
                )
            ),
        )


def test_an_impossible_gate_is_refused_at_birth():
    with pytest.raises(ValueError, match="other models than its own"):
        Gate("signing", ("signing",))
    with pytest.raises(ValueError, match="not-while or only-while, got 'while'"):
        Gate("signing", ("gesture",), "while")
