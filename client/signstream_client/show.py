"""Answers as text for people, or as JSON for programs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence

from signstream_client.clip import Clip, Segment
from signstream_client.messages import (
    Ack,
    Closing,
    Done,
    Dropped,
    Event,
    Interrupted,
    Lag,
    Landmarks,
    Message,
    Problem,
    Ready,
    Resumed,
    Summary,
    Warned,
)


def clip_table(clip: Clip) -> str:
    """The file in one line, then a row for each segment."""
    media = clip.media
    head = (
        f"{media.kind}: {media.frames} frames, {media.duration_s:.1f} s at {media.fps:.3g} fps, "
        f"somebody in {media.frames_with_person}"
    )
    if not clip.segments:
        return f"{head}\nno segments ({', '.join(clip.models)})"
    rows = [("model", "label", "start_s", "end_s", "confidence")]
    rows += [(_who(s), s.label, f"{s.start_s:.2f}", f"{s.end_s:.2f}", f"{s.confidence:.2f}") for s in clip.segments]
    return f"{head}\n{_table(rows)}"


def clip_json(clip: Clip) -> str:
    """Everything of a clip, as one JSON object."""
    return json.dumps(dataclasses.asdict(clip), indent=1)


def message_line(message: Message) -> str | None:
    """A stream's message in one line; None for those that only programs want."""
    match message:
        case Event(state="start"):
            return f"{message.start_s:8.2f} s  {_who(message)}: {message.label} ..."
        case Event(state="end"):
            span = f"{message.start_s:.2f} to {message.end_s:.2f} s" if message.end_s is not None else ""
            return f"{message.decided_at_s:8.2f} s  {_who(message)}: {message.label} {span}, {message.confidence:.2f}"
        case Dropped():
            return _aside(f"{message.count} frames dropped: {message.reason}")
        case Problem():
            return _aside(f"problem: {message.detail or message.title}")
        case Interrupted():
            return _aside(f"connection lost ({message.close_code}), resuming ...")
        case Resumed():
            return _aside("resumed" + (f"; {message.lost} events were not kept" if message.lost else ""))
        case Ready():
            return _aside("begun anew: the service had forgotten the session")
        case Lag():
            return _aside(f"the service is {message.behind_s:.1f} s behind")
        case Warned():
            return _aside(f"warning: {message.detail or message.code}")
        case Closing():
            return _aside("the service is going away" + (", to come back" if message.resumable else ""))
        case Summary():
            events = ", ".join(f"{model} {count}" for model, count in message.events.items()) or "none"
            return f"{message.frames} frames, {message.dropped} dropped, {message.problems} problems; events: {events}"
    return None


def message_json(message: Message) -> str | None:
    """A stream's message as one line of JSON, its `type` added; None for those that would drown the rest."""
    if isinstance(message, Landmarks | Ack | Done | Ready):
        return None
    kind = "warning" if isinstance(message, Warned) else type(message).__name__.lower()
    return json.dumps({"type": kind} | dataclasses.asdict(message))


def _aside(words: str) -> str:
    """Of no moment of the stream: where a time would stand there is room."""
    return f"{'':12}{words}"


def _who(found: Event | Segment) -> str:
    person = f"person {found.person}" if found.person != 1 else None
    return " ".join(part for part in (found.model, person, found.hand) if part)


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join(_line(row, widths) for row in rows)


def _line(row: Iterable[str], widths: list[int]) -> str:
    cells = list(row)
    texts = [cell.ljust(width) for cell, width in zip(cells[:2], widths[:2], strict=True)]
    numbers = [cell.rjust(width) for cell, width in zip(cells[2:], widths[2:], strict=True)]
    return "  ".join(texts + numbers).rstrip()
