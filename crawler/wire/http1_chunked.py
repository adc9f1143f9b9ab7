"""The chunked transfer coding, undone.

          ┌────────────────────────────────────────┐
          ▼                                        │
    ┌──▶ LINE ──size > 0──▶ DATA ──all taken──▶ CRLF
    bytes  └───size = 0──▶ TRAILERS ──empty line──▶ complete

Ours, and not llhttp's or h11's, because framing needs what they do not tell: the exact byte where the message ends,
trailers apart from headers, and a bound for what is not data. Rules: a size is 1 to 16 hexadecimal digits below 2**63;
extensions are skipped; spaces may follow the size (servers pad it) but nothing else; every line ends in CR LF.

Source: RFC 9112 §7.1.
"""

from __future__ import annotations

import enum
import re
from typing import Final

from crawler.errors import RemoteProtocolError
from crawler.wire.http1 import Http1Limits
from crawler.wire.http1_head import MAX_LENGTH, Fields, LineCollector, parse_trailers

_match_line = re.compile(rb"([0-9A-Fa-f]{1,16}+)(?:[\t ]*+|;[\t\x20-\x7e\x80-\xff]*+)\r\n").match
_could_be_line = re.compile(rb"(?:[0-9A-Fa-f]{1,16}+(?:[\t ]*+|;[\t\x20-\x7e\x80-\xff]*+)\r?)?").fullmatch

# Bytes of extensions a body may carry beyond a fair share of 16 a chunk plus twice its data: endless extensions and
# one-byte chunks with long ones would make us work for nothing.
_MAX_EXCESS: Final = 64 * 1024
# Above so many chunks in one feed, their data is handed on as one piece: a byte in a list costs fifty.
_MAX_PIECES: Final = 16


class _State(enum.Enum):
    LINE = enum.auto()
    DATA = enum.auto()
    CRLF = enum.auto()
    TRAILERS = enum.auto()
    COMPLETE = enum.auto()


_LINE, _DATA, _CRLF, _TRAILERS, _COMPLETE = _State


class ChunkedDecoder:
    """Undoes the coding of one body: bytes in, data out.

    Attributes:
        is_complete: Whether the last chunk, the trailers and their empty line have come.
        trailers: The fields after the body, once complete.
        rest: What followed the message in the piece that completed it.
        coded_bytes: How many bytes of the last piece were chunks, as against trailers and what follows.
    """

    __slots__ = ("_collector", "_excess", "_held", "_limits", "_remaining", "_state", "coded_bytes", "rest", "trailers")

    def __init__(self, limits: Http1Limits) -> None:
        self._limits = limits
        self._state = _LINE
        self._held = b""
        self._remaining = 0
        self._excess = 0
        self._collector: LineCollector | None = None
        self.trailers: Fields = []
        self.rest = b""
        self.coded_bytes = 0

    @property
    def is_complete(self) -> bool:
        """Whether the body has ended."""
        return self._state is _COMPLETE

    def missing(self) -> str:
        """What had to come next, for the message about a body that was cut short."""
        match self._state:
            case _State.DATA:
                return f"{self._remaining} more bytes of a chunk"
            case _State.CRLF:
                return "the line end after a chunk"
            case _State.TRAILERS:
                return "the end of the trailers"
            case _:
                return "the next chunk"

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes of the body; returns the data in them, in pieces.

        Raises:
            RemoteProtocolError: A size, a line end or a trailer is wrong, or a limit is passed.
        """
        held = len(self._held)
        if held:
            data, self._held = self._held + data, b""
        pieces: list[bytes] = []
        at, end = 0, len(data)
        while at < end:
            state = self._state
            if state is _LINE:
                found = _match_line(data, at)
                if found is None:
                    self._hold_line(data[at:])
                    at = end
                else:
                    self._begin_chunk(found[1], found.end() - at)
                    at = found.end()
            elif state is _DATA:
                piece = data[at : at + self._remaining]
                pieces.append(piece)
                at += len(piece)
                self._remaining -= len(piece)
                if not self._remaining:
                    self._state = _CRLF
            elif state is _CRLF:
                at = self._skip_line_end(data, at)
            else:
                break
        self.coded_bytes = at - held
        if self._state is _TRAILERS and at < end:
            self._feed_trailers(data[at:])
        return [b"".join(pieces)] if len(pieces) > _MAX_PIECES else pieces

    def _hold_line(self, line: bytes) -> None:
        if len(line) > self._limits.line_bytes:
            raise RemoteProtocolError(
                f"expected a chunk-size line of at most {self._limits.line_bytes} bytes, got more"
            )
        if not _could_be_line(line):
            shown = repr(line.split(b"\n")[0][:80])[1:]
            raise RemoteProtocolError(f"expected a chunk size of 1 to 16 hexadecimal digits and CR LF, got {shown}")
        self._held = line

    def _begin_chunk(self, digits: bytes, line_bytes: int) -> None:
        size = int(digits, 16)
        if size > MAX_LENGTH:
            raise RemoteProtocolError(f"expected a chunk size below 2**63, got {digits.decode()!r}")
        if line_bytes > 16 or self._excess:
            self._excess = max(0, self._excess + line_bytes - 16 - 2 * size)
            if self._excess > _MAX_EXCESS or line_bytes > self._limits.line_bytes:
                raise RemoteProtocolError(f"expected at most {_MAX_EXCESS} bytes of chunk extensions, got more")
        self._remaining = size
        self._state = _DATA if size else _TRAILERS

    def _skip_line_end(self, data: bytes, at: int) -> int:
        found = data[at : at + 2]
        if found == b"\r\n":
            self._state = _LINE
            return at + 2
        if found != b"\r":
            raise RemoteProtocolError(f"expected CR LF after a chunk, got {repr(found)[1:]}")
        self._held = found
        return at + 1

    def _feed_trailers(self, data: bytes) -> None:
        collector = self._collector
        if collector is None:
            if data[:2] == b"\r\n":  # mostly there are none: 1 µs against 3
                self.rest = data[2:]
                self._state = _COMPLETE
                return
            collector = self._collector = LineCollector(self._limits)
        end = collector.add(data)
        if end >= 0:
            self.trailers = parse_trailers(bytes(collector.data[:end]))
            self.rest = bytes(collector.data[end:])
            self._collector = None
            self._state = _COMPLETE
