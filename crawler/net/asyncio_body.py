"""Response bodies that stream, under asyncio: pieces pushed by a connection, pulled by the user."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Final, Protocol

from crawler.errors import HTTPError
from crawler.models import AsyncByteStream
from crawler.net.timing import Timing

MAY_BE_WHOLE: Final = "crawler.may_be_whole"
"""Extension of a request whose response streams: a plain body that came whole with its head may be given as content,
the response closed. Spares who asks for it 15 µs a response; everybody else relies on a stream being one."""

LARGE = 64 * 1024  # pieces from this size on are given out one by one, smaller ones together


class BodySource(Protocol):
    """What a body comes from: an HTTP/1.1 connection, or one exchange on an HTTP/2 connection."""

    def await_body(self) -> None:
        """The reader waits for more: from now on the read timeout counts."""
        ...

    def body_taken(self, size: int) -> None:
        """The reader has taken all `size` bytes that had come: the peer may send on."""
        ...

    def abandon_body(self, body: StreamedBody) -> None:
        """The reader wants no more."""
        ...


class StreamedBody(AsyncByteStream):
    """The body of a response whose head was delivered first; raw, as it comes off the wire.

    Args:
        source: Where it comes from.
        timing: Learns how long the body took.
        first_byte: Monotonic seconds.
    """

    __slots__ = ("_error", "_first_byte", "_news", "_pieces", "_size", "_source", "_taken", "_timing", "ended")

    def __init__(self, source: BodySource, timing: Timing, first_byte: float) -> None:
        self._source: BodySource | None = source
        self._timing = timing
        self._first_byte = first_byte
        self._pieces: list[bytes] = []
        self._size = 0
        self._taken = 0  # of those given out, what the source has not been told of
        self._error: HTTPError | None = None
        self._news: asyncio.Future[None] | None = None
        self.ended = 0.0
        """When the last byte came, or the rest was given up: monotonic seconds, 0 before."""

    def __aiter__(self) -> StreamedBody:
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces:
            if self._error is not None:
                raise self._error
            if self._source is None:
                raise StopAsyncIteration
            await self._more(self._source)
        pieces = self._pieces
        if len(pieces) > 1 and len(pieces[0]) >= LARGE:
            piece = pieces.pop(0)  # by itself: joining them would copy every byte once more
            self._size -= len(piece)
            self._taken += len(piece)
            return piece
        self._pieces = []
        if self._source is not None:
            self._source.body_taken(self._taken + self._size)
        self._size = self._taken = 0
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def aclose(self) -> None:
        """Give up what has not come yet; its source decides what that costs."""
        source, self._source = self._source, None
        self.ended = self.ended or monotonic()
        if source is not None:
            source.abandon_body(self)

    async def _more(self, source: BodySource) -> None:
        self._news = asyncio.get_running_loop().create_future()
        source.await_body()
        await self._news

    # --- what the source calls ---

    @property
    def size(self) -> int:
        """Bytes that nobody has read yet."""
        return self._size

    def add(self, pieces: list[bytes]) -> int:
        """Take pieces; gives the number of bytes nobody has read yet."""
        if pieces:
            self._pieces += pieces
            self._size += sum(map(len, pieces))
            self._wake()
        return self._size

    def finish(self, pieces: list[bytes]) -> None:
        """Take the last pieces."""
        self._source = None
        self.ended = monotonic()
        self._timing.receive = self.ended - self._first_byte
        self.add(pieces)
        self._wake()

    def fail(self, error: HTTPError) -> None:
        """The rest will not come."""
        self._source = None
        self._error = error
        self._wake()

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)
