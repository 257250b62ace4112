"""One layout's joints made of another's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import UnknownJoint
from landmarks.layout import Hand, Layout, blend, on_body


class JointMap:
    """Takes a target's joints from frames of a source: by name, or as a mean of named joints (see `blend`).

    source: layout of the frames. joints: V names that are wanted. hand: of a body, whose joints they are.
    Raises UnknownJoint, naming those that cannot be had.
    """

    def __init__(self, source: Layout, joints: tuple[str, ...], hand: Hand | None = None) -> None:
        joints = joints if hand is None else on_body(hand, joints)
        weights = blend(source, Layout("wanted", joints, ()))  # (V, V_source)
        if missing := [joint for joint, row in zip(joints, weights, strict=True) if not row.any()]:
            rest = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
            raise UnknownJoint(f"layout {source.name} has no joint {', '.join(missing[:5])}{rest}")
        most = int((weights > 0).sum(axis=1).max())
        # The heaviest parts first; a joint of fewer parts repeats its heaviest with weight 0, so that only its own
        # parts can leave it unseen.
        order = np.argsort(-weights, axis=1, kind="stable")[:, :most]  # (V, P)
        self._weights = np.take_along_axis(weights, order, axis=1)[..., None]  # (V, P, 1)
        self._parts = np.where(self._weights[..., 0] > 0, order, order[:, :1])  # (V, P)
        self._by_name = self._parts[:, 0] if most == 1 else None

    def __len__(self) -> int:
        return len(self._parts)

    def __call__(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """(..., V_source, C) -> (..., V, C); NaN where any part is."""
        if self._by_name is not None:
            return values.take(self._by_name, axis=-2)
        return (values[..., self._parts, :] * self._weights).sum(axis=-2)  # (..., V, C)
