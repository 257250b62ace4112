"""Scripted parts that stand where a trained network or a person would."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from landmarks import HOLISTIC_75, SIGN_27, Decoding, LandmarkSequence, Layout, Manifest
from service.engine import Step

HAND_SEEN = Decoding(start_above=0.6, stop_below=0.4, min_duration_s=0.0, min_gap_s=0.0)


def manifest(
    name: str = "signing",
    labels: Sequence[str] = ("not-signing", "signing"),
    *,
    frames: int = 4,
    stride: int = 1,
    fps: float = 10.0,
    layout: Layout = SIGN_27,
    decoding: Decoding = HAND_SEEN,
    centre: float = 1.0,
) -> Manifest:
    return Manifest(
        name=name,
        version="test",
        task="gesture",
        network="scripted",
        layout=layout.name,
        joints=layout.joints,
        window_frames=frames,
        stride_frames=stride,
        fps=fps,
        labels=tuple(labels),
        background=labels[0],
        centre=centre,
        decoding=decoding,
    )


class ScriptedEngine:
    """Says the given probabilities, window by window."""

    provider = wanted = "Script"
    places = None
    together = False

    def __init__(self, script: Sequence[Sequence[float]], of: Manifest) -> None:
        self.manifest = of
        self._script = list(script)

    def read(self, place):
        raise AssertionError("it carries no state")

    write = read

    def predict(self, windows: NDArray[np.float32], steps: Sequence[Step] = ()) -> NDArray[np.float32]:
        if len(windows) > len(self._script):
            raise RuntimeError("the script is over")
        said, self._script = self._script[: len(windows)], self._script[len(windows) :]
        return np.array(said, np.float32)


class RuleEngine:
    """Says `rule(window)` for the label that is not the background, whatever else is in the batch."""

    provider = wanted = "Rule"
    places = None
    together = False

    def __init__(self, of: Manifest, rule: Callable[[NDArray[np.float32]], float]) -> None:
        self.manifest = of
        self._rule = rule

    def read(self, place):
        raise AssertionError("it carries no state")

    write = read

    def predict(self, windows: NDArray[np.float32], steps: Sequence[Step] = ()) -> NDArray[np.float32]:
        said = np.array([self._rule(window) for window in windows], np.float32)
        return np.stack([1 - said, said], axis=1)


def right_hand_seen(window: NDArray[np.float32]) -> float:
    """1 if the newest frame of a SIGN_27 window shows a right hand."""
    hand = SIGN_27.indices("right_hand_wrist")
    return float(np.isfinite(window[-1, hand]).all())


def signer(hand_up: Sequence[bool], fps: float = 10.0, seed: int = 0) -> LandmarkSequence:
    """A body that is always seen, and a right hand where `hand_up` says so."""
    random = np.random.default_rng(seed)
    xyz = random.uniform(0.1, 0.9, (len(hand_up), len(HOLISTIC_75), 3)).astype(np.float32)
    hands = np.array([joint.startswith(("left_hand_", "right_hand_")) for joint in HOLISTIC_75.joints])
    right = np.array([joint.startswith("right_hand_") for joint in HOLISTIC_75.joints])
    xyz[:, hands & ~right] = np.nan
    xyz[np.ix_(~np.array(hand_up), right)] = np.nan
    return LandmarkSequence.of(HOLISTIC_75, xyz, fps=fps, aspect=4 / 3)
