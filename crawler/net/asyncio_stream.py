"""Opening connections under asyncio (any event loop: the standard one, uvloop).

A connection begins as an `AsyncioStream`, which the connect script reads and writes step by step; when it is ready for
HTTP its transport is handed over to a protocol class that is pushed bytes, which is the fast way of asyncio.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import ssl
import sys
from collections.abc import Awaitable
from time import monotonic
from typing import Any, Final, cast

from crawler.errors import (
    ConnectTimeout,
    ReadError,
    ReadTimeout,
    TransportError,
    WriteError,
    WriteTimeout,
)
from crawler.net.asyncio_buffer import ThroughBuffer
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
from crawler.net.sockets import new_socket
from crawler.net.timing import ConnectTiming
from crawler.net.tls import handshake_cut, tls_error

HIGH_WATER: Final = 256 * 1024
"""Unread bytes of a connection at which the peer is made to wait."""


class AsyncioEvent:
    """One-shot event of one waiting task; cheaper than `asyncio.Event` and with a deadline."""

    __slots__ = ("future",)

    def __init__(self) -> None:
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def set(self) -> None:
        """Let the waiting task go on."""
        if not self.future.done():
            self.future.set_result(None)

    async def wait(self, deadline: float) -> None:
        """Wait until set, or until `deadline`."""
        if deadline == NEVER:
            await self.future
        else:
            await asyncio.wait([self.future], timeout=max(0.0, deadline - monotonic()))


class AsyncioStream(asyncio.Protocol):
    """A `Stream` over an asyncio transport: for handshakes, and for what follows an upgrade.

    Attributes:
        transport: What is written to, and what pushes.
        carrier: The transport that has the socket, below any TLS: the one to pause. Under uvloop 0.22 what the TLS
            layer holds back, because it was paused itself, is lost when the connection ends.
    """

    __slots__ = ("_chunks", "_drained", "_error", "_is_at_end", "_loop", "_news", "_size", "carrier", "transport")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._chunks: list[bytes] = []
        self._is_at_end = False
        self._error: Exception | None = None
        self._news: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._size = 0
        self.transport: asyncio.Transport
        self.carrier: asyncio.Transport

    # --- Stream ---

    async def read(self, max_bytes: int, deadline: float | None) -> bytes:
        """See `Stream.read`."""
        while not self._chunks:
            if self._is_at_end:
                if self._error is not None:
                    raise ReadError(f"The connection broke while reading: {self._error}") from self._error
                return b""
            self._news = self._loop.create_future()
            if not await self._in_time(self._news, deadline):
                raise ReadTimeout("Nothing came in time.")
        data = b"".join(self._chunks)
        self._chunks = [data[max_bytes:]] if len(data) > max_bytes else []
        if self._size > HIGH_WATER >= self._size - max_bytes:
            self.carrier.resume_reading()
        self._size = max(0, self._size - max_bytes)
        return data[:max_bytes]

    async def write(self, data: bytes, deadline: float | None) -> None:
        """See `Stream.write`."""
        if self.transport.is_closing():
            raise WriteError("The connection is closed.")
        self.transport.write(data)
        if self.transport.get_write_buffer_size():
            await asyncio.sleep(0)  # uvloop writes at the end of the turn; an `abort` before that would lose it
        if self._drained is not None and not await self._in_time(self._drained, deadline):
            raise WriteTimeout("The peer took nothing in time.")
        if self._error is not None:
            raise WriteError(f"The connection broke while writing: {self._error}") from self._error

    async def start_tls(
        self, context: ssl.SSLContext, server_hostname: str | None, deadline: float | None
    ) -> AsyncioStream:
        """See `Stream.start_tls`."""
        secure = AsyncioStream(self._loop)
        try:
            async with asyncio.timeout_at(deadline):
                transport = await self._loop.start_tls(
                    self.transport, secure, context, server_hostname=server_hostname, ssl_handshake_timeout=3600
                )
        except TimeoutError as exc:
            self.abort()
            raise ConnectTimeout("The TLS handshake took too long.") from exc
        except (ssl.SSLError, ssl.CertificateError) as exc:
            raise tls_error(exc, server_hostname or "") from exc
        except OSError as exc:
            raise handshake_cut(exc, server_hostname or "") from exc
        if transport is None:
            raise handshake_cut(ConnectionResetError("closed"), server_hostname or "")
        secure.transport = transport
        secure.carrier = self.carrier
        return secure

    def abort(self) -> None:
        """See `Stream.abort`."""
        self.transport.abort()

    def get_extra_info(self, name: str) -> Any:
        """See `Stream.get_extra_info`."""
        if name == "client_addr":
            return self.transport.get_extra_info("sockname")
        if name == "server_addr":
            return self.transport.get_extra_info("peername")
        if name in ("socket", "ssl_object"):
            return self.transport.get_extra_info(name)
        if name == "is_readable":
            return bool(self._chunks) or self._is_at_end
        return None

    # --- handing the transport over, and back ---

    def hand_over(self, protocol: asyncio.Protocol) -> None:
        """Let `protocol` have the transport, and what has arrived already (HTTP/2 servers speak first)."""
        is_tls = self.transport.get_extra_info("ssl_object") is not None
        self.transport.set_protocol(ThroughBuffer(protocol) if is_tls else protocol)
        protocol.connection_made(self.transport)
        chunks, self._chunks = self._chunks, []
        if chunks:
            protocol.data_received(b"".join(chunks))
        if self._is_at_end:
            self._loop.call_soon(protocol.connection_lost, self._error)

    def take_back(self) -> None:
        """Become the transport's protocol again, after an upgrade."""
        self.transport.set_protocol(self)

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        self.transport = self.carrier = cast("asyncio.Transport", transport)  # uvloop's are no subclass of it

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        self._chunks.append(data)
        self._size += len(data)
        if self._size > HIGH_WATER:
            self.carrier.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """Called by the event loop; the transport closes itself then."""
        self._is_at_end = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop."""
        self._is_at_end = True
        self._error = exc
        self._wake()
        self.resume_writing()

    def pause_writing(self) -> None:
        """Called by the event loop when the peer takes too little."""
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        """Called by the event loop when there is room again."""
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    async def _in_time(self, future: asyncio.Future[None], deadline: float | None) -> bool:
        timeout = None if deadline is None else max(0.0, deadline - monotonic())
        done, _ = await asyncio.wait([future], timeout=timeout)
        return bool(done)


class AsyncioDialer:
    """Opens streams on the running event loop.

    Args:
        cache: Addresses known already; shared by the pools of one transport.
    """

    __slots__ = ("_cache", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, cache: AddressCache) -> None:
        self._loop = loop
        self._cache = cache

    def sleep(self, seconds: float) -> Awaitable[None]:
        """See `Dialer.sleep`."""
        return asyncio.sleep(seconds)

    async def open_tcp(
        self, host: str, port: int, clock: ConnectClock, route: Route, timing: ConnectTiming
    ) -> AsyncioStream:
        """See `Dialer.open_tcp`."""
        started = monotonic()
        addresses = permitted(await self._look_up(host, port, clock.begin("dns"), route), route.guard, host)
        timing.dns = monotonic() - started
        clock.end("dns", timing.dns)
        try:
            async with asyncio.timeout_at(clock.deadline):
                sock = await self._race(addresses, host, port, route)
                timing.connect = monotonic() - started - timing.dns
        except TimeoutError as exc:
            raise ConnectTimeout(f"No connection to {host}:{port} in time.") from exc
        return await self._stream_over(sock)

    async def open_unix(self, path: str, deadline: float | None, route: Route) -> AsyncioStream:
        """See `Dialer.open_unix`."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            async with asyncio.timeout_at(deadline):
                await self._loop.sock_connect(sock, path)
        except TimeoutError as exc:
            sock.close()
            raise ConnectTimeout(f"No connection to {path} in time.") from exc
        except OSError as exc:
            sock.close()
            raise connect_error(exc, path, None) from exc
        except BaseException:
            sock.close()
            raise
        return await self._stream_over(sock)

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
        try:
            async with asyncio.timeout_at(deadline):
                return await ask_resolver(resolver, host, port)
        except TimeoutError:
            return None

    async def _ask(self, host: str, port: int, deadline: float | None, lookups: Lookups) -> Answer | None:
        is_there = AsyncioEvent()
        answers: list[Answer] = []

        def tell(answer: Answer) -> None:
            answers.append(answer)
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody wants to know
                self._loop.call_soon_threadsafe(is_there.set)

        lookups.ask(host, port, tell)
        try:
            await is_there.wait(NEVER if deadline is None else deadline)
        finally:
            lookups.leave(host, port, tell)
        return answers[0] if answers else None

    async def _race(self, addresses: list[Address], host: str, port: int, route: Route) -> socket.socket:
        if len(addresses) == 1:
            return await self._connect(addresses[0], host, route)
        race = Race(addresses)
        attempts: dict[asyncio.Task[socket.socket], Address] = {}
        try:
            while True:
                step = race.step(monotonic())
                if isinstance(step, Start):
                    attempts[asyncio.create_task(self._connect(step.address, host, route))] = step.address
                elif isinstance(step, Lost):
                    self._cache.forget(host, port)
                    raise most_telling(step.errors)
                else:
                    timeout = None if step.until is None else max(0.0, step.until - monotonic())
                    done, _ = await asyncio.wait(attempts, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        address = attempts[task]
                        error = task.exception()
                        if error is None:
                            del attempts[task]
                            race.won(address)
                            self._cache.prefer(host, port, address)
                            return task.result()
                        if not isinstance(error, TransportError):
                            raise error
                        del attempts[task]
                        race.failed(address, error)
        finally:
            for task in attempts:
                task.cancel()
                task.add_done_callback(_close_late_winner)

    async def _connect(self, address: Address, host: str, route: Route) -> socket.socket:
        try:
            sock = new_socket(address.family, route)
        except OSError as exc:
            raise connect_error(exc, host, address.port) from exc
        try:
            await _connected(self._loop, sock, address.sockaddr)
        except (OSError, OverflowError) as exc:
            sock.close()
            raise connect_error(exc, host, address.port) from exc
        except BaseException:
            sock.close()
            raise
        return sock

    async def _stream_over(self, sock: socket.socket) -> AsyncioStream:
        stream = AsyncioStream(self._loop)
        try:
            await self._loop.create_connection(lambda: stream, sock=sock)
        except BaseException:
            sock.close()
            raise
        return stream


async def _connected(loop: asyncio.AbstractEventLoop, sock: socket.socket, sockaddr: Any) -> None:
    """Connect `sock`, which does not block, to an IP address; `OSError` says why not.

    Not by uvloop's `sock_connect`: that asks the resolver even for an address, in one of the 4 threads that libuv has
    for the whole process. A few look-ups of anybody's that hang there held up every connection until it timed out.
    """
    if sys.platform == "win32":  # the proactor has no writers; it asks nobody
        await loop.sock_connect(sock, sockaddr)
        return
    code = sock.connect_ex(sockaddr)
    if code == errno.EINPROGRESS:
        is_ready: asyncio.Future[None] = loop.create_future()
        loop.add_writer(sock, _settle, is_ready)
        try:
            await is_ready
        finally:
            loop.remove_writer(sock)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _close_late_winner(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()
