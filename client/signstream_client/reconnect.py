"""When to try again, and when to give up."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Reconnect:
    """How a lost line is made anew: exponential backoff with full jitter (Brooker 2015), in seconds.

    within_s: give up after so long.
    first_s, most_s: a try waits from 0 to `first_s`, each further one from 0 to twice as long, up to `most_s`.
    restart: where the service does not know the session any more, begin a new one with the frames that are still
        held, instead of raising StreamLost; `Ready` comes again then, and events are numbered from 1.
    chance: 0 to 1. clock: seconds, of any beginning.
    """

    within_s: float = 60.0
    first_s: float = 0.25
    most_s: float = 10.0
    restart: bool = False
    chance: Callable[[], float] = random.random
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        if not 0 <= self.first_s <= self.most_s or not self.within_s >= 0:
            raise ValueError(
                f"need 0 <= first_s <= most_s and within_s >= 0, got {self.first_s}, {self.most_s}, {self.within_s}"
            )


class Tries:
    """The tries to have a line again: `up` and `lost` tell of lines, `stood` that one was good for something."""

    def __init__(self, how: Reconnect) -> None:
        self._how = how
        self._up_s: float | None = None
        self._stood = True
        self._count = 0
        self._not_before_s = self._until_s = 0.0

    def up(self) -> None:
        """There is a line."""
        self._up_s = self._how.clock()

    def stood(self) -> None:
        """The line has brought the stream forward."""
        self._stood = True

    def lost(self, retry_after_s: float = 0.0) -> None:
        """There is none. retry_after_s: the service's wish."""
        now_s = self._how.clock()
        # A line that is lost as soon as it is there was no success, or there would be no end of it.
        if self._stood or (self._up_s is not None and now_s - self._up_s >= self._how.most_s):
            self._count, self._until_s = 0, now_s + self._how.within_s
        self._stood, self._up_s = False, None
        self._not_before_s = now_s + retry_after_s

    def wait_s(self) -> float | None:
        """How long to wait before the next try; None where there is to be none."""
        now_s = self._how.clock()
        if now_s > self._until_s:
            return None
        jitter_s = self._how.chance() * min(self._how.most_s, self._how.first_s * 2.0 ** min(self._count, 64))
        self._count += 1
        return min(max(0.0, self._not_before_s - now_s) + jitter_s, self._until_s - now_s)
