"""The client for asyncio: the names of `client`, with `await`."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import IO

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from signstream_client import rest
from signstream_client.clip import Clip
from signstream_client.errors import AnswerTimeout
from signstream_client.frame import Frame, Picture
from signstream_client.messages import Message, Ready, Summary
from signstream_client.model import Model, Readiness
from signstream_client.protocol import StreamProtocol
from signstream_client.transport import CONNECT_S, MAX_UNREAD, close_frame, own_errors

_CHUNK = 1 << 20


class AsyncClient:
    """A signstream service; arguments and errors as of `Client`."""

    def __init__(
        self,
        url: str = rest.DEFAULT_URL,
        *,
        timeout_s: float = 300.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = rest.base_url(url)
        self.timeout_s = timeout_s
        limits = httpx.Timeout(timeout_s, connect=CONNECT_S)
        self._http = httpx.AsyncClient(base_url=self.url, timeout=limits, transport=transport)

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

    async def _ask(
        self,
        method: str,
        path: str,
        params: dict[str, str] | None = None,
        content: IO[bytes] | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, bytes]:
        with own_errors(self.url):
            chunks = _chunks(content) if content else None
            answer = await self._http.request(method, path, params=params, content=chunks, headers=headers)
        return answer.status_code, answer.content

    @asynccontextmanager
    async def stream(
        self,
        models: Sequence[str] | None = None,
        *,
        aspect: float | None = None,
        scores: bool = False,
        landmarks: bool = False,
        float16: bool = False,
    ) -> AsyncIterator[AsyncStream]:
        """An open stream, ready for frames; arguments as in `StreamProtocol`. Leaving the block hangs up."""
        protocol = StreamProtocol(models, aspect=aspect, scores=scores, landmarks=landmarks, float16=float16)
        with own_errors(self.url):
            socket = await connect(
                rest.socket_url(self.url), open_timeout=CONNECT_S, max_queue=MAX_UNREAD, max_size=None
            )
        async with socket:
            stream = AsyncStream(socket, protocol, self.timeout_s)
            await stream.open()
            yield stream


async def _chunks(file: IO[bytes]) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(file.read, _CHUNK):
        yield chunk


class AsyncStream:
    """An open stream: send frames, iterate over messages, stop; one task may send while another iterates."""

    ready: Ready
    """What was agreed, and the models that answer."""

    def __init__(self, socket: ClientConnection, protocol: StreamProtocol, timeout_s: float) -> None:
        self._socket = socket
        self._protocol = protocol
        self._timeout_s = timeout_s
        self._held: deque[Message] = deque()
        self._reading = asyncio.Lock()

    async def open(self) -> None:
        """Send `start` and wait for `ready`; `AsyncClient.stream` has done it."""
        await self._say(self._protocol.start())
        try:
            while self._protocol.ready is None:
                await self._read(self._timeout_s)
        except TimeoutError as error:
            raise AnswerTimeout(f"no ready within {self._timeout_s:g} s after start") from error
        self._held.clear()
        self.ready = self._protocol.ready

    async def send(self, frame: Frame | Picture) -> int:
        """Send one frame; returns its seq. Raises BadFrame where time does not grow, StreamClosed."""
        seq, data = self._protocol.frame(frame)
        await self._say(data)
        return seq

    async def send_picture(self, picture: bytes, at_s: float) -> int:
        """Send a JPEG, PNG or WebP file of the moment `at_s`; returns its seq."""
        return await self.send(Picture(at_s, picture))

    async def __aiter__(self) -> AsyncIterator[Message]:
        """Messages as they come, the summary last. Raises StreamClosed where the service hangs up before."""
        while (message := await self._next(None)) is not None:
            yield message

    async def poll(self) -> AsyncIterator[Message]:
        """The messages that have come by now, without waiting."""
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
        await self._say(self._protocol.stop())
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
        """Take one message off the wire; false when it is closed after the summary."""
        try:
            async with asyncio.timeout(timeout_s):
                data = await self._socket.recv()
        except ConnectionClosed as closed:
            self._protocol.closed(*close_frame(closed))
            return False
        message = self._protocol.receive(data)
        if message is not None:
            self._held.append(message)
        return True

    async def _say(self, data: str | bytes) -> None:
        try:
            await self._socket.send(data)
        except ConnectionClosed as closed:
            # A problem that says why may lie unread before the close.
            async with self._reading:
                while await self._read(self._timeout_s):
                    pass
            self._protocol.closed(*close_frame(closed))
