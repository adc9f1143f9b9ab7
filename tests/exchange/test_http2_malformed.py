"""HTTP/2 servers that break the rules, seen by the user of a client: a typed error, and everything else goes on.

The cases are data: what the peer sends on the stream of a request, and what becomes of it. Numbers F-n are those of the
fault table. `test_http2_faults.py` has the cases that are about time and order, `test_http2_limits.py` those about
amounts.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable
from typing import NamedTuple

import pytest

import crawler
from crawler.testbed.raw import RawConnection, RawServer
from tests.peers.frames import (
    CONTINUATION,
    DATA,
    END,
    END_HEADERS,
    GOAWAY,
    HEADERS,
    HELLO,
    PADDED,
    PING,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    FramePeer,
    FrameServer,
    answer,
    block,
    data,
    frame,
    head,
    read_out,
    section,
    setting,
    word,
)
from tests.peers.worlds import Face, FaceClient, resolved

NO_ERROR, PROTOCOL, INTERNAL, FLOW, SIZE, CANCEL, COMPRESSION, CALM = 0, 1, 2, 3, 6, 8, 9, 11

OK = block((b":status", b"200"))
LENGTH_5 = (b"content-length", b"5")


class Case(NamedTuple):
    """What a peer sends on stream `n`, and the kind of the error of that request, or the body it gets all the same."""

    name: str
    fault: Callable[[int], bytes]
    kind: str = "protocol_error"
    body: bytes | None = None
    method: str = "GET"


def body(n: int) -> bytes:
    """Five bytes, and the end."""
    return data(n, b"hello", end=True)


def reset(n: int, code: int) -> bytes:
    """The end of a stream."""
    return frame(RST_STREAM, 0, n, word(code))


STREAM_CASES = [
    Case("F-1 reset before the head", lambda n: reset(n, INTERNAL), "h2_reset"),
    Case("F-1 cancelled before the head", lambda n: reset(n, CANCEL), "h2_reset"),
    Case("F-1 NO_ERROR before the head", lambda n: reset(n, NO_ERROR), "h2_reset"),
    Case("F-1 unknown code", lambda n: reset(n, 4711), "h2_reset"),
    Case("F-1 reset in the body", lambda n: head(n) + data(n, b"he") + reset(n, INTERNAL), "h2_reset"),
    Case("F-1 NO_ERROR in the body", lambda n: head(n) + data(n, b"he") + reset(n, NO_ERROR), "h2_reset"),
    Case("F-2 reset after the end", lambda n: head(n) + body(n) + reset(n, NO_ERROR), body=b"hello"),
    Case("F-10 no status", lambda n: section(n, (b"a", b"b")) + body(n)),
    Case("F-10 empty head", lambda n: frame(HEADERS, END_HEADERS, n) + body(n)),
    Case("F-10 two status", lambda n: head(n, (b":status", b"200")) + body(n)),
    Case("F-10 status of letters", lambda n: head(n, status=b"2x0") + body(n)),
    Case("F-10 status of four digits", lambda n: head(n, status=b"2000") + body(n)),
    Case("F-10 status late", lambda n: section(n, (b"a", b"b"), (b":status", b"200")) + body(n)),
    Case("F-10 unknown pseudo field", lambda n: head(n, (b":path", b"/")) + body(n)),
    Case("F-10 upper-case name", lambda n: head(n, (b"Server", b"x")) + body(n)),
    Case("F-10 colon in a name", lambda n: head(n, (b"a:b", b"x")) + body(n)),
    Case("F-10 CR in a value", lambda n: head(n, (b"a", b"x\ry")) + body(n)),
    Case("F-10 LF in a value", lambda n: head(n, (b"a", b"x\nb: c")) + body(n)),
    Case("F-10 NUL in a value", lambda n: head(n, (b"a", b"x\0")) + body(n)),
    Case("F-11 transfer-encoding", lambda n: head(n, (b"transfer-encoding", b"chunked")) + body(n)),
    Case("F-11 connection", lambda n: head(n, (b"connection", b"close")) + body(n)),
    Case("F-11 upgrade", lambda n: head(n, (b"upgrade", b"h3")) + body(n)),
    Case("F-12 body too long", lambda n: head(n, (b"content-length", b"4")) + body(n)),
    Case("F-12 body too short", lambda n: head(n, (b"content-length", b"6")) + body(n), "body_incomplete"),
    Case("F-12 body missing", lambda n: head(n, LENGTH_5, flags=END), "body_incomplete"),
    Case("F-12 two lengths", lambda n: head(n, LENGTH_5, (b"content-length", b"6")) + body(n)),
    Case("F-12 no number", lambda n: head(n, (b"content-length", b"+5")) + body(n)),
    Case("F-17 too many 1xx", lambda n: head(n, status=b"103") * 33),
    Case("F-17 some 1xx", lambda n: head(n, status=b"103") * 32 + answer(n, b"hello"), body=b"hello"),
    Case("F-19 window by 0", lambda n: frame(WINDOW_UPDATE, 0, n, word(0))),
    Case("F-19 window too large", lambda n: frame(WINDOW_UPDATE, 0, n, word(2**31 - 1)), "h2_flow"),
    Case("F-23 frames after our reset", lambda n: head(n, (b"A", b"b")) + body(n) * 3),
    Case("F-24 body before the head", lambda n: data(n, b"x")),
    Case("F-26 too many fields", lambda n: head(n, *[(b"a", b"b")] * 1001) + body(n), "header_too_large"),
    Case("F-32 body of a 204", lambda n: head(n, status=b"204") + body(n)),
    Case("F-32 body of a 304", lambda n: head(n, status=b"304") + body(n)),
    Case("F-32 body for HEAD", lambda n: head(n) + body(n), method="HEAD"),
    Case("F-32 pseudo field in trailers", lambda n: head(n) + section(n, (b":status", b"200"), flags=END)),
    Case("F-32 trailers do not end", lambda n: head(n) + section(n, (b"a", b"b")) + body(n)),
]


async def fetch(client: FaceClient, face: Face, method: str, url: str, is_streamed: bool) -> bytes:
    """The body of a response, read as a whole or as a stream."""
    if not is_streamed:
        return (await client.request(method, url)).content
    async with client.stream(method, url) as response:
        return b"".join([piece async for piece in face.pieces(response, "raw")])


@pytest.mark.parametrize("case", STREAM_CASES, ids=lambda case: case.name)
async def test_one_stream(face: Face, case: Case) -> None:
    """A fault on a stream ends that stream alone: others on the connection are right, and so is the next."""

    def script(peer: FramePeer) -> None:
        streams = peer.requests(3)
        fine = streams.pop("/fine")
        peer.send(head(fine) + b"".join(map(case.fault, streams.values())) + data(fine, b"fine", end=True))
        peer.serve()

    with FrameServer(script) as server:
        async with face.client(http1=False, http2=True) as client:
            whole, streamed, fine = await face.gather(
                fetch(client, face, case.method, f"{server.url}/whole", False),
                fetch(client, face, case.method, f"{server.url}/streamed", True),
                fetch(client, face, "GET", f"{server.url}/fine", False),
            )
            after = await client.get(f"{server.url}/next")

    assert (fine, after.content) == (b"fine", b"/next")
    assert len(server.connections) == 1
    for path, outcome in (("/whole", whole), ("/streamed", streamed)):
        if case.body is not None:
            assert outcome == case.body
        else:
            assert isinstance(outcome, crawler.RemoteProtocolError)
            assert outcome.kind == case.kind
            assert outcome.request.url.path == path


class Fatal(NamedTuple):
    """What ends a connection, sent on stream `n` of a GET request.

    `code` is what the client says as it leaves, `own` the kind of the error of that one request if it is another.
    """

    name: str
    fault: Callable[[int], bytes]
    code: int = PROTOCOL
    kind: str = "protocol_error"
    hello: bytes = HELLO
    own: str | None = None


BOMB = b"\x88\x40\x01a\x7f\xa1\x1e" + b"x" * 4000 + b"\xbe" * 100  # 4 KB, repeated a hundred times by reference

CONNECTION_CASES = [
    Fatal(
        "F-7 endless CONTINUATION",
        lambda n: frame(HEADERS, 0, n, OK) + frame(CONTINUATION, 0, n) * 70,
        CALM,
        "header_too_large",
    ),
    Fatal(
        "F-7 full CONTINUATION",
        lambda n: frame(HEADERS, 0, n, OK) + frame(CONTINUATION, 0, n, b"\0\1a\x7f\x82\x7f" + b"x" * 16_000) * 20,
        CALM,
        "header_too_large",
    ),
    Fatal("F-8 index 0", lambda n: frame(HEADERS, END_HEADERS, n, b"\x80"), COMPRESSION),
    Fatal("F-8 index beyond the table", lambda n: frame(HEADERS, END_HEADERS, n, b"\xc0"), COMPRESSION),
    Fatal("F-8 bad Huffman", lambda n: frame(HEADERS, END_HEADERS, n, b"\0\x84\xff\xff\xff\xff\1a"), COMPRESSION),
    Fatal("F-8 integer overflow", lambda n: frame(HEADERS, END_HEADERS, n, b"\xff" * 13), COMPRESSION),
    Fatal("F-8 field cut short", lambda n: frame(HEADERS, END_HEADERS, n, b"\x08\3ab"), COMPRESSION),
    Fatal("F-8 table over our limit", lambda n: frame(HEADERS, END_HEADERS, n, b"\x3f\xe2\x1f" + OK), COMPRESSION),
    Fatal("F-9 bomb", lambda n: frame(HEADERS, END_HEADERS, n, BOMB), CALM, "header_too_large"),
    Fatal("F-13 frame too large", lambda n: head(n) + frame(DATA, 0, n, bytes(16_385)), SIZE),
    Fatal("F-13 padding as large as the frame", lambda n: head(n) + frame(DATA, PADDED, n, b"\4abc")),
    Fatal("F-13 padding of a head", lambda n: frame(HEADERS, END_HEADERS | PADDED, n, b"\x09" + OK)),
    Fatal("F-13 PRIORITY of 4", lambda n: frame(PRIORITY, 0, n, bytes(4)), SIZE),
    Fatal("F-13 RST_STREAM of 5", lambda n: frame(RST_STREAM, 0, n, bytes(5)), SIZE),
    Fatal("F-13 PING of 7", lambda n: frame(PING, 0, 0, bytes(7)), SIZE),
    Fatal("F-13 GOAWAY of 7", lambda n: frame(GOAWAY, 0, 0, bytes(7)), SIZE),
    Fatal("F-13 WINDOW_UPDATE of 3", lambda n: frame(WINDOW_UPDATE, 0, n, bytes(3)), SIZE),
    Fatal("F-13 DATA on stream 0", lambda n: data(0, b"x")),
    Fatal("F-13 HEADERS on stream 0", lambda n: head(0)),
    Fatal("F-13 PING on a stream", lambda n: frame(PING, 0, n, bytes(8))),
    Fatal("F-13 SETTINGS on a stream", lambda n: frame(SETTINGS, 0, n)),
    Fatal("F-14 announces 16 MB", lambda n: b"\xff\xff\xff\0\0" + word(n), SIZE),
    Fatal("F-15 SETTINGS of 5", lambda n: frame(SETTINGS, 0, 0, bytes(5)), SIZE),
    Fatal("F-15 push enabled", lambda n: setting(2, 1)),
    Fatal("F-15 window too large", lambda n: setting(4, 2**31), FLOW, "h2_flow"),
    Fatal("F-15 frames too small", lambda n: setting(5, 16_383)),
    Fatal("F-15 frames too large", lambda n: setting(5, 2**24)),
    Fatal("F-16 PING flood", lambda n: frame(PING, 0, 0, bytes(8)) * 11_000, CALM),
    Fatal("F-16 SETTINGS flood", lambda n: frame(SETTINGS, 0, 0) * 11_000, CALM),
    Fatal("F-17 empty DATA flood", lambda n: head(n) + data(n, b"") * 11_000, CALM),
    Fatal("F-17 PRIORITY flood", lambda n: frame(PRIORITY, 0, n, bytes(5)) * 11_000, CALM),
    Fatal("F-17 RST_STREAM flood", lambda n: reset(n, CANCEL) * 11_000, CALM, own="h2_reset"),
    Fatal("F-17 WINDOW_UPDATE flood", lambda n: frame(WINDOW_UPDATE, 0, n, word(1)) * 11_000, CALM),
    Fatal("F-17 unknown frames", lambda n: frame(77, 0, 0) * 11_000, CALM),
    Fatal("F-19 window of the connection by 0", lambda n: frame(WINDOW_UPDATE, 0, 0, word(0))),
    Fatal("F-19 its window too large", lambda n: frame(WINDOW_UPDATE, 0, 0, word(2**31 - 1)), FLOW, "h2_flow"),
    Fatal("F-22 push", lambda n: frame(PUSH_PROMISE, END_HEADERS, n, word(2) + OK)),
    Fatal("F-23 DATA on an idle stream", lambda n: data(99, b"x")),
    Fatal("F-23 HEADERS on an idle stream", lambda n: head(99)),
    Fatal("F-23 HEADERS on an even stream", lambda n: head(2)),
    Fatal("F-24 frame within a head", lambda n: frame(HEADERS, 0, n, OK) + data(n, b"x")),
    Fatal("F-24 PING within a head", lambda n: frame(HEADERS, 0, n, OK) + frame(PING, 0, 0, bytes(8))),
    Fatal("F-24 CONTINUATION of nothing", lambda n: frame(CONTINUATION, END_HEADERS, n, OK)),
    Fatal("F-30 no SETTINGS", lambda n: head(n) + body(n), hello=b""),
    Fatal("F-30 HTTP/1.1", lambda n: b"HTTP/1.1 400 Bad Request\r\n\r\n", hello=b""),
]


@pytest.mark.parametrize("case", CONNECTION_CASES, ids=lambda case: case.name)
async def test_whole_connection(face: Face, case: Fatal) -> None:
    """A fault of the connection ends all its requests by errors of their own; the next one has a new connection."""

    def first(peer: FramePeer) -> None:
        streams = peer.requests(3)
        with contextlib.suppress(OSError):  # the client may have left before all of a flood has
            peer.send(case.fault(streams["/streamed"]))
        read_out(peer)

    def further(peer: FramePeer) -> None:
        if case.hello == b"":
            peer.send(HELLO)
        peer.serve()

    paths = ("/whole", "/streamed", "/fine")
    with FrameServer(first, further, hello=case.hello) as server:
        async with face.client(http1=False, http2=True) as client:
            outcomes = await face.gather(
                *[resolved(fetch(client, face, "GET", server.url + path, path == "/streamed")) for path in paths]
            )
            after = await client.get(f"{server.url}/next")

    assert after.content == b"/next"
    assert len(server.connections) == 2
    for path, outcome in zip(paths, outcomes, strict=True):
        assert isinstance(outcome, crawler.RemoteProtocolError)
        assert outcome.kind == (case.own if case.own and path == "/streamed" else case.kind)
        assert outcome.request.url.path == path
    assert server.last_words()[0] == case.code


@pytest.mark.parametrize("agreed", ["h2", "http/1.1"])
async def test_a_peer_that_speaks_another_protocol_than_agreed(face: Face, agreed: str) -> None:
    """C-16: ALPN says one, the bytes are the other: an error, and no connection is used again."""
    others = {"h2": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "http/1.1": HELLO + answer(1, b"ok")}

    def script(connection: RawConnection) -> None:
        connection.read()
        connection.send(others[agreed])
        connection.hold()

    with RawServer(script, tls=True, alpn=[agreed]) as server:
        context = ssl.create_default_context(cadata=server.ca_pem)
        async with face.client(http2=True, verify=context) as client:
            for _ in range(2):
                with pytest.raises(crawler.RemoteProtocolError) as caught:
                    await client.get(server.url)
                assert caught.value.request.url == server.url

    assert len(server.connections) == 2
