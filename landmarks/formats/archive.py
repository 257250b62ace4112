"""Zip archives that strangers send: what may come out of them, and what may go wrong."""

from __future__ import annotations

import io
import lzma
import struct
import zipfile
import zlib

from landmarks.errors import FormatError

MAX_BYTES = 256 * 2**20
"""Most bytes that an archive may unpack to."""

BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    ValueError,
    OSError,
    EOFError,
    KeyError,
    IndexError,
    NotImplementedError,
    OverflowError,
    RuntimeError,  # encrypted
)
"""What reading a broken archive, or an array in it, may raise."""

_FILE = b"PK\x03\x04"


def looks_like(data: bytes) -> bool:
    """Whether content starts like a zip archive, an empty one included."""
    return data[:4] in (_FILE, b"PK\x05\x06")


def first_name(data: bytes) -> str:
    """Name of an archive's first file, told from its start alone; folders come before what they hold."""
    at = 0
    while data[at : at + 4] == _FILE and len(data) >= at + 30:
        size, name_length, extra_length = struct.unpack_from("<I4xHH", data, at + 18)
        name = data[at + 30 : at + 30 + name_length]
        if not name.endswith(b"/"):
            return name.decode("utf-8", errors="replace")
        at += 30 + name_length + extra_length + size
    return ""


def opened(data: bytes) -> zipfile.ZipFile:
    """The archive. Raises FormatError for one that would unpack to more than MAX_BYTES, and what BROKEN lists."""
    archive = zipfile.ZipFile(io.BytesIO(data))
    size = sum(member.file_size for member in archive.infolist())
    if size > MAX_BYTES:
        raise FormatError(f"the archive unpacks to {size} bytes, more than {MAX_BYTES}")
    return archive
