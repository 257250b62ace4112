"""One caller's stream, without sockets, threads or a clock: frames in, events out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from landmarks.cutter import Cut, Cutter, Feed, Feeds, cutters
from landmarks.layout import HOLISTIC_75, Hand, Layout
from landmarks.manifest import Decoding
from landmarks.people import Crowd, People
from landmarks.resample import Run
from landmarks.sequence import LandmarkSequence
from landmarks.sides import Sides
from landmarks.steady import Steady, Steadying
from landmarks.window import frames_behind
from service.decoder import Decoder, Event
from service.engine import Engine, Step
from service.errors import BadSnapshot, Busy
from service.gate import Gate, Gatekeeper, in_order
from service.states import Place


class Frame(NamedTuple):
    """One frame of a stream.

    at_s: seconds on the stream's clock. xyz: (V, 3) of the session's layout, NaN where unseen; or (P, V, 3), of P
    bodies. hands: others (21, 3), of which nobody knows whose they are.
    """

    at_s: float
    xyz: NDArray[np.float32]
    hands: Sequence[NDArray[np.float32]] = ()

    @property
    def bodies(self) -> NDArray[np.float32]:
        """(P, V, 3), P is 1 where there is one."""
        return self.xyz if self.xyz.ndim == 3 else self.xyz[None]


class Scored(NamedTuple):
    """A window with what a model said of it: probabilities (labels,), in the model's order."""

    window: Cut
    probabilities: NDArray[np.float32]


@dataclass(frozen=True)
class Manner:
    """How a session looks at its frames.

    layout: of them. max_gap_s: longest gap that is interpolated. gates: which models rule when others are listened to.
    steadying: what is done to frames before anybody looks at them. follow: who is judged where frames hold several
    bodies. crowd: how many people are told apart then, and how long one who is not seen is waited for. sides: whether
    hands are given to the wrists that they are at, whatever they came as.
    """

    layout: Layout = HOLISTIC_75
    max_gap_s: float = 0.5
    gates: tuple[Gate, ...] = ()
    steadying: Steadying = field(default_factory=Steadying)
    follow: Literal["largest", "all"] = "largest"
    crowd: Crowd = field(default_factory=Crowd)
    sides: bool = False


