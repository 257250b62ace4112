"""Models that carry a state from frame to frame, through REST, socket and session."""

import asyncio
import random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.websockets import WebSocketDisconnect

from landmarks import SIGN_27, LandmarkSequence
from landmarks.formats import npz
from service.batcher import Batcher
from service.engine import OnnxEngine, Runtime
from service.errors import Busy
from service.metrics import Metrics
from service.session import Frame, Session, replay
from tests.fakes import RuleEngine, manifest, right_hand_seen, signer
from tests.graphs import leaky, leaky_manifest, leaky_sums, recurrent
from tests.service.conftest import serving
from tests.service.test_stream import STOP, as_binary, end, of, talk

FPS = 10.0


def leaky_engine(folder, behind=0, streams=8):
    of = leaky_manifest(manifest("leaky", fps=FPS), behind)
    return OnnxEngine(leaky(folder / "leaky.onnx", of), Runtime(streams=streams))


def hand(values, at_s=None):
    """A clip whose first joint of the model stands at these x; eighths add up without rounding."""
    clip = signer([True] * len(values), fps=FPS)
    clip.xyz[:, clip.layout.indices(SIGN_27.joints[0])[0], 0] = values
    return LandmarkSequence.of(clip.layout, clip.xyz, at_s=clip.at_s if at_s is None else at_s, aspect=1.0)


def said_yes(scored):
    return np.array([one.probabilities[1] for one in scored])


@pytest.mark.parametrize("behind", [0, 3])
def test_every_frame_is_a_step_and_speaks_of_the_moment_behind_it(tmp_path, behind):
    values = np.array([1, 0, 4, 2, 7, 0, 1, 3]) / 8
    engine = leaky_engine(tmp_path, behind)
    scored, _ = replay(Session([engine], 1.0), hand(values))
    stepped = np.concatenate([values, np.full(behind, np.nan)])
    np.testing.assert_array_equal(said_yes(scored), leaky_sums(stepped)[behind:])
    np.testing.assert_allclose([one.window.at_s for one in scored], np.arange(8) / FPS, atol=1e-9)


@pytest.mark.parametrize("frames", [1, 2, 4])
def test_a_stream_shorter_than_what_a_prediction_is_about_has_all_its_moments_told(tmp_path, frames):
    values = np.arange(1, frames + 1) / 8
    scored, _ = replay(Session([leaky_engine(tmp_path, behind=3)], 1.0), hand(values))
    np.testing.assert_array_equal(said_yes(scored), leaky_sums(np.concatenate([values, np.full(3, np.nan)]))[3:])


def test_after_a_gap_the_state_begins_at_nothing(tmp_path):
    values = np.array([4, 4, 4, 1, 2, 0]) / 8
    at_s = np.array([0.0, 0.1, 0.2, 9.0, 9.1, 9.2])
    scored, _ = replay(Session([leaky_engine(tmp_path, behind=1)], 1.0), hand(values, at_s))
    want = [leaky_sums(np.append(part, np.nan))[1:] for part in (values[:3], values[3:])]
    np.testing.assert_array_equal(said_yes(scored), np.concatenate(want))
    assert [one.window.fresh for one in scored] == [True, False, False, True, False, False]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), behind=st.integers(0, 4), fps=st.floats(5, 40))
def test_a_clip_at_once_says_what_the_stream_says_frame_by_frame(tmp_path, seed, behind, fps):
    draw = np.random.default_rng(seed)
    clip = signer(draw.random(15) < 0.5, fps=fps, seed=seed)
    gaps = np.cumsum(draw.choice([0.0, 0.0, 0.0, 0.02, 0.8], len(clip)))
    clip = LandmarkSequence(clip.layout, clip.xyz, clip.confidence, clip.at_s + gaps, clip.aspect)
    engine = leaky_engine(tmp_path, behind)
    at_once, _ = replay(Session([engine], 1.0), clip)
    live = Session([engine], 1.0)
    pushed = [one for at_s, xyz in clip for one in live.judge(live.take(Frame(at_s, xyz)))]
    pushed += live.judge(live.finish())
    assert [one.window.at_s for one in pushed] == [one.window.at_s for one in at_once]
    np.testing.assert_array_equal(said_yes(pushed), said_yes(at_once))


