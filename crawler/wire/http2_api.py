"""HTTP/2 on the wire, without I/O: what a connection and its streams look like to their owner.

    bytes ──feed()──▶ Http2Connection ──take_changed()──▶ Http2Stream: status, headers, body, is_complete, error
    request(), send_data(), consumed(), reset() ──▶ frames ──take_outgoing()──▶ bytes

Two connections stand behind one interface and are held together by one test suite and a differential fuzz:
`http2.Http2Connection` (fast) and `http2_h2.Http2Connection` (reference). `codecs.http2_connection()` chooses.

The owner's duties: write what `take_outgoing()` gives after its calls (the frames of one loop tick leave in one write),
look at `take_changed()` after every `feed()`, say `consumed()` for body bytes as the user takes them, and keep time: a
silent peer is asked by `ping()`. After a `RemoteProtocolError` the last words are in `take_outgoing()`; then close.

Not here: server push (refused), priorities (ignored), CONNECT, and HTTP/2 by upgrade.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from crawler.errors import RemoteProtocolError
from crawler.models.headers import HeadTemplate

Fields = list[tuple[bytes, bytes]]


class ErrorCode(enum.IntEnum):
    """Why a stream or a connection ends (RFC 9113 §7)."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13


@dataclass(frozen=True, slots=True)
class Http2Limits:
    """Bounds of what a peer may make us hold or do.

    Attributes:
        stream_window_bytes: Body bytes of one stream that may lie unread. A slow reader stops its own stream there; the
            window of the connection is given back as bytes arrive, so that it stops no other.
        connection_window_bytes: Bytes in flight on the connection.
        header_list_bytes: A decoded field section, counted as RFC 9113 §6.5.2 does (32 bytes more for each field).
        header_block_bytes: The same, still coded, CONTINUATION frames included.
        fields: Most fields of a section.
        continuations: Most CONTINUATION frames of a section.
        informational: Most 1xx heads of a stream.
        idle_frames: Frames without progress (empty DATA, PING, SETTINGS, PRIORITY, RST_STREAM, WINDOW_UPDATE, unknown
            ones, 1xx heads) that a peer may send beyond twenty for each frame with progress.
        answers: Answers of ours (to PING, SETTINGS) that may wait to be taken, if the peer does not read them.
        streams: Most streams open at once, whatever the peer allows.
    """

    stream_window_bytes: int = 1 << 20
    connection_window_bytes: int = 1 << 24
    header_list_bytes: int = 256 * 1024
    header_block_bytes: int = 256 * 1024
    fields: int = 1000
    continuations: int = 63
    informational: int = 32
    idle_frames: int = 10_000
    answers: int = 1000
    streams: int = 1000


LIMITS: Final = Http2Limits()


class Http2Stream:
    """One request and its response; written by the connection, read by the owner.

    Slots and no dataclass: one is made for every request.

    Attributes:
        stream_id: Odd, counting up.
        status: 0 until the final head has come; 1xx heads are skipped.
        headers: Names in lower case, without pseudo fields; a new list per response.
        body: Pieces of the body since the owner last took them; the owner may clear or replace the list, and says
            `connection.consumed()` for what it took.
        trailers: Fields after the body.
        is_complete: Whether the response has ended, whole.
        error: Why there will be no (whole) response; then nothing more happens to the stream.
        is_unprocessed: With an error: the peer says that it did nothing for this request (REFUSED_STREAM, or above the
            last stream of its GOAWAY), so it may be sent again on another connection, whatever its method.
        is_sending: Whether the request body has not ended yet. It ends by itself when the stream does.
    """

    __slots__ = (
        "body",
        "credit",
        "error",
        "expected_bytes",
        "headers",
        "informational",
        "is_blocked",
        "is_changed",
        "is_complete",
        "is_sending",
        "is_unprocessed",
        "method",
        "receive_window",
        "received_bytes",
        "send_window",
        "status",
        "stream_id",
        "trailers",
    )

    def __init__(self, stream_id: int, method: str, *, is_sending: bool, send_window: int, receive_window: int) -> None:
        self.stream_id = stream_id
        self.method = method
        self.status = 0
        self.headers: Fields = []
        self.body: list[bytes] = []
        self.trailers: Fields = []
        self.is_complete = False
        self.error: RemoteProtocolError | None = None
        self.is_unprocessed = False
        self.is_sending = is_sending
        # The rest is the connection's own book-keeping.
        self.is_changed = False
        self.is_blocked = False  # the owner has more to send than the windows allowed
        self.informational = 0
        self.expected_bytes = -1  # of the body, by its `content-length`; -1: not said
        self.received_bytes = 0
        self.send_window = send_window
        self.receive_window = receive_window
        self.credit = 0  # bytes consumed and not yet given back to the peer's window

    def __repr__(self) -> str:
        state = f"error={self.error!r}" if self.error else f"status={self.status}, is_complete={self.is_complete}"
        return f"<Http2Stream {self.stream_id} {self.method} {state}>"


