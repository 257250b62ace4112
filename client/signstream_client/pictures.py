"""Where live pictures come from."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from signstream_client.errors import SignstreamError
from signstream_client.frame import Picture

OPENCV_LINE = "pip install opencv-python"


class NoCamera(SignstreamError):
    """OpenCV is not installed, or there is no camera that it can open."""


class Webcam:
    """A camera, read with OpenCV: iterate for JPEG pictures stamped with seconds since the first one.

    camera: its number, 0 the first, or a device or address that OpenCV opens.
    width: asked of it, in pixels. quality: of the JPEG, 1 to 100.
    Raises NoCamera, which says the way out.
    """

    def __init__(self, camera: int | str = 0, *, width: int = 640, quality: int = 80) -> None:
        try:
            import cv2
        except ImportError as error:
            raise NoCamera(f"reading a camera takes OpenCV: {OPENCV_LINE}") from error
        self._cv2: Any = cv2
        self._quality = quality
        self._camera: Any = cv2.VideoCapture(camera)
        if not self._camera.isOpened():
            raise NoCamera(f"no camera {camera}: is one connected, free, and are you allowed to read it (group video)?")
        self._camera.set(cv2.CAP_PROP_FRAME_WIDTH, width)

    def __enter__(self) -> Webcam:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._camera.release()

    def __iter__(self) -> Iterator[Picture]:
        """Pictures until the camera gives none."""
        started: float | None = None
        while True:
            there, pixels = self._camera.read()
            now = time.monotonic()
            if not there:
                return
            started = now if started is None else started
            _, jpeg = self._cv2.imencode(".jpg", pixels, (self._cv2.IMWRITE_JPEG_QUALITY, self._quality))
            yield Picture(now - started, jpeg.tobytes())
