"""Trailers: fields after the body, of HTTP/1.1 and of HTTP/2, apart from the headers."""

from __future__ import annotations

import pytest

from crawler.testbed.raw import Do, RawServer
from tests.peers.frames import END, FramePeer, FrameServer, data, head, section
from tests.peers.worlds import Face

TRAILERS = [(b"x-checksum", b"abc"), (b"set-cookie", b"a=b"), (b"content-encoding", b"gzip"), (b"content-length", b"9")]
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"
WITH = CHUNKED + b"".join(name + b": " + value + b"\r\n" for name, value in TRAILERS) + b"\r\n"
WITHOUT = CHUNKED + b"\r\n"

PROTOCOLS = ["HTTP/1.1", "HTTP/2"]


def server(protocol: str) -> RawServer:
    """Answers twice over one connection, the first time with trailers."""

    def script(peer: FramePeer) -> None:
        first = peer.next_request()
        peer.send(head(first) + data(first, b"hello") + section(first, *TRAILERS, flags=END))
        second = peer.next_request()
        peer.send(head(second) + data(second, b"hello", end=True))
        peer.hold()

    return FrameServer(script) if protocol == "HTTP/2" else RawServer([WITH, Do.READ, WITHOUT])


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_of_a_whole_body(face: Face, protocol: str) -> None:
    """They are in the extensions, only where there are any, and have no effect on anything (H-14)."""
    with server(protocol) as peer:
        async with face.client(http1=protocol == "HTTP/1.1", http2=protocol == "HTTP/2") as client:
            first = await client.get(peer.url)
            second = await client.get(peer.url)
            assert client.client.cookies == {}

    assert (first.http_version, first.text, second.text) == (protocol, "hello", "hello")
    assert first.extensions["trailers"] == TRAILERS
    assert "trailers" not in second.extensions
    for name, _ in TRAILERS:
        assert name.decode() not in first.headers
    assert len(peer.connections) == 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_of_a_streamed_body(face: Face, protocol: str) -> None:
    """They are there when the body has been read to its end, and not before."""
    with server(protocol) as peer:
        async with face.client(http1=protocol == "HTTP/1.1", http2=protocol == "HTTP/2") as client:
            async with client.stream("GET", peer.url) as first:
                assert await face.read(first) == b"hello"
            async with client.stream("GET", peer.url) as second:
                assert await face.read(second) == b"hello"

    assert first.extensions["trailers"] == TRAILERS
    assert "trailers" not in second.extensions
