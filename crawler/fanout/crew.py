"""The processes of a run, seen from the one that keeps its books.

    ledger ─▶ shares ─▶ place 1 ─▶ process       work ▶   ◀ records and counts
                     └▶ place 2 ─▶ process       claims, commands
                          ▲           │ dies
                          └───────────┘ what it had goes to the next one there

A process that dies costs nothing but time: what it had has no outcome yet. What was *under way* is suspected of having
killed it. Suspects are tried again one at a time; one that is under way when the next process dies gets the outcome
`worker_lost`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from crawler.fanout.books import Books
from crawler.fanout.crew_setup import Setup, WorkerRefused, WorkersLost
from crawler.fanout.deltas import Gauges
from crawler.fanout.frames import frame
from crawler.fanout.place import BATCH, Place
from crawler.fanout.result import Result
from crawler.fanout.shares import Shares

if TYPE_CHECKING:
    from crawler.fanout.plan import Plan
    from crawler.fanout.stats import Stats

MAX_OUT: Final = 20_000
"""Requests that a process may have; with so many on average, no new ones are handed out."""

MAX_DEATHS: Final = 5
"""Processes that may die one after the other in one place with nothing done."""

LAST_WORDS_S: Final = 5.0
"""For which a process that was told to end at once may still say what it has done."""


class Office(Protocol):
    """Who takes what the crew brings: the run."""

    async def finished(self, values: list[tuple[Any, ...]], delta: dict[str, Any], seen: list[tuple[Any, ...]]) -> None:
        """Take finished requests, counts and attempts; takes its time when there is too much of it."""

    async def lost(self, result: Result) -> None:
        """Record a request that was under way in two processes when they died."""

    def begun(self) -> None:
        """As many requests as may were begun, and have ended."""

    def disk_failed(self, message: str) -> None:
        """A process cannot write what it should."""


class Crew:
    """Has the work of a run done by processes: its `Workforce`.

    Args:
        plan: Of the run.
        processes: How many places there are; a process is started when there is work for its place.
        setup: Gives what a process is told: number of the place, and whether it takes over.
        office: The run.
        is_spaced: Any host may have limits nobody knows of yet.

    Attributes:
        shares: Which place has which host; the `Queues` of the ledger.
        places: As many as processes.
    """

    def __init__(
        self,
        plan: Plan,
        processes: int,
        setup: Callable[[int, bool], Setup],
        office: Office,
        *,
        is_spaced: bool = False,
    ) -> None:
        self._setup = setup
        self._office = office
        self.places = [Place(number, plan.concurrency) for number in range(processes)]
        self.shares = Shares(plan.politeness, processes, plan.concurrency, self._give, is_spaced=is_spaced)
        self._most = MAX_OUT * processes
        self._left = plan.stop.requests  # requests that may still begin
        self._books: Books | None = None
        self._suspected: Counter[int] = Counter()
        self._is_fed = self._is_stopping = self._is_cancelled = self._is_paused = self._is_ending = False
        self._error: Exception | None = None
        self._group: TaskGroup | None = None
        self._hurry: anyio.CancelScope | None = None
        self._feeding: anyio.CancelScope | None = None

    def begin(self, books: Books) -> None:
        """Take the source of the work."""
        self._books = books

    @property
    def gauges(self) -> list[Gauges]:
        """How each process stands."""
        return [place.gauges for place in self.places]

    @property
    def waiting(self) -> int:
        """Requests that wait for their next try."""
        return sum(place.gauges.put_off for place in self.places)

    @property
    def cpu_seconds(self) -> float:
        """What all processes have computed."""
        return sum(place.cpu_before + place.gauges.cpu_seconds for place in self.places)

    def read_gauges(self, stats: Stats) -> None:
        """Write how the processes stand together into the counters."""
        gauges = self.gauges
        stats.in_flight = sum(one.in_flight for one in gauges)
        stats.waiting = sum(one.waiting for one in gauges)
        stats.paused = next((one.paused for one in gauges if one.paused), None)

    # -- as a workforce -----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Have all work done, or until stopped, cancelled or failed.

        Raises:
            WorkersLost: Processes die whatever they do.
            WorkerRefused: They find that it cannot be done.
            Exception: What was given to `fail`, first come.
        """
        try:
            async with anyio.create_task_group() as self._group:
                for place in self.places:
                    self._group.start_soon(self._man, place)
                self._group.start_soon(self._feed)
        finally:
            self._group = None
            with anyio.CancelScope(shield=True):
                for place in self.places:
                    await anyio.to_thread.run_sync(place.bury)
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Begin no further attempt; those under way may end."""
        if not self._is_stopping:
            self._is_stopping = True
            self._end("stop")

    def pause(self, is_paused: bool) -> None:
        """Begin no further attempt for now, or go on."""
        if is_paused != self._is_paused:
            self._is_paused = is_paused
            for place in self.places:
                if place.line is not None:
                    place.command("pause", is_paused)

    def cancel(self) -> None:
        """Cancel the attempts under way, too; a process that does not obey is killed."""
        self.stop()
        if self._is_cancelled:
            return
        self._is_cancelled = True
        for place in self.places:
            place.command("cancel")
        if self._group is not None:
            self._group.start_soon(self._kill_late)

    def fail(self, error: Exception) -> None:
        """End everything at once; `run` raises `error`, or the one before it."""
        if self._error is None:
            self._error = error
        self.cancel()

    async def _kill_late(self) -> None:
        """Kill what does not end by itself."""
        with anyio.CancelScope() as self._hurry:
            await anyio.sleep(LAST_WORDS_S)
            for place in self.places:
                if place.process is not None:
                    place.process.kill()

    def _end(self, kind: str) -> None:
        """Tell every process that it gets nothing more."""
        for place in self.places:
            place.is_closing = True
            place.command(kind)

    # -- work in ------------------------------------------------------------------------------------------------------

    async def _feed(self) -> None:
        assert self._books is not None
        with anyio.CancelScope() as self._feeding:
            try:
                await self._books.feed(self._hand_out)
            except Exception as error:
                self.fail(error)
                return
        self._is_fed = True
        self._look_around()

    def _hand_out(self) -> None:
        """Hand out what is in stock."""
        books, shares = self._books, self.shares
        assert books is not None
        while not self._is_stopping and sum(shares.loads) < self._most and (result := books.take()) is not None:
            shares.hand_out(result)

    def _give(self, number: int, result: Result) -> None:
        place = self.places[number]
        place.outbox.append(result)
        place.outgoing.set()

    def _look_around(self) -> None:
        """End the processes when there is nothing left to do, and the run when all is done that may be."""
        if self._is_stopping or self._is_ending:
            return
        if self._left == 0 and not any(place.out for place in self.places):
            self._office.begun()
            return
        is_all_out = self._is_fed and self._books is not None and self._books.is_exhausted
        if is_all_out and all(place.is_idle for place in self.places):
            self._is_ending = True
            self._end("end")

    # -- a place ------------------------------------------------------------------------------------------------------

    async def _man(self, place: Place) -> None:
        """Keep a process in a place while there is work for it."""
        while True:
            while not place.is_closing and not (place.outbox or place.suspects):
                await place.outgoing.wait()
            if place.is_closing and place.line is None:
                break
            try:
                takes_over = place.had_one
                await anyio.to_thread.run_sync(place.start)
            except OSError as error:
                self.fail(WorkersLost(f"no process can be started: {error.strerror or error}"))
                break
            await self._serve(place, self._setup(place.number, takes_over))
            lost = place.under_way()
            await anyio.to_thread.run_sync(place.bury)
            if place.is_over or self._is_stopping:
                break
            await self._mourn(place, lost)
        if all(other.line is None and other.process is None for other in self.places) and self._is_stopping:
            self._dismiss()

    def _dismiss(self) -> None:
        """Nobody is left who could do anything."""
        for scope in (self._hurry, self._feeding):
            if scope is not None:
                scope.cancel()

    async def _serve(self, place: Place, setup: Setup) -> None:
        """Talk with a process until it ends."""
        import pickle

        line = place.line
        assert line is not None
        try:
            order = pickle.dumps(setup)
        except Exception as error:  # pickle raises whatever it likes
            self.fail(ValueError(f"the plan cannot be told to another process: {error}"))
            return
        await line.send(frame("setup", order))
        if self._is_paused:
            place.command("pause", True)
        async with anyio.create_task_group() as group:
            group.start_soon(self._send, place)
            async for kind, values in line.receive():
                if kind == "done":
                    await self._take(place, *values)
                elif kind == "claim":
                    group.start_soon(self._claim, place, *values)
                elif kind == "over":
                    place.is_over = True
                elif kind == "failed":
                    self._hear(*values)
            group.cancel_scope.cancel()

    async def _send(self, place: Place) -> None:
        line = place.line
        assert line is not None
        while not line.is_broken:
            while place.commands:
                await line.send(place.commands.popleft())
            work = [] if place.is_closing else place.next_work(BATCH if self._left is None else self._left)
            if not work:
                await place.outgoing.wait()
                continue
            if self._left is not None:
                self._left -= len(work)
            await line.send(frame("work", work))

    async def _claim(self, place: Place, number: int, name: str, owner: bytes) -> None:
        assert self._books is not None
        place.command("claimed", number, await self._books.claim(name, owner))

    async def _take(
        self,
        place: Place,
        values: list[tuple[Any, ...]],
        delta: dict[str, Any],
        gauges: tuple[Any, ...],
        seen: list[tuple[Any, ...]],
    ) -> None:
        """Take what a process has finished."""
        place.gauges = Gauges(*gauges)
        for number, _, record, *_ in values:
            self._settle(place, number)
            if self._left is not None and not record["attempts"]:
                self._left += 1  # it was never begun
        if values:
            place.deaths = 0
            place.outgoing.set()
        await self._office.finished(values, delta, seen)
        self._hand_out()
        self._look_around()

    def _settle(self, place: Place, number: int) -> None:
        result = place.out.pop(number)
        self.shares.take_back(str(result.target.host))
        if number == place.on_trial:
            place.on_trial = None
            place.outgoing.set()

    def _hear(self, kind: str, message: str) -> None:
        """A process cannot go on, and it is no accident."""
        if kind == "disk":
            self._office.disk_failed(message)
        else:
            self.fail(WorkerRefused(message) if kind == "refused" else WorkersLost(message))

    async def _mourn(self, place: Place, lost: set[int]) -> None:
        """A process died: have done again what it had."""
        place.deaths += 1
        place.on_trial = None
        place.commands.clear()
        if place.deaths >= MAX_DEATHS:
            self.fail(WorkersLost(f"{place.deaths} processes died one after the other, with nothing done; see above"))
            return
        again = [result for number, result in place.out.items() if number not in lost]
        for number in sorted(lost & place.out.keys()):
            self._suspected[number] += 1
            if self._suspected[number] < 2:
                place.suspects.append(place.out[number])
                continue
            result = place.out[number]
            self._settle(place, number)
            await self._office.lost(result)
            place.deaths = 0
        if self._left is not None:
            self._left += len(place.out)
        place.out.clear()
        place.outbox.extendleft(reversed(again))
        if self._is_ending:
            place.is_closing = place.is_idle
        self._look_around()
