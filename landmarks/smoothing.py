"""Filters over the frames of one stream."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Cutoff = TypeVar("Cutoff", Values, float)

FRAME_S = 0.033333
"""Seconds from frame to frame that MediaPipe's Python package takes for granted, whatever the video's rate."""


class LowPass:
    """Exponential mean: of the newest value the share `alpha`. What was NaN begins afresh."""

    def __init__(self) -> None:
        self.last: Values | None = None

    def push(self, values: Values, alpha: Values | float) -> Values:
        """The next values, smoothed; the first as they are."""
        if self.last is None:
            self.last = values
        else:
            self.last = np.where(np.isnan(self.last), values, alpha * values + (1 - alpha) * self.last)
        return self.last


class OneEuro:
    """Smooths what is still and follows what moves fast (Casiez et al. 2012, eq. 4 to 8).

    A value that is NaN stays so, and what comes after it is smoothed as if it were the first.

    cutoff: least cut-off frequency in Hz, of what is still. beta: its growth per unit of speed.
    """

    def __init__(self, cutoff: float, beta: float) -> None:
        self.cutoff, self.beta = cutoff, beta
        self.reset()

    def reset(self) -> None:
        """Forget the frames so far."""
        self._raw: Values | None = None
        self._value, self._speed = LowPass(), LowPass()

    def push(self, values: Values, unit: Values | float, step_s: float = FRAME_S) -> Values:
        """The next values, smoothed.

        unit: the size of what moves; speeds are counted in it per second. step_s: since the values before.
        """
        change = np.zeros_like(values) if self._raw is None else (values - self._raw) / (unit * step_s)
        if self._raw is not None:
            change = np.where(np.isnan(self._raw), 0.0, change)
        self._raw = values
        speed = self._speed.push(change, _alpha(1.0, step_s))  # smoothed at 1 Hz, as the paper does
        return self._value.push(values, _alpha(self.cutoff + self.beta * np.abs(speed), step_s))

    def snapshot(self) -> list[Any] | None:
        """What `restore` goes on from, as plain numbers: newest, smoothed and speeds; None before the first values."""
        if self._raw is None or self._value.last is None or self._speed.last is None:
            return None
        return [part.tolist() for part in (self._raw, self._value.last, self._speed.last)]

    def restore(self, state: list[Any] | None) -> None:
        """Go on as the filter that gave this snapshot would, to the bit. None for a number is NaN, as JSON has it."""
        self.reset()
        if state is not None:
            self._raw, self._value.last, self._speed.last = (np.array(part, np.float64) for part in state)


def _alpha(cutoff: Cutoff, step_s: float) -> Cutoff:
    return 1 / (1 + 1 / (2 * math.pi * cutoff * step_s))
