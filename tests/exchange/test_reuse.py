"""Kept-alive connections: used again, noticed when dead, never trusted with bytes that belong to nobody."""

from __future__ import annotations

import threading

import pytest

import crawler
from crawler.testbed import Testbed
from crawler.testbed.raw import Do, RawConnection, RawServer, Wait
from tests.peers.worlds import Face

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def test_one_connection_serves_many(face: Face) -> None:
    """One after the other, errors of status included."""
    missing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    empty = b"HTTP/1.1 204 No Content\r\n\r\n"
    with RawServer([OK, Do.READ, missing, Do.READ, empty, Do.READ, OK, Do.HOLD]) as server:
        async with face.client() as client:
            statuses = [(await client.get(server.url)).status_code for _ in range(4)]

        assert statuses == [200, 404, 204, 200]
        assert len(server.connections) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("ending", [Do.CLOSE, Do.RESET])
async def test_a_connection_closed_while_idle_is_replaced(face: Face, method: str, ending: Do) -> None:
    """The next request of any method goes over a fresh one."""
    is_closed = threading.Event()

    def serve(connection: RawConnection) -> None:
        connection.read_request()
        connection.send(OK)
        connection.wait(0.02)
        connection.close() if ending is Do.CLOSE else connection.reset()
        is_closed.set()

    with RawServer(serve, [OK, Do.HOLD]) as server:
        async with face.client() as client:
            await client.get(server.url)
            await face.wait(is_closed)
            response = await client.request(method, server.url)

    assert response.text == "ok"
    assert not response.extensions["crawler.timing"].conn_reused


@pytest.mark.parametrize("ending", [Do.CLOSE, Do.RESET])
async def test_a_connection_that_closes_as_it_is_used_again(face: Face, ending: Do) -> None:
    """The server saw the request and closed: a GET is sent once more, on a fresh connection."""
    with RawServer([OK, Do.READ, ending], [OK, Do.HOLD]) as server:
        async with face.client() as client:
            await client.get(server.url)
            response = await client.get(server.url, params={"second": "1"})

        assert response.text == "ok"
        assert server.received[1].startswith(b"GET /?second=1 ")


@pytest.mark.parametrize("ending", [Do.CLOSE, Do.RESET])
async def test_a_post_is_not_sent_twice(face: Face, ending: Do) -> None:
    """It may have been processed: the error is told."""
    with RawServer([OK, Do.READ, ending], [OK, Do.HOLD]) as server:
        async with face.client() as client:
            await client.get(server.url)
            with pytest.raises((crawler.RemoteProtocolError, crawler.NetworkError)):
                await client.post(server.url, content=b"x")

        assert len(server.connections) == 1


async def test_a_body_that_cannot_be_replayed_is_not_sent_twice(face: Face) -> None:
    """A PUT is idempotent, but its one-shot body is gone."""
    with RawServer([OK, Do.READ, Do.CLOSE], [OK, Do.HOLD]) as server:
        async with face.client() as client:
            await client.get(server.url)
            with pytest.raises((crawler.RemoteProtocolError, crawler.NetworkError)):
                await client.request("PUT", server.url, content=face.chunks([b"x"]))

        assert len(server.connections) == 1


async def test_a_put_with_a_body_in_memory_is_sent_again(face: Face) -> None:
    """The whole body, once more."""
    body = bytes(200_000)
    with RawServer([OK, Do.READ, Do.CLOSE], [OK, Do.HOLD]) as server:
        async with face.client() as client:
            await client.get(server.url)
            response = await client.request("PUT", server.url, content=body)

        assert response.text == "ok"
        assert server.received[1].endswith(body)


async def test_half_an_answer_is_no_reason_to_ask_again(face: Face) -> None:
    """Once a byte of the answer has come, the failure is told."""
    with RawServer([OK, Do.READ, b"HTTP/1.1 200", Wait(0.02), Do.CLOSE], [OK, Do.HOLD]) as server:
        async with face.client() as client:
            await client.get(server.url)
            with pytest.raises(crawler.RemoteProtocolError):
                await client.get(server.url)

        assert len(server.connections) == 1


async def test_silence_on_a_used_connection_is_no_reason_to_ask_again(face: Face) -> None:
    """A timeout is a timeout."""
    with RawServer([OK, Do.READ, Do.HOLD], [OK, Do.HOLD]) as server:
        async with face.client(timeout=0.05) as client:
            await client.get(server.url)
            with pytest.raises(crawler.ReadTimeout):
                await client.get(server.url)

        assert len(server.connections) == 1


async def test_bytes_on_an_idle_connection_are_never_an_answer(face: Face) -> None:
    """Somebody else's answer, sent ahead: closed, and the next request goes elsewhere."""
    is_sent = threading.Event()

    def serve(connection: RawConnection) -> None:
        connection.read_request()
        connection.send(OK)
        connection.wait(0.02)
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        is_sent.set()
        connection.hold()

    with RawServer(serve, [OK, Do.HOLD]) as server:
        async with face.client() as client:
            await client.get(server.url)
            await face.wait(is_sent)
            response = await client.get(server.url)

    assert response.text == "ok"
    assert not response.extensions["crawler.timing"].conn_reused


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        b"HTTP/1.1 204 No Content\r\n\r\nevil",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nevil",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nevil",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
)
async def test_answers_after_which_a_connection_is_not_used_again(face: Face, answer: bytes) -> None:
    """Bytes behind the end, or the server's word that it closes."""
    with RawServer([answer, Do.HOLD], [OK, Do.HOLD]) as server:
        async with face.client() as client:
            first = await client.get(server.url)
            second = await client.get(server.url)

    assert first.content in (b"ok", b"")
    assert second.text == "ok"
    assert len(server.connections) == 2


@pytest.mark.parametrize("is_the_clients", [True, False])
async def test_a_request_that_asks_to_close(face: Face, is_the_clients: bool) -> None:
    """After `Connection: close` of our own nothing more is sent, even if the server would take it."""
    headers = {"Connection": "close"}
    with RawServer([OK, Do.HOLD]) as server:
        async with face.client(headers=headers if is_the_clients else None) as client:
            for _ in range(2):
                await client.get(server.url, headers=None if is_the_clients else headers)

        assert len(server.connections) == 2


async def test_an_old_idle_connection_is_not_used(face: Face, bed: Testbed) -> None:
    """With an expiry of 0 every request opens its own."""
    async with face.client(limits=crawler.Limits(keepalive_expiry=0.0)) as client:
        used = [(await client.get(f"{bed.url}/get")).extensions["crawler.timing"].conn_reused for _ in range(2)]

    assert used == [False, False]


async def test_no_connection_is_kept(face: Face, bed: Testbed) -> None:
    """`max_keepalive_connections=0` closes each after its request."""
    async with face.client(limits=crawler.Limits(max_keepalive_connections=0)) as client:
        await client.get(f"{bed.url}/get")
        assert client.pool is not None
        assert client.pool.connections == set()
