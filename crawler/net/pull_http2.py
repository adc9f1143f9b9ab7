"""HTTP/2 where connections are read: for trio, and for a blocking client that threads share.

There is no task or thread in the background. Of all who wait for an answer one waits for the socket, for all:

    exchange() ─▶ codec.request() ─▶ _flush: what the socket takes leaves at once, the rest when there is room
        │
        └─▶ wait ─┬─ nobody waits for the socket ─▶ serve: socket ready ─▶ codec.feed ─▶ on_news of those it is for
                  └─ somebody does ───────────────▶ an event: set by on_news, or by whom one is to relieve

Who has what it waits for, or is cancelled, or out of time, hands the socket on to another that waits. Codec and socket
are used under one lock, which is never held while waiting, and nothing that is cancelled can leave half a frame behind:
what the socket did not take stays in the `Duplex` for whoever comes next. The pool is told outside the lock
(`_settle`), as it may abort other connections in turn.

While nobody waits, nothing is read: pending frames are looked at before the next request (`has_died`).
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from time import monotonic
from types import TracebackType
from typing import Any

from crawler.errors import NetworkError, ReadError, RemoteProtocolError, TransportError
from crawler.models import BodyMeter, ByteStream, Origin, Request, Response
from crawler.models.content import AsyncOver
from crawler.net.connect import Opening
from crawler.net.deadlines import NEVER, timed_out
from crawler.net.duplex import SharedStream, duplex
from crawler.net.http2_request import PING_AFTER_S, PING_TIMEOUT_S, Unsent, begin_stream, body_meter
from crawler.net.numbers import connection_numbers
from crawler.net.pool import Pool
from crawler.net.pull_exchange import PulledExchange
from crawler.net.pull_world import World
from crawler.net.stream import Stream
from crawler.net.timing import TIMING, ConnectTiming, Timing
from crawler.net.tls_info import TLS
from crawler.net.upload import ONE_WRITE
from crawler.wire import ErrorCode, Http2Connection, Http2Stream, http2_connection


class PullHttp2:
    """One HTTP/2 connection."""

    __slots__ = (
        "_codec",
        "_exchanges",
        "_heard",
        "_holder",
        "_is_closed",
        "_is_stale",
        "_lock",
        "_network_stream",
        "_opening",
        "_owed",
        "_ping_deadline",
        "_pool",
        "_readiness",
        "_wire",
        "_woken",
        "capacity",
        "idle_since",
        "is_gone",
        "key",
        "leased",
        "number",
        "peer",
        "world",
    )

    is_shared = True

    def __init__(self, pool: Pool, key: Origin, opening: Opening, stream: Stream, world: World) -> None:
        self.key = key
        self.leased = 0
        self.idle_since = 0.0
        self.is_gone = False
        self.number = next(connection_numbers)
        self.world = world
        peer = stream.get_extra_info("server_addr")
        self.peer: tuple[str | None, int | None] = peer[:2] if isinstance(peer, tuple) else (None, None)
        ssl_object = stream.get_extra_info("ssl_object")
        self._pool = pool
        self._wire = duplex(stream)
        self._network_stream = world.face(SharedStream(self._wire.sock, ssl_object), tls=opening.tls)
        self._readiness = world.readiness(self._wire.sock)
        self._opening: ConnectTiming | None = opening.timing
        self._codec: Http2Connection = http2_connection(opening.route.streams.limits)
        self.capacity = self._codec.capacity
        self._exchanges: dict[int, PulledExchange] = {}
        self._holder: PulledExchange | None = None  # who waits for the socket
        self._ping_deadline = NEVER
        self._owed = 0  # leases that have ended and that the pool does not know of yet
        self._heard = monotonic()  # when anything came last
        self._woken = 0.0  # when the connection, which others had used before, was last taken out of idleness
        self._is_stale = False
        self._is_closed = False
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else f"{len(self._exchanges)} streams"
        return f"<HTTP/2 connection {self.number} to {self.key}, {state}>"

    def __enter__(self) -> None:
        """Take the lock."""
        self._lock.acquire()

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Release it; after a KeyboardInterrupt under it nobody knows what the codec and the socket have done."""
        try:
            if exc is not None and not isinstance(exc, TransportError):
                self._close(ReadError("The use of the connection was interrupted."))
        finally:
            self._lock.release()

    # --- what the pool and the script of a request call ---

    async def exchange(self, request: Request, whole: bool) -> Response:
        """See `Connection.exchange`."""
        exchange, rest = self._begin(request, whole)
        try:
            if rest is not None:
                await exchange.upload(rest)
            return await exchange.response()
        except BaseException:
            self.give_up(exchange)
            raise

    def cancel(self, request: Request) -> None:
        """See `Connection.cancel`: the stream is reset, the connection goes on."""
        for exchange in list(self._exchanges.values()):
            if exchange.request is request:
                self.give_up(exchange)

    def is_stale(self, request: Request) -> bool:
        """See `Connection.is_stale`."""
        return self._is_stale

    def has_died(self) -> bool:
        """See `Connection.has_died`; what has come while nobody read is looked at."""
        with self:
            if self._holder is None:
                while not self._is_closed and self._receive():
                    pass
        self._settle()
        return self._is_closed

    def abort(self) -> None:
        """See `Connection.abort`."""
        with self:
            self._close(ReadError("The connection was closed on this side while its responses were awaited."))
        self._settle()

    # --- what the exchanges call without the lock ---

    async def wait(self, exchange: PulledExchange) -> None:
        """Return when `exchange.is_due()`; the socket is served by the way, unless another does it.

        Raises:
            TimeoutException: Its deadline came first.
        """
        try:
            while True:
                with self:
                    if exchange.is_due():
                        return
                    if exchange.deadline <= monotonic():
                        self._expire(exchange)
                        break
                    event = None
                    if self._holder is None:
                        self._holder = exchange
                    elif self._holder is not exchange:
                        event = exchange.event = self.world.event()
                if event is not None:
                    await event.wait(exchange.deadline)
                else:
                    await self._serve(exchange)
        finally:
            self._step_down(exchange)
            self._settle()
        doing = "writing to" if exchange.phase == "write" else "reading from"
        raise timed_out(exchange.request, exchange.phase, f"{doing} {self.key}")

    def send(self, exchange: PulledExchange, data: bytes, end: bool) -> int:
        """Send as much of `data` as flow control allows, and look what has come; gives how much."""
        with self:
            taken = self._codec.send_data(exchange.stream, data, end)
            if self._holder is None:
                self._receive()
            else:
                self._flush()
        self._settle()
        return taken

    def take_pieces(self, exchange: PulledExchange) -> list[bytes]:
        """The body bytes that have come; the peer may send as many more."""
        with self:
            pieces = exchange.take_pieces()
            if pieces and not exchange.ended:
                self._codec.consumed(exchange.stream, sum(map(len, pieces)))
                self._flush()
        return pieces

    def give_up(self, exchange: PulledExchange) -> None:
        """End `exchange`, wherever it is; nothing happens if it has ended."""
        with self:
            if self._exchanges.get(exchange.stream.stream_id) is exchange:
                self.reset(exchange)
                self._flush()
        self._step_down(exchange)
        self._settle()

    def extensions(self, exchange: PulledExchange, timing: Timing) -> dict[str, Any]:
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

    # --- what the exchanges call within `on_news`, under the lock ---

    @property
    def is_full(self) -> bool:
        """Whether the socket has not taken all that was sent."""
        return self._wire.wants_write

    def open_window(self, stream: Http2Stream, size: int) -> None:
        """Body bytes were put away: the peer may send as many more."""
        self._codec.consumed(stream, size)

    def reset(self, exchange: PulledExchange) -> None:
        """Give up the stream of `exchange`, and its place in the pool."""
        self._codec.reset(exchange.stream)
        self.ended(exchange)

    def ended(self, exchange: PulledExchange) -> None:
        """The response has ended, well or not: its place in the pool is free; the rest of an upload is not wanted."""
        if self._exchanges.pop(exchange.stream.stream_id, None) is not None:
            self._owed += 1
            if exchange.stream.is_sending:
                self._codec.reset(exchange.stream, ErrorCode.NO_ERROR)

    # --- inside, without the lock ---

    def _begin(self, request: Request, whole: bool) -> tuple[PulledExchange, AsyncIterator[bytes] | None]:
        """Send the head, and the body if it is small and the windows allow; gives what is left of the body."""
        body = request.stream.body if isinstance(request.stream, ByteStream) else None
        exchange = None
        try:
            meter = body_meter(request, body)
            rest = None if body is not None and len(body) <= ONE_WRITE else self.world.chunks(request.stream)
            with self:
                exchange = self._begin_exchange(request, whole, body == b"", meter)
                if rest is None and body:
                    taken = self._codec.send_data(exchange.stream, body, True)
                    if taken < len(body):
                        rest = AsyncOver(iter((body[taken:],)))
                self._flush()
        except BaseException:
            if exchange is None:
                self._owed += 1  # the lease has come to nothing
            raise
        finally:
            self._settle()
        return exchange, rest

    async def _serve(self, exchange: PulledExchange) -> None:
        """Take what has come, or wait until something does."""
        with self:
            has_come = self._receive()
            wants_write = self._wire.wants_write
            asks_at = self._silent_since + PING_AFTER_S if self._ping_deadline == NEVER else self._ping_deadline
            deadline = min(exchange.deadline, asks_at)
        self._settle()
        if not has_come:
            await self._readiness.wait(wants_write, deadline)

    def _step_down(self, exchange: PulledExchange) -> None:
        """`exchange` waits no more: if it held the socket, another that waits has it now."""
        with self:
            exchange.event = None
            if self._holder is not exchange:
                return
            self._holder = None
            if self._is_closed:
                self._let_go()
                return
            for other in self._exchanges.values():
                if other.event is not None and not other.is_due():
                    self._holder = other
                    other.event.set()
                    return

    def _settle(self) -> None:
        """Tell the pool what has happened; outside the lock, as the pool may abort other connections in turn.

        What the connection can carry goes first, so that nobody is given a place that only seems free.
        """
        while True:
            with self:
                free = self._codec.capacity
                if not free and not self._exchanges:
                    self._close(None)  # nobody would read the peer's word that it takes more
                if self._is_closed:
                    break
                capacity = len(self._exchanges) + free
            if capacity == self.capacity:
                self._give_back()
                return
            self._pool.resize(self, capacity)
        if not self.is_gone:
            self._pool.discard(self)

    def _give_back(self) -> None:
        while self._owed:
            with self:
                if not self._owed:
                    return
                self._owed -= 1
            self._pool.release(self)

    # --- inside, under the lock ---

    def _begin_exchange(self, request: Request, whole: bool, ends: bool, meter: BodyMeter | None) -> PulledExchange:
        if self._is_closed:
            raise Unsent("The HTTP/2 connection was closed just now.", kind="connection_lost")
        stream = begin_stream(self._codec, request, end=ends)
        if not self._exchanges and self._opening is None:
            self._woken = monotonic()
        exchange = PulledExchange(self, request, stream, whole, meter, self._opening)
        self._opening = None
        self._exchanges[stream.stream_id] = exchange
        return exchange

    def _receive(self) -> bool:
        """Take what has come and tell whom it is for; False if nothing has."""
        self._flush()
        if self._is_closed:
            return True
        try:
            data = self._wire.take()
            if data is None:
                self._check_ping()
                return self._is_closed
            if not data:
                self._on_eof()
                return True
            self._heard = monotonic()
            self._codec.feed(data)
        except RemoteProtocolError as exc:
            self._tell_news()
            self._close(exc)
            return True
        except NetworkError as exc:
            self._is_stale = self._heard < self._woken
            self._close(exc)
            return True
        self._tell_news()
        self._flush()
        if not self._codec.is_answer_due:
            self._ping_deadline = NEVER
        self._check_ping()
        return True

    def _on_eof(self) -> None:
        self._is_stale = self._heard < self._woken
        self._codec.feed_eof()
        self._tell_news()
        self._close(None)

    def _tell_news(self) -> None:
        for stream in self._codec.take_changed():
            exchange = self._exchanges.get(stream.stream_id)
            if exchange is not None:
                exchange.on_news()
                exchange.wake_if_due()

    def _flush(self) -> None:
        """Give the socket what it takes. Frames wait in the codec, which bounds them, while it takes nothing."""
        if self._is_closed:
            return
        wire = self._wire
        was_full = wire.wants_write
        try:
            wire.send()
            while not wire.wants_write and (data := self._codec.take_outgoing()):
                wire.send(data)
        except NetworkError as exc:
            self._on_write_error(exc)
            return
        if wire.wants_write is not was_full:
            if was_full:
                for exchange in self._exchanges.values():
                    exchange.wake_if_due()
            elif self._holder is not None:
                self._readiness.wake()  # it shall wait for room, too

    def _on_write_error(self, error: NetworkError) -> None:
        """What the peer said before it closed still counts: an early answer, or a GOAWAY."""
        try:
            while not self._is_closed and (data := self._wire.take()):
                self._heard = monotonic()
                self._codec.feed(data)
                self._tell_news()
        except (NetworkError, RemoteProtocolError):
            pass
        self._tell_news()
        self._is_stale = self._heard < self._woken
        self._close(error)

    def _expire(self, exchange: PulledExchange) -> None:
        """`exchange` is late; before the peer gets another request it must show that it is there, by its PONG."""
        self.reset(exchange)
        if self._ping_deadline == NEVER:
            self._ask()
            if self._holder is not None:
                self._readiness.wake()  # it shall heed the new deadline
        self._flush()

    def _ask(self) -> None:
        self._codec.ping()
        self._ping_deadline = monotonic() + PING_TIMEOUT_S

    @property
    def _silent_since(self) -> float:
        return max(self._heard, self._woken)

    def _check_ping(self) -> None:
        """Ask a peer that has been silent for long; close where no answer came to that.

        While bytes come for somebody, the answer may be queued behind them.
        """
        now = monotonic()
        if self._ping_deadline == NEVER:
            if self._exchanges and self._silent_since + PING_AFTER_S <= now:
                self._ask()
                self._flush()
            return
        if self._exchanges:
            self._ping_deadline = max(self._ping_deadline, self._heard + PING_TIMEOUT_S)
        if self._ping_deadline <= now:
            self._close(ReadError(f"{self.key} did not answer a PING.", kind="timeout_read"))

    def _close(self, error: TransportError | None) -> None:
        """Fail what goes on, and close; the one who waits for the socket is woken, and lets it go."""
        if self._is_closed:
            return
        self._is_closed = True
        self._ping_deadline = NEVER
        exchanges, self._exchanges = self._exchanges, {}
        if error is None:
            error = ReadError(f"The connection to {self.key} was closed.")
        for exchange in exchanges.values():
            exchange.fail(type(error)(str(error), kind=error.kind))
            exchange.wake_if_due()
        self._say_goodbye()
        if self._holder is None:
            self._let_go()
        else:
            self._readiness.wake()

    def _say_goodbye(self) -> None:
        try:
            self._codec.close()
            self._wire.send()
            if not self._wire.wants_write:
                self._wire.send(self._codec.take_outgoing())
        except NetworkError:
            pass  # the peer has gone already

    def _let_go(self) -> None:
        self._wire.close()
        self._readiness.close()
