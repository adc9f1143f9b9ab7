"""Servers that break off, stall, or talk nonsense: always an error of the documented tree, and a pool that is whole."""

from __future__ import annotations

import socket
from typing import Any

import pytest

import crawler
from crawler.testbed.raw import Do, RawConnection, RawServer, Wait
from tests.peers.worlds import Face, resolved

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_a_refused_connection(face: Face) -> None:
    """ConnectError at once, with the request and its kind."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    async with face.client() as client:
        with pytest.raises(crawler.ConnectError) as caught:
            await client.get(f"http://127.0.0.1:{port}/")

    assert caught.value.kind == "connect_refused"
    assert caught.value.request.url == f"http://127.0.0.1:{port}/"
    assert isinstance(caught.value.__cause__, OSError)


async def test_a_name_that_does_not_exist(face: Face) -> None:
    """ConnectError that says so; `.invalid` never resolves (RFC 6761)."""
    async with face.client() as client:
        with pytest.raises(crawler.ConnectError) as caught:
            await client.get("http://nowhere.invalid/")

    assert caught.value.kind.startswith("dns_")


async def test_a_connection_that_never_comes(face: Face) -> None:
    """ConnectTimeout; the SYN is swallowed by a full backlog."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        async with face.client(timeout=crawler.Timeout(5.0, connect=0.05)) as client:
            with pytest.raises(crawler.ConnectTimeout) as caught:
                await client.get(f"http://127.0.0.1:{port}/")
        for filler in fillers:
            filler.close()

    assert caught.value.request.method == "GET"


FAULTS: dict[str, tuple[Any, type[Exception]]] = {
    "closed without a byte": ([Do.CLOSE], crawler.RemoteProtocolError),
    "reset without a byte": ([Do.RESET], crawler.ReadError),
    "half-closed without a byte": ([Do.HALF_CLOSE, Do.HOLD], crawler.RemoteProtocolError),
    "closed in the head": (b"HTTP/1.1 200 OK\r\nContent-", crawler.RemoteProtocolError),
    "reset in the head": ([b"HTTP/1.1 200 OK\r\nContent-", Wait(0.02), Do.RESET], crawler.ReadError),
    "closed in the body": (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", crawler.RemoteProtocolError),
    "closed in a chunk": (CHUNKED + b"a\r\nhalf", crawler.RemoteProtocolError),
    "closed before the last chunk": (CHUNKED + b"4\r\nhalf\r\n", crawler.RemoteProtocolError),
    "closed in the trailers": (CHUNKED + b"0\r\nA: b\r\n", crawler.RemoteProtocolError),
    "no HTTP": ([b"220 mail.example ready\r\n", Do.HOLD], crawler.RemoteProtocolError),
    "a bad chunk size": ([CHUNKED + b"x\r\n", Do.HOLD], crawler.RemoteProtocolError),
    "two lengths": (
        [b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", Do.HOLD],
        crawler.RemoteProtocolError,
    ),
    "endless 1xx": ([b"HTTP/1.1 100 Continue\r\n\r\n" * 100, Do.HOLD], crawler.RemoteProtocolError),
    "an endless head": ([b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 60_000, Do.HOLD], crawler.RemoteProtocolError),
}


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_faults(face: Face, fault: str, is_streamed: bool) -> None:
    """The right class, the request attached, nothing of a body given as complete, and the next request works."""
    script, error = FAULTS[fault]
    with RawServer(script, OK) as server:
        async with face.client() as client:
            with pytest.raises(error) as caught:
                await client.fetch(server.url, is_streamed=is_streamed)
            assert isinstance(caught.value, crawler.RequestError)
            assert caught.value.request.url == server.url
            assert (await client.get(server.url)).text == "ok"

        assert len(server.connections) == 2  # a fresh connection is never tried again in silence


SILENCES: dict[str, bytes] = {
    "before the head": b"",
    "within the head": b"HTTP/1.1 200 OK\r\nContent-",
    "within the body": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
    "within a chunk size": CHUNKED + b"4",
}


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("silence", SILENCES)
async def test_silence(face: Face, silence: str, is_streamed: bool) -> None:
    """ReadTimeout, wherever the server falls silent."""
    with RawServer([SILENCES[silence], Do.HOLD], OK) as server:
        async with face.client(timeout=crawler.Timeout(5.0, read=0.05)) as client:
            with pytest.raises(crawler.ReadTimeout) as caught:
                await client.fetch(server.url, is_streamed=is_streamed)
            assert (await client.get(server.url)).text == "ok"

    assert caught.value.request.url == server.url
    assert caught.value.kind == "timeout_read"


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
async def test_the_total_deadline_ends_a_drip(face: Face, is_streamed: bool) -> None:
    """One byte after the other never lets the read timeout pass; the total one does."""

    def drip(connection: RawConnection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
        connection.send(bytes(5000), piece_bytes=1, pause_s=0.01)

    with RawServer(drip) as server:
        async with face.client(timeout=crawler.Timeout(1.0, total=0.1)) as client:
            with pytest.raises(crawler.TotalTimeout) as caught:
                await client.fetch(server.url, is_streamed=is_streamed)

    assert caught.value.kind == "timeout_total"
    assert caught.value.request.url == server.url


async def test_a_trickle_within_the_read_timeout_is_fine(face: Face) -> None:
    """Each single wait counts, not the whole transfer."""
    steps = [
        step for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" for step in (bytes([byte]), Wait(0.004))
    ]
    with RawServer(steps) as server:
        async with face.client(timeout=crawler.Timeout(5.0, read=0.15)) as client:
            assert (await client.get(server.url)).text == "ok"


async def test_bytes_ahead_of_the_request(face: Face) -> None:
    """A server that talks first: an error or its answer, never a hang."""

    def talk_first(connection: RawConnection) -> None:
        connection.send(b"HTTP/1.1 503 Full\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        connection.hold()

    with RawServer(talk_first, OK) as server:
        async with face.client() as client:
            answer = await resolved(client.get(server.url))
            assert isinstance(answer, crawler.RemoteProtocolError) or answer.status_code == 503  # type: ignore[union-attr]
            assert (await client.get(server.url)).text == "ok"


async def test_no_timeouts_at_all(face: Face) -> None:
    """None switches every limit off."""
    with RawServer([Wait(0.05), OK]) as server:
        async with face.client(timeout=None) as client:
            assert (await client.get(server.url)).text == "ok"