def test_a_socket_tells_what_the_posted_clip_tells(tmp_path):
    clip = hand(np.array([0, 8, 8, 8, 8, 8, 8, 0, 0, 0, 0]) / 8)
    with serving(leaky_engine(tmp_path, behind=2)) as client:
        said, code = talk(client, [*(as_binary(clip, i) for i in range(len(clip))), STOP], scores=True, aspect=1.0)
        posted = client.post("/v1/clips", content=npz.write(clip)).json()["models"]["leaky"]
        (model,) = client.get("/v1/models").json()["models"]
    assert code == 1000
    assert model["form"] == "stream"
    assert [s["probabilities"] for s in of("scores", said)] == [w["probabilities"] for w in posted["windows"]]
    assert len(posted["windows"]) == len(clip)
    (segment,) = posted["segments"]
    told = next(e for e in of("event", said) if e["state"] == "end")
    assert {key: told[key] for key in segment} == segment


def test_streams_side_by_side_do_not_hear_of_each_other(tmp_path):
    clips = [hand(np.array(values) / 8) for values in ([8] * 6, [0] * 6, [1, 0, 2, 0, 3, 0])]
    with serving(leaky_engine(tmp_path)) as client:
        sockets = [client.websocket_connect("/v1/stream") for _ in clips]
        for socket in sockets:
            socket.__enter__()
            socket.send_json({"type": "start", "scores": True, "aspect": 1.0})
            assert socket.receive_json()["type"] == "ready"
        said = [[] for _ in clips]
        for i in range(6):
            for socket, clip in zip(sockets, clips, strict=True):
                socket.send_bytes(as_binary(clip, i))
            for socket, heard in zip(sockets, said, strict=True):
                while (message := socket.receive_json())["type"] != "scores":
                    pass
                heard.append(message["probabilities"][1])
        for socket in sockets:
            end(socket)
            socket.__exit__(None, None, None)
    first = clips[0].layout.indices(SIGN_27.joints[0])[0]
    for heard, clip in zip(said, clips, strict=True):
        np.testing.assert_array_equal(np.float32(heard), leaky_sums(clip.xyz[:, first, 0]))


def test_a_session_gives_its_place_back_and_the_next_stream_begins_at_nothing(tmp_path):
    engine = leaky_engine(tmp_path, streams=1)
    for values in ([8, 8, 8], [1, 2, 3]):
        session = Session([engine], 1.0)
        with pytest.raises(Busy, match="all 1 places"):
            Session([engine], 1.0)
        scored, _ = replay(session, hand(np.array(values) / 8))
        np.testing.assert_array_equal(said_yes(scored), leaky_sums(np.array(values) / 8))
    assert engine.places.free == 1


@pytest.mark.slow
@pytest.mark.parametrize("how", ["stop", "leave", "break the rules"])
def test_however_a_stream_ends_its_place_is_free_again(tmp_path, how):
    engine = leaky_engine(tmp_path)
    clip = hand(np.ones(3) / 8)
    with serving(engine, max_problems=1) as client, client.websocket_connect("/v1/stream") as socket:
        socket.send_json({"type": "start", "scores": True})
        assert socket.receive_json()["type"] == "ready"
        socket.send_bytes(as_binary(clip, 0))
        assert socket.receive_json()["type"] == "scores"
        assert engine.places.free == 7
        if how == "stop":
            end(socket)
        elif how == "break the rules":
            socket.send_text("nope")
            assert socket.receive_json()["type"] == "problem"
            assert socket.receive_json()["type"] == "summary"
            with pytest.raises(WebSocketDisconnect):
                socket.receive_json()
    assert engine.places.free == 8


def test_a_stream_that_finds_no_place_is_told_so_at_its_start(tmp_path):
    engine = leaky_engine(tmp_path, streams=1)
    with serving(engine) as client, client.websocket_connect("/v1/stream") as first:
        first.send_json({"type": "start"})
        assert first.receive_json()["type"] == "ready"
        with client.websocket_connect("/v1/stream") as second:
            second.send_json({"type": "start"})
            assert second.receive_json()["problem"]["code"] == "busy"
            with pytest.raises(WebSocketDisconnect) as closed:
                second.receive_json()
            assert closed.value.code == 1013
        answer = client.post("/v1/clips", content=npz.write(hand(np.ones(2))))
        assert (answer.status_code, answer.json()["code"]) == (503, "busy")
        end(first)


