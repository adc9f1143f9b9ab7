"""Opening connections under trio. Imported only where trio runs."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

import trio

from crawler.errors import (
    ConnectTimeout,
    ReadError,
    ReadTimeout,
    TransportError,
    WriteError,
    WriteTimeout,
)
from crawler.net.deadlines import NEVER, ConnectClock
from crawler.net.lookup import Answer, Lookups
from crawler.net.race import Lost, Race, Start, most_telling
from crawler.net.resolve import (
    Address,
    AddressCache,
    connect_error,
    known_addresses,
    learn_addresses,
    permitted,
)
from crawler.net.resolver import Resolver, Told, ask_resolver
from crawler.net.route import Route
from crawler.net.sockets import is_readable, new_socket
from crawler.net.timing import ConnectTiming
from crawler.net.tls_stream import TLSStream


def _seconds_until(deadline: float | None) -> float:
    """From our clock, `time.monotonic`, to a duration: trio's own clock begins elsewhere."""
    return NEVER if deadline is None else max(0.0, deadline - monotonic())


class TrioEvent:
    """One-shot event of one waiting task."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = trio.Event()

    def set(self) -> None:
        """Let the waiting task go on."""
        self._event.set()

    async def wait(self, deadline: float) -> None:
        """Wait until set, or until `deadline`."""
        with trio.move_on_after(_seconds_until(deadline)):
            await self._event.wait()


class TrioReadiness:
    """See `Readiness`: one task waits for the socket, in a scope that others may cancel."""

    __slots__ = ("_scope", "_sock")

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._scope: trio.CancelScope | None = None

    async def wait(self, write: bool, deadline: float) -> None:
        """See `Readiness.wait`."""
        with trio.move_on_after(_seconds_until(deadline)) as self._scope:
            if write:
                await self._wait_both(self._scope)
            else:
                await trio.lowlevel.wait_readable(self._sock)

    async def _wait_both(self, scope: trio.CancelScope) -> None:
        async with trio.open_nursery() as nursery:
            for wait in (trio.lowlevel.wait_readable, trio.lowlevel.wait_writable):
                nursery.start_soon(self._first, wait, scope)

    async def _first(self, wait: Callable[[socket.socket], Awaitable[None]], scope: trio.CancelScope) -> None:
        await wait(self._sock)
        scope.cancel()

    def wake(self) -> None:
        """See `Readiness.wake`; between tasks there is no wait that has not begun."""
        if self._scope is not None:
            self._scope.cancel()

    def close(self) -> None:
        """See `Readiness.close`."""


class TrioStream:
    """A `Stream` over a trio socket.

    Args:
        sock: An ordinary one, that does not block.
    """

    __slots__ = ("_plain", "_sock")

    def __init__(self, sock: socket.socket) -> None:
        self._plain = sock
        self._sock = trio.socket.from_stdlib_socket(sock)

    async def read(self, max_bytes: int, deadline: float | None) -> bytes:
        """See `Stream.read`."""
        try:
            with trio.fail_after(_seconds_until(deadline)):
                return await self._sock.recv(max_bytes)
        except trio.TooSlowError as exc:
            raise ReadTimeout("Nothing came in time.") from exc
        except (OSError, trio.ClosedResourceError) as exc:
            raise ReadError(f"The connection broke while reading: {exc}") from exc

    def read_nowait(self, max_bytes: int) -> bytes | None:
        """See `Peekable.read_nowait`."""
        try:
            return self._plain.recv(max_bytes)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    async def connect(self, address: Any) -> None:
        """Connect to `address`, of the socket's family; `OSError` says why not. The socket is closed then."""
        try:
            await self._sock.connect(address)
        except BaseException:
            self._sock.close()
            raise

    async def write(self, data: bytes, deadline: float | None) -> None:
        """See `Stream.write`."""
        left = memoryview(data)
        try:
            with trio.fail_after(_seconds_until(deadline)):
                while left:
                    left = left[await self._sock.send(left) :]
        except trio.TooSlowError as exc:
            raise WriteTimeout("The peer took nothing in time.") from exc
        except (OSError, trio.ClosedResourceError) as exc:
            raise WriteError(f"The connection broke while writing: {exc}") from exc

    def start_tls(
        self, context: ssl.SSLContext, server_hostname: str | None, deadline: float | None
    ) -> Awaitable[TLSStream]:
        """See `Stream.start_tls`."""
        return TLSStream.handshake(self, context, server_hostname, deadline)

    def abort(self) -> None:
        """See `Stream.abort`; tasks that wait on the socket get an error."""
        self._sock.close()

    def get_extra_info(self, name: str) -> Any:
        """See `Stream.get_extra_info`."""
        try:
            if name == "client_addr":
                return self._sock.getsockname()
            if name == "server_addr":
                return self._sock.getpeername()
        except OSError:
            return None
        if name == "socket":
            return self._sock
        if name == "is_readable":
            return is_readable(self._plain)
        return None


