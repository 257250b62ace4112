"""A layout as a graph: which joints are neighbours, and of which kind.

Adjacency matrices are (K, V, V), indexed (kind, source, target): K kinds of neighbour, one weight matrix each.
A target's column sums to 1: over all kinds together where they are told apart by distance, kind by kind
(or 0, without neighbours of that kind) where they are told apart by direction.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from landmarks import Layout

Matrix = NDArray[np.float32]


class UnknownPartition(ValueError):
    """No way of that name to tell neighbours apart."""


def hop_distance(layout: Layout) -> NDArray[np.float64]:
    """(V, V) number of bones on the shortest way from joint to joint; infinite where there is none."""
    joints = len(layout)
    linked = np.eye(joints, dtype=bool)
    children, parents = layout.edges.T
    linked[children, parents] = linked[parents, children] = True
    hops = np.where(np.eye(joints, dtype=bool), 0.0, np.inf)
    reached = np.eye(joints, dtype=bool)
    for hop in range(1, joints):
        grown = (reached.astype(np.int64) @ linked.astype(np.int64)) > 0
        hops[grown & ~reached] = hop
        reached = grown
    return hops


def _column_normalised(links: NDArray[np.bool_]) -> Matrix:
    total = links.sum(axis=-2, keepdims=True)
    return (links / np.maximum(total, 1)).astype(np.float32)


def _column_normalised_together(links: NDArray[np.bool_]) -> Matrix:
    return (links / links.sum(axis=(0, 1))).astype(np.float32)


def uniform(layout: Layout) -> Matrix:
    """(1, V, V) the joint itself and those one bone away, all alike (Yan et al. 2018, uni-labelling)."""
    return _column_normalised((hop_distance(layout) <= 1)[None])


def distance(layout: Layout) -> Matrix:
    """(2, V, V) self; joints one bone away (Yan et al. 2018, distance partitioning)."""
    hops = hop_distance(layout)
    return _column_normalised_together(np.stack([hops == 0, hops == 1]))


def spatial(layout: Layout) -> Matrix:
    """(3, V, V) self; neighbours as far from the layout's centre or farther; nearer ones.

    Yan et al. 2018, spatial configuration partitioning. Columns of the three together sum to 1.
    """
    return _by_distance_to_centre(layout, hop_distance(layout))


def spatial_published(layout: Layout) -> Matrix:
    """(3, V, V) `spatial` as the published weights know it: beyond one bone every joint counts as infinitely far."""
    hops = hop_distance(layout)
    return _by_distance_to_centre(layout, np.where(hops <= 1, hops, np.inf))


def _by_distance_to_centre(layout: Layout, hops: NDArray[np.float64]) -> Matrix:
    to_centre = hops[:, layout.indices(layout.centre)[0]]
    farther = to_centre[:, None] >= to_centre[None, :]  # (source, target)
    near = hops == 1
    return _column_normalised_together(np.stack([hops == 0, near & farther, near & ~farther]))


def direction(layout: Layout) -> Matrix:
    """(3, V, V) self; from child to parent along each bone; from parent to child.

    The form of ST-GCN++ (Duan et al. 2022), which asks for no centre.
    """
    joints = len(layout)
    upward = np.zeros((joints, joints), dtype=bool)
    children, parents = layout.edges.T
    upward[children, parents] = True
    return _column_normalised(np.stack([np.eye(joints, dtype=bool), upward, upward.T]))


PARTITIONS: dict[str, Callable[[Layout], Matrix]] = {
    "uniform": uniform,
    "distance": distance,
    "spatial": spatial,
    "spatial-published": spatial_published,
    "direction": direction,
}
"""Ways to sort neighbours into kinds, by name."""


def adjacency(layout: Layout, partition: str) -> Matrix:
    """(K, V, V) of a layout. Raises UnknownPartition, which names those there are."""
    if partition not in PARTITIONS:
        raise UnknownPartition(f"no partition {partition!r}; choose from {', '.join(sorted(PARTITIONS))}")
    return PARTITIONS[partition](layout)
