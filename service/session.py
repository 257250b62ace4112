"""One person's stream, without sockets, threads or a clock: frames in, events out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landmarks.cutter import Cut, Cutter, cutters
from landmarks.layout import HOLISTIC_75, Hand, Layout
from landmarks.manifest import Decoding
from landmarks.sequence import LandmarkSequence
from landmarks.window import frames_behind
from service.decoder import Decoder, Event
from service.engine import Engine, Step
from service.gate import Gate, Gatekeeper, in_order
from service.states import Place


@dataclass(frozen=True)
class Frame:
    """One frame of a stream.

    at_s: seconds on the stream's clock. xyz: (V, 3) of the session's layout, NaN where unseen; or (P, V, 3), of P
    bodies.
    """

    at_s: float
    xyz: NDArray[np.float32]


@dataclass(frozen=True)
class Scored:
    """A window with what a model said of it: probabilities (labels,), in the model's order."""

    window: Cut
    probabilities: NDArray[np.float32]


class Session:
    """What one stream needs: for each model and person a cutter, a decoder and, where it carries a state, a place for
    that; of a model of one hand, these for each hand.

    `take` turns a frame into windows that are ready, `settle` a judged window into events; between the two a caller
    may collect the windows of many streams into one run. `push` does both at once, on engines of its own. For a model
    that carries a state, a window is the frames that it steps (Cut). `close` at the end gives the places back.

    engines: the models that answer, by name. aspect: width / height of the picture. max_gap_s: longest gap that is
    interpolated. layout: of the frames. gates: which models rule when others are listened to. Raises UnknownJoint where
    the layout cannot give a model's joints, Busy where a model has no place left, UnknownModel and InvalidRequest for
    gates that these models cannot keep.
    """

    def __init__(
        self,
        engines: Sequence[Engine],
        aspect: float,
        max_gap_s: float = 0.5,
        layout: Layout = HOLISTIC_75,
        gates: Sequence[Gate] = (),
    ) -> None:
        self.aspect, self._layout, self._max_gap_s = aspect, layout, max_gap_s
        self._gates = tuple(gates)
        self._engines = {engine.manifest.name: engine for engine in in_order(engines, gates)}
        self.manifests = [engine.manifest for engine in self._engines.values()]
        self.decodings = {manifest.name: manifest.decoding for manifest in self.manifests}
        self._tracks: dict[tuple[str, Hand | None, int], _Track] = {}
        self._begin(1)

    def take(self, frame: Frame) -> list[Cut]:
        """The windows that this frame completes. Raises TimeError; the session then stands as before."""
        return self._take([frame.at_s], frame.xyz if frame.xyz.ndim == 3 else frame.xyz[None])

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
        """The events that follow from a judged window; each model's windows in the order they were taken.

        With gates, all windows in that order.
        """
        return self._track(scored.window).settle(scored)

    def interrupt(self) -> list[Event]:
        """End what is open, once what `finish` gave is settled; the frames that follow are a new stream's."""
        for track in self._tracks.values():
            track.cutter.restart()
            for keeper in track.kept_by:
                keeper.clear()
        return [event for track in self._tracks.values() for event in track.decoder.interrupt()]

    def reset(self) -> list[Event]:
        """End what is open and forget all frames: time may begin anew."""
        ended = self.interrupt()
        for person in sorted({person for _, _, person in self._tracks}):
            for cutter in self._cutters(person):
                self._tracks[cutter.name, cutter.hand, person].cutter = cutter
        return ended

    def configure(self, decodings: Mapping[str, Decoding]) -> None:
        """Go on with other thresholds and times, by model; what is open stays open."""
        self.decodings |= decodings
        for track in self._tracks.values():
            track.decoder.configure(self.decodings[track.cutter.name])

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
        return self._tracks[window.model, window.hand, window.person]

    def _begin(self, person: int) -> None:
        """Watch one more person."""
        for cutter in self._cutters(person):
            engine = self._engines[cutter.name]
            self._tracks[cutter.name, cutter.hand, person] = _Track(engine, cutter, self.decodings[cutter.name])
        for gate in self._gates:
            self._keep(gate, person)

    def _keep(self, gate: Gate, person: int) -> None:
        """Put a gate before each of a person's views that it rules."""
        mine = [track for (_, _, whose), track in self._tracks.items() if whose == person]
        for track in mine:
            if track.cutter.name in gate.models:
                track.kept_by.append(keeper := Gatekeeper(gate))
                for ruler in mine:
                    if ruler.cutter.name == gate.by and gate.rules(ruler.cutter.hand, track.cutter.hand):
                        ruler.tells.append(keeper)

    def _cutters(self, person: int) -> list[Cutter]:
        """New ones, of all models."""
        return [c for of in self.manifests for c in cutters(of, self._layout, self._max_gap_s, person)]

    def _step(self, engine: Engine, cut: Cut) -> NDArray[np.float32]:
        """(labels,) what is said once all frames of a cut are stepped."""
        place = self.place(cut)
        assert place is not None, "a closed session judges nothing"
        said = [
            engine.predict(frame[None], [Step(place, cut.fresh and i == 0)]) for i, frame in enumerate(cut.landmarks)
        ]
        return said[-1][0]


class _Track:
    """One model's part of a session: of one person, or of one of their hands."""

    def __init__(self, engine: Engine, cutter: Cutter, decoding: Decoding) -> None:
        of = engine.manifest
        self._steps = of.form == "stream"
        self.cutter = cutter
        self.decoder = Decoder(of.name, of.labels, of.background, decoding, cutter.hand, cutter.person)
        self.place = engine.places.take() if self._steps and engine.places is not None else None
        self.lost = False
        self._behind_s = frames_behind(of.centre, of.window_frames) / of.fps
        self.kept_by: list[Gatekeeper] = []
        self.tells: list[Gatekeeper] = []

    def lose(self) -> None:
        if self._steps:
            self.lost = True
            self.cutter.restart()

    def settle(self, scored: Scored) -> list[Event]:
        window = scored.window
        self.lost = self.lost and not window.fresh
        events = self.decoder.interrupt() if window.jumped else []
        permitted = [keeper.permits(window.end_s) for keeper in self.kept_by]  # all are asked: time passes for each
        if all(permitted):
            events += self.decoder.push(window.at_s, scored.probabilities.tolist(), window.end_s)
        else:
            events += self.decoder.interrupt(window.end_s)
        for keeper in self.tells:
            # When the window is complete, which at a stream's end is later than its last frame.
            keeper.hear(window.at_s + self._behind_s, events)
        return events


def replay(session: Session, clip: LandmarkSequence) -> tuple[list[Scored], list[Event]]:
    """A whole clip through a session: every judged window, every event. Offline is online, all at once."""
    scored = session.judge([*session.take_clip(clip), *session.finish()])
    events = [event for one in scored for event in session.settle(one)]
    return scored, events + session.close()