class TrioDialer:
    """Opens streams under trio.

    Args:
        cache: Addresses known already.
    """

    __slots__ = ("_cache",)

    def __init__(self, cache: AddressCache) -> None:
        self._cache = cache

    async def sleep(self, seconds: float) -> None:
        """See `Dialer.sleep`."""
        await trio.sleep(seconds)

    async def open_tcp(
        self, host: str, port: int, clock: ConnectClock, route: Route, timing: ConnectTiming
    ) -> TrioStream:
        """See `Dialer.open_tcp`."""
        started = monotonic()
        addresses = permitted(await self._look_up(host, port, clock.begin("dns"), route), route.guard, host)
        timing.dns = monotonic() - started
        clock.end("dns", timing.dns)
        try:
            with trio.fail_after(_seconds_until(clock.deadline)):
                stream = await self._race(addresses, host, port, route)
                timing.connect = monotonic() - started - timing.dns
                return stream
        except trio.TooSlowError as exc:
            raise ConnectTimeout(f"No connection to {host}:{port} in time.") from exc

    async def open_unix(self, path: str, deadline: float | None, route: Route) -> TrioStream:
        """See `Dialer.open_unix`."""
        stream = TrioStream(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        try:
            with trio.fail_after(_seconds_until(deadline)):
                await stream.connect(path)
        except trio.TooSlowError as exc:
            raise ConnectTimeout(f"No connection to {path} in time.") from exc
        except OSError as exc:
            raise connect_error(exc, path, None) from exc
        return stream

    async def _look_up(self, host: str, port: int, deadline: float | None, route: Route) -> list[Address]:
        known = known_addresses(self._cache, host, port, monotonic())
        if known is not None:
            return known
        if route.resolver is None:
            answer = await self._ask(host, port, deadline, route.lookups)
        else:
            answer = await self._ask_resolver(route.resolver, host, port, deadline)
        return learn_addresses(self._cache, host, port, answer, monotonic())

    async def _ask_resolver(self, resolver: Resolver, host: str, port: int, deadline: float | None) -> Told:
        with trio.move_on_after(_seconds_until(deadline)):
            return await ask_resolver(resolver, host, port)
        return None

    async def _ask(self, host: str, port: int, deadline: float | None, lookups: Lookups) -> Answer | None:
        token = trio.lowlevel.current_trio_token()
        is_there = TrioEvent()
        answers: list[Answer] = []

        def tell(answer: Answer) -> None:
            answers.append(answer)
            with contextlib.suppress(trio.RunFinishedError):  # nobody wants to know
                token.run_sync_soon(is_there.set)

        lookups.ask(host, port, tell)
        try:
            await is_there.wait(NEVER if deadline is None else deadline)
        finally:
            lookups.leave(host, port, tell)
        return answers[0] if answers else None

    async def _race(self, addresses: list[Address], host: str, port: int, route: Route) -> TrioStream:
        if len(addresses) == 1:
            return await self._connect(addresses[0], host, route)
        race = Race(addresses)
        results: dict[Address, TrioStream | TransportError] = {}
        news = trio.Event()

        async def attempt(address: Address) -> None:
            try:
                results[address] = await self._connect(address, host, route)
            except TransportError as exc:
                results[address] = exc
            news.set()

        winner: TrioStream | None = None
        try:
            async with trio.open_nursery() as nursery:
                while winner is None:
                    step = race.step(monotonic())
                    if isinstance(step, Start):
                        nursery.start_soon(attempt, step.address)
                    elif isinstance(step, Lost):
                        break  # not raised here: a nursery would wrap it in an ExceptionGroup
                    else:
                        with trio.move_on_after(_seconds_until(step.until)):
                            await news.wait()
                        news = trio.Event()
                        winner = self._judge(race, results, host, port)
                nursery.cancel_scope.cancel()
        except BaseException:  # cancelled just as an attempt connected: the end of a nursery is a checkpoint
            if winner is not None:
                winner.abort()
            raise
        finally:
            for late in results.values():
                if isinstance(late, TrioStream):
                    late.abort()
        if winner is None:
            self._cache.forget(host, port)
            assert isinstance(step, Lost)
            raise most_telling(step.errors)
        return winner

    def _judge(
        self, race: Race, results: dict[Address, TrioStream | TransportError], host: str, port: int
    ) -> TrioStream | None:
        winner: TrioStream | None = None
        for address, result in results.items():
            if isinstance(result, TransportError):
                race.failed(address, result)
            elif winner is None:
                race.won(address)
                self._cache.prefer(host, port, address)
                winner = result
            else:
                result.abort()
        results.clear()
        return winner

    async def _connect(self, address: Address, host: str, route: Route) -> TrioStream:
        try:
            stream = TrioStream(new_socket(address.family, route))
            await stream.connect(address.sockaddr)
        except (OSError, OverflowError) as exc:
            raise connect_error(exc, host, address.port) from exc
        return stream
