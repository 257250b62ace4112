import json
import struct
import threading

import cv2
import numpy as np
import pytest
from starlette.websockets import WebSocketDisconnect

from landmarks import holistic
from landmarks.formats import npz
from tests.fakes import RuleEngine, manifest, right_hand_seen, signer
from tests.service.conftest import serving

CLIP = signer([False] * 5 + [True] * 10 + [False] * 5, fps=10)


def as_json(clip, i):
    parts = holistic.split(clip.xyz[i], clip.confidence[i])
    return {"type": "frame", "seq": i, "at_s": float(clip.at_s[i])} | {
        name: None if part is None else part.tolist() for name, part in parts.items()
    }


def as_binary(clip, i):
    parts = holistic.split(clip.xyz[i], clip.confidence[i])
    flags, body = 0, b""
    for flag, name in ((2, "pose"), (4, "left_hand"), (8, "right_hand")):
        if parts[name] is not None:
            flags |= flag
            body += parts[name].astype("<f4").tobytes()
    return struct.pack("<IHHd", i, flags, 0, float(clip.at_s[i])) + body


def picture(seq, at_s, pixels):
    return struct.pack("<IHHd", seq, 16, 0, at_s) + cv2.imencode(".jpg", pixels)[1].tobytes()


def talk(client, messages, **start):
    """Everything the server says to a whole conversation, and the code it closed with."""
    said = []
    with client.websocket_connect("/v1/stream") as socket:
        socket.send_json({"type": "start"} | start)
        for message in messages:
            socket.send_bytes(message) if isinstance(message, bytes) else socket.send_text(
                message if isinstance(message, str) else json.dumps(message)
            )
        try:
            while True:
                said.append(socket.receive_json())
        except WebSocketDisconnect as closed:
            return said, closed.code


STOP = {"type": "stop"}


def end(socket):
    """Stop politely and wait until the server has hung up."""
    socket.send_json(STOP)
    while socket.receive_json()["type"] != "summary":
        pass
    with pytest.raises(WebSocketDisconnect) as closed:
        socket.receive_json()
    assert closed.value.code == 1000


def of(kind, said):
    return [message for message in said if message["type"] == kind]


@pytest.mark.parametrize("frame", [as_json, as_binary])
def test_a_stream_tells_what_the_posted_clip_tells(client, frame):
    said, code = talk(client, [*(frame(CLIP, i) for i in range(len(CLIP))), STOP], scores=True)
    assert code == 1000
    clip = client.post("/v1/clips", content=npz.write(CLIP)).json()["models"]
    for name in ("signing", "slow"):
        ends = [e for e in of("event", said) if e["model"] == name and e["state"] == "end"]
        keys = ("start_s", "end_s", "person", "hand", "label", "confidence")
        assert [{key: e[key] for key in keys} for e in ends] == clip[name]["segments"]
        scores = [s for s in of("scores", said) if s["model"] == name]
        assert [s["probabilities"] for s in scores] == [w["probabilities"] for w in clip[name]["windows"]]
    assert said[0]["type"] == "ready"
    assert [model["name"] for model in said[0]["models"]] == ["signing", "slow"]
    assert said[-1] == {
        "type": "summary",
        "frames": 20,
        "dropped": 0,
        "problems": 0,
        "events": {"signing": 1, "slow": 1},
    }


def test_an_event_keeps_its_id_from_start_to_end(client):
    said, _ = talk(client, [*(as_binary(CLIP, i) for i in range(len(CLIP))), STOP], models=["signing"])
    events = of("event", said)
    assert {event["id"] for event in events} == {"signing-1"}
    assert [event["state"] for event in events] == ["start"] + ["update"] * 9 + ["end"]
    assert [event["end_s"] for event in events] == [None] * 10 + [1.5]


def test_an_open_event_ends_with_the_stream(client):
    up = signer([True] * 5, fps=10)
    said, _ = talk(client, [*(as_binary(up, i) for i in range(5)), STOP], models=["signing"])
    assert of("event", said)[-1]["state"] == "end"
    assert of("event", said)[-1]["end_s"] == pytest.approx(0.4)


