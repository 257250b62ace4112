"""What a network is: raw landmarks in, probabilities out."""

from models.checkpoint import Checkpoint, CheckpointError
from models.graph import PARTITIONS, UnknownPartition, adjacency, hop_distance
from models.network import Continual, Network, State
from models.normalise import AsGiven, CausalNormalise, Normalise
from models.registry import NETWORKS, UnknownNetwork, build

__all__ = [
    "NETWORKS",
    "PARTITIONS",
    "AsGiven",
    "CausalNormalise",
    "Checkpoint",
    "CheckpointError",
    "Continual",
    "Network",
    "Normalise",
    "State",
    "UnknownNetwork",
    "UnknownPartition",
    "adjacency",
    "build",
    "hop_distance",
]
