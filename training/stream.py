"""A long recording in which gestures come and go."""

from __future__ import annotations

from dataclasses import dataclass

from training.clip import Clip


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
class Stream(Clip):
    """A recording with what happens in it, in the order of starts; between events nothing that has a name.

    As a whole it shows no one thing: its label is empty.
    """

    events: tuple[Event, ...] = ()


def whole(clip: Clip) -> Stream:
    """A clip as a stream of one event, which lasts from its first to its last frame."""
    at_s = clip.sequence.at_s
    event = Event(clip.label, float(at_s[0]), float(at_s[-1]))
    return Stream(clip.sequence, "", clip.person, clip.take, clip.source, clip.view, clip.signer, (event,))
