"""Responses whose body is read while it comes."""

from __future__ import annotations

import gzip
import threading

import pytest

import crawler
from crawler.testbed import Testbed
from crawler.testbed.raw import Do, RawConnection, RawServer, Wait
from tests.peers.worlds import Face

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"


async def collect(face: Face, response: crawler.Response, kind: str = "bytes", *args: object) -> list[object]:
    """All pieces of a body."""
    return [piece async for piece in face.pieces(response, kind, *args)]


async def test_pieces_come_while_the_server_still_sends(face: Face) -> None:
    """The first piece is there before the last was sent."""
    is_read = threading.Event()

    def slowly(connection: RawConnection) -> None:
        connection.read_request()
        connection.send(HEAD + b"one")
        assert is_read.wait(10)
        connection.send(b"two")
        connection.hold()

    with RawServer(slowly) as server:
        async with face.client() as client, client.stream("GET", server.url) as response:
            seen = []
            async for piece in face.pieces(response, "raw"):
                seen.append(piece)
                is_read.set()
            assert response.is_closed
            assert response.is_stream_consumed

    assert seen == [b"one", b"two"]
    assert response.num_bytes_downloaded == 6
    assert response.elapsed.total_seconds() > 0


async def test_the_connection_is_used_again_after_a_body_was_read(face: Face, bed: Testbed) -> None:
    """Reading to the end gives it back, before the block ends."""
    async with face.client(limits=crawler.Limits(max_connections=1)) as client:
        async with client.stream("GET", f"{bed.url}/stream/50") as response:
            lines = await collect(face, response, "lines")
            inner = await client.get(f"{bed.url}/get")
        outer = await client.get(f"{bed.url}/get")

    assert len(lines) == 50
    assert inner.extensions["crawler.timing"].conn_reused
    assert outer.extensions["crawler.timing"].conn_reused


async def test_chunk_sizes(face: Face, bed: Testbed) -> None:
    """Exactly that size but the last; and `read()` after nothing was read."""
    async with face.client() as client:
        async with client.stream("GET", f"{bed.url}/bytes/1000?seed=1") as response:
            pieces = await collect(face, response, "bytes", 300)
        async with client.stream("GET", f"{bed.url}/bytes/1000?seed=1") as response:
            whole = await face.read(response)

    assert [len(piece) for piece in pieces if isinstance(piece, bytes)] == [300, 300, 300, 100]
    assert b"".join(piece for piece in pieces if isinstance(piece, bytes)) == whole == response.content


async def test_a_body_left_early_closes_its_connection(face: Face) -> None:
    """No leak: the next request opens another one; `elapsed` is known."""
    with RawServer([HEAD, b"one", Do.HOLD], OK) as server:
        async with face.client(limits=crawler.Limits(max_connections=1)) as client:
            async with client.stream("GET", server.url) as response:
                async for piece in face.pieces(response):
                    assert piece == b"one"
                    break
            assert response.is_closed
            assert response.elapsed.total_seconds() > 0
            second = await client.get(server.url)

    assert second.text == "ok"
    with pytest.raises(crawler.StreamConsumed):
        await collect(face, response)


async def test_a_body_never_read_closes_its_connection(face: Face) -> None:
    """The block ends without a look at the body; afterwards there is nothing to read."""
    with RawServer([HEAD, Do.HOLD], OK) as server:
        async with face.client() as client:
            async with client.stream("GET", server.url) as response:
                pass
            assert (await client.get(server.url)).text == "ok"

    with pytest.raises(crawler.StreamClosed):
        await face.read(response)
    with pytest.raises(crawler.ResponseNotRead):
        _ = response.content


async def test_an_exception_in_the_block_closes_the_connection(face: Face) -> None:
    """It passes through as it is."""
    with RawServer([HEAD, b"one", Do.HOLD], OK) as server:
        async with face.client() as client:
            with pytest.raises(ZeroDivisionError):
                async with client.stream("GET", server.url):
                    raise ZeroDivisionError
            assert (await client.get(server.url)).text == "ok"


async def test_a_response_sent_with_stream_is_closed_by_the_caller(face: Face) -> None:
    """`send(stream=True)` leaves the body unread."""
    with RawServer([HEAD, b"onetwo", Do.READ, OK]) as server:
        async with face.client() as client:
            response = await client.send(client.build_request("GET", server.url), stream=True)
            assert await face.read(response) == b"onetwo"
            assert response.is_closed
            assert (await client.get(server.url)).extensions["crawler.timing"].conn_reused


async def test_a_slow_reader_makes_the_peer_wait(face: Face) -> None:
    """The peer's bytes are not gathered in memory: it is blocked until they are read. All of them arrive."""
    size = 32 * 2**20
    is_blocked = threading.Event()
    sent = 0

    def flood(connection: RawConnection) -> None:
        nonlocal sent
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        connection.sock.settimeout(0.2)
        piece = bytes(65_536)
        try:
            while sent < size:
                sent += connection.sock.send(piece[: size - sent])
        except TimeoutError:
            is_blocked.set()
        connection.send(bytes(size - sent))
        connection.hold()

    with RawServer(flood) as server:
        async with face.client() as client, client.stream("GET", server.url) as response:
            await face.wait(is_blocked)
            assert sent < size - 2**20
            total = 0
            async for piece in face.pieces(response, "raw"):
                total += len(piece)

    assert total == size


