"""Items that come when they come: a list on standard input, read beside the run.

A program that writes URLs into a pipe may take its time, and so may a person at a terminal. The engine pulls an
ordinary iterable in batches, in the thread that also writes its records, and cannot leave that thread while a read
blocks. So such an input has a thread of its own: each URL is handed over as it comes, and a run that is stopped does
not wait for the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_AHEAD: Final = 1000  # items read before they are wanted; keeps a pipe of millions of URLs out of memory


class Feed(Generic[T]):
    """An async iterable over an ordinary one that may block; iterate it once, under asyncio.

    The thread is a daemon: a read that never returns keeps no program alive. What the iterable raises is raised here.
    """

    def __init__(self, items: Iterable[T]) -> None:
        self._items = items
        self._room = threading.Semaphore(_AHEAD)
        self._arrived: asyncio.Queue[tuple[T] | BaseException | None] = asyncio.Queue()

    async def __aiter__(self) -> AsyncIterator[T]:
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, args=(loop,), name="crawler-input", daemon=True).start()
        while (arrived := await self._arrived.get()) is not None:
            if isinstance(arrived, BaseException):
                raise arrived
            self._room.release()
            yield arrived[0]

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        def hand_over(what: tuple[T] | BaseException | None) -> None:
            loop.call_soon_threadsafe(self._arrived.put_nowait, what)

        with contextlib.suppress(RuntimeError):  # the loop is closed: the run is over
            try:
                for item in self._items:
                    self._room.acquire()
                    hand_over((item,))
            except Exception as error:
                hand_over(error)
            else:
                hand_over(None)
