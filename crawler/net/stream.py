"""Byte streams: what the scripts of connecting run over, and the faces of them that users may hold.

    Stream                   what every network offers (blocking, asyncio, trio); deadlines, one shape for all
    HTTPNetworkStream        the blocking face: `response.extensions["network_stream"]` of a `Client`
    AsyncHTTPNetworkStream   the async face: the same of an `AsyncClient`

A face is for protocols that leave HTTP behind: after `101 Switching Protocols` or a CONNECT of one's own, the bytes
belong to the caller. Its `timeout=` are durations in seconds, as in HTTPX; a `Stream` takes deadlines.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from crawler.errors import ConnectError

if TYPE_CHECKING:
    import ssl

    from crawler.net.tls_info import TLSInfo

T = TypeVar("T")


class Stream(Protocol):
    """A byte stream in both directions, plain or TLS, used by one script at a time.

    Deadlines are instants of `time.monotonic()`, or None for no limit. In the blocking world the awaitables are
    finished when they are returned; nobody may await anything else in a script over a stream.
    """

    def read(self, max_bytes: int, deadline: float | None) -> Awaitable[bytes]:
        """Wait for bytes; at least one and at most `max_bytes`, or `b""` when the peer has finished sending.

        Raises:
            ReadTimeout: The deadline passed.
            ReadError: The connection broke, or was closed on this side.
        """
        ...

    def write(self, data: bytes, deadline: float | None) -> Awaitable[None]:
        """Send all of `data`.

        Raises:
            WriteTimeout: The deadline passed; how much was sent is unknown, so the stream is of no further use.
            WriteError: The connection broke, or was closed on this side.
        """
        ...

    def start_tls(
        self, context: ssl.SSLContext, server_hostname: str | None, deadline: float | None
    ) -> Awaitable[Stream]:
        """Shake hands and give the encrypted stream; this one must not be used any more.

        Raises:
            ConnectTimeout: The deadline passed.
            ConnectError: The handshake failed, see `crawler.net.tls.tls_error`.
        """
        ...

    def abort(self) -> None:
        """Drop the connection at once, without a word to the peer; safe to call twice and while being cancelled."""
        ...

    def get_extra_info(self, name: str) -> Any:
        """Tell about the connection; None for a name that is unknown or does not apply.

        Names, as HTTPX has them: `client_addr` and `server_addr` (host and port), `socket`, `ssl_object`,
        `is_readable` (bytes, or the peer's end, are waiting), `is_cut` (under TLS: the end came without a good-bye, so
        that anybody on the path may have made it; RFC 8446 §6.1).
        """
        ...


def _deadline(timeout: float | None) -> float | None:
    """Turn a duration in seconds into an instant."""
    return None if timeout is None else time.monotonic() + timeout


def _finished(work: Awaitable[T]) -> T:
    """Take the value out of an awaitable of the blocking world, which never suspends."""
    steps = work.__await__()
    try:
        next(steps)
    except StopIteration as stop:
        value: T = stop.value
        return value
    raise RuntimeError("A stream of the blocking client suspended; it belongs to an async client.")


def _refuse_early_bytes(leftover: bytes) -> None:
    """Plain bytes from before the handshake must never be taken for bytes of the encrypted stream."""
    if leftover:
        raise ConnectError(
            f"The peer sent {len(leftover)} bytes ahead of the TLS handshake; read them, or close the connection.",
            kind="tls_protocol",
        )


def _extra_info(stream: Stream, leftover: bytes, info: str) -> Any:
    """Ask the stream, minding the bytes that a face holds back."""
    if info == "is_readable" and leftover:
        return True
    return stream.get_extra_info(info)


class HTTPNetworkStream:
    """The connection under a response of `Client`, for reading and writing it directly.

    Args:
        stream: A stream of the blocking network.
        leftover: Bytes that came behind the head of the response; they are read first.
        tls: What the handshake with the server led to, if there was one.
    """

    __slots__ = ("_leftover", "_stream", "tls")

    def __init__(self, stream: Stream, leftover: bytes = b"", tls: TLSInfo | None = None) -> None:
        self._stream = stream
        self._leftover = leftover
        self.tls = tls

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Wait for up to `max_bytes` bytes; `b""` when the peer has finished.

        Raises:
            ReadTimeout: Nothing came for `timeout` seconds.
            ReadError: The connection broke.
        """
        if self._leftover:
            data, self._leftover = self._leftover[:max_bytes], self._leftover[max_bytes:]
            return data
        return _finished(self._stream.read(max_bytes, _deadline(timeout)))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of `buffer`.

        Raises:
            WriteTimeout: It was not taken within `timeout` seconds.
            WriteError: The connection broke.
        """
        _finished(self._stream.write(buffer, _deadline(timeout)))

    def close(self) -> None:
        """Drop the connection; a second call does nothing."""
        self._stream.abort()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> HTTPNetworkStream:
        """Shake hands and give the encrypted stream, which replaces this one.

        Raises:
            ConnectTimeout: The handshake took more than `timeout` seconds.
            ConnectError: It failed, or the peer sent bytes ahead of it, which anyone on the path may have put there.
        """
        _refuse_early_bytes(self._leftover)
        return HTTPNetworkStream(_finished(self._stream.start_tls(ssl_context, server_hostname, _deadline(timeout))))

    def get_extra_info(self, info: str) -> Any:
        """Tell about the connection: `client_addr`, `server_addr`, `socket`, `ssl_object`, `is_readable`; else None."""
        return _extra_info(self._stream, self._leftover, info)


class AsyncHTTPNetworkStream:
    """The connection under a response of `AsyncClient`, for reading and writing it directly.

    Args:
        stream: A stream of an async network.
        leftover: Bytes that came behind the head of the response; they are read first.
        tls: What the handshake with the server led to, if there was one.
    """

    __slots__ = ("_leftover", "_stream", "tls")

    def __init__(self, stream: Stream, leftover: bytes = b"", tls: TLSInfo | None = None) -> None:
        self._stream = stream
        self._leftover = leftover
        self.tls = tls

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """As `HTTPNetworkStream.read`."""
        if self._leftover:
            data, self._leftover = self._leftover[:max_bytes], self._leftover[max_bytes:]
            return data
        return await self._stream.read(max_bytes, _deadline(timeout))

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """As `HTTPNetworkStream.write`."""
        await self._stream.write(buffer, _deadline(timeout))

    async def aclose(self) -> None:
        """Drop the connection; a second call does nothing."""
        self._stream.abort()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> AsyncHTTPNetworkStream:
        """As `HTTPNetworkStream.start_tls`."""
        _refuse_early_bytes(self._leftover)
        return AsyncHTTPNetworkStream(await self._stream.start_tls(ssl_context, server_hostname, _deadline(timeout)))

    def get_extra_info(self, info: str) -> Any:
        """As `HTTPNetworkStream.get_extra_info`."""
        return _extra_info(self._stream, self._leftover, info)
