"""How large a body is and where it stands, from the joints that hardly bend."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from landmarks.hands import HANDS, of_one_hand
from landmarks.layout import Layout, on_body

Points = NDArray[np.floating]

_TRUNK = 1.9
"""Shoulders to hips, in shoulder widths: the median of the signers of asl-words, 1.65 to 2.1."""
_HAND = 0.28
"""Wrist to the middle finger's root, likewise, of an open hand that faces the camera."""


class Torso:
    """Size and place of bodies of one layout. All take xyz (..., V, 3) in square units, NaN where unseen."""

    def __init__(self, layout: Layout) -> None:
        def known(*joints: str) -> NDArray[np.intp] | None:
            return layout.indices(*joints) if all(joint in layout for joint in joints) else None

        length = ("wrist", "middle_mcp")
        each = [length] if of_one_hand(layout.joints) else [on_body(hand, length) for hand in HANDS]
        self._shoulders, self._hips = known("left_shoulder", "right_shoulder"), known("left_hip", "right_hip")
        self._lengths = [joints for names in each if (joints := known(*names)) is not None]

    def size(self, xyz: Points) -> Points:
        """(...,) shoulder widths, told by the trunk where somebody stands sideways, by a hand where there is no body;
        NaN where nothing tells."""
        found = np.full(xyz.shape[:-2], np.nan)
        if self._shoulders is not None:
            shoulders = xyz[..., self._shoulders, :2]
            found = _length(shoulders[..., 0, :] - shoulders[..., 1, :])
            if self._hips is not None:
                trunk = shoulders.mean(axis=-2) - xyz[..., self._hips, :2].mean(axis=-2)
                found = np.fmax(found, _length(trunk) / _TRUNK)
        unknown = np.isnan(found)
        if self._lengths and unknown.any():
            hands = [_length(np.diff(xyz[..., joints, :2], axis=-2)[..., 0, :]) for joints in self._lengths]
            found = np.where(unknown, np.fmax.reduce(hands) / _HAND, found)
        return found


def _length(vectors: Points) -> Points:
    return np.hypot(vectors[..., 0], vectors[..., 1])
