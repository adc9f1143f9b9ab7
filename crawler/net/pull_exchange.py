"""One request and its response on an HTTP/2 connection that is read, see `pull_http2.py`."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator
from time import monotonic
from typing import TYPE_CHECKING, Any

from crawler.errors import HTTPError, ResponseTooLarge, StreamClosed
from crawler.models import AsyncByteStream, BodyMeter, Request, Response, SyncByteStream
from crawler.net.deadlines import NEVER, Phase, deadline_of
from crawler.net.http2_request import failure_of
from crawler.net.pool import Event
from crawler.net.timing import ConnectTiming, Timing
from crawler.net.upload import ONE_WRITE, release
from crawler.wire import Http2Stream

if TYPE_CHECKING:
    from crawler.net.pull_http2 import PullHttp2


class Awaits(enum.Enum):
    """What an exchange waits for."""

    ROOM = "room"
    HEAD = "head"
    PIECE = "piece"
    END = "end"


class PulledExchange:
    """One stream, what has come on it, and what its owner waits for. It is the body of a streamed response, too.

    What `on_news` and the methods near it do is done under the connection's lock, by whoever serves the socket; all
    else by the owner.

    Slots and no dataclass: one is made for every request.

    Attributes:
        request: What was sent.
        stream: The codec's.
        event: Wakes the owner, while it waits for another that serves the socket.
        deadline: When the owner is out of time; monotonic seconds.
        phase: Which time limit that is.
        ended: When the last byte came; monotonic seconds, 0 before.
    """

    __slots__ = (
        "_awaits",
        "_connection",
        "_error",
        "_extensions",
        "_first_byte",
        "_is_abandoned",
        "_is_blocked",
        "_meter",
        "_opening",
        "_pieces",
        "_received",
        "_sent",
        "_size_limit",
        "_started",
        "_timing",
        "_whole",
        "deadline",
        "ended",
        "event",
        "phase",
        "request",
        "stream",
    )

    def __init__(
        self,
        connection: PullHttp2,
        request: Request,
        stream: Http2Stream,
        whole: bool,
        meter: BodyMeter | None,
        opening: ConnectTiming | None,
    ) -> None:
        self._connection = connection
        self.request = request
        self.stream = stream
        self._whole = whole
        self._meter = meter
        self._opening = opening
        self._size_limit: int | None = request.extensions.get("max_response_size")
        self._received = 0
        self._pieces: list[bytes] = []
        self._awaits = Awaits.HEAD
        self._is_blocked = False
        self._is_abandoned = False
        self._error: HTTPError | None = None
        self._extensions: dict[str, Any] = {}  # of the response, if its body streams
        self._timing: Timing | None = None
        self._first_byte = self.ended = 0.0
        self._started = self._sent = monotonic()
        self.event: Event | None = None
        self.deadline = NEVER
        self.phase: Phase = "read"

    # --- what happens to it, under the lock ---

    def is_due(self) -> bool:
        """Whether what the owner waits for is there, or will never be."""
        if self._error is not None or self.stream.is_complete:
            return True
        match self._awaits:
            case Awaits.ROOM:
                return not self._is_blocked and not self._connection.is_full
            case Awaits.HEAD:
                return self.stream.status != 0
            case Awaits.PIECE:
                return bool(self._pieces)
            case Awaits.END:
                return not self._whole

    def wake_if_due(self) -> None:
        """Wake the owner, if it waits and need not."""
        if self.event is not None and self.is_due():
            self.event.set()

    def on_news(self) -> None:
        """The stream has changed: head, body, end, error, or room to send."""
        stream = self.stream
        self._is_blocked = False
        if not self._first_byte and stream.status:
            self._first_byte = monotonic()
        pieces, stream.body = stream.body, []
        size = sum(map(len, pieces))
        self._received += size
        if self._size_limit is not None and self._received > self._size_limit:
            self._connection.reset(self)
            self.fail(ResponseTooLarge(f"The body is larger than max_response_size={self._size_limit} bytes."))
            return
        self._pieces += pieces
        if stream.error is not None:
            self._connection.ended(self)
            self.fail(failure_of(stream))
        elif stream.is_complete:
            self.ended = monotonic()
            self._connection.ended(self)
        elif 300 <= stream.status < 400:
            self._whole = False  # the body of a redirect may be endless, and is of little use: its end is not awaited
        elif self._whole:
            if size:
                self._connection.open_window(stream, size)
            if self.phase != "write":
                self._expect_more()

    def _expect_more(self) -> None:
        """From now on it is the read timeout that counts; who waits by an event goes by the deadline of before."""
        before, self.phase = self.deadline, "read"
        self.deadline = deadline_of(self.request, "read")
        if self.deadline < before and self.event is not None:
            self.event.set()

    def take_pieces(self) -> list[bytes]:
        """The body bytes that have come since the last call."""
        pieces, self._pieces = self._pieces, []
        return pieces

    def fail(self, error: HTTPError) -> None:
        """There will be no response, or no more of it."""
        if self._error is None:
            error.request = self.request
            self._error = error

    # --- sending ---

    async def upload(self, pieces: AsyncIterator[bytes]) -> None:
        """Send the body piece by piece, until it ends or the response has."""
        try:
            await self._send_pieces(pieces)
        finally:
            await release(self.request.stream, pieces)
        self._sent = monotonic()

    async def _send_pieces(self, pieces: AsyncIterator[bytes]) -> None:
        meter = self._meter
        async for piece in pieces:
            if meter is not None:
                meter.add(len(piece))
            for start in range(0, len(piece), ONE_WRITE):
                await self._send(piece[start : start + ONE_WRITE])
            if not self.stream.is_sending:
                return
        if meter is not None:
            meter.finish()
        self._connection.send(self, b"", True)

    async def _send(self, piece: bytes) -> None:
        while piece and self.stream.is_sending and self._error is None:
            self._is_blocked = True  # unless told otherwise while the frames are sent
            taken = self._connection.send(self, piece, False)
            if taken == len(piece):
                self._is_blocked = False
            piece = piece[taken:]
            await self._until(Awaits.ROOM, "write")

    # --- receiving ---

    async def response(self) -> Response:
        """Wait for the response, whole or its head."""
        phase: Phase = "read" if self._first_byte else "ttfb"
        await self._until(Awaits.END if self._whole else Awaits.HEAD, phase)
        timing = self._timing = Timing(
            self._opening,
            self._sent - self._started,
            max(0.0, self._first_byte - self._sent),
            0.0,
            self._connection.number,
            self._connection.peer,
        )
        body: bytes | SyncByteStream | AsyncByteStream
        if self._whole:
            timing.receive = self.ended - self._first_byte
            pieces = self._pieces
            body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        else:
            body = self._connection.world.body(self)
        extensions = self._connection.extensions(self, timing)
        response = Response.from_wire(self.stream.status, self.stream.headers, body, extensions, self.request)
        response.started = self._started
        if self._whole:
            response.ended = self.ended
            if self.stream.trailers:
                extensions["trailers"] = self.stream.trailers
        self._extensions = extensions
        return response

    async def next_piece(self) -> bytes:
        """See `PulledBody.next_piece`: the windows open as the user reads, so that a slow one stops only itself."""
        if self._is_abandoned:
            raise StreamClosed
        if not self._pieces and not self.ended:
            try:
                await self._until(Awaits.PIECE, "read")
            except BaseException as exc:
                self._connection.give_up(self)
                if isinstance(exc, HTTPError):
                    exc.request = self.request
                raise
        pieces = self._connection.take_pieces(self)
        if self.ended and self._timing is not None:
            self._timing.receive = self.ended - self._first_byte
            if self.stream.trailers:
                self._extensions["trailers"] = self.stream.trailers
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def abandon(self) -> None:
        """See `PulledBody.abandon`: the stream is reset, the connection goes on."""
        self._is_abandoned = not self.ended
        self._connection.give_up(self)

    async def _until(self, awaits: Awaits, phase: Phase) -> None:
        self._awaits = awaits
        self.phase = phase
        self.deadline = deadline_of(self.request, phase)
        if awaits is not Awaits.PIECE or not self._pieces:
            await self._connection.wait(self)
        if self._error is None:
            return
        # What came before the error is given first: a head, or pieces.
        awaits_head = awaits is Awaits.HEAD or (awaits is Awaits.END and not self._whole)
        has_come = self.stream.status if awaits_head else awaits is Awaits.PIECE and self._pieces
        if not has_come:
            raise self._error
