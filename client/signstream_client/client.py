"""The client that waits: plain calls. `aio` has the same names with `await`."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Unpack

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

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


class Client:
    """A signstream service.

    url: like http://127.0.0.1:8000. timeout_s: longest wait for one answer; a long video takes its time.
    key: who asks, for a service with keys; None takes that of SIGNSTREAM_KEY, if there is one.
    transport: how requests travel; httpx's own by default.
    Every call raises NoServer, AnswerTimeout, ProtocolError, or the twin of the problem that was answered.
    """

    def __init__(
        self,
        url: str = rest.DEFAULT_URL,
        *,
        timeout_s: float = 300.0,
        key: str | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = rest.base_url(url)
        self.timeout_s = timeout_s
        self._who = rest.key_headers(key)
        limits = httpx.Timeout(timeout_s, connect=CONNECT_S)
        self._http = httpx.Client(base_url=self.url, timeout=limits, headers=self._who, transport=transport)

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

    def session(self, models: Sequence[str] | None = None, **options: Unpack[Options]) -> Session:
        """A session that waits for its socket: `join` opens it, or a browser that is handed the token."""
        return rest.read_session(*self._ask("POST", rest.SESSIONS, json=given(models, options)))

    def end(self, session: Session | str) -> None:
        """End a session, given by itself or by its id, as `stop` does."""
        rest.check_ended(*self._ask("DELETE", rest.session_path(session)))

    def watch(
        self, session: Session | str, *, after: int = 0, reconnect: Reconnect | None = None
    ) -> Iterator[Event | Summary]:
        """A session's events as they are told, then the summary, for who only looks on.

        session: by itself, by its id, or the address that its `watch` is.
        after: number of the last event that is known already.
        A lost connection is made anew as `reconnect` says, and each event comes once.
        """
        viewer, tries = Viewer(after), Tries(reconnect or Reconnect())
        while viewer.summary is None:
            try:
                for message in self._look_on(rest.events_path(session), viewer):
                    tries.stood()
                    yield message
            except (NoServer, AnswerTimeout, ProblemError) as error:
                tries.lost()
                if not may_pass(error) or (wait_s := tries.wait_s()) is None:
                    raise
                time.sleep(wait_s)

    def _look_on(self, path: str, viewer: Viewer) -> Iterator[Event | Summary]:
        with own_errors(self.url), self._http.stream("GET", path, headers=viewer.headers) as answer:
            if answer.status_code != 200:
                raise rest.refusal(answer.status_code, answer.read())
            for line in answer.iter_lines():
                if (message := viewer.read(line)) is not None:
                    yield message
        if viewer.summary is None:
            raise NoServer(f"{self.url} ended the events without a summary")

    def _ask(
        self,
        method: str,
        path: str,
        params: dict[str, str] | None = None,
        content: IO[bytes] | None = None,
        json: dict[str, Any] | None = None,
    ) -> tuple[int, bytes]:
        headers = rest.FILE_HEADERS if content else None
        with own_errors(self.url):
            answer = self._http.request(method, path, params=params, content=content, json=json, headers=headers)
        return answer.status_code, answer.content

    @contextmanager
    def stream(
        self, models: Sequence[str] | None = None, *, reconnect: Reconnect | None = None, **options: Unpack[Options]
    ) -> Iterator[Stream]:
        """An open stream, ready for frames; arguments as in `Options` and `Reconnect`. Leaving the block ends it."""
        protocol = StreamProtocol(models, reconnect=reconnect, **options)
        with Stream(Address(self.url, self._who), protocol, self.timeout_s) as stream:
            yield stream

    @contextmanager
    def join(self, session: Session, *, reconnect: Reconnect | None = None) -> Iterator[Stream]:
        """The stream of a session that waits for it. Leaving the block ends it."""
        protocol = StreamProtocol(reconnect=reconnect, session=session)
        with Stream(Address(self.url, self._who, session.token), protocol, self.timeout_s) as stream:
            yield stream


class Stream:
    """An open stream: send frames, iterate over messages, stop.

    One thread may send while another iterates. Who only sends may read it all after `stop`, up to about 4,000
    messages; more than that, and the service is made to wait until they are read.

    Where the stream is resumable and its line is lost, whoever calls next makes a new one, and waits for it:
    `Interrupted` and `Resumed` are among the messages, and no event is lost or told twice. Every call raises
    StreamClosed where the service ends the stream, and StreamLost, which is one, where it cannot be resumed.
    """

    ready: Ready
    """What was agreed at first, and the models that answer."""

    def __init__(self, address: Address, protocol: StreamProtocol, timeout_s: float) -> None:
        self._address = address
        self._protocol = protocol
        self._timeout_s = timeout_s
        self._line: ClientConnection | None = None
        self._held: deque[Message] = deque()
        # Who reads may come to say something, never the other way round.
        self._reading, self._saying = threading.Lock(), threading.Lock()

    def __enter__(self) -> Stream:
        self._open_line()
        assert self._protocol.ready is not None
        self._held.clear()
        self.ready = self._protocol.ready
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._line is not None:
            self._line.close()

    def send(self, *frames: Frame | Picture) -> int:
        """Send frames in one message; returns the seq of the last. Raises BadFrame where time does not grow."""
        seq = -1

        def say() -> list[str | bytes]:
            nonlocal seq
            seq, messages = self._protocol.frames(*frames)
            return messages

        self._say(say)
        return seq

    def send_picture(self, picture: bytes, at_s: float) -> int:
        """Send a JPEG, PNG or WebP file of the moment `at_s`; returns its seq."""
        return self.send(Picture(at_s, picture))

    def keepalive(self) -> None:
        """Say that all is well, and hear the same: `Done` follows, as after the next three."""
        self._say(lambda: [self._protocol.keepalive()])

    def flush(self) -> None:
        """Have everything judged that was sent, and end what is open; then go on as after a gap."""
        self._say(lambda: [self._protocol.flush()])

    def configure(self, **changes: Unpack[Changes]) -> None:
        """Change what the session was opened with, from the next frame on."""
        self._say(lambda: [self._protocol.configure(**changes)])

    def reset(self) -> None:
        """End what is open and forget all frames; time may begin anew."""
        self._say(lambda: [self._protocol.reset()])

    def __iter__(self) -> Iterator[Message]:
        """Messages as they come, the summary last."""
        while (message := self._next(None)) is not None:
            yield message

    def poll(self) -> Iterator[Message]:
        """The messages that have come by now, without waiting, unless for a new line in place of a lost one."""
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
        self._say(lambda: [self._protocol.stop()])
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
        """Take one message off the line; false when it is closed after the summary. `_reading` is held."""
        line = self._line
        if line is None:
            with self._saying:
                self._mend()
            return True
        try:
            self._take(line, timeout_s)
        except ConnectionClosed as closed:
            interrupted = self._protocol.closed(*close_frame(closed))
            if interrupted is None:
                return False
            self._held.append(interrupted)
            self._line = None
        return True

    def _take(self, line: ClientConnection, timeout_s: float | None) -> None:
        message = self._protocol.receive(line.recv(timeout_s))
        if message is not None:
            self._held.append(message)

    def _say(self, say: Callable[[], Sequence[str | bytes]]) -> None:
        """Send what is to be said now; where the line is lost, over a new one, with all else that may be lost."""
        with self._saying:
            line = self._mend()
            if _sent(line, say()):
                return
        # Whoever reads will hear why, and makes a new line; if nobody does, what says why may lie unread.
        if self._reading.acquire(blocking=False):
            try:
                while self._line is line and self._read(self._timeout_s):
                    pass
            finally:
                self._reading.release()
            with self._saying:
                self._mend()

    def _mend(self) -> ClientConnection:
        """The line, or a new one in its place. `_saying` is held."""
        while (line := self._line) is None:
            time.sleep(self._protocol.wait_s())
            try:
                self._open_line()
            except (NoServer, AnswerTimeout, ProblemError) as error:
                if not may_pass(error):
                    raise
        return line

    def _open_line(self) -> None:
        """Open a line, say what comes first, and all that has to be sent again; it may be lost again meanwhile."""
        with ExitStack() as giving_up:
            with own_errors(self._address.base):
                line = giving_up.enter_context(connect(**self._address.next()))
            try:
                _sent(line, self._protocol.opening())
                while not self._protocol.open:
                    self._take(line, self._timeout_s)
                self._line = line
                _sent(line, self._protocol.backlog())
            except ConnectionClosed as closed:
                self._protocol.closed(*close_frame(closed))
            except TimeoutError as error:
                raise AnswerTimeout(f"no ready within {self._timeout_s:g} s after start") from error
            giving_up.pop_all()


def _sent(line: ClientConnection, messages: Sequence[str | bytes]) -> bool:
    """Whether they were sent; else the line is lost, and who reads from it will hear why."""
    try:
        for message in messages:
            line.send(message)
    except ConnectionClosed:
        return False
    return True
