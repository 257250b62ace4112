"""When a socket is read, and when it waits for its session."""

import asyncio

import pytest
import uvicorn
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode

from service.websocket import WAITING, WebSocketProtocol


class Transport(asyncio.Transport):
    """Remembers whether it may read."""

    reading = True

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True


@pytest.fixture
def heard():
    """What hears frames, and its transport."""

    async def app(scope, receive, send):
        raise AssertionError("nobody connects")

    async def build():
        config = uvicorn.Config(app, ws=WebSocketProtocol)
        config.load()
        protocol = WebSocketProtocol(config, ServerState(), {})
        protocol.transport = Transport()
        return protocol

    return build


def test_reading_stops_where_some_messages_wait_and_goes_on_once_none_does(heard):
    async def main():
        protocol = await heard()
        reading = []
        for i in range(WAITING + 1):
            protocol.handle_bytes(Frame(Opcode.BINARY, bytes([i])))
            reading.append(protocol.transport.reading)
        assert reading == [True] * (WAITING - 1) + [False, False]
        taken = []
        while not protocol.transport.reading:
            taken.append((await protocol.receive())["bytes"])
        assert taken == [bytes([i]) for i in range(WAITING + 1)], "in order, and none lost"

    asyncio.run(main())
