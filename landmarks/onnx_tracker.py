"""Holistic landmarks by onnxruntime: MediaPipe's networks and its way from frame to frame, on the CPU or on CUDA.

Source of the way and of its numbers: MediaPipe 0.10.21's graph of Holistic at complexity 1, without the face. Ours is
the second look for a hand that is not seen where it was.
"""

from __future__ import annotations

import logging

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from landmarks import holistic
from landmarks.detection import Detector
from landmarks.layout import HAND_21, POSE_33
from landmarks.networks import HOLISTIC, NETWORKS, content
from landmarks.region import (
    Points,
    Region,
    around,
    follows,
    hand_region,
    pose_region,
    tracked_region,
    whole,
    wrist_region,
)
from landmarks.smoothing import LowPass, OneEuro
from landmarks.tflite_to_onnx import PICTURES
from landmarks.together import Answers, Pictures, Run, Together

logger = logging.getLogger("signstream")

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"

PRESENT = 0.5
"""A pose or a hand is there when its network says so with more than this."""
WRIST_VISIBLE = 0.1
"""A hand is looked for where the pose's wrist is seen with more than this."""
VISIBILITY_ALPHA = 0.1
"""Of a joint's newest visibility, the share that counts."""
DETECTOR = Detector(side=NETWORKS["pose_detection"].side, strides=(8, 16, 32, 32, 32))

_JOINTS, _EXTRA, _NUMBERS = len(POSE_33), 2, 5
_REACH, _LEAST_HEAT = 4, 0.5
_WRISTS = {side: POSE_33.indices(f"{side}_wrist", f"{side}_pinky", f"{side}_index") for side in ("left", "right")}


class Networks:
    """The networks of extraction, loaded; any number of streams and threads share them.

    cuda: on an NVIDIA device, where what several streams ask at a time is answered in one run; without, on the CPU,
    one thread a run, where one run for several pictures gains nothing.
    provider: what onnxruntime really runs them on; where that is not CUDA although it was asked for, a warning says so.
    Raises LandmarkError where the networks are not there.
    """

    def __init__(self, *, cuda: bool = False) -> None:
        sessions = {name: _load(content(name), cuda) for name in HOLISTIC}
        used = {session.get_providers()[0] for session in sessions.values()}
        self.provider = CUDA if used == {CUDA} else CPU
        if cuda and self.provider != CUDA:
            logger.warning("extraction runs on the CPU, not on CUDA; onnxruntime's lines above say why")
        self._runs = {name: _runner(session) for name, session in sessions.items()}
        if self.provider == CUDA:
            self._runs = {name: Together(run) for name, run in self._runs.items()}
        for name in HOLISTIC:  # the first run of a session is the slow one
            self.run(name, np.zeros((1, NETWORKS[name].side, NETWORKS[name].side, 3), np.uint8))

    def run(self, name: str, pictures: Pictures) -> Answers:
        """What a network says of pictures (B, side, side, 3): its outputs, each (B, ...)."""
        return self._runs[name](pictures)


def _load(content: bytes, cuda: bool) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    on_cuda = (CUDA, {"cudnn_conv_algo_search": "HEURISTIC"})
    return onnxruntime.InferenceSession(content, options, providers=[on_cuda, CPU] if cuda else [CPU])


def _runner(session: onnxruntime.InferenceSession) -> Run:
    return lambda pictures: session.run(None, {PICTURES: pictures})  # type: ignore[return-value]


