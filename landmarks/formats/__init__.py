"""Landmark files: what a file is, is told from its content; nothing is unpickled.

Each module is one format: `NAME`, `looks_like(data)`, `read(data, given)`.
"""

from __future__ import annotations

from landmarks.errors import UnknownFormat
from landmarks.formats import asl_parquet, csv, mediapipe_json, npz, ntu, openpose, pose, shrec
from landmarks.formats.given import Given
from landmarks.sequence import LandmarkSequence

# OpenPose's JSON and zips of it come before the other JSON and the other zip.
FORMATS = (openpose, npz, mediapipe_json, pose, asl_parquet, ntu, shrec, csv)

__all__ = ["FORMATS", "Given", "read", "sniff"]


def sniff(data: bytes) -> str | None:
    """Name of the landmark format of this content, None if it is of none."""
    return next((form.NAME for form in FORMATS if form.looks_like(data)), None)


def read(data: bytes, given: Given | None = None) -> LandmarkSequence:
    """The sequence in a landmark file's content.

    given: what to take for the rate and the picture's aspect where the file does not say.
    Raises UnknownFormat for other content, FormatError (or another LandmarkError) for a broken file.
    """
    for form in FORMATS:
        if form.looks_like(data):
            return form.read(data, given or Given())
    names = ", ".join(form.NAME for form in FORMATS)
    raise UnknownFormat(f"this is no landmark file that we read ({names})")
