"""A landmark file through a model as a live stream would go: an outside look at what windows say when.

The service's session cuts the same windows and makes events of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landmarks import Hand, LandmarkSequence, Manifest, ManifestError, cut_whole
from training.evaluate import Predict


@dataclass(frozen=True, eq=False)
class Replayed:
    """What a model says along a sequence, in the order of time.

    at_s: (N,) the moments spoken of. probabilities: (N, labels). hands: (N,) which one each is of, see landmarks.Cut.
    """

    at_s: NDArray[np.float64]
    probabilities: NDArray[np.float32]
    hands: tuple[Hand | None, ...]


def replay(sequence: LandmarkSequence, predict: Predict, manifest: Manifest) -> Replayed:
    """Every window of a sequence, from the stream's first frame to its last.

    sequence: of any layout that has the manifest's joints, at any rate. Raises UnknownJoint for a layout without, and
    ManifestError for one step of a stream.
    """
    if manifest.form == "stream":
        raise ManifestError(f"{manifest.name} is one step of a stream, which the service answers; this takes windows")
    cuts = sorted(cut_whole(manifest, sequence), key=lambda cut: cut.at_s)
    if not cuts:
        return Replayed(np.zeros(0), np.zeros((0, len(manifest.labels)), np.float32), ())
    said = np.tile(manifest.at_rest, (len(cuts), 1))  # (N, labels)
    if awake := [i for i, cut in enumerate(cuts) if not cut.rests]:
        said[awake] = predict(np.stack([cuts[i].landmarks for i in awake]))
    return Replayed(np.array([cut.at_s for cut in cuts]), said, tuple(cut.hand for cut in cuts))
