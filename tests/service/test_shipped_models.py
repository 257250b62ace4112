"""The service as it ships, on real people."""

import json
import struct

import cv2
import pytest

from landmarks import holistic
from landmarks.extract import Extractor, extract_video, read_video
from tests.service.conftest import serving
from tests.service.test_stream import STOP, of, talk

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shipped():
    with serving() as client:
        yield client


def test_all_models_are_ready_and_say_where_they_come_from(shipped):
    ready = shipped.get("/readyz").json()
    assert {*ready["models"]} == {
        "hand-motions",
        "hand-shapes",
        "signing",
        "signs",
        "signs-stream",
    }
    assert ready["provider"] in ("CPUExecutionProvider", "CUDAExecutionProvider")
    listed = shipped.get("/v1/models").json()
    assert listed["default"] == ["signing", "signs"]
    for model in listed["models"]:
        assert model["licence"]
        assert model["sources"]
        assert model["metrics"]


@pytest.mark.parametrize("clip", ["asl_book", "asl_again", "asl_night", "asl_hungry"])
def test_a_posted_video_of_a_sign_has_a_signing_segment(shipped, clips, clip):
    answer = shipped.post("/v1/clips", content=(clips / f"{clip}.mkv").read_bytes())
    assert answer.status_code == 200
    body = answer.json()
    assert body["media"]["kind"] == "video"
    segments = body["models"]["signing"]["segments"]
    assert segments
    for segment in segments:
        assert segment["label"] == "signing"
        assert 0 <= segment["start_s"] < segment["end_s"] <= body["media"]["duration_s"] + 0.1


@pytest.mark.parametrize(
    "clip",
    [
        "nosign_face-demographics-walking-and-pause",
        "nosign_head-pose-face-detection-female-and-male",
        "nosign_head-pose-face-detection-female",
        "nosign_head-pose-face-detection-male",
    ],
)
def test_people_who_do_not_sign_give_no_segment(shipped, clips, clip):
    body = shipped.post("/v1/clips", files={"file": (clips / f"{clip}.mp4").read_bytes()}).json()
    assert body["media"]["frames_with_person"] > 0
    assert {name: model["segments"] for name, model in body["models"].items()} == {"signing": [], "signs": []}


def test_pictures_landmarks_and_the_posted_video_tell_the_same(shipped, clips):
    path = clips / "asl_hungry.mkv"
    posted = shipped.post("/v1/clips?models=signing", content=path.read_bytes()).json()["models"]["signing"]
    with Extractor() as extractor:
        sequence = extract_video(path, extractor)
    frames = []
    for seq, (at_s, xyz, sure) in enumerate(zip(sequence.at_s, sequence.xyz, sequence.confidence, strict=True)):
        parts = holistic.split(xyz, sure)
        listed = {name: None if part is None else part.tolist() for name, part in parts.items()}
        frames.append(json.dumps({"type": "frame", "seq": seq, "at_s": float(at_s)} | listed))
    said, _ = talk(shipped, [*frames, STOP], models=["signing"])
    streamed = [{key: e[key] for key in posted["segments"][0]} for e in of("event", said) if e["state"] == "end"]
    near = [{"confidence": pytest.approx(segment["confidence"], abs=1e-3)} for segment in posted["segments"]]
    assert streamed == [segment | other for segment, other in zip(posted["segments"], near, strict=True)]

    with shipped.websocket_connect("/v1/stream") as socket:
        socket.send_json({"type": "start", "models": ["signing"], "landmarks": True})
        assert socket.receive_json()["type"] == "ready"
        for seq, (at_s, picture) in enumerate(read_video(path)):
            # One picture at a time, losslessly, so that none is dropped and none looks different.
            lossless = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes()
            socket.send_bytes(struct.pack("<IHHd", seq, 16, 0, at_s) + lossless)
            while socket.receive_json()["type"] != "landmarks":
                pass
        socket.send_json(STOP)
        events = []
        while (message := socket.receive_json())["type"] != "summary":
            events.append(message)
    assert message["frames"] == len(sequence)
    assert message["dropped"] == 0
    ends = [e for e in events if e["type"] == "event" and e["state"] == "end"]
    assert [e["label"] for e in ends] == [segment["label"] for segment in posted["segments"]]
