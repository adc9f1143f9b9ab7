"""The run of one process of several: an engine like any other, whose ledger is at the other end of a line."""

from __future__ import annotations

import mmap
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import anyio

from crawler.fanout.admission import Judge
from crawler.fanout.bodies import BodyKeeper
from crawler.fanout.books import Books
from crawler.fanout.clock import loop_clock
from crawler.fanout.crew_setup import Hands
from crawler.fanout.deltas import Gauges, Tally
from crawler.fanout.download import Downloads
from crawler.fanout.fetch import HTTPClient
from crawler.fanout.frames import finished_values, frame, lease_of
from crawler.fanout.frontier import Finished
from crawler.fanout.host_table import HostRow
from crawler.fanout.ledger import Signal
from crawler.fanout.line import Line
from crawler.fanout.memory import resident
from crawler.fanout.pages import UNKNOWN
from crawler.fanout.pressure import LOOK_EVERY_S
from crawler.fanout.result import Result
from crawler.fanout.run import Run
from crawler.fanout.seen import attempt_values
from crawler.fanout.workers import Engine

BATCH: Final = 200
FLUSH_S: Final = 0.05
MAX_PILE: Final = 2_000
MAX_HELD: Final = 16 * 1024 * 1024
"""Bytes of bodies for archives after which a frame goes early; with twice as many, workers wait for the line."""

Report = Callable[[], tuple[dict[str, Any], tuple[object, ...], list[tuple[object, ...]]]]
"""Gives what was counted, how the process stands, and the attempts that ended."""


class PipeBooks:
    """The books of a run, as seen through a line; see `crawler.fanout.books.Books`.

    Args:
        line: To the process that keeps them.
        clock: Monotonic seconds.
        judge: Says whether a request may go out.
        obey: Takes commands: kind and values.
        report: Gives what is said beside the records.
        sends_lines: Records are wanted as lines of JSON.

    Attributes:
        deliver: Takes the results of those that may not go out.
    """

    def __init__(
        self,
        line: Line,
        clock: Callable[[], float],
        judge: Judge,
        obey: Callable[[str, tuple[Any, ...]], None],
        report: Report,
        *,
        sends_lines: bool = False,
    ) -> None:
        self._line = line
        self._clock = clock
        self._judge = judge
        self._obey = obey
        self._report = report
        self._sends_lines = sends_lines
        self.deliver: Callable[[Result], Awaitable[None] | None] = lambda result: None
        self._stock: deque[Result] = deque()
        self._is_ended = False
        self._out = 0
        self._pile: list[Finished] = []
        self._held = 0
        self._full = Signal()
        self._taken: anyio.Event | None = None
        self._claims: dict[int, tuple[anyio.Event, list[bool]]] = {}
        self._claim = 0
        self._beat = 0.0

    # -- work in ------------------------------------------------------------------------------------------------------

    @property
    def is_exhausted(self) -> bool:
        """Whether nothing more will come."""
        return self._is_ended and not self._stock

    @property
    def is_starved(self) -> bool:
        """Never known here."""
        return False

    @property
    def is_behind(self) -> bool:
        """Whether finished requests pile up because the line is slower."""
        return len(self._pile) >= MAX_PILE // 2

    def take(self) -> Result | None:
        """Give the next request."""
        return self._stock.popleft() if self._stock else None

    async def feed(self, wake: Callable[[], None]) -> None:
        """Take what comes over the line."""
        async for kind, values in self._line.receive():
            if kind == "work":
                await self._take_work(values[0], wake)
            elif kind == "claimed":
                event, answer = self._claims.pop(values[0])
                answer.append(values[1])
                event.set()
            elif kind == "end":
                self._is_ended = True
                return
            else:
                self._obey(kind, values)
        self._obey("gone", ())

    async def _take_work(self, leases: list[tuple[Any, ...]], wake: Callable[[], None]) -> None:
        now = self._clock()
        self._out += len(leases)
        for values in leases:
            lease = lease_of(values)
            result = Result(lease, lease.id, lease.item.key, now)
            result.rank = -lease.item.priority
            verdict = self._judge(lease.item)
            if verdict is None or verdict is UNKNOWN:
                result.is_unprepared = verdict is UNKNOWN
                self._stock.append(result)
                wake()
                continue
            result.skip(verdict, now)
            if (blocked := self.deliver(result)) is not None:
                await blocked

    async def claim(self, name: str, owner: bytes) -> bool:
        """Reserve a file name for a request."""
        self._claim += 1
        event, answer = self._claims[self._claim] = anyio.Event(), []
        await self._line.send(frame("claim", self._claim, name, owner))
        await event.wait()
        return answer[0]

    # -- finished work ------------------------------------------------------------------------------------------------

    def record(self, finished: Finished) -> Awaitable[None] | None:
        """Take a finished request; gives something to await when the line is behind."""
        pile = self._pile
        pile.append(finished)
        self._out -= 1
        if finished.exchange is not None:
            self._held += finished.exchange.size
        if len(pile) < BATCH and self._held < MAX_HELD and self._out:
            return None
        self._full.set()
        if len(pile) < MAX_PILE and self._held < 2 * MAX_HELD:
            return None
        if self._taken is None:
            self._taken = anyio.Event()
        return self._taken.wait()

    async def keep_committing(self) -> None:
        """Say what is finished, and now and then that we are alive."""
        while True:
            with anyio.move_on_after(FLUSH_S):
                await self._full.wait()
            if self._pile or self._clock() - self._beat >= LOOK_EVERY_S:
                await self.commit()

    async def commit(self) -> None:
        """Say what is finished now."""
        pile, self._pile = self._pile, []
        self._held = 0
        self._beat = self._clock()
        if self._taken is not None:
            self._taken.set()
            self._taken = None
        is_written = self._sends_lines
        values = [finished_values(one, is_written=is_written) for one in pile]
        data = frame("done", values, *self._report())
        await self._line.send(data)


