import json

import numpy as np
import pytest

from landmarks.formats import npz
from tests.fakes import ScriptedEngine, manifest, signer
from tests.service.conftest import serving

CLIP = signer([False] * 5 + [True] * 10 + [False] * 5, fps=10)


def post(client, content=None, query="", **kwargs):
    return client.post(f"/v1/clips{query}", content=content, **kwargs)


def test_a_landmark_file_gives_windows_and_segments(client):
    answer = post(client, npz.write(CLIP))
    assert answer.status_code == 200
    body = answer.json()
    assert body["media"] == {
        "kind": "npz",
        "frames": 20,
        "duration_s": 1.9,
        "fps": 10.0,
        "aspect": 1.3333,
        "frames_with_person": 20,
    }
    signing = body["models"]["signing"]
    assert signing["labels"] == ["not-signing", "signing"]
    assert signing["segments"] == [
        {"start_s": 0.5, "end_s": 1.5, "person": 1, "hand": None, "label": "signing", "confidence": 1.0}
    ]
    assert [w["at_s"] for w in signing["windows"]] == [round(i / 10, 4) for i in range(20)]
    assert [w["probabilities"][1] for w in signing["windows"]] == [0.0] * 5 + [1.0] * 10 + [0.0] * 5
    assert len(body["models"]["slow"]["windows"]) == 10


def test_multipart_and_raw_body_are_answered_alike(client):
    content = npz.write(CLIP)
    raw = post(client, content, "?models=slow").json()
    assert post(client, query="?models=slow", files={"file": ("clip.npz", content)}).json() == raw
    assert list(raw["models"]) == ["slow"]


def test_rate_and_aspect_may_be_given_for_a_file_that_does_not_say(client):
    frames = {"frames": [{"pose": [[0.5, 0.5, 0.0, 1.0]] * 33}] * 6}
    media = post(client, json.dumps(frames), "?fps=5&aspect=1.5").json()["media"]
    assert (media["kind"], media["duration_s"], media["aspect"]) == ("mediapipe-json", 1.0, 1.5)


@pytest.mark.parametrize(
    ("content", "query", "status", "code", "detail"),
    [
        (b"", "", 422, "invalid-request", "body is empty"),
        (b"hello", "", 415, "unsupported-media", "neither a video nor a landmark file"),
        (b"#EXTM3U\nfile:///etc/passwd", "", 415, "unsupported-media", "neither"),
        (b"\x00\x00\x00\x18ftypmp42" + bytes(99), "", 415, "not-a-video", "cannot be decoded"),
        (b'{"frames": []}', "", 422, "no-frames", "no frames"),
        (b'{"frames": [{"pose": 1}]}', "", 422, "invalid-landmarks", "frame 0: pose"),
        (b'{"frames": [{"at_s": 1}, {"at_s": 1}]}', "", 422, "invalid-time", "grow"),
        (b"{}", "?models=signing,nope", 404, "unknown-model", "no model nope; choose from signing, slow"),
        (b"{}", "?fps=0", 422, "invalid-request", "query.fps"),
        (b"{}", "?aspect=wide", 422, "invalid-request", "query.aspect"),
        (b'{"frames": [{"at_s": 0}, {"at_s": 9999}]}', "", 413, "too-large", "9999.0 s, more than 600 s"),
    ],
)
def test_bad_input_is_answered_with_a_problem(client, content, query, status, code, detail):
    answer = post(client, content, query)
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["type"] == f"urn:signstream:problem:{code}"
    assert detail in problem["detail"]


def test_a_form_without_the_file_says_so(client):
    problem = post(client, files={"clip": ("a", b"x")}).json()
    assert (problem["code"], "field `file`" in problem["detail"]) == ("invalid-request", True)


def test_a_wrong_address_is_a_problem_too(client):
    answer = client.get("/v1/nothing")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


def chunks(count, size):
    for _ in range(count):
        yield bytes(size)


def test_an_upload_over_the_limit_is_stopped_whether_it_is_announced_or_not(client):
    with serving(ScriptedEngine([[1, 0]] * 100, manifest()), max_upload_bytes=1000) as small:
        for content in (bytes(1001), chunks(20, 100)):
            answer = post(small, content)
            assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


@pytest.mark.slow
def test_a_failing_model_is_a_problem_and_the_service_lives_on(client):
    with serving(ScriptedEngine([[1, 0]] * 9, manifest()), max_batch=1) as fragile:
        content = npz.write(signer([True] * 10))
        answer = post(fragile, content)
        assert (answer.status_code, answer.json()["code"]) == (500, "internal-error")
        assert fragile.get("/livez").status_code == 200


def test_models_say_what_they_are(client):
    (signing, slow) = client.get("/v1/models").json()["models"]
    assert (signing["name"], signing["background"], signing["fps"]) == ("signing", "not-signing", 10.0)
    assert slow["stride_s"] == pytest.approx(0.2)
    assert slow["decoding"]["start_above"] == 0.6


def test_readiness_names_the_real_provider(client):
    assert client.get("/readyz").json() == {
        "status": "ready",
        "provider": "Rule",
        "fallback": [],
        "models": ["signing", "slow"],
    }
    assert client.get("/livez").json() == {"status": "alive"}


def test_what_was_answered_is_counted(client):
    def count():
        lines = client.get("/metrics").text.splitlines()
        return float(next((x.split()[1] for x in lines if x.startswith('signstream_clips_total{kind="npz"}')), 0))

    before = count()
    post(client, npz.write(CLIP))
    assert count() == before + 1


def test_a_person_who_is_never_seen_gives_no_segment(client):
    empty = signer([False] * 10, fps=10)
    empty.xyz[:] = np.nan
    body = post(client, npz.write(empty)).json()
    assert body["media"]["frames_with_person"] == 0
    assert body["models"]["signing"]["segments"] == []


def test_a_file_of_a_hand_alone_is_told_what_the_models_miss(client):
    line = " ".join(["0.1"] * 66)
    answer = post(client, f"{line}\n{line}\n".encode())
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-landmarks")
    assert "shrec_22 has no joint nose" in answer.json()["detail"]
    assert len(answer.json()["detail"]) < 200
