"""Whose turn it is: requests that wait for their hosts, served by readiness.

    admit / put ──▶ queue of each host ──┐
                                         ├─ heap of hosts by the instant at which they are ready ──▶ take
                    clock of each host ──┘

A host stands in the heap at most once (older entries are passed over), so both ways cost O(log hosts), and a host
that must wait for an hour is not looked at for an hour. Hosts that are ready at the same time take turns. No I/O, no
clock: `now` comes in.

Memory: what waits is bounded by who puts it in; clocks of hosts that have nothing to say any more are dropped.
"""

from __future__ import annotations

import math
import random
import time
from collections import deque
from collections.abc import Callable, Iterable
from heapq import heapify, heappop, heappush
from typing import Final

from crawler.fanout.host_table import KEEP_S, HostRow
from crawler.fanout.hosts import Bucket, HostClock, limits_for, rule_for
from crawler.fanout.plan import Politeness, RetryPolicy
from crawler.fanout.result import Result
from crawler.fanout.windows import Window, opens_in

MAX_IDLE_HOSTS: Final = 10_000
"""Clocks of hosts that nobody asks for any more, up to which they are kept."""

FIRST_QUOTA: Final = 16
LAST_QUOTA: Final = 1024


class Host:
    """One host: its clock and what waits for it.

    Attributes:
        key: Its name.
        clock: When it may be asked.
        queue: What waits, the next one first.
        at: Where it stands in the heap; `None` if it does not.
        windows: Hours in which it may be asked; none is all day.
        quota: How many should wait in memory at most.
        has_more: More of its requests lie in the frontier, passed over for now.
        is_hungry: Somebody was told that it needs more of them.
        last_rank: Rank of the last one that waits, or waited.
        is_preparing: A request finds out whether the others may go out; until then none does.
    """

    __slots__ = (
        "at",
        "clock",
        "has_more",
        "is_hungry",
        "is_preparing",
        "key",
        "last_rank",
        "queue",
        "quota",
        "windows",
    )

    def __init__(self, key: str, clock: HostClock, windows: tuple[Window, ...] = ()) -> None:
        self.key = key
        self.windows = windows
        self.clock = clock
        self.queue: deque[Result] = deque()
        self.at: float | None = None
        self.quota = FIRST_QUOTA
        self.has_more = False
        self.is_hungry = False
        self.is_preparing = False
        self.last_rank = 0

    def line_up(self, result: Result) -> None:
        """Put a request behind the others, but before those of a lower rank that have not begun."""
        queue, rank = self.queue, result.rank
        if not queue or rank >= self.last_rank:
            self.last_rank = rank
            queue.append(result)
            return
        place = len(queue)
        while place and queue[place - 1].rank > rank and not queue[place - 1].attempts:
            place -= 1
        queue.insert(place, result)

    def ready_at(self, now: float, wall: Callable[[], float]) -> float:
        """Give the instant from which it may be asked: infinite until a request under way ends.

        Args:
            now: Monotonic seconds.
            wall: Gives seconds since 1970; asked only of hosts that have hours.
        """
        if self.is_preparing:
            return math.inf
        ready = self.clock.ready_at()
        if not self.windows or ready == math.inf or self.clock.is_given_up:
            return ready
        ready = max(ready, now)
        return ready + opens_in(self.windows, wall() + ready - now)


