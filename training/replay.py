"""A landmark file through a model as a live stream would go: an outside look at what windows say when.

The service's session cuts the same windows and makes events of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landmarks import Cutter, LandmarkSequence, Manifest
from training.evaluate import Predict


@dataclass(frozen=True, eq=False)
class Replayed:
    """What a model says along a sequence.

    at_s: (N,) the moments spoken of. probabilities: (N, labels).
    """

    at_s: NDArray[np.float64]
    probabilities: NDArray[np.float32]


def replay(sequence: LandmarkSequence, predict: Predict, manifest: Manifest) -> Replayed:
    """Every window of a sequence, from the stream's first frame to its last.

    sequence: of any layout that has the manifest's joints, at any rate. Raises UnknownJoint for a layout without.
    """
    cutter = Cutter(manifest, sequence.layout)
    cuts = cutter.push(sequence.at_s.tolist(), sequence.xyz, sequence.aspect) + cutter.finish()
    if not cuts:
        return Replayed(np.zeros(0), np.zeros((0, len(manifest.labels)), np.float32))
    return Replayed(np.array([cut.at_s for cut in cuts]), predict(np.stack([cut.landmarks for cut in cuts])))
