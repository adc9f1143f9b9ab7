"""HTTP/1.1 under asyncio: the connection *is* the protocol that the event loop pushes bytes to.

    exchange() ── write the request, give a future ──┐
                                                     ▼
    data_received ─▶ reader.feed ─▶ whole response?  set the future's result (one wake-up per response)
                                 ─▶ only its head?   the same with a body that streams

There is no task and no timer per request: the deadline of each connection is a number, and one `Sweeper` per pool looks
at all of them when the earliest could have come. (A `call_later` and its cancelling cost 0.8 µs a request, an
`asyncio.timeout` block 4.2, the sweep under 0.1.)

The states of a connection:

    idle ──exchange──▶ waiting ──whole response──▶ idle
                          │ └─head, if asked for──▶ streaming ──end of body──▶ idle
                          └──────── error, cancel, close ──────▶ closed ◀──────┘
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from time import monotonic
from typing import Any

from crawler.errors import HTTPError, ReadError, RemoteProtocolError, ResponseTooLarge, WriteError
from crawler.models import AsyncByteStream, ByteStream, Origin, Request, Response
from crawler.models.headers import HeadTemplate
from crawler.models.retry import IDEMPOTENT_METHODS
from crawler.net.asyncio_body import MAY_BE_WHOLE, StreamedBody
from crawler.net.asyncio_stream import HIGH_WATER, AsyncioStream
from crawler.net.asyncio_sweep import Sweeper
from crawler.net.connect import Opening, proxy_headers
from crawler.net.deadlines import NEVER, Phase, deadline_of, timed_out, total_deadline
from crawler.net.http1_request import asks_to_close, cut_short, head_end, request_head
from crawler.net.http2_request import Unsent
from crawler.net.numbers import connection_numbers
from crawler.net.pool import Pool
from crawler.net.sockets import is_readable
from crawler.net.stream import AsyncHTTPNetworkStream
from crawler.net.timing import TIMING, ConnectTiming, Timing, http1_extensions
from crawler.net.tls import was_cut
from crawler.net.tls_info import TLS
from crawler.net.upgrade import AsyncUpgradedBody
from crawler.net.upload import ONE_WRITE, BodyFraming, async_chunks, framed, release
from crawler.wire import Http1Reader, http1_reader


class AsyncioHttp1(asyncio.Protocol):
    """One HTTP/1.1 connection.

    Hand-written slots: thousands of these may be open, and most attributes are touched by every request.
    """

    __slots__ = (
        "_body",
        "_counted",
        "_drained",
        "_extensions",
        "_first_byte",
        "_future",
        "_head_end",
        "_is_closed",
        "_is_sending",
        "_loop",
        "_must_close",
        "_network_stream",
        "_opening",
        "_peer",
        "_phase",
        "_pool",
        "_proxy_lines",
        "_reader",
        "_received",
        "_request",
        "_sent",
        "_size_limit",
        "_started",
        "_stream",
        "_sweeper",
        "_template",
        "_transport",
        "_whole",
        "capacity",
        "deadline",
        "idle_since",
        "is_gone",
        "key",
        "leased",
        "number",
    )

    is_shared = False

    def __init__(self, pool: Pool, key: Origin, opening: Opening, stream: AsyncioStream, sweeper: Sweeper) -> None:
        self.key = key
        self.capacity = 1
        self.leased = 0
        self.idle_since = 0.0
        self.is_gone = False
        self.number = next(connection_numbers)
        self.deadline = NEVER
        """When what is being waited for is late; read by the sweeper."""
        forwarded = opening.route.forwards and opening.origin.scheme == "http"
        self._proxy_lines = proxy_headers(opening.route) if forwarded else None
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        self._sweeper = sweeper
        self._stream = stream
        self._network_stream = AsyncHTTPNetworkStream(stream, tls=opening.tls)
        peer = stream.get_extra_info("server_addr")
        self._peer: tuple[str | None, int | None] = peer[:2] if isinstance(peer, tuple) else (None, None)
        self._opening: ConnectTiming | None = opening.timing  # None once an exchange has ended well
        self._reader: Http1Reader = http1_reader()
        self._is_closed = False
        self._must_close = False  # the request asked the server to close after its answer
        self._template: HeadTemplate | None = None  # of the last request that had one, and what follows its target
        self._head_end = b""
        self._drained: asyncio.Future[None] | None = None
        # Of the exchange under way:
        self._request: Request | None = None
        self._future: asyncio.Future[Response] | None = None
        self._body: StreamedBody | None = None
        self._extensions: dict[str, Any] = {}  # of the last response whose body streamed
        self._whole = True
        self._is_sending = False
        self._phase: Phase = "read"
        self._size_limit: int | None = None
        self._received = self._counted = 0
        self._started = self._sent = self._first_byte = 0.0
        self._transport = stream.transport
        stream.hand_over(self)

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else "idle" if self._request is None else f"busy with {self._request!r}"
        return f"<HTTP/1.1 connection {self.number} to {self.key}, {state}>"

    # --- what the pool and the script of a request call ---

    def exchange(self, request: Request, whole: bool) -> Awaitable[Response]:
        """See `Connection.exchange`."""
        self._request = request  # first, so that whatever goes wrong from here on ends in `cancel`
        template = request.template
        if template is None or template is not self._template or "target" in request.extensions:
            head = self._head(request, template)
        else:  # the common case: all but the first line was encoded once per connection
            head = b"%b %b%b" % (request.method.encode("ascii"), request.url.raw_path, self._head_end)
        self._whole = whole
        self._size_limit = request.extensions.get("max_response_size")
        self._received = self._counted = 0
        self._first_byte = 0.0
        self._reader.expect(request.method)
        self._started = self._sent = monotonic()
        future = self._future = self._loop.create_future()
        if template is None:  # otherwise there is no body
            body = request.stream
            if not isinstance(body, ByteStream) or len(body.body) > ONE_WRITE:
                return self._upload(request, head, async_chunks(body), future)
            head += framed(request, body.body)
        self._transport.write(head)
        self._expect_by("ttfb")
        return future

    def _head(self, request: Request, template: HeadTemplate | None) -> bytes:
        """The head of a request that is not like the one before it on this connection."""
        if template is None and self._opening is None and self._has_ended_unnoticed(request):
            raise Unsent(f"{self.key} closed this kept-alive connection.")
        if asks_to_close(request):
            self._must_close = True
        if template is not None and self._proxy_lines is None:
            self._template = template
            self._head_end = head_end(request, template)
        return request_head(request, self._proxy_lines)

    def _has_ended_unnoticed(self, request: Request) -> bool:
        """Whether the peer has closed, and the event loop did not get round to saying so.

        Asked (a system call) only for a request that cannot be sent again once it was sent in vain.
        """
        if request.method in IDEMPOTENT_METHODS and request.can_replay:
            return False
        return is_readable(self._transport.get_extra_info("socket"))

    def cancel(self, request: Request) -> None:
        """See `Connection.cancel`."""
        if self._request is request:
            if self._future is not None:
                self._future.cancel()
            self.abort()

    def is_stale(self, request: Request) -> bool:
        """See `Connection.is_stale`."""
        return self._opening is None and self._is_closed and not self._first_byte

    def has_died(self) -> bool:
        """See `Connection.has_died`; the event loop has told already."""
        return self._is_closed

    def abort(self) -> None:
        """See `Connection.abort`."""
        self._fail(ReadError("The connection was closed on this side while its response was awaited."))

    def expire(self) -> None:
        """Called by the sweeper when the deadline has passed."""
        request = self._request
        if request is not None:
            doing = "writing to" if self._phase == "write" else "reading from"
            self._fail(timed_out(request, self._phase, f"{doing} {self.key}"))

    # --- what the event loop calls ---

    def data_received(self, data: bytes) -> None:
        """Bytes from the peer."""
        request = self._request
        if request is None:  # bytes that nobody asked for are never the answer to a later request
            self._close()
            return
        if not self._first_byte:
            self._first_byte = monotonic()
        reader = self._reader
        try:
            reader.feed(data)
            if self._size_limit is not None:
                self._check_size(reader, self._size_limit)
        except HTTPError as exc:
            self._fail(exc)
            return
        if self._body is not None:
            self._pass_on(self._body)
        elif reader.is_complete and (self._whole or (reader.is_plain and MAY_BE_WHOLE in request.extensions)):
            self._deliver_whole(request)
        elif reader.status and (not self._whole or 300 <= reader.status < 400):
            # The body of a redirect may be endless, and is of little use: its end is not waited for.
            self._deliver_head(request)
        elif self._phase != "write":
            self._expect_by("read")
            self._check_total(request)

    def eof_received(self) -> None:
        """The peer has finished sending; the transport closes itself on return."""
        if self._request is None:
            self._close()
            return
        try:
            self._reader.feed_eof()
            if was_cut(self._transport.get_extra_info("ssl_object")):
                raise cut_short(self.key)
        except RemoteProtocolError as exc:
            self._fail(exc)
            return
        if self._body is not None:
            self._pass_on(self._body)
        elif self._whole:
            self._deliver_whole(self._request)
        else:
            self._deliver_head(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is closed."""
        self.resume_writing()
        if exc is None:
            self.eof_received()
            return
        error_class = WriteError if self._is_sending else ReadError
        self._fail(error_class(f"The connection to {self.key} broke: {exc}"), exc)

    def pause_writing(self) -> None:
        """The peer takes too little."""
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        """There is room again."""
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    # --- sending ---

    async def _upload(
        self, request: Request, head: bytes, chunks: AsyncIterator[bytes], future: asyncio.Future[Response]
    ) -> Response:
        """Send a body piece by piece, unless the answer comes first; then wait for the answer."""
        framing = BodyFraming(request)
        self._is_sending = True
        self._transport.write(head)
        try:
            async for chunk in chunks:
                if future.done():
                    break
                self._transport.write(framing.frame(chunk))
                if self._drained is not None:
                    self._expect_by("write")
                    waiting: list[asyncio.Future[Any]] = [self._drained, future]
                    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                    self.deadline = NEVER
            else:
                self._transport.write(framing.end())
                self._is_sending = False
        except BaseException:
            if future.done() and not future.cancelled():
                future.exception()  # seen: what the body raised goes first
            raise
        finally:
            await release(request.stream, chunks)
        if not future.done():
            self._sent = monotonic()
            self._expect_by("read" if self._first_byte else "ttfb")
        return await future

    def _expect_by(self, phase: Phase) -> None:
        """Let the exchange fail unless something happens within the time limit of `phase`."""
        assert self._request is not None
        self._phase = phase
        self.deadline = deadline = deadline_of(self._request, phase)
        if deadline < self._sweeper.wakes_at:
            self._sweeper.wake_by(deadline)

    # --- receiving ---

    def _deliver_whole(self, request: Request) -> None:
        reader, future, now = self._reader, self._future, monotonic()
        if self._is_upgraded(request):
            self._hand_to_user(request, future)
            return
        pieces = reader.body
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        extensions = (
            http1_extensions,
            reader.http_version,
            reader.reason,
            self._network_stream,
            reader.trailers,
            self._opening,
            self._started,
            self._sent,
            self._first_byte,
            now,
            self.number,
            self._peer,
        )
        response = Response.from_wire(reader.status, reader.fields, body, extensions, request)
        response.is_plain = reader.is_plain
        response.started = self._started
        response.ended = now
        self._end_exchange()
        if future is not None and not future.done():
            future.set_result(response)

    def _deliver_head(self, request: Request) -> None:
        future = self._future
        if self._is_upgraded(request):
            self._hand_to_user(request, future)
            return
        timing = self._timing()
        body = self._body = StreamedBody(self, timing, self._first_byte)
        self.deadline = total_deadline(request)  # from here on it is the reader of the body who waits
        response = self._response(request, body, timing)
        self._extensions = response.extensions
        self._pass_on(body)
        if future is not None and not future.done():
            future.set_result(response)

    def _response(self, request: Request, body: AsyncByteStream, timing: Timing) -> Response:
        reader = self._reader
        extensions: dict[str, Any] = {
            "http_version": reader.http_version.encode("ascii"),
            "reason_phrase": reader.reason,
            "network_stream": self._network_stream,
            TIMING: timing,
        }
        if self._network_stream.tls is not None:
            extensions[TLS] = self._network_stream.tls
        response = Response.from_wire(reader.status, reader.fields, body, extensions, request)
        response.is_plain = reader.is_plain
        response.started = self._started
        return response

    def _timing(self) -> Timing:
        """The phases of an exchange whose body is still to come."""
        waited = max(0.0, self._first_byte - self._sent)
        return Timing(self._opening, self._sent - self._started, waited, 0.0, self.number, self._peer)

    def _check_size(self, reader: Http1Reader, limit: int) -> None:
        for piece in reader.body[self._counted :]:
            self._received += len(piece)
        self._counted = len(reader.body)
        if self._received > limit:
            raise ResponseTooLarge(f"The body is larger than max_response_size={limit} bytes.")

    def _pass_on(self, body: StreamedBody) -> None:
        """Give the body what has arrived; make the peer wait when the body's reader is behind."""
        reader = self._reader
        pieces, reader.body = reader.body, []
        self._counted = 0
        if reader.is_complete:
            if body.size > HIGH_WATER:  # it came all the same: the next response must not find the transport paused
                self._stream.carrier.resume_reading()
            if reader.trailers:
                self._extensions["trailers"] = reader.trailers
            self._end_exchange()
            body.finish(pieces)
            return
        if body.add(pieces) > HIGH_WATER:
            self._stream.carrier.pause_reading()
        if pieces and self._request is not None:
            self.deadline = total_deadline(self._request)  # until its reader waits again: it may be slow, not the peer
            self._check_total(self._request)

    def _check_total(self, request: Request) -> None:
        """Look at the clock while a body comes: an event loop may read for seconds on end, and call no timer."""
        if "deadline" in request.extensions and total_deadline(request) <= monotonic():
            self.expire()

    def _is_upgraded(self, request: Request) -> bool:
        status = self._reader.status
        return status == 101 or (request.method == "CONNECT" and 200 <= status < 300)

    def _hand_to_user(self, request: Request, future: asyncio.Future[Response] | None) -> None:
        """After 101 or CONNECT the bytes belong to the caller (RFC 9110 §7.8, §9.3.6), until the response is closed."""
        response = self._response(request, AsyncUpgradedBody(self._stream), self._timing())
        self._request = self._future = None
        self.deadline = NEVER
        self._is_closed = True
        self._pool.discard(self)
        self._stream.take_back()
        response.extensions["network_stream"] = AsyncHTTPNetworkStream(self._stream, self._reader.leftover)
        if future is not None and not future.done():
            future.set_result(response)
        else:
            self._stream.abort()

    # --- what the streamed body calls ---

    def await_body(self) -> None:
        """Its reader waits for more: from now on the read timeout counts."""
        self._expect_by("read")

    def body_taken(self, size: int) -> None:
        """Its reader has caught up."""
        if size > HIGH_WATER:
            self._stream.carrier.resume_reading()

    def abandon_body(self, body: StreamedBody) -> None:
        """Its reader wants no more."""
        if self._body is body:
            self.abort()

    # --- the end of an exchange ---

    def _end_exchange(self) -> None:
        """The response is whole: the connection is free for the next, or of no further use."""
        self._request = self._future = self._body = self._opening = None
        self.deadline = NEVER
        if self._reader.can_reuse and not (self._is_sending or self._must_close or self._is_closed):
            self._pool.release(self)
        else:
            self._close()

    def _fail(self, error: HTTPError, cause: BaseException | None = None) -> None:
        request, future, body = self._request, self._future, self._body
        self._request = self._future = self._body = None
        self.deadline = NEVER
        self._close()
        if request is None:
            return
        error.request = request
        error.__cause__ = cause
        if body is not None:
            body.fail(error)
        elif future is not None and not future.done():
            future.set_exception(error)
            future.exception()  # seen, should its task be cancelled before it looks: the loop must not complain

    def _close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._transport.abort()
            self._pool.discard(self)
