"""Which hands a model looks at: both on a body, or each for itself."""

from __future__ import annotations

from collections.abc import Sequence

from landmarks.layout import HAND_21, Hand, Layout

HANDS: tuple[Hand, ...] = ("left", "right")


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
