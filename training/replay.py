"""A landmark file through a model as a live stream would go: an outside look at what windows say when.

The service's session does the same and makes events of it; a test holds the two to the same windows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landmarks import LandmarkSequence, Manifest, Resampler, Window, find_layout
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
    points = sequence.pick(find_layout(manifest.layout)).square()
    resampler, window = Resampler(manifest.fps), Window(manifest.window_frames, len(manifest.joints))
    behind = round((1 - manifest.centre) * (manifest.window_frames - 1))
    at_s: list[float] = []
    windows: list[NDArray[np.float32]] = []

    def push(values: NDArray[np.float32], newest_s: float) -> None:
        window.push(values)
        centre = window.pushed - 1 - behind
        if centre >= 0 and centre % manifest.stride_frames == 0:
            at_s.append(newest_s - behind / manifest.fps)
            windows.append(window.copy())

    last_s = 0.0

    def finish() -> None:
        unseen = np.full((len(manifest.joints), 3), np.nan, np.float32)
        for i in range(behind if window.pushed else 0):
            push(unseen, last_s + (i + 1) / manifest.fps)

    for frame_s, xyz in points:
        for frame in resampler.push(frame_s, xyz):
            if frame.fresh:
                finish()
                window.clear()
            last_s = frame.at_s
            push(frame.values, frame.at_s)
    finish()
    if not windows:
        return Replayed(np.zeros(0), np.zeros((0, len(manifest.labels)), np.float32))
    return Replayed(np.array(at_s), predict(np.stack(windows)))
