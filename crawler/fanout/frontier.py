"""The list of all requests of a run and what became of them.

    pending ──lease──▶ leased ──commit──▶ ok | failed | skipped | unchanged | cancelled
       ▲  ▲              │                 │
       │  └──────────────┘                 │
       │  the end of the process           │
       └──── requests that its page named ─┘

A lease is a promise of the running process only, so it is not stored: after a crash whatever has no outcome is pending
again. Outcomes, the offsets of the records that tell them and the requests that were found on the way are stored in one
transaction. At every moment, also after a crash: submitted = pending (leased ones included) + outcomes.

Frontiers are blocking and belong to one thread at a time; the run calls them in a worker thread, in batches. The one
in memory here serves runs without a state folder and is the model the durable one (`database`) is tested against.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Final, NamedTuple, Protocol

from crawler.fanout.errors import output_error
from crawler.fanout.exchange import Exchange
from crawler.fanout.host_table import HostRow
from crawler.fanout.ids import fingerprint
from crawler.fanout.plan import Item
from crawler.fanout.record import Record
from crawler.fanout.recrawl import Kept
from crawler.fanout.sinks import MemoryLog, Sink, write_records
from crawler.fanout.stats import OUTCOMES


@dataclass(slots=True)
class Lease:
    """A request handed out for fetching; not frozen, for speed.

    Attributes:
        id: Its number in the frontier.
        fp: Its fingerprint.
        item: What to fetch.
        host: Key of its host (`host_key`), once somebody asked for it.
    """

    id: int
    fp: bytes
    item: Item
    host: str = ""

    @property
    def url(self) -> str:
        """The URL as the input has it."""
        return self.item.url


class Finished(NamedTuple):
    """A request with its final outcome and all that is stored together with it.

    Attributes:
        id: Its number in the frontier.
        outcome: One of `OUTCOMES`.
        record: Tells the outcome.
        found: Requests its page named.
        rows: What was extracted from its page, for outputs of items.
        attempts: A record per try, for outputs of attempts.
        exchange: What was sent and received, for archives.
        kept: What later rounds are to know of its page.
    """

    id: int
    outcome: str
    record: Record
    found: Sequence[Item] = ()
    rows: Sequence[Record] = ()
    attempts: Sequence[Record] = ()
    exchange: Exchange | None = None
    kept: Kept | None = None


class Added(NamedTuple):
    """What became of a batch of requests: new ones, and those that were known already."""

    new: int
    duplicates: int


Wanted = Callable[[Lease], bool]
"""Says whether a request is wanted now. One that is not is passed over: it is handed out by number only
(`Frontier.lease_these`)."""

SCAN: Final = 5_000
"""Requests that one `lease` looks at, at most."""


class Frontier(Protocol):
    """What a run needs of its list of requests."""

    @property
    def is_looked_through(self) -> bool:
        """Whether `lease` has nothing to look at until something is added."""

    def open(self, sinks: Sequence[Sink]) -> None:
        """Bring list and outputs to the same state: what no commit vouches for is cut off the outputs.

        Raises:
            StateDamaged: That cannot be done.
            OutputError: The disk refuses.
        """

    def counts(self) -> dict[str, int]:
        """Give the number of requests by outcome, and under `pending` those without one."""

    def begin_input(self, input_id: str | None) -> int | None:
        """Begin to read the input: give how many rows to skip, as they were added before; `None` if all were."""

    def add(self, items: Sequence[Item]) -> Added:
        """Add a batch of input rows; each request is kept once."""

    def end_input(self) -> None:
        """Note that the input was read to its end."""

    def lease(self, n: int, wanted: Wanted | None = None) -> list[Lease]:
        """Hand out up to `n` pending requests that are wanted, by priority, then in input order.

        Fewer come if there are no more, or if `SCAN` were looked at.
        """

    def lease_these(self, numbers: Sequence[int]) -> list[Lease]:
        """Hand out requests that were passed over; those that are not pending any more are left out."""

    def commit(self, finished: Sequence[Finished]) -> Added:
        """Write records to the outputs, store the outcomes and add what was found: all of it, or nothing.

        Returns:
            What became of the requests that were found.

        Raises:
            OutputError: The disk refused; the requests are still leased.
        """

    def url_of(self, fp: bytes) -> str | None:
        """Give the URL of a request by its fingerprint."""

    def claim(self, name: str, owner: bytes) -> bool:
        """Reserve a file name for a request; whether it is that request's now."""

    def hosts(self) -> list[HostRow]:
        """Give what earlier runs knew of hosts, as far as it still counts."""

    def keep_hosts(self, rows: Sequence[HostRow]) -> None:
        """Keep what is known of hosts for later runs."""

    def close(self) -> None:
        """Let go of files; what is leased is pending again."""


