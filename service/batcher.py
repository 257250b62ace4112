"""The ready windows of all streams, in as few runs of a network as there can be."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from service.engine import Engine
from service.metrics import Metrics


def batch_sizes(largest: int) -> list[int]:
    """The only batch sizes that are ever run, so that all of them can be warmed: 1, 2, 4 ... up to `largest`."""
    sizes = [1]
    while sizes[-1] < largest:
        sizes.append(min(2 * sizes[-1], largest))
    return sizes


class Batcher:
    """Queues windows for one engine and runs whatever has gathered while the last run went on.

    Nothing waits for company: a window that comes alone is run alone. `submit` waits where `max_pending` windows
    are queued already. Runs go in a thread of their own.
    """

    def __init__(self, engine: Engine, metrics: Metrics, max_batch: int, max_pending: int) -> None:
        self.engine = engine
        self._metrics = metrics
        self._sizes = batch_sizes(max_batch)
        self._room = asyncio.Semaphore(max_pending)
        self._queue: deque[tuple[NDArray[np.float32], asyncio.Future[NDArray[np.float32]]]] = deque()
        self._some = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"run-{engine.manifest.name}")
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Run every batch size once, then begin to serve."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._warm)
        self._task = asyncio.create_task(self._serve())

    async def stop(self) -> None:
        """Stop serving; windows that still wait are cancelled."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for _, waiting in self._queue:
            waiting.cancel()
        self._thread.shutdown()

    async def submit(self, window: NDArray[np.float32]) -> asyncio.Future[NDArray[np.float32]]:
        """Queue one window (T, V, 3), waiting for room; the future holds its probabilities (labels,)."""
        await self._room.acquire()
        waiting: asyncio.Future[NDArray[np.float32]] = asyncio.get_running_loop().create_future()
        waiting.add_done_callback(lambda _: self._room.release())
        self._queue.append((window, waiting))
        self._some.set()
        return waiting

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._some.wait()
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), self._sizes[-1]))]
            if not self._queue:
                self._some.clear()
            batch = [(window, waiting) for window, waiting in batch if not waiting.done()]
            if not batch:
                continue
            try:
                said = await loop.run_in_executor(self._thread, self._run, [window for window, _ in batch])
            except asyncio.CancelledError:
                for _, waiting in batch:
                    waiting.cancel()
                raise
            except Exception as error:  # the streams that asked are told; the others go on
                for _, waiting in batch:
                    if not waiting.done():
                        waiting.set_exception(error)
                continue
            for (_, waiting), probabilities in zip(batch, said, strict=True):
                if not waiting.done():
                    waiting.set_result(probabilities)

    def _run(self, windows: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        """(B, labels); filled up to the next warmed batch size with copies of the last window."""
        size = next(size for size in self._sizes if size >= len(windows))
        filled = np.stack(windows + [windows[-1]] * (size - len(windows)))
        started = time.perf_counter()
        said = self.engine.predict(filled)[: len(windows)]
        self._metrics.ran(self.engine.manifest.name, len(windows), time.perf_counter() - started)
        return said

    def _warm(self) -> None:
        manifest = self.engine.manifest
        for size in self._sizes:
            self.engine.predict(np.full((size, manifest.window_frames, len(manifest.joints), 3), np.nan, np.float32))
