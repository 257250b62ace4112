"""A stream's conversation without a socket."""

import json

import pytest
from signstream_client import (
    BadFrame,
    Dropped,
    Event,
    Frame,
    Landmarks,
    Picture,
    ProblemError,
    ProtocolError,
    Ready,
    Scores,
    StreamClosed,
    StreamProtocol,
    Summary,
)
from signstream_client.errors import InvalidTime, UnknownModel
from signstream_client.frame import decode_frame

from client.tests import answers


def _started(**options) -> StreamProtocol:
    protocol = StreamProtocol(**options)
    protocol.receive(json.dumps(answers.READY))
    return protocol


def test_start_says_only_what_was_asked_for():
    assert json.loads(StreamProtocol().start()) == {"type": "start", "scores": False, "landmarks": False}
    asked = StreamProtocol(["signing"], aspect=1.5, scores=True, landmarks=True).start()
    assert json.loads(asked) == {
        "type": "start",
        "models": ["signing"],
        "aspect": 1.5,
        "scores": True,
        "landmarks": True,
    }


def test_frames_are_numbered_in_the_order_they_are_sent():
    protocol = _started()
    sent = [protocol.frame(Frame(0.1, left_hand=answers.HAND)), protocol.frame(Picture(0.2, b"jpeg"))]
    assert [seq for seq, _ in sent] == [0, 1]
    assert [decode_frame(data).seq for _, data in sent] == [0, 1]


def test_time_that_does_not_grow_is_refused_and_the_stream_goes_on():
    protocol = _started()
    protocol.frame(Frame(0.2))
    with pytest.raises(BadFrame, match=r"0\.2 came after 0\.2"):
        protocol.frame(Frame(0.2))
    assert protocol.frame(Frame(0.3))[0] == 1


def test_every_message_is_read():
    protocol = StreamProtocol()
    ready = protocol.receive(json.dumps(answers.READY))
    assert isinstance(ready, Ready)
    assert ready.models[0].decoding.start_above == 0.6
    assert ready.models[0].metrics == {"accuracy": 0.9}
    read = [protocol.receive(json.dumps(m)) for m in (answers.EVENT, answers.ENDED, answers.SCORES, answers.DROPPED)]
    assert read == [
        Event("signing", "e1", "start", "signing", 0.9, 0.1, None, 0.4),
        Event("signing", "e1", "end", "signing", 0.9, 0.1, 0.8, 1.0),
        Scores("signing", 0.0, 1.0, 0.5, (0.1, 0.9)),
        Dropped(2, 3, 4, "slow"),
    ]
    of_a_hand = [m | {"hand": "left"} for m in (answers.EVENT, answers.SCORES)]
    assert [protocol.receive(json.dumps(m)).hand for m in of_a_hand] == ["left", "left"]
    hand = [list(point) for point in answers.HAND]
    found = {"type": "landmarks", "seq": 4, "at_s": 0.5, "aspect": 1.5, "pose": None, "left_hand": hand}
    assert protocol.receive(json.dumps(found)) == Landmarks(Frame(0.5, left_hand=answers.HAND, seq=4), 1.5)
    assert protocol.receive(json.dumps(answers.SUMMARY)) == Summary(5, 0, 0, {"signing": 1})


def test_a_message_of_a_newer_service_is_passed_over():
    assert _started().receive('{"type": "lag", "seconds": 3}') is None


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ("{}", "has no 'type'"),
        (b"\x00", "binary"),
        (json.dumps(answers.EVENT | {"state": "maybe"}), "start, update or end"),
        (json.dumps(answers.EVENT | {"confidence": "high"}), "'confidence' is no number"),
        (json.dumps(answers.EVENT | {"hand": "third"}), "'hand' is no left, right or null"),
        (json.dumps({k: v for k, v in answers.EVENT.items() if k != "id"}), "has no 'id'"),
        (json.dumps(answers.DROPPED | {"seqs": [1]}), "first, last"),
        (json.dumps(answers.SCORES | {"probabilities": [0.1, None]}), "list of numbers"),
    ],
)
def test_what_is_no_message_is_named(data, told):
    with pytest.raises(ProtocolError, match=told):
        _started().receive(data)


def test_a_problem_before_ready_is_raised_as_its_twin():
    with pytest.raises(UnknownModel, match="choose from signing") as raised:
        StreamProtocol(["nosuch"]).receive(json.dumps({"type": "problem", "problem": answers.UNKNOWN_MODEL}))
    assert (raised.value.status, raised.value.code) == (404, "unknown-model")


def test_a_code_without_a_twin_is_still_a_problem():
    strange = answers.UNKNOWN_MODEL | {"code": "new-in-2030"}
    with pytest.raises(ProblemError) as raised:
        StreamProtocol().receive(json.dumps({"type": "problem", "problem": strange}))
    assert raised.value.code == "new-in-2030"


def test_a_stream_that_ends_early_says_why():
    protocol = _started()
    protocol.receive(json.dumps({"type": "problem", "problem": answers.BAD_TIME}))
    with pytest.raises(StreamClosed, match="1008") as raised:
        protocol.closed(1008, "too many problems")
    assert isinstance(raised.value.__cause__, InvalidTime)


def test_the_close_after_the_summary_is_no_error():
    protocol = _started()
    protocol.receive(json.dumps(answers.SUMMARY))
    protocol.closed(1000, "")


def test_a_line_that_goes_dead_is_told_as_such():
    with pytest.raises(StreamClosed, match="connection was lost"):
        _started().closed(None, "")
