"""Many streams at once through a running service, each frame sent when its moment comes."""

from __future__ import annotations

import asyncio
import bisect
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from signstream_client import AsyncClient, AsyncStream, Dropped, Frame, Problem, Scores
from signstream_client import Event as Told

from bench.material import Material
from landmarks import Hand, holistic
from training.online_metrics import Event

_EARLY_S = 1e-4
"""By how much a message's time, which is rounded, may lie before the frame that it speaks of."""


@dataclass(frozen=True)
class Ask:
    """A stream, and the models that shall answer it, by name."""

    material: Material
    models: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Said:
    """What one model said along a stream; of a model of one hand, what it said of one.

    at_s: (N,) the moments spoken of. probabilities: (N, labels).
    """

    at_s: NDArray[np.float64]
    probabilities: NDArray[np.float32]

    def at(self, moments_s: NDArray[np.float64]) -> NDArray[np.float32]:
        """(M, labels) what is said of the nearest moment that is spoken of."""
        return self.probabilities[np.abs(self.at_s[None] - moments_s[:, None]).argmin(axis=1)]


@dataclass(frozen=True, eq=False)
class Answer:
    """What one model said of a stream.

    said: by hand, None of the whole body. waits_s: from sending the frame that completed a prediction to having it.
    events: told ones; decided_at_s is the moment of the frame that decided it, and the wait for the answer to it.
    """

    said: Mapping[Hand | None, Said]
    events: tuple[Event, ...]
    waits_s: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Replayed:
    """A stream with what each model said of it. late_s: of each frame, after its moment it was sent. lost: frames or
    predictions that the service dropped."""

    material: Material
    answers: Mapping[str, Answer]
    late_s: tuple[float, ...]
    lost: int


def replay(url: str, asks: Sequence[Ask], sessions: int, pace: float = 1.0) -> list[Replayed]:
    """Every stream through a session of its own, so many at once; in their order.

    pace: times real time. Raises what the client raises, and RuntimeError for a problem that the service has.
    """
    return asyncio.run(_replay(url, asks, sessions, pace))


async def _replay(url: str, asks: Sequence[Ask], sessions: int, pace: float) -> list[Replayed]:
    found: dict[int, Replayed] = {}
    # Longest first, so that no single one is waited for in the end.
    order = sorted(range(len(asks)), key=lambda i: -asks[i].material.sequence.duration_s)
    waiting = iter(order)

    async def work(client: AsyncClient, place: int) -> None:
        await asyncio.sleep(place / sessions / 10)  # or all frames of all streams would come at the same instant
        for i in waiting:
            found[i] = await _one(client, asks[i], pace)

    async with AsyncClient(url) as client, asyncio.TaskGroup() as group:
        for place in range(sessions):
            group.create_task(work(client, place))
    return [found[i] for i in range(len(asks))]


async def _one(client: AsyncClient, ask: Ask, pace: float) -> Replayed:
    sequence = ask.material.sequence
    async with client.stream(ask.models, aspect=sequence.aspect, scores=True) as stream:
        heard = _Heard(sequence.at_s.tolist(), pace)
        listening = asyncio.create_task(heard.listen(stream))
        for frame in _frames(ask.material):
            await heard.moment(frame.at_s)
            heard.sent.append(time.perf_counter())
            await stream.send(frame)
        heard.stopped = True
        await stream.stop()
        await listening
    return Replayed(ask.material, {name: heard.answer(name) for name in ask.models}, heard.late_s(), heard.lost)


def _frames(material: Material) -> Iterator[Frame]:
    sequence = material.sequence
    for at_s, xyz, sure in zip(sequence.at_s.tolist(), sequence.xyz, sequence.confidence, strict=True):
        parts = holistic.split(xyz, sure)
        seen = {name: part for name, part in parts.items() if part is not None and np.isfinite(part).all()}
        yield Frame(at_s, **{name: part.tolist() for name, part in seen.items()})


class _Heard:
    """What has come back on one stream so far. at_s: of its frames."""

    def __init__(self, at_s: list[float], pace: float) -> None:
        self._at_s, self._pace, self._began = at_s, pace, time.perf_counter()
        self.sent: list[float] = []
        self.stopped = False
        self.lost = 0
        self._scores: dict[tuple[str, Hand | None], list[Scores]] = defaultdict(list)
        self._waits: dict[str, list[float]] = defaultdict(list)
        self._told: dict[tuple[str, str], float] = {}
        self._events: dict[str, list[Event]] = defaultdict(list)

    async def moment(self, at_s: float) -> None:
        """Wait for a moment of the stream."""
        await asyncio.sleep(max(0.0, self._began + at_s / self._pace - time.perf_counter()))

    async def listen(self, stream: AsyncStream) -> None:
        """Take every message until the summary."""
        async for message in stream:
            now = time.perf_counter()
            match message:
                case Scores():
                    self._scores[message.model, message.hand].append(message)
                    if not self.stopped:  # what comes after answers no frame
                        self._waits[message.model].append(now - self.sent[self._frame(message.end_s)])
                case Told(state="start"):
                    frame = self._frame(message.decided_at_s)
                    self._told[message.model, message.id] = self._at_s[frame] + now - self.sent[frame]
                case Told(state="end", end_s=float(end_s)):
                    told_s = self._told[message.model, message.id]
                    self._events[message.model].append(Event(message.label, message.start_s, end_s, told_s))
                case Dropped():
                    self.lost += message.count
                case Problem():
                    raise RuntimeError(f"the service has a problem: {message.title} {message.detail}")

    def _frame(self, at_s: float) -> int:
        """The sent frame that completed what a message says of a moment."""
        return min(bisect.bisect_left(self._at_s, at_s - _EARLY_S), len(self.sent) - 1)

    def answer(self, model: str) -> Answer:
        """What a model said."""
        said: dict[Hand | None, Said] = {
            hand: Said(
                np.array([one.at_s for one in scores]), np.array([one.probabilities for one in scores], np.float32)
            )
            for (name, hand), scores in self._scores.items()
            if name == model
        }
        return Answer(said, tuple(self._events[model]), tuple(self._waits[model]))

    def late_s(self) -> tuple[float, ...]:
        """Of each frame, how long after its moment it was sent."""
        due = (self._began + at_s / self._pace for at_s in self._at_s)
        return tuple(now - moment for now, moment in zip(self.sent, due, strict=True))


def busy() -> tuple[float, float]:
    """Seconds of all cores so far: at work, and in all. Linux; zeros elsewhere. Two of them make a share."""
    path = Path("/proc/stat")
    if not path.is_file():
        return 0.0, 0.0
    ticks = [int(value) for value in path.read_text().split("\n", 1)[0].split()[1:9]]
    return float(sum(ticks) - ticks[3] - ticks[4]), float(sum(ticks))
