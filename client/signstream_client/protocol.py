"""One stream's conversation, without a socket: what to send as it is sent, what comes in as typed messages."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Unpack

from signstream_client.configuration import HOLISTIC, Changes, Options, given
from signstream_client.errors import BadFrame, ProtocolError, StreamClosed, StreamLost
from signstream_client.frame import Frame, Picture, encode_frame, frame_text
from signstream_client.messages import (
    Ack,
    Closing,
    Done,
    Event,
    Interrupted,
    Message,
    Problem,
    Ready,
    Resumed,
    Summary,
    decode_message,
)
from signstream_client.reconnect import Reconnect, Tries
from signstream_client.session import Session

MAX_HELD_BYTES = 64 << 20
"""Of frames that wait to be acknowledged. More than sockets and the service hold on the way: where it is reached, the
service acknowledges nothing, and the oldest are let go, without which the stream cannot be resumed from before them."""

_COME_BACK = {1001, 1006, 1012, 1013}
"""Close codes after which a session goes on over a new line; 1006 is a line that went dead."""
_KEEPALIVE = json.dumps({"type": "keepalive"})


@dataclass
class _Sent:
    """What may have to be sent again. seq: of a frame; of a control, of the next frame, so that it has been carried out
    where that one was taken. says: the control's type. done: it was answered."""

    data: str | bytes
    seq: int
    control: str | None = None
    says: str | None = None
    done: bool = False


