"""A stream's conversation without a socket."""

import json

import pytest
from signstream_client import (
    Ack,
    BadFrame,
    Body,
    Closing,
    DecodingChange,
    Done,
    Dropped,
    Event,
    Frame,
    Lag,
    Landmarks,
    Message,
    Picture,
    ProblemError,
    ProtocolError,
    Ready,
    Scores,
    Session,
    StreamClosed,
    StreamProtocol,
    Summary,
    Warned,
)
from signstream_client.errors import InvalidTime, UnknownModel
from signstream_client.fields import Fields
from signstream_client.frame import decode_frames

from client.tests import answers


def _hear(protocol: StreamProtocol, message: dict[str, object]) -> Message | None:
    return protocol.receive(json.dumps(message))


def _started(**options) -> StreamProtocol:
    protocol = StreamProtocol(**options)
    protocol.receive(json.dumps(answers.READY))
    return protocol


def _opening(protocol: StreamProtocol) -> dict[str, object]:
    (told,) = protocol.opening()
    return json.loads(told)


def test_start_says_only_what_was_asked_for():
    assert _opening(StreamProtocol()) == {"type": "start"}
    decoding: dict[str, DecodingChange] = {"signing": {"start_above": 0.7, "labels": {"signing": {"pad_s": 0.1}}}}
    asked = StreamProtocol(["signing"], aspect=1.5, scores=True, fps=None, people="all", decoding=decoding)  # pyright: ignore[reportArgumentType]
    assert _opening(asked) == {
        "type": "start",
        "models": ["signing"],
        "aspect": 1.5,
        "scores": True,
        "people": "all",
        "decoding": decoding,
    }


def test_an_option_that_there_is_not_is_refused_with_those_there_are():
    with pytest.raises(TypeError, match=r"no option score; choose from .*scores"):
        StreamProtocol(score=True)  # pyright: ignore[reportCallIssue]


def test_a_line_whose_address_holds_a_token_needs_no_start():
    protocol = StreamProtocol(session=Session.read(Fields(answers.SESSION, "a session")))
    assert protocol.opening() == []
    _hear(protocol, answers.READY)
    assert len(protocol.frames(Frame(0.1, left_hand=answers.HAND))[1][0]) == 16 + 21 * 3 * 2


def test_frames_are_numbered_in_the_order_they_are_sent():
    protocol = _started()
    sent = [protocol.frames(Frame(0.1, left_hand=answers.HAND)), protocol.frames(Picture(0.2, b"jpeg"))]
    assert [seq for seq, _ in sent] == [0, 1]
    assert [_decoded(messages) for _, messages in sent] == [[0], [1]]


def _decoded(messages: list[str | bytes]) -> list[int]:
    (message,) = messages
    assert isinstance(message, bytes)
    return [frame.seq for frame in decode_frames(message)]


def test_several_frames_travel_in_one_message_with_a_picture_at_most_as_the_last():
    protocol = _started()
    seq, messages = protocol.frames(Frame(0.1), Frame(0.2, right_hand=answers.HAND), Picture(0.3, b"jpeg"))
    assert (seq, _decoded(messages)) == (2, [0, 1, 2])
    with pytest.raises(BadFrame, match="last frame of its message"):
        protocol.frames(Picture(0.4, b"jpeg"), Frame(0.5))
    with pytest.raises(BadFrame, match=r"0\.4 came after 0\.4"):
        protocol.frames(Frame(0.4), Frame(0.4))
    assert protocol.frames(Frame(0.4))[0] == 3


def test_json_frames_travel_one_by_one():
    protocol = _started(encoding="json")
    people = (Body(left_hand=answers.HAND), Body(pose=answers.BODY))
    _, messages = protocol.frames(Frame(0.1, left_hand=answers.HAND), Frame(0.2, people=people))
    one, several = map(json.loads, messages)
    hand, body = [list(point) for point in answers.HAND], [list(point) for point in answers.BODY]
    assert one == {"type": "frame", "seq": 0, "at_s": 0.1, "pose": None, "left_hand": hand, "right_hand": None}
    assert [(person["pose"], person["left_hand"]) for person in several["people"]] == [(None, hand), (body, None)]


