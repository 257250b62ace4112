"""One person's stream, without sockets, threads or a clock: frames in, events out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import TimeError
from landmarks.layout import HOLISTIC_75
from landmarks.manifest import Manifest
from landmarks.resample import Resampler
from landmarks.sequence import LandmarkSequence, square
from landmarks.window import Window
from service.decoder import Decoder, Event
from service.engine import Engine


@dataclass(frozen=True)
class Frame:
    """One frame of a stream.

    at_s: seconds on the stream's clock. xyz: (75, 3) of HOLISTIC_75, NaN where unseen.
    """

    at_s: float
    xyz: NDArray[np.float32]


@dataclass(frozen=True)
class Ready:
    """A window that waits for its probabilities.

    model: who shall judge it. start_s, end_s: its oldest and newest frame that the stream has, so that windows at
    the stream's ends are shorter. at_s: the moment it speaks of. landmarks: (T, V, 3), NaN where there is no frame.
    fresh: the first window since the stream began or jumped.
    """

    model: str
    start_s: float
    end_s: float
    at_s: float
    landmarks: NDArray[np.float32]
    fresh: bool


@dataclass(frozen=True)
class Scored:
    """A window with what a model said of it: probabilities (labels,), in the model's order."""

    window: Ready
    probabilities: NDArray[np.float32]


class Session:
    """What one stream needs: for each model a resampler, a window and a decoder.

    `take` turns a frame into windows that are ready, `settle` a judged window into events; between the two a caller
    may collect the windows of many streams into one run. `push` does both at once, on engines of its own.

    engines: the models that answer, by name. aspect: width / height of the picture. max_gap_s: longest gap that is
    interpolated.
    """

    def __init__(self, engines: Sequence[Engine], aspect: float, max_gap_s: float = 0.5) -> None:
        self.aspect = aspect
        self._engines = {engine.manifest.name: engine for engine in engines}
        self._tracks = {name: _Track.of(engine.manifest, max_gap_s) for name, engine in self._engines.items()}
        self._last_s = -math.inf

    def take(self, frame: Frame) -> list[Ready]:
        """The windows that this frame completes. Raises TimeError; the session then stands as before."""
        if not math.isfinite(frame.at_s) or frame.at_s <= self._last_s:
            raise TimeError(f"at_s must be finite and grow from frame to frame: {frame.at_s:.6g} came after {self._last_s:.6g}")
        self._last_s = frame.at_s
        return [ready for track in self._tracks.values() for ready in track.take(frame, self.aspect)]

    def finish(self) -> list[Ready]:
        """The windows that speak of the stream's last moments, with nothing seen after its last frame."""
        return [ready for track in self._tracks.values() for ready in track.finish()]

    def settle(self, scored: Scored) -> list[Event]:
        """The events that follow from a judged window; each model's windows in the order they were taken."""
        return self._tracks[scored.window.model].settle(scored)

    def close(self) -> list[Event]:
        """The ends of the events that are open."""
        return [event for track in self._tracks.values() for event in track.decoder.interrupt()]

    def push(self, frame: Frame) -> list[Event]:
        """`take` and `settle` in one: the events that follow from this frame."""
        return [event for scored in self.judge(self.take(frame)) for event in self.settle(scored)]

    def judge(self, windows: Iterable[Ready], batch: int = 4) -> list[Scored]:
        """Windows with their probabilities, in order; `batch` windows of a model in one run.

        More than a few at once are slower per window on a CPU, whose caches they fall out of.
        """
        ordered = list(windows)
        said: dict[int, NDArray[np.float32]] = {}
        for name, engine in self._engines.items():
            mine = [i for i, window in enumerate(ordered) if window.model == name]
            for first in range(0, len(mine), batch):
                chunk = mine[first : first + batch]
                said.update(zip(chunk, engine.predict(np.stack([ordered[i].landmarks for i in chunk])), strict=True))
        return [Scored(window, said[i]) for i, window in enumerate(ordered)]


@dataclass
class _Track:
    """One model's part of a session."""

    manifest: Manifest
    joints: NDArray[np.intp]
    resampler: Resampler
    window: Window
    decoder: Decoder
    fresh: bool = True
    first_s: float = 0.0
    last_s: float = 0.0

    @classmethod
    def of(cls, manifest: Manifest, max_gap_s: float) -> _Track:
        return cls(
            manifest,
            HOLISTIC_75.indices(*manifest.joints),
            Resampler(manifest.fps, max_gap_s),
            Window(manifest.window_frames, len(manifest.joints)),
            Decoder(manifest.name, manifest.labels, manifest.background, manifest.decoding),
        )

    @property
    def behind(self) -> int:
        """How many frames the moment that a window speaks of lies behind its newest."""
        return round((1 - self.manifest.centre) * (self.manifest.window_frames - 1))

    def take(self, frame: Frame, aspect: float) -> list[Ready]:
        ready: list[Ready] = []
        for even in self.resampler.push(frame.at_s, square(frame.xyz[self.joints], aspect)):
            if even.fresh:
                ready += self.finish()
                self.window.clear()
                self.fresh, self.first_s = True, even.at_s
            self.last_s = even.at_s
            ready += self._push(even.values, even.at_s)
        return ready

    def finish(self) -> list[Ready]:
        """Push frames in which nothing is seen, until every moment of the stream has had its window."""
        unseen = np.full((len(self.joints), 3), np.nan, np.float32)
        steps = range(1, self.behind + 1) if self.window.pushed else ()
        return [ready for i in steps for ready in self._push(unseen, self.last_s + i / self.manifest.fps)]

    def _push(self, values: NDArray[np.float32], at_s: float) -> list[Ready]:
        self.window.push(values)
        centre = self.window.pushed - 1 - self.behind
        if centre < 0 or centre % self.manifest.stride_frames:
            return []
        fresh, self.fresh = self.fresh, False
        return [
            Ready(
                self.manifest.name,
                max(self.first_s, at_s - self.manifest.window_s),
                min(self.last_s, at_s),
                at_s - self.behind / self.manifest.fps,
                self.window.copy(),
                fresh,
            )
        ]

    def settle(self, scored: Scored) -> list[Event]:
        window = scored.window
        before = self.decoder.interrupt() if window.fresh else []
        return before + self.decoder.push(window.at_s, scored.probabilities.tolist(), window.end_s)


def replay(session: Session, sequence: LandmarkSequence, ahead: int = 32) -> tuple[list[Scored], list[Event]]:
    """A whole clip through a session: every judged window, every event. Offline is online, all at once.

    ahead: while the models judge this many windows, the next ones are made.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="judge") as judging:
        parts: list[Future[list[Scored]]] = []
        windows: list[Ready] = []
        for at_s, xyz in sequence.pick(HOLISTIC_75):
            windows += session.take(Frame(at_s, xyz))
            if len(windows) >= ahead:
                parts.append(judging.submit(session.judge, windows))
                windows = []
        parts.append(judging.submit(session.judge, [*windows, *session.finish()]))
        scored = [one for part in parts for one in part.result()]
    events = [event for one in scored for event in session.settle(one)]
    return scored, events + session.close()
