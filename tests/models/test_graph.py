import numpy as np
import pytest

from landmarks import (
    COCO_17,
    COCO_17_LINKED,
    HAND_21,
    LAYOUTS,
    NTU_25,
    NTU_25_CHAIN,
    OPENPOSE_18,
    Layout,
)
from models import PARTITIONS, UnknownPartition, adjacency, hop_distance

CHAIN = Layout("chain", ("a", "b", "c", "d"), (("b", "a"), ("c", "b")))


def test_hops_count_bones_and_are_infinite_where_there_is_no_way():
    assert hop_distance(CHAIN).tolist() == [
        [0, 1, 2, np.inf],
        [1, 0, 1, np.inf],
        [2, 1, 0, np.inf],
        [np.inf, np.inf, np.inf, 0],
    ]


def test_hops_of_a_hand_from_tip_to_tip():
    hops = hop_distance(HAND_21)
    thumb, index = HAND_21.indices("thumb_tip", "index_tip")
    assert hops[thumb, index] == 8
    assert (hops == hops.T).all()


# Non-zero entries and sums of each kind, as the published graphs have them (spec 2, section 3).
PUBLISHED = [
    (NTU_25, "spatial-published", (25, 40, 8), (9.1167, 13.1333, 2.75)),
    (NTU_25_CHAIN, "spatial-published", (25, 40, 8), (8.95, 13.3, 2.75)),
    (COCO_17, "spatial-published", (17, 22, 10), (6.3667, 7.1333, 3.5)),
    (COCO_17_LINKED, "spatial-published", (17, 34, 4), (5.7333, 10.1, 1.1667)),
    (OPENPOSE_18, "spatial-published", (18, 25, 9), (6.6667, 8.5833, 2.75)),
    (HAND_21, "spatial-published", (21, 30, 10), (7.6667, 10, 3.3333)),
    (NTU_25, "direction", (25, 24, 24), (25, 18, 24)),
    (COCO_17, "direction", (17, 16, 16), (17, 11, 16)),
    (HAND_21, "direction", (21, 20, 20), (21, 16, 20)),
]


@pytest.mark.parametrize(("layout", "partition", "entries", "sums"), PUBLISHED, ids=lambda v: getattr(v, "name", None))
def test_published_graphs(layout, partition, entries, sums):
    links = adjacency(layout, partition)
    assert tuple((links > 0).sum(axis=(1, 2))) == entries
    np.testing.assert_allclose(links.sum(axis=(1, 2)), sums, atol=1e-4)


def test_spatial_tells_nearer_from_farther_by_the_whole_way_to_the_centre():
    itself, farther, nearer = adjacency(CHAIN, "spatial")  # a is the centre, b hangs on a, c on b; d is alone
    assert (np.diag(itself) > 0).all()
    assert np.argwhere(farther).tolist() == [[1, 0], [2, 1]]
    assert np.argwhere(nearer).tolist() == [[0, 1], [1, 2]]


@pytest.mark.parametrize("partition", sorted(PARTITIONS))
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=lambda layout: layout.name)
def test_columns_sum_to_one_and_kinds_do_not_share_an_edge(partition, layout):
    links = adjacency(layout, partition)
    assert links.shape[1:] == (len(layout), len(layout))
    if partition == "direction":  # kind by kind, where a joint has neighbours of that kind
        sums = links.sum(axis=1)
        assert np.logical_or(np.isclose(sums, 1), sums == 0).all()
    else:
        np.testing.assert_allclose(links.sum(axis=(0, 1)), 1, atol=1e-6)
    assert ((links > 0).sum(axis=0) <= 1).all()


def test_an_unknown_partition_names_the_known_ones():
    with pytest.raises(UnknownPartition, match="direction, distance, spatial"):
        adjacency(HAND_21, "spacial")
