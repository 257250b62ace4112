"""Who is trained on, who decides the thresholds, who is tested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from training.clip import Clip


class Overlap(ValueError):
    """A person or a take stands on two sides of a split."""


class EmptySide(ValueError):
    """A side of a split has no clips."""


@dataclass(frozen=True)
class Split:
    """Three sides that share no person and no take.

    Raises Overlap, which names what is shared, and EmptySide.
    """

    train: tuple[Clip, ...]
    validation: tuple[Clip, ...]
    test: tuple[Clip, ...]

    def __post_init__(self) -> None:
        sides = {"train": self.train, "validation": self.validation, "test": self.test}
        if empty := [name for name, clips in sides.items() if not clips]:
            raise EmptySide(f"no clips for {' and '.join(empty)}; choose other persons")
        names = list(sides)
        for i, one in enumerate(names):
            for other in names[i + 1 :]:
                _check_apart(one, sides[one], other, sides[other])


def _check_apart(one: str, clips: Sequence[Clip], other: str, others: Sequence[Clip]) -> None:
    if persons := {c.person for c in clips} & {c.person for c in others}:
        raise Overlap(f"person {', '.join(map(str, sorted(persons)))} is in {one} and in {other}")
    if takes := {c.take for c in clips} & {c.take for c in others}:
        raise Overlap(f"take {', '.join(sorted(takes)[:5])} is in {one} and in {other}")


def by_person(clips: Sequence[Clip], *, validation: Sequence[int], test: Sequence[int]) -> Split:
    """Train is everybody who is not named. Raises Overlap where a person is named twice, and EmptySide."""
    if both := set(validation) & set(test):
        raise Overlap(f"person {', '.join(map(str, sorted(both)))} is named for validation and for test")
    return Split(
        train=tuple(c for c in clips if c.person not in {*validation, *test}),
        validation=tuple(c for c in clips if c.person in set(validation)),
        test=tuple(c for c in clips if c.person in set(test)),
    )
