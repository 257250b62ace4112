"""Labelled streams through the service's own Session: what a model said, frame by frame, beside what was true."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.material import Material, Question
from export.artefact import Target, export
from landmarks import Decoding, Manifest
from models import Continual, checkpoint
from service import decoder
from service.engine import Engine, OnnxEngine, Runtime, Step
from service.gate import Gate
from service.session import Frame, Manner, Scored, Session
from service.states import Place
from training.online_metrics import Event, Recording
from training.stream import Event as Done
from training.stream import Stream


@dataclass(frozen=True)
class Model:
    """manifest: what the model says of itself. goes: by `windows` or by `frames`."""

    manifest: Manifest
    goes: str
    engine: Engine


def open_model(path: Path) -> Model:
    """A run's folder or a .onnx file, in the service's engine on one thread.

    A run is exported first. A continual network that predicts at every frame from the first on goes frame by frame;
    any other by its windows, cut as its manifest says. Raises CheckpointError, ModelError; parity.Disagreement where
    onnxruntime does not say what torch says.
    """
    if path.suffix == ".onnx":
        engine = OnnxEngine(path, Runtime(streams=1))
        return Model(engine.manifest, {"window": "windows", "stream": "frames"}[engine.manifest.form], engine)
    saved = checkpoint.load(path)
    network = saved.network()
    steps = isinstance(network, Continual) and network.stride == 1 and network.delay == 0
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "model.onnx"
        export(saved, graph, Target("stream" if steps else "window"))
        return open_model(graph)


@dataclass(frozen=True, eq=False)
class Judged:
    """A stream and what a model says along it. seconds: of this thread's processor time that the model took."""

    stream: Stream
    manifest: Manifest
    scored: tuple[Scored, ...]
    seconds: float


def judge(engine: Engine, streams: Iterable[Stream]) -> list[Judged]:
    """Every stream frame by frame through a Session of its own, to its end."""
    found = []
    for stream in streams:
        sequence = stream.sequence
        session = Session([engine], sequence.aspect, Manner(sequence.layout))
        scored: list[Scored] = []
        seconds = 0.0
        ready = [session.take(Frame(*frame)) for frame in zip(sequence.at_s.tolist(), sequence.xyz, strict=True)]
        for windows in (*ready, session.finish()):
            began = time.thread_time()
            scored += session.judge(windows)
            seconds += time.thread_time() - began
        session.close()
        found.append(Judged(stream, engine.manifest, tuple(scored), seconds))
    return found


def as_stream(material: Material, task: Question) -> Stream:
    """What somebody did, as a stream to judge."""
    events = tuple(Done(event.label, event.start_s, event.end_s) for event in material.events(task))
    return Stream(material.sequence, "", material.person, material.name, material.group, events=events)


def settle(
    judged: Judged, decoding: Decoding | None = None, gates: Sequence[Gate] = (), rulers: Sequence[Judged] = ()
) -> Recording:
    """The stream's events beside the true ones, by the service's decoder. decoding: instead of the manifest's.

    gates: before the model. rulers: what the models that rule them say along the same stream.
    """
    sequence, manifest = judged.stream.sequence, judged.manifest
    if decoding is not None:
        manifest = replace(manifest, decoding=decoding)
    models = [*(_Silent(one.manifest) for one in rulers), _Silent(manifest)]
    session = Session(models, sequence.aspect, Manner(sequence.layout, gates=tuple(gates)))
    scored = [scored for one in (*rulers, judged) for scored in one.scored]
    told = [event for one in scored for event in session.settle(one)] + session.close()
    events = [event for event in told if event.model == manifest.name]
    true = tuple(Event(event.label, event.start_s, event.end_s) for event in judged.stream.events)
    return Recording(predicted(events), true, float(sequence.at_s[-1] - sequence.at_s[0]))


def predicted(events: Sequence[decoder.Event]) -> tuple[Event, ...]:
    """What a session told, event by event: with the time of its first word, and the end of its last."""
    told = {event.id: event.decided_at_s for event in events if event.state == "start"}
    return tuple(
        Event(event.label, event.start_s, event.end_s, told[event.id])
        for event in events
        if event.state == "end" and event.end_s is not None
    )


@dataclass(frozen=True)
class _Silent:
    """Stands for a model whose windows were judged already."""

    manifest: Manifest
    provider: str = "none"
    wanted: str = "none"
    places: None = None
    together: bool = False

    def predict(self, inputs: NDArray[np.float32], steps: Sequence[Step] = ()) -> NDArray[np.float32]:
        """Not again."""
        raise RuntimeError(f"{len(inputs)} windows that were judged already")

    def read(self, place: Place) -> list[NDArray[np.generic]]:
        """Its streams' states are gone."""
        raise RuntimeError(f"no state in row {place.row}")

    def write(self, place: Place, states: Sequence[NDArray[np.generic]]) -> None:
        """Likewise."""
        raise RuntimeError(f"no place for {len(states)} states in row {place.row}")


def milliseconds(judged: Sequence[Judged]) -> float:
    """Processor time of the model for each frame of the streams."""
    return 1e3 * sum(one.seconds for one in judged) / sum(len(one.stream.sequence.at_s) for one in judged)
