"""SCA-STGCN's `.npz`: arrays pose (T, 33, C), left_hand (T, 21, C), right_hand (T, 21, C), face (T, n, C).

C is 2 to 4 (x, y, z, visibility); the face is not read. We also write and read `at_s` (T,), `fps` and `aspect`.
"""

from __future__ import annotations

import io
import tokenize

import numpy as np
from numpy.typing import NDArray

from landmarks import holistic
from landmarks.errors import FormatError, NoFrames
from landmarks.formats import archive
from landmarks.formats.given import Given
from landmarks.layout import HOLISTIC_75
from landmarks.sequence import LandmarkSequence

NAME = "npz"
MAX_BYTES = archive.MAX_BYTES
"""Most bytes that the arrays may unpack to."""

_KNOWN = {*holistic.PARTS, "face", "at_s", "fps", "aspect"}


def looks_like(data: bytes) -> bool:
    """A zip archive."""
    return archive.looks_like(data)


def read(data: bytes, given: Given) -> LandmarkSequence:
    """Raises FormatError for what is no such archive, or would unpack to more than MAX_BYTES."""
    arrays = _arrays(data)
    parts = {part: arrays[part] for part in holistic.PARTS if part in arrays}
    if not parts:
        raise FormatError(
            f"the npz holds none of pose, left_hand, right_hand; it holds {', '.join(arrays) or 'nothing'}"
        )
    for part, points in parts.items():
        if points.ndim != 3 or points.dtype.kind not in "fiu":
            raise FormatError(f"{part} must be numbers of shape (T, n, C), got {points.dtype} {points.shape}")
    lengths = {part: len(points) for part, points in parts.items()}
    if len(set(lengths.values())) > 1:
        raise FormatError(f"the parts differ in length: {lengths}")
    frames = next(iter(lengths.values()))
    if frames == 0:
        raise NoFrames("the file holds no frames")
    xyz, confidence = holistic.unseen(frames)
    for part, points in parts.items():
        holistic.place(part, points, xyz, confidence)
    at_s = arrays.get("at_s")
    if at_s is not None and (at_s.shape != (frames,) or at_s.dtype.kind not in "fiu"):
        raise FormatError(f"at_s must hold {frames} numbers, got {at_s.dtype} {at_s.shape}")
    return given.sequence(xyz, confidence, at_s=at_s, fps=_scalar(arrays, "fps"), aspect=_scalar(arrays, "aspect"))


def write(sequence: LandmarkSequence) -> bytes:
    """The file's content: the parts of HOLISTIC_75 (visibility as the pose's 4th channel), at_s and aspect."""
    if sequence.layout != HOLISTIC_75:
        raise FormatError(f"an npz holds {HOLISTIC_75.name}, not {sequence.layout.name}")
    pose = holistic.PARTS["pose"]
    arrays = {part: sequence.xyz[:, where] for part, where in holistic.PARTS.items()}
    arrays["pose"] = np.concatenate([sequence.xyz[:, pose], sequence.confidence[:, pose, None]], axis=-1)
    out = io.BytesIO()
    np.savez_compressed(out, **arrays, at_s=sequence.at_s, aspect=np.array(sequence.aspect))
    return out.getvalue()


def _arrays(data: bytes) -> dict[str, NDArray]:
    try:
        with archive.opened(data):
            pass
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files if name in _KNOWN and name != "face"}
    except FormatError:
        raise
    # A header may claim a shape that no memory holds, or be no Python literal.
    except (*archive.BROKEN, MemoryError, TypeError, SyntaxError, tokenize.TokenError) as error:
        raise FormatError(f"the npz cannot be read: {error}") from error


def _scalar(arrays: dict[str, NDArray], name: str) -> float | None:
    if name not in arrays:
        return None
    value = arrays[name]
    if value.size != 1 or value.dtype.kind not in "fiu":
        raise FormatError(f"{name} must be one number, got {value.dtype} {value.shape}")
    return float(value.reshape(()))
