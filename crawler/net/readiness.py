"""Waiting for a socket to be ready, so that anyone may end the wait: the blocking world's way."""

from __future__ import annotations

import contextlib
import selectors
import socket
from collections.abc import Awaitable
from time import monotonic
from typing import Protocol

from crawler.net.blocking import Done
from crawler.net.deadlines import NEVER

_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)  # of few sockets: needs no descriptor


class Readiness(Protocol):
    """Waits for one socket, for one at a time."""

    def wait(self, write: bool, deadline: float) -> Awaitable[None]:
        """Wait until there is something to read (with `write`: or room to write), `wake()`, or `deadline`.

        May end early for no reason.
        """
        ...

    def wake(self) -> None:
        """End the wait that goes on, or that comes next; from any thread where threads are allowed."""
        ...

    def close(self) -> None:
        """Called last; nobody waits."""
        ...


class BlockingReadiness:
    """A selector on the socket and on a pair of sockets of our own, to be woken by."""

    __slots__ = ("_bell", "_ringer", "_selector", "_sock", "_writes")

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._writes = False
        self._bell, self._ringer = socket.socketpair()
        self._bell.setblocking(False)
        self._ringer.setblocking(False)
        self._selector: selectors.BaseSelector = _Selector()
        self._selector.register(sock, selectors.EVENT_READ)
        self._selector.register(self._bell, selectors.EVENT_READ)

    def wait(self, write: bool, deadline: float) -> Done[None]:
        """See `Readiness.wait`."""
        if write is not self._writes:
            self._selector.modify(self._sock, selectors.EVENT_READ | (selectors.EVENT_WRITE if write else 0))
            self._writes = write
        for key, _ in self._selector.select(None if deadline == NEVER else max(0.0, deadline - monotonic())):
            if key.fileobj is self._bell:
                with contextlib.suppress(BlockingIOError):
                    self._bell.recv(64)
        return Done(None)

    def wake(self) -> None:
        """See `Readiness.wake`."""
        with contextlib.suppress(BlockingIOError):  # full: it was rung often enough
            self._ringer.send(b"!")

    def close(self) -> None:
        """See `Readiness.close`."""
        self._selector.close()
        self._bell.close()
        self._ringer.close()
