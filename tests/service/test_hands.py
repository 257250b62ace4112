"""Models of one hand, through session, REST and socket."""

import itertools

import numpy as np
import pytest
import torch

from export import export
from landmarks import HAND_21, HOLISTIC_75, LandmarkSequence, Manifest, holistic
from landmarks.formats import npz
from models import Checkpoint, build
from service.engine import OnnxEngine, Runtime
from service.errors import Busy
from service.session import Frame, Manner, Session, replay
from tests.fakes import RuleEngine, manifest, right_hand_seen, signer
from tests.graphs import leaky, leaky_manifest, leaky_sums
from tests.networks import FRAMES, SMALL
from tests.service.conftest import serving
from tests.service.test_stream import STOP, as_binary, of, talk
from training.clip import Clip

FPS = 10.0
HANDS = ("left", "right")
WRISTS = HOLISTIC_75.indices("left_hand_wrist", "right_hand_wrist")


def hands(left, right, fps=FPS):
    """A body whose hands' wrists stand at these x; a hand is not seen where its x is NaN."""
    clip = signer([True] * len(left), fps=fps)
    for hand, values in zip(HANDS, (left, right), strict=True):
        where = holistic.PARTS[f"{hand}_hand"]
        clip.xyz[:, where] = np.array(values, np.float32)[:, None, None]
    return LandmarkSequence.of(HOLISTIC_75, clip.xyz, fps=fps)


def wrist_is_right(window):
    """1 if the hand's wrist is in the right half of the newest frame."""
    return float(np.nan_to_num(window[-1, 0, 0]) > 0.5)


def engine(**options):
    return RuleEngine(manifest("shapes", ("none", "over"), fps=FPS, layout=HAND_21, **options), wrist_is_right)


CLIP = hands([0.1, 0.9, 0.9, 0.9, 0.1, 0.1, 0.9, 0.1], [0.9, 0.9, 0.1, 0.1, np.nan, 0.9, 0.9, 0.9])


def spans(events, hand):
    return [(round(e.start_s, 6), round(e.end_s, 6)) for e in events if e.state == "end" and e.hand == hand]


def test_each_hand_has_events_of_its_own():
    _, events = replay(Session([engine()], 1.0), CLIP)
    assert spans(events, "left") == [(0.1, 0.4), (0.6, 0.7)]
    assert spans(events, "right") == [(0.0, 0.2), (0.5, 0.7)]
    told = {event.id: (event.hand, event.start_s) for event in events}
    assert len(told) == 4, "an id is one event's"
    assert all(told[event.id] == (event.hand, event.start_s) for event in events)


def test_beside_a_model_of_the_body_each_is_told_by_its_name_and_hand():
    body = RuleEngine(manifest("body", fps=FPS), right_hand_seen)
    scored, _ = replay(Session([engine(), body], 1.0), CLIP)
    found = {key: len([*group]) for key, group in itertools.groupby((s.window.model, s.window.hand) for s in scored)}
    assert found == {("shapes", "left"): 8, ("shapes", "right"): 8, ("body", None): 8}


@pytest.mark.parametrize("hand", HANDS)
def test_a_hand_of_a_body_is_answered_as_in_a_clip_of_that_hand_alone(hand):
    alone = CLIP.pick(HAND_21, hand)
    scored, events = replay(Session([engine(frames=2)], 1.0, Manner(HAND_21)), alone)
    assert {one.window.hand for one in scored} == {event.hand for event in events} == {None}
    both, told = replay(Session([engine(frames=2)], 1.0), CLIP)
    ours = [one for one in both if one.window.hand == hand]
    for mine, theirs in zip(ours, scored, strict=True):
        np.testing.assert_array_equal(mine.probabilities, theirs.probabilities)
    assert spans(told, hand) == spans(events, None)


def test_a_socket_and_a_posted_clip_tell_the_same_of_each_hand():
    with serving(engine(frames=3, stride=2, centre=0.5)) as client:
        said, code = talk(client, [*(as_binary(CLIP, i) for i in range(len(CLIP))), STOP], scores=True, aspect=1.0)
        posted = client.post("/v1/clips", content=npz.write(CLIP)).json()["models"]["shapes"]
    assert code == 1000
    keys = ("start_s", "end_s", "at_s", "person", "hand", "probabilities")
    streamed = [{key: one[key] for key in keys} for one in of("scores", said)]
    assert streamed == posted["windows"]
    assert [one["hand"] for one in streamed] == ["left", "right"] * 4
    ends = [{key: e[key] for key in posted["segments"][0]} for e in of("event", said) if e["state"] == "end"]
    assert sorted(ends, key=str) == sorted(posted["segments"], key=str)
    assert [one["start_s"] for one in posted["segments"]] == sorted(one["start_s"] for one in ends)
    assert {one["hand"] for one in ends} == {"left", "right"}
    assert said[-1]["events"] == {"shapes": len(ends)}


