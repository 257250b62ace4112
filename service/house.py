"""What all routes of one running app share: models, extractors, counters; warmed at start, let go at the end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from landmarks.extract import Extractor, open_extractors
from landmarks.manifest import Manifest
from landmarks.people import Crowd
from service.batcher import Batcher
from service.engine import CUDA, TENSORRT, Engine, cuda_devices, load_engines
from service.errors import Busy, ModelError, NotReady, UnknownModel
from service.metrics import Metrics
from service.outputs import outlets
from service.outputs.outlet import Outlet
from service.resume import open_store
from service.sessions import Sessions
from service.settings import Settings

logger = logging.getLogger("signstream")

Done = TypeVar("Done")


class House:
    """Built with the app, alive within `running`."""

    def __init__(self, settings: Settings, engines: Sequence[Engine] | None = None) -> None:
        self.settings = settings
        self.crowd = Crowd(settings.max_people, settings.forget_s)
        self.metrics = Metrics()
        self.sessions = Sessions(self)
        self.store = open_store(settings, self.metrics)
        self.outlets: list[Outlet] = outlets(settings, self.metrics)
        self._given = engines
        self._batchers: dict[str, Batcher] = {}
        self._idle: asyncio.LifoQueue[Extractor] = asyncio.LifoQueue()
        self._extracting = ThreadPoolExecutor(settings.extractors, thread_name_prefix="extract")
        self._replaying = ThreadPoolExecutor(settings.replays, thread_name_prefix="replay")
        self._warming: asyncio.Task[None] | None = None
        self.on_warmed: Callable[[BaseException | None], None] = lambda _: None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Warm up in the background, so that `/livez` answers meanwhile; let everything go at the end."""
        self._warming = asyncio.create_task(self._warm())
        self._warming.add_done_callback(lambda done: done.cancelled() or self.on_warmed(done.exception()))
        try:
            async with self._told_outside(), self.sessions.running():
                yield
        finally:
            self._warming.cancel()
            await asyncio.gather(self._warming, return_exceptions=True)
            for batcher in self._batchers.values():
                await batcher.stop()
            self._extracting.shutdown()
            self._replaying.shutdown()
            while not self._idle.empty():
                self._idle.get_nowait().close()

    @asynccontextmanager
    async def _told_outside(self) -> AsyncIterator[None]:
        for outlet in self.outlets:
            await outlet.start()
        try:
            yield
        finally:
            await asyncio.gather(*(outlet.stop(self.settings.drain_s) for outlet in self.outlets))
            if self.store is not None:
                await self.store.close()

    async def _warm(self) -> None:
        loop = asyncio.get_running_loop()
        engines = self._given
        if engines is None:
            engines = await loop.run_in_executor(None, load_engines, self.settings)
        self._look_for_fallbacks(engines)
        limits = self.settings
        for engine in engines:
            batcher = Batcher(
                engine,
                self.metrics,
                limits.max_batch,
                limits.max_pending_windows,
                limits.batch_wait_s,
                limits.deadline_s,
                limits.spot_s,
                limits.gather_s,
            )
            self._batchers[engine.manifest.name] = batcher  # at once, so that it is stopped whatever comes next
            await batcher.start()
        cuda = limits.device != "cpu" and cuda_devices() > 0
        build = partial(open_extractors, limits.extractors, limits.extraction, cuda=cuda)
        for extractor in await loop.run_in_executor(self._extracting, build):
            self._idle.put_nowait(extractor)

    def _look_for_fallbacks(self, engines: Sequence[Engine]) -> None:
        """Note what models really run on. Raises ModelError where that is not CUDA and CUDA is required."""
        told = {engine.manifest.name: f"{engine.manifest.name} runs on {engine.provider}" for engine in engines}
        for engine in engines:
            self.metrics.provider.labels(engine.manifest.name, engine.provider).set(1)
            self.metrics.fallback.labels(engine.manifest.name).set(engine.provider != engine.wanted)
        slow = [told[engine.manifest.name] for engine in engines if engine.provider not in (CUDA, TENSORRT)]
        if self.settings.cuda_asked_by and slow:
            raise ModelError(f"{self.settings.cuda_asked_by}, but {', '.join(slow)}")
        fallen = [
            f"{told[engine.manifest.name]}, not on {engine.wanted}"
            for engine in engines
            if engine.provider != engine.wanted
        ]
        if fallen:
            logger.warning("%s; onnxruntime's lines above say why", "; ".join(fallen))

    async def warmed(self) -> None:
        """Wait until warming up is over; raises what made it fail."""
        assert self._warming is not None, "ask within `running`"
        await asyncio.shield(self._warming)

    @property
    def failure(self) -> BaseException | None:
        """Why warming up failed, if it did."""
        return self._warming.exception() if self._warming is not None and self._is_warmed else None

    @property
    def ready(self) -> bool:
        """Whether every model and extractor is warm."""
        return self._is_warmed and self.failure is None

    @property
    def _is_warmed(self) -> bool:
        return self._warming is not None and self._warming.done() and not self._warming.cancelled()

    @property
    def provider(self) -> str:
        """What onnxruntime really runs on: one name, or several where models differ."""
        return ", ".join(sorted({batcher.engine.provider for batcher in self._batchers.values()}))

    @property
    def fallbacks(self) -> list[str]:
        """Models that do not run on what they were to run on, by name."""
        engines = [batcher.engine for batcher in self._batchers.values()]
        return [engine.manifest.name for engine in engines if engine.provider != engine.wanted]

    def batchers(self, names: Sequence[str] | None = None) -> list[Batcher]:
        """The models by name, all for None. Raises NotReady, UnknownModel."""
        if not self.ready:
            raise NotReady(f"the models failed to load: {self.failure}" if self.failure else "try again in a moment")
        chosen = list(dict.fromkeys(names)) if names else list(self._batchers)
        if unknown := [name for name in chosen if name not in self._batchers]:
            raise UnknownModel(f"no model {', '.join(unknown)}; choose from {', '.join(self._batchers)}")
        return [self._batchers[name] for name in chosen]

    @property
    def default_models(self) -> list[str]:
        """Names of the models that answer who names none."""
        wanted = [name.strip() for name in self.settings.default_models.split(",")]
        return [name for name in wanted if name in self._batchers] or list(self._batchers)

    def engines(self, names: Sequence[str] | None = None) -> list[Engine]:
        """Likewise, the engines themselves."""
        return [batcher.engine for batcher in self.batchers(names)]

    def manifests(self, names: Sequence[str] | None = None) -> list[Manifest]:
        """Likewise, what the models say of themselves."""
        return [engine.manifest for engine in self.engines(names)]

    @asynccontextmanager
    async def extractor(self, wait_s: float = 0.0) -> AsyncIterator[Extractor]:
        """One warm extractor for one stream or file. Raises Busy where none gets free within `wait_s`."""
        try:
            extractor = await asyncio.wait_for(self._idle.get(), wait_s) if wait_s else self._idle.get_nowait()
        except (asyncio.QueueEmpty, TimeoutError) as error:
            raise Busy(
                f"all {self.settings.extractors} extractors look at other pictures; send landmarks, or try again later"
            ) from error
        try:
            await self.extract(extractor.reset)
            yield extractor
        finally:
            self._idle.put_nowait(extractor)

    async def extract(self, work: Callable[..., Done], *arguments: Any) -> Done:
        """Run an extractor's work off the event loop; who is cancelled meanwhile still waits for it to end."""
        running = asyncio.get_running_loop().run_in_executor(self._extracting, work, *arguments)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait([running])
            raise

    async def replay(self, work: Callable[..., Done], *arguments: Any) -> Done:
        """Run a whole clip's work off the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._replaying, work, *arguments)
