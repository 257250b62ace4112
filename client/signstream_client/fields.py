"""JSON objects read with their types checked, so that a wrong answer is named where it comes in."""

from __future__ import annotations

import json
import math
from typing import Any, Literal, cast

from signstream_client.errors import ProtocolError

Hand = Literal["left", "right"]
"""Of a person, which is their own left or right."""


class Fields:
    """One JSON object; `what` names it in errors. Keys nobody asks for are left alone: a newer service may add some.

    Every reader raises ProtocolError where the key is missing or holds something else.
    """

    def __init__(self, raw: object, what: str) -> None:
        if not isinstance(raw, dict):
            raise ProtocolError(f"{what} is not a JSON object")
        self._raw: dict[str, Any] = raw
        self._what = what

    @classmethod
    def of_text(cls, text: str | bytes, what: str) -> Fields:
        """Parse JSON text."""
        try:
            return cls(json.loads(text), what)
        except ValueError as error:
            raise ProtocolError(f"{what} is not JSON: {error}") from error

    def _wrong(self, key: str, expected: str) -> ProtocolError:
        if key not in self._raw:
            return ProtocolError(f"{self._what} has no {key!r}")
        return ProtocolError(f"{self._what}: {key!r} is no {expected}")

    def text(self, key: str, default: str | None = None) -> str:
        """A string."""
        value = self._raw.get(key, default)
        if not isinstance(value, str):
            raise self._wrong(key, "text")
        return value

    def maybe_text(self, key: str) -> str | None:
        """A string, or None where it is null or absent."""
        return None if self._raw.get(key) is None else self.text(key)

    def number(self, key: str) -> float:
        """A finite number."""
        value = self._raw.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self._wrong(key, "number")
        return float(value)

    def maybe_number(self, key: str) -> float | None:
        """A number, or None where it is null or absent."""
        return None if self._raw.get(key) is None else self.number(key)

    def integer(self, key: str, default: int | None = None) -> int:
        """A whole number."""
        value = self._raw.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._wrong(key, "whole number")
        return value

    def maybe_integer(self, key: str) -> int | None:
        """A whole number, or None where it is null or absent."""
        return None if self._raw.get(key) is None else self.integer(key)

    def truth(self, key: str) -> bool:
        """True or false."""
        value = self._raw.get(key)
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false")
        return value

    def items(self, key: str) -> list[Any]:
        """A list of anything."""
        value = self._raw.get(key)
        if not isinstance(value, list):
            raise self._wrong(key, "list")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings."""
        values = self.items(key)
        if not all(isinstance(value, str) for value in values):
            raise self._wrong(key, "list of texts")
        return tuple(values)

    def numbers(self, key: str) -> tuple[float, ...]:
        """A list of numbers."""
        values = self.items(key)
        if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            raise self._wrong(key, "list of numbers")
        return tuple(float(value) for value in values)

    def table(self, key: str) -> dict[str, Any]:
        """An object as a dict."""
        value = self._raw.get(key)
        if not isinstance(value, dict):
            raise self._wrong(key, "object")
        return value

    def hand(self) -> Hand | None:
        """Whose the key `hand` says that something is; None where it is null or absent."""
        value = self._raw.get("hand")
        if value not in ("left", "right", None):
            raise self._wrong("hand", "left, right or null")
        return cast("Hand | None", value)

    def inner(self, key: str) -> Fields:
        """An object, to be read in turn."""
        return Fields(self.table(key), f"{self._what}.{key}")

    def rows(self, key: str) -> list[Fields]:
        """A list of objects, each to be read in turn."""
        return [Fields(item, f"{self._what}.{key}[{i}]") for i, item in enumerate(self.items(key))]

    def maybe(self, key: str) -> object | None:
        """Whatever is there, or None."""
        return self._raw.get(key)
