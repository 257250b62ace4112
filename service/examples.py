"""One conversation, as the contracts tell it: what is said in a socket by its `type`, and what REST answers."""

from __future__ import annotations

from typing import Any

_SESSION = "s-5mZ3vQ"
_TOKEN = "k1rVUJx9pD0"

_MODEL = {
    "name": "signs",
    "version": "0.1.0",
    "task": "gesture",
    "labels": ["hello", "thank-you", "none"],
    "background": "none",
    "layout": "sign_27",
    "form": "window",
    "window_s": 1.2667,
    "stride_s": 0.2667,
    "fps": 15.0,
    "decoding": {"start_above": 0.6, "stop_below": 0.3, "min_duration_s": 0.2, "min_gap_s": 0.3, "smoothing_s": 0.0},
    "rest_after_s": 0.0,
    "licence": "Apache-2.0",
    "sources": ["asl-words: traduttore-model, MIT"],
    "metrics": {"accuracy": 0.917986},
}

_CONFIGURATION = {
    "models": ["signs"],
    "layout": "holistic_75",
    "aspect": 1.7778,
    "fps": None,
    "encoding": "any",
    "scores": True,
    "interim": True,
    "landmarks": False,
    "decoding": {"signs": {"start_above": 0.6}},
    "overflow": "auto",
    "max_gap_s": 0.5,
    "people": "largest",
    "resumable": True,
    "ack_every": 10,
}

_PROBLEM = {
    "type": "urn:signstream:problem:unknown-model",
    "title": "There is no such model",
    "status": 404,
    "code": "unknown-model",
    "detail": "no model sings; choose from signing, signs",
}

_START = {
    "type": "start",
    "models": ["signs"],
    "aspect": 1.7778,
    "scores": True,
    "resumable": True,
    "decoding": {"signs": {"start_above": 0.6}},
}

_EVENT = {
    "type": "event",
    "number": 1,
    "model": "signs",
    "id": "signs-1",
    "state": "start",
    "is_final": False,
    "person": 1,
    "hand": None,
    "label": "hello",
    "confidence": 0.71,
    "start_s": 0.8,
    "end_s": None,
    "decided_at_s": 1.2,
}

_END = _EVENT | {
    "number": 5,
    "state": "end",
    "is_final": True,
    "confidence": 0.97,
    "end_s": 1.6,
    "decided_at_s": 2.4667,
}

_WINDOW = {
    "start_s": 0.0,
    "end_s": 1.2667,
    "at_s": 0.6333,
    "person": 1,
    "hand": None,
    "probabilities": [0.71, 0.09, 0.2],
}

SOCKET: dict[str, list[dict[str, Any]]] = {
    "start": [{"type": "start"}, _START],
    "resume": [{"type": "resume", "session": _SESSION, "token": _TOKEN, "last_number": 1}],
    "frame": [
        {"type": "frame", "seq": 0, "at_s": 0.0, "right_hand": [[0.41, 0.62, -0.01]] * 21},
        {"type": "frame", "seq": 1, "at_s": 0.033, "joints": [[0.41, 0.62, -0.01]]},
    ],
    "keepalive": [{"type": "keepalive"}],
    "flush": [{"type": "flush"}],
    "configure": [{"type": "configure", "scores": False, "decoding": {"signs": {"min_duration_s": 0.4}}}],
    "reset": [{"type": "reset"}],
    "stop": [{"type": "stop"}],
    "ready": [
        {
            "type": "ready",
            "session": _SESSION,
            "configuration": _CONFIGURATION,
            "models": [_MODEL],
            "resume": {"token": _TOKEN, "within_s": 60.0},
        }
    ],
    "resumed": [{"type": "resumed", "session": _SESSION, "next_seq": 41, "lost": 0}],
    "event": [_EVENT, _END],
    "scores": [{"type": "scores", "model": "signs", **_WINDOW}],
    "landmarks": [
        {
            "type": "landmarks",
            "seq": 7,
            "at_s": 0.25,
            "aspect": 1.7778,
            "pose": None,
            "left_hand": [[0.2, 0.5, 0.0]] * 21,
            "right_hand": None,
        }
    ],
    "ack": [{"type": "ack", "seq": 40}],
    "done": [
        {"type": "done", "control": "flush", "seq": 40},
        {"type": "done", "control": "configure", "seq": 40, "configuration": _CONFIGURATION | {"scores": False}},
    ],
    "lag": [{"type": "lag", "behind_s": 0.41, "waiting": 12}],
    "dropped": [
        {"type": "dropped", "count": 3, "seqs": [12, 14], "reason": "slow"},
        {"type": "dropped", "count": 1, "seqs": [40, 40], "reason": "late", "model": "signs"},
    ],
    "warning": [{"type": "warning", "code": "slow_consumer", "detail": "nothing was read for 5.0 s; read faster"}],
    "closing": [{"type": "closing", "retry_after_s": 5.0, "resumable": True}],
    "problem": [{"type": "problem", "problem": _PROBLEM}],
    "summary": [{"type": "summary", "frames": 912, "dropped": 3, "problems": 0, "events": {"signs": 4}}],
}
"""Every message of the socket but the binary one, by its `type`."""

TOLD = _END | {"session": _SESSION}
"""An event as MQTT tells it."""

BODIES: dict[str, Any] = {
    "open_session": {name: value for name, value in _START.items() if name != "type"},
    "told_of_event": {"type": "event.end", "timestamp": "2026-11-22T01:20:03.250+00:00", "data": TOLD},
}
"""What is posted, to REST and to a webhook, by the operation's id."""

REST: dict[str, Any] = {
    "models": {"models": [_MODEL], "default": ["signs"]},
    "post_clip": {
        "media": {
            "kind": "video",
            "frames": 73,
            "duration_s": 2.4,
            "fps": 30.0,
            "aspect": 1.7778,
            "frames_with_person": 73,
        },
        "models": {
            "signs": {
                "labels": _MODEL["labels"],
                "windows": [_WINDOW],
                "segments": [
                    {"start_s": 0.8, "end_s": 1.6, "person": 1, "hand": None, "label": "hello", "confidence": 0.97}
                ],
            }
        },
    },
    "open_session": {
        "session": _SESSION,
        "token": _TOKEN,
        "socket": f"ws://127.0.0.1:8000/v1/stream?token={_TOKEN}",
        "expires_in_s": 60.0,
        "configuration": _CONFIGURATION,
        "watch": f"http://127.0.0.1:8000/v1/sessions/{_SESSION}/events?token=Yc0fJ2tqWm8",
    },
    "session_status": {
        "session": _SESSION,
        "state": "live",
        "configuration": _CONFIGURATION,
        "seq": 40,
        "waiting": 0,
        "viewers": 1,
        "frames": 41,
        "dropped": 0,
        "problems": 0,
        "events": {"signs": 1},
    },
    "model_metadata": {
        "name": "signs",
        "versions": ["0.1.0"],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": "landmarks", "datatype": "FP32", "shape": [-1, 20, 27, 3]}],
        "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]}],
    },
}
"""What REST answers where all is well, by the operation's id."""
