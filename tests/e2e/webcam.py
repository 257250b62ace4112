"""A browser whose webcam plays a real clip."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
from playwright.sync_api import Browser, sync_playwright

from bench.server import ROOT

CHROMIUM = Path("/usr/bin/chromium")
CLIPS = ROOT.parent / "shared" / "data" / "clips"
FAKE_WEBCAM_FPS = 30.0
"""Chromium plays a .mjpeg at this rate, whatever it was made from."""

_QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_QUALITY = 92


@dataclass(frozen=True)
class Recording:
    """A clip as Chromium's fake webcam takes it: path of the .mjpeg, and seconds of one pass."""

    path: Path
    duration_s: float


def record(clip: Path, into: Path) -> Recording:
    """Write the clip's frames as JPEGs one behind the other, which is all that a .mjpeg is."""
    video = cv2.VideoCapture(str(clip))
    frames = 0
    with into.open("wb") as file:
        while True:
            there, pixels = video.read()
            if not there:
                break
            _, jpeg = cv2.imencode(".jpg", pixels, (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))
            file.write(jpeg.tobytes())
            frames += 1
    video.release()
    if not frames:
        raise ValueError(f"{clip} has no frames that OpenCV can read")
    return Recording(into, frames / FAKE_WEBCAM_FPS)


@contextmanager
def browser(recording: Recording | None = None) -> Iterator[Browser]:
    """Headless Chromium; its webcam plays the recording over and over, or there is none."""
    flags = list(_QUIET)
    if recording is not None:
        flags += [
            "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-video-capture={recording.path}",
        ]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=flags)
        try:
            yield chromium
        finally:
            chromium.close()
