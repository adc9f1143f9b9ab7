"""The promises of an HTTP/1.1 reader, kept by both of the pair, however the bytes are cut; and of the request encoder.

The cases are data: name, method, the bytes, what they mean (or that they are refused, with the error's kind), and the
section of RFC 9112 (or 9110, as said) that decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.errors import LocalProtocolError, RemoteProtocolError
from crawler.wire import http1
from crawler.wire.http1 import Http1Limits, Http1Reader, encode_chunk, encode_request_head

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


class Good(NamedTuple):
    """A response that is read: `rest` are its bytes after the message, `facts` what the reader must say."""

    name: str
    data: bytes
    facts: dict[str, Any]
    rfc: str
    method: str = "GET"
    eof: bool = False


class Bad(NamedTuple):
    """A response that is refused, at the latest at the end of the bytes."""

    name: str
    data: bytes
    rfc: str
    method: str = "GET"
    kind: str = "protocol_error"
    eof: bool = False


GOOD = [
    Good("content-length", OK + b"Content-Length: 5\r\n\r\nhello", {"body": b"hello", "can_reuse": True}, "6.2"),
    Good("no body", OK + b"Content-Length: 0\r\n\r\n", {"body": b"", "can_reuse": True}, "6.2"),
    Good(
        "zeros before a length",
        OK + b"Content-Length: 0000000000000000000000005\r\n\r\nhello",
        {"body": b"hello"},
        "6.2",
    ),
    Good(
        "equal lengths",
        OK + b"Content-Length: 2\r\nContent-length: 2\r\n\r\nhi",
        {"body": b"hi", "can_reuse": True},
        "6.3",
    ),
    Good("a list of equal lengths", OK + b"Content-Length: 2, 2\r\n\r\nhi", {"body": b"hi", "can_reuse": True}, "6.3"),
    Good(
        "chunks",
        CHUNKED + b"3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n",
        {"body": b"abc0123456789", "can_reuse": True},
        "7.1",
    ),
    Good(
        "chunk extension",
        CHUNKED + b'3;a=b;c="d e"\r\nabc\r\n0;last\r\n\r\n',
        {"body": b"abc", "can_reuse": True},
        "7.1.1",
    ),
    Good("padded chunk size", CHUNKED + b"003  \r\nabc\r\n0 \r\n\r\n", {"body": b"abc", "can_reuse": True}, "7.1"),
    Good(
        "chunked in capitals",
        OK + b"Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
        {"body": b"", "can_reuse": True},
        "7",
    ),
    Good(
        "trailers stay apart",
        CHUNKED + b"2\r\nhi\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: gzip\r\nSet-Cookie: a=b \r\n\r\n",
        {
            "body": b"hi",
            "can_reuse": True,
            "headers": ((b"Transfer-Encoding", b"chunked"),),
            "trailers": ((b"Content-Length", b"9"), (b"Transfer-Encoding", b"gzip"), (b"Set-Cookie", b"a=b")),
        },
        "7.1.2",
    ),
    Good("read to the close", OK + b"\r\nhello", {"body": b"hello", "can_reuse": False}, "6.3", eof=True),
    Good("empty, read to the close", OK + b"\r\n", {"body": b"", "can_reuse": False}, "6.3", eof=True),
    Good(
        "HTTP/1.0",
        b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
        {"body": b"x", "http_version": "HTTP/1.0", "can_reuse": False},
        "9.3",
    ),
    Good(
        "HTTP/1.0 keep-alive",
        b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: Keep-Alive\r\n\r\nx",
        {"body": b"x", "can_reuse": True},
        "9.3",
    ),
    Good(
        "HTTP/1.0 chunked is read once",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        {"body": b"x", "can_reuse": False},
        "6.1",
    ),
    Good("close", OK + b"Content-Length: 1\r\nConnection: close\r\n\r\nx", {"body": b"x", "can_reuse": False}, "9.3"),
    Good("close in a list", OK + b"Content-Length: 1\r\nconnection: a ,CLOSE\r\n\r\nx", {"can_reuse": False}, "9.3"),
    Good("a word like close", OK + b"Content-Length: 1\r\nConnection: closed\r\n\r\nx", {"can_reuse": True}, "9.3"),
    Good("close elsewhere", OK + b"Content-Length: 1\r\nX-Door: close\r\n\r\nx", {"can_reuse": True}, "9.3"),
    Good(
        "close after chunks",
        OK + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        {"can_reuse": False},
        "9.3",
    ),
    Good(
        "HEAD with a length",
        OK + b"Content-Length: 5\r\n\r\n",
        {"body": b"", "can_reuse": True, "headers": ((b"Content-Length", b"5"),)},
        "6.3",
        method="HEAD",
    ),
    Good("HEAD with chunked", CHUNKED, {"body": b"", "can_reuse": True}, "6.3", method="HEAD"),
    Good("HEAD without framing", OK + b"\r\n", {"body": b"", "can_reuse": True}, "6.3", method="HEAD"),
    Good("204 with a length", b"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n", {"body": b"", "can_reuse": True}, "6.3"),
    Good(
        "304 with a length", b"HTTP/1.1 304 Same\r\nContent-Length: 5\r\n\r\n", {"body": b"", "can_reuse": True}, "6.3"
    ),
    Good(
        "304 with chunked",
        b"HTTP/1.1 304 S\r\nTransfer-Encoding: chunked\r\n\r\n",
        {"body": b"", "can_reuse": True},
        "6.3",
    ),
    Good(
        "100 and 103 first",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        + OK
        + b"Content-Length: 2\r\n\r\nhi",
        {"status": 200, "body": b"hi", "can_reuse": True, "headers": ((b"Content-Length", b"2"),)},
        "9110 15.2",
    ),
    Good(
        "a length in a 100",
        b"HTTP/1.1 100 Continue\r\nContent-Length: 9\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nhi",
        {"status": 200, "body": b"hi", "can_reuse": True},
        "6.3",
    ),
    Good("no reason", b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", {"reason": b"", "can_reuse": True}, "4"),
    Good("empty reason", b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", {"reason": b"", "can_reuse": True}, "4"),
    Good(
        "unknown status",
        b"HTTP/1.1 999 \xff\tx\r\nContent-Length: 0\r\n\r\n",
        {"status": 999, "reason": b"\xff\tx"},
        "4",
    ),
    Good(
        "white space around values",
        OK + b"A:b\r\nC: \t d e \t\r\nF:\r\nG:  \r\nContent-Length: 0 \r\n\r\n",
        {"headers": ((b"A", b"b"), (b"C", b"d e"), (b"F", b""), (b"G", b""), (b"Content-Length", b"0"))},
        "5.1",
    ),
    Good(
        "bytes above 127",
        OK + b"X: caf\xc3\xa9 \xff\r\nContent-Length: 0\r\n\r\n",
        {"headers": ((b"X", b"caf\xc3\xa9 \xff"), (b"Content-Length", b"0"))},
        "9110 5.5",
    ),
    Good(
        "folded field",
        OK + b"X: a \r\n \t b\r\n\tc\r\nContent-Length: 0\r\n\r\n",
        {"headers": ((b"X", b"a b c"), (b"Content-Length", b"0"))},
        "5.2",
    ),
    Good(
        "a fold cannot end the head",
        OK + b"Content-Length: 0\r\nX: a\r\n \r\n\r\n",
        {"headers": ((b"Content-Length", b"0"), (b"X", b"a")), "can_reuse": True},
        "5.2",
    ),
    Good(
        "names keep their case and order",
        OK + b"b: 1\r\nB: 2\r\na: 3\r\nContent-Length: 0\r\n\r\n",
        {"headers": ((b"b", b"1"), (b"B", b"2"), (b"a", b"3"), (b"Content-Length", b"0"))},
        "5",
    ),
]

# What follows these is not HTTP any more.
TUNNELS = [
    Good("101", b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", {"status": 101}, "9110 15.2.2"),
    Good("101 not asked for", b"HTTP/1.1 101 Switching\r\n\r\n", {"status": 101}, "9110 15.2.2"),
    Good("CONNECT", b"HTTP/1.1 200 OK\r\n\r\n", {"status": 200}, "9110 9.3.6", method="CONNECT"),
    Good("CONNECT with a length", OK + b"Content-Length: 5\r\n\r\n", {"status": 200}, "9110 9.3.6", method="CONNECT"),
    Good("CONNECT with chunked", CHUNKED, {"status": 200}, "9110 9.3.6", method="CONNECT"),
]

BIG = b"a" * 70_000
BAD = [
    Bad("H-6 length and chunked", OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "6.3"),
    Bad("H-6 chunked and length", OK + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", "6.3"),
    Bad(
        "H-6 in an answer to HEAD",
        OK + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
        "6.3",
        method="HEAD",
    ),
    Bad("H-7 two lengths", OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", "6.3"),
    Bad("H-7 two lengths in a list", OK + b"Content-Length: 5, 6\r\n\r\nhello!", "6.3"),
    Bad("H-8 plus", OK + b"Content-Length: +5\r\n\r\nhello", "9110 8.6"),
    Bad("H-8 minus", OK + b"Content-Length: -5\r\n\r\nhello", "9110 8.6"),
    Bad("H-8 hexadecimal", OK + b"Content-Length: 0x5\r\n\r\nhello", "9110 8.6"),
    Bad("H-8 underscore", OK + b"Content-Length: 1_0\r\n\r\nhellohello", "9110 8.6"),
    Bad("H-8 point", OK + b"Content-Length: 5.0\r\n\r\nhello", "9110 8.6"),
    Bad("H-8 inner space", OK + b"Content-Length: 1 0\r\n\r\nhellohello", "9110 8.6"),
    Bad("H-8 empty", OK + b"Content-Length:\r\n\r\nhello", "9110 8.6"),
    Bad("H-8 empty item", OK + b"Content-Length: 5,\r\n\r\nhello", "9110 8.6"),
    Bad("H-8 other digits", OK + "Content-Length: ٥\r\n\r\nhello".encode(), "9110 8.6"),
    Bad("H-8 superscript", OK + b"Content-Length: \xb2\r\n\r\nhi", "9110 8.6"),
    Bad("H-8 over 63 bits", OK + b"Content-Length: 9223372036854775808\r\n\r\n", "9110 8.6"),
    Bad("H-8 over 64 bits", OK + b"Content-Length: 18446744073709551621\r\n\r\nhello", "9110 8.6"),
    Bad("H-9 no size", CHUNKED + b"\r\nhello", "7.1"),
    Bad("H-9 junk size", CHUNKED + b"xyz\r\nhello\r\n", "7.1"),
    Bad("H-9 0x", CHUNKED + b"0x5\r\nhello\r\n", "7.1"),
    Bad("H-9 plus", CHUNKED + b"+5\r\nhello\r\n", "7.1"),
    Bad("H-9 minus", CHUNKED + b"-1\r\nhello\r\n", "7.1"),
    Bad("H-9 underscore", CHUNKED + b"1_0\r\nhellohellohello!\r\n", "7.1"),
    Bad("H-9 leading space", CHUNKED + b" 5\r\nhello\r\n", "7.1"),
    Bad("H-9 inner space", CHUNKED + b"1 0\r\nhello\r\n", "7.1"),
    Bad("H-9 64 bits", CHUNKED + b"ffffffffffffffff\r\nhello\r\n", "7.1"),
    Bad("H-9 wraps around", CHUNKED + b"10000000000000005\r\nhello\r\n", "7.1"),
    Bad("H-10 data runs on", CHUNKED + b"5\r\nhello!\r\n0\r\n\r\n", "7.1"),
    Bad("H-10 LF after data", CHUNKED + b"5\r\nhello\n0\r\n\r\n", "7.1"),
    Bad("H-10 CR after data", CHUNKED + b"5\r\nhello\rx0\r\n\r\n", "7.1"),
    Bad("H-11 unknown coding", OK + b"Transfer-Encoding: gzip\r\n\r\nabc", "6.1"),
    Bad("H-11 coding before chunked", OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "6.1"),
    Bad("H-11 chunked not last", OK + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", "6.1"),
    Bad("H-11 chunked twice", OK + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", "6.1"),
    Bad("H-11 two fields", OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "6.1"),
    Bad("H-11 identity", OK + b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello", "6.1"),
    Bad("H-11 empty", OK + b"Transfer-Encoding:\r\n\r\n0\r\n\r\n", "6.1"),
    Bad("H-11 xchunked", OK + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "6.1"),
    Bad("H-12 space before colon", OK + b"Content-Length : 5\r\n\r\nhello", "5.1"),
    Bad("H-12 tab before colon", OK + b"Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n", "5.1"),
    Bad("H-13 endless chunk size", CHUNKED + b"0" * 70_000, "7.1"),
    Bad("H-13 endless extension", CHUNKED + b"5;" + BIG, "7.1.1"),
    Bad("H-13 long extensions on small chunks", CHUNKED + (b"1;" + b"x" * 9000 + b"\r\na\r\n") * 20, "7.1.1"),
    Bad("H-13 endless trailer", CHUNKED + b"0\r\nX: " + BIG, "7.1.2", kind="header_too_large"),
    Bad("H-13 endless trailers", CHUNKED + b"0\r\n" + b"X: y\r\n" * 1100, "7.1.2", kind="header_too_large"),
    Bad("H-13 leading empty line", b"\r\n" + OK + b"Content-Length: 0\r\n\r\n", "2.2"),
    Bad("H-17 endless 1xx", b"HTTP/1.1 103 Early\r\n\r\n" * 33 + OK + b"Content-Length: 0\r\n\r\n", "9110 15.2"),
    Bad("H-19 HTTP/0.9", b"<html>hello</html>", "4"),
    Bad("H-19 junk", b"\x00\x01\x02\x03", "4"),
    Bad("H-19 TLS alert", b"\x15\x03\x01\x00\x02\x02\x28", "4"),
    Bad("H-19 another protocol", b"SSH-2.0-OpenSSH_9.6\r\n", "4"),
    Bad("H-19 RTSP", b"RTSP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "4"),
    Bad("H-19 ICE", b"ICE/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "4"),
    Bad("H-19 lower case", b"http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "2.3"),
    Bad("H-19 HTTP/2.0", b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", "2.3"),
    Bad("H-19 HTTP/1.2", b"HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n", "2.3"),
    Bad("H-19 HTTP/11.1", b"HTTP/11.1 200 OK\r\nContent-Length: 0\r\n\r\n", "2.3"),
    Bad("H-19 two digits", b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n", "4"),
    Bad("H-19 four digits", b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n", "4"),
    Bad("H-19 below 100", b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n", "4"),
    Bad("H-19 letters", b"HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n", "4"),
    Bad("H-19 other digits", "HTTP/1.1 ٢٠٠ OK\r\nContent-Length: 0\r\n\r\n".encode(), "4"),
    Bad("H-19 two spaces", b"HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n", "4"),
    Bad("H-20 all lines end in LF", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", "2.2"),
    Bad("H-20 one line ends in LF", OK + b"A: b\nContent-Length: 2\r\n\r\nhi", "2.2"),
    Bad("H-20 the empty line is LF", OK + b"Content-Length: 2\r\n\nhi", "2.2"),
    Bad("H-20 chunk line ends in LF", CHUNKED + b"2\nhi\r\n0\r\n\r\n", "7.1"),
    Bad("H-20 trailers end in LF", CHUNKED + b"0\r\nA: b\n\n", "7.1"),
    Bad("H-21 CR as line end", OK + b"A: b\rContent-Length: 2\r\n\r\nhi", "2.2"),
    Bad("H-21 CR in a value", OK + b"A: b\rc\r\nContent-Length: 2\r\n\r\nhi", "2.2"),
    Bad("H-22 NUL in a value", OK + b"A: b\0c\r\nContent-Length: 0\r\n\r\n", "9110 5.5"),
    Bad("H-22 NUL in a name", OK + b"A\0: b\r\nContent-Length: 0\r\n\r\n", "9110 5.1"),
    Bad("H-22 escape in a value", OK + b"A: \x1b[2J\r\nContent-Length: 0\r\n\r\n", "9110 5.5"),
    Bad("H-22 DEL in a value", OK + b"A: \x7f\r\nContent-Length: 0\r\n\r\n", "9110 5.5"),
    Bad("H-22 control character in the reason", b"HTTP/1.1 200 O\x01K\r\nContent-Length: 0\r\n\r\n", "4"),
    Bad("H-22 NUL in a trailer", CHUNKED + b"0\r\nA: \0\r\n\r\n", "9110 5.5"),
    Bad("H-23 fold before the first field", OK + b" A: b\r\nContent-Length: 0\r\n\r\n", "2.2"),
    Bad("H-23 fold before the first trailer", CHUNKED + b"0\r\n A: b\r\n\r\n", "2.2"),
    Bad("H-24 no colon", OK + b"hello\r\nContent-Length: 0\r\n\r\n", "5"),
    Bad("H-24 no name", OK + b": b\r\nContent-Length: 0\r\n\r\n", "5"),
    Bad("H-24 space in a name", OK + b"A B: c\r\nContent-Length: 0\r\n\r\n", "5"),
    Bad("H-24 byte above 127 in a name", OK + b"A\xe9: c\r\nContent-Length: 0\r\n\r\n", "9110 5.1"),
    Bad("H-24 no colon in a trailer", CHUNKED + b"0\r\nhello\r\n\r\n", "5"),
    Bad("H-26 huge field", OK + b"X: " + BIG + b"\r\nContent-Length: 0\r\n\r\n", "5.4", kind="header_too_large"),
    Bad("H-26 endless field", OK + b"X: " + BIG, "5.4", kind="header_too_large"),
    Bad("H-26 huge reason", b"HTTP/1.1 200 " + BIG + b"\r\n\r\n", "5.4", kind="header_too_large"),
    Bad("H-26 endless reason", b"HTTP/1.1 200 " + BIG, "5.4", kind="header_too_large"),
    Bad("H-26 huge head", OK + (b"X: " + b"y" * 9000 + b"\r\n") * 30 + b"\r\n", "5.4", kind="header_too_large"),
    Bad("H-26 endless head", OK + (b"X: " + b"y" * 9000 + b"\r\n") * 30, "5.4", kind="header_too_large"),
    Bad("H-26 too many fields", OK + b"a:\r\n" * 1001 + b"Content-Length: 0\r\n\r\n", "5.4", kind="header_too_large"),
    Bad("H-26 endless fields", OK + b"a:\r\n" * 1002, "5.4", kind="header_too_large"),
    Bad("H-3 nothing", b"", "9.6", kind="connection_lost", eof=True),
    Bad("H-3 status line cut", b"HTTP/1.1 2", "9.6", kind="connection_lost", eof=True),
    Bad("H-3 headers cut", OK + b"Content-Le", "9.6", kind="connection_lost", eof=True),
    Bad("H-3 only a 1xx", b"HTTP/1.1 100 Continue\r\n\r\n", "9.6", kind="connection_lost", eof=True),
    Bad("H-3 body cut", OK + b"Content-Length: 5\r\n\r\nhell", "8", kind="body_incomplete", eof=True),
    Bad("H-3 body missing", OK + b"Content-Length: 5\r\n\r\n", "8", kind="body_incomplete", eof=True),
    Bad("H-3 chunk size cut", CHUNKED + b"5", "8", kind="body_incomplete", eof=True),
    Bad("H-3 chunk cut", CHUNKED + b"5\r\nhel", "8", kind="body_incomplete", eof=True),
    Bad("H-3 chunk end cut", CHUNKED + b"5\r\nhello\r", "8", kind="body_incomplete", eof=True),
    Bad("H-3 before the last chunk", CHUNKED + b"5\r\nhello\r\n", "8", kind="body_incomplete", eof=True),
    Bad("H-3 last chunk cut", CHUNKED + b"5\r\nhello\r\n0\r\n", "8", kind="body_incomplete", eof=True),
    Bad("H-3 trailers cut", CHUNKED + b"5\r\nhello\r\n0\r\nX: y\r\n", "8", kind="body_incomplete", eof=True),
]


def cuttings(data: bytes) -> Iterator[list[bytes]]:
    """Whole; byte by byte; in two at every position. Long cases are cut at a spread of positions."""
    yield [data]
    step = max(1, len(data) // 200)
    yield [data[i : i + step] for i in range(0, len(data), step)]
    for at in range(0, len(data), max(1, len(data) // 40) if step > 1 else 1):
        yield [data[:at], data[at:]]


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
def test_good_response(case: Good, codec: str, read_http1: Callable[..., Any]) -> None:
    """A valid response is read the same however its bytes are cut."""
    readings = {read_http1(codec, case.method, pieces, eof=case.eof) for pieces in cuttings(case.data)}

    assert len(readings) == 1
    reading = readings.pop()
    assert reading.refused is None
    assert reading.is_complete
    assert {key: getattr(reading, key) for key in case.facts} == case.facts


@pytest.mark.parametrize("tail", [b"X", b"\r\n", b"\n", OK + b"Content-Length: 0\r\n\r\n", b"HTTP/1.1 "], ids=repr)
@pytest.mark.parametrize("case", [case for case in GOOD if not case.eof], ids=lambda case: case.name)
def test_bytes_after_the_message(case: Good, tail: bytes, codec: str, read_http1: Callable[..., Any]) -> None:
    """Bytes after a message leave the answer as it is and end the connection's use (H-5, H-15)."""
    readings = {read_http1(codec, case.method, pieces) for pieces in cuttings(case.data + tail)}

    assert len(readings) == 1
    reading = readings.pop()
    facts = case.facts | {"can_reuse": False}
    assert reading.is_complete
    assert {key: getattr(reading, key) for key in facts} == facts
    assert reading.leftover == b""


