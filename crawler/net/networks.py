"""The networks of a transport: how each world opens its connections, and which world an async caller lives in.

BlockingNetwork   one pool, shared by threads
AsyncNetworks     a pool for the event loop that the caller runs on, asyncio or trio, found at run time
"""

from __future__ import annotations

import asyncio
import os
import sys
from weakref import WeakSet

from crawler.models import Limits, Origin, Request
from crawler.net.asyncio_http1 import AsyncioHttp1
from crawler.net.asyncio_http2 import AsyncioHttp2
from crawler.net.asyncio_stream import AsyncioDialer, AsyncioEvent, AsyncioStream
from crawler.net.asyncio_sweep import Sweeper
from crawler.net.blocking import BlockingEvent
from crawler.net.blocking_stream import BlockingDialer
from crawler.net.connect import Dialer, open_connection
from crawler.net.ledger import IDLE_GRACE_S
from crawler.net.pool import Connection, Event, Pool
from crawler.net.pull_body import AsyncBody, BlockingBody
from crawler.net.pull_http1 import PullHttp1
from crawler.net.pull_http2 import PullHttp2
from crawler.net.pull_world import World
from crawler.net.readiness import BlockingReadiness
from crawler.net.resolve import AddressCache
from crawler.net.route import Route, origin_of
from crawler.net.stream import AsyncHTTPNetworkStream, HTTPNetworkStream
from crawler.net.upgrade import AsyncUpgradedBody, UpgradedBody
from crawler.net.upload import async_chunks, blocking_chunks

BLOCKING = World(blocking_chunks, BlockingBody, HTTPNetworkStream, BlockingEvent, BlockingReadiness, UpgradedBody)


class AsyncioConnector:
    """Opens connections on one event loop of asyncio."""

    def __init__(self, route: Route, loop: asyncio.AbstractEventLoop, cache: AddressCache) -> None:
        self._route = route
        self._dialer = AsyncioDialer(loop, cache)
        self._loop = loop
        self._sweeper: Sweeper | None = None
        self._trimming: asyncio.TimerHandle | None = None

    def may_share(self, key: Origin) -> bool:
        """See `Connector.may_share`."""
        return self._route.may_be_http2(key)

    def event(self) -> Event:
        """See `Connector.event`."""
        return AsyncioEvent()

    async def connect(self, pool: Pool, key: Origin, request: Request) -> Connection:
        """See `Connector.connect`."""
        if self._sweeper is None:
            self._sweeper = Sweeper(self._loop, pool.connections)  # type: ignore[arg-type]  # all of this class's making
        opening = await open_connection(self._dialer, self._route, origin_of(request), request)
        assert isinstance(opening.stream, AsyncioStream)
        kind = AsyncioHttp2 if opening.protocol == "h2" else AsyncioHttp1
        return kind(pool, key, opening, opening.stream, self._sweeper)

    def trim_later(self, pool: Pool) -> None:
        """See `Connector.trim_later`."""
        if self._trimming is None:
            self._trimming = self._loop.call_later(IDLE_GRACE_S, self._trim, pool)

    def _trim(self, pool: Pool) -> None:
        self._trimming = None
        pool.trim()
        if pool.ledger.has_excess:
            self.trim_later(pool)


class PullConnector:
    """Opens connections that are read, not pushed: blocking ones, and trio's."""

    def __init__(self, route: Route, dialer: Dialer, world: World) -> None:
        self._route = route
        self._dialer = dialer
        self._world = world

    def may_share(self, key: Origin) -> bool:
        """See `Connector.may_share`."""
        return self._route.may_be_http2(key)

    def event(self) -> Event:
        """See `Connector.event`."""
        return self._world.event()

    async def connect(self, pool: Pool, key: Origin, request: Request) -> Connection:
        """See `Connector.connect`."""
        opening = await open_connection(self._dialer, self._route, origin_of(request), request)
        assert opening.stream is not None
        kind = PullHttp2 if opening.protocol == "h2" else PullHttp1
        return kind(pool, key, opening, opening.stream, self._world)

    def trim_later(self, pool: Pool) -> None:
        """See `Connector.trim_later`; there is no timer here."""


class BlockingNetwork:
    """The one pool of a blocking transport.

    Attributes:
        pool: Another one after `close` (a transport may be lent to one client after the other) and after a fork.
    """

    def __init__(self, route: Route, limits: Limits) -> None:
        self._route = route
        self._limits = limits
        self.start_anew()
        _networks.add(self)

    def start_anew(self) -> None:
        """Forget all connections without touching them."""
        connector = PullConnector(self._route, BlockingDialer(self._route.new_cache()), BLOCKING)
        self.pool = Pool(self._limits, connector)

    def close(self) -> None:
        """Close every connection."""
        pool = self.pool
        self.start_anew()
        pool.close()


class AsyncNetworks:
    """The pool of an async transport, on whatever loop it is used.

    Connections belong to the loop that opened them. A client that is used on a second loop after the first has ended
    (`asyncio.run` twice) begins with an empty pool there; on two running loops at once it refuses.
    """

    def __init__(self, route: Route, limits: Limits) -> None:
        self._route = route
        self._limits = limits
        self.start_anew()
        _networks.add(self)

    def start_anew(self) -> None:
        """Forget all connections without touching them."""
        self._cache = self._route.new_cache()
        self._pool: Pool | None = None
        self._loop: object | None = None

    def pool(self) -> Pool:
        """The pool for the running event loop.

        Raises:
            RuntimeError: There is none, or another loop that still runs uses this client.
        """
        loop = _running_loop()
        if loop is not self._loop or self._pool is None:
            self._move_to(loop)
            assert self._pool is not None
        return self._pool

    def close(self) -> None:
        """Close every connection."""
        if self._pool is not None:
            if not _has_ended(self._loop):
                self._pool.close()
            self._pool = None

    def _move_to(self, loop: object) -> None:
        if self._pool is not None and not _has_ended(self._loop):
            raise RuntimeError(
                "This async client is in use on another event loop, which is still running; make one client per loop."
            )
        self._loop = loop
        if isinstance(loop, asyncio.AbstractEventLoop):
            self._pool = Pool(self._limits, AsyncioConnector(self._route, loop, self._cache), has_threads=False)
        else:
            from crawler.net.trio_stream import TrioDialer, TrioEvent, TrioReadiness

            world = World(async_chunks, AsyncBody, AsyncHTTPNetworkStream, TrioEvent, TrioReadiness, AsyncUpgradedBody)
            self._pool = Pool(
                self._limits, PullConnector(self._route, TrioDialer(self._cache), world), has_threads=False
            )


_networks: WeakSet[BlockingNetwork | AsyncNetworks] = WeakSet()


def _after_fork() -> None:
    """In the child: what is open belongs to the parent, and its bytes would get mixed with ours."""
    for network in _networks:
        network.start_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _running_loop() -> object:
    """asyncio's running loop, or what stands for trio's run."""
    if "trio" in sys.modules:  # looked at first: in trio's guest mode both are there
        import trio

        try:
            return trio.lowlevel.current_root_task()
        except RuntimeError:
            pass
    return asyncio.get_running_loop()


def _has_ended(loop: object) -> bool:
    if isinstance(loop, asyncio.AbstractEventLoop):
        return loop.is_closed() or not loop.is_running()
    import trio

    return not isinstance(loop, trio.lowlevel.Task) or loop.coro.cr_frame is None
