"""Where the golden parity packs lie, and tests over them; skipped, saying so, where they are not."""

from __future__ import annotations

from pathlib import Path

import pytest

PARITY = Path(__file__).resolve().parents[2] / "shared" / "parity"
MISSING = f"needs the parity packs at {PARITY}"


def folders(pattern: str = "*") -> list[Path]:
    """Of the packs whose names match."""
    return sorted(path.parent for path in PARITY.glob(f"{pattern}/pack.json"))


def every_pack(pattern: str = "*") -> pytest.MarkDecorator:
    """Runs a test with the `folder` of each pack."""
    return pytest.mark.parametrize(
        "folder",
        folders(pattern) or [pytest.param(None, marks=pytest.mark.skip(reason=MISSING))],
        ids=lambda folder: folder and folder.name,
    )


def needs_packs() -> None:
    """Skips a test where there are none."""
    if not folders():
        pytest.skip(MISSING)
