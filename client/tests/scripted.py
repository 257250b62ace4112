"""Services that follow a script: real sockets on a loopback port, answers known beforehand."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from signstream_client.frame import Frame, Picture, decode_frames
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from client.tests import answers


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
        self.controls: list[dict[str, object]] = []
        self.headers: Mapping[str, str] = {}
        self.path = ""

    def __call__(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        self.headers, self.path = socket.request.headers, socket.request.path
        if "token=" in self.path:
            self._say(socket, self._opening)
        for data in socket:
            if isinstance(data, bytes):
                frames = decode_frames(data)
                self.frames += frames
                for _ in frames:
                    self._say(socket, self._replies.pop(0) if self._replies else [])
                if not self._replies and self._close_code:
                    socket.close(self._close_code, "as the script says")
                    return
            elif (message := json.loads(data))["type"] == "start":
                self.start = message
                self._say(socket, self._opening)
            elif message["type"] == "stop":
                self._say(socket, self._closing)
                return
            else:
                self.controls.append(message)
                self._say(socket, [{"type": "done", "control": message["type"], "seq": None}])

    @staticmethod
    def _say(socket: ServerConnection, messages: list[dict[str, object]]) -> None:
        for message in messages:
            socket.send(json.dumps(message))


class Counter:
    """A session that can be resumed, without a socket: what a service would answer to each message.

    It tells an event of every third frame, of every flush that has something to end, and of the end. Every `ack_every`
    frames it keeps a snapshot, which is what is left of it where it goes on elsewhere.
    """

    def __init__(self, ack_every: int = 4) -> None:
        self._ack_every = ack_every
        self._kept: dict[str, Any] = {"seq": -1, "taken": 0, "number": 0, "flushed": 0}
        self._now = dict(self._kept)
        self._told: list[dict[str, object]] = []
        self._summary: list[dict[str, object]] = []

    def hear(self, data: str | bytes) -> list[dict[str, object]]:
        """The answers to one message."""
        if isinstance(data, bytes):
            if self.over:
                return []
            return [answer for frame in decode_frames(data) for answer in self._frame(frame.seq)]
        message = json.loads(data)
        match message["type"]:
            case "start":
                return [answers.RESUMABLE]
            case "resume":
                missed = [event for event in self._told if int(str(event["number"])) > message["last_number"]]
                return [*self._keep(), answers.RESUMED | {"next_seq": self._now["seq"] + 1}, *missed, *self._summary]
            case _ if self.over:
                return []
            case "stop":
                acknowledged = self._keep()
                self._summary = [answers.SUMMARY | {"frames": self._now["taken"]}]
                return [*acknowledged, self._event("end"), *self._summary]
        told = []
        if message["type"] == "flush" and self._now["flushed"] < self._now["taken"]:
            told = [self._event("flush")]
            self._now["flushed"] = self._now["taken"]
        return [*told, *self._keep(), {"type": "done", "control": message["type"], "seq": self._now["seq"]}]

    @property
    def over(self) -> bool:
        """Whether it was stopped."""
        return bool(self._summary)

    def move(self) -> None:
        """Go on elsewhere, from the last snapshot."""
        self._now = dict(self._kept)
        del self._told[self._now["number"] :]
        self._summary = []

    def _frame(self, seq: int) -> list[dict[str, object]]:
        if seq <= self._now["seq"]:
            return []
        assert seq == self._now["seq"] + 1, f"frame {seq} came after {self._now['seq']}"
        self._now["seq"] = seq
        self._now["taken"] += 1
        told = [] if seq % 3 else [self._event(f"frame {seq}")]
        return [*told, *(self._keep() if (seq + 1) % self._ack_every == 0 else [])]

    def _event(self, label: str) -> dict[str, object]:
        self._now["number"] += 1
        event = answers.EVENT | {"number": self._now["number"], "label": label, "id": f"e{self._now['number']}"}
        self._told.append(event)
        return event

    def _keep(self) -> list[dict[str, object]]:
        if not self.over:
            self._kept = dict(self._now)
        return [] if self._now["seq"] < 0 else [{"type": "ack", "seq": self._now["seq"]}]


class CutService:
    """`Counter` over sockets whose lines it cuts: the nth one after so many messages were said on it."""

    def __init__(self, cuts: list[int], moves: bool = False) -> None:
        self._cuts, self._moves = list(cuts), moves
        self._lock = threading.Lock()
        self.session = Counter()
        self.lines = 0

    def __call__(self, socket: ServerConnection) -> None:
        with self._lock:
            self.lines += 1
            left = self._cuts.pop(0) if self._cuts else 1 << 30
            if self._moves and self.lines > 1 and self.lines % 2:
                self.session.move()
            try:
                for data in socket:
                    for message in self.session.hear(data):
                        socket.send(json.dumps(message))
                        left -= 1
                        if left <= 0:
                            socket.close_socket()
                            return
                    if self.session.over:
                        return
            except ConnectionClosed:
                pass


class SilentService:
    """It takes frames without a word; the first line is cut when there were `cut_after` of them."""

    def __init__(self, cut_after: int) -> None:
        self._cut_after = cut_after
        self._lines = 0
        self.taken: list[int] = []

    def __call__(self, socket: ServerConnection) -> None:
        self._lines += 1
        for data in socket:
            if isinstance(data, bytes):
                self.taken += [frame.seq for frame in decode_frames(data)]
                if self._lines == 1 and len(self.taken) == self._cut_after:
                    socket.close_socket()
                    return
                continue
            resumed = answers.RESUMED | {"next_seq": len(self.taken)}
            said = {"start": answers.RESUMABLE, "resume": resumed, "stop": answers.SUMMARY}
            socket.send(json.dumps(said[json.loads(data)["type"]]))


@contextmanager
def serving(service: Callable[[ServerConnection], None]) -> Iterator[str]:
    """Its address, while it runs."""
    with serve(service, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join()
