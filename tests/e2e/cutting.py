"""Lines that are cut: a proxy on loopback before a service."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

_ABRUPT = struct.pack("ii", 1, 0)
"""SO_LINGER: closing throws away what is under way, and the other side gets a reset."""


class CuttingProxy:
    """Passes bytes on, to and fro. The nth connection is cut after so many of them; those after the last number live.

    lines: how many connections there were.
    """

    def __init__(self, url: str, cuts: Iterable[int]) -> None:
        self.turn_to(url)
        self._cuts = iter(cuts)
        self._door = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._lines: list[_Line] = []

    def turn_to(self, url: str) -> None:
        """From the next connection on, to another service."""
        parts = urlsplit(url)
        self._to = parts.hostname, parts.port

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._door.getsockname()[1]}"

    @property
    def lines(self) -> int:
        """How many there were."""
        return len(self._lines)

    def run(self) -> None:
        """Until closed."""
        while True:
            try:
                near, _ = self._door.accept()
            except OSError:
                return
            line = _Line(near, socket.create_connection(self._to), next(self._cuts, None))
            self._lines.append(line)
            for pump in (line.there, line.back):
                self._threads.append(threading.Thread(target=pump))
                self._threads[-1].start()

    def cut(self) -> None:
        """All lines that there are."""
        for line in self._lines:
            line.cut()

    def close(self) -> None:
        """Hang up on everybody."""
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        self.cut()
        for thread in self._threads:
            thread.join()


class _Line:
    """One connection. left: bytes until it is cut, None for never."""

    def __init__(self, near: socket.socket, far: socket.socket, left: int | None) -> None:
        self._near, self._far, self._left = near, far, left
        self._lock = threading.Lock()

    def there(self) -> None:
        """From the caller to the service."""
        self._pump(self._near, self._far)

    def back(self) -> None:
        """From the service to the caller."""
        self._pump(self._far, self._near)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(4096):
                with self._lock:
                    if self._left is not None:
                        data, self._left = data[: self._left], max(0, self._left - len(data))
                    over = self._left == 0
                sink.sendall(data)
                if over:
                    break
        self.cut()

    def cut(self) -> None:
        """At once, in both directions."""
        for end in (self._near, self._far):
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABRUPT)
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextmanager
def cutting(url: str, cuts: Iterable[int] = ()) -> Iterator[CuttingProxy]:
    """A proxy before the service at `url`, while it runs."""
    proxy = CuttingProxy(url, cuts)
    thread = threading.Thread(target=proxy.run)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join()
