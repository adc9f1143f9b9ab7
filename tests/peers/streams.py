"""Streams for testing scripts: one over a real socket, and one that follows a script in memory."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterable
from typing import Any

from crawler.errors import ConnectTimeout, ReadError, ReadTimeout, WriteError
from crawler.net.blocking import Done
from crawler.net.stream import Stream
from crawler.net.tls import tls_error

STALL = None
"""In a script: from here on nothing comes."""

RESET = ConnectionResetError("reset by peer")
"""In a script: the connection breaks here."""


class ScriptedStream:
    """Gives the bytes it was told to, in those pieces; then the peer's end, unless told to stall or break.

    Attributes:
        written: All that was sent.
    """

    def __init__(self, pieces: Iterable[bytes | ConnectionResetError | None]) -> None:
        self._pieces = list(pieces)
        self.written = bytearray()
        self.was_aborted = False

    @property
    def unread(self) -> bytes:
        """What the script under test left for the next reader."""
        return b"".join(piece for piece in self._pieces if isinstance(piece, bytes))

    def read(self, max_bytes: int, deadline: float | None) -> Done[bytes]:
        """Give at most one piece."""
        if not self._pieces:
            return Done(b"")
        piece = self._pieces[0]
        if piece is STALL:
            raise ReadTimeout("nothing came")
        if isinstance(piece, ConnectionResetError):
            raise ReadError(str(piece))
        del self._pieces[0]
        if len(piece) > max_bytes:
            self._pieces.insert(0, piece[max_bytes:])
        return Done(piece[:max_bytes])

    def write(self, data: bytes, deadline: float | None) -> Done[None]:
        """Take everything."""
        self.written += data
        return Done(None)

    def start_tls(self, context: ssl.SSLContext, server_hostname: str | None, deadline: float | None) -> Done[Stream]:
        """Go on as if a handshake had happened."""
        self.written += b"<TLS>"
        return Done(self)

    def abort(self) -> None:
        """Note it."""
        self.was_aborted = True

    def get_extra_info(self, name: str) -> Any:
        """Say the name back."""
        return f"the {name}" if name != "is_readable" else False


class SocketStream:
    """A blocking stream over a connected socket, as short as it can be."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection

    def read(self, max_bytes: int, deadline: float | None) -> Done[bytes]:
        """Block until bytes come."""
        self.connection.settimeout(None if deadline is None else max(0.001, deadline - time.monotonic()))
        try:
            return Done(self.connection.recv(max_bytes))
        except TimeoutError as exc:
            raise ReadTimeout("nothing came") from exc
        except OSError as exc:
            raise ReadError(str(exc)) from exc

    def write(self, data: bytes, deadline: float | None) -> Done[None]:
        """Block until all is sent."""
        try:
            self.connection.sendall(data)
        except OSError as exc:
            raise WriteError(str(exc)) from exc
        return Done(None)

    def start_tls(self, context: ssl.SSLContext, server_hostname: str | None, deadline: float | None) -> Done[Stream]:
        """Block for the handshake."""
        try:
            return Done(SocketStream(context.wrap_socket(self.connection, server_hostname=server_hostname)))
        except ssl.SSLError as exc:
            raise tls_error(exc, server_hostname or "?") from exc
        except TimeoutError as exc:
            raise ConnectTimeout("no handshake in time") from exc

    def abort(self) -> None:
        """Close the socket."""
        self.connection.close()

    def get_extra_info(self, name: str) -> Any:
        """Tell the addresses."""
        return self.connection.getpeername() if name == "server_addr" else None
