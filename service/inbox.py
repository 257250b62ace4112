"""What a session has heard and not looked at yet: in order, and never without bound."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Literal

from service.wire import LandmarkFrame, PictureFrame

Frame = LandmarkFrame | PictureFrame

_STEERING = 64
"""How much that is no frame may wait besides."""


class Inbox:
    """One hears, another looks. Where frames wait already, the newest pushes the oldest out, or its sender waits.

    frames, pictures: most landmark frames and most pictures that wait. overflow: what happens then; `auto` drops the
    oldest picture, for who watches live wants the newest, and lets landmarks wait.
    """

    def __init__(self, frames: int, pictures: int, overflow: Literal["auto", "block", "drop_oldest"]) -> None:
        self._most = {LandmarkFrame: frames, PictureFrame: pictures}
        self._drops = {LandmarkFrame: overflow == "drop_oldest", PictureFrame: overflow != "block"}
        self._waiting: deque[tuple[float, object]] = deque()
        self._count: dict[type, int] = {LandmarkFrame: 0, PictureFrame: 0}
        self._looking: asyncio.Future[None] | None = None
        self._hearing: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    async def put(self, heard: object) -> Frame | None:
        """Take what was heard, waiting for room if need be; returns the frame that went for it, if one did."""
        kind = type(heard)
        gone = None
        if kind in self._count:
            while self._count[kind] >= self._most[kind]:
                if self._drops[kind]:
                    gone = self._drop_oldest(kind)
                    break
                await self._room()
            self._count[kind] += 1
        else:
            while self._steering_full:
                await self._room()
        self._append(heard)
        return gone

    def offer(self, heard: object) -> bool:
        """Take what is no frame if there is room; never waits."""
        if self._steering_full:
            return False
        self._append(heard)
        return True

    async def get(self) -> tuple[float, object]:
        """The next one, with when it came (time.perf_counter), once there is one."""
        while not self._waiting:
            self._looking = asyncio.get_running_loop().create_future()
            await self._looking
        arrived_s, heard = self._waiting.popleft()
        if (kind := type(heard)) in self._count:
            self._count[kind] -= 1
        while self._hearing:
            if not (hearing := self._hearing.popleft()).done():
                hearing.set_result(None)
        return arrived_s, heard

    @property
    def _steering_full(self) -> bool:
        return len(self._waiting) - sum(self._count.values()) >= _STEERING

    def _append(self, heard: object) -> None:
        self._waiting.append((time.perf_counter(), heard))
        if self._looking is not None and not self._looking.done():
            self._looking.set_result(None)

    async def _room(self) -> None:
        hearing = asyncio.get_running_loop().create_future()
        self._hearing.append(hearing)
        await hearing

    def _drop_oldest(self, kind: type) -> Frame:
        """Frames of one kind, the oldest of them."""
        i, oldest = next((i, heard) for i, (_, heard) in enumerate(self._waiting) if isinstance(heard, kind))
        del self._waiting[i]
        self._count[kind] -= 1
        assert isinstance(oldest, LandmarkFrame | PictureFrame)
        return oldest