class Http2Connection(Protocol):
    """The client's side of one HTTP/2 connection: bytes in and out, no I/O.

    Attributes:
        streams: Those not at an end, by id.
        error: Why the connection failed; all its streams have failed with it.
        is_draining: The peer has sent GOAWAY (or the stream ids are used up): what runs may end, nothing new begins.
    """

    streams: dict[int, Http2Stream]
    error: RemoteProtocolError | None
    is_draining: bool

    @property
    def capacity(self) -> int:
        """How many more requests may begin now; 0 while the peer owes the answer to a `ping()`.

        Streams that were reset count until the peer is known to have seen it (a PING of ours answered), so that fast
        cancellation never opens more than the peer allows. 100 are assumed before the peer's settings have come.
        """

    @property
    def is_answer_due(self) -> bool:
        """Whether the peer owes the answer to a `ping()`."""

    def request(
        self,
        method: str,
        scheme: bytes,
        authority: bytes,
        path: bytes,
        headers: HeadTemplate | Sequence[tuple[bytes, bytes]],
        *,
        end: bool = True,
    ) -> Http2Stream:
        """Begin a request.

        Args:
            authority: What `Host:` would say; a `host` among the headers goes before it.
            path: Path and query.
            headers: In any case; connection-specific ones are dropped. A `HeadTemplate` is encoded once per
                connection and authority, a sequence every time.
            end: Whether there is no body.

        Raises:
            LocalProtocolError: No `capacity`, or something that may not go out (see `http1.encode_request_head`).
        """

    def send_data(self, stream: Http2Stream, data: bytes, end: bool) -> int:
        """Send a piece of the request body, as much as the windows of stream and connection allow.

        Returns:
            How many bytes were taken. If not all, the stream is among `take_changed()` when there is room again; `end`
            counts only with the last byte. 0 if the stream is at its end: look at `error` and `is_complete`.

        Raises:
            LocalProtocolError: The request has ended already.
        """

    def consumed(self, stream: Http2Stream, size: int) -> None:
        """Tell that the user has taken so many body bytes: the peer may send as many more, in large steps."""

    def reset(self, stream: Http2Stream, code: int = ErrorCode.CANCEL) -> None:
        """Give a stream up. Nothing, if it is at its end."""

    def ping(self) -> None:
        """Ask whether the peer still answers; no new request begins until it has."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the connection.

        Raises:
            RemoteProtocolError: The connection has failed, and every stream with it. What is wrong with one stream
                only is in that stream's `error` and raises nothing.
        """

    def feed_eof(self) -> None:
        """Take the end of the peer's side: every stream that is not complete fails."""

    def close(self) -> None:
        """Say good-bye (GOAWAY) when nothing runs any more; the owner writes it and closes."""

    def take_outgoing(self) -> bytes:
        """All frames to be written, in one piece; empty if there are none."""

    def take_changed(self) -> list[Http2Stream]:
        """Streams that have something new since the last call: head, body, end, error, or room to send."""