@pytest.mark.parametrize("max_batch", [1, 3, 8])
def test_interleaved_streams_in_batches_say_to_the_bit_what_each_says_alone(tmp_path, max_batch):
    streams, behind = 7, 2
    of = leaky_manifest(manifest("net", fps=FPS), behind)
    engine = OnnxEngine(recurrent(tmp_path / "net.onnx", of), Runtime(streams=2 * streams))
    draw = np.random.default_rng(max_batch)
    clips = [signer(draw.random(12) < 0.5, fps=float(draw.uniform(6, 30)), seed=i) for i in range(streams)]
    alone = [said_yes(replay(Session([engine], 1.0), clip)[0]) for clip in clips]
    shuffle = random.Random(max_batch)

    async def live(batcher, clip):
        session, said = Session([engine], 1.0), []
        cuts = [session.take(Frame(at_s, xyz)) for at_s, xyz in clip] + [session.finish()]
        while cuts:
            frames = shuffle.randint(1, 4)
            together = [cut for group in cuts[:frames] for cut in group]
            del cuts[:frames]
            waiting = [await batcher.submit(cut.landmarks, session.place(cut), cut.fresh) for cut in together]
            said += [(await answer)[1] for answer in waiting]
            for _ in range(shuffle.randint(0, 3)):
                await asyncio.sleep(0)
        session.close()
        return np.array(said)

    async def main():
        batcher = Batcher(engine, Metrics(), max_batch, 100)
        await batcher.start()
        try:
            return await asyncio.gather(*(live(batcher, clip) for clip in clips))
        finally:
            await batcher.stop()

    for together, separately in zip(asyncio.run(main()), alone, strict=True):
        np.testing.assert_array_equal(together, separately)
    assert len({said.tobytes() for said in alone}) == streams


def test_a_stream_whose_step_was_lost_begins_afresh_and_says_nothing_of_what_it_missed(tmp_path):
    session = Session([leaky_engine(tmp_path, behind=1)], 1.0)
    values = np.array([8, 8, 8, 8, 1, 2, 3]) / 8
    cuts = []
    frames = [Frame(at_s, xyz) for at_s, xyz in hand(values)]
    for frame in frames[:4]:
        cuts += session.take(frame)
    first, lost, stale = cuts
    assert [event.state for event in session.settle(session.judge([first])[0])] == ["start"]
    session.lose(lost)
    assert not session.counts(stale)
    afresh = [cut for frame in frames[4:] for cut in session.take(frame)]
    assert [(cut.fresh, len(cut.landmarks), session.counts(cut)) for cut in afresh] == [
        (True, 2, True),
        (False, 1, False),
    ]
    scored = session.judge(afresh)
    np.testing.assert_array_equal(said_yes(scored), leaky_sums(values[4:])[1:])
    assert [event.state for event in session.settle(scored[0])] == ["end"]
    assert session.counts(afresh[1])


def test_a_window_that_was_lost_takes_no_other_with_it():
    session = Session([RuleEngine(manifest(frames=2, fps=FPS), right_hand_seen)], 1.0)
    lost, following = [cut for at_s, xyz in signer([True] * 2, fps=FPS) for cut in session.take(Frame(at_s, xyz))]
    session.lose(lost)
    assert session.counts(following)
    assert not following.fresh


@pytest.mark.slow
@pytest.mark.parametrize("form", ["window", "stream"])
def test_work_that_comes_too_late_is_dropped_counted_and_its_stream_told_so(tmp_path, form):
    engine = leaky_engine(tmp_path)
    if form == "window":
        engine = RuleEngine(manifest("leaky", frames=2, fps=FPS), right_hand_seen)
    clip = hand(np.ones(3))
    with serving(engine, deadline_s=1e-9) as client:
        said, code = talk(client, [*(as_binary(clip, i) for i in range(3)), STOP], scores=True)
        metrics = client.get("/metrics").text
    assert code == 1000
    late = of("dropped", said)
    assert [(one["reason"], one["model"], one["seqs"]) for one in late] == [("late", "leaky", [i, i]) for i in range(3)]
    assert (said[-1]["frames"], said[-1]["dropped"], of("scores", said), of("event", said)) == (3, 3, [], [])
    assert 'signstream_late_windows_total{model="leaky"} 3.0' in metrics
    assert 'signstream_dropped_frames_total{reason="late"} 3.0' in metrics
