"""What a model file says about itself: everything that serving it takes, and everything a user may ask."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import ManifestError
from landmarks.hands import on_hands
from landmarks.window import frames_behind

FORMAT_VERSION = 3
"""What is written. Read too: version 1, which knew windows alone, and 2, whose decoding had no `pad_s` and after."""
METADATA_KEY = "signstream.manifest"
"""The ONNX metadata key under which a manifest travels, as JSON."""

_LIMIT = 1_000_000


@dataclass(frozen=True)
class Decoding:
    """How probabilities become events; times in seconds, on the stream's clock.

    start_above: an event starts when its label's probability reaches this.
    stop_below: it goes on until the probability falls under this (hysteresis).
    min_duration_s: shorter events are not reported; what they are widened by does not count.
    min_gap_s: two events of one label closer than this are one.
    smoothing_s: time constant of the exponential mean over probabilities; 0 is none.
    pad_s: an event is reported to start so much earlier and to end so much later, but not before the stream began or
        the event before it ended, nor after the next one began. Its end waits until so much is judged, so that two
        events of one label that are closer than this are one as well.
    refractory_s: after a reported event no new one of its label begins for so long.
    max_duration_s: an event is ended once it has lasted so long, and where it goes on a new one begins; None is never.
    labels: label -> what is otherwise for it: of the fields above any but smoothing_s, as one mean is taken over all.

    Raises ValueError for what cannot be, with the numbers.
    """

    start_above: float = 0.5
    stop_below: float = 0.35
    min_duration_s: float = 0.2
    min_gap_s: float = 0.2
    smoothing_s: float = 0.0
    pad_s: float = 0.0
    refractory_s: float = 0.0
    max_duration_s: float | None = None
    labels: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not 0 <= self.stop_below <= self.start_above <= 1:
            raise ValueError(f"need 0 <= stop_below <= start_above <= 1, got {self.stop_below}, {self.start_above}")
        times = {name: getattr(self, name) for name in _TIMES}
        if not all(math.isfinite(t) and t >= 0 for t in times.values()):
            raise ValueError(f"{', '.join(_TIMES)} are seconds >= 0, got {tuple(times.values())}")
        least = self.min_duration_s + 2 * self.pad_s
        if self.max_duration_s is not None and not (
            self.max_duration_s > 0 and least <= self.max_duration_s < math.inf
        ):
            raise ValueError(
                f"max_duration_s is None, or more than 0 and at least min_duration_s + 2 pad_s = {least:g}, "
                f"got {self.max_duration_s}"
            )
        if not isinstance(self.labels, Mapping):
            raise ValueError(f"labels is a mapping of labels to changes, got {self.labels!r}")
        # A copy of its own, which nobody else can change.
        object.__setattr__(self, "labels", {label: dict(changes) for label, changes in self.labels.items()})
        for label in self.labels:
            self._of(label)

    def of(self, labels: Sequence[str]) -> tuple[Decoding, ...]:
        """What is in force for each of these labels. Raises ValueError where `labels` names another."""
        if stray := sorted(set(self.labels) - set(labels)):
            raise ValueError(f"decoding of unknown labels {', '.join(stray)}; choose from {', '.join(labels)}")
        return tuple(self._of(label) for label in labels)

    def _of(self, label: str) -> Decoding:
        changes: dict[str, Any] = dict(self.labels.get(label, {}))
        if unknown := sorted(set(changes) - (_FIELDS - {"smoothing_s", "labels"})):
            raise ValueError(f"of label {label!r} there is no {', '.join(unknown)} to set")
        try:
            return dataclasses.replace(self, **changes, labels={})
        except (TypeError, ValueError) as error:
            raise ValueError(f"of label {label!r}: {error}") from error


_TIMES = ("min_duration_s", "min_gap_s", "smoothing_s", "pad_s", "refractory_s")
_FIELDS = frozenset(each.name for each in dataclasses.fields(Decoding))


@dataclass(frozen=True)
class Manifest:
    """A model's passport.

    name: how requests refer to the model. version: of the weights.
    task: `signing` (is somebody signing?) or `gesture` (which gesture is it?).
    network: key in the registry of networks.
    layout, joints: name of the layout and its V joints, in the order the graph takes.
    window_frames: T. stride_frames: frames from one prediction to the next, live.
    fps: frames per second that the graph takes.
    form: `window`, a graph of whole windows, `landmarks` (B, T, V, 3) -> `probabilities` (B, labels); or `stream`, a
        graph of one step, `frame` (B, V, 3) and `state_0`, `state_1` ... -> `probabilities` and `next_0`, `next_1` ...
        B streams of any age step together, each with a prediction at every frame, so stride_frames is 1. T is then how
        many frames a prediction is about, and not an axis of the graph.
    states: shapes of a stream's states, without B. All are 0 where a stream begins.
    precision: of the weights in the graph.
    weights_sha256: of all weights before any folding or rounding, so that two forms of one fit can be told as such.
    labels: names of its outputs, in order. background: the label that is no event; empty where
        every label is one.
    centre: which moment of its window a prediction speaks of, 0 the oldest frame, 1 the newest.
    decoding: thresholds and times.
    rest_after_s: before a hand is seen, and once none has been for so many seconds of the stream, the model rests until
        one is: it is not run, and says `at_rest`. Of a model of one hand that hand counts, of one of the body either.
        0 never rests.
    licence: of the weights (SPDX). sources: data sets they were trained on, each with its licence.
    metrics: measured quality, name -> value, on persons not trained on.
    """

    name: str
    version: str
    task: Literal["signing", "gesture"]
    network: str
    layout: str
    joints: tuple[str, ...]
    window_frames: int
    stride_frames: int
    fps: float
    labels: tuple[str, ...]
    background: str
    centre: float = 0.5
    decoding: Decoding = field(default_factory=Decoding)
    licence: str = ""
    sources: tuple[str, ...] = ()
    metrics: dict[str, float] = field(default_factory=dict)
    form: Literal["window", "stream"] = "window"
    states: tuple[tuple[int, ...], ...] = ()
    precision: Literal["fp32", "fp16", "int8"] = "fp32"
    weights_sha256: str = ""
    rest_after_s: float = 0.0
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        if self.format_version not in range(1, FORMAT_VERSION + 1):
            raise ManifestError(
                f"model {self.name!r} has manifest format {self.format_version}, "
                f"this release reads 1 to {FORMAT_VERSION}"
            )
        if self.form not in ("window", "stream") or self.precision not in ("fp32", "fp16", "int8"):
            raise ManifestError(
                f"form is window or stream, precision fp32, fp16 or int8; got {self.form!r}, {self.precision!r}"
            )
        if (self.form == "stream") != bool(self.states) or any(size < 1 for shape in self.states for size in shape):
            raise ManifestError(f"a stream has the shapes of its states, a window none; got {self.form}, {self.states}")
        if self.form == "stream" and self.stride_frames != 1:
            raise ManifestError(f"a stream is answered at every frame, got stride_frames {self.stride_frames}")
        if self.task not in ("signing", "gesture"):
            raise ManifestError(f"task is signing or gesture, got {self.task!r}")
        known = {*self.labels, ""}
        if len(self.labels) < 2 or len(set(self.labels)) != len(self.labels) or self.background not in known:
            raise ManifestError(f"need distinct labels with {self.background!r} among them, got {list(self.labels)}")
        if not self.joints or len(set(self.joints)) != len(self.joints):
            raise ManifestError("joints must be named, each once")
        if not (1 <= self.stride_frames <= self.window_frames and 0 < self.fps <= 1000 and 0 <= self.centre <= 1):
            raise ManifestError(
                "need 1 <= stride_frames <= window_frames, 0 < fps <= 1000 and 0 <= centre <= 1, "
                f"got {self.stride_frames}, {self.window_frames}, {self.fps}, {self.centre}"
            )
        self.decoding.of(self.events)
        if self.rest_after_s != 0:
            self._check_rest()

    def _check_rest(self) -> None:
        behind_s = frames_behind(self.centre, self.window_frames) / self.fps
        if not self.background or not len(on_hands(self.joints)):
            raise ManifestError(
                f"model {self.name!r} cannot rest while no hand is seen: that takes a background label and joints of "
                f"hands, got {self.background!r} and the layout {self.layout}"
            )
        # Else what it says at rest would speak of moments that still saw a hand.
        if not behind_s <= self.rest_after_s < math.inf:
            raise ManifestError(
                f"rest_after_s is 0, or at least the {behind_s:.3g} s that a prediction lies behind, "
                f"got {self.rest_after_s}"
            )

    @property
    def events(self) -> tuple[str, ...]:
        """The labels that are not the background, in order."""
        return tuple(label for label in self.labels if label != self.background)

    @property
    def at_rest(self) -> NDArray[np.float32]:
        """(labels,) what a model says while it rests: the background, for certain."""
        return np.array([label == self.background for label in self.labels], np.float32)

    @property
    def window_s(self) -> float:
        """Seconds from the oldest frame of a window to its newest."""
        return (self.window_frames - 1) / self.fps

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of the landmarks that one row of a run takes: a window (T, V, 3), or a stream's next frame (V, 3)."""
        frame = (len(self.joints), 3)
        return frame if self.form == "stream" else (self.window_frames, *frame)

    def to_json(self) -> str:
        """As it stands in the ONNX metadata: in the format of this release, whichever it was read from."""
        return json.dumps(dataclasses.asdict(self) | {"format_version": FORMAT_VERSION}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Read one back. Raises ManifestError for what is no manifest: an unknown key or a wrong type too."""
        if len(text) > _LIMIT:
            raise ManifestError(f"a manifest of {len(text)} characters is over the limit of {_LIMIT}")
        try:
            raw = json.loads(text)
        except ValueError as error:
            raise ManifestError(f"the manifest is not JSON: {error}") from error
        if not isinstance(raw, dict):
            raise ManifestError("the manifest is not a JSON object")
        return _build(cls, raw)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(each) for each in value) if isinstance(value, list) else value


def _build(kind: type[Any], raw: dict[str, Any]) -> Any:
    known = {f.name for f in dataclasses.fields(kind)}
    if unknown := sorted(set(raw) - known):
        raise ManifestError(f"unknown key in the manifest: {', '.join(unknown)}")
    values: dict[str, Any] = {key: _frozen(value) for key, value in raw.items()}
    if isinstance(decoding := values.get("decoding"), dict):
        values["decoding"] = _build(Decoding, decoding)
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        if isinstance(error, ManifestError):
            raise
        raise ManifestError(f"the manifest is wrong: {error}") from error
