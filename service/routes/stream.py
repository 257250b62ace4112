"""One socket of a live session: bytes and text in and out, and nothing else. See docs/protocol.md."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from service import answers
from service.errors import Busy, Draining, InvalidMessage, NotReady, problem_of
from service.house import House
from service.keys import check_key, has_key
from service.line import Line
from service.live import LiveSession
from service.messages import Resume, Start, read_control

router = APIRouter()

_KEYLESS_S = 5.0
"""How long a socket without a key has to say which session it resumes."""


@router.websocket("/v1/stream")
async def stream(socket: WebSocket) -> None:
    """Frames in, events out: of a session that begins here, or that goes on here."""
    house: House = socket.app.state.house
    await socket.accept()
    line = Line(socket)
    try:
        live, seen = await _session(socket, house)
    except WebSocketDisconnect:
        return
    except TimeoutError:
        await line.close(1008, "nothing was said")
        return
    except Exception as error:
        problem = problem_of(error)
        if problem is None:
            raise
        house.metrics.problems.labels(problem.code).inc()
        await line.say(answers.write(answers.problem(problem)))
        await line.close(1013 if isinstance(error, Busy | Draining | NotReady) else 1008, problem.title)
        return
    await live.greet(line, seen)
    try:
        while True:
            await live.hear(await _receive(socket))
    except WebSocketDisconnect as gone:
        await live.lost(line, gone.code)


async def _session(socket: WebSocket, house: House) -> tuple[LiveSession, int | None]:
    """The session, and of one that is resumed the last event that its caller has."""
    token = socket.query_params.get("token")
    if token is not None:
        return await house.sessions.redeem(token), None
    keyed = has_key(socket)
    with house.sessions.arriving(keyed):
        async with asyncio.timeout(house.settings.token_s if keyed else _KEYLESS_S):
            first = await _receive(socket)
    message = read_control(first) if isinstance(first, str) else None
    if isinstance(message, Resume):  # its token is key enough
        return await house.sessions.resume(message.session, message.token), message.last_number
    check_key(socket)
    if isinstance(message, Start):
        return house.sessions.open(message), None
    raise InvalidMessage('the first message must be {"type": "start", ...} or {"type": "resume", ...}')


async def _receive(socket: WebSocket) -> bytes | str:
    raw = await socket.receive()
    if raw["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(raw.get("code", 1005))
    data: bytes | str | None = raw.get("bytes")
    return raw.get("text") or "" if data is None else data