class MemoryFrontier:
    """A frontier that ends with its process: about 300 bytes per pending request, 80 per finished one."""

    def __init__(self) -> None:
        self._sinks: Sequence[Sink] = ()
        self._known: set[bytes] = set()
        self._pending: list[tuple[int, int, bytes, Item]] = []  # a heap: -priority, number, …
        self._passed: dict[int, Lease] = {}
        self._leased: set[int] = set()
        self._outcomes = dict.fromkeys(OUTCOMES, 0)
        self._names: dict[str, bytes] = {}
        self._number = 0

    @property
    def is_looked_through(self) -> bool:
        """Whether `lease` has nothing to look at until something is added."""
        return not self._pending

    def open(self, sinks: Sequence[Sink]) -> None:
        """Nothing is known of earlier records, so they stay and new ones are appended."""
        log = MemoryLog()
        for sink in sinks:
            sink.begin(log, None)
            try:
                sink.open()
            except OSError as error:
                raise output_error(sink.name, error) from error
        self._sinks = sinks

    def counts(self) -> dict[str, int]:
        """Give the number of requests by outcome, and under `pending` those without one."""
        return {"pending": len(self._pending) + len(self._passed) + len(self._leased), **self._outcomes}

    def begin_input(self, input_id: str | None) -> int | None:
        """Everything has to be read."""
        return 0

    def add(self, items: Sequence[Item]) -> Added:
        """Add a batch of input rows; each request is kept once."""
        before = self._number
        for item in items:
            fp = fingerprint(item)
            if fp not in self._known:
                self._known.add(fp)
                self._number += 1
                heappush(self._pending, (-item.priority, self._number, fp, item))
        new = self._number - before
        return Added(new, len(items) - new)

    def end_input(self) -> None:
        """Nothing to note."""

    def lease(self, n: int, wanted: Wanted | None = None) -> list[Lease]:
        """Hand out up to `n` pending requests that are wanted, by priority, then in input order."""
        leases: list[Lease] = []
        looked = 0
        while self._pending and len(leases) < n and looked < SCAN:
            looked += 1
            _, number, fp, item = heappop(self._pending)
            lease = Lease(number, fp, item)
            if wanted is not None and not wanted(lease):
                self._passed[number] = lease
                continue
            self._leased.add(number)
            leases.append(lease)
        return leases

    def lease_these(self, numbers: Sequence[int]) -> list[Lease]:
        """Hand out requests that were passed over."""
        leases = [lease for number in numbers if (lease := self._passed.pop(number, None)) is not None]
        self._leased.update(lease.id for lease in leases)
        return leases

    def commit(self, finished: Sequence[Finished]) -> Added:
        """Write records to the outputs, count the outcomes and add what was found."""
        write_records(self._sinks, finished)
        for one in finished:
            self._leased.remove(one.id)
            self._outcomes[one.outcome] += 1
        return self.add([item for one in finished for item in one.found])

    def claim(self, name: str, owner: bytes) -> bool:
        """Reserve a file name for a request."""
        return self._names.setdefault(name, owner) == owner

    def url_of(self, fp: bytes) -> str | None:
        """Nothing is kept of requests that are done."""
        return None

    def hosts(self) -> list[HostRow]:
        """There were no earlier runs."""
        return []

    def keep_hosts(self, rows: Sequence[HostRow]) -> None:
        """There will be no later runs."""

    def close(self) -> None:
        """Close the outputs."""
        for sink in self._sinks:
            sink.close()
