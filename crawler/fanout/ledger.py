"""Between the event loop and the blocking frontier: batches in, batches out, never a stall.

    input ──rows──▶ add ┐                                   ┌ record ◀── deliver ◀── workers
                        ├─ one thread at a time ─ frontier ─┤
    workers ◀── lease ──┘ (hosts that have enough           └ commit, at least every 200 ms
                           waiting are passed over: `parking`)

The loop's side keeps a small stock of leases and a small pile of finished records; everything that may block goes to a
worker thread, one call at a time. If the disk cannot keep up, the pile is full and the workers wait: that is the
back-pressure from the disk to the network.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, TypeVarTuple

import anyio
import anyio.to_thread

from crawler.fanout.addresses import PENDING, Addresses
from crawler.fanout.admission import Judge
from crawler.fanout.frontier import Added, Finished, Frontier, Lease
from crawler.fanout.hosts import host_key
from crawler.fanout.pages import UNKNOWN
from crawler.fanout.parking import Parking
from crawler.fanout.plan import Item
from crawler.fanout.result import Result
from crawler.fanout.sources import close_iterator
from crawler.fanout.stats import Stats

if TYPE_CHECKING:
    from crawler.fanout.books import Hungry, Queues

ADD_BATCH: Final = 500
COMMIT_BATCH: Final = 500
COMMIT_INTERVAL_S: Final = 0.2
MAX_PILE: Final = 4 * COMMIT_BATCH
"""Finished records that may wait for their commit; with so many, workers wait for the disk."""

MAX_HELD: Final = 32 * 1024 * 1024
"""Bytes of bodies for archives after which a commit comes early; with twice as many, workers wait for the disk."""

MAX_AHEAD: Final = 100_000
"""Pending requests up to which the input is read ahead; it sleeps until they are fewer. Parked ones do not count: what
comes behind them may be of other hosts."""

_T = TypeVar("_T")
_Args = TypeVarTuple("_Args")


class Ledger:
    """The run's books: a source of work for the engine, and the place where finished work is recorded.

    Args:
        frontier: Used by this ledger alone from now on.
        items: The input.
        input_id: See `Plan.input_id`.
        stats: Told what is known of the input.
        clock: Monotonic seconds.
        concurrency: That many leases at least are kept in stock.
        turns: Where requests wait for their hosts: no more of one host are leased than may wait there.
        by: What names a host, see `host_key`.
        addresses: Name hosts instead, if there are any.
        may_grow: Finished requests may bring new ones.
        judge: Says whether a request may go out.

    Attributes:
        deliver: Takes the results of those that may not; may give an awaitable to hold the ledger back.
    """

    def __init__(
        self,
        frontier: Frontier,
        items: Iterable[Item] | AsyncIterable[Item],
        *,
        input_id: str | None,
        stats: Stats,
        clock: Callable[[], float],
        concurrency: int,
        turns: Queues[Any],
        by: str = "origin",
        addresses: Addresses | None = None,
        may_grow: bool = False,
        judge: Judge | None = None,
    ) -> None:
        self._frontier = frontier
        self._turns = turns
        self._by = by
        self._addresses = addresses
        self._parking = Parking()
        self._items = items
        self._input_id = input_id
        self._stats = stats
        self._clock = clock
        self._low = concurrency
        self._lease_batch = max(256, 2 * concurrency)
        self._one_at_a_time = anyio.CapacityLimiter(1)
        self._stock: deque[Result] = deque()
        self._unleased = 0  # pending requests that are not leased
        self._judge = judge
        self.deliver: Callable[[Result], Awaitable[None] | None] = _pass
        self._may_grow = may_grow
        self._out = 0  # leased requests that are not committed
        self._is_read = False
        self._restock = Signal()  # the stock is low, or there is more to lease
        turns.on_hungry = self._restock.set
        self._read_on = Signal()  # there is room for more input
        self._pile: list[Finished] = []
        self._held = 0  # bytes of what archives get
        self._pile_full = Signal()
        self._pile_taken: anyio.Event | None = None

    async def call(self, function: Callable[[*_Args], _T], *args: *_Args) -> _T:
        """Run a blocking function of the frontier in a thread; never two at once, never abandoned half way."""
        return await anyio.to_thread.run_sync(function, *args, limiter=self._one_at_a_time)

    async def claim(self, name: str, owner: bytes) -> bool:
        """Reserve a file name for a request; whether it is that request's now."""
        return await self.call(self._frontier.claim, name, owner)

    # -- the source of the engine -------------------------------------------------------------------------------------

    @property
    def is_exhausted(self) -> bool:
        """Whether every request was handed out and there will be no more."""
        return not self._stock and self._is_all_leased

    @property
    def _is_all_leased(self) -> bool:
        return self._is_read and not self._unleased and not (self._may_grow and self._out)

    @property
    def is_starved(self) -> bool:
        """Whether there is nothing to hand out, though the input has not ended."""
        return not self._is_read and not self._stock

    @property
    def is_behind(self) -> bool:
        """Whether finished requests pile up because the disk is slower."""
        return len(self._pile) >= MAX_PILE // 2

    def take(self) -> Result | None:
        """Give a leased request as a result to be filled, if one is in stock; its target is the `Lease`."""
        stock = self._stock
        if len(stock) <= self._low:
            self._restock.set()
        return stock.popleft() if stock else None

    async def feed(self, wake: Callable[[], None]) -> None:
        """Read the input and keep leases in stock until there is nothing left of either."""
        failure: list[Exception] = []

        async def read(rows: Rows, skip: int) -> None:
            try:
                await self._read(rows, skip)
            except Exception as error:
                failure.append(error)
                group.cancel_scope.cancel()

        self._unleased = self._frontier.counts()["pending"]
        skip = await self.call(self._frontier.begin_input, self._input_id)
        async with anyio.create_task_group() as group:
            if skip is None:
                self._note_end_of_input()
            elif isinstance(self._items, AsyncIterable):
                rows = AsyncRows(self._items)
                group.start_soon(rows.pull)
                group.start_soon(read, rows, skip)
            else:
                group.start_soon(read, SyncRows(self._items, self.call), skip)
            if self._addresses is not None:
                group.start_soon(self._addresses.serve, self._note_address)
            await self._keep_stocked(wake)
            if self._addresses is not None:
                group.cancel_scope.cancel()
        if failure:  # the caller's own error, in no group
            raise failure[0]

    async def _keep_stocked(self, wake: Callable[[], None]) -> None:
        while not self._is_all_leased:
            if self._turns.hungry:
                await self._feed_host(self._turns.hungry.popleft(), wake)
            elif len(self._stock) > self._low or self._frontier.is_looked_through or self._parking.is_full:
                await self._restock.wait()
            else:
                await self._lease(wake)

    async def _lease(self, wake: Callable[[], None]) -> None:
        """Fill the stock; what is too many of one host is parked."""
        passed: list[Lease] = []
        leased: Counter[str] = Counter()
        turns, by, addresses = self._turns, self._by, self._addresses

        def wanted(lease: Lease) -> bool:  # runs in the thread, and only looks at what belongs to the loop
            host = lease.host = host_key(lease.item.url, by) if addresses is None else addresses.key_of(lease.item.url)
            if addresses is not None and host.startswith(PENDING):
                passed.append(lease)
                return False
            room = turns.room(host, -lease.item.priority)
            if room is not None and leased[host] >= room:
                passed.append(lease)
                return False
            leased[host] += 1
            return True

        leases = await self.call(self._frontier.lease, self._lease_batch, wanted)
        self._note_leased(len(leases))
        now = self._clock()
        for result in await self._results(leases, now):
            self._stock.append(result)
            wake()
        for lease in passed:
            if addresses is not None:
                lease.host = addresses.key_of(lease.item.url)  # which may be known by now
                if lease.host.startswith(PENDING):
                    self._parking.park(lease.host, -lease.item.priority, lease.id)
                    addresses.want(lease.host)
                    continue
            self._parking.park(lease.host, -lease.item.priority, lease.id)
            turns.note_more(lease.host, now)
        self._read_on.set()

    def _note_address(self, pending: str, host: str) -> None:
        """Let requests that waited for the address of their host stand among those of it."""
        if self._parking.move(pending, host):
            self._turns.note_more(host, self._clock())

    async def _feed_host(self, host: Hungry, wake: Callable[[], None]) -> None:
        """Lease what was parked of a host that has room for more."""
        numbers = self._parking.recall(host.key, self._turns.appetite(host))
        leases = await self.call(self._frontier.lease_these, numbers) if numbers else []
        self._note_leased(len(leases))
        now = self._clock()
        results = await self._results(leases, now)
        for result in results:
            result.host = result.target.host = host.key
            self._turns.put(result, now, is_first=False)
        self._turns.note_fed(host, is_all=not self._parking.has(host.key))
        if results:
            wake()  # one worker; it wakes the next if the host may be asked by two
        self._read_on.set()

    async def _results(self, leases: Sequence[Lease], now: float) -> list[Result]:
        """Make results to be filled; those of requests that may not go out are delivered."""
        results = [Result(lease, lease.id, lease.item.key, now) for lease in leases]
        for result in results:
            result.rank = -result.target.item.priority
        if self._judge is None:
            return results
        may_go: list[Result] = []
        for result in results:
            verdict = self._judge(result.target.item)
            if verdict is None or verdict is UNKNOWN:
                result.is_unprepared = verdict is UNKNOWN
                may_go.append(result)
                continue
            result.skip(verdict, now)
            blocked = self.deliver(result)
            if blocked is not None:
                await blocked
        return may_go

    def _note_leased(self, n: int) -> None:
        self._unleased -= n
        self._out += n

    async def _read(self, rows: Rows, skip: int) -> None:
        """Move the input into the frontier, in batches, as far ahead as is useful."""
        while batch := await rows.next():
            if skip:
                batch, skip = batch[skip:], max(0, skip - len(batch))
            if batch:
                self._note_added(await self.call(self._frontier.add, batch))
            while self._unleased - self._parking.count >= MAX_AHEAD:
                await self._read_on.wait()
        await self.call(self._frontier.end_input)
        self._note_end_of_input()

    def _note_added(self, added: Added) -> None:
        self._unleased += added.new
        self._stats.submitted += added.new
        self._stats.duplicates += added.duplicates
        self._restock.set()

    def _note_end_of_input(self) -> None:
        self._is_read = True
        self._stats.is_total_known = True
        self._restock.set()

    # -- finished work ------------------------------------------------------------------------------------------------

    def record(self, finished: Finished) -> Awaitable[None] | None:
        """Take a finished request; gives something to await when the disk is behind."""
        pile = self._pile
        pile.append(finished)
        if finished.exchange is not None:
            self._held += finished.exchange.size
        if len(pile) < COMMIT_BATCH and self._held < MAX_HELD:
            if self._may_grow and self._is_idle(finished):
                self._pile_full.set()
            return None
        self._pile_full.set()
        if len(pile) < MAX_PILE and self._held < 2 * MAX_HELD:
            return None
        if self._pile_taken is None:
            self._pile_taken = anyio.Event()
        return self._pile_taken.wait()

    def _is_idle(self, finished: Finished) -> bool:
        """Whether the run waits for this commit: for what was found, or for its end."""
        if finished.found:
            return not self._stock and not self._turns.waiting
        return self._out == len(self._pile)

    async def keep_committing(self) -> None:
        """Commit what is finished, every 200 ms or 500 records; runs until cancelled or the disk fails.

        Raises:
            OutputError: The disk refused a commit.
        """
        while True:
            with anyio.move_on_after(COMMIT_INTERVAL_S):
                await self._pile_full.wait()
            await self.commit()

    async def commit(self) -> None:
        """Commit what is finished now, and what hosts asked for."""
        if self._turns.changed:
            with anyio.CancelScope(shield=True):
                await self.call(self._frontier.keep_hosts, self._turns.take_changed(self._clock()))
        if not self._pile:
            return
        pile, self._pile = self._pile, []
        self._held = 0
        if self._pile_taken is not None:
            self._pile_taken.set()
            self._pile_taken = None
        with anyio.CancelScope(shield=True):
            added = await self.call(self._frontier.commit, pile)
        self._out -= len(pile)
        if self._may_grow:
            self._note_added(added)


