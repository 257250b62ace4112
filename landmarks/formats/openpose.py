"""OpenPose's JSON, a file a frame: `{"people": [{"pose_keypoints_2d": [x, y, confidence, ...], ...}]}`.

Read are one such frame, a list of them, `{"frames": [...]}` (or `{"frames": {"0": ...}}`), one frame a line, and a zip
of frame files, in the order of their names. Of the body (BODY_25 or COCO's 18) and the hands, the joints that
HOLISTIC_75 has too are taken. Where several people are seen, the surest is followed. Beside `frames`: `fps`, and
`width` and `height`.

OpenPose writes pixels and not the picture's size. Without `width` and `height`, x and y are therefore divided by one
number, the largest seen, and the aspect is 1; values that all lie within 0..1 are taken for shares of the picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks import holistic
from landmarks.errors import FormatError, NoFrames
from landmarks.formats import archive, json_content
from landmarks.formats.given import Given
from landmarks.layout import BODY_25, HAND_21, OPENPOSE_18
from landmarks.sequence import LandmarkSequence

NAME = "openpose"
MAX_FRAME_BYTES = 8 * 2**20
"""Most bytes of one frame in a zip."""
MAX_PEOPLE = 100
"""Most people in one frame."""

COMPONENTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "pose_keypoints_2d": (BODY_25.joints, OPENPOSE_18.joints),
    "hand_left_keypoints_2d": (tuple(f"left_hand_{joint}" for joint in HAND_21.joints),),
    "hand_right_keypoints_2d": (tuple(f"right_hand_{joint}" for joint in HAND_21.joints),),
}
"""What OpenPose calls a part -> the joints that it may hold; told apart by how many they are."""

Person = tuple[NDArray[np.float32], NDArray[np.float32]]
"""xyz (75, 3) in the file's units, NaN where unseen, and confidence (75,)."""


def looks_like(data: bytes) -> bool:
    """JSON that speaks of people near its start, or a zip whose first file is JSON."""
    if archive.looks_like(data):
        return archive.first_name(data).endswith(".json")
    start = data[:4096]
    return start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[") and b'"people"' in start


def read(data: bytes, given: Given) -> LandmarkSequence:
    """Raises FormatError, naming the frame, for what is not as above."""
    about: dict[str, Any] = {}
    if archive.looks_like(data):
        xyz, confidence = _followed(_unzipped(data))
    else:
        about, frames = _listed(json_content.load(data))
        xyz, confidence = _followed(frames)
    if not len(xyz):
        raise NoFrames("the file holds no frames")
    width, height = (json_content.number(about, key) or 0.0 for key in ("width", "height"))
    aspect = _to_shares(xyz, width, height, given.aspect)
    return given.sequence(xyz, confidence, fps=json_content.number(about, "fps"), aspect=aspect)


def _listed(content: Any) -> tuple[dict[str, Any], list[Any]]:
    """What stands beside the frames, and the frames."""
    if isinstance(content, list):
        return {}, content
    if not isinstance(content, dict):
        raise FormatError("the JSON must be a frame, a list of frames, or an object with frames")
    frames = content.get("frames", [content])
    if isinstance(frames, dict):
        if not all(key.isascii() and key.isdigit() and len(key) < 20 for key in frames):
            raise FormatError('the keys of "frames" must be numbers')
        frames = [frames[key] for key in sorted(frames, key=int)]
    if not isinstance(frames, list):
        raise FormatError('"frames" must be a list, or an object of frames by number')
    return content, frames


def _unzipped(data: bytes) -> Iterator[Any]:
    """The frames of an archive, one at a time."""
    try:
        with archive.opened(data) as files:
            for member in sorted(files.infolist(), key=lambda member: member.filename):
                if not member.filename.endswith(".json"):
                    continue
                if member.file_size > MAX_FRAME_BYTES:
                    raise FormatError(
                        f"{member.filename} unpacks to over {MAX_FRAME_BYTES} bytes, too much for a frame"
                    )
                yield json_content.load(files.read(member))
    except FormatError:
        raise
    except archive.BROKEN as error:
        raise FormatError(f"the zip cannot be read: {error}") from error


def _followed(frames: Iterable[Any]) -> Person:
    """One person through all frames: xyz (T, 75, 3), confidence (T, 75)."""
    track: list[Person] = []
    last: Person | None = None
    for i, frame in enumerate(frames):
        if i == holistic.MAX_FRAMES:
            raise FormatError(f"over the limit of {holistic.MAX_FRAMES} frames")
        try:
            people = _people(frame)
        except FormatError as error:
            raise FormatError(f"frame {i}: {error}") from error
        if people:
            last = max(people, key=_sureness) if last is None else min(people, key=partial(_distance, last))
        track.append(last if people and last is not None else _NOBODY)
    if not track:
        return holistic.unseen(0)
    xyz, confidence = zip(*track, strict=True)
    return np.stack(xyz), np.stack(confidence)


def _people(frame: Any) -> list[Person]:
    """Those of whom anything that HOLISTIC_75 has was seen."""
    if not isinstance(frame, dict) or not isinstance(frame.get("people"), list):
        raise FormatError('a frame must be an object with a list "people"')
    if len(frame["people"]) > MAX_PEOPLE:
        raise FormatError(f"{len(frame['people'])} people are over the limit of {MAX_PEOPLE}")
    people = [_person(person) for person in frame["people"]]
    return [person for person in people if person[1].any()]


def _person(person: Any) -> Person:
    if not isinstance(person, dict):
        raise FormatError("a person must be an object")
    xyz, confidence = holistic.unseen(1)
    for part, kinds in COMPONENTS.items():
        values = person.get(part)
        if not values:
            continue
        try:
            points = np.array(values, np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise FormatError(f"{part} must be a list of numbers") from error
        joints = next((joints for joints in kinds if points.shape == (3 * len(joints),)), None)
        if joints is None:
            wanted = " or ".join(str(3 * len(joints)) for joints in kinds)
            raise FormatError(f"{part} needs {wanted} numbers, got an array of shape {points.shape}")
        points = points.reshape(-1, 3)
        holistic.put(joints, points[:, :2], points[:, 2], xyz[0], confidence[0])
    return xyz[0], confidence[0]


_NOBODY: Person = _person({})


def _sureness(person: Person) -> float:
    return float(person[1].sum())


def _distance(last: Person, person: Person) -> float:
    """How far the joints seen in both lie apart on average; infinite where there are none."""
    apart = np.linalg.norm(person[0] - last[0], axis=-1)
    both = np.isfinite(apart)
    return float(apart[both].mean()) if both.any() else np.inf


def _to_shares(xyz: NDArray[np.float32], width: float, height: float, aspect: float) -> float:
    """Turns x and y into shares of the picture, in place; returns width / height of what they are shares of."""
    xy = xyz[..., :2]
    largest = float(np.nanmax(np.abs(xy), initial=0.0))
    if width > 0 and height > 0:
        xy /= np.array([width, height], np.float32)
        return width / height
    if largest <= 1:
        return aspect
    xy /= np.float32(largest)
    return 1.0
