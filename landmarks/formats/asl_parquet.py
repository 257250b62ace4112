"""Kaggle's sign sets as parquet: a row a point, 543 a frame.

Columns frame, type (face, left_hand, pose, right_hand), landmark_index, x, y, z; others are not read, nor is
the face. Reading it takes pyarrow, which comes with training: `pip install -e '.[train]'`.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from landmarks import holistic
from landmarks.errors import FormatError, NoFrames
from landmarks.formats.given import Given
from landmarks.sequence import LandmarkSequence

NAME = "parquet"
MAX_ROWS = 8_000_000
"""Most rows: 14,000 frames of 543 points, near 8 minutes at 30 a second."""

_COLUMNS = ("frame", "type", "landmark_index", "x", "y", "z")


def looks_like(data: bytes) -> bool:
    """Parquet's mark at both ends."""
    return data[:4] == b"PAR1" and data[-4:] == b"PAR1"


def read(data: bytes, given: Given) -> LandmarkSequence:
    """Raises FormatError for what is not as above, or where pyarrow is not installed."""
    columns = _columns(data)
    numbers, at = np.unique(columns["frame"], return_inverse=True)
    if not len(numbers):
        raise NoFrames("the file holds no frames")
    xyz, confidence = holistic.unseen(len(numbers))
    for part, where in holistic.PARTS.items():
        mine = columns["type"] == list(holistic.PARTS).index(part)
        index = columns["landmark_index"][mine]
        points = where.stop - where.start
        if len(index) and not (index.min() >= 0 and index.max() < points):
            raise FormatError(f"{part} has landmarks 0 to {points - 1}, got {index.min()} to {index.max()}")
        cells = np.full((len(numbers), points, 3), np.nan)
        cells[at[mine], index] = np.stack([columns[axis][mine] for axis in "xyz"], axis=-1)
        holistic.place(part, cells, xyz, confidence)
    return given.sequence(xyz, confidence)


def _columns(data: bytes) -> dict[str, NDArray]:
    try:
        import pyarrow as pa
        from pyarrow import compute, parquet
    except ImportError as error:
        raise FormatError("parquet takes pyarrow, which is not installed here: pip install -e '.[train]'") from error
    try:
        file = parquet.ParquetFile(io.BytesIO(data))
        rows, names = file.metadata.num_rows, file.schema_arrow.names
        if missing := [name for name in _COLUMNS if name not in names]:
            raise FormatError(f"the parquet lacks {', '.join(missing)}; it holds {', '.join(names)[:200]}")
        if rows > MAX_ROWS:
            raise FormatError(f"{rows} rows are over the limit of {MAX_ROWS}")
        table = file.read(columns=list(_COLUMNS), use_threads=False)
        if empty := [name for name in _COLUMNS[:3] if table[name].null_count]:
            raise FormatError(f"the parquet has rows without {', '.join(empty)}")
        parts = compute.index_in(  # pyright: ignore[reportAttributeAccessIssue]  made at import
            table["type"].cast(pa.string()), value_set=pa.array(list(holistic.PARTS))
        )
        columns = {"type": compute.fill_null(parts, -1)}  # the face is none of them
        columns |= {name: table[name].cast(pa.int64()) for name in ("frame", "landmark_index")}
        columns |= {axis: table[axis].cast(pa.float64()) for axis in "xyz"}
        return {name: column.to_numpy() for name, column in columns.items()}
    except FormatError:
        raise
    except (pa.ArrowException, ValueError, TypeError, KeyError, OSError, MemoryError, UnicodeDecodeError) as error:
        raise FormatError(f"the parquet cannot be read: {error}") from error
