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
CONFIGURATION = {
    "models": ["signing"],
    "layout": "holistic_75",
    "aspect": 1.5,
    "fps": None,
    "encoding": "any",
    "scores": True,
    "interim": True,
    "landmarks": False,
    "decoding": {},
    "overflow": "auto",
    "max_gap_s": None,
    "people": "largest",
    "gates": [],
    "steadying": {"cutoff_hz": 0.0, "beta": 0.0, "hold_s": 0.0},
    "resumable": False,
    "ack_every": None,
}
READY = {"type": "ready", "session": "s1", "configuration": CONFIGURATION, "models": [SIGNING], "resume": None}
RESUMABLE = READY | {"resume": {"token": "t1", "within_s": 30.0}}
SESSION = {
    "session": "s1",
    "token": "a/b",
    "socket": "wss://elsewhere/v1/stream?token=a%2Fb",
    "expires_in_s": 60,
    "configuration": CONFIGURATION | {"encoding": "float16"},
    "watch": "https://elsewhere/v1/sessions/s1/events?token=v1",
}
RESUMED = {"type": "resumed", "session": "s1", "next_seq": 0, "lost": 0}
EVENT = {
    "type": "event",
    "number": 1,
    "model": "signing",
    "id": "e1",
    "state": "start",
    "is_final": False,
    "person": 1,
    "hand": None,
    "label": "signing",
    "confidence": 0.9,
    "start_s": 0.1,
    "end_s": None,
    "decided_at_s": 0.4,
}
ENDED = EVENT | {"number": 2, "state": "end", "is_final": True, "end_s": 0.8, "decided_at_s": 1.0}
SCORES = {
    "type": "scores",
    "model": "signing",
    "start_s": 0,
    "end_s": 1,
    "at_s": 0.5,
    "person": 1,
    "hand": None,
    "probabilities": [0.1, 0.9],
}
DROPPED = {"type": "dropped", "count": 2, "seqs": [3, 4], "reason": "slow"}
SUMMARY = {"type": "summary", "frames": 5, "dropped": 0, "problems": 0, "events": {"signing": 1}}
UNKNOWN_MODEL = {
    "type": "urn:signstream:problem:unknown-model",
    "title": "There is no such model",
    "status": 404,
    "code": "unknown-model",
    "detail": "no model nosuch; choose from signing",
}
UNKNOWN_SESSION = {
    "type": "urn:signstream:problem:unknown-session",
    "title": "There is no such session",
    "status": 404,
    "code": "unknown-session",
    "detail": "it has ended, or was kept no longer",
}
BUSY = {
    "type": "urn:signstream:problem:busy",
    "title": "The service has no room for more",
    "status": 503,
    "code": "busy",
    "detail": "all 64 streams are taken; try again later",
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
            "windows": [{"start_s": 0.0, "end_s": 1.0, "at_s": 0.5, "person": 1, "probabilities": [0.1, 0.9]}],
            "segments": [{"start_s": 0.8, "end_s": 1.5, "person": 1, "label": "signing", "confidence": 0.97}],
        },
        "signs": {
            "labels": ["none", "hello"],
            "windows": [],
            "segments": [{"start_s": 0.3, "end_s": 1.2, "person": 1, "label": "hello", "confidence": 0.8}],
        },
    },
}
HAND = tuple((0.5 + point / 100, 0.5, -0.01) for point in range(21))
BODY = tuple((0.5, point / 33, 0.0, 0.9) for point in range(33))
