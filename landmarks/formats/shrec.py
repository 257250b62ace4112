"""SHREC's hands as text, a frame a line.

SHREC'17 (and DHG), `skeletons_world.txt`: 66 numbers with blanks between, 22 joints x (x, y, z), layout SHREC_22.
SHREC'21 (and SFINGE 3D): 140 numbers with `;` between, 20 joints x (x, y, z and a quaternion), layout SHREC_20; the
quaternions are not read. Lengths stay in the sensor's unit and along its axes; the aspect is 1. Neither file says its
rate: SHREC'17 was recorded at 30 frames a second, SHREC'21 at 50.
"""

from __future__ import annotations

import io
import re

import numpy as np
from numpy.typing import NDArray

from landmarks import holistic
from landmarks.errors import FormatError, NoFrames
from landmarks.formats.given import Given
from landmarks.layout import SHREC_20, SHREC_22
from landmarks.sequence import LandmarkSequence

NAME = "shrec"

_LAYOUTS = {66: SHREC_22, 140: SHREC_20}
_NUMBERS = re.compile(rb"[-+0-9.eE;, \t]+")


def looks_like(data: bytes) -> bool:
    """Text whose first line is as many numbers as one of the two kinds has."""
    first = data[:8192].lstrip(b"\xef\xbb\xbf \t\r\n").split(b"\n", 1)[0].strip()
    if not _NUMBERS.fullmatch(first):
        return False
    return len(first.split()) == 66 or len(first.rstrip(b"; \t").split(b";")) == 140


def read(data: bytes, given: Given) -> LandmarkSequence:
    """Raises FormatError, naming the line, for what is not as above."""
    rows: list[NDArray[np.float64]] = []
    for i, line in enumerate(io.BytesIO(data.removeprefix(b"\xef\xbb\xbf")), start=1):
        cells = line.strip().rstrip(b"; \t")
        if not cells:
            continue
        if len(rows) == holistic.MAX_FRAMES:
            raise FormatError(f"over the limit of {holistic.MAX_FRAMES} frames")
        rows.append(_numbers(cells, i))
        if len(rows[-1]) != len(rows[0]):
            raise FormatError(f"line {i} has {len(rows[-1])} numbers, the first has {len(rows[0])}")
    if not rows:
        raise NoFrames("the file holds no frames")
    layout = _LAYOUTS[len(rows[0])]
    points = np.stack(rows).reshape(len(rows), len(layout), -1)[..., :3]  # (T, V, 3)
    with np.errstate(over="ignore"):  # beyond float32 is infinite, which is: not seen
        return LandmarkSequence.of(layout, points, fps=given.fps)


def _numbers(line: bytes, at: int) -> NDArray[np.float64]:
    cells = line.split(b";" if b";" in line else None)
    if len(cells) not in _LAYOUTS:
        raise FormatError(f"line {at} has {len(cells)} numbers; SHREC'17 has 66, SHREC'21 140")
    try:
        return np.array([float(cell) for cell in cells])
    except ValueError as error:
        raise FormatError(f"line {at}: {error}") from error