class StreamProtocol:
    """Says what the next message is and reads the answers, over one line or, where resumable, one after another.

    It knows no socket and no thread; one may ask for what to send while another gives in what was received, but a new
    line is opened, and `backlog` sent, by one alone.

    models: names of those that shall answer; None leaves it to the service. reconnect: how a lost line is made anew.
    session: one that the first line's address opens by its token, so that it needs no `start`, models or options.
    """

    def __init__(
        self,
        models: Sequence[str] | None = None,
        *,
        reconnect: Reconnect | None = None,
        session: Session | None = None,
        **options: Unpack[Options],
    ) -> None:
        self._options = given(models, options) if session is None else dict(session.options)
        self._how = reconnect or Reconnect()
        self._opened = session is not None
        self._tries = Tries(self._how)
        self._next_seq = 0
        self._last_s = -math.inf
        self._held: deque[_Sent] = deque()
        self._held_bytes = 0
        self._undone: deque[_Sent] = deque()
        self._acknowledged = -1
        self._first_seq = 0
        self._last_number = 0
        self._retry_after_s = 0.0
        self._leaving = self._stopped = self._forgotten = False
        self._lost = Interrupted(1006, "")
        self._last_problem: Problem | None = None
        self.open = False
        self.ready: Ready | None = None
        self.summary: Summary | None = None
        """Once the stream is over: the last one."""

    def opening(self) -> list[str]:
        """What a line begins with: `start`, or `resume`; nothing where the address has said it all."""
        opened, self._opened = self._opened, False
        if self.ready is not None and self.ready.resume is not None and not self._forgotten:
            about = {"session": self.ready.session, "token": self.ready.resume.token}
            return [json.dumps({"type": "resume", **about, "last_number": self._last_number})]
        return [] if opened else [json.dumps({"type": "start", **self._options})]

    def backlog(self) -> list[str | bytes]:
        """What is to be sent once a new line is open, in this order."""
        return [sent.data for sent in self._held]

    def frames(self, *frames: Frame | Picture) -> tuple[int, list[str | bytes]]:
        """Frames, numbered: (seq of the last, messages), which is one message unless they are JSON.

        Raises BadFrame where time does not grow, or for what the session's layout has no place for; the stream stays
        good, and none of them counts. Raises StreamClosed where the session has ended.
        """
        self._check_alive()
        last_s, told = self._last_s, []
        for seq, frame in enumerate(frames, self._next_seq):
            if frame.at_s <= last_s:
                raise BadFrame(f"at_s must grow from frame to frame: {frame.at_s} came after {last_s}")
            last_s = frame.at_s
            told.append(_Sent(self._encoded(frame, seq), seq))
        if any(isinstance(frame, Picture) for frame in frames[:-1]):
            raise BadFrame("a picture is the last frame of its message; send the next ones by themselves")
        for sent in told:
            self._hold(sent)
        self._last_s = last_s
        self._next_seq += len(told)
        texts = [sent.data for sent in told if isinstance(sent.data, str)]
        return self._next_seq - 1, [*texts] or [b"".join(sent.data for sent in told if isinstance(sent.data, bytes))]

    def keepalive(self) -> str:
        """I am still here: `Done` is the answer."""
        return self._control("keepalive")

    def flush(self) -> str:
        """Judge what waits for frames to come, end what is open; then go on as after a gap."""
        return self._control("flush")

    def configure(self, **changes: Unpack[Changes]) -> str:
        """Change what the session was opened with, from the next frame on."""
        news = given(None, changes)
        decoding = {**self._options.get("decoding", {}), **news.get("decoding", {})}
        self._options |= news | ({"decoding": decoding} if decoding else {})
        return self._control("configure", news)

    def reset(self) -> str:
        """End what is open and forget all frames; time may begin anew."""
        self._last_s = -math.inf
        return self._control("reset")

    def stop(self) -> str:
        """The last message: all finals, a summary, and the close."""
        self._stopped = True
        return self._control("stop")

    def receive(self, data: str | bytes) -> Message | None:
        """Read one message; None for what was told before, and for a type of a newer service.

        Raises ProtocolError. A problem before `ready` means that there is no stream: its twin is raised; one that
        refuses to resume is raised as StreamLost.
        """
        message = decode_message(data)
        if not (self.open or message is None or isinstance(message, Ready | Resumed | Ack | Problem)):
            raise ProtocolError(f"the service sent {type(message).__name__.lower()} before ready")
        match message:
            case Ready():
                self._begin(message)
            case Resumed():
                self._go_on(message.next_seq)
            case Event():
                if message.number <= self._last_number:
                    return None
                self._last_number = message.number
                self._tries.stood()
            case Ack():
                self._acknowledged = max(self._acknowledged, message.seq)
                if self.open:
                    self._tries.stood()
            case Done():
                return self._carried_out(message)
            case Closing():
                self._retry_after_s, self._leaving = message.retry_after_s, True
            case Problem():
                self._complaint(message)
            case Summary() if self._leaving and self._how.restart and self._goes_on:
                self._forgotten = True
            case Summary():
                self.summary = message
        return message

    def closed(self, close_code: int | None, reason: str) -> Interrupted | None:
        """The line is closed: None after the end; Interrupted where a new one is to be tried, after `wait_s`.

        Raises StreamClosed, caused by the last problem.
        """
        self.open = False
        if self.summary is not None:
            return None
        self._leaving = False
        close_code = close_code or 1006
        if not (self._forgotten or (self._resumable and close_code in _COME_BACK)):
            raise StreamClosed(close_code, reason) from self._cause
        self._lost = Interrupted(close_code, reason)
        self._tries.lost(self._retry_after_s)
        self._retry_after_s = 0.0
        return self._lost

    def wait_s(self) -> float:
        """How long to wait before the next line is tried. Raises StreamLost where that has been tried long enough."""
        wait_s = self._tries.wait_s()
        if wait_s is None:
            raise self._given_up(f"no new line within {self._how.within_s:g} s") from self._cause
        return wait_s

    @property
    def _goes_on(self) -> bool:
        """Whether there is more than the service came to: the last frames and `stop` may have been too late."""
        return not self._stopped or (self._resumable and self._acknowledged < self._next_seq - 1)

    @property
    def _resumable(self) -> bool:
        return self.ready is not None and self.ready.resume is not None

    def _begin(self, ready: Ready) -> None:
        """A session, be it a new one in place of one that is kept no longer."""
        self.ready, self._forgotten = ready, False
        self._let_go()
        self._last_number = 0
        self._first_seq = self._held[0].seq if self._held else self._next_seq
        self.open = True
        self._tries.up()

    def _go_on(self, next_seq: int) -> None:
        next_seq = max(next_seq, self._first_seq)
        first = self._held[0].seq if self._held else self._next_seq
        if next_seq < first:
            raise self._given_up(f"the service wants frames from {next_seq} on, of which those to {first} are let go")
        # Of a control that was carried out, the answer may have been lost: a keepalive brings it.
        carried_out = [sent for sent in self._held if sent.control and not sent.done and sent.seq < next_seq]
        asked = [replace(sent, data=_KEEPALIVE, says="keepalive", seq=next_seq) for sent in carried_out]
        self._held = deque([*asked, *(sent for sent in self._held if sent.seq >= next_seq and not sent.done)])
        self._held_bytes = sum(len(sent.data) for sent in self._held)
        self._undone = deque(sent for sent in self._held if sent.control and sent.control != "stop")
        self.open = True
        self._tries.up()

    def _carried_out(self, done: Done) -> Done:
        """With the control's own name, where a keepalive stood for it."""
        while self._undone:
            sent = self._undone.popleft()
            sent.done = True
            if sent.says == done.control:
                return replace(done, control=sent.control or done.control)
        return done

    def _complaint(self, problem: Problem) -> None:
        self._last_problem = problem
        if self.open:
            return
        if self.ready is None:
            raise problem.error()
        if problem.code == "unknown-session" and self._how.restart:
            self._forgotten = True
        elif problem.code == "unknown-session":
            raise self._given_up("the service does not know the session any more") from problem.error()
        elif problem.status < 500:  # else it is closed for now, with 1013
            raise problem.error()

    def _given_up(self, why: str) -> StreamLost:
        return StreamLost(self._lost.close_code, self._lost.reason, why)

    @property
    def _cause(self) -> Exception | None:
        return None if self._last_problem is None else self._last_problem.error()

    def _check_alive(self) -> None:
        if self.summary is not None and not self._stopped:
            raise StreamClosed(1012 if self._leaving else 1000, "the session has ended")

    def _control(self, control: str, about: Mapping[str, Any] | None = None) -> str:
        self._check_alive()
        data = json.dumps({"type": control, **(about or {})})
        sent = _Sent(data, self._next_seq, control, control)
        self._hold(sent)
        if control != "stop":
            self._undone.append(sent)
        return data

    def _hold(self, sent: _Sent) -> None:
        """Keep what may have to be sent again, as long as it may."""
        if not self._resumable:
            return
        self._let_go()
        self._held.append(sent)
        self._held_bytes += len(sent.data)
        while self._held_bytes > MAX_HELD_BYTES:
            self._held_bytes -= len(self._held.popleft().data)

    def _let_go(self) -> None:
        """Of what is safe."""
        while self._held and (self._held[0].done or self._held[0].seq <= self._acknowledged):
            self._held_bytes -= len(self._held.popleft().data)

    def _encoded(self, frame: Frame | Picture, seq: int) -> str | bytes:
        encoding, layout = self._options.get("encoding", "any"), self._options.get("layout", HOLISTIC)
        if isinstance(frame, Frame):
            if layout != HOLISTIC and any(body.joints is None for body in frame.bodies):
                raise BadFrame(f"frames of the layout {layout} have joints: where nobody is seen, None for each")
            if encoding == "json":
                return frame_text(frame, seq)
        return encode_frame(frame, encoding == "float16", seq)
