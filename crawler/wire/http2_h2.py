"""The reference HTTP/2 connection: h2 keeps the state, the windows and the compression.

Every frame first passes the rules of `http2_machine`, as in the fast connection, and then goes to h2; what h2 makes of
it goes back to the machine. h2 is slow (several 100 µs a request) and there for tests, and for users who want to know
whether a fault is ours (`CRAWLER_CODECS=reference`).

Where the two differ, h2 is the stricter: it ends the connection where the fast one ends a stream (a wrong
`content-length`, trailers without END_STREAM, a WINDOW_UPDATE of 0) or shrugs (a late 1xx head on a stream that was
reset). GOAWAY is kept from h2, which would read nothing after it, though the streams it spares go on; so are answers
to our PINGs.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    InformationalResponseReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)
from h2.exceptions import H2Error, ProtocolError, StreamClosedError
from h2.settings import SettingCodes, Settings
from hpack import HeaderTuple, NeverIndexedHeaderTuple

from crawler.errors import LocalProtocolError, RemoteProtocolError
from crawler.models.headers import HeadTemplate
from crawler.wire.http2_api import LIMITS, ErrorCode, Http2Limits, Http2Stream
from crawler.wire.http2_machine import ACK, MAX_FRAME_BYTES, Fault, Frame, Http2Machine
from crawler.wire.http2_rules import SECRET_FIELDS, check_request_line, read_response_head, request_fields

_DEFAULT_WINDOW: Final = 65_535
_KINDS: Final = {ErrorCode.FLOW_CONTROL_ERROR: "h2_flow", ErrorCode.ENHANCE_YOUR_CALM: "header_too_large"}


class Http2Connection(Http2Machine):
    """The client's side of one connection; see `http2_api.Http2Connection`."""

    def __init__(self, limits: Http2Limits = LIMITS) -> None:
        super().__init__(limits)
        # Field sections are judged by our own rules, the same for both.
        self._h2 = H2Connection(
            H2Configuration(
                client_side=True, header_encoding=None, validate_inbound_headers=False, normalize_inbound_headers=False
            )
        )
        self._h2.local_settings = Settings(
            client=True,
            initial_values={
                SettingCodes.ENABLE_PUSH: 0,
                SettingCodes.INITIAL_WINDOW_SIZE: limits.stream_window_bytes,
                SettingCodes.MAX_HEADER_LIST_SIZE: limits.header_list_bytes,
            },
        )
        self._h2.decoder.max_header_list_size = limits.header_list_bytes
        self._held = b""
        self._answers = 0
        self._blocked: dict[int, Http2Stream] = {}
        self._credit = 0
        self._h2.initiate_connection()
        more = limits.connection_window_bytes - _DEFAULT_WINDOW
        if more > 0:
            self._h2.increment_flow_control_window(more)

    # ---- sending

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
        """Begin a request; see `http2_api.Http2Connection`."""
        self._check_capacity()
        host, fields = request_fields(headers.pairs if isinstance(headers, HeadTemplate) else headers)
        if isinstance(headers, HeadTemplate) and headers.host is not None:
            host = headers.host
        check_request_line(method, host or authority, path)
        pseudo = [
            (b":method", method.encode()),
            (b":scheme", scheme),
            (b":authority", host or authority),
            (b":path", path),
        ]
        block = [(NeverIndexedHeaderTuple if n in SECRET_FIELDS else HeaderTuple)(n, v) for n, v in pseudo + fields]
        stream = self._open(method, is_sending=not end, send_window=0)
        try:
            self._h2.send_headers(stream.stream_id, block, end_stream=end)
        except H2Error as exc:
            del self.streams[stream.stream_id]
            raise LocalProtocolError(f"refused by h2: {exc}") from exc
        return stream

    def send_data(self, stream: Http2Stream, data: bytes, end: bool) -> int:
        """Send a piece of the request body; see `http2_api.Http2Connection`."""
        stream_id = stream.stream_id
        if stream_id not in self.streams:
            return 0
        if not stream.is_sending:
            raise LocalProtocolError("the body of this request has ended already")
        allowed = max(0, min(len(data), self._h2.local_flow_control_window(stream_id)))
        ends = end and allowed == len(data)
        size = self._h2.max_outbound_frame_size
        for at in range(0, allowed, size):
            self._h2.send_data(stream_id, data[at : min(allowed, at + size)], end_stream=ends and at + size >= allowed)
            self._count_progress()
        if ends and not data:
            self._h2.end_stream(stream_id)
        if ends:
            stream.is_sending = False
            if stream.is_complete:
                del self.streams[stream_id]
        elif allowed < len(data):
            stream.is_blocked = True
            self._blocked[stream_id] = stream
        return allowed

    def consumed(self, stream: Http2Stream, size: int) -> None:
        """Give bytes back to the peer's window; see `http2_api.Http2Connection`."""
        if stream.is_complete or stream.stream_id not in self.streams:
            return
        stream.credit += size
        if 2 * stream.credit >= self._limits.stream_window_bytes:
            self._h2.increment_flow_control_window(stream.credit, stream.stream_id)
            stream.credit = 0

    def take_outgoing(self) -> bytes:
        """All frames to be written; see `http2_api.Http2Connection`."""
        self._answers = 0
        return self._h2.data_to_send()

    def _send_reset(self, stream_id: int, code: int) -> None:
        self._blocked.pop(stream_id, None)
        with suppress(StreamClosedError):  # it ended on both sides before we judged it
            self._h2.reset_stream(stream_id, code)

    def _send_ping(self, payload: bytes) -> None:
        self._h2.ping(payload)

    def _send_goaway(self, code: ErrorCode) -> None:
        self._h2.close_connection(ErrorCodes(code))

    # ---- receiving

    def _feed(self, data: bytes) -> None:
        data = self._held + data
        at, end = 0, len(data)
        while end - at >= 9:
            size, kind, flags = int.from_bytes(data[at : at + 3], "big"), data[at + 3], data[at + 4]
            stream_id = int.from_bytes(data[at + 5 : at + 9], "big") & 0x7FFFFFFF
            if end - at - 9 < size <= MAX_FRAME_BYTES:
                break
            self._check_frame(kind, flags, stream_id, size)
            frame = data[at : at + 9 + size]
            at += len(frame)
            if kind == Frame.GOAWAY:
                self._on_goaway(int.from_bytes(frame[9:13], "big") & 0x7FFFFFFF, int.from_bytes(frame[13:17], "big"))
            elif kind == Frame.PING and flags & ACK:
                self._on_pong(frame[9:])
            elif kind <= Frame.CONTINUATION:  # the rest is ignored, by h2 too but for ALTSVC
                self._pass_on(kind, flags, stream_id, frame)
        self._held = data[at:]
        self._check_first_bytes(self._held)

    def _pass_on(self, kind: int, flags: int, stream_id: int, frame: bytes) -> None:
        if kind in (Frame.DATA, Frame.HEADERS) and stream_id not in self.streams:
            self._on_closed_stream(stream_id)
        if kind in (Frame.SETTINGS, Frame.PING) and not flags & ACK:
            self._answers += 1
            if self._answers > self._limits.answers:
                raise Fault(ErrorCode.ENHANCE_YOUR_CALM, "got frames faster than their answers can leave")
        if kind == Frame.WINDOW_UPDATE:  # hyperframe minds the reserved bit, which is to be ignored (RFC 9113 §6.9)
            frame = frame[:9] + bytes((frame[9] & 0x7F,)) + frame[10:]
        try:
            events = self._h2.receive_data(frame)
        except ProtocolError as exc:
            code = ErrorCode(int(exc.error_code))
            raise Fault(code, f"refused by h2: {exc}", _KINDS.get(code, "protocol_error")) from exc
        for event in events:
            self._on_event(event)

    def _on_event(self, event: Event) -> None:
        match event:
            case RemoteSettingsChanged():
                self._on_peer_streams(self._h2.remote_settings.max_concurrent_streams)
                self._unblock()
            case WindowUpdated():
                self._unblock()
            case StreamReset(stream_id=int(stream_id), error_code=code, remote_reset=True):
                self._blocked.pop(stream_id, None)
                self._on_reset(stream_id, int(code or 0))
            case StreamReset(stream_id=int(stream_id), error_code=code):
                if stream := self.streams.get(stream_id):
                    kind = _KINDS.get(ErrorCode(int(code or 0)), "protocol_error")
                    self._malformed(stream, RemoteProtocolError("refused by h2", kind=kind))
            case DataReceived(stream_id=int(stream_id), flow_controlled_length=int(size)):
                self._give_back(size)
                if stream := self.streams.get(stream_id):
                    self._read_data(stream, event, size)
            case ResponseReceived() | InformationalResponseReceived() | TrailersReceived():
                if stream := self.streams.get(event.stream_id or 0):
                    self._read_section(stream, event)

    def _give_back(self, size: int) -> None:
        self._credit += size
        if 2 * self._credit >= self._limits.connection_window_bytes:
            self._h2.increment_flow_control_window(self._credit)
            self._credit = 0

    def _read_data(self, stream: Http2Stream, event: DataReceived, size: int) -> None:
        data = event.data or b""
        stream.credit += size - len(data)
        try:
            self._on_data(stream, data, event.stream_ended is not None)
        except RemoteProtocolError as exc:
            self._malformed(stream, exc)

    def _read_section(
        self, stream: Http2Stream, event: ResponseReceived | InformationalResponseReceived | TrailersReceived
    ) -> None:
        section = [(bytes(name), bytes(value)) for name, value in event.headers or ()]
        ends = not isinstance(event, InformationalResponseReceived) and event.stream_ended is not None
        try:
            if stream.status:
                self._on_trailers(stream, section, ends)
            else:
                self._on_head(stream, read_response_head(section, self._limits.fields), ends)
        except RemoteProtocolError as exc:
            self._malformed(stream, exc)

    def _unblock(self) -> None:
        for stream_id, stream in list(self._blocked.items()):
            if stream_id not in self.streams:
                del self._blocked[stream_id]
            elif self._h2.local_flow_control_window(stream_id) > 0:
                del self._blocked[stream_id]
                stream.is_blocked = False
                self._mark(stream)
