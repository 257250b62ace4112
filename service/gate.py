"""Models that gate each other: gestures while nobody signs, or only while somebody does. On the stream's own time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from landmarks.layout import Hand
from landmarks.manifest import Manifest
from service.decoder import Event
from service.errors import InvalidRequest, UnknownModel


@dataclass(frozen=True)
class Gate:
    """One model's events rule when others are listened to.

    by: the model that rules. models: those that it rules. mode: they are not listened to while it tells of an event, or
    only while it does. labels: which of its events count; None is all.

    What counts is what has been told: whether a prediction is listened to depends on the events, from `start` to `end`,
    that the ruling model has told by predictions that were complete at its last frame. So nothing waits, whoever
    follows a stream's messages sees the rule kept to the frame, and a file is answered as a live stream. It also means
    that a gate shuts only when its model tells. What is open as a gate shuts ends there.

    A model of the body rules both hands; one of a hand rules that hand, and over a model of the body either hand does.
    """

    by: str
    models: tuple[str, ...]
    mode: Literal["not-while", "only-while"] = "not-while"
    labels: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.mode not in ("not-while", "only-while"):
            raise ValueError(f"a gate's mode is not-while or only-while, got {self.mode!r}")
        if not self.models or self.by in self.models:
            raise ValueError(f"a gate rules other models than its own {self.by!r}, got {list(self.models)}")

    @staticmethod
    def rules(hand: Hand | None, other: Hand | None) -> bool:
        """Whether the ruling model's view of one hand, or None of the body, rules the ruled model's view of another."""
        return hand is None or other is None or hand == other


def in_order(models: Sequence[Manifest], gates: Sequence[Gate]) -> list[Manifest]:
    """The models that rule before those that they rule, and else as they stand.

    Raises UnknownModel for a gate of another model, InvalidRequest for a label that its model never tells, or for a
    model that rules and is ruled.
    """
    manifests = {manifest.name: manifest for manifest in models}
    ruled = {name for gate in gates for name in gate.models}
    for gate in gates:
        if unknown := [name for name in (gate.by, *gate.models) if name not in manifests]:
            raise UnknownModel(f"a gate names {unknown[0]!r}; the session has {', '.join(manifests)}")
        if gate.by in ruled:
            raise InvalidRequest(f"{gate.by} rules a gate and is ruled by one")
        events = manifests[gate.by].events
        if stray := sorted(set(gate.labels or ()) - set(events)):
            raise InvalidRequest(f"{gate.by} tells of no {', '.join(stray)}; choose from {', '.join(events)}")
    return sorted(models, key=lambda manifest: manifest.name in ruled)


class Gatekeeper:
    """One gate before one view of a stream: hears what the ruling model tells, says whether the ruled one counts.

    Of predictions that a frame completes, those of the ruling model are heard before those of the ruled are asked for.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._told: deque[tuple[float, bool, str]] = deque()  # (known_s, starts or ends, id), not yet looked at
        self._open: set[str] = set()

    def hear(self, known_s: float, events: Iterable[Event]) -> None:
        """What follows from the ruling model's prediction that is complete at `known_s`."""
        for event in events:
            if event.state != "update" and (self._gate.labels is None or event.label in self._gate.labels):
                self._told.append((known_s, event.state == "start", event.id))

    def permits(self, known_s: float) -> bool:
        """Whether the ruled model's prediction counts whose last frame is at `known_s`; this never goes back."""
        while self._told and self._told[0][0] <= known_s:
            _, starts, name = self._told.popleft()
            (self._open.add if starts else self._open.discard)(name)
        return bool(self._open) == (self._gate.mode == "only-while")

    def clear(self) -> None:
        """Nothing goes on: what was told has ended, and a new stream begins."""
        self._told.clear()
        self._open.clear()

    def snapshot(self) -> dict[str, Any]:
        """All that going on takes, as plain values that JSON keeps to the bit."""
        return {"told": [list(one) for one in self._told], "open": sorted(self._open)}

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Go on from the snapshot of a keeper of the same gate."""
        self._told = deque((known_s, starts, name) for known_s, starts, name in kept["told"])
        self._open = set(kept["open"])
