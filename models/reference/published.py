"""A published checkpoint as one of our networks, whole or refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from landmarks import Layout, find_layout
from models.checkpoint import CheckpointError
from models.network import Network
from models.registry import build

State = Mapping[str, Tensor]
"""A state dict: name -> tensor."""
Arrays = Mapping[str, NDArray[Any]]


_COUNTER = "num_batches_tracked"
"""How many batches a batch normalisation was trained on: no part of an answer; files of torch before 0.4.1 lack it."""


class UnknownCheckpoint(CheckpointError):
    """A file whose names belong to no network we read."""


class PartialLoad(CheckpointError):
    """Weights that do not fill the network, or do not all have a place in it."""


@dataclass(frozen=True, eq=False)
class Published:
    """What a translation gives.

    network_name: in models.NETWORKS. layout: of its input. options: fields of its Config.
    weights: our state dict. dropped: names in the checkpoint that play no part in the network's output.
    window_frames: T that it was published with. expects: what its published preprocessing does before the network.
    """

    network_name: str
    layout: Layout
    options: dict[str, Any]
    weights: dict[str, Tensor]
    dropped: tuple[str, ...] = ()
    window_frames: int = 100
    expects: str = ""

    def network(self) -> Network:
        """The network with these weights, in evaluation mode. Raises PartialLoad, which names every difference."""
        try:
            network = build(self.network_name, self.layout, **self.options)
        except (TypeError, ValueError) as error:
            raise PartialLoad(f"no {self.network_name} is built like this: {error}") from error
        ours = network.state_dict()
        missing = sorted(name for name in set(ours) - set(self.weights) if not name.endswith(_COUNTER))
        unexpected = sorted(set(self.weights) - set(ours))
        misshapen = [
            f"{name} {tuple(self.weights[name].shape)}, the network has {tuple(ours[name].shape)}"
            for name in sorted(set(ours) & set(self.weights))
            if self.weights[name].shape != ours[name].shape
        ]
        wrong = [("missing", missing), ("unexpected", unexpected), ("of a wrong shape", misshapen)]
        if any(names for _, names in wrong):
            told = "; ".join(f"{len(names)} {kind}: {', '.join(names[:8])}" for kind, names in wrong if names)
            raise PartialLoad(f"the checkpoint does not fill a {self.network_name}: {told}")
        counters = {name: value for name, value in ours.items() if name.endswith(_COUNTER)}
        network.load_state_dict({**counters, **self.weights})
        return network.eval()


def layout_in(known: Mapping[str, Any]) -> Layout | None:
    """The layout that is known besides the weights, given as it is or by name; None where none is."""
    wanted = known.get("layout")
    return find_layout(wanted) if isinstance(wanted, str) else wanted


class Names(dict[str, Tensor]):
    """A published state dict whose missing names are told by name, and which knows what has not been used.

    Only item access counts as use.
    """

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self._used: set[str] = set()

    def __getitem__(self, name: str) -> Tensor:
        self._used.add(name)
        try:
            return super().__getitem__(name)
        except KeyError:
            raise PartialLoad(f"the checkpoint has no {name}") from None

    def unused(self) -> list[str]:
        """Names that were never asked for."""
        return [name for name in self if name not in self._used]

    def refuse_unused(self, dropped: tuple[str, ...] = ()) -> None:
        """Raises PartialLoad where a name was neither used nor is among `dropped`."""
        if strange := [name for name in self.unused() if name not in dropped]:
            raise PartialLoad(f"the checkpoint has names with no place in the network: {', '.join(strange[:8])}")


@dataclass(frozen=True)
class Family:
    """How checkpoints of one published code base are read.

    name, aliases: of the family, as parity packs call it. recognises: are these its names?
    translate: state dict and what is known besides (`layout`, `labels` and fields of our Config) -> Published.
    arguments: constructor arguments of the published code, as in a pack's config -> what is known besides.
    answer: our network, one run's inputs in the published axes, the pack -> outputs by their published names.
    """

    name: str
    recognises: Callable[[State], bool]
    translate: Callable[[State, Mapping[str, Any]], Published]
    arguments: Callable[[Mapping[str, Any]], dict[str, Any]]
    answer: Callable[[Network, Arrays, Mapping[str, Any], str], dict[str, NDArray[np.float32]]]
    aliases: tuple[str, ...] = ()
