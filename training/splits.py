"""Who is trained on, who decides the thresholds, who is tested."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from training.clip import Clip
from training.datasets import ntu, nw_ucla, utd_mhad

SIDES = ("train", "validation", "test")
SHARES = (0.8, 0.1, 0.1)


class Overlap(ValueError):
    """A person or a take stands on two sides of a split."""


class EmptySide(ValueError):
    """A side of a split has no clips."""


@dataclass(frozen=True)
class Split:
    """Three sides that share no take, and nothing else that `apart` names.

    apart: fields of a Clip: persons are kept apart by default; a protocol that tests other takes or views of the
    persons that it trains on says ("take",) or ("view", "take"). may_lack: sides that may be empty: published
    protocols have no validation side.
    Raises Overlap, which names what is shared, and EmptySide.
    """

    train: tuple[Clip, ...]
    validation: tuple[Clip, ...]
    test: tuple[Clip, ...]
    apart: tuple[str, ...] = ("person", "take")
    may_lack: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        sides = {name: getattr(self, name) for name in SIDES}
        if empty := [name for name, clips in sides.items() if not clips and name not in self.may_lack]:
            raise EmptySide(f"no clips for {' and '.join(empty)}; choose other persons")
        for i, one in enumerate(SIDES):
            for other in SIDES[i + 1 :]:
                for what in dict.fromkeys((*self.apart, "take")):
                    _check_apart(what, one, sides[one], other, sides[other])


def _check_apart(what: str, one: str, clips: Sequence[Clip], other: str, others: Sequence[Clip]) -> None:
    if shared := {getattr(clip, what) for clip in clips} & {getattr(clip, what) for clip in others}:
        raise Overlap(f"{what} {', '.join(map(str, sorted(shared)[:5]))} is in {one} and in {other}")


def by_person(clips: Sequence[Clip], *, validation: Sequence[int], test: Sequence[int]) -> Split:
    """Train is everybody who is not named. Raises Overlap where a person is named twice, and EmptySide."""
    if both := set(validation) & set(test):
        raise Overlap(f"person {', '.join(map(str, sorted(both)))} is named for validation and for test")
    return Split(
        train=tuple(c for c in clips if c.person not in {*validation, *test}),
        validation=tuple(c for c in clips if c.person in set(validation)),
        test=tuple(c for c in clips if c.person in set(test)),
    )


def by_take(clips: Sequence[Clip], shares: Sequence[float] = SHARES, seed: int = 0) -> Split:
    """Takes drawn for each side, label by label, so that each side has near its share of each label.

    The same persons are on all sides. Raises EmptySide where there are too few takes.
    """
    sides = cut(_takes(clips), shares, seed)
    return of_takes(clips, sides, apart=("take",), may_lack=_unwanted(shares))


def by_fold(clips: Sequence[Clip], fold: int, folds: int, over: Literal["take", "person"] = "take") -> Split:
    """Cross-validation: the test is part `fold` of 1 to `folds`, the validation the part after it (the first after the
    last), all others train.

    Takes, or persons, are dealt to the parts in an order that is drawn once and for all, so the test sides of all folds
    are all clips, each once. Raises EmptySide where there are fewer than parts.
    """
    names = sorted({getattr(clip, over) for clip in clips})
    order = np.random.default_rng(0).permutation(len(names))
    part = {names[at]: i % folds for i, at in enumerate(order)}
    sides: list[list[Clip]] = [[], [], []]
    for clip in clips:
        sides[{(fold - 1) % folds: 2, fold % folds: 1}.get(part[getattr(clip, over)], 0)].append(clip)
    train, validation, test = map(tuple, sides)
    return Split(train, validation, test, apart=("take",) if over == "take" else ("person", "take"))


def by_view(clips: Sequence[Clip], *, train: Sequence[int], test: Sequence[int], validation: float = 0.0) -> Split:
    """Cameras apart; the same persons, and performances that several cameras saw, are on both sides.

    validation: share of the train side's takes that is set aside.
    """
    if both := set(train) & set(test):
        raise Overlap(f"view {', '.join(map(str, sorted(both)))} is named for train and for test")
    return _by_rule(clips, lambda c: c.view in set(train), lambda c: c.view in set(test), ("take",), validation)


_NTU_60 = (1, 2, 4, 5, 8, 9, *range(13, 20), 25, 27, 28, 31, 34, 35, 38)
_NTU_120 = (45, 46, 47, 49, 50, *range(52, 60), 70, 74, 78, *range(80, 87), 89, *range(91, 96), 97, 98, 100, 103)


def _ntu(what: str, values: Iterable[int]) -> Callable[[Clip], bool]:
    chosen = set(values)

    def trains(clip: Clip) -> bool:
        name = ntu.parse(clip.take)
        if name is None:
            raise ValueError(f"take {clip.take} is not named as NTU names its recordings")
        return getattr(name, what) in chosen

    return trains


OFFICIAL: dict[str, tuple[Callable[[Clip], bool], tuple[str, ...]]] = {
    "ntu60-xsub": (_ntu("person", _NTU_60), ("person", "take")),
    "ntu60-xview": (_ntu("camera", (2, 3)), ("view", "take")),
    "ntu120-xsub": (_ntu("person", (*_NTU_60, *_NTU_120)), ("person", "take")),
    "ntu120-xset": (_ntu("setup", range(2, 33, 2)), ("take",)),
    nw_ucla.SOURCE: (lambda clip: clip.view in (1, 2), ("view", "take")),
    utd_mhad.SOURCE: (lambda clip: clip.person % 2 == 1, ("person", "take")),
    "asl-words-1-2": (lambda clip: clip.person == 1, ("person", "take")),
    "asl-words-2-1": (lambda clip: clip.person == 2, ("person", "take")),
}
"""Published protocol -> which clips it trains on (the others are tested), and what it keeps apart.

