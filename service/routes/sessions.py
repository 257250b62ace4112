"""Sessions over REST: opened with a token for a socket, looked at, watched, ended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import StreamingResponse

from service.answers import write
from service.configuration import Configuration
from service.errors import InvalidRequest, Unauthorised
from service.keys import KEYED, SCHEMES, check_key, same
from service.live import LiveSession
from service.routes.health import house_of

router = APIRouter(prefix="/v1/sessions", tags=["sessions"])


@router.post("", status_code=201, dependencies=KEYED)
async def open_session(request: Request, configuration: Configuration) -> dict[str, Any]:
    """A session, and the token with which a socket opens it: once, and soon."""
    house = house_of(request)
    ticket = house.sessions.reserve(configuration)
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


@router.get("/{session}", dependencies=KEYED)
async def session_status(request: Request, session: str) -> Mapping[str, Any]:
    """How a session that lives is doing."""
    return house_of(request).sessions.find(session).status()


@router.delete("/{session}", status_code=204, dependencies=KEYED)
async def end_session(request: Request, session: str) -> Response:
    """End it, as `stop` does; answers once it has ended."""
    live = house_of(request).sessions.find(session)
    await live.stop()
    await live.ended()
    return Response(status_code=204)


@router.get("/{session}/events", response_class=StreamingResponse, dependencies=SCHEMES)
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
