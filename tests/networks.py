"""A form of every network that tests build and run in no time. Listing a network here puts it through every suite."""

from __future__ import annotations

from typing import Any

FRAMES = 12
"""T of the windows that the suites use."""

SMALL: dict[str, dict[str, Any]] = {
    "arm-gru": {"inner": 16, "embed": 12, "hidden": 12, "input_dropout": 0.1, "dropout": 0.1},
    "dsta-slr": {"widths": (8, 16), "strides": (1, 2), "subsets": 2, "kernels": (3, 5), "expansion": 2, "frames": 8},
    "sca-stgcn": {"widths": (8, 16), "dilations": (1, 2), "signer_width": 8, "hidden": 8, "signers": 3},
    "impsgn": {
        "segments": 6,
        "embed": 8,
        "relation": 8,
        "widths": (8, 16),
        "inner": (8, 8),
        "branch": 2,
        "frame_width": 16,
    },
    "sgn": {"segments": 8, "embed": 8, "relation": 8, "widths": (8, 16), "frame_width": 16, "draws": 2},
    "signing-lstm": {"hidden": 12, "input_dropout": 0.1},
    "costgcn": {"widths": (8, 16), "strides": (1, 2), "kernel": 5, "pool": "parts", "pool_size": 3},
    "costgcn++": {"widths": (8, 16), "strides": (1, 1), "pool_size": 4},
    "st-sgcn": {
        "frames": 8,
        "embed": 8,
        "heads": 2,
        "masks": 2,
        "width": 4,
        "cross_hops": 1,
        "hidden": (16, 16),
        "dropout": 0.1,
    },
    "stgcn": {"widths": (8, 16), "strides": (1, 2), "kernel": 5, "pool": "parts"},
    "stgcn++": {"widths": (8, 16), "strides": (1, 2)},
}
"""Name -> options that make it small."""
