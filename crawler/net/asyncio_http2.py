"""HTTP/2 under asyncio: one connection, many exchanges, frames of one turn of the event loop in one write.

    exchange() ─▶ codec.request() ─┐                       ┌▶ Http2Exchange.on_news ─▶ its future, or its body
                                   ├▶ flush, once a turn   │
    upload ─────▶ codec.send_data()┘    data_received ─▶ codec.feed ─▶ take_changed

The connection owns the codec and the transport; an `Http2Exchange` owns one stream, its future and its deadline. What a
stream's failure means for the request is told by its error: `Unprocessed` may be sent again whatever its method.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from time import monotonic
from typing import Any

from crawler.errors import HTTPError, ReadError, RemoteProtocolError, ResponseTooLarge
from crawler.models import AsyncByteStream, BodyMeter, ByteStream, Origin, Request, Response
from crawler.models.content import AsyncOver
from crawler.net.asyncio_body import StreamedBody
from crawler.net.asyncio_stream import AsyncioStream
from crawler.net.asyncio_sweep import Sweeper
from crawler.net.connect import Opening
from crawler.net.deadlines import NEVER, Phase, deadline_of, timed_out, total_deadline
from crawler.net.http2_request import PING_AFTER_S, PING_TIMEOUT_S, begin_stream, body_meter, failure_of
from crawler.net.numbers import connection_numbers
from crawler.net.pool import Pool
from crawler.net.stream import AsyncHTTPNetworkStream
from crawler.net.timing import TIMING, ConnectTiming, Timing
from crawler.net.tls_info import TLS
from crawler.net.upload import ONE_WRITE, async_chunks, release
from crawler.wire import ErrorCode, Http2Connection, Http2Stream, http2_connection


class AsyncioHttp2(asyncio.Protocol):
    """One HTTP/2 connection."""

    __slots__ = (
        "_codec",
        "_exchanges",
        "_flushes",
        "_is_closed",
        "_is_stale",
        "_loop",
        "_network_stream",
        "_opening",
        "_peer",
        "_ping_deadline",
        "_pool",
        "_room",
        "_sweeper",
        "_transport",
        "_woken",
        "capacity",
        "deadline",
        "heard",
        "idle_since",
        "is_gone",
        "key",
        "leased",
        "number",
    )

    is_shared = True

    def __init__(self, pool: Pool, key: Origin, opening: Opening, stream: AsyncioStream, sweeper: Sweeper) -> None:
        self.key = key
        self.leased = 0
        self.idle_since = 0.0
        self.is_gone = False
        self.number = next(connection_numbers)
        self.deadline = NEVER
        """The earliest of the exchanges' deadlines, or earlier; read by the sweeper."""
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        self._sweeper = sweeper
        self._network_stream = AsyncHTTPNetworkStream(stream, tls=opening.tls)
        peer = stream.get_extra_info("server_addr")
        self._peer: tuple[str | None, int | None] = peer[:2] if isinstance(peer, tuple) else (None, None)
        self._opening: ConnectTiming | None = opening.timing
        self._codec: Http2Connection = http2_connection(opening.route.streams.limits)
        self.capacity = self._codec.capacity
        self._exchanges: dict[int, Http2Exchange] = {}
        self._ping_deadline = NEVER
        self._flushes = False
        self.heard = monotonic()
        """When anything came last, in monotonic seconds."""
        self._woken = 0.0  # when the connection, which others had used before, was last taken out of idleness
        self._is_stale = False
        self._is_closed = False
        self._room: asyncio.Future[None] | None = None  # set while the transport is full
        self._transport = stream.transport
        stream.hand_over(self)
        self._flush_soon()

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else f"{len(self._exchanges)} streams"
        return f"<HTTP/2 connection {self.number} to {self.key}, {state}>"

    # --- what the pool and the script of a request call ---

    def exchange(self, request: Request, whole: bool) -> Awaitable[Response]:
        """See `Connection.exchange`."""
        body = request.stream.body if isinstance(request.stream, ByteStream) else None
        try:
            meter = body_meter(request, body)
            stream = begin_stream(self._codec, request, end=body == b"")
        except HTTPError:
            self._note_capacity()
            self._pool.release(self)
            raise
        exchange = Http2Exchange(self, request, stream, whole, self._opening)
        if not self._exchanges:
            self._wake_up(exchange.started)
        self._opening = None
        self._exchanges[stream.stream_id] = exchange
        self._flush_soon()
        if body is None or len(body) > ONE_WRITE:
            return exchange.upload(async_chunks(request.stream), meter)
        if body:
            taken = self._codec.send_data(stream, body, True)
            if taken < len(body):
                return exchange.upload(AsyncOver(iter((body[taken:],))), None)
        exchange.expect_by("ttfb")
        return exchange.future

    def _wake_up(self, now: float) -> None:
        """The first exchange after idleness: from now on the peer shall be heard of."""
        if self._opening is None:
            self._woken = now
        self.watch(now + PING_AFTER_S)

    def cancel(self, request: Request) -> None:
        """See `Connection.cancel`: the stream is reset, the connection goes on."""
        for exchange in list(self._exchanges.values()):
            if exchange.request is request:
                exchange.future.cancel()
                self.reset(exchange)

    def is_stale(self, request: Request) -> bool:
        """See `Connection.is_stale`; besides, streams say by `Unprocessed` what may be sent again."""
        return self._is_stale

    def has_died(self) -> bool:
        """See `Connection.has_died`; the event loop has told already."""
        return self._is_closed

    def abort(self) -> None:
        """See `Connection.abort`."""
        self._close(ReadError("The connection was closed on this side while its responses were awaited."))

    def expire(self) -> None:
        """Called by the sweeper: fail what is late. A peer that was silent must answer a PING before it gets more."""
        now = monotonic()
        if self._is_lost(now):
            self._close(ReadError(f"{self.key} did not answer a PING.", kind="timeout_read"))
            return
        for exchange in list(self._exchanges.values()):
            if exchange.deadline <= now:
                doing = "writing to" if exchange.phase == "write" else "reading from"
                self.reset(exchange)
                exchange.fail(timed_out(exchange.request, exchange.phase, f"{doing} {self.key}"))
                self._ask(now)
        if self._exchanges and self._silent_since + PING_AFTER_S <= now:
            self._ask(now)
        self._note_capacity()
        self.deadline = self._next_deadline()
        self.watch(self.deadline)

    @property
    def _silent_since(self) -> float:
        return max(self.heard, self._woken)

    def _is_lost(self, now: float) -> bool:
        """Whether a PING stays unanswered; while bytes come for somebody, the answer may be queued behind them."""
        if self._exchanges and self._ping_deadline != NEVER:
            self._ping_deadline = max(self._ping_deadline, self.heard + PING_TIMEOUT_S)
        return self._ping_deadline <= now

    def _ask(self, now: float) -> None:
        if self._ping_deadline == NEVER:
            self._codec.ping()
            self._ping_deadline = now + PING_TIMEOUT_S
            self._flush_soon()

    def _next_deadline(self) -> float:
        deadline = min([exchange.deadline for exchange in self._exchanges.values()] + [self._ping_deadline])
        if self._exchanges and self._ping_deadline == NEVER:
            deadline = min(deadline, self._silent_since + PING_AFTER_S)
        return deadline

    # --- what the event loop calls ---

    def data_received(self, data: bytes) -> None:
        """Bytes from the peer."""
        self.heard = monotonic()
        try:
            self._codec.feed(data)
        except RemoteProtocolError as exc:
            self._tell_news()
            self._transport.write(self._codec.take_outgoing())
            self._close(exc)
            return
        self._tell_news()
        self._after_feed()
        if self.deadline <= self.heard:  # an event loop may read for seconds on end, and call no timer
            self.expire()

    def eof_received(self) -> None:
        """The peer has finished sending; the transport closes itself on return."""
        self._is_stale = self.heard < self._woken
        self._codec.feed_eof()
        self._tell_news()
        self._close(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is closed."""
        self.resume_writing()
        if not self._is_closed:
            self._is_stale = self.heard < self._woken
        self._codec.feed_eof()
        self._tell_news()
        self._close(ReadError(f"The connection to {self.key} broke: {exc}"))

    def pause_writing(self) -> None:
        """The peer takes too little."""
        self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        """There is room again."""
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)
        self._flush()

    # --- what the exchanges call ---

    def send(self, stream: Http2Stream, data: bytes, end: bool) -> int:
        """Send as much of `data` as flow control allows; gives how much.

        At once, for a body that never suspends would otherwise be in memory before the first byte has left.
        """
        taken = self._codec.send_data(stream, data, end)
        self._flush()
        return taken

    async def drain(self) -> None:
        """Wait until the transport has room."""
        if self._room is not None:
            await asyncio.shield(self._room)

    def consumed(self, stream: Http2Stream, size: int) -> None:
        """Body bytes were taken: the peer may send as many more."""
        self._codec.consumed(stream, size)
        self._flush_soon()

    def reset(self, exchange: Http2Exchange) -> None:
        """Give up the stream of `exchange`, and its place in the pool."""
        self._codec.reset(exchange.stream)
        self._flush_soon()
        self._leave(exchange, is_place_free=False)

    def ended(self, exchange: Http2Exchange) -> None:
        """The stream of `exchange` is at its end: its place in the pool is free."""
        if exchange.stream.is_sending:  # the answer came first: the rest of the body is not wanted
            self._codec.reset(exchange.stream, ErrorCode.NO_ERROR)
            self._flush_soon()
            self._leave(exchange, is_place_free=False)
        else:
            self._leave(exchange, is_place_free=not self._codec.is_draining)

    def _leave(self, exchange: Http2Exchange, *, is_place_free: bool) -> None:
        """Give the place in the pool back; what the connection can carry goes first, lest it be given away at once.

        The place of a stream that we have reset is free only when the peer is known to have heard it.
        """
        if self._exchanges.pop(exchange.stream.stream_id, None) is not None:
            if not is_place_free:
                self._note_capacity()
            self._pool.release(self)

    def watch(self, deadline: float) -> None:
        """Have the sweeper look by `deadline`."""
        if deadline < self.deadline:
            self.deadline = deadline
        if deadline < self._sweeper.wakes_at:
            self._sweeper.wake_by(deadline)

    def extensions(self, exchange: Http2Exchange, timing: Timing) -> dict[str, Any]:
        """What a response tells beside the message."""
        extensions = {
            "http_version": b"HTTP/2",
            "stream_id": exchange.stream.stream_id,
            "network_stream": self._network_stream,
            TIMING: timing,
        }
        if self._network_stream.tls is not None:
            extensions[TLS] = self._network_stream.tls
        return extensions

    @property
    def peer(self) -> tuple[str | None, int | None]:
        """The address of the peer."""
        return self._peer

    # --- inside ---

    def _tell_news(self) -> None:
        for stream in self._codec.take_changed():
            exchange = self._exchanges.get(stream.stream_id)
            if exchange is not None:
                exchange.on_news()

    def _after_feed(self) -> None:
        self._flush()
        self._note_capacity()
        if self._codec.is_draining and not self._exchanges:
            self._close(None)

    def _note_capacity(self) -> None:
        free = self._codec.capacity
        if not self._codec.is_answer_due:
            self._ping_deadline = NEVER
        if self._is_closed:
            return
        capacity = len(self._exchanges) + free
        if capacity != self.capacity:
            self._pool.resize(self, capacity)

    def _flush_soon(self) -> None:
        if not self._flushes:
            self._flushes = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushes = False
        if not self._is_closed and self._room is None:  # frames wait in the codec, which bounds them
            data = self._codec.take_outgoing()
            if data:
                self._transport.write(data)

    def _close(self, error: HTTPError | None) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self.deadline = NEVER
        self._transport.abort()
        self._codec.feed_eof()  # nothing more can be sent, or begun
        self._pool.discard(self)
        if error is None:
            error = ReadError(f"The connection to {self.key} was closed.")
        exchanges, self._exchanges = self._exchanges, {}
        for exchange in exchanges.values():
            exchange.fail(type(error)(str(error), kind=error.kind))  # each has its own: it will tell its request


class Http2Exchange:
    """One request and its response on an HTTP/2 connection.

    Slots and no dataclass: one is made for every request.
    """

    __slots__ = (
        "_body",
        "_connection",
        "_extensions",
        "_first_byte",
        "_opening",
        "_pieces",
        "_received",
        "_room",
        "_sent",
        "_size_limit",
        "_whole",
        "deadline",
        "future",
        "phase",
        "request",
        "started",
        "stream",
    )

    def __init__(
        self,
        connection: AsyncioHttp2,
        request: Request,
        stream: Http2Stream,
        whole: bool,
        opening: ConnectTiming | None,
    ) -> None:
        self._connection = connection
        self.request = request
        self.stream = stream
        self._whole = whole
        self._opening = opening
        self._size_limit: int | None = request.extensions.get("max_response_size")
        self._received = 0
        self._pieces: list[bytes] = []  # of a body that is given whole
        self._body: StreamedBody | None = None
        self._extensions: dict[str, Any] = {}  # of the response, if its body streams
        self._room: asyncio.Future[None] | None = None
        self._first_byte = 0.0
        self.started = self._sent = monotonic()
        self.deadline = NEVER
        self.phase: Phase = "read"
        self.future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

    def expect_by(self, phase: Phase) -> None:
        """Let the exchange fail unless something happens within the time limit of `phase`."""
        self.phase = phase
        self.deadline = deadline_of(self.request, phase)
        self._connection.watch(self.deadline)

    # --- sending ---

    async def upload(self, pieces: AsyncIterator[bytes], meter: BodyMeter | None) -> Response:
        """Send the body piece by piece, until it ends or the response has; then wait for the answer.

        Args:
            pieces: Of the body.
            meter: Holds them to the length that was declared.
        """
        try:
            try:
                await self._send_pieces(pieces, meter)
            finally:
                await release(self.request.stream, pieces)
        except BaseException:
            if self.future.done() and not self.future.cancelled():
                self.future.exception()  # seen: what the body raised goes first
            raise
        if not self.future.done():
            self._sent = monotonic()
            self.expect_by("read" if self._first_byte else "ttfb")
        return await self.future

    async def _send_pieces(self, pieces: AsyncIterator[bytes], meter: BodyMeter | None) -> None:
        async for piece in pieces:
            if meter is not None:
                meter.add(len(piece))
            await self._send(piece)
            if not self.stream.is_sending:
                return
        if meter is not None:
            meter.finish()
        self._connection.send(self.stream, b"", True)

    async def _send(self, piece: bytes) -> None:
        while piece and self.stream.is_sending:
            self._room = asyncio.get_running_loop().create_future()
            taken = self._connection.send(self.stream, piece, False)
            piece = piece[taken:]
            self.expect_by("write")
            if piece:
                await self._room
            else:
                await self._connection.drain()
        self._room = None
        self.deadline = NEVER

    def _wake_upload(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    # --- receiving ---

    def on_news(self) -> None:
        """The stream has changed: head, body, end, error, or room to send."""
        stream = self.stream
        if not self._first_byte and stream.status:
            self._first_byte = self._connection.heard
        self._wake_upload()
        pieces, stream.body = stream.body, []
        if self._size_limit is not None and not self._is_within(self._size_limit, pieces):
            return
        if stream.error is not None:
            self._break_off(pieces, failure_of(stream))
        elif self._body is not None:
            self._pass_on(self._body, pieces)
        elif stream.is_complete and self._whole:
            self._deliver_whole(pieces)
        elif stream.status and (not self._whole or 300 <= stream.status < 400):
            # The body of a redirect may be endless, and is of little use: its end is not waited for.
            self._deliver_head(pieces)
        else:
            self._keep(pieces)

    def _break_off(self, pieces: list[bytes], error: HTTPError) -> None:
        """The stream has failed; of a streamed response the reader gets first what came before."""
        self._connection.ended(self)
        if self._body is not None:
            self._body.add(pieces)
        elif not self._whole and self.stream.status:
            self._deliver_head(pieces)
        self.fail(error)

    def _is_within(self, limit: int, pieces: list[bytes]) -> bool:
        self._received += sum(map(len, pieces))
        if self._received <= limit:
            return True
        self._connection.reset(self)
        self.fail(ResponseTooLarge(f"The body is larger than max_response_size={limit} bytes."))
        return False

    def _keep(self, pieces: list[bytes]) -> None:
        """A whole body is still coming: the peer may go on at once."""
        if pieces:
            self._pieces += pieces
            self._connection.consumed(self.stream, sum(map(len, pieces)))
        if self.phase != "write":
            self.expect_by("read")

    def _deliver_whole(self, pieces: list[bytes]) -> None:
        pieces = self._pieces + pieces if self._pieces else pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        ended = self._connection.heard
        response = self._response(body, self._timing(ended))
        response.ended = ended
        if self.stream.trailers:
            response.extensions["trailers"] = self.stream.trailers
        self.deadline = NEVER
        self._connection.ended(self)
        if not self.future.done():
            self.future.set_result(response)

    def _deliver_head(self, pieces: list[bytes]) -> None:
        timing = self._timing(0.0)
        body = self._body = StreamedBody(self, timing, self._first_byte)
        if self.phase != "write":
            self.deadline = total_deadline(self.request)  # from here on it is the reader of the body who waits
        response = self._response(body, timing)
        self._extensions = response.extensions
        self._pass_on(body, pieces)
        if not self.future.done():
            self.future.set_result(response)

    def _response(self, body: bytes | AsyncByteStream, timing: Timing) -> Response:
        stream = self.stream
        extensions = self._connection.extensions(self, timing)
        response = Response.from_wire(stream.status, stream.headers, body, extensions, self.request)
        response.started = self.started
        return response

    def _timing(self, ended: float) -> Timing:
        first_byte = self._first_byte
        return Timing(
            self._opening,
            self._sent - self.started,
            max(0.0, first_byte - self._sent),
            ended - first_byte if ended else 0.0,
            self._connection.number,
            self._connection.peer,
        )

    def _pass_on(self, body: StreamedBody, pieces: list[bytes]) -> None:
        if self.stream.is_complete:
            self.deadline = NEVER
            if self.stream.trailers:
                self._extensions["trailers"] = self.stream.trailers
            self._connection.ended(self)
            body.finish(pieces)
        else:
            body.add(pieces)

    def fail(self, error: HTTPError) -> None:
        """There will be no response, or no more of it."""
        self.deadline = NEVER
        self._wake_upload()
        error.request = self.request
        if self._body is not None:
            self._body.fail(error)
        elif not self.future.done():
            self.future.set_exception(error)

    # --- what the streamed body calls ---

    def await_body(self) -> None:
        """See `BodySource.await_body`."""
        self.expect_by("read")

    def body_taken(self, size: int) -> None:
        """See `BodySource.body_taken`: the windows open as the reader reads, so that a slow one stops only itself."""
        self.deadline = total_deadline(self.request)
        self._connection.consumed(self.stream, size)

    def abandon_body(self, body: StreamedBody) -> None:
        """See `BodySource.abandon_body`: the stream is reset, the connection goes on."""
        self.deadline = NEVER
        self._connection.reset(self)
