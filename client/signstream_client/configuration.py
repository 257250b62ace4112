"""What a session is opened with, what may be changed under way, and what is in force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NotRequired, TypedDict

from signstream_client.fields import Fields

HOLISTIC = "holistic_75"
"""The layout of MediaPipe's pose and hands, which are sent in parts."""


class LabelDecoding(TypedDict, total=False):
    """How one label's probabilities become events, in seconds; what is left out stays as its model's."""

    start_above: float
    """An event starts when the label's probability reaches this."""
    stop_below: float
    """It goes on until the probability falls under this."""
    min_duration_s: float
    """Shorter events are not told."""
    min_gap_s: float
    """Two events of the label closer than this are one."""
    pad_s: float
    """Events are widened by this at both ends."""
    refractory_s: float
    """After an event of the label no new one begins for so long."""
    max_duration_s: float
    """A longer event is ended, and a new one begins."""


class DecodingChange(LabelDecoding, total=False):
    """What a session changes of a model's decoding; what is left out stays as the model's file says."""

    smoothing_s: float
    """Time constant of the mean over probabilities; 0 is none."""
    labels: Mapping[str, LabelDecoding]
    """Changes for single labels."""


class Gate(TypedDict):
    """One model's events rule when others are listened to: no gesture while somebody signs, say, or only then."""

    by: str
    """The model that rules."""
    models: Sequence[str]
    """Those that it rules."""
    mode: NotRequired[Literal["not-while", "only-while"]]
    """They are not listened to while it tells of an event (the default), or only while it does."""
    labels: NotRequired[Sequence[str]]
    """Which of its events count; all by default."""


class Steadying(TypedDict, total=False):
    """What is done to landmarks before anybody looks at them; by default nothing."""

    cutoff_hz: float
    """Cut-off frequency of a One-Euro filter for what is still."""
    beta: float
    """By how many Hz it grows with a speed of one shoulder width a second."""
    hold_s: float
    """A hand that was seen so long ago stays where it was, seen from its wrist."""


class Changes(TypedDict, total=False):
    """What may be changed under way; what is left out, or None, stays."""

    aspect: float | None
    """Width / height of the picture that landmarks come from, a webcam's by default; pictures bring their own."""
    scores: bool
    """Send every window's probabilities."""
    interim: bool
    """Send `update` while an event is open."""
    landmarks: bool
    """Send what was found in each picture."""
    decoding: Mapping[str, DecodingChange]
    """Changes of thresholds and times, by the model's name."""


class Options(Changes, total=False):
    """What a session may be opened with besides its models; what is left out, or None, is the service's choice."""

    layout: str
    """Which joints frames hold; by default MediaPipe's pose and hands, which are sent in parts."""
    fps: float
    """Frames come evenly, so many a second, whatever their `at_s` says."""
    encoding: Literal["any", "json", "float32", "float16", "picture"]
    """What frames travel as; `any` is float32, or pictures. float16 is exact to about 0.0005 of the picture."""
    overflow: Literal["auto", "block", "drop_oldest"]
    """Where frames come faster than they are answered: wait, or drop the oldest; `auto` drops pictures alone."""
    max_gap_s: float
    """Longest gap between frames that is bridged."""
    people: Literal["largest", "all"]
    """Who is judged where a frame holds several people."""
    gates: Sequence[Gate]
    """Which models are not listened to while another tells of an event, or only then."""
    steadying: Steadying
    """What is done to landmarks before anybody looks at them."""
    resumable: bool
    """Go on by itself where the line is lost."""
    ack_every: int
    """Acknowledge every so many frames."""


def given(models: Sequence[str] | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON has it: only what was given. Raises TypeError for an option that there is not."""
    if unknown := sorted(set(options) - set(Options.__annotations__)):
        raise TypeError(f"no option {', '.join(unknown)}; choose from {', '.join(sorted(Options.__annotations__))}")
    chosen = {} if models is None else {"models": list(models)}
    return chosen | {name: value for name, value in options.items() if value is not None}


@dataclass(frozen=True)
class Configuration:
    """What is in force: as asked for, with what was left out filled in. Fields as in Options."""

    models: tuple[str, ...] | None
    layout: str
    aspect: float
    fps: float | None
    encoding: str
    scores: bool
    interim: bool
    landmarks: bool
    decoding: Mapping[str, Mapping[str, Any]]
    overflow: str
    max_gap_s: float | None
    people: str
    gates: tuple[Mapping[str, Any], ...]
    steadying: Mapping[str, float]
    resumable: bool
    ack_every: int | None

    @classmethod
    def read(cls, fields: Fields) -> Configuration:
        """From the service's JSON; raises ProtocolError."""
        return cls(
            models=None if fields.maybe("models") is None else fields.texts("models"),
            layout=fields.text("layout"),
            aspect=fields.number("aspect"),
            fps=fields.maybe_number("fps"),
            encoding=fields.text("encoding"),
            scores=fields.truth("scores"),
            interim=fields.truth("interim"),
            landmarks=fields.truth("landmarks"),
            decoding=fields.table("decoding"),
            overflow=fields.text("overflow"),
            max_gap_s=fields.maybe_number("max_gap_s"),
            people=fields.text("people"),
            gates=tuple(fields.items("gates")),
            steadying=fields.table("steadying"),
            resumable=fields.truth("resumable"),
            ack_every=fields.maybe_integer("ack_every"),
        )
