"""One stream's conversation, without a socket: what to send as it is sent, what comes in as typed messages."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace

from signstream_client.errors import BadFrame, ProtocolError, StreamClosed
from signstream_client.frame import Frame, Picture, encode_frame
from signstream_client.messages import Message, Problem, Ready, Summary, decode_message


class StreamProtocol:
    """Says what the next message is and reads the answers; it knows no socket, thread or clock.

    models: names of those that shall answer; None is all.
    aspect: width / height of the picture that landmarks come from; None leaves it to the service, which takes that
        of a webcam; pictures bring their own.
    scores: ask for every window's probabilities. landmarks: ask for what was found in each picture.
    float16: send landmarks at half size, exact to about 0.0005 of the picture.
    """

    def __init__(
        self,
        models: Sequence[str] | None = None,
        *,
        aspect: float | None = None,
        scores: bool = False,
        landmarks: bool = False,
        float16: bool = False,
    ) -> None:
        self._options: dict[str, object] = {"scores": scores, "landmarks": landmarks}
        if aspect is not None:
            self._options["aspect"] = aspect
        if models is not None:
            self._options["models"] = list(models)
        self._float16 = float16
        self._next_seq = 0
        self._last_s = -math.inf
        self._last_problem: Problem | None = None
        self.ready: Ready | None = None
        self.summary: Summary | None = None

    def start(self) -> str:
        """The first message."""
        return json.dumps({"type": "start", **self._options})

    def frame(self, frame: Frame | Picture) -> tuple[int, bytes]:
        """A frame, numbered: (seq, message). Raises BadFrame where its time does not grow; the stream stays good."""
        if frame.at_s <= self._last_s:
            raise BadFrame(f"at_s must grow from frame to frame: {frame.at_s} came after {self._last_s}")
        numbered = replace(frame, seq=self._next_seq)
        data = encode_frame(numbered, self._float16)
        self._last_s = frame.at_s
        self._next_seq += 1
        return numbered.seq, data

    def stop(self) -> str:
        """The last message."""
        return json.dumps({"type": "stop"})

    def receive(self, data: str | bytes) -> Message | None:
        """Read one message; None for a type of a newer service. Raises ProtocolError.

        A problem before `ready` means that there is no stream: its twin is raised.
        """
        message = decode_message(data)
        match message:
            case Ready():
                self.ready = message
            case Summary():
                self.summary = message
            case Problem():
                self._last_problem = message
                if self.ready is None:
                    raise message.error()
            case _ if self.ready is None and message is not None:
                raise ProtocolError(f"the service sent {type(message).__name__.lower()} before ready")
        return message

    def closed(self, close_code: int | None, reason: str) -> None:
        """The socket is closed. Raises StreamClosed, caused by the last problem, unless the summary had come."""
        if self.summary is None:
            cause = self._last_problem.error() if self._last_problem else None
            raise StreamClosed(close_code or 1006, reason) from cause
