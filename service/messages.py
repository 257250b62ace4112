"""What callers say in a socket, but for frames (`wire`): how a stream begins, and what steers it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from service.configuration import Changes, Configuration, Given
from service.errors import InvalidMessage


class Start(Configuration):
    """The first message of a stream that opens a session."""

    type: Literal["start"] = "start"


class Resume(Given):
    """The first message of a stream that goes on with a session whose line was lost."""

    type: Literal["resume"] = "resume"
    session: str
    """Its id, as `ready` said."""
    token: str
    """What `ready` gave for this."""
    last_number: Annotated[int, Field(ge=0)] = 0
    """The number of the last event message that came through; what came after it is sent again."""


class Keepalive(Given):
    """I am still here; is all well? Answered with `done`."""

    type: Literal["keepalive"] = "keepalive"


class Flush(Given):
    """Judge what waits for frames to come, end what is open, say so; then go on as after a gap."""

    type: Literal["flush"] = "flush"


class Configure(Changes):
    """Change a session under way, from the next frame on."""

    type: Literal["configure"] = "configure"


class Reset(Given):
    """End what is open and forget all frames; time may begin anew."""

    type: Literal["reset"] = "reset"


class Stop(Given):
    """The last message of a stream: all finals, a summary, and the close."""

    type: Literal["stop"] = "stop"


Control = Keepalive | Flush | Configure | Reset | Stop

_TEXTS: TypeAdapter[Start | Resume | Control] = TypeAdapter(
    Annotated[Start | Resume | Keepalive | Flush | Configure | Reset | Stop, Field(discriminator="type")]
)


def read_control(text: str | bytes) -> Start | Resume | Control:
    """A text message that is no frame. Raises InvalidMessage."""
    try:
        return _TEXTS.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        raise InvalidMessage(f"{where}: {first['msg']}" if where else first["msg"]) from error
