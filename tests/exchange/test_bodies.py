"""Request bodies: what arrives, and how it is framed on the wire."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import pytest

import crawler
from crawler.testbed import Testbed
from crawler.testbed.raw import Do, RawConnection, RawServer
from tests.peers.worlds import Face, resolved

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BIG = bytes(range(256)) * 4096  # 1 MiB


def body_of(request: bytes) -> bytes:
    """What follows the head."""
    return request.partition(b"\r\n\r\n")[2]


async def test_bytes_and_text_have_a_length(face: Face) -> None:
    """Both leave in one piece; text is UTF-8; nothing says a type."""
    with RawServer([OK, Do.READ, OK]) as server:
        async with face.client() as client:
            await client.post(server.url, content=b"abc")
            await client.post(server.url, content="ä")

        received = server.received[0]
        assert b"Content-Length: 3\r\n\r\nabcPOST" in received
        assert received.endswith("Content-Length: 2\r\n\r\nä".encode())
        assert b"Content-Type" not in received


async def test_a_large_body_in_memory_arrives_whole(face: Face, bed: Testbed) -> None:
    """It goes in pieces, with the length it has."""
    async with face.client() as client:
        answer = (await client.post(f"{bed.url}/upload", content=BIG)).json()

    assert answer == {"size": len(BIG), "sha256": hashlib.sha256(BIG).hexdigest()}


async def test_an_iterator_is_chunked(face: Face) -> None:
    """Each piece a chunk; empty pieces are left out, as an empty chunk ends the body."""
    with RawServer(OK) as server:
        async with face.client() as client:
            response = await client.post(server.url, content=face.chunks([b"one", b"", b"three"]))

        assert response.text == "ok"
        assert b"Transfer-Encoding: chunked\r\n" in server.received[0]
        assert body_of(server.received[0]) == b"3\r\none\r\n5\r\nthree\r\n0\r\n\r\n"


async def test_an_empty_iterator_is_an_empty_chunked_body(face: Face) -> None:
    """Only the last chunk; and the connection goes on."""
    with RawServer([OK, Do.READ, OK]) as server:
        async with face.client() as client:
            await client.post(server.url, content=face.chunks([]))
            second = await client.get(server.url)

        assert body_of(server.received[0]).startswith(b"0\r\n\r\nGET ")
        assert second.extensions["crawler.timing"].conn_reused


async def test_an_iterator_with_a_declared_length_is_not_chunked(face: Face) -> None:
    """The user's Content-Length takes the place of chunking."""
    with RawServer(OK) as server:
        async with face.client() as client:
            await client.post(server.url, content=face.chunks([b"ab", b"cd"]), headers={"Content-Length": "4"})

        assert b"Transfer-Encoding" not in server.received[0]
        assert body_of(server.received[0]) == b"abcd"


async def test_bytes_with_a_declared_coding_are_chunked(face: Face) -> None:
    """The user's Transfer-Encoding takes the place of the length."""
    with RawServer([OK, Do.READ, OK]) as server:
        async with face.client() as client:
            await client.post(server.url, content=b"abc", headers={"Transfer-Encoding": "chunked"})
            await client.post(server.url, headers={"Transfer-Encoding": "chunked"})

        assert b"Content-Length" not in server.received[0]
        assert body_of(server.received[0]).startswith(b"3\r\nabc\r\n0\r\n\r\nPOST ")
        assert server.received[0].endswith(b"\r\n\r\n0\r\n\r\n")


@pytest.mark.parametrize(("length", "body"), [("2", b"abc"), ("4", b"abc"), ("5", b""), ("x", b"abc")])
async def test_a_body_of_another_length_than_declared_is_refused(face: Face, length: str, body: bytes) -> None:
    """In memory: before a byte is sent. The next request is right."""
    with RawServer(OK) as server:
        async with face.client() as client:
            with pytest.raises(crawler.LocalProtocolError) as caught:
                await client.post(server.url, content=body, headers={"Content-Length": length})
            response = await client.get(server.url)

        assert caught.value.request.method == "POST"
        assert response.text == "ok"
        assert server.received[-1].startswith(b"GET ")
        assert b"".join(server.received[:-1]) == b""


