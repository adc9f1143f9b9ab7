"""How much an HTTP/2 connection carries: requests at once, and bytes that lie unread."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from h2.settings import SettingCodes

import crawler
from crawler.net import Streams
from tests.peers.http2 import Http2Peer, http2_server
from tests.peers.worlds import Face, FaceClient


def client(face: Face, streams: Streams) -> FaceClient:
    """A client that speaks HTTP/2 over plain TCP."""
    return face.client(transport=face.transport(http1=False, http2=True, streams=streams), timeout=15.0)


def numbers(answers: list[Any]) -> list[int]:
    """The connections that responses came over."""
    return [answer.extensions["crawler.timing"].conn_id for answer in answers]


async def test_a_full_connection_gets_a_second(face: Face) -> None:
    """Two requests each, though the server allows a hundred; none waits for another's answer."""
    all_are_there = threading.Barrier(3)

    def script(peer: Http2Peer) -> None:
        streams = [peer.next_request(), peer.next_request()]
        all_are_there.wait(10.0)
        for stream in streams:
            peer.respond(stream)
        peer.hold()

    with http2_server(script) as server:
        async with client(face, Streams(per_connection=2)) as http:
            answers = await face.gather(*(http.get(server.url) for _ in range(6)))

    assert [answer.text for answer in answers if isinstance(answer, crawler.Response)] == ["ok"] * 6
    assert sorted(map(numbers(answers).count, set(numbers(answers)))) == [2, 2, 2]


async def test_the_server_may_allow_less(face: Face) -> None:
    """Its SETTINGS go before what was asked for."""

    def script(peer: Http2Peer) -> None:
        peer.serve()

    with http2_server(script, settings={SettingCodes.MAX_CONCURRENT_STREAMS: 1}) as server:
        async with client(face, Streams(per_connection=5)) as http:
            for _ in range(2):
                await http.get(server.url)
            answers = await face.gather(*(http.get(server.url) for _ in range(3)))

    assert all(isinstance(answer, crawler.Response) for answer in answers)


@pytest.mark.parametrize("window", [16_384, 4 << 20])
async def test_the_window(face: Face, window: int) -> None:
    """The server learns of it, and a body that is larger comes whole."""
    seen: list[tuple[int, int]] = []

    def script(peer: Http2Peer) -> None:
        stream = peer.next_request()
        seen.append((peer.h2.remote_settings.initial_window_size, peer.h2.outbound_flow_control_window))
        peer.head(stream)
        left = 80_000
        while left:
            size = min(left, 16_384, peer.h2.local_flow_control_window(stream))
            if size:
                peer.data(stream, bytes(size), end=size == left)
                left -= size
            else:
                peer.read()
        peer.hold()

    with http2_server(script) as server:
        async with client(face, Streams(window=window)) as http:
            response = await http.get(server.url)

    assert len(response.content) == 80_000
    assert seen == [(window, 1 << 24)]


@pytest.mark.parametrize("given", [{"per_connection": 0}, {"window": 1000}, {"window": 1 << 31}])
def test_impossible_values(given: dict[str, int]) -> None:
    """Are refused, with the range."""
    with pytest.raises(ValueError, match="must be"):
        Streams(**given)
