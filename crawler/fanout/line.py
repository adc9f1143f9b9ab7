"""One end of the pair of sockets between two processes of a run."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any, Final

import anyio

from crawler.fanout.frames import FrameReader

_PIECE: Final = 1 << 18
_BUFFER: Final = 1 << 20


class Line:
    """Sends and receives frames; what is sent is sent whole, or the line is dead.

    Args:
        sock: A connected stream socket, which is this object's from now on.

    Attributes:
        is_broken: The other end is gone.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
        self._sock = sock
        self._turn = anyio.Lock()
        self.is_broken = False

    async def send(self, data: bytes) -> None:
        """Send a frame; nothing happens if the other end is gone, as `receive` says so."""
        with anyio.CancelScope(shield=True):  # half a frame would garble all that follow
            async with self._turn:
                rest = memoryview(data)
                while rest and not self.is_broken:
                    try:
                        rest = rest[self._sock.send(rest) :]
                    except BlockingIOError:
                        await self._writable()
                    except OSError:
                        self.is_broken = True

    async def _writable(self) -> None:
        try:
            await anyio.wait_writable(self._sock)
        except (OSError, anyio.ClosedResourceError, ValueError):
            self.is_broken = True

    async def receive(self) -> AsyncIterator[tuple[str, tuple[Any, ...]]]:
        """Give the frames that come, until the other end is gone."""
        reader = FrameReader()
        while True:
            try:
                data = self._sock.recv(_PIECE)
            except BlockingIOError:
                await anyio.wait_readable(self._sock)
                continue
            except OSError:
                data = b""
            if not data:
                self.is_broken = True
                return
            for frame in reader.feed(data):
                yield frame

    def close(self) -> None:
        """Close it."""
        self.is_broken = True
        self._sock.close()