@pytest.mark.parametrize("tail", [b"", b"\x81\x05hello", OK + b"Content-Length: 0\r\n\r\n"], ids=repr)
@pytest.mark.parametrize("case", TUNNELS, ids=lambda case: case.name)
def test_tunnel(case: Good, tail: bytes, codec: str, read_http1: Callable[..., Any]) -> None:
    """After 101, and after a 2xx to CONNECT, all that follows the head is left over, untouched (H-18)."""
    readings = {read_http1(codec, case.method, pieces) for pieces in cuttings(case.data + tail)}

    assert len(readings) == 1
    reading = readings.pop()
    assert reading.status == case.facts["status"]
    assert reading.is_complete
    assert not reading.can_reuse
    assert reading.body == b""
    assert reading.leftover == tail


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
def test_bad_response(case: Bad, codec: str, read_http1: Callable[..., Any]) -> None:
    """A response that breaks the protocol, or is cut short, is refused with its kind however its bytes are cut."""
    kinds = {read_http1(codec, case.method, pieces, eof=case.eof).refused for pieces in cuttings(case.data)}

    assert kinds == {case.kind}


def test_refused_connect_has_a_body(new_reader: Callable[[], Http1Reader]) -> None:
    """An answer to CONNECT other than 2xx is an ordinary response."""
    reader = new_reader()
    reader.expect("CONNECT")
    reader.feed(b"HTTP/1.1 407 Auth\r\nContent-Length: 2\r\n\r\nno")

    assert reader.body == [b"no"]
    assert reader.can_reuse


