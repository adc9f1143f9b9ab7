"""The one timer of a pool under asyncio: ends what is late."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from time import monotonic
from typing import Protocol

from crawler.net.deadlines import NEVER

MIN_INTERVAL_S = 0.01  # so that many different short timeouts do not turn into a busy loop
STALL_S = 0.1  # a timer that comes so late means that the loop was blocked


class Expiring(Protocol):
    """Something with a deadline.

    Attributes:
        deadline: Monotonic seconds, `NEVER` if nothing is being waited for.
    """

    deadline: float

    def expire(self) -> None:
        """The deadline has passed."""
        ...


class Sweeper:
    """Looks at all deadlines when the earliest of them may have come.

    Deadlines mostly move on before they are reached, so that a busy pool sweeps once per timeout, not per request.

    Args:
        loop: Where the timer runs.
        watched: What to look at; read at each sweep.
    """

    __slots__ = ("_handle", "_loop", "_was_late", "_watched", "wakes_at")

    def __init__(self, loop: asyncio.AbstractEventLoop, watched: Iterable[Expiring]) -> None:
        self._loop = loop
        self._watched = watched
        self._handle: asyncio.TimerHandle | None = None
        self._was_late = False
        self.wakes_at = NEVER
        """When it looks next, in monotonic seconds."""

    def wake_by(self, deadline: float) -> None:
        """Look no later than at `deadline`; called only with one before `wakes_at`."""
        if self._handle is not None:
            self._handle.cancel()
        self.wakes_at = deadline
        self._handle = self._loop.call_later(max(0.0, deadline - monotonic()), self._sweep)

    def stop(self) -> None:
        """Look no more."""
        if self._handle is not None:
            self._handle.cancel()
        self._handle = None
        self.wakes_at = NEVER

    def _sweep(self) -> None:
        now = monotonic()
        if now - self.wakes_at > STALL_S and not self._was_late:
            # Something kept the loop busy. uvloop runs timers before it reads: what has come meanwhile goes first.
            self._was_late = True
            self._handle = self._loop.call_later(MIN_INTERVAL_S, self._sweep)
            return
        self._was_late = False
        self._handle = None
        self.wakes_at = NEVER
        earliest = NEVER
        for watched in list(self._watched):
            deadline = watched.deadline
            if deadline <= now:
                watched.expire()
            elif deadline < earliest:
                earliest = deadline
        if earliest < self.wakes_at:
            self.wake_by(max(earliest, now + MIN_INTERVAL_S))
