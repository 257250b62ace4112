"""Turned squares of a picture: where a network looks, and where what it saw lies in the picture.

Regions are in pixels; points within one are shares of its side, 0 to 1, in its own upright axes.
Source of what becomes a region: MediaPipe 0.10.21's graphs of Holistic, pose and hand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from landmarks.layout import HAND_21

_PALM = HAND_21.indices("wrist", "index_mcp", "middle_mcp", "ring_mcp")
_TO_THUMB = ("wrist", "thumb_cmc", "thumb_mcp", "thumb_ip")
_PALM_AND_FINGERS = HAND_21.indices(
    *_TO_THUMB, *(f"{finger}_{part}" for finger in ("index", "middle", "ring", "pinky") for part in ("mcp", "pip"))
)

Points = NDArray[np.float64]
"""(N, 2) or (N, 3): x, y and depth, depth in the unit of x."""


@dataclass(frozen=True)
class Region:
    """A square with its centre, its side in pixels, and the angle in radians by which it is turned clockwise."""

    x: float
    y: float
    side: float
    angle: float = 0.0

    @property
    def usable(self) -> bool:
        """Whether it is somewhere and not empty."""
        return all(map(math.isfinite, (self.x, self.y, self.side, self.angle))) and self.side >= 1

    def moved(self, right: float, down: float) -> Region:
        """Moved along its own axes, in pixels."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return replace(self, x=self.x + right * cos - down * sin, y=self.y + right * sin + down * cos)

    def scaled(self, by: float) -> Region:
        """Larger around its centre."""
        return replace(self, side=self.side * by)

    def crop(self, picture: NDArray[np.uint8], side: int, border: int = cv2.BORDER_REPLICATE) -> NDArray[np.uint8]:
        """What it shows, upright, (side, side, 3); border: what stands beyond the picture, as OpenCV calls it."""
        corners = cv2.boxPoints(((self.x, self.y), (self.side, self.side), math.degrees(self.angle)))
        upright = np.array([[0, side], [0, 0], [side, 0], [side, side]], np.float32)
        # warpAffine would do and takes two thirds of the time; MediaPipe's networks answer its rounding with landmarks
        # that lie up to half a pixel elsewhere.
        turn = cv2.getPerspectiveTransform(corners, upright)
        return cv2.warpPerspective(picture, turn, (side, side), flags=cv2.INTER_LINEAR, borderMode=border)  # type: ignore[return-value]

    def place(self, points: Points) -> Points:
        """Points within it, (N, 2 or 3) shares of its side, as points of the picture in pixels."""
        placed = points * self.side
        x, y = (points[:, :2] - 0.5).T * self.side
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        placed[:, 0] = self.x + x * cos - y * sin
        placed[:, 1] = self.y + x * sin + y * cos
        return placed

    def share(self, points: Points) -> Points:
        """Points of the picture (N, 2) as seen from its centre, in its own axes, in shares of its side."""
        x, y = (points - (self.x, self.y)).T / self.side
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return np.stack([x * cos + y * sin, y * cos - x * sin], axis=1)


def whole(picture: NDArray[np.uint8]) -> Region:
    """The square around a whole picture."""
    height, width = picture.shape[:2]
    return Region(width / 2, height / 2, max(height, width))


def angle_of(start: Points, end: Points, upright: float) -> float:
    """How far a figure is turned whose line from start to end has the angle `upright` when it is not.

    upright: counterclockwise from the right, in radians. Gives radians clockwise, from -pi up to pi.
    """
    angle = upright - math.atan2(-(end[1] - start[1]), end[0] - start[0])
    return angle - 2 * math.pi * math.floor((angle + math.pi) / (2 * math.pi))


def around(centre: Points, edge: Points, upright: float) -> Region:
    """The square around a centre that reaches as far as a point on its edge, turned as their line is."""
    side = 2 * math.hypot(edge[0] - centre[0], edge[1] - centre[1])
    return Region(float(centre[0]), float(centre[1]), side, angle_of(centre, edge, upright))


def pose_region(centre: Points, edge: Points) -> Region:
    """Around a body: its middle and the point above its head that the pose networks find beside the joints."""
    return around(centre, edge, math.pi / 2).scaled(1.25)


def wrist_region(wrist: Points, pinky: Points, index: Points) -> Region:
    """Around a hand, roughly, from the three points of it that the pose has."""
    middle = (2 * index + pinky) / 3
    region = around(middle, wrist, 0.0)
    region = replace(region, angle=angle_of(wrist, middle, math.pi / 2))
    return region.moved(0, -0.1 * region.side).scaled(2.7)


def hand_region(centre: Points, edge: Points) -> Region:
    """Around a hand, from the two points that the network for it finds."""
    region = around(centre, edge, -math.pi / 2)
    return region.moved(0, -0.1 * region.side)


def tracked_region(hand: Points) -> Region:
    """Around a hand whose 21 joints were seen in the frame before."""
    wrist, index, middle, ring = hand[_PALM, :2]
    return _boxed(hand[_PALM_AND_FINGERS, :2], angle_of(wrist, ((index + ring) / 2 + middle) / 2, math.pi / 2))


def follows(before: Region, hand: Points, told: Region) -> bool:
    """Whether a hand may be looked for where it was, although the pose tells another region.

    before: around its joints (21, 2 or 3) in the frame before. told: the region from the pose. They must not lie far
    apart, and the hand must have been well within what the pose tells.
    """
    turned = abs(math.remainder(before.angle - told.angle, 2 * math.pi))
    apart = told.share(np.array([[before.x, before.y]]))
    inside = told.share(hand[:, :2])
    return bool(
        turned <= math.radians(40)
        and np.abs(apart).max() <= 0.2
        and abs(before.side / told.side - 1) <= 0.4
        and np.abs(inside).max() <= 0.45
    )


def _boxed(points: Points, angle: float) -> Region:
    """The box around points whose axes are turned by an angle; twice its longer side, as a square."""
    middle = (points.max(axis=0) + points.min(axis=0)) / 2
    cos, sin = math.cos(angle), math.sin(angle)
    upright = (points - middle) @ np.array([[cos, -sin], [sin, cos]])
    (left, top), (right, bottom) = upright.min(axis=0), upright.max(axis=0)
    x, y = (left + right) / 2, (top + bottom) / 2
    region = Region(
        float(middle[0] + x * cos - y * sin),
        float(middle[1] + x * sin + y * cos),
        max(right - left, bottom - top),
        angle,
    )
    return region.moved(0, -0.1 * float(bottom - top)).scaled(2)
