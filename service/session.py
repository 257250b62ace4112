"""One person's stream, without sockets, threads or a clock: frames in, events out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landmarks.cutter import Cut, Cutter, cutters
from landmarks.layout import HOLISTIC_75, Layout
from landmarks.sequence import LandmarkSequence
from service.decoder import Decoder, Event
from service.engine import Engine, Step
from service.states import Place


@dataclass(frozen=True)
class Frame:
    """One frame of a stream.

    at_s: seconds on the stream's clock. xyz: (V, 3) of the session's layout, NaN where unseen.
    """

    at_s: float
    xyz: NDArray[np.float32]


@dataclass(frozen=True)
class Scored:
    """A window with what a model said of it: probabilities (labels,), in the model's order."""

    window: Cut
    probabilities: NDArray[np.float32]


class Session:
    """What one stream needs: for each model a cutter, a decoder and, where it carries a state, a place for that; of a
    model of one hand, these for each hand.

    `take` turns a frame into windows that are ready, `settle` a judged window into events; between the two a caller
    may collect the windows of many streams into one run. `push` does both at once, on engines of its own. For a model
    that carries a state, a window is the frames that it steps (Cut). `close` at the end gives the places back.

    engines: the models that answer, by name. aspect: width / height of the picture. max_gap_s: longest gap that is
    interpolated. layout: of the frames. Raises UnknownJoint where it cannot give a model's joints, Busy where a model
    has no place left.
    """

    def __init__(
        self, engines: Sequence[Engine], aspect: float, max_gap_s: float = 0.5, layout: Layout = HOLISTIC_75
    ) -> None:
        self.aspect, self._layout = aspect, layout
        self._engines = {engine.manifest.name: engine for engine in engines}
        self._tracks = {
            (name, cutter.hand): _Track(engine, cutter)
            for name, engine in self._engines.items()
            for cutter in cutters(engine.manifest, layout, max_gap_s)
        }

    def take(self, frame: Frame) -> list[Cut]:
        """The windows that this frame completes. Raises TimeError; the session then stands as before."""
        return self._take([frame.at_s], frame.xyz[None])

    def take_clip(self, clip: LandmarkSequence) -> list[Cut]:
        """The windows that all frames of a clip complete: those that `take` gives frame by frame, model by model."""
        return self._take(clip.at_s.tolist(), clip.pick(self._layout).xyz)

    def _take(self, at_s: list[float], xyz: NDArray[np.float32]) -> list[Cut]:
        """N frames (N, V, 3) at `at_s`."""
        return [cut for track in self._tracks.values() for cut in track.cutter.push(at_s, xyz, self.aspect)]

    def finish(self) -> list[Cut]:
        """The windows that speak of the stream's last moments, with nothing seen after its last frame."""
        return [cut for track in self._tracks.values() for cut in track.cutter.finish()]

    def settle(self, scored: Scored) -> list[Event]:
        """The events that follow from a judged window; each model's windows in the order they were taken."""
        return self._track(scored.window).settle(scored)

    def place(self, window: Cut) -> Place | None:
        """Where the state lies that a window goes on from; None for a model that has none."""
        return self._track(window).place

    def lose(self, window: Cut) -> None:
        """A window that nobody judged. A model that carries a state has missed a frame and begins afresh."""
        self._track(window).lose()

    def counts(self, window: Cut) -> bool:
        """Whether what is said of a window may be settled: not from a lost one on until its model begins afresh."""
        return window.fresh or window.rests or not self._track(window).lost

    def rested(self, window: Cut) -> Scored:
        """What a model says of a window while it rests; no run is needed."""
        return Scored(window, self._engines[window.model].manifest.at_rest)

    def close(self) -> list[Event]:
        """The ends of the events that are open. The stream is over: nothing may be judged any more."""
        for track in self._tracks.values():
            track.place = None
        return [event for track in self._tracks.values() for event in track.decoder.interrupt()]

    def push(self, frame: Frame) -> list[Event]:
        """`take` and `settle` in one: the events that follow from this frame."""
        return [event for scored in self.judge(self.take(frame)) for event in self.settle(scored)]

    def judge(self, windows: Iterable[Cut], batch: int = 16) -> list[Scored]:
        """Windows with their probabilities, in order; a model's engine is given `batch` at a time.

        Where a model carries a state, they are this session's, in the order that they were taken.
        """
        ordered = list(windows)
        said: dict[int, NDArray[np.float32]] = {}
        for name, engine in self._engines.items():
            mine = [i for i, window in enumerate(ordered) if window.model == name and not window.rests]
            if engine.manifest.form == "stream":
                said.update((i, self._step(engine, ordered[i])) for i in mine)
                continue
            for first in range(0, len(mine), batch):
                chunk = mine[first : first + batch]
                said.update(zip(chunk, engine.predict(np.stack([ordered[i].landmarks for i in chunk])), strict=True))
        return [Scored(window, said[i]) if i in said else self.rested(window) for i, window in enumerate(ordered)]

    def _track(self, window: Cut) -> _Track:
        return self._tracks[window.model, window.hand]

    def _step(self, engine: Engine, cut: Cut) -> NDArray[np.float32]:
        """(labels,) what is said once all frames of a cut are stepped."""
        place = self.place(cut)
        assert place is not None, "a closed session judges nothing"
        said = [
            engine.predict(frame[None], [Step(place, cut.fresh and i == 0)]) for i, frame in enumerate(cut.landmarks)
        ]
        return said[-1][0]


class _Track:
    """One model's part of a session, or of one of its hands."""

    def __init__(self, engine: Engine, cutter: Cutter) -> None:
        manifest = engine.manifest
        self._steps = manifest.form == "stream"
        self.cutter = cutter
        self.decoder = Decoder(manifest.name, manifest.labels, manifest.background, manifest.decoding, cutter.hand)
        self.place = engine.places.take() if self._steps and engine.places is not None else None
        self.lost = False

    def lose(self) -> None:
        if self._steps:
            self.lost = True
            self.cutter.restart()

    def settle(self, scored: Scored) -> list[Event]:
        window = scored.window
        self.lost = self.lost and not window.fresh
        before = self.decoder.interrupt() if window.jumped else []
        return before + self.decoder.push(window.at_s, scored.probabilities.tolist(), window.end_s)


def replay(session: Session, clip: LandmarkSequence) -> tuple[list[Scored], list[Event]]:
    """A whole clip through a session: every judged window, every event. Offline is online, all at once."""
    scored = session.judge([*session.take_clip(clip), *session.finish()])
    events = [event for one in scored for event in session.settle(one)]
    return scored, events + session.close()