def test_responses_in_a_row(new_reader: Callable[[], Http1Reader], snapshot: Callable[..., Any]) -> None:
    """One reader reads all responses of a connection; each has lists of its own."""
    reader = new_reader()
    kept = []
    for case in [case for case in GOOD if case.facts.get("can_reuse")] * 2:
        reader.expect(case.method)
        reader.feed(case.data)
        kept.append((case, reader.headers, list(reader.headers), reader.body))

        assert reader.can_reuse, case.name
        assert {key: getattr(snapshot(reader), key) for key in case.facts} == case.facts
    assert all(headers == copy for _, headers, copy, _ in kept)
    assert len({id(headers) for _, headers, _, _ in kept}) == len(kept)


def test_owner_takes_body_pieces(new_reader: Callable[[], Http1Reader]) -> None:
    """The owner may clear or replace the list of body pieces at any time."""
    reader = new_reader()
    reader.expect("GET")
    reader.feed(OK + b"Content-Length: 9\r\n\r\nabc")
    first = reader.body
    reader.body = []
    reader.feed(b"def")
    second = list(reader.body)
    reader.body.clear()
    reader.feed(b"ghi")

    assert [first, second, reader.body] == [[b"abc"], [b"def"], [b"ghi"]]
    assert reader.can_reuse


