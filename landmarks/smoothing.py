"""Filters over the frames of one stream."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

FRAME_S = 0.033333
"""Seconds from frame to frame that MediaPipe's Python package takes for granted, whatever the video's rate."""


class LowPass:
    """Exponential mean: of the newest value the share `alpha`."""

    def __init__(self) -> None:
        self.last: Values | None = None

    def push(self, values: Values, alpha: Values | float) -> Values:
        """The next values, smoothed; the first as they are."""
        self.last = values if self.last is None else alpha * values + (1 - alpha) * self.last
        return self.last


class OneEuro:
    """Smooths what is still and follows what moves fast (Casiez et al. 2012, eq. 4 to 8).

    cutoff: least cut-off frequency in Hz, of what is still. beta: its growth per unit of speed.
    """

    def __init__(self, cutoff: float, beta: float) -> None:
        self.cutoff, self.beta = cutoff, beta
        self.reset()

    def reset(self) -> None:
        """Forget the frames so far."""
        self._raw: Values | None = None
        self._value, self._speed = LowPass(), LowPass()

    def push(self, values: Values, unit: float) -> Values:
        """The next values, smoothed. unit: the size of what moves; speeds are counted in it per second."""
        change = np.zeros_like(values) if self._raw is None else (values - self._raw) / (unit * FRAME_S)
        self._raw = values
        speed = self._speed.push(change, float(_alpha(np.array(1.0))))  # smoothed at 1 Hz, as the paper does
        return self._value.push(values, _alpha(self.cutoff + self.beta * np.abs(speed)))


def _alpha(cutoff: Values) -> Values:
    return 1 / (1 + 1 / (2 * math.pi * cutoff * FRAME_S))
