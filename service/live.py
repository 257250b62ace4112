"""A live session without its socket: what is heard goes in, in order; what is said goes to whoever listens."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from landmarks.cutter import Cut
from landmarks.errors import LandmarkError
from landmarks.extract import Extractor, decode_picture
from service import answers
from service.batcher import Answer, Batcher
from service.configuration import Configuration
from service.decoder import Event
from service.errors import Busy, InvalidMessage, Late, SessionMoved, SignstreamError, StoreUnavailable, problem_of
from service.identity import Identity
from service.inbox import Inbox
from service.line import Close, Line, LineLost
from service.messages import Configure, Control, Flush, Keepalive, Reset, Resume, Start, Stop
from service.resume import pack
from service.session import Frame, Scored, Session
from service.settings import Settings
from service.wire import LandmarkFrame, PictureFrame, Reader

if TYPE_CHECKING:
    from service.house import House

logger = logging.getLogger("signstream")


_LAG_EVERY_S = 1.0


@dataclass(frozen=True)
class _Greet:
    """A line to talk to from here on. seen: of a resumed session, the last event that its caller has."""

    line: Line
    seen: int | None


@dataclass(frozen=True)
class _Save:
    """Keep what going on elsewhere takes. mine: told whether it is this instance's to run, if somebody asks."""

    mine: asyncio.Future[bool] | None = None


@dataclass(frozen=True)
class _Finish:
    """All is heard: finals, a summary, the close."""

    why: Close


@dataclass(frozen=True)
class _Park:
    """The line is lost: what others can use meanwhile is given back."""


@dataclass(frozen=True)
class _Leave:
    """The service goes away."""


