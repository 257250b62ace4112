"""The ready windows or steps of all streams, in as few runs of a network as there can be."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.engine import Engine, Step, batch_sizes
from service.errors import Late
from service.metrics import Metrics
from service.states import Place

Answer = asyncio.Future[NDArray[np.float32]]


class _Row(NamedTuple):
    """One row of a run that is to come. last: its answer is the row's, and not that of a frame after it."""

    landmarks: NDArray[np.float32]
    step: Step | None
    answer: Answer
    last: bool
    since_s: float


class Batcher:
    """Queues work for one engine and runs, in a thread of its own, whatever has gathered while the last run went on.

    To hand work to a thread and its answer back takes longer than a small network does. So what can be run within
    `spot_s` is run on the event loop, once the loop has heard all that is there to hear; the thread takes what is more.

    Nothing is queued without bound: `submit` waits where `max_pending` windows or steps wait already, and what has
    waited longer than `deadline_s` is not run any more. Steps of one stream keep their order, and two of them are never
    in one run.

    max_batch: most rows in a run. wait_s: longest that a row waits for others. spot_s: longest that the event loop may
    be kept, 0 leaves all to the thread; nobody is kept where rows wait for others. gather_s: least time from run to run
    there, of a model whose rows cost less together: a row that comes alone is run at once, and of many that come in a
    row each waits for a few others. clock: seconds, of any beginning.
    """

    def __init__(
        self,
        engine: Engine,
        metrics: Metrics,
        max_batch: int,
        max_pending: int,
        wait_s: float = 0.0,
        deadline_s: float = math.inf,
        spot_s: float = 0.0,
        gather_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.engine = engine
        self._ran, self._late = metrics.runs(engine.manifest.name), metrics.late.labels(engine.manifest.name)
        self._max_batch, self._wait_s, self._deadline_s, self._clock = max_batch, wait_s, deadline_s, clock
        self._room = asyncio.Semaphore(max_pending)
        self._queue: deque[_Row] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._running = False  # in the thread or on the event loop: never both, for a stream's states are in one run
        self._called = False
        self._most_on_spot = 0.0
        self._gather_s = gather_s if engine.together else 0.0
        self._ran_s = -math.inf
        self._spot_s = 0.0 if wait_s else spot_s
        self._thread: threading.Thread | None = None

    async def start(self) -> None:
        """Run every batch size once, then begin to serve."""
        self._loop = asyncio.get_running_loop()
        warm: asyncio.Future[None] = self._loop.create_future()
        name = f"run-{self.engine.manifest.name}"
        self._thread = threading.Thread(target=self._work, args=(warm,), name=name)
        self._thread.start()
        await warm

    async def stop(self) -> None:
        """Stop serving, after the run that goes on; what still waits is cancelled."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)
        for row in self._queue:
            row.answer.cancel()

    async def submit(self, landmarks: NDArray[np.float32], place: Place | None = None, fresh: bool = False) -> Answer:
        """Queue work, waiting for room; the future holds the probabilities (labels,), or raises Late.

        landmarks: a window (T, V, 3); or, where the stream has a place for its state, its next frames (N, V, 3), of
        which the last one is answered. fresh: the stream begins with the first of them.
        """
        await self._room.acquire()
        answer: Answer = self._loop.create_future()
        answer.add_done_callback(lambda _: self._room.release())
        now = self._clock()
        if place is None:
            rows = [_Row(landmarks, None, answer, True, now)]
        else:
            last = len(landmarks) - 1
            rows = [
                _Row(frame, Step(place, fresh and i == 0), answer, i == last, now) for i, frame in enumerate(landmarks)
            ]
        with self._changed:
            if self._stopping:
                answer.cancel()
            self._queue.extend(rows)
            here = not self._running and len(self._queue) <= self._most_on_spot
            if not here:
                self._changed.notify()
        if here and not self._called:
            self._called = True
            early_s = self._ran_s + self._gather_s - now
            if early_s > 0:
                self._loop.call_later(early_s, self._run_on_spot)
            else:
                self._loop.call_soon(self._run_on_spot)
        return answer

    def _run_on_spot(self) -> None:
        """What is queued, unless the thread is at it or it has become too much: then the thread."""
        self._called, self._ran_s = False, self._clock()
        while True:
            with self._changed:
                if self._running or len(self._queue) > self._most_on_spot:
                    self._changed.notify()
                    return
                batch = self._pick()
                self._running = bool(batch)
            if not batch:
                return
            self._judge(batch)()
            self._running = False

    def _work(self, warm: asyncio.Future[None]) -> None:
        """The thread: warms, then runs batch after batch until it is told to stop."""
        try:
            self._warm()
        except BaseException as error:
            self._loop.call_soon_threadsafe(_settle, warm, error)
            return
        self._loop.call_soon_threadsafe(_settle, warm, None)
        while batch := self._next():
            self._loop.call_soon_threadsafe(self._judge(batch))
            self._running = False

    def _next(self) -> list[_Row]:
        """The next batch, once there is one; none where all is over."""
        with self._changed:
            while not self._stopping:
                self._changed.wait_for(lambda: (self._queue and not self._running) or self._stopping)
                if self._wait_s and self._queue:
                    left_s = self._queue[0].since_s + self._wait_s - self._clock()
                    self._changed.wait_for(lambda: len(self._queue) >= self._max_batch or self._stopping, left_s)
                if batch := self._pick():
                    self._running = True
                    return batch
        return []

    def _pick(self) -> list[_Row]:
        """The rows that have waited longest, of each stream one; what is late or not asked for any more goes."""
        batch: list[_Row] = []
        kept: list[_Row] = []
        late: list[_Row] = []
        stepping: set[Place] = set()
        oldest_s = self._clock() - self._deadline_s
        while self._queue and len(batch) < self._max_batch and not self._stopping:
            row = self._queue.popleft()
            if row.answer.done():
                continue
            if row.since_s < oldest_s:
                late.append(row)
            elif row.step is None:
                batch.append(row)
            elif row.step.place in stepping:
                kept.append(row)
            else:
                stepping.add(row.step.place)
                batch.append(row)
        self._queue.extendleft(reversed(kept))
        if late:
            self._late.inc(sum(row.last for row in late))
            error = Late(f"{self.engine.manifest.name} did not come to it within {self._deadline_s:g} s")
            self._loop.call_soon_threadsafe(_fail, late, error)
        return batch

    def _judge(self, batch: Sequence[_Row]) -> Callable[[], None]:
        """Run a batch; what tells those who asked, to be called on the event loop."""
        try:
            said = self._run(batch)
        except Exception as error:  # the streams that asked are told; the others go on
            return partial(_fail, batch, error)
        return partial(_answer, batch, said)

    def _run(self, batch: Sequence[_Row]) -> NDArray[np.float32]:
        """(B, labels)."""
        inputs = batch[0].landmarks[None] if len(batch) == 1 else np.stack([row.landmarks for row in batch])
        started = time.perf_counter()
        said = self.engine.predict(inputs, [row.step for row in batch if row.step is not None])
        self._ran(len(batch), time.perf_counter() - started)
        return said

    def _warm(self) -> None:
        shape = self.engine.manifest.input_shape
        places = self.engine.places
        whose = [Step(places.take(), fresh=True) for _ in range(min(self._max_batch, places.free))] if places else []
        for size in batch_sizes(self._max_batch):
            steps = whose[:size]  # a run steps each stream once, so that none ever has more rows than there are places
            self.engine.predict(np.full((len(steps) or size, *shape), np.nan, np.float32), steps)
        if self._spot_s:
            rows = len(whose) or self._max_batch
            inputs = np.full((rows, *shape), np.nan, np.float32)
            self._most_on_spot = self._spot_s * rows / min(self._seconds(inputs, whose) for _ in range(3))

    def _seconds(self, inputs: NDArray[np.float32], steps: Sequence[Step]) -> float:
        """That a run takes; never 0."""
        started = time.perf_counter()
        self.engine.predict(inputs, steps)
        return max(time.perf_counter() - started, 1e-9)


def _settle(warm: asyncio.Future[None], error: BaseException | None) -> None:
    if warm.done():
        return
    if error is None:
        warm.set_result(None)
    else:
        warm.set_exception(error)


def _answer(batch: Sequence[_Row], said: NDArray[np.float32]) -> None:
    for row, probabilities in zip(batch, said, strict=True):
        if row.last and not row.answer.done():
            row.answer.set_result(probabilities)


def _fail(batch: Sequence[_Row], error: Exception) -> None:
    for row in batch:
        if not row.answer.done():
            row.answer.set_exception(error)
