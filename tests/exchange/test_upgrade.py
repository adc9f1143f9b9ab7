"""Connections that leave HTTP behind: 101 and CONNECT of the caller's own."""

from __future__ import annotations

from typing import Any

import pytest

import crawler
from crawler.testbed.raw import Do, RawConnection, RawServer
from tests.peers.worlds import Face

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def shout(answer: bytes, first: bytes = b"") -> Any:
    """A script that switches protocols and then answers in capitals."""

    def serve(connection: RawConnection) -> None:
        connection.read_request()
        connection.send(answer + first)
        while data := connection.read():
            connection.send(data.upper())

    return serve


SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: shout\r\nConnection: Upgrade\r\n\r\n"


@pytest.mark.parametrize("first", [b"", b"hello"])
async def test_after_101_the_bytes_are_the_callers(face: Face, first: bytes) -> None:
    """What follows the head is read first; then both directions are free; the connection left the pool."""
    with RawServer(shout(SWITCH, first), OK) as server:
        async with face.client(limits=crawler.Limits(max_connections=1)) as client:
            headers = {"Connection": "Upgrade", "Upgrade": "shout"}
            async with client.stream("GET", server.url, headers=headers) as response:
                stream = response.extensions["network_stream"]
                assert response.status_code == 101
                if first:
                    assert await face.settle(stream.read(3)) == b"hel"
                    assert await face.settle(stream.read(3)) == b"lo"
                await face.settle(stream.write(b"quiet"))
                assert await face.settle(stream.read(100, timeout=5.0)) == b"QUIET"
                assert (await client.get(server.url)).text == "ok"
                assert stream.get_extra_info("server_addr")[1] == server.port
            with pytest.raises((crawler.ReadError, crawler.WriteError)):
                await face.settle(stream.write(b"closed with the response"))


async def test_connect_of_ones_own(face: Face) -> None:
    """A 2xx to CONNECT opens a tunnel; lengths in the answer mean nothing."""
    answer = b"HTTP/1.1 200 Connected\r\nContent-Length: 5\r\n\r\n"
    with RawServer(shout(answer)) as server:
        async with face.client() as client:
            target = {"target": b"example.test:443"}
            async with client.stream("CONNECT", server.url, extensions=target) as response:
                stream = response.extensions["network_stream"]
                await face.settle(stream.write(b"tunnel"))
                assert await face.settle(stream.read(100)) == b"TUNNEL"

        assert server.received[0].startswith(b"CONNECT example.test:443 HTTP/1.1\r\n")


async def test_a_refused_connect_is_an_ordinary_answer(face: Face) -> None:
    """It has a body, and the connection goes on."""
    refusal = b"HTTP/1.1 403 No\r\nContent-Length: 4\r\n\r\nnope"
    with RawServer([refusal, Do.READ, OK]) as server:
        async with face.client() as client:
            response = await client.request("CONNECT", server.url)
            second = await client.get(server.url)

    assert (response.status_code, response.text, second.text) == (403, "nope", "ok")


async def test_a_101_that_nobody_keeps_is_closed(face: Face) -> None:
    """`get()` reads the response, which closes it and its stream."""
    with RawServer(shout(SWITCH), OK) as server:
        async with face.client() as client:
            response = await client.get(server.url)
            assert response.is_closed
            assert response.content == b""
            assert (await client.get(server.url)).text == "ok"

        assert len(server.connections) == 2


async def test_silence_after_the_switch(face: Face) -> None:
    """The stream's own timeouts."""

    def serve(connection: RawConnection) -> None:
        connection.read_request()
        connection.send(SWITCH)
        connection.hold()

    with RawServer(serve) as server:
        async with face.client() as client, client.stream("GET", server.url) as response:
            stream = response.extensions["network_stream"]
            with pytest.raises(crawler.ReadTimeout):
                await face.settle(stream.read(10, timeout=0.01))