def test_body_piece_is_not_copied(new_reader: Callable[[], Http1Reader]) -> None:
    """A piece that lies within the body is handed on as bytes, whatever the length."""
    reader = new_reader()
    reader.expect("GET")
    reader.feed(OK + b"Content-Length: 300000\r\n\r\n")
    reader.feed(b"x" * 300_000)

    assert b"".join(reader.body) == b"x" * 300_000
    assert all(type(piece) is bytes for piece in reader.body)


def test_bytes_while_idle(new_reader: Callable[[], Http1Reader]) -> None:
    """Bytes that belong to no request end the connection's use; the next request is refused before it is read."""
    reader = new_reader()
    reader.expect("GET")
    reader.feed(OK + b"Content-Length: 0\r\n\r\n")
    reader.feed(b"HTTP/1.1 408 Request Timeout\r\n\r\n")

    assert reader.status == 200
    assert reader.is_complete
    assert not reader.can_reuse
    with pytest.raises(RemoteProtocolError):
        reader.expect("GET")


def test_bytes_before_the_first_request(new_reader: Callable[[], Http1Reader]) -> None:
    """A server that speaks first is not answered."""
    reader = new_reader()
    reader.feed(b"220 mail.example ESMTP\r\n")

    with pytest.raises(RemoteProtocolError):
        reader.expect("GET")


