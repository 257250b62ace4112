import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landmarks import HOLISTIC_75, NTU_25, SIGN_27, LandmarkSequence, TimeError, UnknownJoint
from service.session import Frame, Manner, Session, replay
from tests.fakes import RuleEngine, ScriptedEngine, manifest, right_hand_seen, signer

ASPECT = 4 / 3


def spans(events):
    return [(event.label, event.start_s, event.end_s) for event in events if event.state == "end"]


def test_a_sign_starts_once_and_ends():
    script = [[0.9, 0.1], [0.2, 0.8], [0.2, 0.8], [0.9, 0.1]]
    engine = ScriptedEngine(script, manifest(labels=("none", "hello"), frames=1, fps=10))
    _, events = replay(Session([engine], ASPECT), signer([True] * 4, fps=10))
    assert [(e.state, e.label, round(e.decided_at_s, 3)) for e in events if e.state != "update"] == [
        ("start", "hello", 0.1),
        ("end", "hello", 0.3),
    ]


def test_a_hand_that_is_seen_for_a_while_is_one_segment():
    engine = RuleEngine(manifest(frames=4, fps=10), right_hand_seen)
    clip = signer([False] * 5 + [True] * 10 + [False] * 5, fps=10)
    _, events = replay(Session([engine], ASPECT), clip)
    assert spans(events) == [("signing", pytest.approx(0.5), pytest.approx(1.5))]


def test_every_moment_of_a_clip_has_a_window_even_of_one_shorter_than_a_window():
    engine = RuleEngine(manifest(frames=8, fps=10, centre=0.5), right_hand_seen)
    scored, _ = replay(Session([engine], ASPECT), signer([True] * 3, fps=10))
    assert [round(one.window.at_s, 3) for one in scored] == [0.0, 0.1, 0.2]
    assert np.isnan(scored[0].window.landmarks[0]).all()
    assert [(one.window.start_s, round(one.window.end_s, 3)) for one in scored] == [(0.0, 0.2)] * 3


def test_frame_by_frame_a_stream_gives_the_tensor_that_training_sees():
    clip = signer([True] * 30, fps=30)
    engine = RuleEngine(manifest(frames=8, fps=15), right_hand_seen)
    scored, _ = replay(Session([engine], clip.aspect), clip)
    tensor = clip.pick(SIGN_27).square().resample(15).xyz
    for one in scored:
        newest = round(one.window.end_s * 15)
        expected = tensor[max(0, newest - 7) : newest + 1]
        np.testing.assert_allclose(one.window.landmarks[-len(expected) :], expected, atol=1e-6)


@pytest.mark.slow
def test_a_real_training_clip_gives_live_the_tensor_that_it_gave_in_training(data):
    from training.datasets import asl_words
    from training.tasks.signing import Signing, SigningConfig

    task = Signing(SigningConfig(), SIGN_27, frames=16, fps=15.0, centre=0.5)
    engine = RuleEngine(manifest(frames=16, fps=15), right_hand_seen)
    clips = asl_words.load(data)
    for clip in clips[:: len(clips) // 5]:
        trained_on = clip.points(task.layout, task.fps)
        session = Session([engine], clip.sequence.aspect)
        live = [cut for at_s, xyz in clip.sequence for cut in session.take(Frame(at_s, xyz))]
        np.testing.assert_array_equal(live[-1].landmarks, trained_on[-16:])


def test_the_stride_decides_how_often_a_model_answers():
    fast, slow = manifest("fast", fps=30, stride=1), manifest("slow", frames=8, fps=30, stride=5)
    engines = [RuleEngine(of, right_hand_seen) for of in (fast, slow)]
    scored, _ = replay(Session(engines, ASPECT), signer([True] * 30, fps=30))
    counts = {name: sum(one.window.model == name for one in scored) for name in ("fast", "slow")}
    assert counts == {"fast": 30, "slow": 6}


def test_after_a_gap_a_stream_begins_afresh_and_an_open_event_ends():
    engine = RuleEngine(manifest(frames=4, fps=10), right_hand_seen)
    clip = signer([True] * 20, fps=10)
    torn = LandmarkSequence(
        clip.layout, clip.xyz, clip.confidence, clip.at_s + np.where(clip.at_s >= 1.0, 5.0, 0.0), clip.aspect
    )
    scored, events = replay(Session([engine], ASPECT), torn)
    assert [(round(start, 3), round(end, 3)) for _, start, end in spans(events)] == [(0.0, 0.9), (6.0, 6.9)]
    first_after = next(one for one in scored if one.window.at_s >= 5.99)
    assert np.isnan(first_after.window.landmarks[:-1]).all()


def test_a_frame_that_goes_back_in_time_is_refused_and_changes_nothing():
    engine = RuleEngine(manifest(frames=2, fps=10), right_hand_seen)
    clip = signer([True] * 3, fps=10)
    session = Session([engine], ASPECT)
    frames = [Frame(at_s, xyz) for at_s, xyz in clip]
    session.push(frames[0])
    session.push(frames[1])
    with pytest.raises(TimeError, match=r"0 came after 0\.1"):
        session.push(frames[0])
    assert [one.state for one in session.push(frames[2])] == ["update"]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(8, 60))
