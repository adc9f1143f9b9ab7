"""A run in several processes: this one keeps the books, the others fetch.

                         ┌─ process 1: engine, client, bodies, processor, gate    hosts a, d
    items ─▶ ledger ─▶ crew                                     │ records, counts
               ▲         └─ process 2 …                         │                 hosts b, c
               └──────────────────────────◀─────────────────────┘

Everything that must not be done twice is done here: the list of requests, the input, the outputs, the commits. So a
run that ends in any way goes on with any number of processes, and a process that dies costs what it had under way.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterable, Callable, Iterable
from contextlib import AsyncExitStack
from typing import Any

from crawler.fanout.attempt_log import Observer
from crawler.fanout.books import Books
from crawler.fanout.crew import Crew
from crawler.fanout.crew_setup import Setup, Team, WorkerLost, plan_of, wants_lines
from crawler.fanout.deltas import absorb
from crawler.fanout.download import Downloads
from crawler.fanout.errors import OutputError
from crawler.fanout.frames import finished_of
from crawler.fanout.frontier import Finished, Frontier, Lease
from crawler.fanout.host_table import HostRow
from crawler.fanout.ledger import Ledger
from crawler.fanout.memory import memory_share
from crawler.fanout.plan import Item, Plan
from crawler.fanout.pressure import Look
from crawler.fanout.record import Recorder
from crawler.fanout.result import Result
from crawler.fanout.run import Run, host_of
from crawler.fanout.seen import seen_attempt


class CrewRun(Run):
    """One execution of a plan by several processes.

    Args:
        plan: What to do and how; `concurrency` is of each process, `rate` and `bandwidth` are divided among them.
        items: As `Run` takes them.
        processes: How many fetch.
        team: Makes what a process works with, in that process. `None` if the plan alone says everything, and can be
            pickled.
        may_grow: Finished requests may bring new ones: there is a processor.
        is_spaced: A gate may ask for more space between the requests of any host.
        screen: Says of each request that was found whether it is one of the run.
        observers: Are told of every attempt that ended, a moment later.

    Raises:
        ValueError: The plan cannot be done by several processes.

    Attributes:
        crew: The processes.
    """

    def __init__(
        self,
        plan: Plan,
        items: Iterable[Item] | AsyncIterable[Item],
        processes: int,
        team: Team | None = None,
        *,
        may_grow: bool = False,
        is_spaced: bool = False,
        screen: Callable[[Item], bool] | None = None,
        observers: Iterable[Observer] = (),
    ) -> None:
        super().__init__(plan, items, observers=observers)
        check_plan(plan, processes)
        self._processes = processes
        self._team = team
        self._may_grow = may_grow
        self._screen = screen
        self.crew = Crew(plan, processes, self._setup, self, is_spaced=is_spaced)
        self._now: Callable[[], float] = time.monotonic
        self._books: Ledger | None = None
        self._recorder: Recorder | None = None
        self._away: dict[str, float] = {}

    def _setup(self, number: int, takes_over: bool) -> Setup:
        plan = plan_of(self.plan, number, self._processes, is_stripped=self._team is not None)
        hosts = tuple(self.crew.shares.known(number))
        return Setup(plan, self._team, takes_over, bool(self.observers), hosts, wants_lines(self.plan))

    # -- in the places of what a run in one process has ---------------------------------------------------------------

    def _ledger(self, frontier: Frontier, clock: Callable[[], float]) -> Ledger:
        plan = self.plan
        self._now = clock
        self.crew.shares.remember(frontier.hosts(), is_news=False)
        self._recorder = Recorder(plan.run_id, plan.name, plan.worker, time.time() - clock(), plan.secrets)
        self._books = Ledger(
            frontier,
            self._items,
            input_id=plan.input_id,
            stats=self.stats,
            clock=clock,
            concurrency=plan.concurrency * self._processes,
            turns=self.crew.shares,
            by=plan.politeness.by,
            addresses=self._addresses,
            may_grow=self._may_grow,
        )
        return self._books

    async def _hire(self, stack: AsyncExitStack, ledger: Books, clock: Callable[[], float]) -> Downloads | None:
        assert self._books is not None
        self.crew.begin(self._books)
        self._engine = self.crew
        return None

    def _look(self, ledger: Books, cpu: float) -> Look:
        self.crew.read_gauges(self.stats)
        gauges = self.crew.gauges
        return Look(
            cpu=max([cpu, *(one.cpu for one in gauges)]),
            in_flight=self.stats.in_flight,
            slots=self.plan.concurrency * self._processes,
            held=sum(one.held for one in gauges),
            put_off=self.crew.waiting,
            is_behind=ledger.is_behind,
            is_starved=ledger.is_starved,
        )

    def _memory_share(self) -> float | None:
        return memory_share(sum(one.memory for one in self.crew.gauges))

    async def _commit(self, ledger: Books) -> None:
        self.crew.read_gauges(self.stats)
        await super()._commit(ledger)

    def _suspended(self) -> dict[str, float]:
        return dict(self._away)

    # -- what the crew tells ------------------------------------------------------------------------------------------

    async def finished(self, values: list[tuple[Any, ...]], delta: dict[str, Any], seen: list[tuple[Any, ...]]) -> None:
        """Take what a process has finished and counted; takes its time while the ledger is behind."""
        stats, rules = self.stats, self._rules
        counts: dict[str, int] = {}
        for one in values:
            counts[one[1]] = counts.get(one[1], 0) + 1
        absorb(stats, delta, counts, self._now())
        for key, seconds in delta.get("suspended", {}).items():
            self._away[key] = self._away.get(key, 0.0) + seconds
        self.crew.shares.remember(HostRow(*row) for row in delta.get("host_rows", ()))
        for attempt in seen:
            self._tell(attempt)
        if rules.receive(stats.bytes_wire):
            self.stop("requested")
        assert self._books is not None
        self.crew.read_gauges(stats)
        for one in values:
            if rules.finish(one[1] == "failed"):
                self.stop("requested")
            finished = finished_of(one)
            if finished.found and self._screen is not None:
                finished = finished._replace(found=[item for item in finished.found if self._screen(item)])
            if (blocked := self._books.record(finished)) is not None:
                await blocked

    def _tell(self, values: tuple[Any, ...]) -> None:
        attempt, host = seen_attempt(values)
        for observer in self.observers:
            observer.attempt(attempt, host)

    async def lost(self, result: Result) -> None:
        """Record a request that was under way in two processes when they died."""
        assert self._books is not None
        assert self._recorder is not None
        now = self._now()
        result.attempts = 2
        result.skip(WorkerLost("two processes died while it was under way"), now)
        result.started = now
        lease: Lease = result.target
        self.stats.finish(result, host_of(result), now, result.outcome)
        record = self._recorder.record(result, lease.item, lease.fp)
        if self._rules.finish(is_failed=True):
            self.stop("requested")
        if (blocked := self._books.record(Finished(lease.id, result.outcome, record))) is not None:
            await blocked

    def begun(self) -> None:
        """All requests that the limit allows were begun, and have ended."""
        assert self.plan.stop.requests is not None
        self._rules.reach_requests()
        self.stop("requested")

    def disk_failed(self, message: str) -> None:
        """A process cannot write what it should."""
        self._stop_for_disk(OutputError(message))


def check_plan(plan: Plan, processes: int) -> None:
    """Refuse what several processes cannot do.

    Raises:
        ValueError: It says what and why.
    """
    import sys

    if processes < 1:
        raise ValueError(f"a run has at least one process, not {processes}")
    if sys.platform == "win32":
        raise ValueError("several processes need a system that hands sockets over, which Windows does not")
    if plan.download is not None and plan.download.pack is not None:
        raise ValueError("one process writes an archive of downloads; several would write over each other")
    if plan.politeness.by == "ip":
        raise ValueError("whose a host is is known before its address is: one process alone can go by addresses")
    if plan.recrawl is not None:
        raise ValueError("what earlier rounds know of pages is kept and read by one process")
    if plan.client.keeps_cookies:
        raise ValueError("cookies that are kept belong to one process; several would not know each other's")
