"""sign.mt's `.pose`, read by its own library pose-format: versions 0.0, 0.1 and 0.2.

The components of MediaPipe Holistic or of OpenPose give the joints, by their names; the face and the world landmarks
are not read. Of several people the surest is taken. x and y are pixels of the header's width and height.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from landmarks import holistic
from landmarks.errors import FormatError, NoFrames
from landmarks.formats import openpose
from landmarks.formats.given import Given
from landmarks.sequence import LandmarkSequence

if TYPE_CHECKING:
    from pose_format.pose_header import PoseHeader, PoseHeaderComponent

NAME = "pose"

_VERSIONS = tuple(struct.pack("<f", version) for version in (0.0, 0.1, 0.2))
_MEDIAPIPE = {"POSE_LANDMARKS": "", "LEFT_HAND_LANDMARKS": "left_hand_", "RIGHT_HAND_LANDMARKS": "right_hand_"}


def looks_like(data: bytes) -> bool:
    """A version, three sizes, then components, the first of which has a name in plain letters."""
    if len(data) < 14 or data[:4] not in _VERSIONS:
        return False
    components, letters = struct.unpack_from("<HH", data, 10)
    name = data[14 : 14 + letters]
    return 0 < components <= 64 and 0 < letters <= 64 and len(name) == letters and name.replace(b"_", b"").isalnum()


def read(data: bytes, given: Given) -> LandmarkSequence:
    """Raises FormatError for what is not as above."""
    from pose_format.numpy import NumPyPoseBody
    from pose_format.pose_header import PoseHeader
    from pose_format.utils.reader import BufferReader

    try:
        reader = BufferReader(data)
        header = PoseHeader.read(reader)
        _check(header, data, reader.read_offset)
        body = NumPyPoseBody.read(header, reader)
        points, sure = np.asarray(body.data.data), np.asarray(body.confidence)  # (T, people, n, C), (T, people, n)
    except FormatError:
        raise
    # What the library raises where content ends early or makes no sense.
    except (struct.error, ValueError, TypeError, ArithmeticError, IndexError, NotImplementedError) as error:
        raise FormatError(f"the .pose cannot be read: {error}") from error
    if not points.size:
        raise NoFrames("the file holds no frames, or nobody")
    person = int(np.nan_to_num(sure).sum(axis=(0, 2)).argmax())
    return _sequence(header, points[:, person], sure[:, person], float(body.fps), given)


def _sequence(
    header: PoseHeader, points: NDArray[np.floating], sure: NDArray[np.floating], fps: float, given: Given
) -> LandmarkSequence:
    """points (T, n, C) and sure (T, n) of all components."""
    width, height = header.dimensions.width, header.dimensions.height
    xyz, confidence = holistic.unseen(len(points))
    at, known = 0, False
    for component in header.components:
        where = slice(at, at + len(component.points))
        at = where.stop
        if joints := _joints(component):
            known = True
            holistic.put(joints, points[:, where, :3], sure[:, where], xyz, confidence)
    if not known:
        names = ", ".join(component.name for component in header.components)
        raise FormatError(f"the .pose holds no component that we know; it holds {names}")
    aspect = None
    if width and height:
        xyz[..., :2] /= np.array([width, height], np.float32)
        aspect = width / height
    return given.sequence(xyz, confidence, fps=fps, aspect=aspect)


def _joints(component: PoseHeaderComponent) -> list[str] | None:
    """Our names of a component's points; None for a component that is not read."""
    if (prefix := _MEDIAPIPE.get(component.name)) is not None:
        return [prefix + point.lower().replace("_finger_", "_") for point in component.points]
    kinds = openpose.COMPONENTS.get(component.name, ())
    return next((list(joints) for joints in kinds if len(joints) == len(component.points)), None)


def _check(header: PoseHeader, data: bytes, at: int) -> None:
    """What the library takes on trust. at: where the body starts. Raises FormatError."""
    formats = {component.format for component in header.components}
    if not formats <= {"XYC", "XYZC"} or len(formats) != 1:
        raise FormatError(f"the .pose must hold points XYC or XYZC, all alike, got {', '.join(sorted(formats))}")
    if not all(component.points for component in header.components):
        raise FormatError("the .pose has a component without points")
    if header.version == 0:
        _check_oldest(header, data, at + 4)


def _check_oldest(header: PoseHeader, data: bytes, at: int) -> None:
    """Version 0.0 writes people frame by frame; the library reads one at a time, at a tenth of a millisecond each."""
    person = 2 + sum(4 * len(c.format) * len(c.points) for c in header.components)
    frames, people = struct.unpack_from("<H", data, at - 2)[0], 0
    for _ in range(frames):
        here = struct.unpack_from("<H", data, at)[0]
        people += here
        at += 2 + here * person
    if at > len(data):
        raise FormatError("the .pose ends early")
    if people > holistic.MAX_FRAMES:
        raise FormatError(f"{people} people over all frames are over the limit of {holistic.MAX_FRAMES}")
