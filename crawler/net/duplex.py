"""Connections that are read and written at once: bytes in and out without ever waiting.

An HTTP/2 connection of the pulling worlds is used by many threads or tasks. So that none of them holds it up, and none
that is cancelled leaves half a frame behind, its socket is never waited for while it is in use: `take` gives what has
come, `send` gives away what the socket takes and keeps the rest for the next call. Waiting is done elsewhere
(`readiness.py`).

    SocketDuplex   a socket, plain or TLS
    TLSDuplex      TLS with the records made in memory, over another one (trio; TLS within TLS)

They are not safe between threads by themselves: TLS engines are not. Their owner has a lock.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections import deque
from typing import Any, Protocol

from crawler.errors import ReadError, WriteError
from crawler.net.sockets import is_readable
from crawler.net.stream import Stream
from crawler.net.tls_stream import TLSStream

_READ_SIZE = 64 * 1024


class Duplex(Protocol):
    """A connection that is never waited for.

    Attributes:
        sock: What to wait for, elsewhere.
    """

    sock: socket.socket

    @property
    def wants_write(self) -> bool:
        """Whether there is something to send that the socket did not take yet."""
        ...

    def take(self) -> bytes | None:
        """What has come; `b""` at the peer's end, None if nothing has.

        Raises:
            ReadError: The connection broke.
        """
        ...

    def send(self, data: bytes = b"") -> None:
        """Send what is left, then `data`, as much as the socket takes; the rest is kept.

        Raises:
            WriteError: The connection broke.
        """
        ...

    def close(self) -> None:
        """Drop the connection; a second call does nothing."""
        ...


class SocketDuplex:
    """A socket, plain or TLS."""

    __slots__ = ("_left", "_read_wants_write", "sock")

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self._left: deque[memoryview] = deque()
        self._read_wants_write = False

    @property
    def wants_write(self) -> bool:
        """See `Duplex.wants_write`."""
        return bool(self._left) or self._read_wants_write

    def take(self) -> bytes | None:
        """See `Duplex.take`."""
        self._read_wants_write = False
        try:
            return self.sock.recv(_READ_SIZE)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None
        except ssl.SSLWantWriteError:
            self._read_wants_write = True
            return None
        except ssl.SSLEOFError:  # without a good-bye; the frames tell what is whole
            return b""
        except OSError as exc:
            raise ReadError(f"The connection broke while reading: {exc}") from exc

    def send(self, data: bytes = b"") -> None:
        """See `Duplex.send`; an encrypting socket must be offered the same bytes again, so pieces stay as they are."""
        left = self._left
        if data:
            left.append(memoryview(data))
        try:
            while left:
                piece = left[0]
                sent = self.sock.send(piece)
                if sent == len(piece):
                    left.popleft()
                else:
                    left[0] = piece[sent:]
        except (BlockingIOError, ssl.SSLWantWriteError):
            pass
        except OSError as exc:  # also a TLS renegotiation, which HTTP/2 forbids (RFC 9113 §9.2.1)
            raise WriteError(f"The connection broke while writing: {exc}") from exc

    def close(self) -> None:
        """See `Duplex.close`."""
        self._left.clear()
        with contextlib.suppress(OSError):  # closed by the peer already
            # Not `SSLSocket.shutdown`, which first forgets the encryption: what another thread sends would go plain.
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)
        self.sock.close()


class TLSDuplex:
    """TLS over another duplex, the handshake done.

    Args:
        below: What carries the records.
        engine: The TLS engine.
        incoming, outgoing: Its two buffers of records.
    """

    __slots__ = ("_below", "_engine", "_incoming", "_outgoing", "sock")

    def __init__(self, below: Duplex, engine: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        self.sock = below.sock
        self._below = below
        self._engine = engine
        self._incoming = incoming
        self._outgoing = outgoing

    @property
    def wants_write(self) -> bool:
        """See `Duplex.wants_write`."""
        return self._below.wants_write

    def take(self) -> bytes | None:
        """See `Duplex.take`; an end without TLS's good-bye is one too, as frames tell what is whole."""
        while True:
            try:
                return self._engine.read(_READ_SIZE)
            except ssl.SSLWantReadError:
                records = self._below.take()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""
            except ssl.SSLError as exc:
                raise ReadError(f"The connection broke while reading: {exc}") from exc
            if records is None:
                return None
            if records:
                self._incoming.write(records)
            else:
                self._incoming.write_eof()

    def send(self, data: bytes = b"") -> None:
        """See `Duplex.send`."""
        if data:
            try:
                self._engine.write(data)
            except ssl.SSLError as exc:
                raise WriteError(f"The connection broke while writing: {exc}") from exc
        self._below.send(self._outgoing.read())

    def close(self) -> None:
        """See `Duplex.close`."""
        self._below.close()


def duplex(stream: Stream) -> Duplex:
    """Take the connection out of `stream`, which must not be used any more."""
    if isinstance(stream, TLSStream):
        below, engine, incoming, outgoing = stream.hand_over()
        return TLSDuplex(duplex(below), engine, incoming, outgoing)
    sock = stream.get_extra_info("socket")
    if not isinstance(sock, socket.socket):  # trio's own; below it is an ordinary one
        sock = socket.socket(sock.family, sock.type, sock.proto, fileno=sock.detach())
    return SocketDuplex(sock)


class SharedStream:
    """The face of a connection that many exchanges share: it tells, but cannot be read or written.

    Args:
        sock: The socket.
        ssl_object: Of the outermost TLS, None without.
    """

    __slots__ = ("_sock", "_ssl_object")

    def __init__(self, sock: socket.socket, ssl_object: Any) -> None:
        self._sock = sock
        self._ssl_object = ssl_object

    async def read(self, max_bytes: int, deadline: float | None) -> bytes:
        """Refuse; see `Stream.read`."""
        raise ReadError("An HTTP/2 connection is shared: its bytes cannot be read by one of its users.")

    async def write(self, data: bytes, deadline: float | None) -> None:
        """Refuse; see `Stream.write`."""
        raise WriteError("An HTTP/2 connection is shared: one of its users cannot write to it.")

    async def start_tls(self, context: ssl.SSLContext, server_hostname: str | None, deadline: float | None) -> Stream:
        """Refuse; see `Stream.start_tls`."""
        raise WriteError("An HTTP/2 connection is shared: one of its users cannot encrypt it.")

    def abort(self) -> None:
        """See `Stream.abort`: all exchanges see the connection end."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

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
            return self._ssl_object
        if name == "is_readable":
            return is_readable(self._sock)
        return None
