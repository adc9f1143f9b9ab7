"""`Timeout(total=)` over bodies that never end and come as fast as they are taken (H-28, B-1, B-2)."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

import crawler
from crawler.testbed.raw import RawConnection, RawServer
from tests.peers.frames import FramePeer, FrameServer, data, head
from tests.peers.worlds import Face, FaceClient

TOTAL_S = 0.1
FRAME = bytes(16_384)


def pour_http1(connection: RawConnection) -> None:
    """A body without end."""
    connection.read_request()
    connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.send(FRAME * 4)


def pour_chunks(connection: RawConnection) -> None:
    """The same, in tiny chunks."""
    connection.read_request()
    connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.send(b"1\r\nx\r\n" * 1000)


def pour_http2(peer: FramePeer) -> None:
    """The same over HTTP/2, within the windows."""
    stream_id = peer.next_request()
    peer.send(head(stream_id))
    for sent in range(len(FRAME), 1 << 40, len(FRAME)):
        while peer.seen.credit.get(stream_id, 0) + (1 << 20) < sent:
            peer.read_frame()
        peer.send(data(stream_id, FRAME))


def pour_frames(peer: FramePeer) -> None:
    """The same, in tiny frames."""
    stream_id = peer.next_request()
    peer.send(head(stream_id))
    for sent in range(1000, 1 << 40, 1000):
        while peer.seen.credit.get(stream_id, 0) + (1 << 20) < sent:
            peer.read_frame()
        peer.send(data(stream_id, b"x") * 1000)


PEERS: dict[str, Callable[[], RawServer]] = {
    "HTTP/1.1": lambda: RawServer(pour_http1),
    "tiny chunks": lambda: RawServer(pour_chunks),
    "HTTP/2": lambda: FrameServer(pour_http2),
    "HTTP/2 in tiny frames": lambda: FrameServer(pour_frames),
}


async def read(face: Face, client: FaceClient, url: str, reader: str) -> None:
    """Read on and on."""
    if reader == "whole":
        await client.get(url)
        return
    async with client.stream("GET", url) as response:
        async for _ in face.pieces(response):
            if reader == "dawdling":
                time.sleep(0.01)  # noqa: ASYNC251  # as a sink that holds everything up


@pytest.mark.parametrize("reader", ["whole", "streamed", "dawdling"])
@pytest.mark.parametrize("peer", PEERS)
async def test_a_body_that_pours_in(face: Face, peer: str, reader: str) -> None:
    """It ends in time, whether or not its reader keeps up with it."""
    is_http2 = peer.startswith("HTTP/2")
    timeout = crawler.Timeout(5.0, total=TOTAL_S)
    with PEERS[peer]() as server:
        async with face.client(http1=not is_http2, http2=is_http2, timeout=timeout) as client:
            with pytest.raises(crawler.TotalTimeout) as caught:
                await read(face, client, server.url, reader)

    assert caught.value.request.url == server.url
    assert caught.value.kind == "timeout_total"
