"""Lists, generators and async generators of URLs as sources of work: pulled one by one, as workers become free."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from typing import Final, cast

import anyio

from crawler.fanout.result import Result
from crawler.models import URL, Request

Target = str | URL | Request
"""What may be fetched: an absolute URL, or a request with all its details."""

Targets = Iterable[Target] | AsyncIterable[Target]

WINDOW: Final = 16
"""Items an async iterable is asked for ahead of need, so that a worker rarely waits for it."""


class IterableSource:
    """An ordinary iterable; the next item is asked for when a worker is free for it, never before."""

    def __init__(self, targets: Iterable[Target], clock: Callable[[], float]) -> None:
        self.is_exhausted = False
        self._next = iter(targets).__next__
        self._clock = clock
        self._index = 0

    def take(self) -> Result | None:
        """Give the next item as a result to be filled. What the iterable raises goes through."""
        if self.is_exhausted:
            return None
        try:
            target = self._next()
        except StopIteration:
            self.is_exhausted = True
            return None
        index = self._index
        self._index = index + 1
        return Result(target, index, None, self._clock())

    async def feed(self, wake: Callable[[], None]) -> None:
        """Nothing to wait for."""


class AsyncIterableSource:
    """An async iterable; read by one task, at most `WINDOW` items ahead."""

    def __init__(self, targets: AsyncIterable[Target], clock: Callable[[], float]) -> None:
        self._is_read = False
        self._targets = targets
        self._clock = clock
        self._ahead: deque[Result] = deque()
        self._room: anyio.Event | None = None

    @property
    def is_exhausted(self) -> bool:
        """Whether the iterable ended and its last item was taken."""
        return self._is_read and not self._ahead

    def take(self) -> Result | None:
        """Give the next item that has come."""
        if not self._ahead:
            return None
        if self._room is not None:
            self._room.set()
        return self._ahead.popleft()

    async def feed(self, wake: Callable[[], None]) -> None:
        """Read the iterable to its end; closes it whatever happens, if it can be closed."""
        iterator = aiter(self._targets)
        index = 0
        try:
            async for target in iterator:
                self._ahead.append(Result(target, index, None, self._clock()))
                index += 1
                wake()
                while len(self._ahead) >= WINDOW:
                    self._room = anyio.Event()
                    await self._room.wait()
        finally:
            self._is_read = True
            await close_iterator(iterator)


async def close_iterator(iterator: AsyncIterator[object]) -> None:
    """Close an async iterator that was perhaps left half way, if it can be closed: a generator's `finally` runs now."""
    if (close := getattr(iterator, "aclose", None)) is not None:
        with anyio.CancelScope(shield=True):
            await cast("Callable[[], Awaitable[None]]", close)()


def source_of(targets: Targets, clock: Callable[[], float]) -> IterableSource | AsyncIterableSource:
    """Choose the source for what was given.

    Raises:
        TypeError: A single URL or request was given, or nothing that can be iterated.
    """
    if isinstance(targets, str | URL | Request):
        raise TypeError(
            f"expected URLs or requests to iterate over, got one {type(targets).__name__}; put it in a list"
        )
    if isinstance(targets, AsyncIterable):
        return AsyncIterableSource(targets, clock)
    return IterableSource(targets, clock)
