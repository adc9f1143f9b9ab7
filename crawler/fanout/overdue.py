"""Requests that have waited too long for their turn: they fail unsent, of the kind `deadline`.

They are found in two places: in the queues of their hosts, which are looked through now and then, and at the moment at
which they have a slot at last. Only first attempts count: how long a retry may wait is said elsewhere.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import anyio

if TYPE_CHECKING:
    from crawler.fanout.result import Result
    from crawler.fanout.turns import Turns

LOOK_EVERY_S: Final = 1.0
"""Longest pause between two looks; a quarter of the limit, where that is less."""


class QueueTimeout(Exception):
    """A request got no turn within its limit."""

    kind = "deadline"


class Overdue:
    """Watches what waits for its first turn.

    Args:
        limit: Seconds from when a request could have gone out.
        turns: Where requests wait for their hosts.
        clock: Monotonic seconds.
    """

    def __init__(self, limit: float, turns: Turns, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._turns = turns
        self._clock = clock

    def refuse(self, result: Result) -> bool:
        """Fail a request that has its turn now, if that comes too late; gives whether it does."""
        now = self._clock()
        if not self._is_late(result, now):
            return False
        self._turns.cancel(result.host, now)
        self._fail(result, now)
        return True

    async def watch(
        self,
        deliver: Callable[[Result], Awaitable[None] | None],
        wake: Callable[[], None],
        give_up: Callable[[Exception], None],
    ) -> None:
        """Look through the queues until cancelled.

        Args:
            deliver: Takes what has failed.
            wake: Called after that: there may be nothing left to wait for.
            give_up: Told if `deliver` raises, which ends the watch.
        """
        try:
            while True:
                await anyio.sleep(min(LOOK_EVERY_S, self._limit / 4))
                now = self._clock()
                late = self._turns.take_out(lambda result: self._is_late(result, now))  # noqa: B023  # called at once
                for result in late:
                    self._fail(result, now)
                    if (blocked := deliver(result)) is not None:
                        await blocked
                if late:
                    wake()
        except Exception as error:
            give_up(error)

    def _is_late(self, result: Result, now: float) -> bool:
        return not result.attempts and now - result.ready > self._limit

    def _fail(self, result: Result, now: float) -> None:
        host = f" for {result.host}" if result.host else ""
        result.skip(QueueTimeout(f"no turn{host} within {self._limit:g} s (timeout.queue)"), now)
