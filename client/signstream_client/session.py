"""Sessions that are opened over REST, and what is told to those who only watch one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from signstream_client.configuration import Configuration
from signstream_client.errors import ProtocolError
from signstream_client.fields import Fields
from signstream_client.messages import Event, Summary, decode_message


@dataclass(frozen=True)
class Session:
    """A session that waits for its socket.

    id: of the session. token: opens it once, within `expires_in_s` seconds, without a key: it may be handed to a
    browser. socket: the address for that. watch: the address of its events, for who only looks on, with a token of
    its own. configuration: what is in force.
    """

    id: str
    token: str
    socket: str
    expires_in_s: float
    watch: str
    configuration: Configuration
    options: dict[str, Any]
    """The configuration as JSON has it."""

    @classmethod
    def read(cls, fields: Fields) -> Session:
        """From the service's JSON; raises ProtocolError."""
        return cls(
            id=fields.text("session"),
            token=fields.text("token"),
            socket=fields.text("socket"),
            expires_in_s=fields.number("expires_in_s"),
            watch=fields.text("watch"),
            configuration=Configuration.read(fields.inner("configuration")),
            options=fields.table("configuration"),
        )


class Viewer:
    """Reads a session's Server-Sent Events, line by line, over one answer after another; each event once."""

    def __init__(self, after: int = 0) -> None:
        self.last_number = after
        self.summary: Summary | None = None
        self._data: list[str] = []

    @property
    def headers(self) -> dict[str, str]:
        """Of the request that goes on from here."""
        self._data = []
        return {"accept": "text/event-stream", "last-event-id": str(self.last_number)}

    def read(self, line: str) -> Event | Summary | None:
        """What a line completes. Raises ProtocolError."""
        if line:
            if line.startswith("data:"):
                self._data.append(line.removeprefix("data:").removeprefix(" "))
            return None
        data, self._data = "\n".join(self._data), []
        message = decode_message(data) if data else None
        match message:
            case Event() if message.number > self.last_number:
                self.last_number = message.number
                return message
            case Summary():
                self.summary = message
                return message
            case Event() | None:
                return None
        raise ProtocolError(f"a viewer is told events and the summary, got {type(message).__name__.lower()}")
