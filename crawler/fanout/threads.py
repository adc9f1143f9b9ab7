"""Work of downloads off the event loop: writing, hashing, fsync."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

import anyio
import anyio.to_thread
import sniffio

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Threads:
    """A few threads for one run.

    Under asyncio `start` begins at once and is awaited later, so that the next bytes are received meanwhile. Writing
    and hashing 256 KiB in one visit costs the loop 25 µs; through anyio 45, with `aiofiles` and a second visit to hash
    40, with `aiofiles` and hashing in the loop 177 (`benchmarks/disk_writes.py`). Elsewhere it begins when awaited.

    Args:
        most: Threads at most.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._pool: ThreadPoolExecutor | None = None
        self._is_asyncio: bool | None = None

    def start(self, work: Callable[[*Ts], T], *args: *Ts) -> Awaitable[T]:
        """Have a thread do something; await what is given, whatever happens."""
        if self._is_asyncio is None:
            self._is_asyncio = sniffio.current_async_library() == "asyncio"
        if not self._is_asyncio:
            return _Later(lambda: anyio.to_thread.run_sync(work, *args))
        import asyncio

        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._most, thread_name_prefix="crawler-disk")
        return asyncio.get_running_loop().run_in_executor(self._pool, work, *args)

    async def run(self, work: Callable[[*Ts], T], *args: *Ts) -> T:
        """Have a thread do something and wait for it, also while being cancelled: it cannot be stopped half-way."""
        with anyio.CancelScope(shield=True):
            value = await self.start(work, *args)
        return value

    def close(self) -> None:
        """Let go of the threads; nothing runs in them any more."""
        if self._pool is not None:
            self._pool.shutdown(wait=True)


class _Later(Awaitable[T]):
    """An awaitable that begins when it is awaited, and may be dropped."""

    __slots__ = ("_begin",)

    def __init__(self, begin: Callable[[], Awaitable[T]]) -> None:
        self._begin = begin

    def __await__(self) -> Generator[object, None, T]:
        return self._begin().__await__()
