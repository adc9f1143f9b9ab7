"""A source whose work goes out when its host allows it: the engine's way to `Turns`.

        take                  admit
    source ──────▶ PoliteSource ──────▶ Turns ──take──▶ worker
                        ▲                                  │ again, now due
                        └───────────── put_back ◀──────────┘

Whatever may not go out yet is set aside in `Turns`, and the next piece of work is looked at. So a worker rests only if
no host may be asked, and a host that has to wait keeps nobody from their work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from crawler.fanout.result import Result
from crawler.fanout.turns import Turns

MAX_HELD: Final = 20_000
"""Requests that may wait for their hosts in memory, some 20 MB; with so many, no new ones are looked at."""


class Supply(Protocol):
    """Where the work comes from: a source of the engine."""

    @property
    def is_exhausted(self) -> bool:
        """Whether there is no more, and will be none."""

    def take(self) -> Result | None:
        """Give the next piece of work, `None` if there is none right now."""

    async def feed(self, wake: Callable[[], None]) -> None:
        """Fetch work from wherever it takes waiting, until there is no more."""


class PoliteSource:
    """Gives the work of a source in an order that hosts agree to.

    Args:
        supply: The source.
        turns: Holds what waits.
        clock: Monotonic seconds.
        name_host: Gives the key of a result's host.
        max_held: How many may wait in memory.
    """

    def __init__(
        self,
        supply: Supply,
        turns: Turns,
        clock: Callable[[], float],
        name_host: Callable[[Result], str],
        max_held: int = MAX_HELD,
    ) -> None:
        self._supply = supply
        self._turns = turns
        self._clock = clock
        self._name_host = name_host
        self._max_held = max_held
        self._was_full = False
        self.feed = supply.feed

    @property
    def is_exhausted(self) -> bool:
        """Whether nothing waits and the supply has no more."""
        return not self._turns.waiting and self._supply.is_exhausted

    def take(self) -> Result | None:
        """Start what may go out now; its host's clock has been told."""
        turns = self._turns
        now = self._clock()
        result = turns.take(now)
        if result is not None:
            return result
        while not (was_full := turns.waiting >= self._max_held):
            self._was_full = False
            new = self._supply.take()
            if new is None:
                return None
            new.host = self._name_host(new)
            if turns.admit(new, now):
                return new
            now = self._clock()  # looking at many takes time, and an old start would shorten an interval
        self._was_full = was_full
        return None

    def take_held(self) -> Result | None:
        """Start what waits already and may go out now; nothing new."""
        return self._turns.take(self._clock())

    def put_back(self, result: Result) -> None:
        """Let a request that has begun already wait for its host, before the others."""
        self._turns.put(result, self._clock(), is_first=True)

    @property
    def is_ready(self) -> bool:
        """Whether there may be work for one more worker: something may go out, or there is room for new work again."""
        if self._was_full and self._turns.waiting < self._max_held:
            return True
        return self._turns.is_ready(self._clock())

    def next_time(self) -> float | None:
        """Give the instant at which something that waits may go out; `None` if that depends on what is under way."""
        return self._turns.next_time()
