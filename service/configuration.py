"""What a session is opened with, and what may be changed under way: validated, documented, frozen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from landmarks.layout import HOLISTIC_75, Layout
from landmarks.manifest import Decoding, Manifest
from landmarks.people import Crowd
from landmarks.sequence import WEBCAM_ASPECT
from landmarks.steady import Steadying
from service.errors import InvalidMessage
from service.gate import Gate
from service.session import Manner


class Given(BaseModel):
    """Strict: an unknown key or a value of another type is a problem, and never guessed at."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


_ACK_EVERY = 10
"""Frames from one `ack` to the next, of a session that is resumable and does not say."""

Seconds = Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0, le=1)]
Aspect = Annotated[float, Field(ge=0.1, le=10)]


class LabelDecoding(Given):
    """How one label's probabilities become events; what is left out stays as its model's."""

    start_above: Probability | None = None
    """An event starts when the label's probability reaches this."""
    stop_below: Probability | None = None
    """It goes on until the probability falls under this."""
    min_duration_s: Seconds | None = None
    """Shorter events are not told."""
    min_gap_s: Seconds | None = None
    """Two events of the label closer than this are one."""
    pad_s: Seconds | None = None
    """Events are widened by this at both ends."""
    refractory_s: Seconds | None = None
    """After an event of the label no new one begins for so long."""
    max_duration_s: Seconds | None = None
    """A longer event is ended, and a new one begins."""


class DecodingChange(LabelDecoding):
    """What a session changes of a model's decoding; what is left out stays as the model's file says."""

    smoothing_s: Seconds | None = None
    """Time constant of the exponential mean over probabilities; 0 is none."""
    labels: dict[str, LabelDecoding] | None = None
    """Changes for single labels."""

    def on(self, manifest: Manifest) -> Decoding:
        """A model's decoding with these changes. Raises InvalidMessage where they contradict it or each other."""
        changes = self.model_dump(exclude_none=True)
        labels = dict(manifest.decoding.labels)
        for label, change in changes.get("labels", {}).items():
            labels[label] = {**labels.get(label, {}), **change}
        try:
            changed = replace(manifest.decoding, **changes | {"labels": labels})
            changed.of(manifest.events)
        except ValueError as error:
            raise InvalidMessage(f"decoding of {manifest.name}: {error}") from error
        return changed


class Changes(Given):
    """What may be changed under way; what is left out stays."""

    aspect: Aspect | None = None
    """Width / height of the picture that the landmarks come from; a picture frame sets it itself."""
    scores: bool | None = None
    """Send what was said of every window or step."""
    interim: bool | None = None
    """Send `update` while an event is open."""
    landmarks: bool | None = None
    """Send back what was found in each picture."""
    decoding: dict[str, DecodingChange] | None = None
    """Changes of models' thresholds and times, by the model's name; of a model named here, all of them."""


class GateRule(Given):
    """One model's events rule when others are listened to: no gesture while somebody signs, say, or only then."""

    by: str
    """The model that rules."""
    models: Annotated[tuple[str, ...], Field(strict=False)]
    """Those that it rules."""
    mode: Literal["not-while", "only-while"] = "not-while"
    """They are not listened to while it tells of an event, or only while it does."""
    labels: Annotated[tuple[str, ...], Field(strict=False)] | None = None
    """Which of its events count; without it all."""


class Steadier(Given):
    """What is done to landmarks before anybody looks at them; by default nothing."""

    cutoff_hz: Annotated[float, Field(ge=0, le=100)] = 0.0
    """Cut-off frequency of a One-Euro filter for what is still; 0 smooths nothing."""
    beta: Annotated[float, Field(ge=0, le=1000)] = 0.0
    """By how many Hz it grows with a speed of one shoulder width a second."""
    hold_s: Annotated[float, Field(ge=0, le=10)] = 0.0
    """A hand that was seen so long ago stays where it was, seen from its wrist; 0 holds nothing."""