class Session:
    """What one stream needs: for each person and model a cutter, a decoder and, where it carries a state, a place for
    that; of a model of one hand, these for each hand.

    `take` turns a frame into windows that are ready, `settle` a judged window into events; once all of a frame's are
    settled, `part` ends what was open of people who have left. Between `take` and `settle` a caller may collect the
    windows of many streams into one run. `push` does all at once, on engines of its own. For a model that carries a
    state, a window is the frames that it steps (Cut). `close` at the end gives the places back.

    engines: the models that answer, by name. aspect: width / height of the picture. Raises UnknownJoint where the
    layout cannot give a model's joints, Busy where a model has no place left, UnknownModel and InvalidRequest for gates
    that these models cannot keep.
    """

    def __init__(self, engines: Sequence[Engine], aspect: float, manner: Manner = Manner()) -> None:
        self.aspect, self._manner = aspect, manner
        self.manifests = in_order([engine.manifest for engine in engines], manner.gates)
        of = {engine.manifest.name: engine for engine in engines}
        self._engines = {manifest.name: of[manifest.name] for manifest in self.manifests}
        self.decodings = {manifest.name: manifest.decoding for manifest in self.manifests}
        self._people: People | None = None  # nobody need be told apart before a frame holds several bodies
        self._alone: Frame | None = None  # the last one before that
        self._sides = Sides() if manner.sides else None
        self._persons: dict[int, _Person] = {}
        self._leaving: list[_Person] = []
        self._left: dict[int, _Person] = {}  # who may come back, and whose events are counted on then
        self._begin(1)

    def take(self, frame: Frame) -> list[Cut]:
        """The windows that this frame completes. Raises TimeError, and Busy for a person who finds no place; the
        session then stands as before, but for who was told apart."""
        bodies = frame.bodies
        if self._people is None and len(bodies) == 1:
            if self._sides is not None:
                ((_, body),) = self._sides.push(frame.at_s, [(1, bodies[0])], self.aspect, frame.hands)
                bodies = body[None]
            cuts = self._persons[1].take([frame.at_s], bodies, self.aspect)
            self._alone = frame
            return cuts
        return self._take_people(frame, bodies)

    def take_clip(self, clip: LandmarkSequence) -> list[Cut]:
        """The windows that all frames of a clip complete: those that `take` gives frame by frame, model by model."""
        return self._persons[1].take(clip.at_s.tolist(), clip.pick(self._manner.layout).xyz, self.aspect)

    def _take_people(self, frame: Frame, bodies: NDArray[np.float32]) -> list[Cut]:
        """One frame's bodies (P, V, 3), in any order."""
        at_s = frame.at_s
        if self._people is None:
            self._people = People(self._manner.crowd)
            if self._alone is not None:
                self._people.push(self._alone.at_s, self._alone.bodies, self.aspect)
        persons = self._people.push(at_s, bodies, self.aspect)
        if self._sides is not None:
            persons = self._sides.push(at_s, persons, self.aspect, frame.hands)
        seen = dict(persons)
        known = set(self._people.numbers)
        followed = known if self._manner.follow == "all" else known & {self._people.main}
        self._left = {number: person for number, person in self._left.items() if number in known}
        cuts: list[Cut] = []
        for number in sorted(set(self._persons) - followed):
            person = self._persons.pop(number)
            cuts += person.finish()
            self._leaving.append(person)
        for number in sorted(followed & set(seen)):
            if number not in self._persons:
                self._begin(number)
            cuts += self._persons[number].take([at_s], seen[number][None], self.aspect)
        return cuts

    def finish(self) -> list[Cut]:
        """The windows that speak of the stream's last moments, with nothing seen after its last frame."""
        return [cut for person in self._persons.values() for cut in person.finish()]

    def settle(self, scored: Scored) -> list[Event]:
        """The events that follow from a judged window; each model's windows in the order they were taken.

        With gates, all windows in that order.
        """
        return self._track(scored.window).settle(scored)

    @property
    def parting(self) -> bool:
        """Whether people have left who are still to `part`."""
        return bool(self._leaving)

    def part(self) -> list[Event]:
        """The ends of what was open of people who have left, once their last windows are settled."""
        events = [event for person in self._leaving for event in person.interrupt()]
        for person in self._leaving:
            person.close()
            self._left[person.number] = person
        self._leaving = []
        return events

    def interrupt(self) -> list[Event]:
        """End what is open, once what `finish` gave is settled; the frames that follow are a new stream's."""
        return [event for person in self._persons.values() for event in person.interrupt()]

    def reset(self) -> list[Event]:
        """End what is open and forget all frames: time may begin anew."""
        ended = self.interrupt()
        for person in self._persons.values():
            person.renew(self._cutters(person.number), self._new_steady())
        self._alone = None
        for memory in (self._people, self._sides):
            if memory is not None:
                memory.reset()
        return ended

    def configure(self, decodings: Mapping[str, Decoding]) -> None:
        """Go on with other thresholds and times, by model; what is open stays open."""
        self.decodings |= decodings
        for person in (*self._persons.values(), *self._left.values()):
            for track in person.tracks.values():
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
        events = [*self.part(), *self.interrupt()]
        for person in self._persons.values():
            person.close()
        return events

    def push(self, frame: Frame) -> list[Event]:
        """`take`, `settle` and `part` in one: the events that follow from this frame."""
        events = [event for scored in self.judge(self.take(frame)) for event in self.settle(scored)]
        return events + self.part()

    def snapshot(self) -> dict[str, Any]:
        """All that going on elsewhere takes, between frames: numbers, text and arrays, exact to the bit."""
        return {
            "aspect": self.aspect,
            "weights": [[m.name, m.version, m.precision, m.weights_sha256] for m in self.manifests],
            "people": None if self._people is None else self._people.snapshot(),
            "sides": None if self._sides is None else self._sides.snapshot(),
            "alone": None if self._alone is None else [self._alone.at_s, self._alone.xyz],
            "persons": [person.snapshot() for person in self._persons.values()],
            "left": [person.snapshot() for person in self._left.values()],
        }

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Go on from another session's snapshot, of the same engines, manner and decodings; a new one's first act.

        Raises Busy, and BadSnapshot where the models are others.
        """
        mine = [[m.name, m.version, m.precision, m.weights_sha256] for m in self.manifests]
        if kept["weights"] != mine:
            raise BadSnapshot("the session was of other models, or of other versions of them")
        self.aspect = kept["aspect"]
        if kept["alone"] is not None:
            self._alone = Frame(*kept["alone"])
        if self._sides is not None:
            self._sides.restore(kept["sides"])
        if kept["people"] is not None:
            self._people = People(self._manner.crowd)
            self._people.restore(kept["people"])
        for person in self._persons.values():
            person.close()
        self._persons = {}
        for state in kept["left"]:
            self._left[state["number"]] = person = self._new(state["number"])
            person.restore(state)
        for state in kept["persons"]:
            self._persons[state["number"]] = person = self._new(state["number"])
            person.open()
            person.restore(state)

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

    def _begin(self, number: int) -> None:
        """Watch one more person, or one once more, whose events are then counted on."""
        person = self._left.pop(number, None)
        if person is None:
            person = self._new(number)
        else:
            person.renew(self._cutters(number), self._new_steady())
        person.open()
        self._persons[number] = person

    def _new(self, number: int) -> _Person:
        tracks = [_Track(self._engines[c.name], c, self.decodings[c.name]) for c in self._cutters(number)]
        return _Person(number, tracks, self._new_steady(), self._manner.gates)

    def _new_steady(self) -> Steady:
        return Steady(self._manner.steadying, self._manner.layout, self._manner.max_gap_s)

    def _cutters(self, person: int) -> list[Cutter]:
        """New ones, of all models."""
        layout, max_gap_s, feeds = self._manner.layout, self._manner.max_gap_s, Feeds()
        return [cutter for of in self.manifests for cutter in cutters(of, layout, max_gap_s, person, feeds)]

    def _track(self, window: Cut) -> _Track:
        person = self._persons.get(window.person)
        if person is None:
            person = next(one for one in self._leaving if one.number == window.person)
        return person.tracks[window.model, window.hand]

    def _step(self, engine: Engine, cut: Cut) -> NDArray[np.float32]:
        """(labels,) what is said once all frames of a cut are stepped."""
        place = self.place(cut)
        assert place is not None, "a closed session judges nothing"
        said = [
            engine.predict(frame[None], [Step(place, cut.fresh and i == 0)]) for i, frame in enumerate(cut.landmarks)
        ]
        return said[-1][0]


class _Person:
    """One person's part of a session."""

    def __init__(self, number: int, tracks: Sequence[_Track], steady: Steady, gates: Sequence[Gate]) -> None:
        self.number = number
        self.tracks: dict[tuple[str, Hand | None], _Track] = {
            (track.cutter.name, track.cutter.hand): track for track in tracks
        }
        self._steady = steady
        self._keepers: list[Gatekeeper] = []
        for gate in gates:
            self._keep(gate)

    def _keep(self, gate: Gate) -> None:
        """Put a gate before each view that it rules."""
        for (name, hand), track in self.tracks.items():
            if name in gate.models:
                self._keepers.append(keeper := Gatekeeper(gate))
                track.kept_by.append(keeper)
                for (other, of), ruler in self.tracks.items():
                    if other == gate.by and gate.rules(of, hand):
                        ruler.tells.append(keeper)

    def take(self, at_s: list[float], xyz: NDArray[np.float32], aspect: float) -> list[Cut]:
        """The windows that N frames (N, V, 3) at `at_s` complete."""
        if self._steady.how:
            xyz = self._steady.push(at_s, xyz, aspect)
        even: dict[Feed, list[Run]] = {}
        cuts: list[Cut] = []
        for track in self.tracks.values():
            feed = track.cutter.feed
            if feed not in even:
                even[feed] = feed.push(at_s, xyz, aspect)
            cuts += track.cutter.push(even[feed])
        return cuts

    def finish(self) -> list[Cut]:
        return [cut for track in self.tracks.values() for cut in track.cutter.finish()]

    def interrupt(self) -> list[Event]:
        return [event for track in self.tracks.values() for event in track.interrupt()]

    def renew(self, cutters: Iterable[Cutter], steady: Steady) -> None:
        """Forget all frames."""
        self._steady = steady
        for cutter in cutters:
            self.tracks[cutter.name, cutter.hand].cutter = cutter

    def open(self) -> None:
        """Take places for states. Raises Busy where there are not enough, and then has none."""
        try:
            for track in self.tracks.values():
                track.open()
        except Busy:
            self.close()
            raise

    def snapshot(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "steady": self._steady.snapshot(),
            "keepers": [keeper.snapshot() for keeper in self._keepers],
            "tracks": [track.snapshot() for track in self.tracks.values()],
        }

    def restore(self, kept: Mapping[str, Any]) -> None:
        self._steady.restore(kept["steady"])
        for keeper, state in zip(self._keepers, kept["keepers"], strict=True):
            keeper.restore(state)
        for track, state in zip(self.tracks.values(), kept["tracks"], strict=True):
            track.restore(state)

    def close(self) -> None:
        """Give the places back."""
        for track in self.tracks.values():
            track.place = None


