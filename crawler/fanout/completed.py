"""Results as they come: an async iterator in front of an engine that runs in the background.

The engine runs in a task of its own, not in a task group around the consumer's loop: such a group would have to be
entered and left inside `__anext__`, in whatever scopes and tasks the consumer happens to be, which neither asyncio
nor trio can allow. The background task and the iterator share only the outbox; so the iterator can be garbage, and
then ends the task.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

import anyio
import sniffio

T = TypeVar("T")

_running: Final[set[asyncio.Task[None]]] = set()  # the loop itself holds tasks only weakly


class Outbox(Generic[T]):
    """What lies between the workers and the consumer: at most `capacity` results, and how it all ended.

    Attributes:
        error: What ended the work early.
        is_finished: Nothing more will come.
        scope: Cancels the work; `None` before it began.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._results: deque[T] = deque()
        self._blocked: deque[anyio.Event] = deque()
        self._news: anyio.Event | None = None
        self.error: BaseException | None = None
        self.is_finished = False
        self.scope: anyio.CancelScope | None = None

    def put(self, result: T) -> Awaitable[None] | None:
        """Take a result; gives something to await when there are enough of them."""
        self._results.append(result)
        if self._news is not None:
            self._news.set()
        return self.wait_for_room()

    def wait_for_room(self) -> Awaitable[None] | None:
        """Give something to await if there are enough results; nothing is put."""
        if len(self._results) < self._capacity:
            return None
        event = anyio.Event()
        self._blocked.append(event)
        return event.wait()

    def take(self) -> T | None:
        """Give the oldest result, if there is one, and let one blocked worker go on."""
        if not self._results:
            return None
        if self._blocked:
            self._blocked.popleft().set()
        return self._results.popleft()

    async def wait(self) -> None:
        """Wait until there is a result or the end."""
        self._news = anyio.Event()
        try:
            if not self._results and not self.is_finished:
                await self._news.wait()
        finally:
            self._news = None

    def finish(self) -> None:
        """Say that nothing more will come."""
        self.is_finished = True
        if self._news is not None:
            self._news.set()


class AsCompleted(Generic[T]):
    """The results of `as_completed`: an async iterator and an async context manager. For one consumer.

    Args:
        work: Runs the engine with an outbox to deliver into.
        capacity: Results that may lie ready.
    """

    def __init__(self, work: Callable[[Outbox[T]], Awaitable[None]], capacity: int) -> None:
        self._work = work
        self._outbox: Outbox[T] = Outbox(capacity)
        self._is_started = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        """Give the next result.

        Raises:
            HTTPError, InvalidURL: The first failure, if the call asked for that.
            Exception: Whatever iterating the requests raised.
        """
        if not self._is_started:
            self._start()
        outbox = self._outbox
        while True:
            result = outbox.take()
            if result is not None:
                return result
            if outbox.is_finished:
                break
            await outbox.wait()
        if outbox.error is not None:
            error, outbox.error = outbox.error, None
            raise error
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Cancel what is under way and wait until it is gone. Idempotent."""
        if self._outbox.scope is None:
            self._is_started = True
            self._outbox.finish()
        else:
            self._outbox.scope.cancel()
        with anyio.CancelScope(shield=True):
            while not self._outbox.is_finished:
                while self._outbox.take() is not None:
                    pass
                await self._outbox.wait()
        while self._outbox.take() is not None:
            pass

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        if self._outbox.scope is not None and not self._outbox.is_finished:
            self._outbox.scope.cancel()

    def _start(self) -> None:
        self._is_started = True
        self._outbox.scope = anyio.CancelScope()
        background = _background(self._work, self._outbox, self._outbox.scope)
        if sniffio.current_async_library() == "trio":
            import trio

            trio.lowlevel.spawn_system_task(lambda: background, name="crawler.as_completed")
        else:
            task = asyncio.get_running_loop().create_task(background, name="crawler.as_completed")
            _running.add(task)
            task.add_done_callback(_running.discard)


async def _background(
    work: Callable[[Outbox[T]], Awaitable[None]], outbox: Outbox[T], scope: anyio.CancelScope
) -> None:
    """Run the engine; knows the outbox only, so that the iterator can be collected while this runs."""
    try:
        with scope:
            await work(outbox)
    except Exception as error:
        outbox.error = error
    finally:
        outbox.finish()
