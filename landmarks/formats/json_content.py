"""JSON that strangers send: parsed, or refused with the reason."""

from __future__ import annotations

import json
from typing import Any

from landmarks.errors import FormatError


def load(data: bytes) -> Any:
    """One JSON value, or one a line as a list. Raises FormatError."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(f"the JSON is not UTF-8: {error}") from error
    try:
        return json.loads(text)
    except RecursionError as error:
        raise FormatError("the JSON is nested too deeply") from error
    except ValueError as whole:
        lines = [line for line in text.splitlines() if line.strip()]
        try:
            return [json.loads(line) for line in lines] if len(lines) > 1 else _fail(whole)
        except (ValueError, RecursionError):
            raise FormatError(f"the JSON cannot be read: {whole}") from whole


def _fail(error: ValueError) -> Any:
    raise FormatError(f"the JSON cannot be read: {error}") from error


def number(holder: dict[str, Any], key: str) -> float | None:
    """A key's number; None where there is none. Raises FormatError for anything else."""
    value = holder.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e300:
        raise FormatError(f"{key} must be a number, got {str(value)[:40]!r}")
    return float(value)


def aspect(about: dict[str, Any]) -> float | None:
    """Width / height, by `width` and `height` or by `aspect`. Raises FormatError."""
    width, height = number(about, "width"), number(about, "height")
    if width and height:
        return width / height
    return number(about, "aspect")
