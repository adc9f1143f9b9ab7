"""TLS over any `Stream`, with the records made in memory: for trio, and for TLS within TLS."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, runtime_checkable

from crawler.errors import ConnectTimeout, NetworkError, ReadError, ReadTimeout, WriteError
from crawler.net.stream import Stream
from crawler.net.tls import handshake_cut, tls_error

T = TypeVar("T")

RECORDS = 64 * 1024


@runtime_checkable
class Peekable(Protocol):
    """A `Stream` that can look without waiting."""

    def read_nowait(self, max_bytes: int) -> bytes | None:
        """What is there; `b""` at the end of the connection, however it ended; None if nothing has come."""
        ...


class TLSStream:
    """A `Stream` that encrypts what goes over another one."""

    __slots__ = ("_ahead", "_incoming", "_is_cut", "_outgoing", "_ssl", "_stream")

    def __init__(self, stream: Stream, context: ssl.SSLContext, server_hostname: str | None) -> None:
        self._stream = stream
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._ahead: bytes | None = None  # what a look found, for the next read
        self._is_cut = False
        self._ssl = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_hostname)

    @classmethod
    async def handshake(
        cls, stream: Stream, context: ssl.SSLContext, server_hostname: str | None, deadline: float | None
    ) -> TLSStream:
        """Shake hands over `stream`; see `Stream.start_tls`."""
        secure = cls(stream, context, server_hostname)
        try:
            await secure._run(secure._ssl.do_handshake, deadline)
        except ReadTimeout as exc:
            raise ConnectTimeout("The TLS handshake took too long.") from exc
        except ssl.SSLError as exc:
            raise tls_error(exc, server_hostname or "") from exc
        except NetworkError as exc:
            raise handshake_cut(exc, server_hostname or "") from exc
        return secure

    async def read(self, max_bytes: int, deadline: float | None) -> bytes:
        """See `Stream.read`."""
        if self._ahead is not None:
            data, rest = self._ahead[:max_bytes], self._ahead[max_bytes:]
            self._ahead = rest or None
            return data
        try:
            return await self._run(lambda: self._ssl.read(max_bytes), deadline)
        except ssl.SSLZeroReturnError:
            return b""
        except ssl.SSLEOFError:
            self._is_cut = True
            return b""
        except ssl.SSLError as exc:
            raise ReadError(f"The connection broke while reading: {exc}") from exc

    async def write(self, data: bytes, deadline: float | None) -> None:
        """See `Stream.write`."""
        try:
            await self._run(lambda: self._ssl.write(data), deadline)
        except ssl.SSLError as exc:
            raise WriteError(f"The connection broke while writing: {exc}") from exc

    async def start_tls(
        self, context: ssl.SSLContext, server_hostname: str | None, deadline: float | None
    ) -> TLSStream:
        """See `Stream.start_tls`."""
        return await TLSStream.handshake(self, context, server_hostname, deadline)

    def abort(self) -> None:
        """See `Stream.abort`."""
        self._stream.abort()

    def get_extra_info(self, name: str) -> Any:
        """See `Stream.get_extra_info`."""
        if name == "ssl_object":
            return self._ssl
        if name == "is_readable":
            return self._ahead is not None or self._look()
        if name == "is_cut":
            return self._is_cut
        return self._stream.get_extra_info(name)

    def read_nowait(self, max_bytes: int) -> bytes | None:
        """See `Peekable.read_nowait`."""
        if self._ahead is None and not self._look():
            return None
        assert self._ahead is not None
        data, rest = self._ahead[:max_bytes], self._ahead[max_bytes:]
        self._ahead = rest or None
        return data

    def _look(self) -> bool:
        """Take records that have come, and tell whether they hold data or the end.

        They may hold neither: the tickets of TLS 1.3 are no answer (RFC 8446 §4.6.1).
        """
        while True:
            try:
                self._ahead = self._ssl.read(RECORDS)
                return True
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as exc:
                self._is_cut = not isinstance(exc, ssl.SSLZeroReturnError)
                self._ahead = b""
                return True
            if not isinstance(self._stream, Peekable):
                return bool(self._stream.get_extra_info("is_readable"))
            records = self._stream.read_nowait(RECORDS)
            if records is None:
                return False
            if records:
                self._incoming.write(records)
            else:
                self._incoming.write_eof()

    def hand_over(self) -> tuple[Stream, ssl.SSLObject, ssl.MemoryBIO, ssl.MemoryBIO]:
        """Give up the stream below, the TLS engine, and its buffers of records, incoming and outgoing."""
        return self._stream, self._ssl, self._incoming, self._outgoing

    async def _run(self, step: Callable[[], T], deadline: float | None) -> T:
        """Do one operation of the TLS engine, moving records as it asks for them."""
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                await self._flush(deadline)
                data = await self._stream.read(RECORDS, deadline)
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
                continue
            except ssl.SSLError:
                await self._flush(deadline)  # the alert that tells the peer why
                raise
            await self._flush(deadline)
            return result

    async def _flush(self, deadline: float | None) -> None:
        if self._outgoing.pending:
            await self._stream.write(self._outgoing.read(), deadline)