class Configuration(Given):
    """What a session is opened with."""

    models: Annotated[tuple[str, ...], Field(strict=False)] | None = None
    """Which models answer; without it those of the service's settings."""
    layout: str = "holistic_75"
    """Which joints the frames hold, by the layout's name; `holistic_75` is MediaPipe's, sent in parts."""
    aspect: Aspect = WEBCAM_ASPECT
    """Width / height of the picture that the landmarks come from; a picture frame sets it itself."""
    fps: Annotated[float, Field(gt=0, le=1000)] | None = None
    """Frames come evenly, so many a second: a frame's time is seq / fps. Without it each frame says its own."""
    encoding: Literal["any", "json", "float32", "float16", "picture"] = "any"
    """What the frames are; one of another kind is then a problem."""
    scores: bool = False
    """Send what was said of every window or step."""
    interim: bool = True
    """Send `update` while an event is open."""
    landmarks: bool = False
    """Send back what was found in each picture."""
    decoding: dict[str, DecodingChange] = Field(default_factory=dict)
    """Changes of models' thresholds and times, by the model's name."""
    overflow: Literal["auto", "block", "drop_oldest"] = "auto"
    """Where frames come faster than they are answered: the sender waits, or the oldest frame that waits is dropped and
    told. `auto` drops pictures and lets landmarks wait."""
    max_gap_s: Annotated[float, Field(gt=0, le=10)] | None = None
    """Longest gap between frames that is interpolated; after a longer one windows and states begin afresh."""
    people: Literal["largest", "all"] = "largest"
    """Who is judged where a frame holds several bodies."""
    gates: Annotated[tuple[GateRule, ...], Field(strict=False)] = ()
    """Which models are not listened to while another tells of an event, or only then."""
    hands: Literal["as_given", "by_body"] = "as_given"
    """`by_body`: hands belong to the wrists that they are at, whatever side they came as; for detectors that find hands
    alone. MediaPipe Holistic's stay as they are."""
    steadying: Steadier = Steadier()
    """What is done to landmarks before anybody looks at them."""
    resumable: bool = False
    """Keep the session for a while where the line is lost, and acknowledge frames, so that it can be resumed."""
    ack_every: Annotated[int, Field(ge=0, le=10_000)] | None = None
    """Acknowledge every so many frames, 0 none; without it 10 where the session is resumable, else none."""

    def filled(self, models: Sequence[str], max_gap_s: float) -> Configuration:
        """With what the caller left out as the service has it."""
        ack_every = self.ack_every
        if ack_every is None:
            ack_every = _ACK_EVERY if self.resumable else 0
        return self.model_copy(
            update={
                "models": tuple(dict.fromkeys(self.models or models)),
                "max_gap_s": self.max_gap_s or max_gap_s,
                "ack_every": ack_every,
            }
        )

    def changed(self, changes: Changes) -> Configuration:
        """With those changes that are given."""
        given = {name: value for name in Changes.model_fields if (value := getattr(changes, name)) is not None}
        if changes.decoding is not None:
            given["decoding"] = self.decoding | changes.decoding
        return self.model_copy(update=given)

    def manner(self, layout: Layout, crowd: Crowd) -> Manner:
        """How a session so configured looks at frames of its layout. Raises InvalidMessage."""
        assert self.max_gap_s is not None, "filled in"
        try:
            gates = tuple(Gate(**dict(rule)) for rule in self.gates)
            steadying = Steadying(**dict(self.steadying))
        except ValueError as error:
            raise InvalidMessage(str(error)) from error
        by_body = self.hands == "by_body"
        if by_body and layout.name != HOLISTIC_75.name:
            raise InvalidMessage(f"hands go by the wrists of {HOLISTIC_75.name}, the layout is {layout.name}")
        return Manner(layout, self.max_gap_s, gates, steadying, self.people, crowd, by_body)

    def decodings(self, manifests: Iterable[Manifest]) -> dict[str, Decoding]:
        """What is in force for each of the models that answer. Raises InvalidMessage."""
        of = {manifest.name: manifest for manifest in manifests}
        if stray := sorted(set(self.decoding) - set(of)):
            raise InvalidMessage(f"decoding of {', '.join(stray)}, which does not answer here: {', '.join(of)}")
        return {name: self.decoding.get(name, DecodingChange()).on(manifest) for name, manifest in of.items()}

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return self.model_dump(mode="json", include=set(Configuration.model_fields))
