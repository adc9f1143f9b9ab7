"""What both HTTP/2 connections are made of: streams from request to end, and what a peer may ask of us.

           request()                   head                    END_STREAM
    (none) ─────────▶ status 0 ────────────────▶ status 200 ─────────────────▶ is_complete
                          │   RST_STREAM, GOAWAY, malformed, reset(), end of bytes │
                          └───────────────────────▶ error ◀────────────────────────┘

The codecs bring frames, field compression and windows; each calls the methods `_on_…` here, so that both treat a stream
alike. A `Fault` is an error of the connection, `RemoteProtocolError` from the rules one of the stream.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Final

from crawler.errors import LocalProtocolError, RemoteProtocolError
from crawler.wire.http2_api import LIMITS, ErrorCode, Http2Limits, Http2Stream
from crawler.wire.http2_rules import ResponseHead, read_fields

MAX_STREAM_ID: Final = 2**31 - 1
# Before the peer's SETTINGS nothing limits us; a server that allows fewer than the 100 that RFC 9113 §6.5.2 recommends
# refuses the rest, and those are sent again.
_ASSUMED_STREAMS: Final = 100
_IDLE_FRAMES_PER_PROGRESS: Final = 20


MAX_FRAME_BYTES: Final = 16_384  # the default, which we do not raise: a frame is held until it is whole


class Frame(enum.IntEnum):
    """Types of frames (RFC 9113 §6)."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


ACK: Final = 0x1
END_STREAM: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
PRIORITY: Final = 0x20

_FIXED_BYTES: Final[dict[int, int]] = {Frame.PRIORITY: 5, Frame.RST_STREAM: 4, Frame.PING: 8, Frame.WINDOW_UPDATE: 4}
_OF_CONNECTION: Final = frozenset((Frame.SETTINGS, Frame.PING, Frame.GOAWAY))
_OF_STREAM: Final = frozenset((Frame.DATA, Frame.HEADERS, Frame.PRIORITY, Frame.RST_STREAM, Frame.CONTINUATION))
_OPENED_ONLY: Final = frozenset((Frame.DATA, Frame.HEADERS, Frame.RST_STREAM, Frame.WINDOW_UPDATE))
_IDLE: Final = frozenset(
    (Frame.PRIORITY, Frame.RST_STREAM, Frame.SETTINGS, Frame.PING, Frame.GOAWAY, Frame.WINDOW_UPDATE)
)
# Streams reset by one side, whose late frames are no fault; the oldest are forgotten.
_MAX_RESET_IDS: Final = 4096
_RESETS_PING: Final = b"resets??"
_OWNERS_PING: Final = b"answer??"


class Fault(Exception):
    """The connection has failed; never leaves this room."""

    def __init__(self, code: ErrorCode, message: str, kind: str = "protocol_error") -> None:
        super().__init__(message)
        self.code = code
        self.kind = kind