def test_a_bad_message_is_answered_and_the_stream_goes_on(client):
    bad = ["nope", b"123", {"type": "start"}, {"type": "frame", "at_s": 0, "pose": [[1, 2]]}]
    frames = [as_binary(CLIP, i) for i in range(len(CLIP))]
    said, code = talk(client, [*frames[:10], *bad, frames[3], *frames[10:], STOP], models=["signing"])
    codes = sorted(message["problem"]["code"] for message in of("problem", said))
    assert codes == ["invalid-landmarks", "invalid-message", "invalid-message", "invalid-message", "invalid-time"]
    assert (code, said[-1]["problems"], said[-1]["frames"]) == (1000, 5, 20)
    assert [e["end_s"] for e in of("event", said) if e["state"] == "end"] == [1.5]


def test_the_same_problem_answers_rest_and_socket(client):
    wrong = {"pose": [[1, 2]]}
    rest = client.post("/v1/clips", content=json.dumps({"frames": [wrong]})).json()
    said, _ = talk(client, [{"type": "frame", "at_s": 0} | wrong, STOP])
    socket = of("problem", said)[0]["problem"]
    assert socket | {"detail": ""} == rest | {"detail": ""}


def test_frames_denser_than_the_limit_are_dropped_and_said_so(client):
    dense = signer([True] * 30, fps=1000)
    said, _ = talk(client, [*(as_binary(dense, i) for i in range(30)), STOP])
    dropped = of("dropped", said)
    assert {message["reason"] for message in dropped} == {"rate"}
    assert sum(message["count"] for message in dropped) == said[-1]["dropped"] == 30 - said[-1]["frames"]
    assert said[-1]["frames"] == 6  # every 5th of a thousand a second is within 240 a second


@pytest.mark.parametrize(
    ("first", "code", "problem"),
    [
        ({"type": "stop"}, 1008, "invalid-message"),
        ("nope", 1008, "invalid-message"),
        ({"type": "start", "models": ["nope"]}, 1008, "unknown-model"),
        ({"type": "start", "aspect": 99}, 1008, "invalid-message"),
    ],
)
def test_a_stream_that_does_not_start_is_told_why_and_closed(client, first, code, problem):
    with client.websocket_connect("/v1/stream") as socket:
        socket.send_text(first if isinstance(first, str) else json.dumps(first))
        assert socket.receive_json()["problem"]["code"] == problem
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
        assert closed.value.code == code


def engine(rule=right_hand_seen):
    return RuleEngine(manifest("signing", frames=4, fps=10), rule)


def test_a_socket_to_a_wrong_address_is_refused(client):
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/v1/nothing"):
        pass


@pytest.mark.slow
def test_too_many_problems_close_the_stream():
    with serving(engine(), max_problems=3) as strict:
        said, code = talk(strict, ["nope"] * 3)
    assert (len(of("problem", said)), code) == (3, 1008)


@pytest.mark.slow
def test_one_stream_too_many_is_told_so():
    with serving(engine(), max_streams=1) as small, small.websocket_connect("/v1/stream") as first:
        first.send_json({"type": "start"})
        assert first.receive_json()["type"] == "ready"
        with small.websocket_connect("/v1/stream") as second:
            second.send_json({"type": "start"})
            assert second.receive_json()["problem"]["code"] == "busy"
            with pytest.raises(WebSocketDisconnect) as closed:
                second.receive_json()
            assert closed.value.code == 1013
        end(first)


def test_a_failing_model_closes_its_stream_and_no_other():
    def fails_on_hands(window):
        if right_hand_seen(window):
            raise RuntimeError("scripted")
        return 0.0

    with serving(engine(fails_on_hands)) as fragile:
        up, down = signer([True] * 3, fps=10), signer([False] * 3, fps=10)
        assert talk(fragile, [as_binary(up, 0)])[1] == 1011
        assert talk(fragile, [*(as_binary(down, i) for i in range(3)), STOP])[1] == 1000


def test_a_picture_is_looked_at_and_what_was_found_is_sent_back(client):
    black = np.zeros((96, 128, 3), np.uint8)
    said, code = talk(client, [picture(7, 0.0, black), STOP], landmarks=True, models=["signing"])
    (found,) = of("landmarks", said)
    assert found == {
        "type": "landmarks",
        "seq": 7,
        "at_s": 0.0,
        "aspect": pytest.approx(4 / 3),
        "pose": None,
        "left_hand": None,
        "right_hand": None,
    }
    assert code == 1000


