"""Who is who: the pairing of rows and columns that costs least."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_FORBIDDEN = 1e6
"""Stands for infinity, so that as many pairs as there can be are worth any cost."""


def assign(costs: NDArray[np.floating]) -> list[tuple[int, int]]:
    """(row, column) pairs of a matrix (N, M): as many as there can be, of those choices the one of least sum.

    Infinite where two may not be paired. Exact, by shortest augmenting paths (Jonker and Volgenant 1987), in
    O(N^2 M) for N <= M: meant for a handful of rows.
    """
    if not costs.size:
        return []
    if len(costs) > len(costs[0]):
        return sorted((row, column) for column, row in assign(costs.T))
    if costs.shape == (1, 1):
        return [(0, 0)] if math.isfinite(costs[0, 0]) else []
    rows: list[list[float]] = np.where(np.isfinite(costs), costs, _FORBIDDEN).tolist()
    count, places = len(rows), len(rows[0])
    row_price, place_price = [0.0] * count, [0.0] * places
    holder = [-1] * places  # the row that a column is given to
    for start in range(count):
        # Dijkstra over columns: how much it costs to free each of them for `start`, others moving on.
        distance, before = [math.inf] * places, [-1] * places
        done = [False] * places
        row, column = start, -1
        least = 0.0
        while row >= 0:
            nearest = -1
            for j in range(places):
                if done[j]:
                    continue
                through = least + rows[row][j] - row_price[row] - place_price[j]
                if through < distance[j]:
                    distance[j], before[j] = through, column
                if nearest < 0 or distance[j] < distance[nearest]:
                    nearest = j
            done[nearest], least, column = True, distance[nearest], nearest
            row = holder[nearest]
        for j in range(places):
            if done[j] and j != column:
                place_price[j] -= least - distance[j]
                row_price[holder[j]] += least - distance[j]
        row_price[start] += least
        while column >= 0:
            holder[column], column = (holder[before[column]] if before[column] >= 0 else start), before[column]
    pairs = [(row, column) for column, row in enumerate(holder) if row >= 0]
    return sorted((row, column) for row, column in pairs if math.isfinite(costs[row, column]))