async def test_a_slow_reader_is_no_slow_peer(face: Face) -> None:
    """The read timeout runs only while the reader waits for the peer, not while it does something else."""
    rest_is_sent = threading.Event()

    def serve(connection: RawConnection) -> None:
        connection.read_request()
        connection.send(HEAD + b"one")
        connection.wait(0.05)
        connection.send(b"t")
        connection.wait(0.4)
        connection.send(b"wo")
        rest_is_sent.set()
        connection.hold()

    with RawServer(serve) as server:
        async with face.client(timeout=0.2) as client, client.stream("GET", server.url) as response:
            pieces = face.pieces(response, "raw")
            assert await anext(pieces) == b"one"
            assert await anext(pieces) == b"t"
            await face.wait(rest_is_sent)
            assert await anext(pieces) == b"wo"


async def test_coded_bodies_are_decoded_piece_by_piece(face: Face) -> None:
    """`iter_bytes` decodes, `iter_raw` does not."""
    body = gzip.compress(b"hello " * 1000)
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    with RawServer([answer, body, Do.READ, answer, body[:20], body[20:], Do.READ, answer, body]) as server:
        async with face.client() as client:
            whole = await client.get(server.url)
            async with client.stream("GET", server.url) as response:
                decoded = b"".join([piece async for piece in face.pieces(response)])
            async with client.stream("GET", server.url) as response:
                raw = b"".join([piece async for piece in face.pieces(response, "raw")])

    assert whole.content == decoded == b"hello " * 1000
    assert raw == body
    assert whole.num_bytes_downloaded == len(body)


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_a_body_that_does_not_decode(face: Face, is_streamed: bool) -> None:
    """DecodingError with the request, at once and not when somebody looks; the client goes on."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\njunk"
    with RawServer([answer, Do.READ, OK], OK) as server:
        async with face.client() as client:
            with pytest.raises(crawler.DecodingError) as caught:
                await client.fetch(server.url, is_streamed=is_streamed)
            assert (await client.get(server.url)).text == "ok"

    assert caught.value.request.method == "GET"


@pytest.mark.parametrize("coding", [b"", b"Content-Encoding: gzip\r\n"])
@pytest.mark.parametrize("is_streamed", [False, True])
async def test_a_body_beyond_the_limit(face: Face, coding: bytes, is_streamed: bool) -> None:
    """`max_response_size` holds on the wire and decoded, whatever the length says; the connection is closed."""
    body = gzip.compress(bytes(2000)) if coding else bytes(2000)
    answer = b"HTTP/1.1 200 OK\r\n%bTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (coding, len(body), body)
    with RawServer([answer, Do.HOLD] if not coding else [answer, b"0\r\n\r\n", Do.HOLD], OK) as server:
        async with face.client(max_response_size=1000) as client:
            with pytest.raises(crawler.ResponseTooLarge) as caught:
                await client.fetch(server.url, is_streamed=is_streamed)
            if not coding:
                assert (await client.get(server.url)).text == "ok"

    assert caught.value.kind == "too_large"
    assert caught.value.request.method == "GET"


async def test_a_body_of_exactly_the_limit(face: Face) -> None:
    """The limit itself is allowed."""
    with RawServer(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + bytes(1000)) as server:
        async with face.client(max_response_size=1000) as client:
            assert len((await client.get(server.url)).content) == 1000


async def test_a_body_to_the_end_of_the_connection(face: Face) -> None:
    """No length, no chunks: the close ends it, and the connection with it."""
    with RawServer([b"HTTP/1.1 200 OK\r\n\r\n", b"part", Wait(0.01), b"part"]) as server:
        async with face.client() as client:
            whole = await client.get(server.url)
            async with client.stream("GET", server.url) as response:
                streamed = await face.read(response)

    assert whole.content == streamed == b"partpart"
    assert len(server.connections) == 2


async def test_text_and_lines(face: Face) -> None:
    """Decoded across pieces: a character and a line end may be cut anywhere."""
    body = "zwölf\r\nBoxkämpfer\n".encode()
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n\r\n" % len(body)
    steps = [answer, *(step for n in range(len(body)) for step in (body[n : n + 1], Wait(0.002)))]
    with RawServer([*steps, Do.READ, *steps]) as server:
        async with face.client() as client:
            async with client.stream("GET", server.url) as response:
                assert "".join([piece async for piece in face.pieces(response, "text")]) == body.decode()
            async with client.stream("GET", server.url) as response:
                assert [line async for line in face.pieces(response, "lines")] == ["zwölf", "Boxkämpfer"]


async def test_informational_answers_are_skipped(face: Face) -> None:
    """100, 102 and 103 before the answer."""
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"
    with RawServer([b"HTTP/1.1 100 Continue\r\n\r\n", early, Wait(0.01), b"HTTP/1.1 102 Wait\r\n\r\n" + OK]) as server:
        async with face.client() as client:
            response = await client.get(server.url)

    assert (response.status_code, response.text) == (200, "ok")
    assert "Link" not in response.headers


async def test_what_is_told_beside_the_message(face: Face) -> None:
    """Version, phrase, and where the time went."""
    with RawServer(b"HTTP/1.0 299 Fine by me\r\nContent-Length: 0\r\n\r\n") as server:
        async with face.client() as client:
            response = await client.get(server.url)

        timing = response.extensions["crawler.timing"]
        assert response.http_version == "HTTP/1.0"
        assert response.reason_phrase == "Fine by me"
        assert (timing.remote_ip, timing.remote_port) == ("127.0.0.1", server.port)
        assert not timing.conn_reused
        assert timing.ttfb > 0
        assert response.elapsed.total_seconds() > 0
        stream = response.extensions["network_stream"]
        assert stream.get_extra_info("no such thing") is None