class _Track:
    """One model's view of one person, or of one of their hands."""

    def __init__(self, engine: Engine, cutter: Cutter, decoding: Decoding) -> None:
        of = engine.manifest
        self._engine, self._steps = engine, of.form == "stream"
        self.cutter = cutter
        self.decoder = Decoder(of.name, of.labels, of.background, decoding, cutter.hand, cutter.person)
        self.place: Place | None = None
        self.lost = False
        self._behind_s = frames_behind(of.centre, of.window_frames) / of.fps
        self.kept_by: list[Gatekeeper] = []
        self.tells: list[Gatekeeper] = []

    def open(self) -> None:
        if self._steps and self._engine.places is not None:
            self.place = self._engine.places.take()

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

    def snapshot(self) -> dict[str, Any]:
        carries = self.place is not None and not self.cutter.fresh
        return {
            "cutter": self.cutter.snapshot(),
            "decoder": self.decoder.snapshot(),
            "lost": self.lost,
            "states": self._engine.read(self.place) if carries and self.place is not None else [],
        }

    def restore(self, kept: Mapping[str, Any]) -> None:
        self.cutter.restore(kept["cutter"])
        self.decoder.restore(kept["decoder"])
        self.lost = kept["lost"]
        if kept["states"] and self.place is not None:
            self._engine.write(self.place, kept["states"])

    def interrupt(self) -> list[Event]:
        self.cutter.restart()
        for keeper in self.kept_by:
            keeper.clear()
        return self.decoder.interrupt()


def replay(session: Session, clip: LandmarkSequence) -> tuple[list[Scored], list[Event]]:
    """A whole clip through a session: every judged window, every event. Offline is online, all at once."""
    scored = session.judge([*session.take_clip(clip), *session.finish()])
    events = [event for one in scored for event in session.settle(one)]
    return scored, events + session.close()
