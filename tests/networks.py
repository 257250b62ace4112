"""A form of every network that tests build and run in no time. Listing a network here puts it through every suite."""

from __future__ import annotations

from typing import Any

FRAMES = 12
"""T of the windows that the suites use."""

SMALL: dict[str, dict[str, Any]] = {
    "sca-stgcn": {"widths": (8, 16), "dilations": (1, 2), "signer_width": 8, "hidden": 8, "signers": 3},
    "stgcn": {"widths": (8, 16), "strides": (1, 2), "kernel": 5, "pool": "parts"},
    "stgcn++": {"widths": (8, 16), "strides": (1, 2)},
}
"""Name -> options that make it small."""