class LiveSession:
    """One caller's session: alive from its opening to its end, over one line or several.

    `greet` gives it a line, `hear` what comes over it, `lost` says that it is dead. A task of its own answers, in the
    order of hearing; `over` is done once the session has ended, with why. `said_all`: finals and summary, too.
    """

    def __init__(self, house: House, configuration: Configuration, identity: Identity) -> None:
        limits = house.settings
        self._house, self.identity = house, identity
        self.configuration = configuration = configuration.filled(house.default_models, limits.max_gap_s)
        batchers = house.batchers(configuration.models)
        self._batchers: dict[str, Batcher] = {batcher.engine.manifest.name: batcher for batcher in batchers}
        by_body = configuration.hands == "by_body"
        self._reader = Reader(configuration.layout, configuration.fps, configuration.encoding, by_body)
        engines = [batcher.engine for batcher in batchers]
        self._session = Session(engines, configuration.aspect, configuration.manner(self._reader.layout, house.crowd))
        self._session.configure(configuration.decodings(self._session.manifests))
        self._inbox = Inbox(limits.max_pending_frames, limits.max_pending_pictures, configuration.overflow)
        self._line: Line | None = None
        self._greeted = self.said_all = False
        self._extractor: Extractor | None = None
        self._held = AsyncExitStack()
        self._last_s, self._seq = float("-inf"), -1
        self._since_ack = 0
        self._lost: list[tuple[str, str | None, int]] = []
        self._lag_told_s = float("-inf")
        self._frames = self._dropped = self._problems = 0
        self._events: Counter[str] = Counter(dict.fromkeys(self._batchers, 0))
        metrics = house.metrics
        self._reply_s = metrics.reply_s.observe
        self._counted = metrics.frames.labels("landmarks"), metrics.frames.labels("picture")
        self._rested = {name: metrics.rested.labels(name) for name in self._batchers}
        self._uncounted = dict.fromkeys((*self._counted, *self._rested.values()), 0)  # a counter's lock is not cheap
        self._number = self._seen = 0  # events told; those of them that the caller need not be told again
        self._saved_s = time.monotonic()
        self._told: deque[tuple[int, str]] = deque(maxlen=limits.max_kept_events)
        self._news: asyncio.Event | None = None
        self._viewers = 0
        self.heard_s = self.parked_s = time.monotonic()
        self.over: asyncio.Future[Close] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._work(), name=f"session-{identity.session}")

    # --- from outside

    @property
    def parked(self) -> bool:
        """Whether it waits for a line."""
        return self._greeted and self._line is None and not self.over.done()

    @property
    def summary(self) -> answers.Summary:
        """What was, up to now."""
        dropped = self._dropped + len(set(self._lost))
        return answers.summary(self._frames, dropped, self._problems, self._events)

    def status(self) -> answers.Status:
        """How it is doing."""
        so_far = self.summary
        return {
            "frames": so_far["frames"],
            "dropped": so_far["dropped"],
            "problems": so_far["problems"],
            "events": so_far["events"],
            "session": self.identity.session,
            "state": "parked" if self.parked else "live",
            "configuration": self.configuration,
            "seq": self._taken,
            "waiting": len(self._inbox),
            "viewers": self._viewers,
        }

    async def greet(self, line: Line, seen: int | None = None) -> None:
        """Talk to this line from here on: a new session's first, or one that resumes. An older one is hung up."""
        if self._line is not None:
            self._line.drop(1008, "resumed elsewhere")
        greeting = _Greet(line, seen)
        if self.over.done():
            await self._tell_again(greeting)
        else:
            await self._inbox.put(greeting)

    async def hear(self, raw: bytes | str) -> None:
        """One message; waits for room. What is not understood is answered in its turn."""
        if self.over.done():
            return
        self.heard_s = time.monotonic()
        try:
            heard = self._reader.read(raw)
        except (SignstreamError, LandmarkError) as error:
            await self._inbox.put(error)
            return
        if isinstance(heard, list):
            for frame in heard:
                if gone := await self._inbox.put(frame):
                    self._lost.append(("slow", None, gone.seq))
        elif isinstance(heard, Start | Resume):
            await self._inbox.put(InvalidMessage("the stream has started already"))
        else:
            await self._inbox.put(heard)

    async def lost(self, line: Line, code: int) -> None:
        """A line is dead; a session that cannot be resumed then ends, with all that was heard."""
        line.cut()
        self._let_go(line)
        if self.over.done() or self._line is not None:
            return
        if not self.configuration.resumable or code == 1000:
            await self._inbox.put(_Finish(Close(1000)))
            return
        await self._inbox.put(_Park())
        if self._kept:
            await self._inbox.put(_Save())

    async def save(self) -> bool:
        """Keep what going on elsewhere takes, after all that was heard; false where it goes on elsewhere already."""
        mine: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        await self._inbox.put(_Save(mine))
        await asyncio.wait([mine, self._task], return_when=asyncio.FIRST_COMPLETED)
        return mine.done() and mine.result()

    async def stop(self) -> None:
        """As if the caller had said `stop`."""
        await self._inbox.put(_Finish(Close(1000)))

    async def leave(self) -> None:
        """The service goes away: told after all that was heard."""
        await self._inbox.put(_Leave())

    async def watch(self, seen: int) -> AsyncIterator[tuple[int, str]]:
        """Event messages numbered above `seen`, as they are told; to the session's end. Where some were not kept, the
        numbers jump."""
        self._viewers += 1
        try:
            while True:
                was_over = self.over.done()  # events are told while others are handed on
                for number, text in [one for one in self._told if one[0] > seen]:
                    yield number, text
                    seen = number
                if was_over:
                    return
                if self._number <= seen and not self.over.done():
                    self._news = self._news or asyncio.Event()
                    await self._news.wait()
        finally:
            self._viewers -= 1

    def end(self, code: int, reason: str) -> None:
        """Over at once, whatever waits."""
        if not self.over.done():
            self.over.set_result(Close(code, reason))
            if self._line is not None:
                self._line.drop(code, reason)
            self._task.cancel()

    async def ended(self) -> None:
        """Wait until nothing of it runs any more."""
        await asyncio.wait([self._task])

    async def sweep(self, now_s: float) -> None:
        """What time alone decides: a caller that does not read, a line that stays dead, a caller that says nothing."""
        self._count()
        limits = self._house.settings
        line = self._line
        if line is not None and line.blocked_since is not None and now_s - line.blocked_since > limits.slow_close_s:
            line.drop(1013, "slow_consumer")
            await self.lost(line, 1013)
        since_s, most_s = (self.parked_s, limits.resume_s) if self.parked else (self.heard_s, limits.idle_s)
        if 0 < most_s < now_s - since_s:
            self._inbox.offer(_Finish(Close(1000, "idle")))
        elif self._kept and now_s - self._saved_s > limits.resume_s / 2:
            self._inbox.offer(_Save())

    # --- its own task

    async def _work(self) -> None:
        try:
            await self._answer_all()
        except Exception:
            logger.exception("a session failed")
            await self._hang_up(Close(1011, "the failure is in the service's log"))
        finally:
            if not self.over.done():
                self.over.set_result(Close(1011))
            self._session.close()
            self._count()
            self._announce()
            await self._held.aclose()
            while len(self._inbox):
                _, heard = await self._inbox.get()
                if isinstance(heard, _Greet):
                    await self._tell_again(heard)

    async def _answer_all(self) -> None:
        while not self.over.done():
            arrived_s, heard = await self._inbox.get()
            if self._lost:
                await self._tell_lost()
            try:
                if isinstance(heard, (LandmarkFrame, PictureFrame)):
                    if time.perf_counter() - arrived_s > self._house.settings.lag_s:
                        await self._tell_lag(arrived_s)
                    if await self._answer(heard):
                        self._reply_s(time.perf_counter() - arrived_s)
                elif isinstance(heard, Exception):
                    raise heard
                elif isinstance(heard, _Greet):
                    await self._greet(heard)
                elif isinstance(heard, _Park):
                    await self._park()
                elif isinstance(heard, _Save):
                    await self._save()
                    if heard.mine is not None:
                        heard.mine.set_result(not self.over.done())
                elif isinstance(heard, _Finish):
                    await self._finish(heard.why)
                elif isinstance(heard, _Leave):
                    await self._leave()
                elif isinstance(heard, Control):
                    await self._steer(heard)
            except (SignstreamError, LandmarkError) as error:
                await self._complain(error)
                if isinstance(error, Busy):
                    await self._finish(Close(1013, error.title))

    async def _answer(self, message: LandmarkFrame | PictureFrame) -> bool:
        """Whether a prediction was due."""
        due = False
        if self.configuration.resumable and message.seq <= self._seq:
            return due  # sent again, though it had been taken
        self._since_ack += 1
        if 0 < message.at_s - self._last_s < (1 - 1e-6) / self._house.settings.max_fps:
            self._lost.append(("rate", None, message.seq))
            self._seq = message.seq
        else:
            due = await self._take(message)
        if 0 < (self.configuration.ack_every or 0) <= self._since_ack:
            await self._acknowledge()
        return due

    async def _take(self, message: LandmarkFrame | PictureFrame) -> bool:
        is_picture = isinstance(message, PictureFrame)
        frame = await self._look(message) if is_picture else message
        windows = self._session.take(Frame(frame.at_s, frame.bodies, frame.hands))
        self._last_s, self._seq = frame.at_s, frame.seq
        self._frames += 1
        self._uncounted[self._counted[is_picture]] += 1
        if is_picture and self.configuration.landmarks:
            await self._say(answers.landmarks(frame, self._session.aspect))
        if windows:
            await self._judge(windows)
        if self._session.parting:
            await self._tell(self._session.part())
        return bool(windows)

    async def _park(self) -> None:
        """Extractors are few: another session looks at pictures with this one, until this session has a line again."""
        if self._line is None and self._extractor is not None:
            self._extractor = None
            await self._held.aclose()

    async def _look(self, picture: PictureFrame) -> LandmarkFrame:
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
            if self.configuration.scores:
                await self._say(answers.scores(scored))
            if events := self._session.settle(scored):
                await self._tell(events)

    async def _submit(self, window: Cut) -> Answer | None:
        """What will be said of a window; None where its model rests, and is not asked."""
        if window.rests:
            self._uncounted[self._rested[window.model]] += 1
            return None
        place = self._session.place(window)
        return await self._batchers[window.model].submit(window.landmarks, place, window.fresh)

    async def _steer(self, control: Control) -> None:
        match control:
            case Stop():
                await self._finish(Close(1000))
                return
            case Flush():
                await self._judge(self._session.finish())
                await self._tell(self._session.interrupt())
            case Reset():
                await self._tell(self._session.reset())
                self._last_s = float("-inf")
            case Configure():
                await self._configure(control)
            case Keepalive():
                pass
        await self._acknowledge()
        configuration = self.configuration if isinstance(control, Configure) else None
        await self._say(answers.done(control.type, self._taken, configuration))

    async def _configure(self, changes: Configure) -> None:
        changed = self.configuration.changed(changes)
        self._session.configure(changed.decodings(self._session.manifests))
        self.configuration = changed
        if changes.aspect is not None:
            self._session.aspect = changes.aspect

    async def _greet(self, greeting: _Greet) -> None:
        self._line, self._greeted = greeting.line, True
        if greeting.seen is None:
            decodings = self._session.decodings
            models = [answers.model(manifest, decodings[manifest.name]) for manifest in self._session.manifests]
            await self._say(answers.ready(self.identity.session, self.configuration, models, self._resumption))
            return
        self._seen = greeting.seen
        missed = [one for one in self._told if one[0] > greeting.seen]
        first = missed[0][0] if missed else self._number + 1
        await self._acknowledge()
        await self._say(answers.resumed(self.identity.session, self._seq + 1, max(0, first - greeting.seen - 1)))
        for _, text in missed:
            await self._write(text)

    async def _leave(self) -> None:
        why, retry_after_s = Close(1012, "the service restarts"), self._house.settings.retry_after_s
        if self._kept and await self._save():
            await self._say(answers.closing(retry_after_s, resumable=True))
            await self._hang_up(why)
        else:
            await self._say(answers.closing(retry_after_s, resumable=False))
            await self._finish(why)

    async def _finish(self, why: Close) -> None:
        """All finals, a summary, the close; nothing of a session that goes on elsewhere."""
        if self._kept:
            await self._save()
            if self.over.done():
                return
        await self._judge(self._session.finish())
        await self._tell_lost()
        await self._tell(self._session.close())
        await self._say_ack()
        await self._say(self.summary)
        self.said_all = True
        await self._hang_up(why)
        if self._kept and self._house.store is not None:
            with suppress(StoreUnavailable):  # then it is forgotten in time
                await self._house.store.forget(self.identity.session)

    async def _tell_again(self, greeting: _Greet) -> None:
        """How it ended, to a caller whose line was lost before that came through."""
        await self._greet(greeting)
        await self._say(self.summary)
        await self._hang_up(self.over.result())

    async def _hang_up(self, why: Close) -> None:
        if not self.over.done():
            self.over.set_result(why)
        if self._line is not None:
            await self._line.close(why.code, why.reason)

    # --- what is said

    async def _tell(self, events: list[Event]) -> None:
        for event in events:
            if event.state == "start":
                self._events[event.model] += 1
            elif event.state == "end":
                self._house.metrics.events.labels(event.model, event.label).inc()
            elif not self.configuration.interim:
                continue
            self._number += 1
            message = answers.event(event, self._number)
            text = answers.write(message)
            self._told.append((self._number, text))
            self._announce()
            for outlet in self._house.outlets:
                outlet.tell(self.identity.session, message)
            if self._number > self._seen:
                await self._write(text)

    def _count(self) -> None:
        """Into the service's metrics."""
        for counter, count in self._uncounted.items():
            counter.inc(count)
            self._uncounted[counter] = 0

    def _announce(self) -> None:
        """Wake who watches."""
        if self._news is not None:
            self._news.set()
            self._news = None

    async def _tell_lost(self) -> None:
        lost, self._lost = self._lost, []
        # A frame that completes several windows of one model may be late for each, and is told once.
        for (reason, model), group in itertools.groupby(dict.fromkeys(lost), key=lambda one: one[:2]):
            seqs = [seq for _, _, seq in group]
            self._dropped += len(seqs)
            self._house.metrics.dropped.labels(reason).inc(len(seqs))
            await self._say(answers.dropped(len(seqs), (seqs[0], seqs[-1]), reason, model))

    async def _tell_lag(self, arrived_s: float) -> None:
        now_s = time.perf_counter()
        if now_s - self._lag_told_s >= _LAG_EVERY_S:
            self._lag_told_s = now_s
            await self._say(answers.lag(now_s - arrived_s, len(self._inbox)))

    async def _complain(self, error: Exception) -> None:
        problem = problem_of(error)
        assert problem is not None
        self._problems += 1
        self._house.metrics.problems.labels(problem.code).inc()
        await self._say(answers.problem(problem))
        if self._problems >= self._house.settings.max_problems:
            await self._finish(Close(1008, "too many problems"))

    @property
    def _resumption(self) -> answers.Resumption | None:
        if not self.configuration.resumable:
            return None
        return {"token": self.identity.resume, "within_s": self._house.settings.resume_s}

    @property
    def _taken(self) -> int | None:
        return self._seq if self._seq >= 0 else None

    async def _acknowledge(self) -> None:
        self._since_ack = 0
        if not self._kept or await self._save():
            await self._say_ack()

    async def _say_ack(self) -> None:
        if self.configuration.ack_every and self._taken is not None:
            await self._say(answers.ack(self._taken))

    # --- what goes on elsewhere

    @property
    def _kept(self) -> bool:
        """Whether another instance could go on with it."""
        return self.configuration.resumable and self._house.store is not None

    async def _save(self) -> bool:
        """False where it could not be kept; over at once where another instance goes on with it already."""
        store = self._house.store
        if store is None or not self._kept:
            return False
        try:
            ttl_s = 2 * self._house.settings.resume_s
            await store.save(self.identity.session, pack(self._snapshot()), ttl_s)
        except StoreUnavailable:
            return False
        except SessionMoved:
            self.end(1008, "resumed elsewhere")
            return False
        self._saved_s = time.monotonic()
        return True

    def _snapshot(self) -> dict[str, Any]:
        return {
            "identity": asdict(self.identity),
            "configuration": self.configuration.plain(),
            "session": self._session.snapshot(),
            "last_s": self._last_s,
            "seq": self._seq,
            "counts": [self._frames, self._dropped, self._problems, self._number],
            "events": dict(self._events),
            "told": [list(one) for one in self._told],
        }

    @classmethod
    def restored(cls, house: House, kept: Mapping[str, Any]) -> LiveSession:
        """One that goes on here, parked. Raises as a new one does, and BadSnapshot."""
        configuration = Configuration.model_validate(kept["configuration"])
        live = cls(house, configuration, Identity(**kept["identity"]))
        try:
            live._session.restore(kept["session"])
        except SignstreamError:
            live.end(1008, "it cannot go on here")
            raise
        live._last_s, live._seq = kept["last_s"], kept["seq"]
        live._frames, live._dropped, live._problems, live._number = kept["counts"]
        live._events.update(kept["events"])
        live._told.extend((number, text) for number, text in kept["told"])
        live._greeted = True
        return live

    async def _say(self, message: Any) -> None:
        if self._line is not None:
            await self._write(answers.write(message))

    async def _write(self, text: str) -> None:
        line = self._line
        if line is None:
            return
        try:
            waited_s = await line.say(text)
            if waited_s > self._house.settings.slow_s:
                await line.say(answers.write(answers.slow_consumer(waited_s)))
        except LineLost:
            self._let_go(line)

    def _let_go(self, line: Line) -> None:
        """It is dead; by now there may be another."""
        if self._line is line:
            self._line, self.parked_s = None, time.monotonic()


def _extract(extractor: Extractor, picture: PictureFrame, limits: Settings) -> tuple[LandmarkFrame, float]:
    pixels = decode_picture(picture.data, limits.max_picture_pixels)
    xyz, confidence = extractor.frame(pixels)
    return LandmarkFrame(picture.seq, picture.at_s, xyz[None], confidence), pixels.shape[1] / pixels.shape[0]