def test_end_while_idle(new_reader: Callable[[], Http1Reader]) -> None:
    """A peer may close an idle connection: no error, and no reuse."""
    reader = new_reader()
    reader.expect("GET")
    reader.feed(OK + b"Content-Length: 0\r\n\r\n")
    reader.feed_eof()

    assert reader.is_complete
    assert not reader.can_reuse


def test_expect_within_a_response(new_reader: Callable[[], Http1Reader]) -> None:
    """To begin a cycle before the last one has ended is the caller's mistake."""
    reader = new_reader()
    reader.expect("GET")

    with pytest.raises(LocalProtocolError):
        reader.expect("GET")


def test_dead_after_a_refusal(new_reader: Callable[[], Http1Reader]) -> None:
    """A reader that has refused stays refused: later bytes cannot make a response of the rest."""
    reader = new_reader()
    reader.expect("GET")
    with pytest.raises(RemoteProtocolError):
        reader.feed(b"junk\r\n")

    with pytest.raises(RemoteProtocolError):
        reader.feed(OK + b"Content-Length: 0\r\n\r\n")
    assert reader.status == 0
    assert not reader.is_complete


def test_refusal_says_what_came(new_reader: Callable[[], Http1Reader]) -> None:
    """The message tells what was expected and what came, escaped, so that nothing of the peer reaches a log raw."""
    reader = new_reader()
    reader.expect("GET")
    with pytest.raises(RemoteProtocolError, match=r"expected a status line .* got 'SSH-\\x1b\[2J\\r'"):
        reader.feed(b"SSH-\x1b[2J\r\n")


