"""What a whole clip was found to hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from signstream_client.fields import Fields, Hand


@dataclass(frozen=True)
class Media:
    """The posted file: what it is, frames, seconds, rate, width / height, frames that show a person."""

    kind: str
    frames: int
    duration_s: float
    fps: float
    aspect: float
    frames_with_person: int


@dataclass(frozen=True)
class WindowScores:
    """One window's probabilities, in the order of the model's labels; `at_s` is the moment they speak of.

    person: whose they are, 1 where the file holds one body. hand: None of the whole body, or of a hand of unknown side.
    """

    start_s: float
    end_s: float
    at_s: float
    probabilities: tuple[float, ...]
    hand: Hand | None = None
    person: int = 1


@dataclass(frozen=True)
class Segment:
    """One stretch of one label; confidence is the highest probability in it. person, hand: as of WindowScores."""

    model: str
    label: str
    start_s: float
    end_s: float
    confidence: float
    hand: Hand | None = None
    person: int = 1


@dataclass(frozen=True)
class Reading:
    """One model's view of a clip."""

    labels: tuple[str, ...]
    windows: tuple[WindowScores, ...]
    segments: tuple[Segment, ...]


@dataclass(frozen=True)
class Clip:
    """A clip's answer: the file, and what each model (by name) read in it."""

    media: Media
    models: Mapping[str, Reading]

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Segments of all models, by their start."""
        return tuple(sorted((s for r in self.models.values() for s in r.segments), key=lambda s: (s.start_s, s.model)))

    @classmethod
    def read(cls, fields: Fields) -> Clip:
        """From the service's JSON; raises ProtocolError."""
        media, models = fields.inner("media"), fields.inner("models")
        return cls(
            Media(
                kind=media.text("kind"),
                frames=media.integer("frames"),
                duration_s=media.number("duration_s"),
                fps=media.number("fps"),
                aspect=media.number("aspect"),
                frames_with_person=media.integer("frames_with_person"),
            ),
            {name: _reading(name, models.inner(name)) for name in fields.table("models")},
        )


def _reading(model: str, fields: Fields) -> Reading:
    return Reading(
        labels=fields.texts("labels"),
        windows=tuple(_window(row) for row in fields.rows("windows")),
        segments=tuple(_segment(model, row) for row in fields.rows("segments")),
    )


def _window(row: Fields) -> WindowScores:
    times = row.number("start_s"), row.number("end_s"), row.number("at_s")
    return WindowScores(*times, row.numbers("probabilities"), row.hand(), row.integer("person"))


def _segment(model: str, row: Fields) -> Segment:
    times = row.number("start_s"), row.number("end_s")
    return Segment(model, row.text("label"), *times, row.number("confidence"), row.hand(), row.integer("person"))