def test_a_broken_picture_is_a_problem(client):
    said, code = talk(client, [struct.pack("<IHHd", 1, 16, 0, 0.0) + b"no picture", STOP])
    assert of("problem", said)[0]["problem"]["code"] == "invalid-landmarks"
    assert code == 1000


@pytest.mark.slow
def test_pictures_that_come_too_fast_are_dropped_oldest_first_and_said_so():
    warm, going, released = threading.Event(), threading.Event(), threading.Event()

    def waits(window):
        if not warm.is_set():
            return 0.0
        going.set()
        assert released.wait(30)
        return 0.0

    black = np.zeros((96, 128, 3), np.uint8)
    # In the batcher's thread: what waits is too long for the spot, but warming cannot tell.
    with (
        serving(engine(waits), max_pending_pictures=2, spot_s=0) as slow,
        slow.websocket_connect("/v1/stream") as socket,
    ):
        warm.set()
        socket.send_json({"type": "start"})
        session = f"/v1/sessions/{socket.receive_json()['session']}"
        socket.send_bytes(picture(0, 0.0, black))
        assert going.wait(30)
        for seq in range(1, 6):
            socket.send_bytes(picture(seq, seq / 10, black))
        while slow.get(session).json()["dropped"] < 3:
            pass
        released.set()
        socket.send_json(STOP)
        said = []
        while not said or said[-1]["type"] != "summary":
            said.append(socket.receive_json())
    assert of("dropped", said) == [{"type": "dropped", "count": 3, "seqs": [1, 3], "reason": "slow"}]
    assert (said[-1]["frames"], said[-1]["dropped"]) == (3, 3)


def test_pictures_find_no_room_when_all_extractors_are_taken():
    black = np.zeros((96, 128, 3), np.uint8)
    with serving(engine(), extractors=1) as small, small.websocket_connect("/v1/stream") as first:
        first.send_json({"type": "start", "landmarks": True})
        first.send_bytes(picture(0, 0.0, black))
        assert [first.receive_json()["type"] for _ in range(2)] == ["ready", "landmarks"]
        said, code = talk(small, [picture(0, 0.0, black)])
        assert (of("problem", said)[0]["problem"]["code"], code) == ("busy", 1013)
        end(first)
        assert of("landmarks", talk(small, [picture(0, 0.0, black), STOP], landmarks=True)[0])


def test_a_session_without_a_line_lets_others_look_at_pictures_and_goes_on_later():
    black = np.zeros((96, 128, 3), np.uint8)
    with serving(engine(), extractors=1) as small:
        with small.websocket_connect("/v1/stream") as first:
            first.send_json({"type": "start", "landmarks": True, "resumable": True})
            first.send_bytes(picture(0, 0.0, black))
            ready, _ = (first.receive_json() for _ in range(2))
            first.close(1001)
        while small.get(f"/v1/sessions/{ready['session']}").json()["state"] != "parked":
            pass
        assert of("landmarks", talk(small, [picture(0, 0.0, black), STOP], landmarks=True)[0])
        with small.websocket_connect("/v1/stream") as again:
            resume = {"type": "resume", "session": ready["session"], "token": ready["resume"]["token"]}
            again.send_json(resume)
            again.send_bytes(picture(1, 0.1, black))
            assert [again.receive_json()["type"] for _ in range(3)] == ["ack", "resumed", "landmarks"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("default", "answer"),
    [("slow", ["slow"]), ("slow, gone", ["slow"]), ("gone", ["signing", "slow"]), ("", ["signing", "slow"])],
)
def test_who_names_no_model_is_answered_by_those_of_the_settings(default, answer):
    engines = [RuleEngine(manifest(name, frames=4, fps=10), right_hand_seen) for name in ("signing", "slow")]
    with serving(*engines, default_models=default) as client:
        assert client.get("/v1/models").json()["default"] == answer
        assert list(client.post("/v1/clips", content=npz.write(CLIP)).json()["models"]) == answer
        said, _ = talk(client, [STOP])
        assert [model["name"] for model in said[0]["models"]] == answer
        said, _ = talk(client, [STOP], models=["signing"])
        assert [model["name"] for model in said[0]["models"]] == ["signing"]
