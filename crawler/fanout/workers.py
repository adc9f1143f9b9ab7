"""The engine's heart: a fixed number of workers, a source of work, and a heap of those that wait for their next try.

         take()                 attempt()                deliver()
    source ─────▶ worker 1…n ──────────────▶ done? ──yes──────────▶ results
                     ▲                         │no, again in w s
                     │ due                     ▼
                     └────── keeper ◀──── heap by ready time

A worker *is* a slot: one that runs an attempt holds it, one that has nothing to send rests. What waits for a back-off
lies in the heap and holds nothing; what waits for its host lies in the source, if that is a `PoliteSource`, and comes
out of it at the instant at which its host may be asked. Workers are tasks that live as long as the engine (an own task
per request costs 1.8 µs under asyncio and far more under trio); each one that gets work starts the next while the
limit allows it, so three URLs at a concurrency of 10,000 start four tasks.

The engine knows nothing of HTTP, clients or records: it moves `Result`s between four functions.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable
from heapq import heappop, heappush
from typing import Final, Protocol

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from crawler.fanout.collector import relaxed_collector
from crawler.fanout.polite import PoliteSource
from crawler.fanout.result import Result

MAX_WAITING: Final = 10_000
"""Requests that may wait for their next try; while so many do, no new one is taken. Keeps memory flat when all
fail."""

_TURNS_BETWEEN_CHECKPOINTS: Final = 16  # attempts that never suspend (bad URLs) must not starve the event loop


class Source(Protocol):
    """Where work comes from."""

    @property
    def is_exhausted(self) -> bool:
        """Whether there is no more, and will be none."""

    def take(self) -> Result | None:
        """Give the next piece of work, `None` if there is none right now. Never waits."""

    async def feed(self, wake: Callable[[], None]) -> None:
        """Fetch work from wherever it takes waiting, until there is no more; call `wake` for each piece that came."""


class Engine:
    """Brings all work of a source to its end.

    Args:
        source: Gives the work.
        attempt: Makes one attempt and writes into the result how it ended; raises nothing but bugs and cancellation.
            True says that it has not ended: the request waits for another turn of a host, if the source is polite.
        again: Gives the seconds to wait before the next try of a failed result, or `None` if it is final.
        deliver: Takes a final result; may give an awaitable to hold the worker back.
        concurrency: Attempts at once.
        clock: Monotonic seconds; the clock of the event loop.

    Attributes:
        attempt: As given; may be wrapped before `run`.
        waiting: Results that wait for their next try.
    """

    def __init__(
        self,
        source: Source,
        *,
        attempt: Callable[[Result], Awaitable[bool | None]],
        again: Callable[[Result], float | None],
        deliver: Callable[[Result], Awaitable[None] | None],
        concurrency: int,
        clock: Callable[[], float],
    ) -> None:
        if concurrency < 1:
            raise ValueError(f"concurrency must be at least 1, not {concurrency}")
        self._source = source
        self._polite = source if isinstance(source, PoliteSource) else None
        self.attempt = attempt
        self._again = again
        self._deliver = deliver
        self._concurrency = concurrency
        self._clock = clock
        self._heap: list[tuple[float, int, Result]] = []
        self._due: deque[Result] = deque()
        self._resting: deque[anyio.Event] = deque()
        self._sequence = 0
        self._workers = 0
        self._busy = 0
        self._turns = 0  # of all workers: if another began one meanwhile, a worker has let the loop go on
        self._borrowed = 0
        self._is_stopping = False
        self._is_paused = False
        self._is_over = False
        self._error: Exception | None = None
        self._heap_changed: anyio.Event | None = None
        self._alarm = math.inf  # the instant the keeper of time sleeps until
        self._crew: TaskGroup | None = None
        self._helpers: TaskGroup | None = None

    @property
    def waiting(self) -> int:
        """Results that wait for their next try."""
        return len(self._heap) + len(self._due)

    async def run(self) -> None:
        """Work until the source is exhausted and every result delivered, or until stopped, cancelled or failed.

        Raises:
            Exception: What was given to `fail`, first come.
        """
        with relaxed_collector():
            await self._run()
        if self._error is not None:
            raise self._error

    async def _run(self) -> None:
        async with anyio.create_task_group() as self._helpers:
            self._helpers.start_soon(self._feed)
            if self._polite is not None:
                self._helpers.start_soon(self._keep_time)
            async with anyio.create_task_group() as self._crew:
                self._start_worker()
            self._helpers.cancel_scope.cancel()

    def stop(self) -> None:
        """Begin no further attempt; `run` returns when those under way have ended. What waits is left where it is."""
        self._is_stopping = True
        self._dismiss()

    def pause(self, is_paused: bool) -> None:
        """Begin no further attempt for now, or go on; what is under way is not touched."""
        if is_paused == self._is_paused:
            return
        self._is_paused = is_paused
        if not is_paused:
            self._dismiss()
            if self._heap_changed is not None:
                self._heap_changed.set()

    def cancel(self) -> None:
        """Cancel the attempts under way, too; `run` returns as soon as they are gone."""
        self.stop()
        if self._helpers is not None:
            self._helpers.cancel_scope.cancel()

    def fail(self, error: Exception) -> None:
        """End everything at once; `run` raises `error`, or the one before it."""
        if self._error is None:
            self._error = error
        self.cancel()

    def borrow(self) -> bool:
        """Take a slot for another request of an attempt under way, if one is free; `give_back` returns it."""
        if self._busy + self._borrowed >= self._concurrency:
            return False
        self._borrowed += 1
        return True

    def give_back(self) -> None:
        """Return a slot that was borrowed."""
        self._borrowed -= 1
        self.wake()

    def wake(self) -> None:
        """Have one resting worker look for work."""
        if self._resting:
            self._resting.popleft().set()
        elif self._workers < self._concurrency and not self._is_over:
            self._start_worker()

    # -- workers ------------------------------------------------------------------------------------------------------

    def _start_worker(self) -> None:
        assert self._crew is not None
        self._workers += 1
        self._crew.start_soon(self._work)

    async def _work(self) -> None:
        alone = 0
        try:
            while not self._is_stopping:
                result = self._take()
                if result is None:
                    self._set_alarm()
                    if not await self._rest():
                        return
                    continue
                if self._polite is not None and self._resting and self._polite.is_ready:
                    self.wake()  # one alarm may make many hosts ready
                if self._workers < self._concurrency and not self._resting:
                    self._start_worker()
                self._turns += 1
                before = self._turns
                await self._turn(result)
                # A checkpoint costs 10 µs, and attempts that waited for something were one.
                alone = alone + 1 if self._turns == before else 0
                if alone >= _TURNS_BETWEEN_CHECKPOINTS:
                    alone = 0
                    await anyio.lowlevel.checkpoint()
        except Exception as error:
            self.fail(error)

    async def _turn(self, result: Result) -> None:
        """One attempt and what follows from it."""
        self._busy += 1
        try:
            if await self.attempt(result):
                assert self._polite is not None
                self._polite.put_back(result)
                return
            wait = None if result.error_kind is None else self._again(result)
            if wait is not None:
                self._put_off(result, wait)
                return
            blocked = self._deliver(result)
            if blocked is not None:
                await blocked
        finally:
            self._busy -= 1

    def _take(self) -> Result | None:
        if self._is_paused or self._busy + self._borrowed >= self._concurrency:
            return None
        if self._due:
            return self._due.popleft()
        if len(self._heap) < MAX_WAITING:
            return self._source.take()
        return None if self._polite is None else self._polite.take_held()

    async def _rest(self) -> bool:
        """Wait until there may be work; false if there will be none."""
        if self._is_over:
            return False
        if not self._busy and not self._heap and not self._due and self._source.is_exhausted:
            self._is_over = True
            self._dismiss()
            return False
        event = anyio.Event()
        self._resting.append(event)
        await event.wait()
        return not self._is_over

    def _dismiss(self) -> None:
        """Wake everybody; they will see why."""
        while self._resting:
            self._resting.popleft().set()

    async def _feed(self) -> None:
        try:
            await self._source.feed(self.wake)
        except Exception as error:
            self.fail(error)
        self._dismiss()  # the last resting worker may have been waiting for this end only

    # -- the heap -----------------------------------------------------------------------------------------------------

    def _put_off(self, result: Result, wait: float) -> None:
        result.ready = self._clock() + wait
        self._sequence += 1
        heappush(self._heap, (result.ready, self._sequence, result))
        if self._sequence == 1 and self._polite is None:
            assert self._helpers is not None
            self._helpers.start_soon(self._keep_time)
        elif self._heap_changed is not None and self._heap[0][2] is result:
            self._heap_changed.set()

    def _set_alarm(self) -> None:
        """See to it that the keeper of time wakes when the next host may be asked; for workers that go to rest."""
        if self._polite is None or self._heap_changed is None or self._is_paused:
            return
        at = self._polite.next_time()
        if at is not None and at < self._alarm:
            self._heap_changed.set()

    async def _keep_time(self) -> None:
        """Move what is due from the heap to the workers; sleeps until the next instant or an earlier newcomer."""
        while True:
            now = self._clock()
            was_full = len(self._heap) >= MAX_WAITING
            while self._heap and self._heap[0][0] <= now:
                self._come_due(heappop(self._heap)[2])
                self.wake()
            if was_full and len(self._heap) < MAX_WAITING:
                self._dismiss()  # those who rested because of the limit may take new work again
            self._alarm = self._heap[0][0] if self._heap else math.inf
            if self._polite is not None and not self._is_paused and (at := self._polite.next_time()) is not None:
                if at > now:
                    self._alarm = min(self._alarm, at)
                elif self._resting or self._workers < self._concurrency:
                    self.wake()
            self._heap_changed = anyio.Event()
            with anyio.move_on_after(None if self._alarm == math.inf else self._alarm - now):
                await self._heap_changed.wait()

    def _come_due(self, result: Result) -> None:
        if self._polite is None:
            self._due.append(result)
        else:
            self._polite.put_back(result)
