"""HTTP/1.1 over a stream that is read: for trio and for the blocking client.

One `async def` serves both; what it awaits is the stream alone, which in the blocking world never suspends.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from time import monotonic
from typing import Any

from crawler.errors import (
    HTTPError,
    NetworkError,
    ReadTimeout,
    RemoteProtocolError,
    ResponseTooLarge,
    StreamClosed,
    WriteTimeout,
)
from crawler.models import AsyncByteStream, ByteStream, Origin, Request, Response, SyncByteStream
from crawler.net.connect import Opening, proxy_headers
from crawler.net.deadlines import NEVER, Phase, deadline_of, timed_out
from crawler.net.http1_request import asks_to_close, cut_short, request_head
from crawler.net.numbers import connection_numbers
from crawler.net.pool import Pool
from crawler.net.pull_world import World
from crawler.net.stream import Stream
from crawler.net.timing import TIMING, ConnectTiming, Timing
from crawler.net.tls_info import TLS
from crawler.net.upload import ONE_WRITE, BodyFraming, framed, release
from crawler.wire import Http1Reader, http1_reader

READ_SIZE = 64 * 1024


class PullHttp1:
    """One HTTP/1.1 connection."""

    __slots__ = (
        "_extensions",
        "_first_byte",
        "_is_closed",
        "_is_sending",
        "_must_close",
        "_opening",
        "_peer",
        "_pool",
        "_proxy_lines",
        "_reader",
        "_received",
        "_request",
        "_sent",
        "_size_limit",
        "_started",
        "_stream",
        "_tls",
        "_world",
        "capacity",
        "idle_since",
        "is_gone",
        "key",
        "leased",
        "number",
    )

    is_shared = False

    def __init__(self, pool: Pool, key: Origin, opening: Opening, stream: Stream, world: World) -> None:
        self.key = key
        self.capacity = 1
        self.leased = 0
        self.idle_since = 0.0
        self.is_gone = False
        self.number = next(connection_numbers)
        forwarded = opening.route.forwards and opening.origin.scheme == "http"
        self._proxy_lines = proxy_headers(opening.route) if forwarded else None
        self._pool = pool
        self._stream = stream
        self._world = world
        peer = stream.get_extra_info("server_addr")
        self._peer: tuple[str | None, int | None] = peer[:2] if isinstance(peer, tuple) else (None, None)
        self._tls = opening.tls
        self._opening: ConnectTiming | None = opening.timing
        self._reader: Http1Reader = http1_reader()
        self._is_closed = False
        self._must_close = False  # the request asked the server to close after its answer
        self._request: Request | None = None
        self._extensions: dict[str, Any] = {}  # of the last response whose body streamed
        self._is_sending = False
        self._size_limit: int | None = None
        self._received = 0
        self._started = self._sent = self._first_byte = 0.0

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else "idle" if self._request is None else f"busy with {self._request!r}"
        return f"<HTTP/1.1 connection {self.number} to {self.key}, {state}>"

    # --- what the pool and the script of a request call ---

    async def exchange(self, request: Request, whole: bool) -> Response:
        """See `Connection.exchange`."""
        self._request = request  # first, so that whatever goes wrong from here on ends in `cancel`
        if asks_to_close(request):
            self._must_close = True
        head = request_head(request, self._proxy_lines)
        self._size_limit = request.extensions.get("max_response_size")
        self._received = 0
        self._first_byte = 0.0
        self._reader.expect(request.method)
        self._started = monotonic()
        await self._send(request, head)
        self._sent = monotonic()
        while not self._reader.status:
            await self._read(request)
        if self._is_upgraded(request):
            return self._hand_to_user(request)
        if whole and (self._reader.is_complete or not 300 <= self._reader.status < 400):
            # The body of a redirect may be endless, and is of little use: its end is not waited for.
            return await self._whole_response(request)
        body = Http1Body(self, request)
        response = self._response(request, self._world.body(body), body.timing)
        self._extensions = response.extensions
        return response

    def cancel(self, request: Request) -> None:
        """See `Connection.cancel`."""
        if self._request is request:
            self.abort()

    def is_stale(self, request: Request) -> bool:
        """See `Connection.is_stale`."""
        return self._opening is None and not self._first_byte

    def has_died(self) -> bool:
        """See `Connection.has_died`: an idle connection with anything to read is closed, or about to be misread."""
        return self._is_closed or bool(self._stream.get_extra_info("is_readable"))

    def abort(self) -> None:
        """See `Connection.abort`."""
        self._request = None
        if not self._is_closed:
            self._is_closed = True
            self._stream.abort()
            self._pool.discard(self)

    # --- sending ---

    async def _send(self, request: Request, head: bytes) -> None:
        body = request.stream
        self._is_sending = True
        try:
            if isinstance(body, ByteStream) and len(body.body) <= ONE_WRITE:
                await self._write(request, head if request.template is not None else head + framed(request, body.body))
                self._is_sending = False
            else:
                pieces = self._world.chunks(body)
                try:
                    await self._send_pieces(request, head, pieces)
                finally:
                    await release(body, pieces)
        except WriteTimeout as exc:
            if not self._stream.get_extra_info("is_readable"):
                raise timed_out(request, "write", f"writing to {self.key}") from exc
        except NetworkError:
            if not await self._has_answered(request):
                raise

    async def _send_pieces(self, request: Request, head: bytes, pieces: AsyncIterator[bytes]) -> None:
        framing = BodyFraming(request)
        await self._write(request, head)
        async for piece in pieces:
            if self._stream.get_extra_info("is_readable"):
                return  # the answer came first; the rest is not wanted
            await self._write(request, framing.frame(piece))
        await self._write(request, framing.end())
        self._is_sending = False

    async def _has_answered(self, request: Request) -> bool:
        """Whether a peer that takes no more bytes has sent some before: then its answer counts."""
        try:
            await self._read(request)
        except (NetworkError, RemoteProtocolError):
            return False
        return True

    async def _write(self, request: Request, data: bytes) -> None:
        deadline = deadline_of(request, "write")
        await self._stream.write(data, None if deadline == NEVER else deadline)

    # --- receiving ---

    async def _read(self, request: Request) -> None:
        phase: Phase = "read" if self._first_byte else "ttfb"
        deadline = deadline_of(request, phase)
        if deadline <= monotonic():  # the total one: bytes that keep pouring in do not put it off
            raise timed_out(request, phase, f"reading from {self.key}")
        try:
            data = await self._stream.read(READ_SIZE, None if deadline == NEVER else deadline)
        except ReadTimeout as exc:
            raise timed_out(request, phase, f"reading from {self.key}") from exc
        if not self._first_byte and data:
            self._first_byte = monotonic()
        reader = self._reader
        before = len(reader.body)
        if data:
            reader.feed(data)
        else:
            reader.feed_eof()
            if self._stream.get_extra_info("is_cut"):
                raise cut_short(self.key)
        if self._size_limit is not None:
            self._received += sum(map(len, reader.body[before:]))
            if self._received > self._size_limit:
                raise ResponseTooLarge(f"The body is larger than max_response_size={self._size_limit} bytes.")

    async def _whole_response(self, request: Request) -> Response:
        reader = self._reader
        while not reader.is_complete:
            await self._read(request)
        pieces = reader.body
        timing = self._timing()
        ended = monotonic()
        timing.receive = ended - self._first_byte
        response = self._response(request, pieces[0] if len(pieces) == 1 else b"".join(pieces), timing)
        response.ended = ended
        if reader.trailers:
            response.extensions["trailers"] = reader.trailers
        self._end_exchange()
        return response

    async def next_piece(self, request: Request) -> bytes:
        """The next bytes of a streamed body; at its end the exchange is over. Called by `Http1Body`."""
        if self._request is not request:
            raise StreamClosed
        reader = self._reader
        try:
            while not reader.body and not reader.is_complete:
                await self._read(request)
        except BaseException as exc:
            self.abort()
            if isinstance(exc, HTTPError):
                exc.request = request
            raise
        pieces, reader.body = reader.body, []
        if reader.is_complete:
            if reader.trailers:
                self._extensions["trailers"] = reader.trailers
            self._end_exchange()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def abandon_body(self, request: Request) -> None:
        """The reader of a streamed body wants no more of it; if there is no more, the connection goes on."""
        if self._request is request:
            if self._reader.is_complete:
                self._end_exchange()
            else:
                self.abort()

    def carries(self, request: Request) -> bool:
        """Whether the exchange of `request` is under way."""
        return self._request is request

    def _response(self, request: Request, body: bytes | SyncByteStream | AsyncByteStream, timing: Timing) -> Response:
        reader = self._reader
        extensions: dict[str, Any] = {
            "http_version": reader.http_version.encode("ascii"),
            "reason_phrase": reader.reason,
            "network_stream": self._world.face(self._stream),
            TIMING: timing,
        }
        if self._tls is not None:
            extensions[TLS] = self._tls
        response = Response.from_wire(reader.status, reader.fields, body, extensions, request)
        response.is_plain = reader.is_plain
        response.started = self._started
        return response

    def _timing(self) -> Timing:
        return Timing(
            self._opening,
            self._sent - self._started,
            max(0.0, self._first_byte - self._sent),
            0.0,
            self.number,
            self._peer,
        )

    def _is_upgraded(self, request: Request) -> bool:
        status = self._reader.status
        return status == 101 or (request.method == "CONNECT" and 200 <= status < 300)

    def _hand_to_user(self, request: Request) -> Response:
        """After 101 or CONNECT the bytes belong to the caller (RFC 9110 §7.8, §9.3.6), until the response is closed."""
        response = self._response(request, self._world.upgraded(self._stream), self._timing())
        response.extensions["network_stream"] = self._world.face(self._stream, self._reader.leftover)
        self._is_closed = True
        self._request = None
        self._pool.discard(self)
        return response

    def _end_exchange(self) -> None:
        self._request = self._opening = None
        if self._reader.can_reuse and not (self._is_sending or self._must_close or self._is_closed):
            self._pool.release(self)
        else:
            self.abort()


class Http1Body:
    """The body of a response whose head was delivered first; raw, as it comes off the wire."""

    __slots__ = ("_connection", "_request", "ended", "timing")

    def __init__(self, connection: PullHttp1, request: Request) -> None:
        self._connection: PullHttp1 | None = connection
        self._request = request
        self.timing = connection._timing()
        self.ended = 0.0

    async def next_piece(self) -> bytes:
        """The next bytes, `b""` at the end."""
        if self._connection is None:
            return b""
        connection = self._connection
        piece = await connection.next_piece(self._request)
        if not connection.carries(self._request):
            self.ended = monotonic()
            self.timing.receive = self.ended - connection._first_byte
            self._connection = None
        return piece

    def abandon(self) -> None:
        """Give up what has not come yet; the connection is closed then."""
        connection, self._connection = self._connection, None
        self.ended = self.ended or monotonic()
        if connection is not None:
            connection.abandon_body(self._request)
