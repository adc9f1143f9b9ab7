"""Which process of a run has which host, and how many of its requests.

    key of a host ─▶ rendezvous: the highest of hash(key, process)   a host belongs to one process, whatever else runs
                  ─▶ quota of the host, room of the process           the others lie in the frontier, parked

Rendezvous hashing needs no table: with one process more, only those hosts move that it gets, one of every n.

A process gets requests ahead of their time, or it would wait for the pipe; but of each host only a few, or one host of
a million requests would fill it. A host whose requests are eaten up before it is fed gets twice as many.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Final

from crawler.fanout.host_table import HostRow
from crawler.fanout.hosts import rule_for
from crawler.fanout.plan import Politeness
from crawler.fanout.result import Result
from crawler.fanout.turns import FIRST_QUOTA, LAST_QUOTA, MAX_IDLE_HOSTS

MAX_AHEAD: Final = 2_000
"""Requests that a process gets ahead of hosts without limits, besides what it may send at once."""


def rendezvous(key: str, n: int) -> int:
    """Give the number of the process, of `n`, that a host belongs to."""
    if n == 1:
        return 0
    data = key.encode("utf-8", "surrogatepass")
    return max(range(n), key=lambda number: blake2b(data, digest_size=8, salt=number.to_bytes(4, "big")).digest())


class Share:
    """What is out of one host.

    Attributes:
        key: Its name.
        process: Number of the process it belongs to.
        is_free: It has no limits of its own.
        out: Requests of it that its process has.
        quota: How many it should have at most.
        has_more: More lie in the frontier, passed over.
        is_hungry: Somebody was told that it needs more of them.
        last_rank: Rank of the last one that was handed out.
    """

    __slots__ = ("has_more", "is_free", "is_hungry", "key", "last_rank", "out", "process", "quota")

    def __init__(self, key: str, process: int, *, is_free: bool) -> None:
        self.key = key
        self.process = process
        self.is_free = is_free
        self.out = 0
        self.quota = LAST_QUOTA if is_free else FIRST_QUOTA
        self.has_more = self.is_hungry = False
        self.last_rank = 0


class Shares:
    """Shares the hosts of a run out among processes: the ledger's `Queues`.

    Args:
        politeness: Says which hosts have limits.
        processes: How many there are.
        concurrency: Requests at once of each process.
        is_spaced: Any host may have limits nobody knows of yet (a gate's).
        give: Takes a request for the process with this number.

    Attributes:
        loads: Requests that each process has.
    """

    def __init__(
        self,
        politeness: Politeness,
        processes: int,
        concurrency: int,
        give: Callable[[int, Result], None],
        *,
        is_spaced: bool = False,
    ) -> None:
        self._politeness = politeness
        self._concurrency = concurrency
        self._is_spaced = is_spaced or politeness.throttle is not None
        self._give = give
        self._hosts: dict[str, Share] = {}
        self._sweep_at = MAX_IDLE_HOSTS
        self._full: list[deque[Share]] = [deque() for _ in range(processes)]
        self._ahead = MAX_AHEAD + concurrency
        self._slots = processes * concurrency
        self.loads = [0] * processes
        self.hungry: deque[Share] = deque()
        self.on_hungry: Callable[[], None] = _nothing
        self.changed: set[str] = set()
        self._rows: dict[str, HostRow] = {}
        self._forgotten: list[HostRow] = []

    # -- what hosts asked for -----------------------------------------------------------------------------------------

    def remember(self, rows: Iterable[HostRow], *, is_news: bool = True) -> None:
        """Take what is to be remembered of hosts: from an earlier run, or news of a process."""
        for row in rows:
            if row.state:
                self._rows[row.key] = row
            else:
                self._rows.pop(row.key, None)
                self._forgotten.append(row)
            if is_news:
                self.changed.add(row.key)

    def take_changed(self, now: float) -> list[HostRow]:
        """Give what is to be remembered of hosts that changed since the last time."""
        rows = [*self._forgotten, *(self._rows[key] for key in self.changed if key in self._rows)]
        self._forgotten.clear()
        self.changed.clear()
        return rows

    def known(self, process: int) -> list[HostRow]:
        """Give what a new process has to know of its hosts."""
        return [row for key, row in self._rows.items() if rendezvous(key, len(self.loads)) == process]

    # -- what the ledger asks -----------------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Requests that wait in the processes behind those that can be under way."""
        return max(0, sum(self.loads) - self._slots)

    @waiting.setter
    def waiting(self, value: int) -> None:
        raise AttributeError("it follows from the loads")

    def room(self, key: str, rank: int = 0) -> int | None:
        """Give how many more requests of a host its process should have. Changes nothing, so that any thread may ask.

        One that goes before some of those that are out finds more room; otherwise none goes before those that lie in
        the frontier.
        """
        share = self._hosts.get(key)
        if share is None:
            is_free, process = self._is_free(key), rendezvous(key, len(self.loads))
            return self._ahead - self.loads[process] if is_free else FIRST_QUOTA
        if share.out and rank < share.last_rank:
            return LAST_QUOTA + share.quota - share.out
        if share.has_more:
            return 0
        if share.is_free:
            return self._ahead - self.loads[share.process]
        return share.quota - share.out

    def put(self, result: Result, now: float, *, is_first: bool) -> None:
        """Hand out a request that was parked."""
        self.hand_out(result)

    def note_more(self, key: str, now: float) -> None:
        """Note that the frontier passed over a request of this host."""
        share = self._share(key)
        if not share.has_more:
            share.has_more = True
            self._look_after(share)

    def appetite(self, share: Share) -> int:
        """Give how many more a hungry host should get."""
        if share.is_free:
            return max(0, min(LAST_QUOTA, self._ahead - self.loads[share.process]))
        if 4 * share.out <= share.quota:
            share.quota = min(2 * share.quota, LAST_QUOTA)
        return max(0, share.quota - share.out)

    def note_fed(self, share: Share, *, is_all: bool) -> None:
        """Note that a hungry host was given what came."""
        share.is_hungry = False
        share.has_more = not is_all
        if share.has_more:
            self._look_after(share)

    # -- what the crew tells ------------------------------------------------------------------------------------------

    def hand_out(self, result: Result) -> None:
        """Give a request to the process of its host."""
        key = str(result.target.host)
        share = self._share(key)
        share.out += 1
        share.last_rank = result.rank
        self.loads[share.process] += 1
        self._give(share.process, result)

    def take_back(self, key: str) -> None:
        """Note that a request is not out any more."""
        share = self._hosts[key]
        share.out -= 1
        self.loads[share.process] -= 1
        if share.has_more:
            self._look_after(share)
        full = self._full[share.process]
        if full and 2 * self.loads[share.process] <= self._ahead:
            self._call(full.popleft())

    # -- hosts --------------------------------------------------------------------------------------------------------

    def _look_after(self, share: Share) -> None:
        """Have a host fed that should have more: now, or when its process has room again."""
        if share.is_hungry:
            return
        if not share.is_free:
            if 2 * share.out <= share.quota:
                self._call(share)
        elif 2 * self.loads[share.process] <= self._ahead:
            self._call(share)
        else:
            share.is_hungry = True
            self._full[share.process].append(share)

    def _call(self, share: Share) -> None:
        share.is_hungry = True
        self.hungry.append(share)
        self.on_hungry()

    def _share(self, key: str) -> Share:
        share = self._hosts.get(key)
        if share is None:
            if len(self._hosts) >= self._sweep_at:
                self._sweep()
            process = rendezvous(key, len(self.loads))
            share = self._hosts[key] = Share(key, process, is_free=self._is_free(key))
        return share

    def _is_free(self, key: str) -> bool:
        rule = rule_for(self._politeness, key)
        limits = self._politeness.limits if rule is None else rule.limits
        is_wide = limits.concurrency is None or limits.concurrency >= self._concurrency
        return is_wide and limits.rate is None and not self._is_spaced and not (rule is not None and rule.windows)

    def _sweep(self) -> None:
        """Forget hosts of which nothing is out."""
        self._hosts = {
            key: share for key, share in self._hosts.items() if share.out or share.has_more or share.is_hungry
        }
        self._sweep_at = max(MAX_IDLE_HOSTS, 2 * len(self._hosts))


def _nothing() -> None:
    """Nobody listens."""
