"""Landmarks as CSV, wide or long.

Wide: a row a frame; columns `<joint>_x`, `_y`, `_z` (optional), `_visibility` or `_confidence` (optional), with
HOLISTIC_75's joint names in any case; an empty cell is not seen; `at_s` holds the time.
Long, as Kaggle's sign sets: a row a point; columns frame, type (pose, left_hand, right_hand, face), landmark_index,
x, y, z; `at_s` optional. The face is not read.
"""

from __future__ import annotations

import csv
import io

import numpy as np
from numpy.typing import NDArray

from landmarks import holistic
from landmarks.errors import FormatError, NoFrames
from landmarks.formats.given import Given
from landmarks.layout import HOLISTIC_75
from landmarks.sequence import LandmarkSequence

NAME = "csv"

_AXES = {"x": 0, "y": 1, "z": 2, "visibility": 3, "confidence": 3}
_LONG = {"frame", "type", "landmark_index", "x", "y"}


def looks_like(data: bytes) -> bool:
    """Text whose first line names columns of one of the two kinds."""
    try:
        columns = _columns(data[:16384].decode("utf-8-sig", errors="strict" if len(data) <= 16384 else "ignore"))
    except UnicodeDecodeError:
        return False
    return columns >= _LONG or any(column.endswith("_x") for column in columns)


def _columns(text: str) -> set[str]:
    first = text.split("\n", 1)[0]
    return {column.strip().strip('"').lower() for column in first.split(",")} if "," in first else set()


def read(data: bytes, given: Given) -> LandmarkSequence:
    """Raises FormatError, naming the line, for what is not as above."""
    try:
        rows = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        header = [column.strip().lower() for column in next(rows)]
        numbered = [(rows.line_num, row) for row in rows if row]
    except (UnicodeDecodeError, csv.Error, StopIteration) as error:
        raise FormatError(f"the CSV cannot be read: {error}") from error
    for line, row in numbered:
        if len(row) != len(header):
            raise FormatError(f"line {line} has {len(row)} cells, the header {len(header)}")
    if not numbered:
        raise NoFrames("the file holds no frames")
    return (_long if set(header) >= _LONG else _wide)(header, numbered, given)


Rows = list[tuple[int, list[str]]]


def _wide(header: list[str], rows: Rows, given: Given) -> LandmarkSequence:
    places: list[tuple[int, int, int]] = []
    for column, name in enumerate(header):
        joint, _, axis = name.rpartition("_")
        if axis in _AXES and joint:
            places.append((column, int(HOLISTIC_75.indices(joint)[0]), _AXES[axis]))
    cells = _cells(len(rows))
    for i, (line, row) in enumerate(rows):
        for column, joint, axis in places:
            cells[i, joint, axis] = _number(row[column], line)
    times = [_number(row[header.index("at_s")], line) for line, row in rows] if "at_s" in header else None
    return _sequence(cells, times, given)


def _long(header: list[str], rows: Rows, given: Given) -> LandmarkSequence:
    at = {name: header.index(name) for name in header}
    frames = {name: i for i, name in enumerate(dict.fromkeys(row[at["frame"]] for _, row in rows))}
    cells = _cells(len(frames))
    times: list[float] | None = [np.nan] * len(frames) if "at_s" in at else None
    for line, row in rows:
        frame, part = frames[row[at["frame"]]], row[at["type"]]
        if times is not None:
            times[frame] = _number(row[at["at_s"]], line)
        if part == "face":
            continue
        if part not in holistic.PARTS:
            raise FormatError(f"line {line}: type is pose, left_hand, right_hand or face, got {part!r}")
        where, index = holistic.PARTS[part], _number(row[at["landmark_index"]], line)
        if index not in range(where.stop - where.start):
            raise FormatError(f"line {line}: {part} has no landmark {row[at['landmark_index']]}")
        point = [_number(row[at[axis]], line) for axis in ("x", "y", "z") if axis in at]
        cells[frame, where.start + int(index), : len(point)] = point
    return _sequence(cells, times, given)


def _cells(frames: int) -> NDArray[np.float64]:
    """(T, 75, x y z confidence) before the file has said anything."""
    xyz, confidence = holistic.unseen(frames)
    cells = np.concatenate([xyz, confidence[..., None]], axis=-1, dtype=np.float64)
    cells[..., 2], cells[..., 3] = 0.0, 1.0
    return cells


def _sequence(cells: NDArray[np.float64], times: list[float] | None, given: Given) -> LandmarkSequence:
    xyz, confidence = holistic.unseen(len(cells))
    for part, where in holistic.PARTS.items():
        holistic.place(part, cells[:, where], xyz, confidence)
    return given.sequence(xyz, confidence, at_s=None if times is None else np.array(times))


def _number(cell: str, line: int) -> float:
    text = cell.strip()
    if not text:
        return np.nan
    try:
        return float(text)
    except ValueError as error:
        raise FormatError(f"line {line}: {text!r} is not a number") from error
