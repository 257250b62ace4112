"""MediaPipe Holistic's results as JSON: a list of frames, `{"frames": [...]}`, or one frame a line.

A frame holds pose, left_hand and right_hand under our names, or as MediaPipe's Python and JavaScript write them
(`pose_landmarks`, `poseLandmarks`); each a list of points, `{"landmark": [...]}`, or null. A point is a list
[x, y, z, visibility] or an object. Its time is `at_s`, or `timestamp_ms` / `timestampMs`. Beside the frames:
`fps`, and `aspect` or `width` and `height`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks import holistic
from landmarks.errors import FormatError, NoFrames
from landmarks.formats import json_content
from landmarks.formats.given import Given
from landmarks.sequence import LandmarkSequence

NAME = "mediapipe-json"

_SPELLINGS = {
    "pose": ("pose", "pose_landmarks", "poseLandmarks"),
    "left_hand": ("left_hand", "left_hand_landmarks", "leftHandLandmarks"),
    "right_hand": ("right_hand", "right_hand_landmarks", "rightHandLandmarks"),
}


def looks_like(data: bytes) -> bool:
    """Text that starts like a JSON object or list."""
    return data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[")


def read(data: bytes, given: Given) -> LandmarkSequence:
    """Raises FormatError, naming the frame, for what is not as above."""
    document = json_content.load(data)
    about = document if isinstance(document, dict) else {}
    frames = about.get("frames", [document] if about else document)
    if not isinstance(frames, list):
        raise FormatError('"frames" must be a list')
    if not frames:
        raise NoFrames("the file holds no frames")
    xyz, confidence = holistic.unseen(len(frames))
    for i, frame in enumerate(frames):
        try:
            xyz[i], confidence[i] = read_frame(frame)
        except FormatError as error:
            raise FormatError(f"frame {i}: {error}") from error
    times = [_time(frame) for frame in frames]
    if any(at_s is None for at_s in times) and not all(at_s is None for at_s in times):
        raise FormatError(f"frame {times.index(None)} has no time, though others have")
    at_s = None if times[0] is None else np.array(times, np.float64)
    return given.sequence(
        xyz, confidence, at_s=at_s, fps=json_content.number(about, "fps"), aspect=json_content.aspect(about)
    )


def read_frame(frame: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """One frame's object -> xyz (75, 3), confidence (75,). Raises FormatError."""
    if not isinstance(frame, dict):
        raise FormatError("a frame must be an object")
    return holistic.frame(**{part: _part(part, frame) for part in _SPELLINGS})


def _part(part: str, frame: dict[str, Any]) -> NDArray[np.float64] | None:
    points = next((frame[key] for key in _SPELLINGS[part] if key in frame), None)
    if isinstance(points, dict):
        points = points.get("landmark")
    if points is None or points == []:
        return None
    if not isinstance(points, list):
        raise FormatError(f"{part} must be a list of points or null")
    if isinstance(points[0], dict):
        points = [_point(point) for point in points]
    try:
        return np.array(points, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise FormatError(f"{part} must hold points of equal length, all of them numbers") from error


def _point(point: Any) -> list[float]:
    if not isinstance(point, dict) or "x" not in point or "y" not in point:
        raise FormatError("a point must have x and y")
    return [point["x"], point["y"], point.get("z", 0.0), point.get("visibility", 1.0)]


def _time(frame: dict[str, Any]) -> float | None:
    at_s = json_content.number(frame, "at_s")
    for key in ("timestamp_ms", "timestampMs"):
        if at_s is None and (at_ms := json_content.number(frame, key)) is not None:
            at_s = at_ms / 1000
    return at_s
