"""One socket: frames in, events out. See docs/protocol.md."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections import Counter, deque
from contextlib import AsyncExitStack
from typing import Any

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from landmarks.cutter import Cut
from landmarks.errors import LandmarkError
from landmarks.extract import Extractor, decode_picture
from service import wire
from service.batcher import Answer, Batcher
from service.decoder import Event
from service.errors import Busy, InvalidMessage, Late, SignstreamError, problem_of
from service.house import House
from service.session import Frame, Scored, Session
from service.settings import Settings

router = APIRouter()
logger = logging.getLogger("signstream")


@router.websocket("/v1/stream")
async def stream(socket: WebSocket) -> None:
    """A stream of landmark frames or pictures, answered with events."""
    house: House = socket.app.state.house
    await socket.accept()
    try:
        if house.streams >= house.settings.max_streams:
            raise Busy(f"all {house.settings.max_streams} streams are taken; try again later")
        house.batchers()
    except SignstreamError as error:
        await _refuse(socket, house, error, 1013)
        return
    house.streams += 1
    house.metrics.streams.inc()
    try:
        start = await _first(socket)
        try:
            started = _Stream(socket, house, start, house.batchers(start.models or house.default_models))
        except SignstreamError as error:
            await _refuse(socket, house, error, 1013 if isinstance(error, Busy) else 1008)
            return
        await started.run()
    except InvalidMessage as error:
        await _refuse(socket, house, error, 1008)
    except WebSocketDisconnect:
        pass
    finally:
        house.streams -= 1
        house.metrics.streams.dec()


async def _first(socket: WebSocket) -> wire.Start:
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    first = wire.read_text(message["text"]) if message.get("text") else None
    if not isinstance(first, wire.Start):
        raise InvalidMessage('the first message must be {"type": "start", ...}')
    return first


async def _refuse(socket: WebSocket, house: House, error: SignstreamError, code: int) -> None:
    house.metrics.problems.labels(error.code).inc()
    await socket.send_text(wire.write(wire.problem(error.problem)))
    await socket.close(code, error.title)


class _Closing(Exception):
    """The stream ends now, with this code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class _Stream:
    """A started stream: `_read` fills the inbox, `_work` empties it, in order."""

    def __init__(self, socket: WebSocket, house: House, start: wire.Start, batchers: list[Batcher]) -> None:
        self._socket = socket
        self._house = house
        self._start = start
        self._batchers = {batcher.engine.manifest.name: batcher for batcher in batchers}
        engines = [batcher.engine for batcher in batchers]
        self._session = Session(engines, start.aspect, house.settings.max_gap_s)
        self._extractor: Extractor | None = None
        self._held = AsyncExitStack()
        self._inbox: deque[tuple[float, wire.LandmarkFrame | wire.PictureFrame]] = deque()
        self._changed = asyncio.Condition()
        self._stopping = False
        self._last_s, self._seq = float("-inf"), 0
        self._lost: list[tuple[str, str | None, int]] = []
        self._frames = self._dropped = self._problems = 0
        self._events: Counter[str] = Counter(dict.fromkeys(self._batchers, 0))

    async def run(self) -> None:
        """Until `stop`, a disconnect, or a reason to close."""
        manifests = [batcher.engine.manifest for batcher in self._batchers.values()]
        await self._send(wire.ready(self._start, manifests))
        reading, working = asyncio.create_task(self._read()), asyncio.create_task(self._work())
        try:
            done, _ = await asyncio.wait({reading, working}, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
            await self._socket.close(1000)
        except _Closing as closing:
            await self._socket.close(closing.code, closing.reason)
        except (WebSocketDisconnect, asyncio.CancelledError):
            raise
        except Exception:
            logger.exception("a stream failed")
            await self._socket.close(1011, "the failure is in the service's log")
        finally:
            reading.cancel()
            working.cancel()
            try:
                done, _ = await asyncio.wait({reading, working})
                for task in done:
                    if not task.cancelled():
                        task.exception()  # seen above, or of no interest any more
            finally:  # also where this is cancelled a second time
                self._session.close()
                await self._held.aclose()

    async def _read(self) -> None:
        limits = self._house.settings
        while not self._stopping:
            raw = await self._socket.receive()
            if raw["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(raw.get("code", 1000))
            try:
                message = wire.read_binary(raw["bytes"]) if raw.get("bytes") else wire.read_text(raw.get("text") or "")
                if isinstance(message, wire.Start):
                    raise InvalidMessage("the stream has started already")
            except (SignstreamError, LandmarkError) as error:
                await self._complain(error)
                continue
            async with self._changed:
                if isinstance(message, wire.Stop):
                    self._stopping = True
                elif isinstance(message, wire.PictureFrame):
                    self._make_room_for_picture()
                    self._inbox.append((time.perf_counter(), message))
                else:
                    await self._changed.wait_for(lambda: len(self._inbox) < limits.max_pending_frames)
                    self._inbox.append((time.perf_counter(), message))
                self._changed.notify_all()

    def _make_room_for_picture(self) -> None:
        """Drop the oldest picture that waits where there are too many: who watches live wants the newest."""
        waiting = [item for item in self._inbox if isinstance(item[1], wire.PictureFrame)]
        if len(waiting) >= self._house.settings.max_pending_pictures:
            self._inbox.remove(waiting[0])
            self._lost.append(("slow", None, waiting[0][1].seq))

    async def _work(self) -> None:
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._inbox or self._stopping)
                item = self._inbox.popleft() if self._inbox else None
                self._changed.notify_all()
            await self._tell_lost()
            if item is None:
                await self._stop()
                return
            arrived, message = item
            try:
                await self._answer(message)
            except (SignstreamError, LandmarkError) as error:
                await self._complain(error)
                if isinstance(error, Busy):
                    raise _Closing(1013, error.title) from error
            self._house.metrics.reply_s.observe(time.perf_counter() - arrived)

    async def _answer(self, message: wire.LandmarkFrame | wire.PictureFrame) -> None:
        if 0 < message.at_s - self._last_s < (1 - 1e-6) / self._house.settings.max_fps:
            self._lost.append(("rate", None, message.seq))
            return
        kind = "picture" if isinstance(message, wire.PictureFrame) else "landmarks"
        frame = await self._look(message) if isinstance(message, wire.PictureFrame) else message
        windows = self._session.take(Frame(frame.at_s, frame.xyz))
        self._last_s, self._seq = frame.at_s, frame.seq
        self._frames += 1
        self._house.metrics.frames.labels(kind).inc()
        if kind == "picture" and self._start.landmarks:
            await self._send(wire.landmarks(frame, self._session.aspect))
        await self._judge(windows)

    async def _look(self, picture: wire.PictureFrame) -> wire.LandmarkFrame:
        if self._extractor is None:
            self._extractor = await self._held.enter_async_context(self._house.extractor())
        started = time.perf_counter()
        found, aspect = await self._house.extract(_extract, self._extractor, picture, self._house.settings)
        self._house.metrics.extract_s.observe(time.perf_counter() - started)
        self._session.aspect = aspect
        return found

    async def _judge(self, windows: list[Cut]) -> None:
        """Hand the windows to their models, all at once; tell what follows, in order.

        A model that rests is not handed any, and what it would have said waits for its turn all the same.
        """
        waiting = [await self._submit(window) for window in windows]
        for window, said in zip(windows, waiting, strict=True):
            try:
                scored = self._session.rested(window) if said is None else Scored(window, await said)
            except Late:
                self._session.lose(window)
                self._lost.append(("late", window.model, self._seq))
                continue
            if not self._session.counts(window):
                continue
            if self._start.scores:
                await self._send(wire.scores(scored))
            await self._tell(self._session.settle(scored))

    async def _submit(self, window: Cut) -> Answer | None:
        """What will be said of a window; None where its model rests, and is not asked."""
        if window.rests:
            self._house.metrics.rested.labels(window.model).inc()
            return None
        place = self._session.place(window)
        return await self._batchers[window.model].submit(window.landmarks, place, window.fresh)

    async def _tell(self, events: list[Event]) -> None:
        for event in events:
            if event.state == "start":
                self._events[event.model] += 1
            elif event.state == "end":
                self._house.metrics.events.labels(event.model, event.label).inc()
            await self._send(wire.event(event))

    async def _tell_lost(self) -> None:
        lost, self._lost = self._lost, []
        # A frame that completes several windows of one model may be late for each, and is told once.
        for (reason, model), group in itertools.groupby(dict.fromkeys(lost), key=lambda one: one[:2]):
            seqs = [seq for _, _, seq in group]
            self._dropped += len(seqs)
            self._house.metrics.dropped.labels(reason).inc(len(seqs))
            await self._send(wire.dropped(len(seqs), (seqs[0], seqs[-1]), reason, model))

    async def _complain(self, error: Exception) -> None:
        problem = problem_of(error)
        assert problem is not None
        self._problems += 1
        self._house.metrics.problems.labels(problem.code).inc()
        await self._send(wire.problem(problem))
        if self._problems >= self._house.settings.max_problems:
            raise _Closing(1008, "too many problems")

    async def _stop(self) -> None:
        await self._judge(self._session.finish())
        await self._tell_lost()
        await self._tell(self._session.close())
        await self._send(wire.summary(self._frames, self._dropped, self._problems, dict(self._events)))

    async def _send(self, message: dict[str, Any]) -> None:
        await self._socket.send_text(wire.write(message))


def _extract(extractor: Extractor, picture: wire.PictureFrame, limits: Settings) -> tuple[wire.LandmarkFrame, float]:
    pixels = decode_picture(picture.data, limits.max_picture_pixels)
    xyz, confidence = extractor.frame(pixels)
    return wire.LandmarkFrame(picture.seq, picture.at_s, xyz, confidence), pixels.shape[1] / pixels.shape[0]