class Turns:
    """Requests and their hosts.

    Args:
        politeness: Limits of the hosts and of the run.
        retry: See `HostClock`.
        concurrency: Of the run; a host that may have as many has no limit.
        rng: Gives numbers in [0, 1).
        wall: Gives seconds since 1970.
        interval: Gives the least seconds between starts of a host that somebody else asks for; `None` if nobody does.

    Attributes:
        waiting: Requests in the queues.
        hungry: Hosts that could take more of what the frontier holds back for them.
        on_hungry: Called when there is one more of these.
        changed: Keys of hosts that have something new to remember across runs.
        suspended: Seconds for which hosts were told to be left alone, by key; at most `MAX_IDLE_HOSTS` of them.
    """

    def __init__(
        self,
        politeness: Politeness,
        retry: RetryPolicy,
        concurrency: int,
        rng: Callable[[], float] = random.random,
        interval: Callable[[str], float | None] | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._wall = wall
        self._interval = interval
        self._politeness = politeness
        self._concurrency = concurrency
        self._retry = retry
        self._rng = rng
        self._bucket = Bucket(politeness.rate)
        self._hosts: dict[str, Host] = {}
        self._heap: list[tuple[float, int, Host]] = []
        self._sequence = 0
        self._sweep_at = MAX_IDLE_HOSTS
        self.waiting = 0
        self.hungry: deque[Host] = deque()
        self.on_hungry: Callable[[], None] = _nothing
        self.suspended: dict[str, float] = {}
        self.changed: set[str] = set()
        self._settled: float | None = None

    def settle(self, now: float) -> None:
        """Take hosts over from somebody who asked them until now: none is asked before one interval of it is over."""
        self._settled = now

    # -- in -----------------------------------------------------------------------------------------------------------

    def _host(self, key: str, now: float) -> Host:
        host = self._hosts.get(key)
        if host is None:
            if len(self._hosts) >= self._sweep_at:
                self._sweep(now)
            rule = rule_for(self._politeness, key)
            limits = self._politeness.limits if rule is None else rule.limits
            clock = HostClock(
                limits, self._retry, self._politeness.circuit, self._concurrency, self._politeness.throttle
            )
            host = self._hosts[key] = Host(key, clock, () if rule is None else rule.windows)
            if self._settled is not None and limits.rate is not None:
                clock.spaced_until = self._settled + (1 + limits.jitter) / limits.rate
        return host

    def room(self, key: str, rank: int = 0) -> int | None:
        """Give how many more requests of a host should wait here; `None` if it needs no such bound.

        One that goes before some of those that wait finds more room; otherwise none goes before those that lie in the
        frontier. Changes nothing, so that any thread may ask.
        """
        host = self._hosts.get(key)
        if host is not None and host.queue and rank < host.last_rank:
            return LAST_QUOTA - len(host.queue)
        if host is not None and host.has_more:
            return 0
        if host is not None and host.queue:
            return host.quota - len(host.queue)
        rule = rule_for(self._politeness, key)
        limits = self._politeness.limits if rule is None else rule.limits
        is_free = limits.concurrency is None or limits.concurrency >= self._concurrency
        is_free = is_free and self._politeness.throttle is None
        if is_free and limits.rate is None and self._interval is None and not (rule is not None and rule.windows):
            return None
        return FIRST_QUOTA if host is None else host.quota

    def has_rate(self, key: str) -> bool:
        """Whether starts of a host keep a distance."""
        if limits_for(self._politeness, key).rate is not None or self._politeness.throttle is not None:
            return True
        return self._interval is not None and self._interval(key) is not None

    def admit(self, result: Result, now: float) -> bool:
        """Start a new request, if its host may be asked now and nobody is before it; else it waits here."""
        host = self._host(result.host, now)
        if not host.queue and host.ready_at(now, self._wall) <= now and self._bucket.next_allowed <= now:
            self._start(host, result, now)
            return True
        self._put(host, result, now)
        host.line_up(result)
        return False

    def put(self, result: Result, now: float, *, is_first: bool) -> None:
        """Let a request wait for its host, before or behind the others that do."""
        host = self._host(result.host, now)
        self._put(host, result, now)
        if is_first:
            host.queue.appendleft(result)
        else:
            host.line_up(result)

    def _put(self, host: Host, result: Result, now: float) -> None:
        result.held = now
        self.waiting += 1
        if host.at is None:
            self._schedule(host, now)

    # -- out ----------------------------------------------------------------------------------------------------------

    def take(self, now: float) -> Result | None:
        """Start the request whose turn it is, if there is one."""
        if self._bucket.next_allowed > now:
            return None
        while (host := self._first()) is not None:
            at = host.at
            assert at is not None
            if at > now:
                return None
            heappop(self._heap)
            host.at = None
            ready = host.ready_at(now, self._wall)
            if ready > now:  # something came up since it was put there
                self._schedule(host, now)
                continue
            result = host.queue.popleft()
            self.waiting -= 1
            result.host_wait += max(0.0, at - result.held)
            self._start(host, result, now)
            if host.queue:
                self._schedule(host, now)
            if host.has_more and not host.is_hungry and 2 * len(host.queue) <= host.quota:
                self._note_hunger(host)
            return result
        return None

    def _start(self, host: Host, result: Result, now: float) -> None:
        host.clock.start(now, self._rng)
        self._bucket.start(now, self._rng)
        if self._interval is not None:
            self.space(host.key, now)
            host.is_preparing = result.is_unprepared

    def space(self, key: str, start: float) -> None:
        """Keep the distance from a start that somebody else asks for, as far as it is known by now."""
        if self._interval is not None and (seconds := self._interval(key)) is not None:
            clock = self._hosts[key].clock
            clock.spaced_until = max(clock.spaced_until, start + seconds)

    def _note_hunger(self, host: Host) -> None:
        host.is_hungry = True
        self.hungry.append(host)
        self.on_hungry()

    def start_another(self, key: str, now: float) -> bool:
        """Start one more request for what is under way already, if its host may be asked now and nobody waits."""
        host = self._hosts.get(key)
        if host is None or host.queue or host.ready_at(now, self._wall) > now or self._bucket.next_allowed > now:
            return False
        host.clock.start(now, self._rng)
        self._bucket.start(now, self._rng)
        if self._interval is not None:
            self.space(key, now)
        return True

    def note_more(self, key: str, now: float) -> None:
        """Note that the frontier passed over a request of this host, so that it is asked for later."""
        host = self._host(key, now)
        if not host.has_more:
            host.has_more = True
            if not host.is_hungry and 2 * len(host.queue) <= host.quota:
                self._note_hunger(host)

    def appetite(self, host: Host) -> int:
        """Give how many more a hungry host should get; more each time, if all was eaten up before it was fed."""
        if not host.queue:
            host.quota = min(2 * host.quota, LAST_QUOTA)
        return max(0, host.quota - len(host.queue))

    def note_fed(self, host: Host, *, is_all: bool) -> None:
        """Note that a hungry host was given what came; `is_all` if the frontier holds no more of it back."""
        host.is_hungry = False
        host.has_more = not is_all
        if host.has_more and 2 * len(host.queue) <= host.quota:
            self._note_hunger(host)

    def is_ready(self, now: float) -> bool:
        """Whether `take` would, as far as can be told at a glance, give something."""
        host = self._first()
        return host is not None and host.at is not None and host.at <= now and self._bucket.next_allowed <= now

    def next_time(self) -> float | None:
        """Give the instant at which time alone makes something ready; `None` if nothing waits for time."""
        host = self._first()
        return None if host is None or host.at is None else max(host.at, self._bucket.next_allowed)

    # -- what came of it ----------------------------------------------------------------------------------------------

    def is_given_up(self, key: str) -> bool:
        """Whether a host is not to be asked any more."""
        host = self._hosts.get(key)
        return host is not None and host.clock.is_given_up

    def may_retry(self, key: str) -> bool:
        """Whether the host's budget allows one more retry, which is counted."""
        host = self._hosts.get(key)
        return host is None or host.clock.may_retry()

    def throttled(self, key: str) -> tuple[int, float | None] | None:
        """Give how many requests at once and starts per second a host may have at present, if it is throttled."""
        host = self._hosts.get(key)
        throttle = None if host is None else host.clock.throttle
        return None if throttle is None else (throttle.concurrency, throttle.rate)

    def end(
        self, key: str, begun: float, now: float, kind: str | None, asked: float | None, result: Result | None = None
    ) -> None:
        """Learn from a request that ended; see `HostClock.end`. `result` has its response."""
        host = self._hosts[key]
        if host.clock.throttle is None or result is None:
            seconds = host.clock.end(begun, now, kind, asked, self._rng)
        else:
            timing = result.timing
            ttfb = None if timing is None else timing.ttfb
            seconds = host.clock.end(begun, now, kind, asked, self._rng, result.status, ttfb)
        if host.clock.is_changed:
            host.clock.is_changed = False
            self.changed.add(key)
        if seconds > 0 and (key in self.suspended or len(self.suspended) < MAX_IDLE_HOSTS):
            self.suspended[key] = self.suspended.get(key, 0.0) + seconds
        self._wake(host, now)

    def cancel(self, key: str, now: float) -> None:
        """Note that a request under way was taken back."""
        host = self._hosts[key]
        host.clock.cancel()
        self._wake(host, now)

    def release(self, key: str, now: float, may_stay: Callable[[Result], bool]) -> list[Result]:
        """Note that a host is prepared, and look through what waits for it; gives what may not stay."""
        host = self._hosts[key]
        host.is_preparing = False
        gone: list[Result] = []
        stay: deque[Result] = deque()
        for result in host.queue:
            (stay if may_stay(result) else gone).append(result)
        host.queue = stay
        if gone:
            self.waiting -= len(gone)
            if host.has_more and not host.is_hungry and 2 * len(host.queue) <= host.quota:
                self._note_hunger(host)
        self._wake(host, now)
        return gone

    def take_out(self, is_wanted: Callable[[Result], bool]) -> list[Result]:
        """Give what waits and is wanted elsewhere; it waits no more."""
        out: list[Result] = []
        for host in self._hosts.values():
            taken = [result for result in host.queue if is_wanted(result)]
            if not taken:
                continue
            out += taken
            gone = set(map(id, taken))
            host.queue = deque(result for result in host.queue if id(result) not in gone)
            self.waiting -= len(taken)
            if not host.queue:
                host.at = None  # what stands in the heap is passed over
            if host.has_more and not host.is_hungry and 2 * len(host.queue) <= host.quota:
                self._note_hunger(host)
        return out

    def _wake(self, host: Host, now: float) -> None:
        if host.queue and (host.at is None or host.clock.is_given_up):
            self._schedule(host, now)

    # -- across runs --------------------------------------------------------------------------------------------------

    def take_changed(self, now: float) -> list[HostRow]:
        """Give what is to be remembered of hosts that changed since the last time."""
        wall = self._wall()
        rows: list[HostRow] = []
        for key in self.changed:
            host = self._hosts.get(key)
            state = {} if host is None else host.clock.state(now, wall)
            pauses = [state[name] for name in ("backoff_until", "open_until") if name in state]
            rows.append(HostRow(key, max([wall + KEEP_S, *(float(str(pause)) for pause in pauses)]), state))
        self.changed.clear()
        return rows

    def restore(self, rows: Iterable[HostRow], now: float) -> None:
        """Take up what an earlier run knew of its hosts."""
        wall = self._wall()
        for row in rows:
            self._host(row.key, now).clock.restore(row.state, now, wall)

    # -- the heap -----------------------------------------------------------------------------------------------------

    def _schedule(self, host: Host, now: float) -> None:
        """Put a host that has a queue into the heap, unless only the end of a request can make it ready."""
        ready = host.ready_at(now, self._wall)
        if ready == math.inf:
            host.at = None
            return
        # Never before now: hosts that are ready already stand in line in the order they came.
        host.at = max(ready, now)
        self._sequence += 1
        heappush(self._heap, (host.at, self._sequence, host))

    def _first(self) -> Host | None:
        """The host that stands first, without entries that do not hold any more."""
        heap = self._heap
        while heap:
            at, _, host = heap[0]
            if host.at == at and host.queue:
                return host
            heappop(heap)
        return None

    def _sweep(self, now: float) -> None:
        """Forget hosts whose clocks say nothing; raises the limit if most have something to say."""
        self._heap = [entry for entry in self._heap if entry[2].at == entry[0] and entry[2].queue]
        heapify(self._heap)
        self._hosts = {
            key: host
            for key, host in self._hosts.items()
            if host.queue or host.has_more or host.is_hungry or not host.clock.is_idle(now)
        }
        self._sweep_at = max(MAX_IDLE_HOSTS, 2 * len(self._hosts))


def _nothing() -> None:
    """Nobody listens."""