class Http2Machine:
    """Streams, budgets and failures of one connection; see `http2_api.Http2Connection` for the attributes."""

    def __init__(self, limits: Http2Limits = LIMITS) -> None:
        self.streams: dict[int, Http2Stream] = {}
        self.error: RemoteProtocolError | None = None
        self.is_draining = False
        self._limits = limits
        self._changed: list[Http2Stream] = []
        self._next_id = 1
        self._peer_streams = min(_ASSUMED_STREAMS, limits.streams)
        self._idle_frames_left = limits.idle_frames
        # Streams we gave up and the peer may not know of yet: those of the PING on its way, and later ones.
        self._closing: set[int] = set()
        self._closing_later: set[int] = set()
        self._pings = 0
        self._reset_ids: dict[int, None] = {}
        self._has_settings = False
        self._block_stream_id = 0  # of the field section whose CONTINUATION frames are awaited
        self._block_frames = 0
        self._block_bytes = 0

    # ---- what the codecs bring

    def _send_reset(self, stream_id: int, code: int) -> None:
        raise AssertionError("a codec sends frames")  # pragma: no cover

    def _send_ping(self, payload: bytes) -> None:
        raise AssertionError("a codec sends frames")  # pragma: no cover

    def _send_goaway(self, code: ErrorCode) -> None:
        raise AssertionError("a codec sends frames")  # pragma: no cover

    def _feed(self, data: bytes) -> None:
        raise AssertionError("a codec reads frames")  # pragma: no cover

    # ---- the owner's side

    @property
    def capacity(self) -> int:
        """How many more requests may begin now; see `http2_api.Http2Connection`."""
        if self.is_draining or self._pings:
            return 0
        return max(0, self._peer_streams - len(self.streams) - len(self._closing) - len(self._closing_later))

    @property
    def is_answer_due(self) -> bool:
        """Whether the peer owes the answer to a `ping()`."""
        return self._pings > 0

    def _open(self, method: str, *, is_sending: bool, send_window: int) -> Http2Stream:
        stream_id = self._next_id
        self._next_id = stream_id + 2
        if stream_id >= MAX_STREAM_ID - 2:
            self.is_draining = True
        stream = Http2Stream(
            stream_id,
            method,
            is_sending=is_sending,
            send_window=send_window,
            receive_window=self._limits.stream_window_bytes,
        )
        self.streams[stream_id] = stream
        return stream

    def _check_capacity(self) -> None:
        if self.capacity <= 0:
            raise LocalProtocolError("this HTTP/2 connection cannot take another request now")

    def reset(self, stream: Http2Stream, code: int = ErrorCode.CANCEL) -> None:
        """Give a stream up; see `http2_api.Http2Connection`."""
        if self.streams.pop(stream.stream_id, None) is None:
            return
        stream.is_sending = False
        if not stream.is_complete:
            stream.error = RemoteProtocolError("the request was given up", kind="h2_reset")
        self._drop(stream.stream_id, code)

    def ping(self) -> None:
        """Ask whether the peer still answers; see `http2_api.Http2Connection`."""
        if self.error is None:
            self._pings += 1
            self._send_ping(_OWNERS_PING)

    def feed(self, data: bytes) -> None:
        """Take the next bytes; see `http2_api.Http2Connection`."""
        if self.error is not None:
            raise RemoteProtocolError("more bytes after this connection had already failed", kind=self.error.kind)
        try:
            self._feed(data)
        except Fault as fault:
            self._fail(fault)
            raise RemoteProtocolError(str(fault), kind=fault.kind) from fault

    def feed_eof(self) -> None:
        """Take the end of the bytes; see `http2_api.Http2Connection`."""
        self.is_draining = True
        for stream in list(self.streams.values()):
            if stream.status:
                self._fail_stream(stream, "Server disconnected within the response body.", kind="body_incomplete")
            else:
                self._fail_stream(stream, "Server disconnected without sending a response.", kind="connection_lost")

    def close(self) -> None:
        """Say good-bye; see `http2_api.Http2Connection`."""
        if self.error is None and not self.streams:
            self.is_draining = True
            self._send_goaway(ErrorCode.NO_ERROR)

    def take_changed(self) -> list[Http2Stream]:
        """Streams with something new; see `http2_api.Http2Connection`."""
        changed = self._changed
        if changed:
            self._changed = []
            for stream in changed:
                stream.is_changed = False
        return changed

    # ---- streams

    def _mark(self, stream: Http2Stream) -> None:
        if not stream.is_changed:
            stream.is_changed = True
            self._changed.append(stream)

    def _on_head(self, stream: Http2Stream, head: ResponseHead, ends: bool) -> None:
        """A head has come, 1xx or final."""
        if head.status < 200:
            stream.informational += 1
            self._count_idle_frame()
            if ends:
                raise RemoteProtocolError(f"expected a final response, got the end of the stream after {head.status}")
            if stream.informational > self._limits.informational:
                raise RemoteProtocolError(f"expected at most {self._limits.informational} 1xx heads, got more")
            return
        stream.status = head.status
        stream.headers = head.fields.copy()  # the head itself may be remembered
        if self._idle_frames_left < self._limits.idle_frames:
            self._count_progress()
        if stream.method == "HEAD" or head.status in (204, 304):
            stream.expected_bytes = 0
        else:
            stream.expected_bytes = head.length
        if ends:
            self._end(stream)
        else:
            self._mark(stream)

    def _on_trailers(self, stream: Http2Stream, section: Sequence[tuple[bytes, bytes]], ends: bool) -> None:
        """A field section after the final head has come."""
        if not ends:
            raise RemoteProtocolError("expected trailers to end the stream, got a second response head")
        stream.trailers = read_fields(section, self._limits.fields)
        self._end(stream)

    def _on_data(self, stream: Http2Stream, data: bytes, ends: bool) -> None:
        """Body bytes have come, perhaps none."""
        if not stream.status:
            raise RemoteProtocolError("expected a response head, got body data before it")
        if data:
            stream.received_bytes += len(data)
            if 0 <= stream.expected_bytes < stream.received_bytes:
                raise RemoteProtocolError(f"expected a body of {stream.expected_bytes} bytes, got more")
            stream.body.append(data)
            if self._idle_frames_left < self._limits.idle_frames:
                self._count_progress()
        elif not ends:
            self._count_idle_frame()
        if ends:
            self._end(stream)
        else:
            self._mark(stream)

    def _end(self, stream: Http2Stream) -> None:
        """The peer has ended the stream."""
        if stream.expected_bytes > stream.received_bytes:
            raise RemoteProtocolError(
                f"expected a body of {stream.expected_bytes} bytes, got {stream.received_bytes}", kind="body_incomplete"
            )
        stream.is_complete = True
        if not stream.is_sending:
            del self.streams[stream.stream_id]
        self._mark(stream)

    def _on_reset(self, stream_id: int, code: int) -> None:
        """The peer has given a stream up."""
        stream = self.streams.pop(stream_id, None)
        if stream is None:
            return
        self._remember_reset(stream_id)
        stream.is_sending = False
        self._mark(stream)
        if not stream.is_complete:  # NO_ERROR too: without END_STREAM a response is cut short
            stream.is_unprocessed = code == ErrorCode.REFUSED_STREAM
            message = f"the server reset the stream with {error_name(code)} before the response ended"
            stream.error = RemoteProtocolError(message, kind="h2_reset")

    def _on_goaway(self, last_id: int, code: int) -> None:
        """The peer takes no more streams, and did nothing for those above `last_id`."""
        self.is_draining = True
        for stream in [stream for stream in self.streams.values() if stream.stream_id > last_id]:
            stream.is_unprocessed = not stream.is_complete
            self._fail_stream(
                stream,
                f"the server is going away ({error_name(code)}) and did not process the request",
                kind="h2_goaway",
            )

    def _on_pong(self, payload: bytes) -> None:
        """The peer has answered a PING."""
        if payload == _OWNERS_PING:
            self._pings = max(0, self._pings - 1)
        elif payload == _RESETS_PING and self._closing:
            self._closing = self._closing_later
            self._closing_later = set()
            if self._closing:
                self._send_ping(_RESETS_PING)

    def _on_peer_streams(self, maximum: int) -> None:
        self._peer_streams = min(maximum, self._limits.streams)

    def _malformed(self, stream: Http2Stream, error: RemoteProtocolError) -> None:
        """End one stream that broke the rules; the others go on."""
        self.streams.pop(stream.stream_id, None)
        stream.is_sending = False
        if not stream.is_complete:
            stream.error = error
        self._mark(stream)
        self._drop(stream.stream_id, ErrorCode.PROTOCOL_ERROR)

    def _drop(self, stream_id: int, code: int) -> None:
        """Reset a stream; it counts as open until the peer has surely seen that."""
        self._send_reset(stream_id, code)
        self._remember_reset(stream_id)
        if self._closing:
            self._closing_later.add(stream_id)
        else:
            self._closing.add(stream_id)
            self._send_ping(_RESETS_PING)

    def _remember_reset(self, stream_id: int) -> None:
        resets = self._reset_ids
        resets[stream_id] = None
        if len(resets) > _MAX_RESET_IDS:
            del resets[next(iter(resets))]

    def _on_closed_stream(self, stream_id: int) -> None:
        """A frame has come for a stream that is not open: late after a reset, or a fault (RFC 9113 §5.1)."""
        if stream_id not in self._reset_ids:
            raise Fault(ErrorCode.STREAM_CLOSED, f"got a frame on stream {stream_id}, which has ended")
        self._count_idle_frame()

    def _fail_stream(self, stream: Http2Stream, message: str, *, kind: str) -> None:
        self.streams.pop(stream.stream_id, None)
        stream.is_sending = False
        if not stream.is_complete:
            stream.error = RemoteProtocolError(message, kind=kind)
        self._mark(stream)

    def _fail(self, fault: Fault) -> None:
        """The connection has failed, and all streams with it, each by an exception of its own."""
        self.error = RemoteProtocolError(str(fault), kind=fault.kind)
        self.is_draining = True
        for stream in list(self.streams.values()):
            self._fail_stream(stream, str(fault), kind=fault.kind)
        self._send_goaway(fault.code)

    # ---- frames

    def _check_frame(self, kind: int, flags: int, stream_id: int, size: int) -> None:
        """Refuse what no peer may send, by its frame header alone.

        Raises:
            Fault: A size, a stream or an order that is wrong; push; a flood.

        Source: RFC 9113 §3.4 (SETTINGS first), §4.2 (sizes), §5.1 (idle streams), §6 (each frame), §6.10 (order).
        """
        if not self._has_settings:
            if kind != Frame.SETTINGS or flags & ACK:
                raise Fault(ErrorCode.PROTOCOL_ERROR, f"expected SETTINGS first, got {frame_name(kind)}")
            self._has_settings = True
        if size > MAX_FRAME_BYTES:
            raise Fault(ErrorCode.FRAME_SIZE_ERROR, f"expected frames of at most {MAX_FRAME_BYTES} bytes, got {size}")
        if self._block_stream_id:
            if kind != Frame.CONTINUATION or stream_id != self._block_stream_id:
                raise Fault(ErrorCode.PROTOCOL_ERROR, f"expected CONTINUATION, got {frame_name(kind)}")
            self._check_block(flags, size)
        elif kind == Frame.CONTINUATION or kind == Frame.PUSH_PROMISE:
            raise Fault(ErrorCode.PROTOCOL_ERROR, f"got {frame_name(kind)}, which nothing led to")
        elif kind == Frame.HEADERS and not flags & END_HEADERS:
            self._block_stream_id = stream_id
            self._block_frames = 0
            self._block_bytes = size
        if size != _FIXED_BYTES.get(kind, size) or (kind == Frame.SETTINGS and (size % 6 or (flags & ACK and size))):
            raise Fault(ErrorCode.FRAME_SIZE_ERROR, f"got {frame_name(kind)} of {size} bytes")
        if kind == Frame.GOAWAY and size < 8:
            raise Fault(ErrorCode.FRAME_SIZE_ERROR, f"got GOAWAY of {size} bytes")
        if (stream_id and kind in _OF_CONNECTION) or (not stream_id and kind in _OF_STREAM):
            raise Fault(ErrorCode.PROTOCOL_ERROR, f"got {frame_name(kind)} on stream {stream_id}")
        if kind in _OPENED_ONLY and stream_id and (stream_id % 2 == 0 or stream_id >= self._next_id):
            raise Fault(ErrorCode.PROTOCOL_ERROR, f"got {frame_name(kind)} on stream {stream_id}, which is not open")
        if kind in _IDLE or kind > Frame.CONTINUATION:
            self._count_idle_frame()

    def _check_first_bytes(self, held: bytes) -> None:
        """Refuse at once a peer that speaks something else: the length it seems to announce may never come."""
        if not self._has_settings and held and (held[:1] != b"\0" or held[3:4] not in (b"", b"\4")):
            raise Fault(ErrorCode.PROTOCOL_ERROR, f"expected SETTINGS first, got {held[:20]!r}")

    def _check_block(self, flags: int, size: int) -> None:
        self._block_frames += 1
        self._block_bytes += size
        if flags & END_HEADERS:
            self._block_stream_id = 0
        limits = self._limits
        if self._block_frames > limits.continuations or self._block_bytes > limits.header_block_bytes:
            message = f"expected a field section of at most {limits.header_block_bytes} bytes in "
            message += f"{limits.continuations + 1} frames, got more"
            raise Fault(ErrorCode.ENHANCE_YOUR_CALM, message, "header_too_large")

    # ---- budget

    def _count_idle_frame(self) -> None:
        """A frame has come that brings nobody further.

        Raises:
            Fault: The peer sends nothing else: a flood.
        """
        self._idle_frames_left -= 1
        if self._idle_frames_left < 0:
            raise Fault(ErrorCode.ENHANCE_YOUR_CALM, "expected progress, got a flood of frames that bring none")

    def _count_progress(self) -> None:
        left = self._idle_frames_left + _IDLE_FRAMES_PER_PROGRESS
        self._idle_frames_left = min(left, self._limits.idle_frames)


def frame_name(kind: int) -> str:
    """The name of a frame type, or its number."""
    try:
        return Frame(kind).name
    except ValueError:
        return f"frame type {kind}"


def error_name(code: int) -> str:
    """The name of an error code, or its number."""
    try:
        return ErrorCode(code).name
    except ValueError:
        return f"code {code}"
