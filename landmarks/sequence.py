"""Landmarks of one person over time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import NoFrames, TimeError
from landmarks.joint_map import JointMap
from landmarks.layout import Hand, Layout
from landmarks.resample import Resampler

WEBCAM_ASPECT = 4 / 3
"""Width / height of a usual webcam's picture: what to assume where nobody said."""


@dataclass(frozen=True, eq=False)
class LandmarkSequence:
    """T frames of V named joints.

    layout: which joints, in which order.
    xyz: (T, V, 3) float32. x and y as shares of the picture's width and height (0 left and top, 1 right and
        bottom), z in the unit of x; NaN where a joint was not seen.
    confidence: (T, V) float32 in 0..1; 0 where a joint was not seen.
    at_s: (T,) float64, seconds, growing.
    aspect: width of the picture divided by its height; 1 where x and y already share a unit.
    """

    layout: Layout
    xyz: NDArray[np.float32]
    confidence: NDArray[np.float32]
    at_s: NDArray[np.float64]
    aspect: float = 1.0

    def __post_init__(self) -> None:
        frames, joints = len(self.at_s), len(self.layout)
        if self.xyz.shape != (frames, joints, 3) or self.confidence.shape != (frames, joints):
            raise ValueError(
                f"need xyz ({frames}, {joints}, 3) and confidence ({frames}, {joints}), "
                f"got {self.xyz.shape} and {self.confidence.shape}"
            )
        if not (np.isfinite(self.aspect) and self.aspect > 0):
            raise ValueError(f"aspect is width / height and positive, got {self.aspect}")
        if not np.isfinite(self.at_s).all() or (np.diff(self.at_s) <= 0).any():
            raise TimeError("timestamps must be finite and grow from frame to frame")

    @classmethod
    def of(
        cls,
        layout: Layout,
        xyz: NDArray[np.floating],
        *,
        at_s: NDArray[np.floating] | None = None,
        fps: float | None = None,
        confidence: NDArray[np.floating] | None = None,
        aspect: float = 1.0,
    ) -> LandmarkSequence:
        """Build one from what there is: times or a rate; confidence 1 wherever a joint was seen by default.

        xyz: (T, V, 2) or (T, V, 3), NaN (or infinite) where unseen. Give `at_s` (T,) or `fps`.
        """
        points = np.full((*xyz.shape[:2], 3), np.nan, dtype=np.float32)
        points[..., : xyz.shape[2]] = xyz
        if xyz.shape[2] == 2:
            points[..., 2] = 0.0
        seen = np.isfinite(points).all(axis=-1)
        points[~seen] = np.nan
        sure = np.ones(seen.shape) if confidence is None else np.nan_to_num(confidence)
        if at_s is None:
            if fps is None or not fps > 0:
                raise ValueError("give at_s, or fps > 0")
            at_s = np.arange(len(points)) / fps
        return cls(
            layout,
            points,
            np.where(seen, sure, 0.0).astype(np.float32),
            np.asarray(at_s, dtype=np.float64),
            float(aspect),
        )

    def __len__(self) -> int:
        return len(self.at_s)

    def __getitem__(self, frames: slice) -> LandmarkSequence:
        """The frames of a slice."""
        return replace(self, xyz=self.xyz[frames], confidence=self.confidence[frames], at_s=self.at_s[frames])

    def __iter__(self) -> Iterator[tuple[float, NDArray[np.float32]]]:
        """(at_s, xyz (V, 3)) of every frame."""
        return zip(self.at_s.tolist(), self.xyz, strict=True)

    @property
    def duration_s(self) -> float:
        """Seconds from the first frame to the last."""
        return float(self.at_s[-1] - self.at_s[0]) if len(self) else 0.0

    @property
    def fps(self) -> float:
        """Frames per second, by the median step; 0 for fewer than two frames."""
        return float(1.0 / np.median(np.diff(self.at_s))) if len(self) > 1 else 0.0

    @property
    def seen(self) -> NDArray[np.bool_]:
        """(T, V) which joints were seen."""
        return ~np.isnan(self.xyz[..., 0])

    def between(self, start_s: float, end_s: float) -> LandmarkSequence:
        """The frames with start_s <= at_s < end_s."""
        first, last = np.searchsorted(self.at_s, [start_s, end_s])
        return self[first:last]

    def pick(self, layout: Layout, hand: Hand | None = None) -> LandmarkSequence:
        """The joints of another layout, by name or as means: see JointMap. Raises UnknownJoint.

        hand: of a body, where `layout` is of one hand: which one.
        """
        if layout == self.layout:
            return self
        joints = _joint_map(self.layout, layout.joints, hand)
        return replace(self, layout=layout, xyz=joints(self.xyz), confidence=joints(self.confidence[..., None])[..., 0])

    def square(self) -> LandmarkSequence:
        """In units of the picture's height on every axis, so that a circle is round; aspect becomes 1."""
        return replace(self, xyz=square(self.xyz, self.aspect), aspect=1.0)

    def mirror(self) -> LandmarkSequence:
        """Seen in a mirror: x runs the other way, left joints are right ones."""
        width = self.xyz.dtype.type(1.0)
        flipped = self.xyz[:, self.layout.mirror].copy()
        flipped[..., 0] = width - flipped[..., 0]
        return replace(self, xyz=flipped, confidence=self.confidence[:, self.layout.mirror])

    def resample(self, fps: float, max_gap_s: float = 0.5) -> LandmarkSequence:
        """At an even rate, by timestamps, exactly as a live stream is: see `Resampler`.

        Across a gap longer than `max_gap_s` there are no frames; the grid goes on at the frame after it.
        Raises NoFrames for a sequence without frames.
        """
        if not len(self):
            raise NoFrames("cannot resample a sequence without frames")
        values = np.concatenate([self.xyz, self.confidence[..., None]], axis=-1)
        runs = Resampler(fps, max_gap_s).push(self.at_s.tolist(), values)
        grid = np.concatenate([run.values for run in runs])
        return replace(
            self,
            xyz=grid[..., :3],
            confidence=grid[..., 3],
            at_s=np.array([now_s for run in runs for now_s in run.at_s]),
        )


@lru_cache(maxsize=64)
def _joint_map(source: Layout, joints: tuple[str, ...], hand: Hand | None) -> JointMap:
    return JointMap(source, joints, hand)


def square(xyz: NDArray[np.float32], aspect: float) -> NDArray[np.float32]:
    """(..., 3) picture shares -> units of the picture's height; x and z grow by width / height."""
    return xyz * _growth(aspect)


@lru_cache(maxsize=64)
def _growth(aspect: float) -> NDArray[np.float32]:
    return np.array([aspect, 1.0, aspect], dtype=np.float32)
