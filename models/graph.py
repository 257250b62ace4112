"""A layout as a graph: which joints are neighbours, and of which kind.

Adjacency matrices are (K, V, V), indexed (kind, source, target): K kinds of neighbour, one weight matrix each.
Every target's column is normalised to sum 1 where it has neighbours of that kind, else it is 0.
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


def spatial(layout: Layout) -> Matrix:
    """(3, V, V) self; towards the parent along each bone (inward); towards the children (outward).

    The form of pyskl's ST-GCN++ (Duan et al. 2022), which asks for no centre joint.
    """
    joints = len(layout)
    inward = np.zeros((joints, joints), dtype=bool)
    children, parents = layout.edges.T
    inward[children, parents] = True
    return _column_normalised(np.stack([np.eye(joints, dtype=bool), inward, inward.T]))


def distance(layout: Layout) -> Matrix:
    """(2, V, V) self; joints one bone away (Yan et al. 2018, distance partitioning)."""
    hops = hop_distance(layout)
    return _column_normalised(np.stack([hops == 0, hops == 1]))


PARTITIONS: dict[str, Callable[[Layout], Matrix]] = {"spatial": spatial, "distance": distance}
"""Ways to sort neighbours into kinds, by name."""


def adjacency(layout: Layout, partition: str = "spatial") -> Matrix:
    """(K, V, V) of a layout. Raises UnknownPartition, which names those there are."""
    if partition not in PARTITIONS:
        raise UnknownPartition(f"no partition {partition!r}; choose from {', '.join(sorted(PARTITIONS))}")
    return PARTITIONS[partition](layout)
