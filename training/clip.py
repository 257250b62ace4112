"""One labelled recording of one person."""

from __future__ import annotations

from dataclasses import dataclass

from landmarks import LandmarkSequence


@dataclass(frozen=True, eq=False)
class Clip:
    """A recording, and what its recorder says it shows.

    sequence: the landmarks. label: the recorder's own word for it. person: who is seen.
    take: names the recording; unique over all sets. source: the set it is from.
    """

    sequence: LandmarkSequence
    label: str
    person: int
    take: str
    source: str
