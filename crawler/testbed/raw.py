"""A server that sends exactly the bytes it is told: truncated bodies, resets, garbage, heads without end.

An ASGI app cannot misbehave below HTTP; this can. It is for tests: a thread per connection, nothing parsed beyond what
it takes to know where a request ends.

    with RawServer(b"HTTP/1.1 200 OK\\r\\nContent-Length: 10\\r\\n\\r\\nhalf") as server:
        fetch(server.url)              # the fifth byte never comes
    assert server.received[0].startswith(b"GET / HTTP/1.1\\r\\n")

A script serves one connection and is one of three things:

    bytes       read a request, send them, close
    steps       read a request, then do one step after the other, close; for example
                [b"HTTP/1.1 200 OK\\r\\n", Wait(0.1), b"Content-Length: 5\\r\\n\\r\\nhel", Do.RESET]
    callable    gets the `RawConnection` and does as it likes; afterwards the connection is closed

The first script serves the first connection, and so on; the last one serves all further ones.
"""

from __future__ import annotations

import contextlib
import enum
import re
import selectors
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self, TypeAlias, assert_never

from crawler.testbed.certificate import make_certificate
from crawler.testbed.listen import listen

MAX_CONNECTIONS: Final = 1_000
"""Connections served in one life; further ones are closed unserved, as a thread is spent on each."""

_PIECE: Final = 65_536
_JOIN_TIMEOUT_S: Final = 5.0
_LENGTH: Final = re.compile(rb"^content-length:\s*(\d+)\s*$", re.IGNORECASE | re.MULTILINE)
_CHUNKED: Final = re.compile(rb"^transfer-encoding:.*\bchunked\s*$", re.IGNORECASE | re.MULTILINE)


class Do(enum.Enum):
    """A step without a parameter."""

    READ = enum.auto()
    """Read the next request, head and body."""
    HALF_CLOSE = enum.auto()
    """End our direction (FIN); the peer may still send."""
    RESET = enum.auto()
    """Break the connection off with RST, by SO_LINGER of zero."""
    CLOSE = enum.auto()
    """Close in the ordinary way."""
    HOLD = enum.auto()
    """Read and drop until the peer closes, or the server stops."""


@dataclass(frozen=True, slots=True)
class Wait:
    """A step: wait so many seconds, or until the server stops."""

    seconds: float


Step: TypeAlias = bytes | Wait | Do