NTU: Shahroudy et al. 2016 (subjects; cameras 2 and 3), Liu et al. 2019 (subjects; even setups). NW-UCLA: views 1 and 2
(Wang et al. 2014). UTD-MHAD: odd subjects (Chen et al. 2015). ASL words: signer 1, or 2; our own.
"""


def official(name: str, clips: Sequence[Clip], validation: float = 0.0) -> Split:
    """A published protocol. validation: share of the train side that is set aside, by persons or by takes, as it does.

    Raises ValueError, which names those there are.
    """
    if name not in OFFICIAL:
        raise ValueError(f"no protocol {name!r}; choose from {', '.join(sorted(OFFICIAL))}")
    trains, apart = OFFICIAL[name]
    return _by_rule(clips, trains, lambda clip: not trains(clip), apart, validation)


def _by_rule(
    clips: Sequence[Clip],
    trains: Callable[[Clip], bool],
    tests: Callable[[Clip], bool],
    apart: tuple[str, ...],
    validation: float,
) -> Split:
    if not 0 <= validation < 1:
        raise ValueError(f"validation is a share below 1, got {validation}")
    test = tuple(clip for clip in clips if tests(clip))
    train = tuple(clip for clip in clips if trains(clip))
    # One person alone cannot be cut by persons: takes are.
    unit = "person" if "person" in apart and len({clip.person for clip in train}) > 1 else "take"
    groups = sorted({getattr(clip, unit) for clip in train})
    count = max(1, round(validation * len(groups))) if validation else 0
    chosen = {groups[i] for i in np.random.default_rng(0).permutation(len(groups))[:count]}
    return Split(
        train=tuple(clip for clip in train if getattr(clip, unit) not in chosen),
        validation=tuple(clip for clip in train if getattr(clip, unit) in chosen),
        test=test,
        # Validation and train share the views: what the protocol keeps apart otherwise is checked against the test.
        apart=apart if unit == "person" or not count else ("take",),
        may_lack=() if count else ("validation",),
    )


def _takes(clips: Sequence[Clip]) -> dict[str, list[str]]:
    """Label -> its takes, in order; a take of several labels goes with its first."""
    takes: dict[str, list[str]] = defaultdict(list)
    for take, label in {clip.take: clip.label for clip in reversed(clips)}.items():
        takes[label].append(take)
    return {label: sorted(takes[label]) for label in sorted(takes)}


def cut(groups: Mapping[str, Sequence[str]], shares: Sequence[float], seed: int | None) -> dict[str, list[str]]:
    """Names for each side: every group cut by shares, rounded; in drawn order, or with seed None as they stand.

    Raises ValueError for shares that are none.
    """
    if len(shares) != 3 or min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
        raise ValueError(f"need three shares that sum to 1, got {tuple(shares)}")
    random = None if seed is None else np.random.default_rng(seed)
    sides: dict[str, list[str]] = {side: [] for side in SIDES}
    for names in groups.values():
        order = range(len(names)) if random is None else random.permutation(len(names)).tolist()
        ordered = [names[i] for i in order]
        first, second = (
            round(shares[0] * len(ordered)),
            round(shares[0] * len(ordered)) + round(shares[1] * len(ordered)),
        )
        for side, part in zip(SIDES, (ordered[:first], ordered[first:second], ordered[second:]), strict=True):
            sides[side] += part
    return sides


def _unwanted(shares: Sequence[float]) -> tuple[str, ...]:
    return tuple(side for side, share in zip(SIDES, shares, strict=True) if share == 0)


def of_takes(
    clips: Sequence[Clip], sides: Mapping[str, Iterable[str]], apart: tuple[str, ...], may_lack: tuple[str, ...]
) -> Split:
    """The split whose sides are the clips of these takes; clips of other takes are left out."""
    chosen = {side: set(takes) for side, takes in sides.items()}
    picked = {side: tuple(clip for clip in clips if clip.take in chosen.get(side, ())) for side in SIDES}
    return Split(**picked, apart=apart, may_lack=may_lack)
