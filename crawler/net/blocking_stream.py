"""Opening connections by blocking: sockets with timeouts, happy eyeballs with a selector."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import ssl
import time
from time import monotonic
from typing import Any

from crawler.errors import ConnectError, ConnectTimeout, ReadError, ReadTimeout, WriteError, WriteTimeout
from crawler.net.blocking import Done
from crawler.net.deadlines import ConnectClock
from crawler.net.race import Lost, Race, Start, most_telling
from crawler.net.resolve import (
    Address,
    AddressCache,
    connect_error,
    known_addresses,
    learn_addresses,
    permitted,
)
from crawler.net.resolver import ask_plain_resolver
from crawler.net.route import Route
from crawler.net.socket_timeouts import SocketTimeouts
from crawler.net.sockets import is_readable, new_socket
from crawler.net.timing import ConnectTiming
from crawler.net.tls import handshake_cut, tls_error
from crawler.net.tls_stream import TLSStream

_MIN_TIMEOUT_S = 1e-6  # 0 would make the socket non-blocking
_LOOK = 16 * 1024  # a TLS record

# epoll and kqueue take a descriptor for themselves, and there may be none left.
_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)


class BlockingStream:
    """A `Stream` over a socket, plain or TLS."""

    __slots__ = ("_ahead", "_is_cut", "_sock", "_timeouts")

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._timeouts = SocketTimeouts(sock)
        self._ahead: bytes | None = None  # what a look found, for the next read
        self._is_cut = False

    def read(self, max_bytes: int, deadline: float | None) -> Done[bytes]:
        """See `Stream.read`."""
        if self._ahead is not None:
            data, rest = self._ahead[:max_bytes], self._ahead[max_bytes:]
            self._ahead = rest or None
            return Done(data)
        try:
            self._timeouts.before_read(deadline)
            return Done(self._sock.recv(max_bytes))
        except (TimeoutError, BlockingIOError) as exc:
            raise ReadTimeout("Nothing came in time.") from exc
        except ssl.SSLEOFError:
            self._is_cut = True
            return Done(b"")
        except (OSError, ValueError) as exc:  # ValueError: closed by another thread, within TLS
            raise ReadError(f"The connection broke while reading: {exc}") from exc

    def read_nowait(self, max_bytes: int) -> bytes | None:
        """See `Peekable.read_nowait`."""
        if self._ahead is not None:
            return self.read(max_bytes, None).value
        try:
            if self._timeouts.uses_kernel:
                return self._sock.recv(max_bytes, socket.MSG_DONTWAIT)
            self._sock.settimeout(0)
            return self._sock.recv(max_bytes)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None
        except (OSError, ValueError):
            self._is_cut = True
            return b""

    def _is_readable(self) -> bool:
        """Whether data or the end has come; within TLS what waits may be neither (RFC 8446 §4.6.1: tickets)."""
        if self._ahead is not None:
            return True
        if not is_readable(self._sock):
            return False
        if isinstance(self._sock, ssl.SSLSocket):
            self._ahead = self.read_nowait(_LOOK)
            return self._ahead is not None
        return True

    def write(self, data: bytes, deadline: float | None) -> Done[None]:
        """See `Stream.write`."""
        try:
            self._timeouts.before_write(deadline)
            self._sock.sendall(data)
        except (TimeoutError, BlockingIOError) as exc:
            raise WriteTimeout("The peer took nothing in time.") from exc
        except (OSError, ValueError) as exc:
            raise WriteError(f"The connection broke while writing: {exc}") from exc
        return Done(None)

    def start_tls(
        self, context: ssl.SSLContext, server_hostname: str | None, deadline: float | None
    ) -> Done[BlockingStream] | Any:
        """See `Stream.start_tls`; within TLS already (an https proxy) the records are made in memory."""
        if isinstance(self._sock, ssl.SSLSocket):
            return TLSStream.handshake(self, context, server_hostname, deadline)
        try:
            self._sock.settimeout(None if deadline is None else max(_MIN_TIMEOUT_S, deadline - monotonic()))
            secure = context.wrap_socket(self._sock, server_hostname=server_hostname, suppress_ragged_eofs=False)
            return Done(BlockingStream(secure))
        except TimeoutError as exc:
            raise ConnectTimeout("The TLS handshake took too long.") from exc
        except ssl.SSLError as exc:
            raise tls_error(exc, server_hostname or "") from exc
        except OSError as exc:
            raise handshake_cut(exc, server_hostname or "") from exc

    def abort(self) -> None:
        """See `Stream.abort`; another thread that waits on the socket wakes up."""
        with contextlib.suppress(OSError):  # closed by the peer already
            # Not `SSLSocket.shutdown`, which first forgets the encryption: what another thread sends would go plain.
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)
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
        if name == "ssl_object":
            return self._sock if isinstance(self._sock, ssl.SSLSocket) else None
        if name == "is_readable":
            return self._is_readable()
        if name == "is_cut":
            return self._is_cut
        return None


class BlockingDialer:
    """Opens streams by blocking.

    Args:
        cache: Addresses known already.
    """

    __slots__ = ("_cache",)

    def __init__(self, cache: AddressCache) -> None:
        self._cache = cache

    def sleep(self, seconds: float) -> Done[None]:
        """See `Dialer.sleep`."""
        time.sleep(seconds)
        return Done(None)

    def open_tcp(
        self, host: str, port: int, clock: ConnectClock, route: Route, timing: ConnectTiming
    ) -> Done[BlockingStream]:
        """See `Dialer.open_tcp`."""
        started = monotonic()
        addresses = permitted(self._look_up(host, port, clock.begin("dns"), route), route.guard, host)
        timing.dns = monotonic() - started
        clock.end("dns", timing.dns)
        sock = self._race(addresses, host, port, clock.deadline, route)
        timing.connect = monotonic() - started - timing.dns
        return Done(BlockingStream(sock))

    def open_unix(self, path: str, deadline: float | None, route: Route) -> Done[BlockingStream]:
        """See `Dialer.open_unix`."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(None if deadline is None else max(_MIN_TIMEOUT_S, deadline - monotonic()))
            sock.connect(path)
        except TimeoutError as exc:
            sock.close()
            raise ConnectTimeout(f"No connection to {path} in time.") from exc
        except OSError as exc:
            sock.close()
            raise connect_error(exc, path, None) from exc
        except BaseException:
            sock.close()
            raise
        return Done(BlockingStream(sock))

    def _look_up(self, host: str, port: int, deadline: float | None, route: Route) -> list[Address]:
        known = known_addresses(self._cache, host, port, monotonic())
        if known is not None:
            return known
        if route.resolver is None:
            answer = route.lookups.wait(host, port, deadline)
        else:
            answer = ask_plain_resolver(route.resolver, host, port)
        return learn_addresses(self._cache, host, port, answer, monotonic())

    def _race(
        self, addresses: list[Address], host: str, port: int, deadline: float | None, route: Route
    ) -> socket.socket:
        race = Race(addresses)
        sockets: dict[Address, socket.socket] = {}
        winner: socket.socket | None = None
        with _Selector() as selector:
            try:
                while winner is None:
                    step = race.step(monotonic())
                    if isinstance(step, Start):
                        self._start(race, step.address, host, route, sockets, selector)
                    elif isinstance(step, Lost):
                        self._cache.forget(host, port)
                        raise most_telling(step.errors)
                    else:
                        winner = self._await_one(race, step.until, deadline, host, sockets, selector)
            finally:
                for sock in sockets.values():
                    if sock is not winner:
                        sock.close()
        return winner

    def _start(
        self,
        race: Race,
        address: Address,
        host: str,
        route: Route,
        sockets: dict[Address, socket.socket],
        selector: selectors.BaseSelector,
    ) -> None:
        try:
            sock = sockets[address] = new_socket(address.family, route)
            sock.connect(address.sockaddr)
        except BlockingIOError:
            pass
        except (OSError, OverflowError) as exc:
            race.failed(address, _translated(exc, host, address.port))
            if address in sockets:
                sockets.pop(address).close()
            return
        selector.register(sock, selectors.EVENT_WRITE, address)

    def _await_one(
        self,
        race: Race,
        until: float | None,
        deadline: float | None,
        host: str,
        sockets: dict[Address, socket.socket],
        selector: selectors.BaseSelector,
    ) -> socket.socket | None:
        ends = [at for at in (until, deadline) if at is not None]
        ready = selector.select(max(0.0, min(ends) - monotonic()) if ends else None)
        for key, _ in ready:
            address: Address = key.data
            sock = sockets[address]
            selector.unregister(sock)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if not code:
                race.won(address)
                self._cache.prefer(host, address.port, address)
                return sock
            sockets.pop(address).close()
            race.failed(address, _translated(OSError(code, os.strerror(code)), host, address.port))
        if not ready and deadline is not None and monotonic() >= deadline:
            raise ConnectTimeout(f"No connection to {host} in time.")
        return None


def _translated(exc: Exception, host: str, port: int) -> ConnectError | ConnectTimeout:
    error = connect_error(exc, host, port)
    error.__cause__ = exc
    return error