class RawConnection:
    """One connection in the hands of a script.

    Every call may raise `OSError` when the peer has left or the server's life is over; let it pass, the server ends the
    connection then.

    Attributes:
        sock: The socket, for what the methods do not do.
        number: 0 for the server's first connection, and so on.
    """

    def __init__(self, sock: socket.socket, number: int, deadline: float, stopped: threading.Event) -> None:
        self.sock = sock
        self.number = number
        self._deadline = deadline
        self._stopped = stopped
        self._received: list[bytes] = []
        self._unread = b""

    @property
    def received(self) -> bytes:
        """All that the peer has sent and that was read."""
        return b"".join(self._received)

    def _limit(self) -> None:
        remaining_s = self._deadline - time.monotonic()
        if remaining_s <= 0:
            raise TimeoutError("the server's life is over")
        self.sock.settimeout(remaining_s)

    def read(self, max_bytes: int = _PIECE) -> bytes:
        """Return what comes next, at most `max_bytes`; b"" when the peer has closed."""
        if self._unread:
            data, self._unread = self._unread[:max_bytes], self._unread[max_bytes:]
            return data
        self._limit()
        data = self.sock.recv(max_bytes)
        self._received.append(data)
        return data

    def _read_until(self, marker: bytes, before: bytes = b"") -> bytes:
        data = before
        while marker not in data:
            piece = self.read()
            if not piece:
                raise ConnectionResetError("the peer closed within a request")
            data += piece
        end = data.index(marker) + len(marker)
        self._unread = data[end:] + self._unread
        return data[:end]

    def read_request(self) -> bytes:
        """Return the next request: its head, and its body by `Content-Length` or as chunks (still chunked).

        Raises:
            OSError: The peer closed before it was complete.
        """
        request = head = self._read_until(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if length is not None:
            missing = int(length[1])
            while missing > 0:
                piece = self.read(missing)
                if not piece:
                    raise ConnectionResetError("the peer closed within a body")
                request += piece
                missing -= len(piece)
        elif _CHUNKED.search(head):
            size = -1
            while size != 0:
                line = self._read_until(b"\r\n")
                size = int(line.partition(b";")[0], 16)
                request += line + self._read_exactly(size + 2)
        return request

    def _read_exactly(self, n: int) -> bytes:
        data = b""
        while len(data) < n:
            piece = self.read(n - len(data))
            if not piece:
                raise ConnectionResetError("the peer closed within a chunk")
            data += piece
        return data

    def send(self, data: bytes, *, piece_bytes: int | None = None, pause_s: float = 0.0) -> None:
        """Send `data`; with `piece_bytes` in pieces of that size, `pause_s` seconds apart."""
        step = piece_bytes or max(len(data), 1)
        for start in range(0, len(data), step):
            if start and pause_s:
                self.wait(pause_s)
            self._limit()
            self.sock.sendall(data[start : start + step])

    def wait(self, seconds: float) -> None:
        """Wait; raises `OSError` when the server stops meanwhile."""
        if self._stopped.wait(seconds):
            raise ConnectionAbortedError("the server was stopped")

    def hold(self) -> None:
        """Read and drop until the peer closes."""
        while self.read():
            pass

    def half_close(self) -> None:
        """End our direction with FIN."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Break off with RST: a close with a linger time of zero."""
        # Windows has two shorts in this struct, all others two ints.
        linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.sock.close()

    def close(self) -> None:
        """Close with FIN; under TLS with a close_notify before it.

        What has arrived unread is read first: closing over unread bytes makes the kernel send RST instead.
        """
        with contextlib.suppress(OSError):
            self.sock.settimeout(0)
            while self.sock.recv(_PIECE):
                pass
        if isinstance(self.sock, ssl.SSLSocket):
            with contextlib.suppress(OSError, ValueError):  # ValueError: the handshake never began
                self.sock.unwrap()
        self.sock.close()


Script: TypeAlias = bytes | Sequence[Step] | Callable[[RawConnection], object]


def perform(script: Script, connection: RawConnection) -> None:
    """Carry a script out over a connection."""
    if callable(script):
        script(connection)
        return
    connection.read_request()
    steps: Sequence[Step] = [script] if isinstance(script, bytes) else script
    for step in steps:
        _perform_step(step, connection)


def _perform_step(step: Step, connection: RawConnection) -> None:
    match step:
        case bytes():
            connection.send(step)
        case Wait(seconds):
            connection.wait(seconds)
        case Do.READ:
            connection.read_request()
        case Do.HALF_CLOSE:
            connection.half_close()
        case Do.RESET:
            connection.reset()
        case Do.CLOSE:
            connection.close()
        case Do.HOLD:
            connection.hold()
        case _:
            assert_never(step)


class RawServer:
    """Answers each connection by a script, and keeps what it received. A context manager.

    Args:
        *scripts: What to do with the first, second, … connection; the last one stands for all further ones.
        tls: Speak TLS, with a certificate made for this server (`ca_pem`).
        alpn: What to offer by ALPN; with TLS only.
        lifetime_s: After so many seconds reads and writes fail, and nothing is accepted any more.

    Attributes:
        url: `http://127.0.0.1:PORT` or `https://…`, without a slash at the end.
        host: `127.0.0.1`.
        port: A free one.
        ca_pem: What a client has to trust; empty without TLS.
        connections: The connections so far, in the order in which they came.

    Leaving the `with` block raises the first error of a script that was no `OSError`, such as a failed assertion.
    """

    def __init__(
        self,
        *scripts: Script,
        tls: bool = False,
        alpn: Sequence[str] = ("http/1.1",),
        lifetime_s: float = 30.0,
    ) -> None:
        if not scripts:
            raise ValueError("RawServer needs a script, such as b'HTTP/1.1 200 OK\\r\\n\\r\\n'")
        self._scripts = scripts
        self._deadline = time.monotonic() + lifetime_s
        self._stopped = threading.Event()
        self._errors: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self._context: ssl.SSLContext | None = None
        self.ca_pem = ""
        self.host = "127.0.0.1"
        if tls:
            certificate = make_certificate(self.host)
            certificate.context.set_alpn_protocols(list(alpn))
            self._context, self.ca_pem = certificate.context, certificate.ca_pem
        self.connections: list[RawConnection] = []
        self._listener = listen(self.host, 0)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://{self.host}:{self.port}"
        self._wake, self._waker = socket.socketpair()
        self._acceptor = threading.Thread(target=self._accept, name="crawler-raw-server", daemon=True)

    @property
    def received(self) -> list[bytes]:
        """What each connection has sent so far."""
        return [connection.received for connection in self.connections]

    def _accept(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._wake, selectors.EVENT_READ)
            while not self._stopped.is_set() and time.monotonic() < self._deadline:
                ready = selector.select(self._deadline - time.monotonic())
                if not any(key.fileobj is self._listener for key, _ in ready):
                    continue
                sock = self._listener.accept()[0]
                if self._stopped.is_set() or len(self.connections) >= MAX_CONNECTIONS:
                    sock.close()
                    continue
                self._start(sock)
        self._listener.close()  # at the end of the lifetime, too: then connecting is refused

    def _start(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = RawConnection(sock, len(self.connections), self._deadline, self._stopped)
        self.connections.append(connection)
        thread = threading.Thread(target=self._serve, args=(connection,), name="crawler-raw-connection", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve(self, connection: RawConnection) -> None:
        script = self._scripts[min(connection.number, len(self._scripts) - 1)]
        try:
            if self._context is not None:
                connection.sock.settimeout(max(0.001, self._deadline - time.monotonic()))
                # The handshake apart, so that stop() finds the socket on which it may hang.
                sock = self._context.wrap_socket(connection.sock, server_side=True, do_handshake_on_connect=False)
                connection.sock = sock
                connection.wait(0)  # raises if stop() came before, when it could only see the socket that is none now
                sock.do_handshake()
            perform(script, connection)
        except OSError:
            pass  # the peer left, or our time is over: both belong to the scenes played here
        except BaseException as exc:
            self._errors.append(exc)
        finally:
            connection.close()

    def stop(self) -> None:
        """Stop accepting, break off what is open, wait for the threads."""
        self._stopped.set()
        if self._acceptor.is_alive():
            self._waker.send(b"!")
            self._acceptor.join(_JOIN_TIMEOUT_S)
        for connection in self.connections:
            _shut_down(connection.sock)
        for thread in self._threads:
            thread.join(_JOIN_TIMEOUT_S)
        for sock in (self._listener, self._wake, self._waker):
            sock.close()

    def __enter__(self) -> Self:
        self._acceptor.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        if exc is None and self._errors:
            raise self._errors[0]


def _shut_down(sock: socket.socket) -> None:
    """Wake a thread that reads from or writes to the socket; the thread closes it."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)  # not the one of SSLSocket: it takes the TLS state away first
