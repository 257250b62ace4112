"""What a graph of several networks says about itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from export.onnx import CannotExport, sha256
from landmarks import Manifest
from landmarks.manifest import FORMAT_VERSION
from models import Checkpoint

SHARED = ("task", "layout", "joints", "window_frames", "stride_frames", "fps", "labels", "background", "centre")
"""What every member of an ensemble must have alike: one input feeds them all, and one list of labels is answered."""


def describe(checkpoints: Sequence[Checkpoint], name: str = "") -> Manifest:
    """The manifest of one network, or of an ensemble of them, with the sha256 of their weights.

    name: instead of the members' own, joined. Thresholds are the first member's; quality measured of single members
    says nothing of the ensemble, so an ensemble comes without. Raises CannotExport where members do not fit together.
    """
    manifests = [one.manifest for one in checkpoints]
    first = manifests[0]
    for other in manifests[1:]:
        for field in SHARED:
            ours, theirs = getattr(first, field), getattr(other, field)
            if ours != theirs:
                raise CannotExport(
                    f"an ensemble has one {field}: {first.name!r} has {_told(ours)}, {other.name!r} {_told(theirs)}"
                )
    weights = sha256([one.weights for one in checkpoints])
    first = replace(first, name=name or first.name, weights_sha256=weights, format_version=FORMAT_VERSION)
    if len(manifests) == 1:
        return first
    return replace(
        first,
        name=name or _joined(one.name for one in manifests),
        version=_joined(one.version for one in manifests),
        network=_joined(one.network for one in manifests),
        licence=_joined((one.licence for one in manifests if one.licence), " AND "),
        sources=tuple(dict.fromkeys(source for one in manifests for source in one.sources)),
        metrics={},
    )


def share(weights: Sequence[float], members: int) -> list[float]:
    """Weights of sum 1, equal ones where none are given. Raises ValueError for other than one above 0 a member."""
    given = list(weights) or [1.0] * members
    if len(given) != members or not all(0 < weight < float("inf") for weight in given):
        raise ValueError(f"need one weight above 0 for each of {members} members, got {given}")
    return [weight / sum(given) for weight in given]


def _joined(parts: object, between: str = "+") -> str:
    return between.join(dict.fromkeys(parts))  # type: ignore[call-overload]


def _told(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
