"""The command: what it prints and how it ends."""

import itertools
import json
import sys

from signstream_client import Client, Interrupted, Landmarks, Picture, Reconnect
from signstream_client.__main__ import MISUSED, NO_SERVER, REFUSED, main, watch
from signstream_client.clip import Clip
from signstream_client.fields import Fields
from signstream_client.live import IN_FLIGHT, LivePictures
from signstream_client.messages import decode_message
from signstream_client.pictures import OPENCV_LINE
from signstream_client.show import clip_table, message_json, message_line

from client.tests import answers
from client.tests.scripted import ScriptedService, SilentService, serving

HANDS = ("left", "right")


def test_a_clip_as_a_table():
    assert clip_table(Clip.read(Fields(answers.CLIP, "the answer"))).splitlines() == [
        "video: 48 frames, 1.6 s at 30 fps, somebody in 47",
        "model    label    start_s  end_s  confidence",
        "signs    hello       0.30   1.20        0.80",
        "signing  signing     0.80   1.50        0.97",
    ]


def test_messages_as_lines():
    lines = [message_line(m) for m in map(_read, (answers.EVENT, answers.ENDED, answers.SCORES, answers.SUMMARY)) if m]
    assert lines == [
        "    0.10 s  signing: signing ...",
        "    1.00 s  signing: signing 0.10 to 0.80 s, 0.90",
        None,
        "5 frames, 0 dropped, 0 problems; events: signing 1",
    ]


def test_what_one_hand_does_is_told_by_the_hand():
    segments = [
        {"start_s": 0.3, "end_s": 1.2, "person": 1, "label": "fist", "confidence": 0.8, "hand": hand} for hand in HANDS
    ]
    windows = [
        {"start_s": 0, "end_s": 0, "at_s": 0, "person": 1, "probabilities": [0.1, 0.9], "hand": hand} for hand in HANDS
    ]
    shapes = {"labels": ["none", "fist"], "windows": windows, "segments": segments}
    clip = Clip.read(Fields(answers.CLIP | {"models": {"shapes": shapes}}, "the answer"))
    assert [one.hand for one in (*clip.models["shapes"].windows, *clip.segments)] == [*HANDS, *HANDS]
    assert [line.split("  ")[0] for line in clip_table(clip).splitlines()[2:]] == ["shapes left", "shapes right"]
    assert message_line(_read(answers.EVENT | {"hand": "left"})) == "    0.10 s  signing left: signing ..."


def test_messages_as_json_say_their_type():
    told = message_json(_read(answers.EVENT))
    assert json.loads(told or "") == answers.EVENT


def test_what_happens_to_the_line_is_told_in_words_and_as_json():
    said = [
        Interrupted(1006, ""),
        _read(answers.RESUMED | {"lost": 2}),
        _read({"type": "lag", "behind_s": 1.24, "waiting": 3}),
        _read({"type": "warning", "code": "slow_consumer", "detail": "read faster"}),
        _read({"type": "closing", "retry_after_s": 1.0, "resumable": True}),
    ]
    assert [(message_line(message) or "").strip() for message in said] == [
        "connection lost (1006), resuming ...",
        "resumed; 2 events were not kept",
        "the service is 1.2 s behind",
        "warning: read faster",
        "the service is going away, to come back",
    ]
    kinds = [json.loads(message_json(message) or "")["type"] for message in said]
    assert kinds == ["interrupted", "resumed", "lag", "warning", "closing"]


def _read(message):
    return decode_message(json.dumps(message))


def test_a_file_that_is_not_there(capsys, tmp_path):
    assert main(["video", str(tmp_path / "none.mp4")]) == MISUSED
    assert "none.mp4" in capsys.readouterr().err


def test_no_service(capsys, tmp_path):
    with serving(ScriptedService([], [], [])) as url:
        pass
    file = tmp_path / "clip.npz"
    file.write_bytes(b"x")
    assert main(["landmarks", str(file), "--url", url]) == NO_SERVER
    assert f"no service at {url}" in capsys.readouterr().err


def test_a_server_that_is_none_of_ours(capsys, tmp_path):
    file = tmp_path / "clip.npz"
    file.write_bytes(b"x")
    with serving(ScriptedService([], [], [])) as url:  # it knows only sockets, and answers a POST with an error
        assert main(["landmarks", str(file), "--url", url]) in (REFUSED, NO_SERVER)
    assert capsys.readouterr().err.startswith("signstream-client: ")


def test_a_wrong_address(capsys, tmp_path):
    assert main(["video", "x", "--url", "nowhere"]) == MISUSED
    assert "looks like http" in capsys.readouterr().err


def test_a_camera_without_opencv_names_the_line(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert main(["webcam"]) == MISUSED
    assert OPENCV_LINE in capsys.readouterr().err


def test_pictures_are_sent_no_faster_than_they_are_looked_at():
    pictures = [Picture(at / 10, b"jpeg") for at in range(10)]
    silent = ScriptedService([answers.READY], [], [answers.SUMMARY])
    with serving(silent) as url, Client(url) as client, client.stream(landmarks=True) as stream:
        live = LivePictures(stream)
        assert list(live.run(pictures)) == []
        stream.stop()
    assert (live.sent, live.skipped) == (IN_FLIGHT, 10 - IN_FLIGHT)
    assert silent.frames == [Picture(at / 10, b"jpeg", seq=at) for at in range(IN_FLIGHT)]


def test_a_receipt_makes_room_for_the_next_picture():
    receipt = {"type": "landmarks", "seq": 0, "at_s": 0.0, "aspect": 1.5, "pose": None}
    service = ScriptedService([answers.READY], [[], [receipt]], [answers.SUMMARY])
    with serving(service) as url, Client(url) as client, client.stream(landmarks=True) as stream:
        live = LivePictures(stream)
        camera = (Picture(at / 1000, b"jpeg") for at in itertools.count())
        assert isinstance(next(live.run(camera)), Landmarks)
        assert live.sent == IN_FLIGHT
        list(live.run([next(camera)]))
        assert live.sent == IN_FLIGHT + 1
        stream.stop()


def test_a_line_that_is_lost_while_it_watches_is_told(capsys):
    again = Reconnect(chance=lambda: 0.0)
    pictures = [Picture(float(number), b"jpeg") for number in range(3)]
    with (
        serving(SilentService(cut_after=1)) as url,
        Client(url) as client,
        client.stream(landmarks=True, resumable=True, reconnect=again) as stream,
    ):
        watch(stream, pictures, as_json=False)
    assert [line.strip() for line in capsys.readouterr().out.splitlines()] == [
        "connection lost (1006), resuming ...",
        "resumed",
        "5 frames, 0 dropped, 0 problems; events: signing 1",
    ]


def test_ctrl_c_ends_with_what_was_open_and_the_summary(capsys):
    def camera():
        yield Picture(0.0, b"jpeg")
        raise KeyboardInterrupt

    service = ScriptedService([answers.READY], [[answers.EVENT]], [answers.ENDED, answers.SUMMARY])
    with serving(service) as url, Client(url) as client, client.stream(landmarks=True) as stream:
        watch(stream, camera(), as_json=False)
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        "    0.10 s  signing: signing ...",
        "    1.00 s  signing: signing 0.10 to 0.80 s, 0.90",
        "5 frames, 0 dropped, 0 problems; events: signing 1",
    ]
    assert "1 pictures sent, 0 skipped" in told.err
