"""A threaded server on loopback for tests: one thread per connection, everything closed at exit."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

JOIN_S = 5.0
IDLE_S = 10.0  # a connection on which nothing moves for so long is dropped: no test may hang on a peer


class Listener:
    """Serves each connection by a function, in a thread of its own.

    Args:
        serve: Called with the connected (and, with `tls`, already encrypted) socket; the listener closes it afterwards.
        tls: A server context, for a peer that speaks TLS from the first byte.
    """

    def __init__(self, serve: Callable[[socket.socket], None], tls: ssl.SSLContext | None = None) -> None:
        self._serve = serve
        self._tls = tls
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._stopping = False

    def __enter__(self) -> Self:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.host, self.port = self._socket.getsockname()
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._lock:
            self._stopping = True
        with contextlib.suppress(OSError):  # wakes the acceptor; closing its socket would not, on Linux
            socket.create_connection((self.host, self.port), timeout=1).close()
        self._acceptor.join(JOIN_S)
        self._socket.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(JOIN_S)

    def dial(self, address: tuple[str, int]) -> socket.socket:
        """Connect to somewhere on behalf of a connection; the listener's exit ends that too. The caller closes it."""
        connection = socket.create_connection(address, timeout=IDLE_S)
        self._keep(connection)
        return connection

    def hang_up(self, connection: socket.socket) -> None:
        """Close a connection of `dial` or one being served."""
        with self._lock:
            self._open.discard(connection)
        connection.close()

    def _keep(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)
            if self._stopping:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            if self._stopping:
                connection.close()
                return
            thread = threading.Thread(target=self._run, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, connection: socket.socket) -> None:
        connection.settimeout(IDLE_S)
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
        except (OSError, ValueError):  # the client refused the certificate, or left
            connection.close()
            return
        self._keep(connection)
        try:
            with contextlib.suppress(OSError):
                self._serve(connection)
        finally:
            self.hang_up(connection)


def receive_until(connection: socket.socket, end: bytes, data: bytes = b"") -> tuple[bytes, bytes]:
    """Read up to and including `end`; gives that and what came behind it. `ConnectionError` if the peer leaves first.

    Args:
        data: What was read already.
    """
    while end not in data:
        piece = connection.recv(4096)
        if not piece or len(data) > 65_536:
            raise ConnectionError("no complete message")
        data += piece
    head, _, rest = data.partition(end)
    return head + end, rest


def receive_exactly(connection: socket.socket, size: int) -> bytes:
    """Read `size` bytes, `ConnectionError` if the peer leaves first."""
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise ConnectionError("no complete message")
        data += piece
    return data


def relay(one: socket.socket, other: socket.socket) -> None:
    """Copy bytes both ways until either side ends.

    One thread does both directions, as an `ssl.SSLSocket` bears only one at a time; so neither side may send many
    megabytes without reading.
    """
    while True:
        ready: list[socket.socket] = [
            side for side in (one, other) if isinstance(side, ssl.SSLSocket) and side.pending()
        ]
        if not ready:
            ready, _, _ = select.select([one, other], [], [], IDLE_S)
        if not ready:
            return
        for side in ready:
            data = side.recv(65_536)
            if not data:
                return
            (other if side is one else one).sendall(data)
