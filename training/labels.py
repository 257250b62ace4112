"""Labels as data sets spell them -> classes; a class that nothing is labelled with is an error."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

REST = "*"
"""Stands for every label that no other class names."""


class EmptyClass(ValueError):
    """Nothing is labelled with any label of a class."""


class StrayLabel(ValueError):
    """Something is labelled with what no class names."""


def assign(classes: Mapping[str, Sequence[str]], found: Iterable[str]) -> dict[str, int]:
    """Label -> its class's position, for every label that was found.

    classes: class -> labels, exactly as the data set spells them; REST takes those that no class names.
    found: the label of every sample. Raises EmptyClass and StrayLabel, which say which labels there are; and ValueError
    for a label that two classes name.
    """
    counts = Counter(found)
    of: dict[str, int] = {}
    for i, labels in enumerate(classes.values()):
        for label in labels:
            if of.setdefault(label, i) != i:
                raise ValueError(f"{label!r} is named by two classes")
    rest = of.pop(REST, None)
    stray = [label for label in counts if label not in of]
    if stray and rest is None:
        raise StrayLabel(f"no class names {', '.join(sorted(stray))}; {existing(counts)}")
    given = {label: of.get(label, rest if rest is not None else -1) for label in counts}
    for i, (name, labels) in enumerate(classes.items()):
        if i not in given.values():
            raise EmptyClass(f"nothing is labelled {' or '.join(labels)} (class {name}); {existing(counts, labels)}")
    return given


def existing(found: Iterable[str], wanted: Iterable[str] = ()) -> str:
    """A sentence that says which labels there are, and which of them are near those that were wanted.

    found: the label of every sample, or how often each occurs.
    """
    counts = Counter(found) if not isinstance(found, Counter) else found
    said = "the labels there are: " + (", ".join(f"{label} ({n})" for label, n in counts.most_common(40)) or "none")
    same = {label for label in counts for one in wanted if label.lower() == one.lower()}
    near = same or {match for one in wanted for match in difflib.get_close_matches(one, list(counts), n=2)}
    if near:
        said += f"; did you mean {' or '.join(sorted(near))}? Upper and lower case differ"
    return said
