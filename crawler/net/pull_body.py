"""Response bodies that stream where connections are read: the faces for the blocking world and for trio.

PulledBody     what a connection makes: pieces when asked for
BlockingBody   the face a `Response` of `Client` holds
AsyncBody      the same of an `AsyncClient`
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol

from crawler.models import AsyncByteStream, SyncByteStream
from crawler.net.blocking import run_blocking


class PulledBody(Protocol):
    """The body of a response whose head was delivered first; raw, as it comes off the wire."""

    @property
    def ended(self) -> float:
        """When the last byte came: monotonic seconds, 0 before."""
        ...

    def next_piece(self) -> Coroutine[Any, Any, bytes]:
        """The next bytes, `b""` at the end."""
        ...

    def abandon(self) -> None:
        """Give up what has not come yet; nothing happens at the end."""
        ...


class BlockingBody(SyncByteStream):
    """The blocking face of a `PulledBody`."""

    __slots__ = ("_body",)

    def __init__(self, body: PulledBody) -> None:
        self._body = body

    @property
    def ended(self) -> float:
        """When the last byte came: monotonic seconds, 0 before."""
        return self._body.ended

    def __iter__(self) -> BlockingBody:
        return self

    def __next__(self) -> bytes:
        piece = run_blocking(self._body.next_piece())
        if not piece:
            raise StopIteration
        return piece

    def close(self) -> None:
        """See `SyncByteStream.close`."""
        self._body.abandon()


class AsyncBody(AsyncByteStream):
    """The async face of a `PulledBody`."""

    __slots__ = ("_body",)

    def __init__(self, body: PulledBody) -> None:
        self._body = body

    @property
    def ended(self) -> float:
        """When the last byte came: monotonic seconds, 0 before."""
        return self._body.ended

    def __aiter__(self) -> AsyncBody:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._body.next_piece()
        if not piece:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        """See `AsyncByteStream.aclose`."""
        self._body.abandon()
