"""MediaPipe Holistic: pictures and videos -> landmarks. The only room that knows mediapipe and its networks."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from landmarks import holistic
from landmarks.errors import FormatError, NoFrames, NoPerson, NotAVideo
from landmarks.layout import HOLISTIC_75
from landmarks.sequence import LandmarkSequence

if TYPE_CHECKING:  # onnxruntime is loaded by those who extract with it
    from landmarks.onnx_tracker import Networks

Picture = NDArray[np.uint8]
"""(height, width, 3) RGB."""
Backend = Literal["auto", "mediapipe", "onnx"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)
"""What may find the landmarks: MediaPipe's graph, its networks in onnxruntime, or the faster of the two."""

_PICTURES = ("JPEG", "PNG", "WEBP")
_CONTAINERS = (
    (4, b"ftyp"),  # MP4, MOV
    (4, b"moov"),
    (4, b"mdat"),
    (4, b"wide"),
    (0, b"\x1aE\xdf\xa3"),  # Matroska, WebM
    (0, b"RIFF"),  # AVI
    (0, b"OggS"),
    (0, b"\x00\x00\x01\xba"),  # MPEG program stream
    (0, b"GIF8"),
    (0, b"FLV"),
    (0, b"\x30\x26\xb2\x75"),  # ASF, WMV
)


class Tracker(Protocol):
    """Follows one body and its hands through the pictures of a stream."""

    def frame(self, picture: Picture) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Landmarks of the next picture: xyz (75, 3), NaN where unseen, and confidence (75,)."""
        ...

    def reset(self) -> None:
        """Forget the stream: the next picture is looked at afresh."""
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


class Extractor:
    """Holistic landmarks of one stream: MediaPipe's networks at complexity 1, warm once built.

    One instance serves one stream at a time, from one thread at a time: call `reset` between streams.
    backend: `mediapipe` runs MediaPipe's own graph, on the CPU; `onnx` runs its networks in onnxruntime; `auto` is the
    default, see `chosen`. networks: those of `onnx`, which extractors may share; by default its own, on the CPU.
    Raises LandmarkError where `onnx` lacks the networks.
    """

    def __init__(self, backend: Backend = "auto", networks: Networks | None = None) -> None:
        self._tracker: Tracker = MediaPipeTracker() if chosen(backend) == "mediapipe" else _onnx_tracker(networks)
        self.frame(np.zeros((64, 64, 3), np.uint8))
        self.reset()

    def frame(self, picture: Picture) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Landmarks of the next picture of the stream: xyz (75, 3), NaN where unseen, and confidence (75,)."""
        return self._tracker.frame(picture)

    def reset(self) -> None:
        """Forget the stream: the next picture is looked at afresh."""
        self._tracker.reset()

    def close(self) -> None:
        """Let go of the networks and their threads."""
        self._tracker.close()

    def __enter__(self) -> Extractor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def chosen(backend: Backend) -> Literal["mediapipe", "onnx"]:
    """What `auto` stands for: onnxruntime, which finds as many hands in less time (`python -m bench backends`)."""
    return "onnx" if backend == "auto" else backend


def open_extractors(count: int, backend: Backend = "auto", *, cuda: bool = False) -> list[Extractor]:
    """Extractors for so many streams at a time, which share their networks where the backend can.

    cuda: run them on an NVIDIA device; MediaPipe's own graph knows none. Ask only where there is one.
    """
    if chosen(backend) == "mediapipe":
        return [Extractor("mediapipe") for _ in range(count)]
    from landmarks.onnx_tracker import Networks

    networks = Networks(cuda=cuda)
    return [Extractor("onnx", networks) for _ in range(count)]


def _onnx_tracker(networks: Networks | None) -> Tracker:
    from landmarks.onnx_tracker import Networks, OnnxTracker

    return OnnxTracker(networks or Networks())


class MediaPipeTracker:
    """MediaPipe's own graph of Holistic; its threads serve one stream."""

    def __init__(self) -> None:
        # mediapipe 0.10.21 calls protobuf in a way that protobuf 4.25 warns about, at every frame.
        warnings.filterwarnings("ignore", r"SymbolDatabase\.GetPrototype\(\) is deprecated", UserWarning)
        from mediapipe.python.solutions.holistic import Holistic

        self._graph = Holistic(model_complexity=1)

    def frame(self, picture: Picture) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """As Tracker."""
        found: Any = self._graph.process(picture)
        pose, left, right = found.pose_landmarks, found.left_hand_landmarks, found.right_hand_landmarks
        return holistic.frame(
            pose=pose and [(p.x, p.y, p.z, p.visibility) for p in pose.landmark],
            left_hand=left and [(p.x, p.y, p.z) for p in left.landmark],
            right_hand=right and [(p.x, p.y, p.z) for p in right.landmark],
        )

    def reset(self) -> None:
        """As Tracker."""
        self._graph.reset()

    def close(self) -> None:
        """As Tracker."""
        self._graph.close()


