"""Sessions over REST: opened with a token for a socket, looked at, watched, ended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import StreamingResponse

from service.answers import Opened, Status, write
from service.configuration import Configuration
from service.errors import (
    Busy,
    Draining,
    InvalidRequest,
    NotReady,
    StoreUnavailable,
    Unauthorised,
    UnknownModel,
    UnknownSession,
)
from service.keys import KEYED, SCHEMES, check_key, same
from service.live import LiveSession
from service.openapi import problems
from service.routes.health import house_of

router = APIRouter(prefix="/v1/sessions", tags=["sessions"])

_GONE = problems(UnknownSession("there is no such session here: it has ended, or was kept no longer"))


@router.post(
    "",
    status_code=201,
    dependencies=KEYED,
    summary="Open a session",
    response_model=None,
    responses={
        201: {"model": Opened},
        **problems(
            UnknownModel("no model sings; choose from signing, signs"),
            InvalidRequest("body.aspect: Input should be greater than or equal to 0.1"),
            NotReady("try again in a moment"),
            Draining("the service is about to stop; try again in a moment"),
            Busy("all 256 streams are taken; try again later"),
            StoreUnavailable("save: ConnectionError Connection refused"),
        ),
    },
)
async def open_session(request: Request, configuration: Configuration) -> dict[str, Any]:
    """A session, and the token with which a socket opens it: once, and soon."""
    house = house_of(request)
    ticket = await house.sessions.reserve(configuration)
    socket = request.url_for("stream").include_query_params(token=ticket.token)
    watch = request.url_for("watch_session", session=ticket.identity.session)
    return {
        "session": ticket.identity.session,
        "token": ticket.token,
        "socket": str(socket),
        "expires_in_s": house.settings.token_s,
        "configuration": ticket.configuration.plain(),
        "watch": str(watch.include_query_params(token=ticket.identity.view)),
    }


@router.get(
    "/{session}",
    dependencies=KEYED,
    summary="Look at a session",
    response_model=None,
    responses={200: {"model": Status}, **_GONE},
)
async def session_status(request: Request, session: str) -> Mapping[str, Any]:
    """How a session that lives is doing."""
    status = house_of(request).sessions.find(session).status()
    return {**status, "configuration": status["configuration"].plain()}


@router.delete("/{session}", status_code=204, dependencies=KEYED, summary="End a session", responses=_GONE)
async def end_session(request: Request, session: str) -> Response:
    """End it, as `stop` does; answers once it has ended."""
    live = house_of(request).sessions.find(session)
    await live.stop()
    await live.ended()
    return Response(status_code=204)


@router.get(
    "/{session}/events",
    dependencies=SCHEMES,
    summary="Watch a session",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Server-Sent Events: the `event` messages of the socket, and its `summary` in the end.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        **_GONE,
        **problems(InvalidRequest("Last-Event-ID is an event's number, got 'one'")),
    },
)
async def watch_session(
    request: Request,
    session: str,
    token: str | None = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """A session's events as Server-Sent Events, for who only looks on: from the first that is kept, or, where the
    viewer was cut off, from the one after `Last-Event-ID`. Takes a key, or the token of the address `watch`."""
    if last_event_id is not None and not last_event_id.isdecimal():
        raise InvalidRequest(f"Last-Event-ID is an event's number, got {last_event_id!r}")
    if token is None:
        check_key(request)
    live = house_of(request).sessions.find(session)
    if token is not None and not same(token, live.identity.view):
        raise Unauthorised("the token is not this session's")
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_events(live, int(last_event_id or 0)), media_type="text/event-stream", headers=headers)


async def _events(live: LiveSession, seen: int) -> AsyncIterator[str]:
    yield ": watching\n\n"
    async for number, text in live.watch(seen):
        yield f"id: {number}\nevent: event\ndata: {text}\n\n"
    yield f"event: summary\ndata: {write(live.summary)}\n\n"
