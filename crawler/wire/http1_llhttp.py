"""The fast HTTP/1.1 reader: llhttp, through httptools, for responses that come in one piece.

Most responses of a crawl are small, carry a `Content-Length` and arrive whole: those are parsed in C, on a parser kept
over the life of the connection. All others (cut in pieces, chunked, HEAD, 1xx, 204, 304, HTTP/1.0, anything odd) go the
way of `http1_machine`, which costs about as much as a further C parser would.

llhttp is not asked about framing in doubt. Its answer is taken only if the grammar of `http1_head` holds, llhttp came
exactly to the end of one message, and head and body add up to what was fed. That excludes chunked bodies (they carry at
least five bytes more), pipelined and left-over bytes, and every message that llhttp frames in a way of its own. llhttp
itself refuses a repeated `Content-Length`, and one beside `Transfer-Encoding`; the machine then decides again.
"""

from __future__ import annotations

from typing import Final

import httptools

from crawler.wire.http1 import LIMITS, Http1Limits
from crawler.wire.http1_head import Fields, Head, match_head
from crawler.wire.http1_machine import HEAD, IDLE, SPENT, Http1Machine

# Status by its digits, for those whose answer to an ordinary method has a body.
_WITH_BODY: Final = {b"%d" % status: status for status in range(200, 1000) if status not in (204, 304)}


class _Sink:
    """What the C parser calls. Apart from the reader, so that a dropped reader is freed without the collector."""

    __slots__ = ("body", "fields", "has_ended")

    def __init__(self) -> None:
        self.fields: Fields = []
        self.body: list[bytes] = []
        self.has_ended = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_body(self, data: bytes) -> None:
        self.body.append(data)

    def on_message_complete(self) -> None:
        self.has_ended = True


class Http1Reader(Http1Machine):
    """Reads the responses of one connection; see `http1.Http1Reader`."""

    __slots__ = ("_parser", "_sink")

    def __init__(self, limits: Http1Limits = LIMITS) -> None:
        super().__init__(limits)
        self._sink = _Sink()
        self._parser = httptools.HttpResponseParser(self._sink)

    def feed(self, data: bytes) -> None:
        """Take the next bytes; see `http1.Http1Reader`."""
        if self._state is not HEAD or self._collector is not None or not self._feed_whole(data):
            super().feed(data)

    def _feed_whole(self, data: bytes) -> bool:
        """Read a response that `data` is the whole of; False, and nothing changed, if it is not.

        3 µs with 8 fields and `expect()`, of which llhttp takes 1.4 and the grammar 0.8.
        """
        found = match_head(data)
        if found is None:
            return False
        self._found = found  # need not be found again if this is not the way
        minor, digits, reason, lines = found.groups()
        status = _WITH_BODY.get(digits)
        end = found.end()
        if status is None or minor != b"1" or end == len(data) or end > self._limits.line_bytes:
            return False
        lines = lines.lower()
        method = self._method
        if method == "HEAD" or method == "CONNECT" or b"content-length:" not in lines:
            return False
        sink, parser = self._sink, self._parser
        sink.fields = fields = self.headers
        sink.body = body = self.body
        sink.has_ended = False
        try:
            parser.feed_data(data)
            is_whole = sink.has_ended and end + (len(body[0]) if body else 0) == len(data)
        except httptools.HttpParserError:
            is_whole = False
        if not is_whole or len(fields) > self._limits.fields:
            self._parser = httptools.HttpResponseParser(sink)
            self.headers = []
            self.body = []
            return False
        self._found = None
        self.status = status
        self.reason = reason or b""
        self.http_version = "HTTP/1.1"
        self.is_complete = True
        self.is_plain = b"content-encoding:" not in lines and b"set-cookie" not in lines
        # llhttp's own answer is gone once the message is complete. Most heads lack the word: 0.1 µs to know.
        if b"close" in lines and not Head(1, status, b"", fields).keep_alive:
            self._state = SPENT
        else:
            self.can_reuse = True
            self._state = IDLE
        return True
