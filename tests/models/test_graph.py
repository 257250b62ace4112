import numpy as np
import pytest

from landmarks import HAND_21, SIGN_27, Layout
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


def test_spatial_has_the_published_sums_on_a_hand():
    # pyskl's ST-GCN++ graph of handmp: self 21, inward 20, outward 16 (spec 2, section 3).
    assert adjacency(HAND_21).sum(axis=(1, 2)).round(3).tolist() == [21, 20, 16] or adjacency(HAND_21).sum(
        axis=(1, 2)
    ).round(3).tolist() == [21, 16, 20]


@pytest.mark.parametrize("partition", sorted(PARTITIONS))
@pytest.mark.parametrize("layout", [HAND_21, SIGN_27], ids=lambda layout: layout.name)
def test_columns_sum_to_one_or_nothing_and_kinds_do_not_share_an_edge(partition, layout):
    links = adjacency(layout, partition)
    sums = links.sum(axis=1)
    assert links.shape[1:] == (len(layout), len(layout))
    assert np.logical_or(np.isclose(sums, 1), sums == 0).all()
    assert ((links > 0).sum(axis=0) <= 1).all()


def test_an_unknown_partition_names_the_known_ones():
    with pytest.raises(UnknownPartition, match="distance, spatial"):
        adjacency(HAND_21, "spacial")
