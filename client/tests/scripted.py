"""A service that follows a script: real sockets on a loopback port, answers known beforehand."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from signstream_client.frame import Frame, Picture, decode_frame
from websockets.sync.server import ServerConnection, serve


class ScriptedService:
    """Answers `start` with `opening`, each frame with the next of `replies`, `stop` with `closing`, and hangs up.

    After the last reply it closes with `close_code` where that is given.
    """

    def __init__(
        self,
        opening: list[dict[str, object]],
        replies: list[list[dict[str, object]]],
        closing: list[dict[str, object]],
        close_code: int | None = None,
    ) -> None:
        self._opening, self._replies, self._closing = opening, list(replies), closing
        self._close_code = close_code
        self.start: dict[str, object] = {}
        self.frames: list[Frame | Picture] = []

    def __call__(self, socket: ServerConnection) -> None:
        for data in socket:
            if isinstance(data, bytes):
                self.frames.append(decode_frame(data))
                self._say(socket, self._replies.pop(0) if self._replies else [])
                if not self._replies and self._close_code:
                    socket.close(self._close_code, "as the script says")
                    return
            elif (message := json.loads(data))["type"] == "start":
                self.start = message
                self._say(socket, self._opening)
            else:
                self._say(socket, self._closing)
                return

    @staticmethod
    def _say(socket: ServerConnection, messages: list[dict[str, object]]) -> None:
        for message in messages:
            socket.send(json.dumps(message))


@contextmanager
def serving(service: ScriptedService) -> Iterator[str]:
    """Its address, while it runs."""
    with serve(service, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join()