@pytest.mark.parametrize("length", ["3", "9"])
async def test_an_iterator_of_another_length_than_declared_is_refused(face: Face, length: str) -> None:
    """What goes out never exceeds the declared length, and the connection is closed."""
    with RawServer([Do.HOLD], OK) as server:
        async with face.client() as client:
            with pytest.raises(crawler.LocalProtocolError):
                await client.post(server.url, content=face.chunks([b"ab", b"cd"]), headers={"Content-Length": length})
            response = await client.get(server.url)

        assert response.text == "ok"
        assert len(body_of(server.received[0])) <= int(length)


@pytest.mark.parametrize("is_whole", [True, False], ids=["in memory", "in pieces"])
async def test_an_expectation_that_is_never_answered(face: Face, is_whole: bool) -> None:
    """`Expect: 100-continue` is sent for those who look at it; the body does not wait for a word (RFC 9110 §10.1.1)."""
    with RawServer(OK) as server:
        async with face.client() as client:
            content = b"abcdef" if is_whole else face.chunks([b"abc", b"def"])
            headers = {"Expect": "100-continue", "Content-Length": "6"}
            response = await client.post(server.url, content=content, headers=headers)

        assert response.text == "ok"
        assert body_of(server.received[0]) == b"abcdef"
        assert b"Expect: 100-continue" in server.received[0]


async def test_an_expectation_that_fails(face: Face) -> None:
    """417 is an answer like any other; one that came before the body closes the connection."""
    failed = b"HTTP/1.1 417 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with RawServer(failed, OK) as server:
        async with face.client() as client:
            refused = await client.post(server.url, content=b"abc", headers={"Expect": "100-continue"})
            again = await client.post(server.url, content=b"abc")

    assert (refused.status_code, again.status_code) == (417, 200)


async def test_files_are_read_in_pieces(face: Face, bed: Testbed, tmp_path: Path) -> None:
    """A file's length is declared; a multipart form with files arrives as one."""
    if face.is_async:
        pytest.skip("an open file is read by blocking: `content=` takes it in the blocking client only")
    path = tmp_path / "a.bin"
    path.write_bytes(BIG)
    async with face.client() as client:
        with path.open("rb") as file:
            answer = (await client.post(f"{bed.url}/upload", content=file)).json()

    assert answer["size"] == len(BIG)


async def test_forms_and_multipart_arrive(face: Face, bed: Testbed) -> None:
    """Fields, repeated fields, files with and without a type; in all worlds."""
    async with face.client() as client:
        form = (await client.post(f"{bed.url}/post", data={"a": ["1", "2"], "b": True, "c": None, "d": "x y"})).json()
        files: Any = [("f", ("n.txt", io.BytesIO(b"text"), "text/plain")), ("g", ("m.bin", b"\x00\x01"))]
        multipart = (await client.post(f"{bed.url}/post", data={"a": "1"}, files=files)).json()

    assert form["form"] == {"a": ["1", "2"], "b": "true", "c": "", "d": "x y"}
    assert multipart["form"] == {"a": "1"}
    assert multipart["files"]["f"] == "text"
    assert multipart["files"]["g"].startswith(("data:", "\x00"))


async def test_a_large_multipart_upload(face: Face, bed: Testbed) -> None:
    """Its length is declared, it goes in pieces."""
    async with face.client() as client:
        response = await client.post(f"{bed.url}/upload", files={"f": ("big.bin", io.BytesIO(BIG))})

    assert response.json()["size"] == int(response.request.headers["Content-Length"]) > len(BIG)


async def test_a_body_of_the_other_world_is_refused(face: Face, bed: Testbed) -> None:
    """An async body on a blocking client, and the reverse: RuntimeError before a byte is sent; the pool is whole."""

    async def asynchronous() -> Any:
        yield b"x"

    body = (piece for piece in [b"x"]) if face.is_async else asynchronous()
    with RawServer(OK) as server:
        async with face.client() as client:
            with pytest.raises(RuntimeError, match="async"):
                await client.post(server.url, content=body)
            assert (await client.get(server.url)).text == "ok"

        assert not any(data.startswith(b"POST") for data in server.received)


