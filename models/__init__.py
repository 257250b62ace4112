"""What a network is: raw landmarks in, probabilities out."""

from models.graph import PARTITIONS, UnknownPartition, adjacency, hop_distance
from models.network import Network
from models.normalise import Normalise
from models.registry import NETWORKS, UnknownNetwork, build

__all__ = [
    "NETWORKS",
    "PARTITIONS",
    "Network",
    "Normalise",
    "UnknownNetwork",
    "UnknownPartition",
    "adjacency",
    "build",
    "hop_distance",
]
