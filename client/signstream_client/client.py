"""The client that waits: plain calls. `aio` has the same names with `await`."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from signstream_client import rest
from signstream_client.clip import Clip
from signstream_client.errors import AnswerTimeout
from signstream_client.frame import Frame, Picture
from signstream_client.messages import Message, Ready, Summary
from signstream_client.model import Model, Readiness
from signstream_client.protocol import StreamProtocol
from signstream_client.transport import CONNECT_S, MAX_UNREAD, close_frame, own_errors


class Client:
    """A signstream service.

    url: like http://127.0.0.1:8000. timeout_s: longest wait for one answer; a long video takes its time.
    transport: how requests travel; httpx's own by default.
    Every call raises NoServer, AnswerTimeout, ProtocolError, or the twin of the problem that was answered.
    """

    def __init__(
        self, url: str = rest.DEFAULT_URL, *, timeout_s: float = 300.0, transport: httpx.BaseTransport | None = None
    ) -> None:
        self.url = rest.base_url(url)
        self.timeout_s = timeout_s
        limits = httpx.Timeout(timeout_s, connect=CONNECT_S)
        self._http = httpx.Client(base_url=self.url, timeout=limits, transport=transport)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def clip(
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
        with Path(path).open("rb") as file:
            return rest.read_clip(*self._ask("POST", rest.CLIPS, rest.clip_params(models, fps, aspect), file))

    def models(self) -> tuple[Model, ...]:
        """The loaded models."""
        return rest.read_models(*self._ask("GET", rest.MODELS))

    def ready(self) -> Readiness:
        """Whether every model is warm."""
        return rest.read_ready(*self._ask("GET", rest.READY))

    def _ask(
        self, method: str, path: str, params: dict[str, str] | None = None, content: IO[bytes] | None = None
    ) -> tuple[int, bytes]:
        headers = rest.FILE_HEADERS if content else None
        with own_errors(self.url):
            answer = self._http.request(method, path, params=params, content=content, headers=headers)
        return answer.status_code, answer.content

    @contextmanager
    def stream(
        self,
        models: Sequence[str] | None = None,
        *,
        aspect: float | None = None,
        scores: bool = False,
        landmarks: bool = False,
        float16: bool = False,
    ) -> Iterator[Stream]:
        """An open stream, ready for frames; arguments as in `StreamProtocol`. Leaving the block hangs up."""
        protocol = StreamProtocol(models, aspect=aspect, scores=scores, landmarks=landmarks, float16=float16)
        with ExitStack() as hanging_up:
            with own_errors(self.url):
                address = rest.socket_url(self.url)
                opening = connect(address, open_timeout=CONNECT_S, max_queue=MAX_UNREAD, max_size=None)
                socket = hanging_up.enter_context(opening)
            stream = Stream(socket, protocol, self.timeout_s)
            stream.open()
            yield stream


class Stream:
    """An open stream: send frames, iterate over messages, stop.

    One thread may send while another iterates. Who only sends may read it all after `stop`, up to about 4,000
    messages; more than that, and the service is made to wait until they are read.
    """

    ready: Ready
    """What was agreed, and the models that answer."""

    def __init__(self, socket: ClientConnection, protocol: StreamProtocol, timeout_s: float) -> None:
        self._socket = socket
        self._protocol = protocol
        self._timeout_s = timeout_s
        self._held: deque[Message] = deque()
        self._reading = threading.Lock()

    def open(self) -> None:
        """Send `start` and wait for `ready`; `Client.stream` has done it."""
        self._say(self._protocol.start())
        try:
            while self._protocol.ready is None:
                self._read(self._timeout_s)
        except TimeoutError as error:
            raise AnswerTimeout(f"no ready within {self._timeout_s:g} s after start") from error
        self._held.clear()
        self.ready = self._protocol.ready

    def send(self, frame: Frame | Picture) -> int:
        """Send one frame; returns its seq. Raises BadFrame where time does not grow, StreamClosed."""
        seq, data = self._protocol.frame(frame)
        self._say(data)
        return seq

    def send_picture(self, picture: bytes, at_s: float) -> int:
        """Send a JPEG, PNG or WebP file of the moment `at_s`; returns its seq."""
        return self.send(Picture(at_s, picture))

    def __iter__(self) -> Iterator[Message]:
        """Messages as they come, the summary last. Raises StreamClosed where the service hangs up before."""
        while (message := self._next(None)) is not None:
            yield message

    def poll(self) -> Iterator[Message]:
        """The messages that have come by now, without waiting."""
        while True:
            try:
                message = self._next(0)
            except TimeoutError:
                return
            if message is None:
                return
            yield message

    def stop(self) -> Summary:
        """End what is open and wait for the summary; messages on the way are kept for who iterates."""
        self._say(self._protocol.stop())
        while self._protocol.summary is None:
            with self._reading:
                if self._protocol.summary is not None:
                    break
                try:
                    self._read(self._timeout_s)
                except TimeoutError as error:
                    raise AnswerTimeout(f"no summary within {self._timeout_s:g} s after stop") from error
        return self._protocol.summary

    def _next(self, timeout_s: float | None) -> Message | None:
        """The next message, held or from the wire; None after the end. Raises TimeoutError."""
        with self._reading:
            while not self._held:
                if self._protocol.summary is not None or not self._read(timeout_s):
                    return None
            return self._held.popleft()

    def _read(self, timeout_s: float | None) -> bool:
        """Take one message off the wire; false when it is closed after the summary."""
        try:
            message = self._protocol.receive(self._socket.recv(timeout_s))
        except ConnectionClosed as closed:
            self._protocol.closed(*close_frame(closed))
            return False
        if message is not None:
            self._held.append(message)
        return True

    def _say(self, data: str | bytes) -> None:
        try:
            self._socket.send(data)
        except ConnectionClosed as closed:
            # A problem that says why may lie unread before the close.
            with self._reading:
                while self._read(0):
                    pass
            self._protocol.closed(*close_frame(closed))
