"""Every family of published networks by its name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from landmarks import UnknownLayout
from models.checkpoint import CheckpointError
from models.reference import costgcn, dsta_slr, impsgn, sca_stgcn, sgn, signing_lstm, st_sgcn, stgcn
from models.reference.published import Family, PartialLoad, Published, State, UnknownCheckpoint
from models.registry import NETWORKS

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        costgcn.FAMILY,
        dsta_slr.FAMILY,
        sca_stgcn.FAMILY,
        impsgn.FAMILY,
        sgn.FAMILY,
        signing_lstm.FAMILY,
        st_sgcn.FAMILY,
        stgcn.FAMILY,
    )
}
"""Name -> how its checkpoints are read."""


def find_family(name: str) -> Family:
    """The family of that name or alias. Raises UnknownCheckpoint, which names those there are."""
    for family in FAMILIES.values():
        if name == family.name or name in family.aliases:
            return family
    raise UnknownCheckpoint(f"no family {name!r}; choose from {', '.join(sorted(FAMILIES))}")


def recognise(state: State) -> Family:
    """The family whose names these are. Raises UnknownCheckpoint."""
    for family in FAMILIES.values():
        if family.recognises(state):
            return family
    some = ", ".join(list(state)[:5])
    raise UnknownCheckpoint(
        f"these are the names of no network we read ({some}, ... {len(state)} in all); "
        f"known are checkpoints of {', '.join(sorted(FAMILIES))}"
    )


def translate(state: State, network: str = "", **known: Any) -> Published:
    """A published state dict as one of our networks; `known` says what weights cannot say.

    network: that it must be; an ST-GCN's weights may also be read as its continual form. known: `layout`, `frames` (of
    a window), and fields of the network's Config, which go over what the weights say.
    Raises UnknownCheckpoint for names of no family or of another network, PartialLoad where a name is missing,
    unexpected or of a wrong shape, and ValueError for something known that the network does not take.
    """
    published = _translated(recognise(state), state, known)
    if network and network == costgcn.CONTINUAL.get(published.network_name):
        published = costgcn.frame_by_frame(published, known)
    name = published.network_name
    if network and network != name:
        raise UnknownCheckpoint(f"these are the weights of a {name}, not of a {network}")
    fields = {field.name for field in dataclasses.fields(NETWORKS[name][0])}
    if strange := sorted(set(known) - fields - {"layout", "frames"}):
        raise ValueError(f"{name} takes no {strange[0]}; choose from {', '.join(sorted(fields))}")
    over = {key: value for key, value in known.items() if key in fields}
    published = dataclasses.replace(published, options={**published.options, **over})
    return dataclasses.replace(published, weights=published.network().state_dict())


def translate_as(name: str, state: State, known: Mapping[str, Any]) -> Published:
    """As `translate`, by a family that is known; nothing is put over what it finds."""
    family = find_family(name)
    if not family.recognises(state):
        raise UnknownCheckpoint(f"these are not the names of a {family.name}")
    return _translated(family, state, known)


def _translated(family: Family, state: State, known: Mapping[str, Any]) -> Published:
    try:
        return family.translate(state, known)
    except (CheckpointError, UnknownLayout):
        raise
    except (ArithmeticError, LookupError, RuntimeError, StopIteration, TypeError, ValueError) as error:
        # Sizes are read off tensors whose shapes may be anything.
        raise PartialLoad(
            f"the weights do not fit together as a {family.name}: {error or type(error).__name__}"
        ) from error