def _pass(result: Result) -> None:
    """Nobody wants it."""


class Signal:
    """Something to wait for that may happen again and again; for one waiting task."""

    def __init__(self) -> None:
        self._is_set = False
        self._event: anyio.Event | None = None

    def set(self) -> None:
        """Wake the waiting task, or let the next wait end at once."""
        self._is_set = True
        if self._event is not None:
            self._event.set()

    async def wait(self) -> None:
        """Wait for the next `set`, or take the one that came since the last wait."""
        if not self._is_set:
            self._event = anyio.Event()
            try:
                await self._event.wait()
            finally:
                self._event = None
        self._is_set = False


class Rows(Protocol):
    """The input in batches."""

    async def next(self) -> list[Item]:
        """Give the next rows, at least one and at most `ADD_BATCH`; none at the end."""


class SyncRows:
    """An ordinary iterable, iterated in the worker thread, since it may read files."""

    def __init__(self, items: Iterable[Item], call: Callable[..., Awaitable[list[Item]]]) -> None:
        self._items = iter(items)
        self._call = call

    async def next(self) -> list[Item]:
        """Give the next rows."""
        return await self._call(lambda: list(islice(self._items, ADD_BATCH)))


class AsyncRows:
    """An async iterable, read by a task of its own (`pull`), so that the first rows need not wait for a full batch."""

    def __init__(self, items: AsyncIterable[Item]) -> None:
        self._items = items
        self._arrived: list[Item] = []
        self._came = Signal()
        self._taken = Signal()
        self._has_ended = False
        self._error: Exception | None = None

    async def next(self) -> list[Item]:
        """Give what has arrived, waiting for the first row of it. What the iterable raises comes out here."""
        while not self._arrived and not self._has_ended:
            await self._came.wait()
        if self._error is not None:
            raise self._error
        batch, self._arrived = self._arrived, []
        self._taken.set()
        return batch

    async def pull(self) -> None:
        """Read the iterable to its end; closes it whatever happens, if it can be closed."""
        iterator = aiter(self._items)
        try:
            async for item in iterator:
                self._arrived.append(item)
                self._came.set()
                while len(self._arrived) >= ADD_BATCH:
                    await self._taken.wait()
        except Exception as error:
            self._error = error
        finally:
            self._has_ended = True
            self._came.set()
            await close_iterator(iterator)