def test_no_response(new_reader: Callable[[], Http1Reader]) -> None:
    """The commonest failure of a kept connection has HTTPX's words."""
    reader = new_reader()
    reader.expect("GET")
    with pytest.raises(RemoteProtocolError, match=r"^Server disconnected without sending a response\.$"):
        reader.feed_eof()


def test_own_limits(codec: str, read_http1: Callable[..., Any]) -> None:
    """Limits are a value that a reader is made with."""
    limits = Http1Limits(line_bytes=30, head_bytes=100, fields=3, informational=1)
    field = b"X: 1\r\n"
    fits = OK + field * 2 + b"Content-Length: 0\r\n\r\n"
    too_many = OK + field * 3 + b"Content-Length: 0\r\n\r\n"
    too_long = OK + b"X: 2345678901234567890123456789\r\nContent-Length: 0\r\n\r\n"
    hints = b"HTTP/1.1 103 x\r\n\r\n"

    assert read_http1(codec, "GET", [fits], limits=limits).is_complete
    assert read_http1(codec, "GET", [too_many], limits=limits).refused == "header_too_large"
    assert read_http1(codec, "GET", [too_long], limits=limits).refused == "header_too_large"
    assert read_http1(codec, "GET", [hints + fits], limits=limits).is_complete
    assert read_http1(codec, "GET", [hints * 2 + fits], limits=limits).refused == "protocol_error"