class WorkerRun(Run):
    """Fetches what another process says.

    Args:
        hands: What it works with.
        line: To the process that keeps the books.
        table: A file in shared memory for the numbers of the requests that are under way.
        takes_over: The process before it died.
        tells_attempts: Somebody wants to hear of each attempt.
        hosts: What is known of its hosts.
        sends_lines: Records are wanted as lines of JSON.
    """

    def __init__(
        self,
        hands: Hands,
        line: Line,
        table: int,
        *,
        takes_over: bool = False,
        tells_attempts: bool = False,
        hosts: Sequence[HostRow] = (),
        sends_lines: bool = False,
    ) -> None:
        super().__init__(hands.plan, (), hands.processor, hands.gate)
        self._line = line
        self._table = mmap.mmap(table, 0)
        self._tally = Tally(self.stats)
        self._seen: list[tuple[object, ...]] = []
        self._cpu = 0.0
        self._began = time.process_time()
        self._clock: Callable[[], float] = time.monotonic
        self._takes_over = takes_over
        self._known = hosts
        self._sends_lines = sends_lines
        self._writes_lines = self._writes_lines and sends_lines
        if tells_attempts:
            self.observers.append(self)

    async def serve(self) -> None:
        """Fetch what comes, until told to end.

        Raises:
            OutputError: The disk refuses.
            Exception: What else went wrong.
        """
        clock = self._clock = loop_clock()
        self.stats.begin(clock())
        if self._takes_over:
            self._turns.settle(clock())
        self._turns.restore(self._known, clock())
        books = PipeBooks(self._line, clock, self._judge, self._obey, self._report, sends_lines=self._sends_lines)
        await self._work(books, clock)
        if self._disk_error is not None:
            raise self._disk_error
        await books.commit()

    def attempt(self, result: Result, host: str) -> None:
        """An attempt ended, and somebody wants to know."""
        self._seen.append(attempt_values(result, host))

    def _obey(self, kind: str, values: tuple[Any, ...]) -> None:
        if kind == "pause":
            assert self._engine is not None
            self._engine.pause(values[0])
        elif kind == "stop":
            self.stop("requested")
        else:
            self.abort("requested")

    def _make_engine(
        self, ledger: Books, bodies: BodyKeeper | Downloads, client: HTTPClient, clock: Callable[[], float]
    ) -> Engine:
        """Make an engine that notes which requests are under way where they outlive the process."""
        engine = super()._make_engine(ledger, bodies, client, clock)
        attempt = engine.attempt
        table = memoryview(self._table).cast("Q")
        free = list(range(len(table)))

        async def noted(result: Result) -> bool | None:
            at = free.pop()
            table[at] = result.target.id
            try:
                return await attempt(result)
            finally:
                table[at] = 0
                free.append(at)

        engine.attempt = noted
        return engine

    async def _watch(self, ledger: Books, clock: Callable[[], float]) -> None:
        at, cpu = clock(), time.thread_time()
        while True:
            await anyio.sleep(LOOK_EVERY_S)
            now, spent = clock(), time.thread_time()
            self.stats.pressure.lag.add(max(0.0, now - at - LOOK_EVERY_S))
            self._cpu = (spent - cpu) / (now - at)
            at, cpu = now, spent

    def _report(self) -> tuple[dict[str, Any], tuple[object, ...], list[tuple[object, ...]]]:
        """Give what was counted, how this process stands, and the attempts that ended."""
        stats, turns = self.stats, self._turns
        delta = self._tally.take()
        if turns.suspended:
            delta["suspended"], turns.suspended = turns.suspended, {}
        if turns.changed:
            delta["host_rows"] = [tuple(row) for row in turns.take_changed(self._clock())]
        gauges = Gauges(
            in_flight=stats.in_flight,
            waiting=stats.waiting,
            held=turns.waiting,
            put_off=0 if self._engine is None else self._engine.waiting,
            cpu=self._cpu,
            cpu_seconds=time.process_time() - self._began,
            memory=resident() or 0,
            paused=stats.paused,
        )
        seen, self._seen = self._seen, []
        return delta, gauges.values(), seen
