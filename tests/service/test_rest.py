"""Models that rest while no hand is in view, through session, REST and socket."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landmarks import HAND_21, HOLISTIC_75, Decoding, LandmarkSequence, Layout
from landmarks.formats import npz
from service.engine import OnnxEngine, Runtime
from service.session import Frame, Session, replay
from tests.fakes import RuleEngine, manifest, right_hand_seen, signer
from tests.graphs import leaky, leaky_manifest, leaky_sums
from tests.service.conftest import serving
from tests.service.test_hands import FPS, hands, wrist_is_right
from tests.service.test_stream import STOP, as_binary, of, talk
from training.replay import replay as looked_at

UNSEEN = np.nan


class Counting(RuleEngine):
    """Counts the windows that it is asked about."""

    def __init__(self, model, rule):
        super().__init__(model, rule)
        self.asked = 0

    def predict(self, windows, steps=()):
        self.asked += len(windows)
        return super().predict(windows, steps)


def watching(rest_after_s, **options):
    """A model of the body that looks for a right hand."""
    return Counting(replace(manifest("watching", fps=FPS, **options), rest_after_s=rest_after_s), right_hand_seen)


def same(events):
    return [(e.id, e.state, e.label, e.confidence, e.start_s, e.end_s, e.decided_at_s) for e in events]


def said(scored):
    return [(one.window.at_s, one.window.end_s, one.probabilities.tolist()) for one in scored]


HAND_UP = [False] * 8 + [True] * 6 + [False] * 20 + [True] * 4 + [False] * 3


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    fps=st.floats(8, 40),
    centre=st.sampled_from([0.0, 0.5, 1.0]),
    stride=st.integers(1, 3),
    smoothing_s=st.sampled_from([0.0, 0.3]),
)
def test_a_model_that_says_the_background_without_hands_tells_the_same_whether_it_rests_or_not(
    seed, fps, centre, stride, smoothing_s
):
    random = np.random.default_rng(seed)
    clip = signer(np.repeat(random.random(12) < 0.4, random.integers(1, 20, 12)), fps=fps, seed=seed)
    jumps = np.cumsum(random.choice([0.0, 0.9], len(clip), p=[0.97, 0.03]))
    clip = LandmarkSequence(clip.layout, clip.xyz, clip.confidence, clip.at_s + jumps, clip.aspect)
    decoding = Decoding(0.6, 0.4, min_duration_s=0.1, min_gap_s=0.3, smoothing_s=smoothing_s)
    options = {"frames": 4, "stride": stride, "centre": centre, "decoding": decoding}
    awake, resting = watching(0.0, **options), watching(0.4, **options)
    always, events = replay(Session([awake], 1.0), clip)
    now_and_then, same_events = replay(Session([resting], 1.0), clip)
    assert said(now_and_then) == said(always)
    assert same(same_events) == same(events)
    windows, at_rest = len(always), sum(one.window.rests for one in now_and_then)
    assert (awake.asked, resting.asked) == (windows, windows - at_rest)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), fps=st.floats(8, 40))
def test_a_clip_at_once_rests_where_the_stream_rests_frame_by_frame(seed, fps):
    random = np.random.default_rng(seed)
    clip = signer(np.repeat(random.random(10) < 0.4, random.integers(1, 15, 10)), fps=fps, seed=seed)
    model = watching(0.3, frames=5, stride=2, centre=0.5)
    at_once, events = replay(Session([model], 1.0), clip)
    live = Session([model], 1.0)
    pushed = [one for at_s, xyz in clip for one in live.judge(live.take(Frame(at_s, xyz)))]
    pushed += live.judge(live.finish())
    assert said(pushed) == said(at_once)
    assert [one.window.rests for one in pushed] == [one.window.rests for one in at_once]
    assert same([event for one in pushed for event in live.settle(one)] + live.close()) == same(events)


def test_a_model_rests_once_no_hand_was_seen_for_long_enough_and_wakes_at_the_first():
    model = watching(0.5, frames=1)
    scored, _ = replay(Session([model], 1.0), signer(HAND_UP, fps=FPS))
    resting = [round(one.window.at_s * FPS) for one in scored if one.window.rests]
    # Until the first frame with a hand, and from five after the last one on.
    assert resting == [*range(8), *range(18, 34)]
    assert all(one.probabilities.tolist() == [1, 0] for one in scored if one.window.rests)


def test_a_jump_of_the_stream_wakes_nobody():
    clip = signer([True] + [False] * 9, fps=FPS)
    at_s = clip.at_s + np.where(clip.at_s >= 0.5, 5.0, 0.0)
    torn = LandmarkSequence(clip.layout, clip.xyz, clip.confidence, at_s, clip.aspect)
    scored, _ = replay(Session([watching(0.3, frames=1)], 1.0), torn)
    assert [one.window.rests for one in scored] == [False] * 3 + [True] * 7
    assert [one.window.jumped for one in scored] == [i in (0, 5) for i in range(10)]


def test_either_hand_keeps_a_model_of_the_body_awake():
    clip = signer([False] * 10, fps=FPS)
    clip.xyz[:, clip.layout.indices("left_hand_wrist")] = 0.5
    scored, _ = replay(Session([watching(0.2, frames=1)], 1.0), clip)
    assert not any(one.window.rests for one in scored)


def test_a_hand_that_is_not_seen_rests_while_the_other_is_judged():
    model = Counting(replace(manifest("shapes", frames=1, fps=FPS, layout=HAND_21), rest_after_s=0.3), wrist_is_right)
    scored, _ = replay(Session([model], 1.0), hands([0.5] * 10, [UNSEEN] * 10))
    resting = {(one.window.hand, round(one.window.at_s * FPS)) for one in scored if one.window.rests}
    assert resting == {("right", i) for i in range(10)}


def stepping(folder, behind=0, rest_after_s=0.3):
    model = replace(leaky_manifest(manifest("leaky", fps=FPS, layout=HAND_21), behind), rest_after_s=rest_after_s)
    return OnnxEngine(leaky(folder / "leaky.onnx", model), Runtime(streams=4))


@pytest.mark.parametrize("behind", [0, 2])
def test_a_state_begins_at_nothing_after_a_rest(tmp_path, behind):
    x = np.array([4, 1, *[UNSEEN] * 6, 2, 3, UNSEEN, 1]) / 8
    clip = hands(x, [UNSEEN] * len(x))
    scored, _ = replay(Session([stepping(tmp_path, behind)], 1.0), clip)
    ours = [one for one in scored if one.window.hand == "left"]
    assert [round(one.window.at_s * FPS) for one in ours] == list(range(len(x)))
    # It rests from frame 4 to 7, and after them looks back no further than the moment it is asked about.
    padded = np.append(x, [UNSEEN] * behind)
    before, after = leaky_sums(padded[:4]), leaky_sums(padded[8 - behind :])
    want = [*before[behind:], *[0] * 4, *after[behind:]]
    assert [one.probabilities[1] for one in ours] == want
    assert [one.window.rests for one in ours] == [4 - behind <= i < 8 - behind for i in range(len(x))]


def test_an_open_event_outlasts_a_rest_that_is_shorter_than_its_gap(tmp_path):
    decoding = Decoding(0.4, 0.3, min_duration_s=0.0, min_gap_s=1.0)
    restless = leaky_manifest(manifest("leaky", fps=FPS, layout=HAND_21, decoding=decoding))
    model = OnnxEngine(leaky(tmp_path / "leaky.onnx", replace(restless, rest_after_s=0.2)))
    clip = hands([1, 1, *[UNSEEN] * 5, 1, 1], [UNSEEN] * 9)
    scored, events = replay(Session([model], 1.0), clip)
    assert sum(one.window.rests for one in scored if one.window.hand == "left") == 4
    assert [(e.state, round(e.start_s, 6)) for e in events if e.state != "update"] == [("start", 0.0), ("end", 0.0)]


def test_what_is_said_at_rest_counts_even_where_a_step_was_lost(tmp_path):
    session = Session([stepping(tmp_path)], 1.0)
    frames = [Frame(at_s, xyz) for at_s, xyz in hands([0.5] + [UNSEEN] * 5 + [0.5], [UNSEEN] * 7)]
    cuts = [cut for frame in frames for cut in session.take(frame) if cut.hand == "left"]
    assert [cut.rests for cut in cuts] == [False] * 3 + [True] * 3 + [False]
    session.lose(cuts[2])
    assert [session.counts(cut) for cut in cuts[2:]] == [False, True, True, True, True]
    assert [session.counts(cut) for cut in cuts[1:2]] == [False]


@pytest.mark.parametrize("form", ["window", "stream"])
def test_a_socket_tells_what_the_posted_clip_tells_and_counts_what_cost_no_run(tmp_path, form):
    clip = hands([1, 1, *[UNSEEN] * 7, 1, 0.5, 1], [*[UNSEEN] * 9, 1, 1, 1])
    model = stepping(tmp_path, behind=2)
    if form == "window":
        windows = replace(manifest("leaky", fps=FPS, layout=HAND_21, centre=0.5), rest_after_s=0.3)
        model = RuleEngine(windows, lambda window: float(np.isfinite(window[-1]).all()))
    with serving(model) as client:
        told, code = talk(client, [*(as_binary(clip, i) for i in range(len(clip))), STOP], scores=True, aspect=1.0)
        posted = client.post("/v1/clips", content=npz.write(clip)).json()["models"]["leaky"]
        metrics = client.get("/metrics").text.splitlines()
        (about,) = client.get("/v1/models").json()["models"]
    assert (code, about["rest_after_s"]) == (1000, 0.3)
    for hand in ("left", "right"):
        streamed = [(s["at_s"], s["probabilities"]) for s in of_hand(of("scores", told), hand)]
        assert streamed == [(w["at_s"], w["probabilities"]) for w in of_hand(posted["windows"], hand)]
        assert [at_s for at_s, _ in streamed] == sorted(at_s for at_s, _ in streamed)
        ends = [(e["start_s"], e["end_s"]) for e in of_hand(of("event", told), hand) if e["state"] == "end"]
        assert ends == [(s["start_s"], s["end_s"]) for s in of_hand(posted["segments"], hand)]
        assert ends
    counts = {line.split("{")[0]: float(line.split()[-1]) for line in metrics if 'model="leaky"' in line}
    # Left from frame 4 to 8, right from the first answer, due at frame 2, to 8.
    assert counts["signstream_rested_windows_total"] == 12


def of_hand(messages, hand):
    return [message for message in messages if message["hand"] == hand]


def test_an_outside_look_at_a_file_rests_where_the_service_does():
    clip = signer(HAND_UP, fps=FPS)
    model = watching(0.5)
    scored, _ = replay(Session([model], 1.0), clip)
    served, model.asked = model.asked, 0
    found = looked_at(clip, model.predict, model.manifest)
    np.testing.assert_array_equal(found.probabilities, [one.probabilities for one in scored])
    assert model.asked == served < len(scored)


def test_frames_that_show_no_hand_of_the_model_let_it_rest_whatever_else_is_seen():
    tips = Layout("tips", ("nose", "left_hand_index_tip", "right_hand_index_tip"), ())
    clip = signer([True] * 6, fps=FPS)
    clip.xyz[:, HOLISTIC_75.indices("right_hand_index_tip")] = UNSEEN
    model = Counting(replace(manifest("tips", frames=1, fps=FPS, layout=tips), rest_after_s=0.2), wrist_is_right)
    scored, _ = replay(Session([model], 1.0), clip)
    assert [one.window.rests for one in scored] == [True] * 6