def decode_picture(data: bytes, max_pixels: int = 16_000_000) -> Picture:
    """A JPEG, PNG or WebP picture. Raises FormatError for other content, a broken or an oversized one."""
    try:
        with Image.open(io.BytesIO(data), formats=_PICTURES) as header:
            width, height = header.size
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise FormatError(f"this is no {', '.join(_PICTURES)} picture") from error
    if width * height > max_pixels:
        raise FormatError(f"the picture has {width} x {height} pixels, more than {max_pixels}")
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise FormatError("the picture is broken")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)  # type: ignore[return-value]


def looks_like_video(data: bytes) -> bool:
    """Whether content starts like a video container. Playlists, which name other files, do not."""
    return any(data[at : at + len(magic)] == magic for at, magic in _CONTAINERS)


def read_video(path: Path) -> Iterator[tuple[float, Picture]]:
    """(at_s, picture) of every frame: upright, whatever the container's rotation, at the container's own times.

    Where a container gives no usable time for a frame, one step of its nominal rate is taken.
    Raises NotAVideo for what cannot be opened as a video.
    """
    with path.open("rb") as file:
        if not looks_like_video(file.read(32)):
            raise NotAVideo(f"{path.name} is no video container that we decode")
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        if not capture.isOpened():
            raise NotAVideo(f"{path.name} cannot be decoded as a video")
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        rate = capture.get(cv2.CAP_PROP_FPS)
        step = 1 / rate if math.isfinite(rate) and 0 < rate <= 1000 else 1 / 30
        last_s = -step
        while True:
            more, picture = capture.read()
            if not more:
                return
            at_s = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if not (math.isfinite(at_s) and last_s < at_s < last_s + 3600):
                at_s = last_s + step
            last_s = at_s
            yield at_s, cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)  # type: ignore[misc]
    finally:
        capture.release()


def extract_video(
    path: Path,
    extractor: Extractor,
    on_frame: Callable[[int], object] | None = None,
    max_duration_s: float = math.inf,
) -> LandmarkSequence:
    """Landmarks of every frame of a video file, of HOLISTIC_75.

    extractor: is reset first. on_frame: told the number of frames done, after each.
    Raises NotAVideo, NoFrames, NoPerson; FormatError for a video longer than `max_duration_s`.
    """
    extractor.reset()
    times: list[float] = []
    frames: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
    aspect = 1.0
    for at_s, picture in read_video(path):
        if at_s > max_duration_s or len(frames) >= holistic.MAX_FRAMES:
            raise FormatError(
                f"{path.name} is over {max_duration_s:g} s or {holistic.MAX_FRAMES} frames, the most taken at once"
            )
        aspect = picture.shape[1] / picture.shape[0]
        times.append(at_s)
        frames.append(extractor.frame(picture))
        if on_frame is not None:
            on_frame(len(frames))
    if not frames:
        raise NoFrames(f"{path.name} holds no frames")
    xyz = np.stack([points for points, _ in frames])
    confidence = np.stack([sure for _, sure in frames])
    if np.isnan(xyz).all():
        raise NoPerson(f"no frame of {path.name} shows a person")
    return LandmarkSequence(HOLISTIC_75, xyz, confidence, np.array(times), aspect)


def frame_count(path: Path) -> int | None:
    """How many frames a video's container claims, if it does: for a progress bar."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
    capture.release()
    return count if count > 0 else None


def extract_videos(
    paths: Iterable[Path], processes: int, backend: Backend = "auto"
) -> Iterator[tuple[Path, LandmarkSequence | Exception]]:
    """Several files, as they get done, each with its landmarks or what was wrong with it.

    processes: how many work side by side; each builds one extractor and keeps it.
    """
    # Not forked: MediaPipe's and onnxruntime's threads do not survive a fork.
    pool = ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=_build_extractor, initargs=(backend,)
    )
    with pool:
        waiting = {pool.submit(_extract_in_worker, path): path for path in paths}
        for done in as_completed(waiting):
            yield waiting[done], done.result()


_worker: list[Extractor] = []


def _build_extractor(backend: Backend) -> None:
    _worker.append(Extractor(backend))


def _extract_in_worker(path: Path) -> LandmarkSequence | Exception:
    try:
        return extract_video(path, _worker[0])
    except Exception as error:  # whatever a decoder or MediaPipe finds wrong with one video, the others go on
        return error