class OnnxTracker:
    """One stream: a body is searched for once and then followed, its hands are found from its wrists.

    One instance serves one stream at a time, from one thread at a time: call `reset` between streams.
    """

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._size = (0, 0)
        self._region: Region | None = None
        self._visibility = LowPass()
        self._joints, self._extra = OneEuro(cutoff=0.05, beta=80), OneEuro(cutoff=0.01, beta=10)
        self._hands: dict[str, Points] = {}

    def close(self) -> None:
        """The networks are shared; there is nothing to let go of."""

    def frame(self, picture: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Landmarks of the next picture of the stream: xyz (75, 3), NaN where unseen, and confidence (75,)."""
        height, width = picture.shape[:2]
        if (width, height) != self._size:
            self.reset()
            self._size = (width, height)
        region = self._region or self._search(picture)
        found = self._pose(picture, region) if region is not None and region.usable else None
        if found is None:
            self._region, self._hands = None, {}  # visibility stays smoothed, as MediaPipe's does
            self._joints.reset()
            self._extra.reset()
            return holistic.frame()
        joints, visibility = found
        self._hands = self._follow_hands(picture, joints, visibility)
        unit = np.array([width, height, width])  # depth is in the unit of x
        hands = {f"{side}_hand": points / unit for side, points in self._hands.items()}
        return holistic.frame(pose=np.concatenate([joints / unit, visibility[:, None]], axis=1), **hands)

    def _search(self, picture: NDArray[np.uint8]) -> Region | None:
        everything = whole(picture)
        seen = everything.crop(picture, DETECTOR.side, cv2.BORDER_CONSTANT)
        answers, scores = self._networks.run("pose_detection", seen[None])
        points = DETECTOR.best(answers[0], scores[0])
        if points is None:
            return None
        centre, edge, *_ = everything.place(points)
        return pose_region(centre, edge)

    def _pose(self, picture: NDArray[np.uint8], region: Region) -> tuple[Points, NDArray[np.float64]] | None:
        """Joints (33, 3) in pixels and their visibility (33,), both smoothed; None where nobody is there any more."""
        side = NETWORKS["pose_landmarks"].side
        numbers, present, heat = self._networks.run("pose_landmarks", region.crop(picture, side)[None])
        if present[0, 0] <= PRESENT:
            return None
        points = numbers[0].reshape(-1, _NUMBERS)[: _JOINTS + _EXTRA].astype(np.float64)
        placed = region.place(_refined(points[:, :3] / side, heat[0]))
        joints, extra = placed[:_JOINTS], placed[_JOINTS:]
        unit = max(around(extra[0], extra[1], 0.0).side, 1e-6)
        self._region = pose_region(*self._extra.push(extra, unit))
        visibility = self._visibility.push(_sigmoid(points[:_JOINTS, 3]), VISIBILITY_ALPHA)
        return self._joints.push(joints, unit), visibility

    def _follow_hands(
        self, picture: NDArray[np.uint8], joints: Points, visibility: NDArray[np.float64]
    ) -> dict[str, Points]:
        """Joints (21, 3) in pixels of each hand that is seen."""
        rough = {
            side: wrist_region(*joints[where, :2])
            for side, where in _WRISTS.items()
            if visibility[where[0]] > WRIST_VISIBLE
        }
        rough = {side: region for side, region in rough.items() if region.usable}
        first, second = {}, {}
        for side, (answer,) in self._look("hand_region", picture, rough).items():
            told = hand_region(*rough[side].place(answer.reshape(2, 2) / NETWORKS["hand_region"].side))
            if not told.usable:
                continue
            first[side] = told
            if side in self._hands:
                before = tracked_region(self._hands[side])
                if before.usable and follows(before, self._hands[side], told):
                    first[side], second[side] = before, told
        hands = self._see_hands(picture, first)
        return hands | self._see_hands(picture, {side: second[side] for side in second if side not in hands})

    def _see_hands(self, picture: NDArray[np.uint8], regions: dict[str, Region]) -> dict[str, Points]:
        """Joints (21, 3) in pixels of each hand that is in its region."""
        hands = {}
        for side, (points, present) in self._look("hand_landmarks", picture, regions).items():
            if present[0] > PRESENT:
                shares = points.reshape(len(HAND_21), 3) / NETWORKS["hand_landmarks"].side
                hands[side] = regions[side].place(shares / (1, 1, 0.4))
        return hands

    def _look(
        self, name: str, picture: NDArray[np.uint8], regions: dict[str, Region]
    ) -> dict[str, list[NDArray[np.float64]]]:
        """A network's outputs for each region, all in one run."""
        if not regions:
            return {}
        crops = np.stack([region.crop(picture, NETWORKS[name].side) for region in regions.values()])
        answers = self._networks.run(name, crops)
        return {key: [answer[i].astype(np.float64) for answer in answers] for i, key in enumerate(regions)}


def _refined(points: Points, heat: NDArray[np.float32]) -> Points:
    """Joints (N, 3), shares of the crop, moved to the middle of their heat (H, W, N') nearby where that is certain."""
    height, width = heat.shape[:2]
    out = points.copy()
    for i, (x, y) in enumerate(points[:, :2]):
        if not (0 <= x < 1 and 0 <= y < 1):
            continue
        column, row = int(x * width), int(y * height)
        top, left = max(row - _REACH, 0), max(column - _REACH, 0)
        near = _sigmoid(heat[top : row + _REACH + 1, left : column + _REACH + 1, i].astype(np.float64))
        if near.max() >= _LEAST_HEAT:
            rows, columns = np.arange(top, top + near.shape[0]), np.arange(left, left + near.shape[1])
            total = near.sum()
            out[i, 0] = near.sum(axis=0) @ columns / total / width
            out[i, 1] = near.sum(axis=1) @ rows / total / height
    return out


def _sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-np.clip(values, -60, 60)))
