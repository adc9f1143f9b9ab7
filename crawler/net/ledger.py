"""Who gets which connection: the decisions of the pool, without any I/O, clock or lock.

The network asks, does as it is told, and reports what happened:

    lease ──▶ a connection        use it
          ──▶ DIAL                 room was reserved: open one, then `opened` or `dial_failed`
          ──▶ WAIT                 `enqueue` a waiter; it is woken with a connection or with DIAL

    release(c)   the exchange on `c` ended well, `c` can carry another
    discard(c)   `c` is dead or must die
    forget(w)    a waiter gave up (cancelled, timed out)

Rules:
- first come, first served over all origins: what becomes free goes to the waiter that has waited longest;
- a new connection is opened while there is room, then at the expense of the idle connection that was used longest ago;
- a connection that carries many exchanges at once (HTTP/2) is shared while it has free slots; while the first
  connection to an origin that may be such a one is being opened, others wait for it instead of opening more;
- every operation is O(1) in the number of connections and waiters. (httpcore 1.0 scans all connections for each
  request: 274 µs a request with 1 in flight, 4,700 with 64.)

What the ledger gives up is appended to `doomed`; the network closes those after each call.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from typing import Any, Final, Generic, Protocol, TypeVar

from crawler.models import Origin


class Verdict(enum.Enum):
    """What to do when there is no connection to hand out."""

    DIAL = "dial"
    WAIT = "wait"


DIAL: Final = Verdict.DIAL
WAIT: Final = Verdict.WAIT

NO_LIMIT: Final = float("inf")
EXPIRES_NOTHING: Final = float("-inf")  # as `now`: what was freed a moment ago is not checked for age again
IDLE_GRACE_S: Final = 1.0  # how long idle connections beyond the limit are kept for those who ask next
MAX_PLAIN: Final = 10_000  # origins remembered as HTTP/1.1; a forgotten one costs one wait for a handshake


class Leasable(Protocol):
    """What the ledger keeps on each connection; only the ledger writes it.

    Attributes:
        key: The origin (or proxy) it leads to.
        capacity: Exchanges it may carry at once: 1 for HTTP/1.1, the peer's limit for HTTP/2.
        leased: Exchanges under way on it.
        idle_since: Monotonic seconds; when it last became idle.
        is_gone: It is no longer in the books.
    """

    key: Origin
    capacity: int
    leased: int
    idle_since: float
    is_gone: bool


C = TypeVar("C", bound=Leasable)


class Waiter(Protocol):
    """Somebody in the queue.

    Attributes:
        key: The origin it wants to reach.
        may_share: As in `Ledger.lease`.
    """

    key: Origin
    may_share: bool

    def wake(self, grant: Any) -> None:
        """Take a leased connection or DIAL. One that no longer wants it gives it back; it never blocks or raises."""
        ...


class Ledger(Generic[C]):
    """The books of one pool.

    Args:
        max_connections: All connections, open or being opened; None for no limit.
        max_idle: Idle connections that are kept; None for no limit.
        keepalive_s: How long an idle connection stays usable; None for ever.
    """

    __slots__ = (
        "_idle",
        "_plain",
        "_probing",
        "_queue",
        "_ready",
        "count",
        "doomed",
        "has_excess",
        "keepalive_s",
        "max_connections",
        "max_idle",
    )

    def __init__(self, max_connections: int | None, max_idle: int | None, keepalive_s: float | None) -> None:
        self.max_connections: float = NO_LIMIT if max_connections is None else max_connections
        self.max_idle: float = NO_LIMIT if max_idle is None else max_idle
        self.keepalive_s: float = NO_LIMIT if keepalive_s is None else keepalive_s
        self.count = 0
        """Connections open or being opened."""
        self.doomed: list[C] = []
        """Connections given up: the network closes them."""
        self.has_excess = False
        """Whether the last `trim` left idle connections beyond the limit, for a later one to give up."""
        self._ready: dict[Origin, dict[C, None]] = {}  # those that can take an exchange, last used last
        self._idle: OrderedDict[C, None] = OrderedDict()  # those that carry none, longest unused first
        self._queue: OrderedDict[Waiter, None] = OrderedDict()  # not a dict: popping a dict's front is O(n)
        self._probing: dict[Origin, dict[Waiter, None]] = {}  # who waits for the first connection to an origin
        self._plain: OrderedDict[Origin, None] = OrderedDict()  # origins seen not to share connections

    def __repr__(self) -> str:
        return f"<Ledger {self.count} connections, {self.idle} idle, {self.waiting} waiting>"

    @property
    def idle(self) -> int:
        """Connections that nobody uses."""
        return len(self._idle)

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._queue) + sum(map(len, self._probing.values()))

    def lease_open(self, key: Origin, now: float) -> C | None:
        """The part of `lease` that finds an open connection, by itself for the common case."""
        ready = self._ready.get(key)
        while ready:
            connection, _ = ready.popitem()  # the one used last; an empty dict stays until its last connection goes
            if not connection.leased:
                if now - connection.idle_since >= self.keepalive_s:
                    self._give_up(connection)
                    continue
                del self._idle[connection]
            connection.leased += 1
            if connection.leased < connection.capacity:
                ready[connection] = None
            return connection
        return None

    def lease(self, key: Origin, now: float, may_share: bool = False) -> C | Verdict:
        """Choose how a request to `key` gets its connection.

        Args:
            key: Where to.
            now: Monotonic seconds; idle connections past their time are dropped here.
            may_share: The connection may turn out to be a shared one (HTTP/2 is offered).

        Returns:
            A connection, leased to the caller; or DIAL, with room reserved; or WAIT.

        Source: RFC 9112 §9.3 (persistence), §9.5 (a server may close an idle connection at any time).
        """
        connection = self.lease_open(key, now)
        if connection is not None:
            return connection
        if may_share and key in self._probing:
            return WAIT
        if self.count >= self.max_connections:
            if not self._idle:
                return WAIT
            self._give_up(next(iter(self._idle)))
        self.count += 1
        if may_share and key not in self._plain:
            self._probing[key] = {}
        return DIAL

    def enqueue(self, waiter: Waiter) -> None:
        """Put a waiter, for whom `lease` said WAIT, at the end of the queue."""
        self._queue[waiter] = None
        self._serve()  # moves it to those who wait for a first connection, if that is why

    def forget(self, waiter: Waiter) -> None:
        """Take a waiter out that gave up before it was woken; nothing happens if it is in no queue."""
        self._queue.pop(waiter, None)
        self._probing.get(waiter.key, {}).pop(waiter, None)

    def opened(self, connection: C, *, is_shared: bool = False) -> None:
        """A dial succeeded: `connection` is leased to the one who dialled; further slots are free for others.

        One that was discarded before it came here is not in the books any more.
        """
        connection.leased = 1
        if connection.capacity > 1 and not connection.is_gone:
            self._ready.setdefault(connection.key, {})[connection] = None
        if not is_shared:
            self._plain[connection.key] = None
            if len(self._plain) > MAX_PLAIN:
                self._plain.popitem(last=False)
        self._probe_ended(connection.key)

    def dial_failed(self, key: Origin) -> None:
        """A dial failed or was given up: its room goes to the next in the queue."""
        self.count -= 1
        self._probe_ended(key)

    def release(self, connection: C, now: float) -> None:
        """The exchange on `connection` ended, and the connection can carry another."""
        connection.leased -= 1
        if connection.is_gone:
            return
        self._make_ready(connection, now)
        if self._queue:
            self._serve()
        if len(self._idle) > self.max_idle:
            self.trim(now)

    def trim(self, now: float) -> None:
        """Give up idle connections beyond `max_idle` which have been idle for a while, longest unused first.

        At once it would be wrong: the answers to many requests come in one turn of an event loop, before those who ask
        next have had theirs. (64 at once with 20 allowed: 14,000 connections opened in a run instead of 64.)
        """
        grace = IDLE_GRACE_S if self.max_idle else 0.0
        while len(self._idle) > self.max_idle:
            oldest = next(iter(self._idle))
            if now - oldest.idle_since < grace:
                self.has_excess = True
                return
            self._give_up(oldest)
        self.has_excess = False

    def discard(self, connection: C) -> None:
        """`connection` is closed or must be; it is never handed out again. Safe to call twice."""
        if connection.is_gone:
            return
        self._remove(connection)
        self._serve()

    def resize(self, connection: C, capacity: int, now: float) -> None:
        """The peer changed how many exchanges a shared connection may carry at once; 0 after GOAWAY."""
        connection.capacity = capacity
        if connection.is_gone or not (connection.leased or connection in self._idle):
            return  # dead already, or its dial has not come to `opened` yet (HTTP/2 servers speak first)
        if connection.leased >= capacity:
            self._unready(connection)
        else:
            self._make_ready(connection, now)
            self._serve()

    def clear(self) -> None:
        """Give up every idle connection."""
        while self._idle:
            self._give_up(next(iter(self._idle)))

    # --- inside ---

    def _make_ready(self, connection: C, now: float) -> None:
        if connection.leased < connection.capacity:
            ready = self._ready.get(connection.key)
            if ready is None:
                ready = self._ready[connection.key] = {}
            ready[connection] = None
        if not connection.leased:  # even if its capacity is 0: it may have to make room for others
            connection.idle_since = now
            self._idle[connection] = None

    def _unready(self, connection: C) -> None:
        ready = self._ready.get(connection.key)
        if ready is not None:
            ready.pop(connection, None)
            if not ready:
                del self._ready[connection.key]

    def _remove(self, connection: C) -> None:
        connection.is_gone = True
        self.count -= 1
        self._idle.pop(connection, None)
        self._unready(connection)

    def _give_up(self, connection: C) -> None:
        self._remove(connection)
        self.doomed.append(connection)

    def _probe_ended(self, key: Origin) -> None:
        """The first dial to `key` ended: those who waited for it go back to the front of the queue, in order."""
        for waiter in reversed(self._probing.pop(key, {})):
            self._queue[waiter] = None
            self._queue.move_to_end(waiter, last=False)
        self._serve()

    def _serve(self) -> None:
        """Give what is free to those who have waited longest."""
        while self._queue:
            waiter = next(iter(self._queue))
            grant = self.lease(waiter.key, EXPIRES_NOTHING, waiter.may_share)
            if grant is WAIT:
                if not (waiter.may_share and waiter.key in self._probing):
                    return
                del self._queue[waiter]
                self._probing[waiter.key][waiter] = None
                continue
            del self._queue[waiter]
            waiter.wake(grant)
