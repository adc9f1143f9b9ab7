"""One pool: asks the ledger, and does what it says.

The same code serves asyncio, trio and blocking callers. It awaits nothing but the network it was given, whose
awaitables are already finished in the blocking world. The lock guards the ledger between threads that share a
`Client`; it is never held over an `await`. Where one thread runs an event loop, the two steps of every request do
without it (0.35 µs each).
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable
from time import monotonic
from typing import Protocol

from crawler.errors import ConnectError, RemoteProtocolError
from crawler.models import Limits, Origin, Request, Response
from crawler.net.deadlines import deadline_of, timed_out
from crawler.net.ledger import DIAL, WAIT, Leasable, Ledger, Verdict


class Connection(Leasable, Protocol):
    """A connection that can carry exchanges, as the pool and the script of a request see it."""

    is_shared: bool
    """Whether it carries many exchanges at once."""

    def exchange(self, request: Request, whole: bool) -> Awaitable[Response]:
        """Send `request`, give its response.

        Args:
            request: What to send.
            whole: Give the response with its whole body; otherwise as soon as its head is there.
        """
        ...

    def cancel(self, request: Request) -> None:
        """Give up the exchange of `request`, at once; nothing happens if it has ended."""
        ...

    def is_stale(self, request: Request) -> bool:
        """Whether `request` failed because the peer had closed this kept-alive connection before it came."""
        ...

    def has_died(self) -> bool:
        """Whether this idle connection turns out to be closed, or to have received bytes nobody asked for."""
        ...

    def abort(self) -> None:
        """Close at once; exchanges under way fail. Synchronous, never raises."""
        ...


class Event(Protocol):
    """Something to wait for, in the way of one world."""

    def set(self) -> None:
        """Let the waiting one go on; from any thread where threads are allowed."""
        ...

    def wait(self, deadline: float) -> Awaitable[None]:
        """Wait until set, or until `deadline` (monotonic seconds)."""
        ...


class Connector(Protocol):
    """Opens connections for a pool, in the way of one world."""

    def may_share(self, key: Origin) -> bool:
        """Whether a connection to `key` may turn out to carry many exchanges at once."""
        ...

    def event(self) -> Event:
        """A new event."""
        ...

    def connect(self, pool: Pool, key: Origin, request: Request) -> Awaitable[Connection]:
        """Open a connection to `key`, ready for use."""
        ...

    def trim_later(self, pool: Pool) -> None:
        """Call `pool.trim()` when the excess of idle connections has had its moment, if this world has timers.

        Without one, the next release does it.
        """
        ...


class PoolWaiter:
    """A request in the pool's queue."""

    __slots__ = ("event", "grant", "key", "may_share")

    def __init__(self, key: Origin, may_share: bool, event: Event) -> None:
        self.key = key
        self.may_share = may_share
        self.event = event
        self.grant: Connection | Verdict | None = None

    def wake(self, grant: Connection | Verdict) -> None:
        """Called by the ledger, under the pool's lock."""
        self.grant = grant
        self.event.set()


