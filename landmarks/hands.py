"""Which hands a model looks at: both on a body, or each for itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from landmarks.layout import HAND_21, Hand, Layout, on_body

HANDS: tuple[Hand, ...] = ("left", "right")
_ON_BODY = {joint for hand in HANDS for joint in on_body(hand, HAND_21.joints)}


def of_one_hand(joints: Sequence[str]) -> bool:
    """Are these a single hand's, as HAND_21 calls them? A model of such joints judges each hand of a body for itself.

    Nothing is mirrored for it: one network sees left hands and right ones.
    """
    return all(joint in HAND_21 for joint in joints)


def watched(joints: Sequence[str], layout: Layout) -> tuple[Hand | None, ...]:
    """The hands that a model of these joints judges in frames of a layout; None is the whole body.

    None too where the frames are of one hand themselves: nobody says which.
    """
    return (None,) if not of_one_hand(joints) or any(joint in layout for joint in joints) else HANDS


def on_hands(joints: Sequence[str]) -> NDArray[np.intp]:
    """Positions of the joints that are on a hand: of a model of one hand all, of the body those of either hand."""
    alone = of_one_hand(joints)
    return np.array([i for i, joint in enumerate(joints) if alone or joint in _ON_BODY], dtype=np.intp)
