"""Rows of text in columns, and their place in the docs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def show(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a Markdown table, ready for the docs."""
    print(markdown(header, rows))


def markdown(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table for the docs, no newline after it."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def verdict(reached: float, target: float) -> str:
    """`yes` or `no`."""
    return "yes" if reached >= target else "no"


def write(path: Path, name: str, command: str, text: str) -> None:
    """Put a command and what it measured into their place in a file, and say so."""
    put(path, name, f"`{command}`\n\n{text}")
    print(f"\nwritten: {path}")


def put(path: Path, name: str, text: str) -> None:
    """Replace what stands between `<!-- bench NAME -->` and the next `<!-- end -->` of a file.

    Raises ValueError where these lines are not there, once each.
    """
    before, after = _around(path, name)
    path.write_text(f"{before}\n{text.strip()}\n\n{after}")


def check_place(path: Path, name: str) -> None:
    """Raises ValueError where `put` would: ask before a long measurement."""
    _around(path, name)


def _around(path: Path, name: str) -> tuple[str, str]:
    """All up to and with the first mark, and from the second on."""
    mark, end = f"<!-- bench {name} -->\n", "<!-- end -->"
    parts = path.read_text().split(mark)
    if len(parts) != 2 or end not in parts[1]:
        raise ValueError(f"{path} needs one line {mark.strip()}, and {end} after it")
    return parts[0] + mark, parts[1][parts[1].index(end) :]
