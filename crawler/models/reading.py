"""The two faces of a body that is being read: one state machine, driven by `next` or by `await anext`.

    NEW --first step: the response allows it once--> OPEN --stream ended: response closed--> ENDING --> DONE
                                                      any error: response closed, request attached --> DONE

Iterator classes and not generators: closing never depends on when the collector finalises a half-read one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

from crawler.errors import RequestError

if TYPE_CHECKING:
    from crawler.models.pieces import Pipe
    from crawler.models.response import Response

T = TypeVar("T")


class _Reading(Generic[T]):
    """What both faces share: pieces at hand, the pipe that makes them, the response that counts and closes."""

    __slots__ = ("_is_ending", "_pieces", "_pipe", "_response")

    def __init__(self, response: Response, pipe: Pipe[T]) -> None:
        self._response = response
        self._pipe = pipe
        self._pieces: Iterator[T] = iter(())
        self._is_ending = False

    def _take(self, data: bytes) -> None:
        self._response.count(data)
        self._pieces = self._pipe.feed(data)

    def _take_end(self) -> None:
        self._is_ending = True
        self._pieces = self._pipe.end()

    def _fail(self, exc: BaseException) -> None:
        """End the iteration; an error of ours gets the request it belongs to."""
        self._is_ending = True
        self._pieces = iter(())
        attach_request(exc, self._response)


class SyncReading(_Reading[T]):
    """A body read by `for`."""

    __slots__ = ("_source",)

    def __init__(self, response: Response, pipe: Pipe[T]) -> None:
        super().__init__(response, pipe)
        self._source: Iterator[bytes] | None = None

    def __iter__(self) -> SyncReading[T]:
        return self

    def __next__(self) -> T:
        if self._source is None:
            self._source = self._response.open_stream()
        try:
            while True:
                for piece in self._pieces:
                    return piece
                if self._is_ending:
                    break
                for data in self._source:
                    self._take(data)
                    break
                else:
                    self._response.close()
                    self._take_end()
        except BaseException as exc:
            self._fail(exc)
            with suppress(Exception):  # the first error is the one to tell
                self._response.close()
            raise
        raise StopIteration

    def close(self) -> None:
        """Stop reading; closes the response."""
        self._response.close()


class AsyncReading(_Reading[T]):
    """A body read by `async for`."""

    __slots__ = ("_source",)

    def __init__(self, response: Response, pipe: Pipe[T]) -> None:
        super().__init__(response, pipe)
        self._source: AsyncIterator[bytes] | None = None

    def __aiter__(self) -> AsyncReading[T]:
        return self

    async def __anext__(self) -> T:
        if self._source is None:
            self._source = self._response.open_async_stream()
        try:
            while True:
                for piece in self._pieces:
                    return piece
                if self._is_ending:
                    break
                async for data in self._source:
                    self._take(data)
                    break
                else:
                    await self._response.aclose()
                    self._take_end()
        except BaseException as exc:  # also cancellation
            self._fail(exc)
            with suppress(Exception):
                await self._response.aclose()
            raise
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Stop reading; closes the response."""
        await self._response.aclose()


def attach_request(exc: BaseException, response: Response) -> None:
    """Tell an error of ours to which request it belongs, unless it knows."""
    if isinstance(exc, RequestError) and exc._request is None and response.has_request:
        exc.request = response.request
