"""One labelled recording of one person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landmarks import LandmarkSequence, Layout


@dataclass(frozen=True, eq=False)
class Clip:
    """A recording, and what its recorder says it shows.

    sequence: the landmarks. label: the recorder's own word for it. person: who is seen; 0 where nobody says.
    take: names the recording; unique over all sets. source: the set it is from. view: the camera, of several.
    signer: position among the signers of a fit (training.objective), true or guessed; -1 where unknown.
    """

    sequence: LandmarkSequence
    label: str
    person: int
    take: str
    source: str
    view: int | None = None
    signer: int = -1

    def points(self, layout: Layout, fps: float) -> NDArray[np.float32]:
        """(T, V, 3) what a network of that layout and rate is given of this clip."""
        return self.sequence.pick(layout).square().resample(fps).xyz