def test_a_clip_at_once_gives_the_windows_of_the_stream_to_the_bit(seed, fps):
    random = np.random.default_rng(seed)
    clip = signer(random.random(40) < 0.5, fps=fps, seed=seed)
    gaps = np.cumsum(random.choice([0.0, 0.0, 0.0, 0.02, 0.8], len(clip)))
    clip = LandmarkSequence(clip.layout, clip.xyz, clip.confidence, clip.at_s + gaps, clip.aspect)
    engines = [RuleEngine(manifest("a", frames=5, stride=2, fps=15, centre=0.5), right_hand_seen)]
    engines.append(RuleEngine(manifest("b", frames=3, stride=3, fps=10, centre=1.0), right_hand_seen))
    at_once, live = Session(engines, ASPECT), Session(engines, ASPECT)
    whole = at_once.take_clip(clip) + at_once.finish()
    streamed = [ready for at_s, xyz in clip for ready in live.take(Frame(at_s, xyz))] + live.finish()
    for name in "ab":
        one, other = ([window for window in windows if window.model == name] for windows in (whole, streamed))
        for mine, theirs in zip(one, other, strict=True):
            assert (mine.start_s, mine.end_s, mine.at_s, mine.fresh) == (
                theirs.start_s,
                theirs.end_s,
                theirs.at_s,
                theirs.fresh,
            )
            np.testing.assert_array_equal(mine.landmarks, theirs.landmarks)


def motion(window):
    """A number that every value of the window goes into."""
    return float(np.nan_to_num(window).mean())


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 4), st.integers(0, 10_000), st.integers(1, 7))
def test_interleaved_streams_equal_separate_ones_to_the_bit(streams, seed, batch):
    engine = RuleEngine(manifest(frames=4, fps=15), motion)
    random = np.random.default_rng(seed)
    clips = [signer(random.random(20) < 0.5, fps=float(random.uniform(8, 60)), seed=seed + i) for i in range(streams)]
    alone = [replay(Session([engine], ASPECT), clip)[0] for clip in clips]

    sessions = [Session([engine], ASPECT) for _ in clips]
    turns = random.permutation(np.repeat(np.arange(streams), 20))
    at = [0] * streams
    together = [[] for _ in clips]
    for i in turns:
        together[i] += sessions[i].take(Frame(float(clips[i].at_s[at[i]]), clips[i].xyz[at[i]]))
        at[i] += 1
    for i, session in enumerate(sessions):
        together[i] += session.finish()
    mixed = [(i, window) for i, windows in enumerate(together) for window in windows]
    mixed = [mixed[j] for j in random.permutation(len(mixed))]
    said = Session([engine], ASPECT).judge([window for _, window in mixed], batch=batch)
    for i, scored in enumerate(alone):
        mine = {one.window.at_s: one for (owner, _), one in zip(mixed, said, strict=True) if owner == i}
        assert len(mine) == len(scored)
        for one in scored:
            np.testing.assert_array_equal(mine[one.window.at_s].window.landmarks, one.window.landmarks)
            np.testing.assert_array_equal(mine[one.window.at_s].probabilities, one.probabilities)


def test_joints_reach_the_model_by_name():
    seen = []
    engine = RuleEngine(manifest(frames=1, fps=10), lambda window: float(seen.append(window) or 0))
    clip = signer([True], fps=10)
    replay(Session([engine], aspect=1.0), clip)
    for joint in ("nose", "left_wrist", "right_hand_pinky_tip"):
        np.testing.assert_array_equal(seen[0][0, SIGN_27.indices(joint)], clip.xyz[0, HOLISTIC_75.indices(joint)])


def test_a_clip_of_another_layout_is_judged_by_models_that_it_can_serve():
    xyz = np.random.default_rng(0).random((6, 25, 3)).astype(np.float32)
    clip = LandmarkSequence.of(NTU_25, xyz, fps=10.0)
    seen = []

    def remember(window):
        seen.append(window)
        return 0.0

    engine = RuleEngine(manifest(frames=4, fps=10, layout=NTU_25), remember)
    replay(Session([engine], 1.0, Manner(NTU_25)), clip)
    np.testing.assert_allclose(seen[3], xyz[:4], atol=1e-6)
    with pytest.raises(UnknownJoint, match=r"ntu_25 has no joint nose, .* and \d+ more"):
        Session([RuleEngine(manifest(frames=4, fps=10), remember)], 1.0, Manner(NTU_25))