class Pool:
    """Connections to any number of origins, within `limits`.

    Args:
        limits: How many connections, how many of them idle, and how long.
        connector: How connections are opened.
        has_threads: Whether several threads may use it.
    """

    __slots__ = ("_has_threads", "connections", "connector", "is_closed", "ledger", "lock")

    def __init__(self, limits: Limits, connector: Connector, *, has_threads: bool = True) -> None:
        self._has_threads = has_threads
        self.ledger: Ledger[Connection] = Ledger(
            limits.max_connections, limits.max_keepalive_connections, limits.keepalive_expiry
        )
        self.connector = connector
        self.lock = threading.Lock()
        self.connections: set[Connection] = set()
        self.is_closed = False

    def __repr__(self) -> str:
        return f"<Pool {self.ledger!r}>"

    def take(self, key: Origin) -> Connection | None:
        """An open connection to `key`, leased to the caller, if there is one now."""
        if self._has_threads:
            with self.lock:
                connection = self.ledger.lease_open(key, monotonic())
        else:
            connection = self.ledger.lease_open(key, monotonic())
        if self.ledger.doomed:
            self._close_doomed()
        return connection

    async def lease(self, key: Origin, request: Request) -> Connection:
        """A connection to `key`: one that is open, a new one, or the first that others give back.

        Raises:
            PoolTimeout: Nothing became free within the pool timeout.
            ConnectError, ConnectTimeout, ProxyError: A new connection could not be opened, or the pool was closed.
        """
        while True:
            grant = await self._grant(key, request)
            if isinstance(grant, Verdict):
                return await self._dial(key, request)
            if not grant.has_died():
                return grant
            self.discard(grant)
            grant.abort()

    def release(self, connection: Connection) -> None:
        """The exchange on `connection` ended well."""
        if self._has_threads:
            with self.lock:
                self.ledger.release(connection, monotonic())
        else:
            self.ledger.release(connection, monotonic())
        if self.ledger.doomed:
            self._close_doomed()
        if self.ledger.has_excess:
            self.connector.trim_later(self)

    def trim(self) -> None:
        """Close idle connections beyond the limit that nobody wanted for a moment."""
        with self.lock:
            self.ledger.trim(monotonic())
        self._close_doomed()

    def discard(self, connection: Connection) -> None:
        """`connection` is closed, or about to be."""
        self.connections.discard(connection)
        with self.lock:
            self.ledger.discard(connection)
        if self.ledger.doomed:
            self._close_doomed()

    def resize(self, connection: Connection, capacity: int) -> None:
        """A shared connection may carry another number of exchanges at once from now on."""
        with self.lock:
            self.ledger.resize(connection, capacity, monotonic())
        if self.ledger.doomed:
            self._close_doomed()

    def close(self) -> None:
        """Close every connection, for good; exchanges under way fail, and so do requests in the queue."""
        self.is_closed = True
        for connection in list(self.connections):
            self.discard(connection)
            connection.abort()

    async def _grant(self, key: Origin, request: Request) -> Connection | Verdict:
        may_share = self.connector.may_share(key)
        waiter: PoolWaiter | None = None
        with self.lock:
            grant = self.ledger.lease(key, monotonic(), may_share)
            if grant is WAIT:
                waiter = PoolWaiter(key, may_share, self.connector.event())
                self.ledger.enqueue(waiter)
        if self.ledger.doomed:
            self._close_doomed()
        return grant if waiter is None else await self._wait(waiter, request)

    async def _wait(self, waiter: PoolWaiter, request: Request) -> Connection | Verdict:
        try:
            await waiter.event.wait(deadline_of(request, "pool"))
        except BaseException:  # cancelled: what was granted meanwhile goes on to the next
            grant = self._leave_queue(waiter)
            if grant is not None:
                self._pass_on(waiter.key, grant)
            raise
        grant = self._leave_queue(waiter)
        if grant is None:
            raise timed_out(
                request,
                "pool",
                f"all {self.ledger.count} connections were in use (max_connections of Limits); "
                "raise it or the pool timeout, or start fewer requests at once",
            )
        return grant

    def _leave_queue(self, waiter: PoolWaiter) -> Connection | Verdict | None:
        with self.lock:
            if waiter.grant is None:
                self.ledger.forget(waiter)
            return waiter.grant

    def _pass_on(self, key: Origin, grant: Connection | Verdict) -> None:
        with self.lock:
            if isinstance(grant, Verdict):
                self.ledger.dial_failed(key)
            else:
                self.ledger.release(grant, monotonic())
        if self.ledger.doomed:
            self._close_doomed()

    async def _dial(self, key: Origin, request: Request) -> Connection:
        try:
            self._check_open()
            connection = await self.connector.connect(self, key, request)
        except BaseException:
            self._pass_on(key, DIAL)
            raise
        self.connections.add(connection)
        with self.lock:
            self.ledger.opened(connection, is_shared=connection.is_shared)
        if self.ledger.doomed:
            self._close_doomed()
        was_early = not connection.is_shared and connection.has_died()
        if self.is_closed or was_early:
            self.discard(connection)
            connection.abort()
            self._check_open()
            raise RemoteProtocolError(f"{key} closed the connection, or sent something, before it was asked.")
        return connection

    def _check_open(self) -> None:
        if self.is_closed:
            raise ConnectError("The client was closed while this request was under way.", kind="connection_lost")

    def _close_doomed(self) -> None:
        with self.lock:
            doomed, self.ledger.doomed = self.ledger.doomed, []
        for connection in doomed:
            self.connections.discard(connection)
            connection.abort()
