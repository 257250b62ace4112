"""Labelled streams through the service's own Session: what a model said, frame by frame, beside what was true."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from bench.networks import Step, open_graph, step_graph
from export import parity
from export.onnx import export
from landmarks import Decoding, Manifest, frames_behind
from models import Continual, checkpoint
from service import decoder
from service.engine import Engine
from service.session import Frame, Scored, Session
from training.evaluate import of_onnx
from training.online_metrics import Event, Recording
from training.stream import Stream

MakeEngine = Callable[[], Engine]
"""An engine for one stream: a continual network's carries what that stream was."""


@dataclass(frozen=True, eq=False)
class Predictor:
    """An engine around any predictor of windows."""

    manifest: Manifest
    answer: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    provider: str = "CPUExecutionProvider"

    def predict(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """(B, T, V, 3) landmarks to (B, labels) probabilities."""
        return self.answer(windows)


class Stepping:
    """What a continual network says of one stream: of each window only the newest frame is new to it.

    session: of a step's graph. state: of a stream that has seen nothing. The windows must be those of a stride of one
    frame, in order, as a Session cuts them.
    """

    def __init__(self, session: onnxruntime.InferenceSession, state: Sequence[NDArray[np.float32]]) -> None:
        self._session, self._state, self._any = session, list(state), False
        self._names = [node.name for node in session.get_inputs()[1:]]

    def __call__(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """(B, T, V, 3), one after the other -> probabilities (B, labels)."""
        return np.stack([self._step(window) for window in windows])

    def _step(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        logits = None
        for frame in window[-1:] if self._any else window:
            given = {"frame": frame[None], **dict(zip(self._names, self._state, strict=True))}
            logits, *self._state = self._session.run(None, given)
        self._any = True
        assert isinstance(logits, np.ndarray)
        shifted = np.exp(logits[0] - logits[0].max())
        return shifted / shifted.sum()


@dataclass(frozen=True)
class Model:
    """manifest: what the model says of itself. goes: by `windows` or by `frames`. engine: makes one for a stream."""

    manifest: Manifest
    goes: str
    engine: MakeEngine


def open_model(path: Path) -> Model:
    """A run's folder or a shipped .onnx, in onnxruntime on one thread.

    A run is exported first. A continual network that predicts at every frame from the first on goes frame by frame;
    any other by its windows, cut as its manifest says. Raises CheckpointError, ManifestError; parity.Disagreement where
    onnxruntime does not say what torch says.
    """
    if path.suffix == ".onnx":
        answer, manifest = of_onnx(path)
        return Model(manifest, "windows", lambda: Predictor(manifest, answer))
    saved = checkpoint.load(path)
    network = saved.network()
    if isinstance(network, Continual) and network.stride == 1 and network.delay == 0:
        return Model(saved.manifest, "frames", _stepping(network, saved.manifest))
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "model.onnx"
        export(saved, graph)
        return open_model(graph)


def _stepping(network: Continual, manifest: Manifest) -> MakeEngine:
    # A window reaches back to the moment that the newest frame's prediction speaks of.
    behind = frames_behind(manifest.centre, manifest.window_frames)
    manifest = replace(manifest, window_frames=behind + 1, stride_frames=1, centre=0.0)
    state = network.start(1).tensors
    graph = step_graph(Step(network).eval(), torch.zeros(1, len(manifest.joints), 3), state)
    session, nothing = open_graph(graph, threads=1), [tensor.numpy() for tensor in state]
    for kind, stream in parity.inputs(2 * behind + 8, len(manifest.joints), batch=1).items():
        with torch.inference_mode():
            told = torch.softmax(network.predictions(torch.from_numpy(stream))[0], dim=-1).numpy()  # (T, labels)
        difference = float(np.abs(Stepping(session, nothing)(stream[0][:, None]) - told).max())
        if not difference <= parity.TOLERANCE:
            raise parity.Disagreement(f"{kind}: a step's graph differs from torch by {difference:.1e}")
    return lambda: Predictor(manifest, Stepping(session, nothing))


@dataclass(frozen=True, eq=False)
class Judged:
    """A stream and what a model says along it. seconds: of this thread's processor time that the model took."""

    stream: Stream
    manifest: Manifest
    scored: tuple[Scored, ...]
    seconds: float


def judge(make: MakeEngine, streams: Iterable[Stream]) -> list[Judged]:
    """Every stream frame by frame through a Session of its own, to its end."""
    found = []
    for stream in streams:
        engine, sequence = make(), stream.sequence
        session = Session([engine], sequence.aspect, layout=sequence.layout)
        scored: list[Scored] = []
        seconds = 0.0
        ready = [session.take(Frame(*frame)) for frame in zip(sequence.at_s.tolist(), sequence.xyz, strict=True)]
        for windows in (*ready, session.finish()):
            began = time.thread_time()
            scored += session.judge(windows)
            seconds += time.thread_time() - began
        found.append(Judged(stream, engine.manifest, tuple(scored), seconds))
    return found


def settle(judged: Judged, decoding: Decoding | None = None) -> Recording:
    """The stream's events beside the true ones, by the service's decoder. decoding: instead of the manifest's."""
    sequence, manifest = judged.stream.sequence, judged.manifest
    if decoding is not None:
        manifest = replace(manifest, decoding=decoding)
    session = Session([Predictor(manifest, _silent)], sequence.aspect, layout=sequence.layout)
    events = [event for scored in judged.scored for event in session.settle(scored)] + session.close()
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


def _silent(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    raise RuntimeError(f"{len(windows)} windows that were judged already")


def milliseconds(judged: Sequence[Judged]) -> float:
    """Processor time of the model for each frame of the streams."""
    return 1e3 * sum(one.seconds for one in judged) / sum(len(one.stream.sequence.at_s) for one in judged)
