"""What a WebSocket session needs of its world: a connection to read and write, and turns in doing so.

A session may be used by several tasks, or threads, at once: one of them reads for all, and one after the other writes.

    BlockingLine   over `HTTPNetworkStream`; what it gives is finished when it is returned
    AsyncLine      over `AsyncHTTPNetworkStream`, under asyncio and trio
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, Final, Protocol

from crawler.errors import ReadTimeout
from crawler.net import Done
from crawler.net.sockets import is_readable

READ_SIZE: Final = 64 * 1024

LEAST_WAIT_S: Final = 0.01
"""What a read waits at least: trio looks at its deadlines before it looks at the socket."""


class Line(Protocol):
    """One connection; timeouts are seconds, None for no limit."""

    def read(self, timeout: float | None) -> Awaitable[bytes]:
        """The next bytes, `b""` at the peer's end; for the one whose turn it is.

        Raises:
            ReadTimeout: Nothing came in time.
            NetworkError: The connection broke.
        """
        ...

    def write(self, make: Callable[[], bytes], timeout: float | None, *, is_control: bool = False) -> Awaitable[None]:
        """Send what `make` gives when it is its turn; `is_control`: not to be cut off by a cancellation."""
        ...

    def take_turn(self, is_done: Callable[[], bool], timeout: float | None) -> Awaitable[bool]:
        """Whether the caller is to read; else somebody did, or `is_done` holds, or the time is over."""
        ...

    def give_turn(self) -> None:
        """What was read was dealt with: all others look again."""
        ...

    def has_news(self) -> bool:
        """Whether a read would not wait; for the one whose turn it is."""
        ...

    def close(self) -> Awaitable[None]:
        """Drop the connection at once, also while being cancelled."""
        ...


class BlockingLine:
    """See `Line`.

    Reading and writing exclude each other: the time limit of a socket is one for both, and OpenSSL forbids that they
    meet. So that a reader does not keep the writers out, it waits for bytes before it takes hold of the connection.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._hold = threading.Lock()
        self._turns = threading.Condition()
        self._is_taken = False

    def read(self, timeout: float | None) -> Done[bytes]:
        """See `Line.read`."""
        sock = self._stream.get_extra_info("socket")
        if sock is None:  # a stream of somebody else's making
            return Done(self._stream.read(READ_SIZE, timeout))
        deadline = None if timeout is None else monotonic() + timeout
        while not self.has_news():
            left = None if deadline is None else deadline - monotonic()
            if (left is not None and left <= 0) or not is_readable(sock, left):
                raise ReadTimeout("Nothing came in time.")
        with self._hold:
            return Done(self._stream.read(READ_SIZE, LEAST_WAIT_S))

    def write(self, make: Callable[[], bytes], timeout: float | None, *, is_control: bool = False) -> Done[None]:
        """See `Line.write`."""
        with self._hold:
            data = make()
            if data:
                self._stream.write(data, timeout)
        return Done(None)

    def take_turn(self, is_done: Callable[[], bool], timeout: float | None) -> Done[bool]:
        """See `Line.take_turn`."""
        with self._turns:
            self._turns.wait_for(lambda: not self._is_taken or is_done(), timeout)
            if self._is_taken or is_done():
                return Done(False)
            self._is_taken = True
            return Done(True)

    def give_turn(self) -> None:
        """See `Line.give_turn`."""
        with self._turns:
            self._is_taken = False
            self._turns.notify_all()

    def has_news(self) -> bool:
        """See `Line.has_news`."""
        with self._hold:  # under TLS looking means reading
            return bool(self._stream.get_extra_info("is_readable"))

    def close(self) -> Done[None]:
        """See `Line.close`."""
        self._stream.close()
        return Done(None)


class AsyncLine:
    """See `Line`."""

    def __init__(self, stream: Any) -> None:
        import anyio  # heavy, and needed by WebSockets only

        self._anyio = anyio
        self._stream = stream
        self._hold = anyio.Lock()
        self._turn_given = anyio.Event()
        self._is_taken = False

    async def read(self, timeout: float | None) -> bytes:
        """See `Line.read`."""
        data: bytes = await self._stream.read(READ_SIZE, timeout)
        return data

    async def write(self, make: Callable[[], bytes], timeout: float | None, *, is_control: bool = False) -> None:
        """See `Line.write`."""
        with self._anyio.CancelScope(shield=is_control):
            async with self._hold:
                data = make()
                if data:
                    await self._stream.write(data, timeout)

    async def take_turn(self, is_done: Callable[[], bool], timeout: float | None) -> bool:
        """See `Line.take_turn`."""
        if self._is_taken:
            with self._anyio.move_on_after(timeout):
                await self._turn_given.wait()
            return False
        self._is_taken = not is_done()
        return self._is_taken

    def give_turn(self) -> None:
        """See `Line.give_turn`."""
        self._is_taken = False
        given, self._turn_given = self._turn_given, self._anyio.Event()
        given.set()

    def has_news(self) -> bool:
        """See `Line.has_news`."""
        return bool(self._stream.get_extra_info("is_readable"))

    async def close(self) -> None:
        """See `Line.close`."""
        with self._anyio.CancelScope(shield=True):
            await self._stream.aclose()