def test_another_layout_takes_joints_and_nothing_else():
    protocol = _started(layout="hand_21", encoding="json")
    _, (message,) = protocol.frames(Frame(0.1, joints=((0.5, 0.5, 0.0), None)))
    assert json.loads(message)["joints"] == [[0.5, 0.5, 0.0], None]
    with pytest.raises(BadFrame, match="layout hand_21 have joints"):
        protocol.frames(Frame(0.2, left_hand=answers.HAND))


def test_half_size_is_asked_for_and_sent():
    protocol = _started(encoding="float16")
    _, (message,) = protocol.frames(Frame(0.1, left_hand=answers.HAND))
    assert (len(message), _opening(protocol)["encoding"]) == (16 + 21 * 3 * 2, "float16")


def test_controls_are_said_with_what_they_change_and_time_begins_anew_after_a_reset():
    protocol = _started()
    protocol.frames(Frame(5.0))
    assert [json.loads(text) for text in (protocol.keepalive(), protocol.flush(), protocol.stop())] == [
        {"type": "keepalive"},
        {"type": "flush"},
        {"type": "stop"},
    ]
    assert json.loads(protocol.configure(scores=False)) == {"type": "configure", "scores": False}
    protocol.reset()
    assert protocol.frames(Frame(0.0))[0] == 1


def test_time_that_does_not_grow_is_refused_and_the_stream_goes_on():
    protocol = _started()
    protocol.frames(Frame(0.2))
    with pytest.raises(BadFrame, match=r"0\.2 came after 0\.2"):
        protocol.frames(Frame(0.2))
    assert protocol.frames(Frame(0.3))[0] == 1


def test_every_message_is_read():
    protocol = StreamProtocol()
    ready = protocol.receive(json.dumps(answers.READY))
    assert isinstance(ready, Ready)
    assert ready.models[0].decoding.start_above == 0.6
    assert ready.models[0].metrics == {"accuracy": 0.9}
    read = [protocol.receive(json.dumps(m)) for m in (answers.EVENT, answers.ENDED, answers.SCORES, answers.DROPPED)]
    assert read == [
        Event(1, "signing", "e1", "start", False, 1, None, "signing", 0.9, 0.1, None, 0.4),
        Event(2, "signing", "e1", "end", True, 1, None, "signing", 0.9, 0.1, 0.8, 1.0),
        Scores("signing", 0.0, 1.0, 0.5, 1, None, (0.1, 0.9)),
        Dropped(2, 3, 4, "slow"),
    ]
    third, scores = answers.EVENT | {"number": 3, "hand": "left", "person": 2}, answers.SCORES | {"hand": "left"}
    assert [protocol.receive(json.dumps(m)).hand for m in (third, scores)] == ["left", "left"]
    said = [
        {"type": "ack", "seq": 9},
        {"type": "done", "control": "flush", "seq": 9},
        {"type": "lag", "behind_s": 1.5, "waiting": 4},
        {"type": "warning", "code": "slow_consumer", "detail": "read faster"},
        {"type": "closing", "retry_after_s": 2.0, "resumable": False},
        answers.DROPPED | {"reason": "late", "model": "signing"},
    ]
    assert [protocol.receive(json.dumps(m)) for m in said] == [
        Ack(9),
        Done("flush", 9),
        Lag(1.5, 4),
        Warned("slow_consumer", "read faster"),
        Closing(2.0, False),
        Dropped(2, 3, 4, "late", "signing"),
    ]
    changed = protocol.receive(json.dumps(said[1] | {"control": "configure", "configuration": answers.CONFIGURATION}))
    assert changed.configuration == protocol.ready.configuration
    hand = [list(point) for point in answers.HAND]
    found = {"type": "landmarks", "seq": 4, "at_s": 0.5, "aspect": 1.5, "pose": None, "left_hand": hand}
    assert protocol.receive(json.dumps(found)) == Landmarks(Frame(0.5, left_hand=answers.HAND, seq=4), 1.5)
    assert protocol.receive(json.dumps(answers.SUMMARY)) == Summary(5, 0, 0, {"signing": 1})


def test_a_message_of_a_newer_service_is_passed_over():
    assert _started().receive('{"type": "weather", "celsius": 3}') is None


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
