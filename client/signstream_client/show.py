"""Answers as text for people, or as JSON for programs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence

from signstream_client.clip import Clip, Segment
from signstream_client.messages import Dropped, Event, Message, Problem, Scores, Summary


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
            return f"            {message.count} frames dropped: {message.reason}"
        case Problem():
            return f"            problem: {message.detail or message.title}"
        case Summary():
            events = ", ".join(f"{model} {count}" for model, count in message.events.items()) or "none"
            return f"{message.frames} frames, {message.dropped} dropped, {message.problems} problems; events: {events}"
    return None


def message_json(message: Message) -> str | None:
    """A stream's message as one line of JSON, its `type` added; None for landmarks, which would drown the rest."""
    if not isinstance(message, Event | Scores | Dropped | Problem | Summary):
        return None
    return json.dumps({"type": type(message).__name__.lower()} | dataclasses.asdict(message))


def _who(found: Event | Segment) -> str:
    return f"{found.model} {found.hand}" if found.hand else found.model


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join(_line(row, widths) for row in rows)


def _line(row: Iterable[str], widths: list[int]) -> str:
    cells = list(row)
    texts = [cell.ljust(width) for cell, width in zip(cells[:2], widths[:2], strict=True)]
    numbers = [cell.rjust(width) for cell, width in zip(cells[2:], widths[2:], strict=True)]
    return "  ".join(texts + numbers).rstrip()