def test_limits_leave_room(codec: str, read_http1: Callable[..., Any]) -> None:
    """A head of exactly the limits is read."""
    head = OK + b"X: " + b"y" * (64 * 1024 - 5) + b"\r\n" + b"a:\r\n" * 998 + b"Content-Length: 0\r\n\r\n"
    readings = {read_http1(codec, "GET", pieces) for pieces in cuttings(head)}

    assert len(readings) == 1
    reading = readings.pop()
    assert reading.can_reuse
    assert len(reading.headers) == 1000


# ---- requests

NAMES = st.from_regex(rb"[-!#$%&'*+.^_`|~0-9A-Za-z]{1,12}", fullmatch=True)
VALUES = st.binary(max_size=12)
FRAMING = (b"host", b"content-length", b"transfer-encoding")


@settings(deadline=None)
@given(
    method=st.text(st.characters(max_codepoint=255), max_size=6),
    target=st.binary(max_size=12),
    headers=st.lists(st.tuples(st.one_of(NAMES, VALUES), VALUES), max_size=4),
)
def test_request_head_as_h11_writes_it(method: str, target: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    """What we write is what h11 writes; what h11 refuses we refuse.

    We refuse more in one point: control characters in values, which h11 lets pass for some servers' sake.
    """
    headers = [(b"Host", b"example"), *((n, v) for n, v in headers if n.lower() not in FRAMING)]
    try:
        ours = encode_request_head(method, target, headers)
    except LocalProtocolError:
        ours = None
    theirs = _h11_head(method, target, headers)

    if ours is None and theirs is not None:
        assert any(byte < 32 or byte == 127 for _, value in headers for byte in value)
    else:
        assert ours == theirs


def _h11_head(method: str, target: bytes, headers: list[tuple[bytes, bytes]]) -> bytes | None:
    try:
        return h11.Connection(h11.CLIENT).send(h11.Request(method=method, target=target, headers=headers))
    except (h11.LocalProtocolError, UnicodeEncodeError):
        return None


@pytest.mark.parametrize(
    ("method", "target", "name", "value"),
    [
        ("GE T", b"/", b"A", b"b"),
        ("", b"/", b"A", b"b"),
        ("GET\r\nX: y", b"/", b"A", b"b"),
        ("GÉT", b"/", b"A", b"b"),
        ("GET", b"", b"A", b"b"),
        ("GET", b"/a b", b"A", b"b"),
        ("GET", b"/\r\nX: y", b"A", b"b"),
        ("GET", b"/\0", b"A", b"b"),
        ("GET", b"/\xe9", b"A", b"b"),
        ("GET", b"/", b"", b"b"),
        ("GET", b"/", b"A:", b"b"),
        ("GET", b"/", b"A B", b"b"),
        ("GET", b"/", b"A\n", b"b"),
        ("GET", b"/", b"A", b"b\r\nX: y"),
        ("GET", b"/", b"A", b"b\n"),
        ("GET", b"/", b"A", b"b\0"),
        ("GET", b"/", b"A", b" b"),
        ("GET", b"/", b"A", b"b\t"),
    ],
)
def test_request_head_refused(method: str, target: bytes, name: bytes, value: bytes) -> None:
    """Nothing a caller passes can end a line of the head, or begin another (H-29)."""
    with pytest.raises(LocalProtocolError):
        encode_request_head(method, target, [(b"Host", b"example"), (name, value)])


def test_request_head() -> None:
    """A head is the request line, the fields in order and case, and an empty line."""
    head = encode_request_head("PATCH", b"/a?b=c", [(b"Host", b"h:81"), (b"x-Y", b"caf\xc3\xa9 z"), (b"Empty", b"")])

    assert head == b"PATCH /a?b=c HTTP/1.1\r\nHost: h:81\r\nx-Y: caf\xc3\xa9 z\r\nEmpty: \r\n\r\n"


def test_refusal_of_a_value_hides_it() -> None:
    """A bad value may be a secret with a line feed at its end; the message names the field only."""
    with pytest.raises(LocalProtocolError, match="Authorization") as caught:
        encode_request_head("GET", b"/", [(b"Authorization", b"Bearer s3cret\n")])

    assert "s3cret" not in str(caught.value)


def test_remembered_lines_are_bounded() -> None:
    """Values that never repeat do not pile up."""
    for number in range(3000):
        encode_request_head("GET", b"/", [(b"X-Number", b"%d" % number)])

    assert len(http1._lines) <= http1._MAX_LINES


@settings(deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=5))
def test_chunks_read_back(pieces: list[bytes]) -> None:
    """What is framed as chunks reads back as the same body; an empty piece does not end it."""
    from crawler.wire.http1_chunked import ChunkedDecoder

    decoder = ChunkedDecoder(http1.LIMITS)
    taken = decoder.feed(b"".join(map(encode_chunk, pieces)) + http1.LAST_CHUNK)

    assert b"".join(taken) == b"".join(pieces)
    assert decoder.is_complete
