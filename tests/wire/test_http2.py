"""The faults an HTTP/2 peer can commit, met alike by both connections of the pair, however the bytes are cut.

The cases are data: what the peer sends after its SETTINGS, and what must become of the connection and of the first of
two streams; the second is answered at the end and must be whole unless the connection has failed. Where h2 ends the
connection and the fast codec the stream, `strict` says so: that is the one difference allowed. Numbers F-n are those of
the fault table.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from hpack import Encoder

from crawler.wire.http2 import frame
from crawler.wire.http2_api import Http2Limits

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED = 1, 4, 8
END = END_STREAM | END_HEADERS

Pair = tuple[bytes, bytes]


def block(*fields: Pair) -> bytes:
    """A field section that touches no table."""
    return Encoder().encode([(name, value, True) for name, value in fields])


OK = block((b":status", b"200"))


def head(stream_id: int, *fields: Pair, flags: int = END_HEADERS) -> bytes:
    """A response head of status 200."""
    return frame(HEADERS, flags, stream_id, block((b":status", b"200"), *fields))


def section(stream_id: int, *fields: Pair, flags: int = END_HEADERS) -> bytes:
    """Any field section."""
    return frame(HEADERS, flags, stream_id, block(*fields))


def word(value: int) -> bytes:
    """32 bits."""
    return struct.pack(">L", value)


def setting(key: int, value: int) -> bytes:
    """A SETTINGS frame with one setting."""
    return frame(SETTINGS, 0, 0, struct.pack(">HL", key, value))


HELLO = frame(SETTINGS, 0, 0, b"") + frame(SETTINGS, 1, 0, b"")
ANSWER = head(3) + frame(DATA, END_STREAM, 3, b"second")


class Case(NamedTuple):
    """What a peer sends, and what the first of two streams, or the connection, must be afterwards."""

    name: str
    data: bytes
    stream: dict[str, Any] = {}  # noqa: RUF012  # never written
    connection: str | None = None
    method: str = "GET"
    strict: bool = False
    hello: bytes = HELLO


def failed(kind: str = "protocol_error", **more: Any) -> dict[str, Any]:
    """A stream that ended in an error."""
    return {"error": kind, "is_complete": False} | more


def whole(body: bytes = b"", **more: Any) -> dict[str, Any]:
    """A stream with a whole response."""
    return {"error": None, "is_complete": True, "body": body} | more


BODY = frame(DATA, END_STREAM, 1, b"hello")
LENGTH_5 = (b"content-length", b"5")

STREAM_CASES = [
    Case("a response", head(1) + BODY, whole(b"hello", status=200)),
    Case(
        "fields",
        head(1, (b"server", b"x"), (b"a", b"")) + BODY,
        whole(headers=((b"server", b"x"), (b"a", b"")), body=b"hello"),
    ),
    Case("no body", head(1, flags=END), whole(b"")),
    Case("a length that holds", head(1, LENGTH_5) + BODY, whole(b"hello")),
    Case(
        "pieces",
        head(1) + frame(DATA, 0, 1, b"he") + frame(DATA, 0, 1, b"") + frame(DATA, END_STREAM, 1, b"llo"),
        whole(b"hello"),
    ),
    Case("padded", head(1) + frame(DATA, PADDED | END_STREAM, 1, b"\3hello\0\0\0"), whole(b"hello")),
    Case("padding only", head(1) + frame(DATA, PADDED, 1, b"\3\0\0\0") + BODY, whole(b"hello")),
    Case(
        "padded head with priority",
        frame(HEADERS, 0x2C, 1, b"\2" + word(0) + b"\x10" + OK + b"\0\0") + BODY,
        whole(b"hello"),
    ),
    Case(
        "interleaved",
        head(3) + head(1) + frame(DATA, 0, 3, b"a") + BODY + frame(RST_STREAM, 0, 99 - 98 + 2, word(8)),
        whole(b"hello"),
    ),
    Case(
        "head in three frames",
        frame(HEADERS, 0, 1, OK[:1])
        + frame(CONTINUATION, 0, 1, b"")
        + frame(CONTINUATION, END_HEADERS, 1, OK[1:])
        + BODY,
        whole(b"hello"),
    ),
    Case(
        "trailers",
        head(1) + frame(DATA, 0, 1, b"hello") + section(1, (b"a", b"b"), (b"content-length", b"9"), flags=END),
        whole(b"hello", trailers=((b"a", b"b"), (b"content-length", b"9"))),
    ),
    Case(
        "1xx first", section(1, (b":status", b"103"), (b"link", b"x")) * 3 + head(1) + BODY, whole(b"hello", status=200)
    ),
    Case("unknown frames and settings", frame(77, 255, 1, b"x") + setting(99, 7) + head(1) + BODY, whole(b"hello")),
    Case(
        "priority frames",
        frame(PRIORITY, 0, 1, bytes(5)) + frame(PRIORITY, 0, 98, bytes(5)) + head(1) + BODY,
        whole(b"hello"),
    ),
    Case("HEAD with a length", head(1, LENGTH_5, flags=END), whole(b""), method="HEAD"),
    Case(
        "304 with a length", section(1, (b":status", b"304"), LENGTH_5, flags=END), whole(b"", status=304), strict=True
    ),
    Case("F-1 reset before the head", frame(RST_STREAM, 0, 1, word(2)), failed("h2_reset", is_unprocessed=False)),
    Case(
        "F-1 reset in the body",
        head(1) + frame(DATA, 0, 1, b"he") + frame(RST_STREAM, 0, 1, word(8)),
        failed("h2_reset"),
    ),
    Case(
        "F-1 NO_ERROR in the body",
        head(1) + frame(DATA, 0, 1, b"he") + frame(RST_STREAM, 0, 1, word(0)),
        failed("h2_reset"),
    ),
    Case("F-1 unknown code", frame(RST_STREAM, 0, 1, word(4711)), failed("h2_reset")),
    Case("F-2 reset after the end", head(1) + BODY + frame(RST_STREAM, 0, 1, word(0)), whole(b"hello")),
    Case("F-3 refused", frame(RST_STREAM, 0, 1, word(7)), failed("h2_reset", is_unprocessed=True)),
    Case("F-10 no status", section(1, (b"a", b"b")) + BODY, failed()),
    Case("F-10 empty head", frame(HEADERS, END_HEADERS, 1, b"") + BODY, failed()),
    Case("F-10 two status", head(1, (b":status", b"200")) + BODY, failed()),
    Case("F-10 status of letters", section(1, (b":status", b"2x0")) + BODY, failed()),
    Case("F-10 status of four digits", section(1, (b":status", b"2000")) + BODY, failed()),
    Case("F-10 status below 100", section(1, (b":status", b"099")) + BODY, failed()),
    Case("F-10 status with a sign", section(1, (b":status", b"+20")) + BODY, failed()),
    Case("F-10 status late", section(1, (b"a", b"b"), (b":status", b"200")) + BODY, failed()),
    Case("F-10 unknown pseudo field", head(1, (b":path", b"/")) + BODY, failed()),
    Case("F-10 upper-case name", head(1, (b"Server", b"x")) + BODY, failed()),
    Case("F-10 colon in a name", head(1, (b"a:b", b"x")) + BODY, failed()),
    Case("F-10 no name", head(1, (b"", b"x")) + BODY, failed()),
    Case("F-10 space in a name", head(1, (b"a b", b"x")) + BODY, failed()),
    Case("F-10 CR in a value", head(1, (b"a", b"x\ry")) + BODY, failed()),
    Case("F-10 LF in a value", head(1, (b"a", b"x\nb: c")) + BODY, failed()),
    Case("F-10 NUL in a value", head(1, (b"a", b"x\0")) + BODY, failed()),
    Case("F-10 space before a value", head(1, (b"a", b" x")) + BODY, failed()),
    Case("F-10 101", section(1, (b":status", b"101")) + BODY, failed()),
    Case("F-11 transfer-encoding", head(1, (b"transfer-encoding", b"chunked")) + BODY, failed()),
    Case("F-11 connection", head(1, (b"connection", b"close")) + BODY, failed()),
    Case("F-12 body too long", head(1, (b"content-length", b"4")) + BODY, failed(), strict=True),
    Case("F-12 body too short", head(1, (b"content-length", b"6")) + BODY, failed("body_incomplete"), strict=True),
    Case("F-12 body missing", head(1, LENGTH_5, flags=END), failed("body_incomplete"), strict=True),
    Case(
        "F-12 short with trailers",
        head(1, LENGTH_5) + section(1, (b"a", b"b"), flags=END),
        failed("body_incomplete"),
        strict=True,
    ),
    Case("F-12 two lengths", head(1, LENGTH_5, (b"content-length", b"6")) + BODY, failed(), strict=True),
    Case("F-12 no number", head(1, (b"content-length", b"+5")) + BODY, failed(), strict=True),
    Case("F-17 too many 1xx", section(1, (b":status", b"103")) * 33, failed()),
    Case("F-17 1xx at the end", section(1, (b":status", b"103"), flags=END), failed(), strict=True),
    Case("F-19 window update of 0", frame(WINDOW_UPDATE, 0, 1, word(0)), failed(), strict=True),
    Case("F-19 window too large", frame(WINDOW_UPDATE, 0, 1, word(2**31 - 1)), failed("h2_flow"), strict=True),
    Case("F-24 body before the head", frame(DATA, 0, 1, b"x"), failed(), strict=True),
    Case("F-26 too many fields", head(1, *[(b"a", b"b")] * 1001) + BODY, failed("header_too_large")),
    Case("F-32 body of a 204", section(1, (b":status", b"204")) + BODY, failed(body=b""), strict=True),
    Case("F-32 body of a 304", section(1, (b":status", b"304")) + BODY, failed(body=b""), strict=True),
    Case("F-32 body for HEAD", head(1) + BODY, failed(body=b""), method="HEAD", strict=True),
    Case("F-32 empty DATA for HEAD", head(1) + frame(DATA, END_STREAM, 1, b""), whole(b""), method="HEAD"),
    Case("F-32 pseudo field in trailers", head(1) + section(1, (b":status", b"200"), flags=END), failed(), strict=True),
    Case("F-32 trailers do not end", head(1) + section(1, (b"a", b"b")) + BODY, failed(), strict=True),
]

FIVE = frame(PRIORITY, 0, 1, bytes(4))
CONNECTION_CASES = [
    Case(
        "F-7 endless CONTINUATION",
        frame(HEADERS, 0, 1, OK) + frame(CONTINUATION, 0, 1, b"") * 70,
        connection="header_too_large",
    ),
    Case(
        "F-7 full CONTINUATION",
        frame(HEADERS, 0, 1, OK) + frame(CONTINUATION, 0, 1, b"\x00\x01a\x7f\x82\x7f" + b"x" * 16000) * 20,
        connection="header_too_large",
    ),
    Case("F-8 index 0", frame(HEADERS, END_HEADERS, 1, b"\x80"), connection="protocol_error"),
    Case("F-8 index beyond the table", frame(HEADERS, END_HEADERS, 1, b"\xc0"), connection="protocol_error"),
    Case(
        "F-8 bad Huffman", frame(HEADERS, END_HEADERS, 1, b"\x00\x84\xff\xff\xff\xff\x01a"), connection="protocol_error"
    ),
    Case("F-8 integer overflow", frame(HEADERS, END_HEADERS, 1, b"\xff" + b"\xff" * 12), connection="protocol_error"),
    Case("F-8 name cut short", frame(HEADERS, END_HEADERS, 1, b"\x00\x05ab"), connection="protocol_error"),
    Case("F-8 value missing", frame(HEADERS, END_HEADERS, 1, b"\x00\x01a"), connection="protocol_error"),
    Case("F-8 value cut short", frame(HEADERS, END_HEADERS, 1, b"\x08\x03ab"), connection="protocol_error"),
    Case("F-8 table over our limit", frame(HEADERS, END_HEADERS, 1, b"\x3f\xe2\x1f" + OK), connection="protocol_error"),
    Case("F-8 table size late", frame(HEADERS, END_HEADERS, 1, OK + b"\x20"), connection="protocol_error"),
    Case(
        "F-9 bomb",
        frame(HEADERS, END_HEADERS, 1, b"\x88\x40\x01a\x7f\xa1\x1e" + b"x" * 4000 + b"\xbe" * 100),
        connection="header_too_large",
    ),
    Case("F-13 frame too large", frame(DATA, 0, 1, bytes(16385)), connection="protocol_error"),
    Case("F-13 padding as large as the frame", head(1) + frame(DATA, PADDED, 1, b"\4abc"), connection="protocol_error"),
    Case("F-13 padding without a frame", head(1) + frame(DATA, PADDED, 1, b""), connection="protocol_error"),
    Case("F-13 padding of a head", frame(HEADERS, END_HEADERS | PADDED, 1, b"\x09" + OK), connection="protocol_error"),
    Case(
        "F-13 head too short for its priority", frame(HEADERS, END_HEADERS | 32, 1, b"abc"), connection="protocol_error"
    ),
    Case("F-13 PRIORITY of 4", FIVE, connection="protocol_error"),
    Case("F-13 RST_STREAM of 5", frame(RST_STREAM, 0, 1, bytes(5)), connection="protocol_error"),
    Case("F-13 PING of 7", frame(PING, 0, 0, bytes(7)), connection="protocol_error"),
    Case("F-13 GOAWAY of 7", frame(GOAWAY, 0, 0, bytes(7)), connection="protocol_error"),
    Case("F-13 WINDOW_UPDATE of 3", frame(WINDOW_UPDATE, 0, 1, bytes(3)), connection="protocol_error"),
    Case("F-13 DATA on stream 0", frame(DATA, 0, 0, b"x"), connection="protocol_error"),
    Case("F-13 HEADERS on stream 0", frame(HEADERS, END_HEADERS, 0, OK), connection="protocol_error"),
    Case("F-13 RST_STREAM on stream 0", frame(RST_STREAM, 0, 0, word(0)), connection="protocol_error"),
    Case("F-13 PING on a stream", frame(PING, 0, 1, bytes(8)), connection="protocol_error"),
    Case("F-13 SETTINGS on a stream", frame(SETTINGS, 0, 1, b""), connection="protocol_error"),
    Case("F-13 GOAWAY on a stream", frame(GOAWAY, 0, 1, bytes(8)), connection="protocol_error"),
    Case("F-14 announces 16 MB", b"\xff\xff\xff\0\0\0\0\0\1", connection="protocol_error"),
    Case("F-15 SETTINGS of 5", frame(SETTINGS, 0, 0, bytes(5)), connection="protocol_error"),
    Case("F-15 SETTINGS answer with a body", frame(SETTINGS, 1, 0, bytes(6)), connection="protocol_error"),
    Case("F-15 push enabled", setting(2, 1), connection="protocol_error"),
    Case("F-15 window too large", setting(4, 2**31), connection="h2_flow"),
    Case("F-15 frames too small", setting(5, 16383), connection="protocol_error"),
    Case("F-15 frames too large", setting(5, 2**24), connection="protocol_error"),
    Case("F-16 PING flood", frame(PING, 0, 0, bytes(8)) * 1001, connection="protocol_error"),
    Case("F-16 SETTINGS flood", frame(SETTINGS, 0, 0, b"") * 1001, connection="protocol_error"),
    Case("F-17 empty DATA flood", head(1) + frame(DATA, 0, 1, b"") * 11_000, connection="protocol_error"),
    Case("F-17 PRIORITY flood", frame(PRIORITY, 0, 1, bytes(5)) * 11_000, connection="protocol_error"),
    Case("F-17 RST_STREAM flood", frame(RST_STREAM, 0, 1, word(8)) * 11_000, connection="protocol_error"),
    Case("F-17 WINDOW_UPDATE flood", frame(WINDOW_UPDATE, 0, 1, word(1)) * 11_000, connection="protocol_error"),
    Case("F-17 unknown frames", frame(77, 0, 0, b"") * 11_000, connection="protocol_error"),
    Case("F-18 over the window of a stream", head(1) + frame(DATA, 0, 1, bytes(16384)) * 65, connection="h2_flow"),
    Case("F-19 window of the connection by 0", frame(WINDOW_UPDATE, 0, 0, word(0)), connection="protocol_error"),
    Case("F-19 window of the connection too large", frame(WINDOW_UPDATE, 0, 0, word(2**31 - 1)), connection="h2_flow"),
    Case("F-22 push", frame(PUSH_PROMISE, END_HEADERS, 1, word(2) + OK), connection="protocol_error"),
    Case("F-23 DATA on an idle stream", frame(DATA, 0, 5, b"x"), connection="protocol_error"),
    Case("F-23 HEADERS on an idle stream", frame(HEADERS, END_HEADERS, 5, OK), connection="protocol_error"),
    Case("F-23 HEADERS on an even stream", frame(HEADERS, END_HEADERS, 2, OK), connection="protocol_error"),
    Case("F-23 RST_STREAM on an idle stream", frame(RST_STREAM, 0, 5, word(8)), connection="protocol_error"),
    Case("F-23 WINDOW_UPDATE on an idle stream", frame(WINDOW_UPDATE, 0, 5, word(8)), connection="protocol_error"),
    Case("F-23 DATA after the end", head(1) + BODY + BODY, connection="protocol_error"),
    Case("F-23 HEADERS after the end", head(1) + BODY + head(1), connection="protocol_error"),
    Case("F-24 frame within a head", frame(HEADERS, 0, 1, OK) + frame(DATA, 0, 1, b"x"), connection="protocol_error"),
    Case(
        "F-24 PING within a head", frame(HEADERS, 0, 1, OK) + frame(PING, 0, 0, bytes(8)), connection="protocol_error"
    ),
    Case(
        "F-24 unknown frame within a head", frame(HEADERS, 0, 1, OK) + frame(77, 0, 1, b""), connection="protocol_error"
    ),
    Case(
        "F-24 CONTINUATION of another stream",
        frame(HEADERS, 0, 1, OK) + frame(CONTINUATION, END_HEADERS, 3, b""),
        connection="protocol_error",
    ),
    Case("F-24 CONTINUATION of nothing", frame(CONTINUATION, END_HEADERS, 1, OK), connection="protocol_error"),
    Case("F-30 no SETTINGS", head(1) + BODY, connection="protocol_error", hello=b""),
    Case("F-30 an answer first", frame(SETTINGS, 1, 0, b""), connection="protocol_error", hello=b""),
    Case("F-30 HTTP/1.1", b"HTTP/1.1 400 Bad Request\r\n\r\n", connection="protocol_error", hello=b""),
    Case("F-30 a little of HTTP/1.1", b"HT", connection="protocol_error", hello=b""),
]


def cuttings(data: bytes) -> Iterator[list[bytes]]:
    """Whole; in small pieces; in two at a spread of positions."""
    yield [data]
    step = max(1, len(data) // 300)
    yield [data[i : i + step] for i in range(0, len(data), step)]
    for at in range(0, len(data), max(1, len(data) // (60 if len(data) < 2000 else 2))):
        yield [data[:at], data[at:]]


@pytest.mark.parametrize("case", STREAM_CASES, ids=lambda case: case.name)
def test_one_stream(case: Case, http2_codec: str, read_http2: Callable[..., Any]) -> None:
    """What is wrong with one stream ends that stream; the other is whole, byte for byte (F-26)."""
    data = case.hello + case.data + (b"" if "interleaved" in case.name else ANSWER)
    readings = {read_http2(http2_codec, pieces, methods=(case.method, "GET")) for pieces in cuttings(data)}

    assert len(readings) == 1
    reading = readings.pop()
    if case.strict and http2_codec == "h2" and reading.error:
        assert not reading.streams[0].is_complete
        return
    assert reading.error is None
    first, second = reading.streams
    assert {key: getattr(first, key) for key in case.stream} == case.stream
    if "interleaved" not in case.name:
        assert second.is_complete
        assert second.body == b"second"


@pytest.mark.parametrize("case", CONNECTION_CASES, ids=lambda case: case.name)
def test_whole_connection(case: Case, http2_codec: str, read_http2: Callable[..., Any]) -> None:
    """What leaves the connection in doubt ends it, with every stream that is not complete."""
    for pieces in cuttings(case.hello + case.data):
        reading = read_http2(http2_codec, pieces)

        assert reading.error == case.connection
        assert reading.is_draining
        assert all(stream.is_complete or stream.error == case.connection or stream.error for stream in reading.streams)


def test_goaway(http2_codec: str, read_http2: Callable[..., Any]) -> None:
    """Streams up to the last of a GOAWAY end normally; those above were not processed and say so (F-4, F-5)."""
    goaway = frame(GOAWAY, 0, 0, word(1) + word(0) + b"bye")
    for pieces in cuttings(HELLO + goaway + head(1) + BODY):
        reading = read_http2(http2_codec, pieces)
        first, second = reading.streams

        assert reading.error is None
        assert reading.is_draining
        assert first.is_complete
        assert first.body == b"hello"
        assert (second.error, second.is_unprocessed) == ("h2_goaway", True)


def test_own_limits(http2_codec: str, read_http2: Callable[..., Any]) -> None:
    """Limits are a value that a connection is made with."""
    limits = Http2Limits(fields=2, header_list_bytes=2000, stream_window_bytes=70_000, informational=1)
    fits = HELLO + head(1, (b"a", b"b"), (b"c", b"d")) + BODY

    assert read_http2(http2_codec, [fits], limits=limits).streams[0].is_complete
    too_many = HELLO + head(1, *[(b"a", b"b")] * 3) + BODY
    assert read_http2(http2_codec, [too_many], limits=limits).streams[0].error == "header_too_large"
    too_large = HELLO + head(1, (b"a", b"b" * 2000)) + BODY
    assert read_http2(http2_codec, [too_large], limits=limits).error == "header_too_large"
    too_much = HELLO + head(1) + frame(DATA, 0, 1, bytes(14_001)) * 5
    assert read_http2(http2_codec, [too_much], limits=limits).error == "h2_flow"


def test_progress_restores_the_budget(http2_codec: str, read_http2: Callable[..., Any]) -> None:
    """A peer that sends pings between real data may do so for ever."""
    quiet = Http2Limits(idle_frames=50)
    data = HELLO + head(1) + (frame(PING, 0, 0, bytes(8)) * 19 + frame(DATA, 0, 1, b"x")) * 50

    assert read_http2(http2_codec, [data], limits=quiet).error is None
    assert read_http2(http2_codec, [data.replace(b"x", b"")], limits=quiet).error == "protocol_error"
