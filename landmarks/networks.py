"""MediaPipe's networks of poses and hands as ONNX files: converted at first use from the installed package, and kept.

The networks stay in MediaPipe's package; nothing of them is part of ours. Converted files stand in a folder of the
cache, under names that change with their source and with the conversion.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from landmarks.errors import LandmarkError, UnknownNetwork
from landmarks.tflite_to_onnx import convert

logger = logging.getLogger("signstream")

CONVERSION = 1
"""To be raised with every change of what a conversion writes, so that no old file is taken for a new one."""


@dataclass(frozen=True)
class Network:
    """One network of MediaPipe's package.

    source: its file, within the package's modules.
    side: height and width of the pictures that it looks at.
    pixels: what the bytes 0 and 255 mean to it.
    outputs: which of its outputs we keep, in this order; what computes the others is left out.
    """

    source: str
    side: int
    pixels: tuple[float, float]
    outputs: tuple[int, ...]


NETWORKS = {
    "pose_detection": Network("pose_detection/pose_detection.tflite", 224, (-1.0, 1.0), (0, 1)),
    "pose_landmarks": Network("pose_landmark/pose_landmark_full.tflite", 256, (0.0, 1.0), (0, 1, 3)),
    "palm_detection": Network("palm_detection/palm_detection_full.tflite", 192, (0.0, 1.0), (0, 1)),
    "palm_detection_lite": Network("palm_detection/palm_detection_lite.tflite", 192, (0.0, 1.0), (0, 1)),
    "hand_region": Network("holistic_landmark/hand_recrop.tflite", 256, (0.0, 1.0), (0,)),
    "hand_landmarks": Network("hand_landmark/hand_landmark_full.tflite", 224, (0.0, 1.0), (0, 1)),
    "hand_landmarks_lite": Network("hand_landmark/hand_landmark_lite.tflite", 224, (0.0, 1.0), (0, 1)),
}
"""By our name. Numbers of pixels and outputs: MediaPipe 0.10.21, as its graph of Holistic uses them."""

HOLISTIC = ("pose_detection", "pose_landmarks", "hand_region", "hand_landmarks")
"""Those that extraction runs."""


def cache_folder() -> Path:
    """Where converted networks are kept: `signstream/networks` in XDG_CACHE_HOME, by default ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "signstream" / "networks"


def source(name: str) -> bytes:
    """The TFLite file of a network.

    Raises UnknownNetwork, which names those there are, and LandmarkError where MediaPipe's package is not installed
    or lacks the file.
    """
    if name not in NETWORKS:
        raise UnknownNetwork(f"no network {name!r}; choose from {', '.join(NETWORKS)}")
    package = find_spec("mediapipe")
    folders = (package and package.submodule_search_locations) or []
    for folder in folders:
        path = Path(folder) / "modules" / NETWORKS[name].source
        if path.is_file():
            return path.read_bytes()
    raise LandmarkError(f"the package mediapipe with {NETWORKS[name].source} is not installed: pip install mediapipe")


def converted(name: str, folder: Path | None = None) -> Path:
    """Where the ONNX file of a network stands, which is written if it is not there yet.

    folder: default: the cache. Several processes may ask at once. Raises as `source`, FormatError for a file that we
    cannot convert, OSError where the folder cannot be written to.
    """
    data = source(name)
    path = _place(name, data, folder)
    if not path.is_file():
        _write(path, _convert(name, data))
    return path


def content(name: str) -> bytes:
    """The ONNX file of a network itself, of the cache or, where that cannot be written to, converted again."""
    data = source(name)
    path = _place(name, data, None)
    if path.is_file():
        return path.read_bytes()
    made = _convert(name, data)
    try:
        _write(path, made)
    except OSError as error:
        logger.warning("converted networks are not kept, which costs a second at every start: %s", error)
    return made


def _place(name: str, data: bytes, folder: Path | None) -> Path:
    key = hashlib.sha256(f"{hashlib.sha256(data).hexdigest()} {CONVERSION} {NETWORKS[name]}".encode()).hexdigest()
    return (folder or cache_folder()) / f"{name}-{key[:16]}.onnx"


def _convert(name: str, data: bytes) -> bytes:
    network = NETWORKS[name]
    metadata = {"source": network.source, "source_sha256": hashlib.sha256(data).hexdigest()}
    return convert(data, network.pixels, network.outputs, metadata)


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, whoever writes the same at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, delete=False) as file:
        unfinished = Path(file.name)
        try:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            unfinished.replace(path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
