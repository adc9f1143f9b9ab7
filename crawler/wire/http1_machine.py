"""The life of a response on an HTTP/1.1 connection: what both readers are made of.

    IDLE ──expect()──▶ HEAD ──▶ LENGTH  ──n bytes──────────┐
      ▲                 │ ├───▶ CHUNKED ──last chunk───────┤
      │                 │ ├───▶ TO_CLOSE ──end of bytes────┤
      │                 │ ├───▶ TUNNEL (101, CONNECT 2xx)  │
      │                 │ └── HEAD, 204, 304 ──────────────┤
      │                1xx: again                          ▼
      └───────────── can_reuse ────────────────────── is_complete ──else──▶ SPENT

Any refusal leads to DEAD. The machine applies the rules of `http1_head` and `http1_chunked` and needs no library; the
readers add one: llhttp for speed where a response comes in one piece, h11 for a second opinion on every byte.
"""

from __future__ import annotations

import enum
import re

from crawler.errors import LocalProtocolError, RemoteProtocolError
from crawler.models.headers import split_lines
from crawler.wire.http1 import LIMITS, Http1Limits
from crawler.wire.http1_chunked import ChunkedDecoder
from crawler.wire.http1_head import Fields, Head, LineCollector, check_beginning, match_head, parse_head, read_head


class State(enum.Enum):
    """Where a reader stands; the module shows the ways between."""

    IDLE = enum.auto()
    HEAD = enum.auto()
    LENGTH = enum.auto()
    CHUNKED = enum.auto()
    TO_CLOSE = enum.auto()
    TUNNEL = enum.auto()
    SPENT = enum.auto()
    DEAD = enum.auto()


# A global is found faster than an attribute of an enum class.
IDLE, HEAD, LENGTH, CHUNKED, TO_CLOSE, TUNNEL, SPENT, DEAD = State