def test_a_posted_file_of_one_hand_is_answered_without_a_side():
    line = " ".join(["0.9"] * 66)
    with serving(engine()) as client:
        answer = client.post("/v1/clips?fps=10", content=f"{line}\n{line}\n".encode())
    (segment,) = answer.json()["models"]["shapes"]["segments"]
    assert (segment["hand"], segment["label"]) == (None, "over")


def stepping(folder, streams):
    of = leaky_manifest(manifest("leaky", fps=FPS, layout=HAND_21))
    return OnnxEngine(leaky(folder / "leaky.onnx", of), Runtime(streams=streams))


def test_each_hand_carries_a_state_of_its_own(tmp_path):
    values = np.array([[1, 0, 4, 2, 7], [3, 5, np.nan, 1, 0]]) / 8
    clip, model = hands(*values), stepping(tmp_path, streams=1)
    live = Session([model], 1.0)
    with pytest.raises(Busy):
        Session([model], 1.0)
    said = [one for at_s, xyz in clip for one in live.judge(live.take(Frame(at_s, xyz)))]
    for hand, x in zip(HANDS, values, strict=True):
        ours = [one.probabilities[1] for one in said if one.window.hand == hand]
        np.testing.assert_array_equal(ours, leaky_sums(x))
    live.close()
    assert model.places.free == 2
    at_once, _ = replay(Session([model], 1.0), clip)
    by_time = sorted(at_once, key=lambda one: one.window.at_s)
    np.testing.assert_array_equal([one.probabilities for one in said], [one.probabilities for one in by_time])


def test_a_step_that_is_lost_is_lost_to_its_hand_alone(tmp_path):
    session = Session([stepping(tmp_path, streams=1)], 1.0)
    frames = [Frame(at_s, xyz) for at_s, xyz in hands([0.5] * 3, [0.25] * 3)]
    session.judge(session.take(frames[0]))
    left, right = session.take(frames[1])
    session.lose(left)
    assert (session.counts(left), session.counts(right)) == (False, True)
    assert [cut.fresh for cut in session.take(frames[2])] == [True, False]


@pytest.mark.slow
def test_an_exported_network_of_one_hand_is_given_what_training_gave_it(tmp_path):
    torch.manual_seed(0)
    options = {"labels": 3, "fps": FPS, **SMALL["stgcn"]}
    network = build("stgcn", HAND_21, **options).eval()
    says = Manifest(
        name="shapes",
        version="0",
        task="gesture",
        network="stgcn",
        layout=HAND_21.name,
        joints=HAND_21.joints,
        window_frames=FRAMES,
        stride_frames=1,
        fps=FPS,
        labels=("a", "b", "none"),
        background="none",
        centre=1.0,
        rest_after_s=5.0,
    )
    saved = Checkpoint(says, HAND_21, options, network.state_dict(), {})
    export(saved, tmp_path / "models" / "shapes.onnx")
    random = np.random.default_rng(0)
    moving = random.uniform(0.2, 0.8, (1, 75, 3)) + random.normal(0, 0.02, (20, 75, 3))
    clip = LandmarkSequence.of(HOLISTIC_75, moving, fps=14.0, aspect=4 / 3)
    with serving(models_dir=tmp_path / "models") as client:
        said, _ = talk(client, [*(as_binary(clip, i) for i in range(len(clip))), STOP], scores=True)
        (about,) = client.get("/v1/models").json()["models"]
    assert (about["layout"], about["rest_after_s"]) == ("hand_21", 5.0)
    for hand in HANDS:
        points = Clip(clip.pick(HAND_21, hand), "a", 1, "take", "made").points(HAND_21, FPS)
        ours = [one["probabilities"] for one in of("scores", said) if one["hand"] == hand]
        assert len(ours) == len(points)
        with torch.inference_mode():
            told = network(torch.from_numpy(points[-FRAMES:][None]))[0]
        np.testing.assert_allclose(ours[-1], told, atol=1e-4)
