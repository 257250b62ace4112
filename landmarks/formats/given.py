"""What a file leaves out and its sender may know."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import FormatError, NoFrames
from landmarks.layout import HOLISTIC_75
from landmarks.sequence import WEBCAM_ASPECT, LandmarkSequence


@dataclass(frozen=True)
class Given:
    """Stands in where a file gives no times or no picture size.

    fps: frames per second. aspect: width / height of the picture.
    """

    fps: float = 30.0
    aspect: float = WEBCAM_ASPECT

    def __post_init__(self) -> None:
        if not (0 < self.fps <= 1000 and 0.1 <= self.aspect <= 10):
            raise ValueError(f"need 0 < fps <= 1000 and 0.1 <= aspect <= 10, got {self.fps}, {self.aspect}")

    def sequence(
        self,
        xyz: NDArray[np.float32],
        confidence: NDArray[np.float32],
        *,
        at_s: NDArray[np.floating] | None = None,
        fps: float | None = None,
        aspect: float | None = None,
    ) -> LandmarkSequence:
        """Of HOLISTIC_75, from what the file says, and from what is given where it says None."""
        if not len(xyz):
            raise NoFrames("the file holds no frames")
        if at_s is None:
            rate = self.fps if fps is None else fps
            if not 0 < rate <= 1000:
                raise FormatError(f"the file's fps must be over 0 and at most 1000, got {rate}")
            at_s = np.arange(len(xyz)) / rate
        aspect = self.aspect if aspect is None else aspect
        if not 0.1 <= aspect <= 10:
            raise FormatError(f"the file's aspect must be from 0.1 to 10 (width / height), got {aspect}")
        return LandmarkSequence(HOLISTIC_75, xyz, confidence, np.asarray(at_s, np.float64), aspect)
