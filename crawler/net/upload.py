"""Request bodies on their way out: in pieces, framed as the head said."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from crawler.models import AsyncByteStream, BodyMeter, ByteStream, Request, SyncByteStream
from crawler.models.content import AsyncOver
from crawler.wire import LAST_CHUNK, encode_chunk

ONE_WRITE = 64 * 1024  # a body up to this size leaves together with its head; a longer one goes in pieces of it


class BodyFraming:
    """Frames the pieces of one body, and holds it to the length that was declared.

    Args:
        request: Its `Transfer-Encoding` or `Content-Length` says how (RFC 9112 §6).
    """

    __slots__ = ("_meter",)

    def __init__(self, request: Request) -> None:
        headers = request.headers
        length = headers.get("content-length", "")
        is_chunked = "transfer-encoding" in headers
        self._meter = None if is_chunked else BodyMeter(int(length) if length.isdecimal() else 0)

    def frame(self, piece: bytes) -> bytes:
        """The bytes to send for `piece`.

        Raises:
            LocalProtocolError: The body is longer than its `Content-Length`.
        """
        if self._meter is None:
            return encode_chunk(piece)
        self._meter.add(len(piece))
        return piece

    def end(self) -> bytes:
        """The bytes that end the body.

        Raises:
            LocalProtocolError: The body is shorter than its `Content-Length`.
        """
        if self._meter is None:
            return LAST_CHUNK
        self._meter.finish()
        return b""


def framed(request: Request, body: bytes) -> bytes:
    """The whole of a body in memory, as the head says; empty ones too, of which a caller's own field may say more.

    Raises:
        LocalProtocolError: It is longer or shorter than its `Content-Length`.
    """
    framing = BodyFraming(request)
    return framing.frame(body) + framing.end()


def async_chunks(stream: SyncByteStream | AsyncByteStream) -> AsyncIterator[bytes]:
    """The pieces of a body for an async network.

    Raises:
        RuntimeError: It can only be read by blocking.
    """
    if isinstance(stream, ByteStream):
        return AsyncOver(_slices(stream.body))
    if isinstance(stream, AsyncByteStream):
        return aiter(stream)
    raise RuntimeError("An async client cannot send a body that is read by blocking: pass an async iterator or bytes.")


def blocking_chunks(stream: SyncByteStream | AsyncByteStream) -> AsyncIterator[bytes]:
    """The pieces of a body for the blocking network; its iterator never suspends.

    Raises:
        RuntimeError: It can only be read asynchronously.
    """
    if isinstance(stream, ByteStream):
        return AsyncOver(_slices(stream.body))
    if isinstance(stream, SyncByteStream):
        return AsyncOver(iter(stream))
    raise RuntimeError("A blocking client cannot send a body that is read asynchronously: pass an iterator or bytes.")


async def release(stream: SyncByteStream | AsyncByteStream, pieces: AsyncIterator[bytes]) -> None:
    """Let a body go whose `pieces` are wanted no more, all of them sent or not."""
    if not isinstance(pieces, AsyncOver):
        assert isinstance(stream, AsyncByteStream)
        await stream.aclose()
    elif isinstance(stream, SyncByteStream):
        stream.close()


def _slices(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), ONE_WRITE):
        yield body[start : start + ONE_WRITE]