async def test_what_the_body_raises_is_passed_on(face: Face) -> None:
    """The caller's own exception, and a half-sent request closes its connection."""

    class Oops(Exception):
        pass

    def blocking() -> Any:
        yield b"first"
        raise Oops

    async def asynchronous() -> Any:
        yield b"first"
        raise Oops

    with RawServer([Do.HOLD], OK) as server:
        async with face.client() as client:
            with pytest.raises(Oops):
                await client.post(server.url, content=asynchronous() if face.is_async else blocking())
            response = await client.get(server.url)

        assert response.text == "ok"
        assert len(server.connections) == 2


async def test_an_answer_before_the_end_of_the_upload_is_given(face: Face) -> None:
    """The server answers and closes while the body is on its way: the answer counts, the upload stops."""

    def refuse(connection: RawConnection) -> None:
        connection.read(16)
        connection.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        connection.hold()

    sent = 0

    def pieces() -> Any:
        nonlocal sent
        for _ in range(1000):
            sent += 1
            yield bytes(65_536)

    with RawServer(refuse, OK) as server:
        async with face.client() as client:
            response = await client.post(server.url, content=face.chunks(pieces()))
            second = await client.get(server.url)

    assert response.status_code == 413
    assert response.text == "no"
    assert sent < 1000
    assert second.text == "ok"


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_an_early_answer_to_a_body_that_nobody_reads(face: Face, is_streamed: bool) -> None:
    """The server answers and then reads nothing more: the answer is there, though the body can not be written."""

    def refuse(connection: RawConnection) -> None:
        connection.read(16)
        connection.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        connection.wait(10.0)

    body: Any = face.chunks(bytes(65_536) for _ in range(500)) if is_streamed else bytes(32 * 2**20)
    with RawServer(refuse) as server:
        async with face.client(timeout=crawler.Timeout(5.0, write=0.3)) as client:
            response = await client.post(server.url, content=body)

    assert response.status_code == 413


async def test_an_early_answer_with_a_reset(face: Face) -> None:
    """The server answers, closes without reading, and the kernel resets: answer or error, never a hang."""

    def refuse(connection: RawConnection) -> None:
        connection.read(16)
        connection.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        connection.sock.close()

    with RawServer(refuse, OK) as server:
        async with face.client() as client:
            body = face.chunks(bytes(65_536) for _ in range(500))
            answer = await resolved(client.post(server.url, content=body))
            assert isinstance(answer, crawler.NetworkError) or answer.status_code == 413  # type: ignore[union-attr]
            assert (await client.get(server.url)).text == "ok"


async def test_a_peer_that_stops_reading(face: Face) -> None:
    """WriteTimeout, with the request; the connection is closed."""
    with RawServer(lambda connection: connection.wait(10.0)) as server:
        async with face.client(timeout=crawler.Timeout(5.0, write=0.1)) as client:
            with pytest.raises(crawler.WriteTimeout) as caught:
                await client.post(server.url, content=face.chunks(bytes(65_536) for _ in range(500)))

    assert caught.value.request.method == "POST"


async def test_a_connection_that_breaks_during_the_upload(face: Face) -> None:
    """A reset while sending is a network error, a WriteError or a ReadError by who noticed."""

    def break_off(connection: RawConnection) -> None:
        connection.read(16)
        connection.reset()

    with RawServer(break_off) as server:
        async with face.client() as client:
            with pytest.raises((crawler.WriteError, crawler.ReadError)) as caught:
                await client.post(server.url, content=face.chunks(bytes(65_536) for _ in range(500)))

    assert caught.value.kind == "connection_lost"


async def test_a_half_read_body_is_closed(face: Face) -> None:
    """Where the upload stops early the caller's generator is finished by us, not by the collector."""
    closed: list[bool] = []

    def blocking() -> Any:
        try:
            while True:
                yield bytes(65_536)
        finally:
            closed.append(True)

    async def asynchronous() -> Any:
        try:
            while True:
                yield bytes(65_536)
        finally:
            closed.append(True)

    def refuse(connection: RawConnection) -> None:
        connection.read(16)
        connection.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        connection.hold()

    body = asynchronous() if face.is_async else blocking()
    with RawServer(refuse) as server:
        async with face.client() as client:
            response = await client.post(server.url, content=body)

            assert response.status_code == 413
            assert closed == [True]
