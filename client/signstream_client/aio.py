"""The client for asyncio: the names of `client`, with `await`."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Unpack

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from signstream_client import rest
from signstream_client.clip import Clip
from signstream_client.configuration import Changes, Options, given
from signstream_client.errors import AnswerTimeout, NoServer, ProblemError
from signstream_client.frame import Frame, Picture
from signstream_client.messages import Event, Message, Ready, Summary
from signstream_client.model import Model, Readiness
from signstream_client.protocol import StreamProtocol
from signstream_client.reconnect import Reconnect, Tries
from signstream_client.session import Session, Viewer
from signstream_client.transport import CONNECT_S, Address, close_frame, may_pass, own_errors

_CHUNK = 1 << 20


class AsyncClient:
    """A signstream service; arguments and errors as of `Client`."""

    def __init__(
        self,
        url: str = rest.DEFAULT_URL,
        *,
        timeout_s: float = 300.0,
        key: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = rest.base_url(url)
        self.timeout_s = timeout_s
        self._who = rest.key_headers(key)
        limits = httpx.Timeout(timeout_s, connect=CONNECT_S)
        self._http = httpx.AsyncClient(base_url=self.url, timeout=limits, headers=self._who, transport=transport)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def clip(
        self,
        path: str | Path,
        models: Sequence[str] | None = None,
        *,
        fps: float | None = None,
        aspect: float | None = None,
    ) -> Clip:
        """What is in a landmark file or a video; by all models if None.

        fps, aspect: frames a second and width / height, for a landmark file that does not say.
        Raises OSError where the file is not there.
        """
        size = await asyncio.to_thread(lambda: Path(path).stat().st_size)
        with await asyncio.to_thread(Path(path).open, "rb") as file:
            headers = rest.FILE_HEADERS | {"content-length": str(size)}
            return rest.read_clip(
                *await self._ask("POST", rest.CLIPS, rest.clip_params(models, fps, aspect), file, headers)
            )

    async def models(self) -> tuple[Model, ...]:
        """The loaded models."""
        return rest.read_models(*await self._ask("GET", rest.MODELS))

    async def ready(self) -> Readiness:
        """Whether every model is warm."""
        return rest.read_ready(*await self._ask("GET", rest.READY))

    async def session(self, models: Sequence[str] | None = None, **options: Unpack[Options]) -> Session:
        """A session that waits for its socket: `join` opens it, or a browser that is handed the token."""
        return rest.read_session(*await self._ask("POST", rest.SESSIONS, json=given(models, options)))

    async def end(self, session: Session | str) -> None:
        """End a session, given by itself or by its id, as `stop` does."""
        rest.check_ended(*await self._ask("DELETE", rest.session_path(session)))

    async def watch(
        self, session: Session | str, *, after: int = 0, reconnect: Reconnect | None = None
    ) -> AsyncIterator[Event | Summary]:
        """A session's events as they are told, then the summary, for who only looks on.

        session: by itself, by its id, or the address that its `watch` is.
        after: number of the last event that is known already.
        A lost connection is made anew as `reconnect` says, and each event comes once.
        """
        viewer, tries = Viewer(after), Tries(reconnect or Reconnect())
        while viewer.summary is None:
            try:
                async for message in self._look_on(rest.events_path(session), viewer):
                    tries.stood()
                    yield message
            except (NoServer, AnswerTimeout, ProblemError) as error:
                tries.lost()
                if not may_pass(error) or (wait_s := tries.wait_s()) is None:
                    raise
                await asyncio.sleep(wait_s)

    async def _look_on(self, path: str, viewer: Viewer) -> AsyncIterator[Event | Summary]:
        with own_errors(self.url):
            async with self._http.stream("GET", path, headers=viewer.headers) as answer:
                if answer.status_code != 200:
                    raise rest.refusal(answer.status_code, await answer.aread())
                async for line in answer.aiter_lines():
                    if (message := viewer.read(line)) is not None:
                        yield message
        if viewer.summary is None:
            raise NoServer(f"{self.url} ended the events without a summary")

    async def _ask(
        self,
        method: str,
        path: str,
        params: dict[str, str] | None = None,
        content: IO[bytes] | None = None,
        headers: dict[str, str] | None = None,
        json: dict[str, Any] | None = None,
    ) -> tuple[int, bytes]:
        with own_errors(self.url):
            chunks = _chunks(content) if content else None
            answer = await self._http.request(method, path, params=params, content=chunks, json=json, headers=headers)
        return answer.status_code, answer.content

    @asynccontextmanager
    async def stream(
        self, models: Sequence[str] | None = None, *, reconnect: Reconnect | None = None, **options: Unpack[Options]
    ) -> AsyncIterator[AsyncStream]:
        """An open stream, ready for frames; arguments as in `Options` and `Reconnect`. Leaving the block ends it."""
        protocol = StreamProtocol(models, reconnect=reconnect, **options)
        async with AsyncStream(Address(self.url, self._who), protocol, self.timeout_s) as stream:
            yield stream

    @asynccontextmanager
    async def join(self, session: Session, *, reconnect: Reconnect | None = None) -> AsyncIterator[AsyncStream]:
        """The stream of a session that waits for it. Leaving the block ends it."""
        protocol = StreamProtocol(reconnect=reconnect, session=session)
        async with AsyncStream(Address(self.url, self._who, session.token), protocol, self.timeout_s) as stream:
            yield stream


async def _chunks(file: IO[bytes]) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(file.read, _CHUNK):
        yield chunk


class AsyncStream:
    """An open stream: as `Stream`, but one task may send while another iterates."""

    ready: Ready
    """What was agreed at first, and the models that answer."""

    def __init__(self, address: Address, protocol: StreamProtocol, timeout_s: float) -> None:
        self._address = address
        self._protocol = protocol
        self._timeout_s = timeout_s
        self._line: ClientConnection | None = None
        self._held: deque[Message] = deque()
        # Who reads may come to say something, never the other way round.
        self._reading, self._saying = asyncio.Lock(), asyncio.Lock()

    async def __aenter__(self) -> AsyncStream:
        await self._open_line()
        assert self._protocol.ready is not None
        self._held.clear()
        self.ready = self._protocol.ready
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._line is not None:
            await self._line.close()

    async def send(self, *frames: Frame | Picture) -> int:
        """Send frames in one message; returns the seq of the last. Raises BadFrame where time does not grow."""
        seq = -1

        def say() -> list[str | bytes]:
            nonlocal seq
            seq, messages = self._protocol.frames(*frames)
            return messages

        await self._say(say)
        return seq

    async def send_picture(self, picture: bytes, at_s: float) -> int:
        """Send a JPEG, PNG or WebP file of the moment `at_s`; returns its seq."""
        return await self.send(Picture(at_s, picture))

    async def keepalive(self) -> None:
        """Say that all is well, and hear the same: `Done` follows, as after the next three."""
        await self._say(lambda: [self._protocol.keepalive()])

    async def flush(self) -> None:
        """Have everything judged that was sent, and end what is open; then go on as after a gap."""
        await self._say(lambda: [self._protocol.flush()])

    async def configure(self, **changes: Unpack[Changes]) -> None:
        """Change what the session was opened with, from the next frame on."""
        await self._say(lambda: [self._protocol.configure(**changes)])

    async def reset(self) -> None:
        """End what is open and forget all frames; time may begin anew."""
        await self._say(lambda: [self._protocol.reset()])

    async def __aiter__(self) -> AsyncIterator[Message]:
        """Messages as they come, the summary last."""
        while (message := await self._next(None)) is not None:
            yield message

    async def poll(self) -> AsyncIterator[Message]:
        """The messages that have come by now, without waiting, unless for a new line in place of a lost one."""
        while True:
            try:
                message = await self._next(0)
            except TimeoutError:
                return
            if message is None:
                return
            yield message

    async def stop(self) -> Summary:
        """End what is open and wait for the summary; messages on the way are kept for who iterates."""
        await self._say(lambda: [self._protocol.stop()])
        while self._protocol.summary is None:
            async with self._reading:
                if self._protocol.summary is not None:
                    break
                try:
                    await self._read(self._timeout_s)
                except TimeoutError as error:
                    raise AnswerTimeout(f"no summary within {self._timeout_s:g} s after stop") from error
        return self._protocol.summary

    async def _next(self, timeout_s: float | None) -> Message | None:
        """The next message, held or from the wire; None after the end. Raises TimeoutError."""
        async with self._reading:
            while not self._held:
                if self._protocol.summary is not None or not await self._read(timeout_s):
                    return None
            return self._held.popleft()

    async def _read(self, timeout_s: float | None) -> bool:
        """Take one message off the line; false when it is closed after the summary. `_reading` is held."""
        line = self._line
        if line is None:
            async with self._saying:
                await self._mend()
            return True
        try:
            await self._take(line, timeout_s)
        except ConnectionClosed as closed:
            interrupted = self._protocol.closed(*close_frame(closed))
            if interrupted is None:
                return False
            self._held.append(interrupted)
            self._line = None
        return True

    async def _take(self, line: ClientConnection, timeout_s: float | None) -> None:
        async with asyncio.timeout(timeout_s):
            data = await line.recv()
        message = self._protocol.receive(data)
        if message is not None:
            self._held.append(message)

    async def _say(self, say: Callable[[], Sequence[str | bytes]]) -> None:
        """Send what is to be said now; where the line is lost, over a new one, with all else that may be lost."""
        async with self._saying:
            line = await self._mend()
            if await _sent(line, say()):
                return
        # Whoever reads will hear why, and makes a new line; if nobody does, what says why may lie unread.
        if not self._reading.locked():
            async with self._reading:
                while self._line is line and await self._read(self._timeout_s):
                    pass
            async with self._saying:
                await self._mend()

    async def _mend(self) -> ClientConnection:
        """The line, or a new one in its place. `_saying` is held."""
        while (line := self._line) is None:
            await asyncio.sleep(self._protocol.wait_s())
            try:
                await self._open_line()
            except (NoServer, AnswerTimeout, ProblemError) as error:
                if not may_pass(error):
                    raise
        return line

    async def _open_line(self) -> None:
        """Open a line, say what comes first, and all that has to be sent again; it may be lost again meanwhile."""
        async with AsyncExitStack() as giving_up:
            with own_errors(self._address.base):
                line = await giving_up.enter_async_context(connect(**self._address.next()))
            try:
                await _sent(line, self._protocol.opening())
                while not self._protocol.open:
                    await self._take(line, self._timeout_s)
                self._line = line
                await _sent(line, self._protocol.backlog())
            except ConnectionClosed as closed:
                self._protocol.closed(*close_frame(closed))
            except TimeoutError as error:
                raise AnswerTimeout(f"no ready within {self._timeout_s:g} s after start") from error
            giving_up.pop_all()


async def _sent(line: ClientConnection, messages: Sequence[str | bytes]) -> bool:
    """Whether they were sent; else the line is lost, and who reads from it will hear why."""
    try:
        for message in messages:
            await line.send(message)
    except ConnectionClosed:
        return False
    return True
