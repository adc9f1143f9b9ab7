"""The body of a response after which the connection is no longer HTTP: none, but to close it closes the stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from time import monotonic

from crawler.models import AsyncByteStream, SyncByteStream
from crawler.models.content import AsyncOver
from crawler.net.stream import Stream


class UpgradedBody(SyncByteStream):
    """The blocking one.

    Args:
        stream: What the caller talks over; it ends with the response.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.ended = 0.0
        """When it was closed: monotonic seconds, 0 before."""

    def __iter__(self) -> Iterator[bytes]:
        return iter(())

    def close(self) -> None:
        """See `SyncByteStream.close`."""
        self.ended = self.ended or monotonic()
        self._stream.abort()


class AsyncUpgradedBody(AsyncByteStream):
    """The async one; see `UpgradedBody`."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.ended = 0.0
        """When it was closed: monotonic seconds, 0 before."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return AsyncOver(iter(()))

    async def aclose(self) -> None:
        """See `AsyncByteStream.aclose`."""
        self.ended = self.ended or monotonic()
        self._stream.abort()