class Http1Machine:
    """Reads responses by the shared rules alone; `http1.Http1Reader` says what its attributes mean."""

    __slots__ = (
        "_chunks",
        "_collector",
        "_found",
        "_informational",
        "_keep_alive",
        "_limits",
        "_method",
        "_remaining",
        "_state",
        "body",
        "can_reuse",
        "fields",
        "http_version",
        "is_complete",
        "is_plain",
        "leftover",
        "reason",
        "status",
        "trailers",
    )

    def __init__(self, limits: Http1Limits = LIMITS) -> None:
        self._limits = limits
        self._state = IDLE
        self._method = ""
        self._collector: LineCollector | None = None
        self._chunks: ChunkedDecoder | None = None
        self._found: re.Match[bytes] | None = None  # a head that a reader has matched already at the start of its bytes
        self._informational = 0
        self._remaining = 0
        self._keep_alive = False
        self.status = 0
        self.reason = b""
        self.http_version = "HTTP/1.1"
        self.fields: Fields | bytes = []
        self.body: list[bytes] = []
        self.is_complete = False
        self.can_reuse = False
        self.is_plain = False
        self.trailers: Fields = []
        self.leftover = b""

    @property
    def headers(self) -> Fields:
        """See `http1.Http1Reader`."""
        if isinstance(self.fields, bytes):
            self.fields = split_lines(self.fields)
        return self.fields

    def expect(self, method: str) -> None:
        """Begin the next response cycle; see `http1.Http1Reader`."""
        if self._state is not IDLE:
            raise self._not_idle()
        self._state = HEAD
        self._method = method
        self._informational = 0
        self.status = 0
        self.fields = []
        self.body = []
        self.is_complete = False
        self.can_reuse = False
        self.is_plain = False
        if self.trailers:
            self.trailers = []

    def _not_idle(self) -> RemoteProtocolError | LocalProtocolError:
        if self._state is SPENT or self._state is DEAD:
            return RemoteProtocolError(
                "this connection cannot carry another response: it ended, or framing is in doubt"
            )
        return LocalProtocolError("the response before has not been read to its end")

    def feed(self, data: bytes) -> None:
        """Take the next bytes; see `http1.Http1Reader`."""
        if not data:
            return
        try:
            match self._state:
                case State.HEAD:
                    self._feed_head(data)
                case State.LENGTH:
                    self._feed_length(data)
                case State.CHUNKED:
                    self._feed_chunked(data)
                case State.TO_CLOSE:
                    self._take(data)
                case State.TUNNEL:
                    self.leftover += data
                case State.IDLE | State.SPENT:  # belongs to no request: whatever was answered stands, nothing new may
                    self.can_reuse = False
                    self._state = SPENT
                case State.DEAD:
                    raise RemoteProtocolError("more bytes after this connection had already failed")
        except RemoteProtocolError:
            self._state = DEAD
            raise

    def feed_eof(self) -> None:
        """Take the end of the bytes; see `http1.Http1Reader`."""
        state = self._state
        if state is TO_CLOSE:
            self._finish(b"")
        self.can_reuse = False
        self._state = DEAD if state is DEAD else SPENT
        match state:
            case State.HEAD:
                held = len(self._collector.data) if self._collector else 0
                what = f"after {held} bytes of the response head" if held else "without sending a response"
                raise RemoteProtocolError(f"Server disconnected {what}.", kind="connection_lost")
            case State.LENGTH:
                raise _cut_short(f"{self._remaining} more bytes of the body")
            case State.CHUNKED if self._chunks is not None:
                raise _cut_short(self._chunks.missing())

    # ---- head

    def _feed_head(self, data: bytes) -> None:
        """Take bytes of the head; goes on to the next after each 1xx, and to the body after the final one."""
        while data:
            head, data = self._cut_head(data)
            if head is None:
                return
            self._accept(head)
            if head.status >= 200 or head.status == 101:
                self._begin(head, data)
                return
            self._informational += 1
            if self._informational > self._limits.informational:
                raise RemoteProtocolError(f"expected at most {self._limits.informational} 1xx heads, got more")

    def _cut_head(self, data: bytes) -> tuple[Head | None, bytes]:
        """Split into a head and what follows; holds the bytes back and returns no head while it is not whole."""
        collector = self._collector
        if collector is None:
            found, self._found = self._found or match_head(data), None
            if found is not None:
                return read_head(found, self._limits), data[found.end() :]
            collector = self._collector = LineCollector(self._limits)
        end = collector.add(data)
        if end < 0:
            check_beginning(collector.data, collector.lines)
            return None, b""
        self._collector = None
        return parse_head(bytes(collector.data[:end]), self._limits), bytes(collector.data[end:])

    def _begin(self, head: Head, rest: bytes) -> None:
        """Take the final head and choose how its body ends (RFC 9112 §6.3)."""
        self.status = status = head.status
        self.reason = head.reason
        self.http_version = "HTTP/1.1" if head.minor else "HTTP/1.0"
        self.fields = head.fields
        self._keep_alive = head.keep_alive
        if status == 101 or (self._method == "CONNECT" and 200 <= status < 300):
            self.is_complete = True
            self.leftover = rest
            self._state = TUNNEL
        elif self._method == "HEAD" or status in (204, 304) or head.length == 0:
            self._finish(rest)
        elif head.is_chunked:
            self._chunks = ChunkedDecoder(self._limits)
            self._state = CHUNKED
            self.feed(rest)
        elif head.length is not None:
            self._remaining = head.length
            self._state = LENGTH
            self.feed(rest)
        else:
            self._keep_alive = False
            self._state = TO_CLOSE
            self.feed(rest)

    # ---- body

    def _feed_length(self, data: bytes) -> None:
        remaining = self._remaining
        if len(data) < remaining:
            self._remaining = remaining - len(data)
            self._take(data)
        elif len(data) == remaining:
            self._take(data)
            self._finish(b"")
        else:
            self._take(data[:remaining])
            self._finish(data[remaining:])

    def _feed_chunked(self, data: bytes) -> None:
        chunks = self._chunks
        assert chunks is not None
        pieces = chunks.feed(data)
        self._take_chunked(data, pieces, chunks)
        if chunks.is_complete:
            self.trailers = chunks.trailers
            self._chunks = None
            self._finish(chunks.rest)

    def _finish(self, rest: bytes) -> None:
        self._ended()
        self.is_complete = True
        self.can_reuse = self._keep_alive and not rest
        self._state = IDLE if self.can_reuse else SPENT

    # ---- for readers that ask a library too

    def _accept(self, head: Head) -> None:
        """A head, 1xx included, is whole and passed the rules."""

    def _take(self, data: bytes) -> None:
        """A piece of a body without transfer coding has come."""
        self.body.append(data)

    def _take_chunked(self, data: bytes, pieces: list[bytes], chunks: ChunkedDecoder) -> None:
        """A piece of a chunked body has come: `data` is coded, `pieces` are what it says."""
        self.body += pieces

    def _ended(self) -> None:
        """The message ends here."""


def _cut_short(missing: str) -> RemoteProtocolError:
    return RemoteProtocolError(
        f"Server disconnected within the response body: expected {missing}.", kind="body_incomplete"
    )
