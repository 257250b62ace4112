"""Kinect's camera space <-> a picture's directions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_HALF_TURN = np.array([-1.0, -1.0, 1.0], np.float32)


def turned(xyz: NDArray[np.float32]) -> NDArray[np.float32]:
    """(..., 3) x to the sensor's left, y up -> x to the picture's right, y down; and back, for it is half a turn.

    z is the distance from the camera in both; the unit (metres) and the zero stay.
    """
    return xyz * _HALF_TURN
