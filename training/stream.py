"""A long recording in which gestures come and go."""

from __future__ import annotations

from dataclasses import dataclass

from landmarks import LandmarkSequence


@dataclass(frozen=True)
class Event:
    """One gesture of a stream. start_s <= end_s: times of its first and its last frame."""

    label: str
    start_s: float
    end_s: float

    def __post_init__(self) -> None:
        if not self.start_s <= self.end_s:
            raise ValueError(f"an event ends after it starts, got {self.start_s} to {self.end_s}")


@dataclass(frozen=True, eq=False)
class Stream:
    """A recording with what happens in it, in the order of starts; between events nothing that has a name.

    person, take, source: as of a training.clip.Clip.
    """

    sequence: LandmarkSequence
    events: tuple[Event, ...]
    person: int
    take: str
    source: str
