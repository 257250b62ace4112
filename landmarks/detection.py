"""A single-shot detector's answer -> the one best detection, as MediaPipe's pose detector gives it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Detector:
    """How a detector's answer is to be read.

    side: of the picture that it looks at, in pixels.
    strides: pixels from place to place, one a layer; each layer has two answers a place.
    least_score: below it, nothing was found.
    least_overlap: answers that overlap the best one more, as the share of their union, are the same thing.
    """

    side: int
    strides: tuple[int, ...]
    least_score: float = 0.5
    least_overlap: float = 0.3

    def places(self) -> NDArray[np.float64]:
        """(N, 2) the places that the answers speak of, as shares of the picture; layers of one stride alternate."""
        out = []
        for stride in dict.fromkeys(self.strides):
            count = self.side // stride
            y, x = np.mgrid[:count, :count]
            at = (np.stack([x.ravel(), y.ravel()], axis=1) + 0.5) / count
            out.append(np.repeat(at, 2 * self.strides.count(stride), axis=0))
        return np.concatenate(out)

    def best(self, answers: NDArray[np.float32], scores: NDArray[np.float32]) -> NDArray[np.float64] | None:
        """Key points (K, 2) of the best detection, as shares of the picture; None where nothing was found.

        answers (N, 4 + 2 K): centre, width and height of a box, then the points, all in pixels from the place.
        scores (N, 1): before the sigmoid. The points are the mean over all answers for the same thing, weighted by
        score (Bazarevsky et al. 2019, BlazeFace, sec. 3.5).
        """
        sure = 1 / (1 + np.exp(-np.clip(scores[:, 0].astype(np.float64), -100, 100)))
        kept = np.flatnonzero(sure >= self.least_score)
        if not kept.size:
            return None
        sure, found = sure[kept], answers[kept].astype(np.float64) / self.side
        at = self.places()[kept]
        half, centre = found[:, 2:4] / 2, found[:, :2] + at
        low, high = centre - half, centre + half
        best = int(sure.argmax())
        common = np.clip(np.minimum(high, high[best]) - np.maximum(low, low[best]), 0, None).prod(axis=1)
        areas = (high - low).prod(axis=1)
        same = common > self.least_overlap * (areas + areas[best] - common)
        same[best] = True
        points = found[same, 4:].reshape(same.sum(), -1, 2) + at[same, None]
        return np.average(points, axis=0, weights=sure[same])
