"""Records of ordinary successes, written as lines of JSON without making the record first.

A record has fifty keys, of which a plain success fills the same twenty with something of its own; the others stand
ready as text between them. orjson writes numbers and texts as it would in the whole record. What was 21 µs a request
takes 7, and the thread of the outputs only joins lines.

What is not ordinary (an error, a redirect, a body in the record, a row with `meta` …) goes the way of `record`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from crawler.fanout.ids import fingerprint
from crawler.fanout.record import Recorder, micros
from crawler.models.header_values import charset_of

if TYPE_CHECKING:
    from crawler.fanout.plan import Item
    from crawler.fanout.record import Record
    from crawler.fanout.result import Result
    from crawler.models import Response
    from crawler.net.timing import Timing

MAX_KNOWN: Final = 1_000
"""Connections, and values of Content-Type, whose text is kept; then they are forgotten, and told anew."""

_NAMES: Final = (b"content-type", b"content-encoding", b"content-length", b"etag", b"last-modified")
_TYPE, _CODING, _LENGTH, _ETAG, _MODIFIED = (b"\n%b:" % name for name in _NAMES)

_NO_TIME: Final = b'0.0,"connect":0.0,"tls":0.0'
_NO_TYPE: Final = b'null,"charset":null,"charset_source":null'

_LINE: Final = b"""{%b,"id":"b2:%%b","key":%%b,"url":%%b,"method":"%%b","final_url":%%b,"outcome":%%b,
"started_at":"%%b","fetched_at":"%%b",
"timing":{"queue":%%b,"dns":%%b,"send":%%b,"ttfb":%%b,"receive":%%b,"total":%%b},"elapsed":%%b,
"attempts":%%d,"attempt_errors":[],"redirects":[],"bytes":%%d,"bytes_wire":%%d,"resumed_from":0,
"content_type":%%b,"content_encoding":%%b,"content_length":%%b,"etag":%%b,"last_modified":%%b,
"headers":null,"path":%%b,"sha256":%%b,"checksum_ok":null,"body":null,"body_base64":null,"warc":null,
"depth":null,"parent":null,"discovered_by":null,"robots":null,"items":null,"extract_errors":[],"page":null,"earlier":null,"diff":null,
"host_wait":%%b,"worker":%b,"meta":{}}
""".replace(b",\n", b",")
"""All of a line; what varies by the run is filled in first, which takes the doubled signs away."""


class LineRecorder:
    """Turns results into lines.

    Args:
        recorder: Makes the records of those that are not ordinary, which are encoded later.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._mask = recorder.mask
        said = orjson.dumps({"schema": recorder.schema, "run_id": recorder.run_id, "job": recorder.job})[1:-1]
        worker = orjson.dumps(recorder.worker)
        self._line = _LINE % (said.replace(b"%", b"%%"), worker.replace(b"%", b"%%"))
        self._answers: dict[tuple[int, bytes, bytes, int, bool], bytes] = {}
        self._types: dict[bytes, bytes] = {}

    def line(self, result: Result, item: Item, fp: bytes | None = None) -> bytes | None:
        """Write the record of a final result; `None` if that is not ordinary, and `Recorder.record` has to."""
        response = result.response
        if (
            response is None
            or result.error_kind is not None
            or response.request is not result.request
            or result.body is not None
            or result.attempt_errors
            or result.is_unchanged
            or result.resumed_from
            or result.checksum_ok is not None
            or item.meta
            or item.depth is not None
            or item.parent is not None
            or item.discovered_by is not None
            or item.page is not None
        ):
            return None
        timing = result.timing
        if timing is None or not item.method.isalpha():
            return None
        started, ended = self._recorder.instant(result.started), self._recorder.instant(result.ended)
        if started is None or ended is None:
            return None
        durations = (
            result.queue,
            timing.send,
            timing.ttfb,
            timing.receive,
            result.total,
            result.elapsed,
            result.host_wait,
        )
        try:
            url = orjson.dumps(self._mask(result.url))
            key = b"null" if result.key is None else orjson.dumps(result.key)
            said = self._fields(response)
        except TypeError:  # a lone surrogate
            return None
        if said is None:
            return None
        queue, send, ttfb, receive, total, elapsed, host_wait = orjson.dumps(
            [int(seconds * 1e6 + 0.5) / 1e6 for seconds in durations]  # `micros`, without a call for each
        )[1:-1].split(b",")
        is_reused = timing.conn_reused and not timing.dns and not timing.connect and not timing.tls
        return self._line % (
            (fp or fingerprint(item)).hex().encode(),
            key,
            url,
            item.method.encode(),
            url,
            self._answer(result, response, timing),
            started.encode(),
            ended.encode(),
            queue,
            _NO_TIME if is_reused else _opening(timing),
            send,
            ttfb,
            receive,
            total,
            elapsed,
            result.attempts,
            result.bytes,
            result.bytes_wire,
            *said,
            b"null" if result.path is None else orjson.dumps(result.path),
            b"null" if result.sha256 is None else b'"%b"' % result.sha256.encode(),
            host_wait,
        )

    def _fields(self, response: Response) -> tuple[bytes, bytes, bytes, bytes, bytes] | None:
        """What stands in a record of the fields, the last of each name, as JSON; `None` if they are odd."""
        lines = response.raw_lines
        if lines is None:
            lines = b"".join(b"%b: %b\r\n" % field for field in response.raw_headers)
        lines = b"\n" + lines
        lower = lines.lower()
        # A search for each takes half of what one for all does, in a pattern.
        coding = etag = modified = length = b"null"
        media_type = _NO_TYPE
        if (at := lower.rfind(_TYPE)) >= 0:
            value = lines[at + 14 : lines.index(b"\r", at)].lstrip(b"\t ")
            if not value.isascii() or lower.find(_TYPE) != at:
                return None
            media_type = self._types.get(value) or self._type(value)
        if (at := lower.rfind(_LENGTH)) >= 0:
            value = lines[at + 16 : lines.index(b"\r", at)].lstrip(b"\t ")
            if value.isdigit():
                length = b"%d" % int(value) if len(value) < 19 else b""
                if not length:
                    return None
        if (at := lower.rfind(_CODING)) >= 0:
            coding = _json(lines, at + 18)
        if (at := lower.rfind(_ETAG)) >= 0:
            etag = _json(lines, at + 6)
        if (at := lower.rfind(_MODIFIED)) >= 0:
            modified = _json(lines, at + 15)
        return media_type, coding, length, etag, modified

    def _answer(self, result: Result, response: Response, timing: Timing) -> bytes:
        """From the outcome to what is known of the connection; the same for all answers like this one on it."""
        extensions = response.extensions
        version = extensions.get("http_version", b"")
        reason = extensions.get("reason_phrase") or b""
        key = (response.status_code, version, reason, timing.conn_id, timing.conn_reused)
        if (known := self._answers.get(key)) is not None:
            return known
        if len(self._answers) >= MAX_KNOWN:
            self._answers.clear()
        told: Record = {"outcome": None, "status": None, "reason": None, "error": None, "http_version": None}
        told.update(dict.fromkeys(("tls", "remote_ip", "remote_port", "conn_id", "conn_reused")))
        told.update(outcome=result.outcome, status=result.status)
        self._recorder.describe_exchange(told, result, response)
        known = self._answers[key] = orjson.dumps(told)[len(b'{"outcome":') : -1]
        return known

    def _type(self, value: bytes) -> bytes:
        """What a Content-Type says."""
        if len(self._types) >= MAX_KNOWN:
            self._types.clear()
        text = value.decode("ascii")
        media_type, _, parameters = text.partition(";")
        charset = charset_of(text) if parameters else None
        told = {"t": media_type.strip().lower() or None, "charset": charset, "charset_source": charset and "header"}
        known = self._types[value] = orjson.dumps(told)[len(b'{"t":') : -1]
        return known


def _opening(timing: Timing) -> bytes:
    told = {"dns": micros(timing.dns), "connect": micros(timing.connect), "tls": micros(timing.tls)}
    return orjson.dumps(told)[len(b'{"dns":') : -1]


def _json(lines: bytes, at: int) -> bytes:
    """The value that begins somewhere in field lines, as JSON."""
    return orjson.dumps(lines[at : lines.index(b"\r", at)].lstrip(b"\t ").decode("latin-1"))
