"""What a service says about its models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from signstream_client.fields import Fields


@dataclass(frozen=True)
class Decoding:
    """How probabilities become events; times in seconds.

    start_above: probability at which an event starts. stop_below: and under which it ends.
    min_duration_s: shorter events are not reported. min_gap_s: closer ones are one.
    smoothing_s: time constant of the mean over probabilities.
    pad_s: events are widened by this at both ends. refractory_s: after an event no new one of its label begins for so
    long. max_duration_s: a longer one is ended, and a new one begins; None is never.
    labels: what is otherwise for single labels, by field.
    """

    start_above: float
    stop_below: float
    min_duration_s: float
    min_gap_s: float
    smoothing_s: float
    pad_s: float = 0.0
    refractory_s: float = 0.0
    max_duration_s: float | None = None
    labels: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)

    @classmethod
    def read(cls, fields: Fields) -> Decoding:
        """From the service's JSON; raises ProtocolError."""
        return cls(
            start_above=fields.number("start_above"),
            stop_below=fields.number("stop_below"),
            min_duration_s=fields.number("min_duration_s"),
            min_gap_s=fields.number("min_gap_s"),
            smoothing_s=fields.number("smoothing_s"),
            pad_s=fields.maybe_number("pad_s") or 0.0,
            refractory_s=fields.maybe_number("refractory_s") or 0.0,
            max_duration_s=fields.maybe_number("max_duration_s"),
            labels={} if fields.maybe("labels") is None else fields.table("labels"),
        )


@dataclass(frozen=True)
class Model:
    """One loaded model.

    name: how to ask for it. task: `signing` or `gesture`. labels: order of its probabilities.
    background: the label that is no event. layout: joints it looks at. window_s, stride_s: seconds it looks at, and
    from one answer to the next. metrics: measured quality, name -> value. rest_after_s: seconds without a hand in view
    after which it rests, so that all it says is the background; 0 never rests. form: `window`, or `stream`, which is
    judged frame by frame.
    """

    name: str
    version: str
    task: str
    labels: tuple[str, ...]
    background: str
    layout: str
    window_s: float
    stride_s: float
    fps: float
    decoding: Decoding
    licence: str
    sources: tuple[str, ...]
    metrics: Mapping[str, float]
    rest_after_s: float = 0.0
    form: str = "window"

    @classmethod
    def read(cls, fields: Fields) -> Model:
        """From the service's JSON; raises ProtocolError."""
        metrics = fields.inner("metrics")
        return cls(
            name=fields.text("name"),
            version=fields.text("version"),
            task=fields.text("task"),
            labels=fields.texts("labels"),
            background=fields.text("background"),
            layout=fields.text("layout"),
            window_s=fields.number("window_s"),
            stride_s=fields.number("stride_s"),
            fps=fields.number("fps"),
            decoding=Decoding.read(fields.inner("decoding")),
            licence=fields.text("licence"),
            sources=fields.texts("sources"),
            metrics={name: metrics.number(name) for name in fields.table("metrics")},
            rest_after_s=fields.maybe_number("rest_after_s") or 0.0,
            form=fields.text("form", "window"),
        )


@dataclass(frozen=True)
class Readiness:
    """Whether the service is warm.

    ready: every model answers. provider: what onnxruntime runs on. models: names of those loaded.
    """

    ready: bool
    status: str
    provider: str
    models: tuple[str, ...]
