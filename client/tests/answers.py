"""A service's answers, as the protocol has them."""

SIGNING = {
    "name": "signing",
    "version": "1",
    "task": "signing",
    "labels": ["not-signing", "signing"],
    "background": "not-signing",
    "layout": "upper_body",
    "window_s": 1.0,
    "stride_s": 0.2,
    "fps": 20.0,
    "decoding": {
        "start_above": 0.6,
        "stop_below": 0.4,
        "min_duration_s": 0.2,
        "min_gap_s": 0.2,
        "smoothing_s": 0.0,
    },
    "licence": "Apache-2.0",
    "sources": ["asl-words (MIT)"],
    "metrics": {"accuracy": 0.9},
}
READY = {"type": "ready", "models": [SIGNING], "aspect": 1.5, "scores": True, "landmarks": False}
EVENT = {
    "type": "event",
    "model": "signing",
    "id": "e1",
    "state": "start",
    "label": "signing",
    "confidence": 0.9,
    "start_s": 0.1,
    "end_s": None,
    "decided_at_s": 0.4,
    "hand": None,
}
ENDED = EVENT | {"state": "end", "end_s": 0.8, "decided_at_s": 1.0}
SCORES = {"type": "scores", "model": "signing", "start_s": 0, "end_s": 1, "at_s": 0.5, "probabilities": [0.1, 0.9]}
DROPPED = {"type": "dropped", "count": 2, "seqs": [3, 4], "reason": "slow"}
SUMMARY = {"type": "summary", "frames": 5, "dropped": 0, "problems": 0, "events": {"signing": 1}}
UNKNOWN_MODEL = {
    "type": "urn:signstream:problem:unknown-model",
    "title": "There is no such model",
    "status": 404,
    "code": "unknown-model",
    "detail": "no model nosuch; choose from signing",
}
BAD_TIME = {
    "type": "urn:signstream:problem:invalid-time",
    "title": "Time does not move forward",
    "status": 422,
    "code": "invalid-time",
    "detail": "0.1 came after 0.2",
}
CLIP = {
    "media": {"kind": "video", "frames": 48, "duration_s": 1.6, "fps": 30.0, "aspect": 1.333, "frames_with_person": 47},
    "models": {
        "signing": {
            "labels": ["not-signing", "signing"],
            "windows": [{"start_s": 0.0, "end_s": 1.0, "at_s": 0.5, "probabilities": [0.1, 0.9]}],
            "segments": [{"start_s": 0.8, "end_s": 1.5, "label": "signing", "confidence": 0.97}],
        },
        "signs": {
            "labels": ["none", "hello"],
            "windows": [],
            "segments": [{"start_s": 0.3, "end_s": 1.2, "label": "hello", "confidence": 0.8}],
        },
    },
}
HAND = tuple((0.5 + point / 100, 0.5, -0.01) for point in range(21))
BODY = tuple((0.5, point / 33, 0.0, 0.9) for point in range(33))
