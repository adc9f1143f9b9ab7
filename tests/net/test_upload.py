"""Framing of request bodies, and who may send which."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from crawler.errors import LocalProtocolError
from crawler.models import AsyncByteStream, ByteStream, Request, SyncByteStream
from crawler.net.blocking import run_blocking
from crawler.net.upload import ONE_WRITE, BodyFraming, async_chunks, blocking_chunks, framed, release


def request(**headers: str) -> Request:
    """A request with these header fields and no others about its body."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request("POST", "http://a.test/", headers=fields, stream=ByteStream(b""))


def collect(pieces: AsyncIterator[bytes]) -> list[bytes]:
    """All pieces, without ever suspending."""

    async def gather() -> list[bytes]:
        return [piece async for piece in pieces]

    return run_blocking(gather())


class Blocking(SyncByteStream):
    """A body read by blocking."""

    is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"a", b"b"])

    def close(self) -> None:
        """Note it."""
        self.is_closed = True


class Asynchronous(AsyncByteStream):
    """A body read asynchronously."""

    is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    async def aclose(self) -> None:
        """Note it."""
        self.is_closed = True


@pytest.mark.parametrize(
    ("headers", "pieces", "sent"),
    [
        ({"Content_Length": "3"}, [b"ab", b"c"], b"abc"),
        ({"Content_Length": "0"}, [], b""),
        ({}, [], b""),
        ({"Transfer_Encoding": "chunked"}, [b"ab", b"", b"c"], b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"),
        ({"Transfer_Encoding": "chunked"}, [], b"0\r\n\r\n"),
    ],
)
def test_bodies_are_framed_as_the_head_says(headers: dict[str, str], pieces: list[bytes], sent: bytes) -> None:
    """In pieces, and as a whole alike."""
    framing = BodyFraming(request(**headers))

    assert b"".join(map(framing.frame, pieces)) + framing.end() == sent
    assert framed(request(**headers), b"".join(pieces)).replace(b"3\r\nabc", b"2\r\nab\r\n1\r\nc") == sent


@pytest.mark.parametrize(("length", "body"), [("2", b"abc"), ("4", b"abc"), ("x", b"abc"), ("1", b"")])
def test_bodies_of_another_length_are_refused(length: str, body: bytes) -> None:
    """Before the bytes beyond it are sent."""
    with pytest.raises(LocalProtocolError, match="Content-Length"):
        framed(request(Content_Length=length), body)


def test_a_body_in_memory_goes_in_slices() -> None:
    """In both worlds."""
    body = bytes(ONE_WRITE + 1)

    for chunks in (async_chunks, blocking_chunks):
        assert [len(piece) for piece in collect(chunks(ByteStream(body)))] == [ONE_WRITE, 1]
        assert collect(chunks(ByteStream(b""))) == []


@pytest.mark.parametrize(("chunks", "stream"), [(blocking_chunks, Blocking()), (async_chunks, Asynchronous())])
def test_each_world_sends_its_own_bodies_and_lets_them_go(chunks: Any, stream: Any) -> None:
    """Closed in the way of its world."""
    pieces = chunks(stream)

    assert collect(pieces) == [b"a", b"b"]
    run_blocking(release(stream, pieces))
    assert stream.is_closed


@pytest.mark.parametrize(("chunks", "stream"), [(async_chunks, Blocking()), (blocking_chunks, Asynchronous())])
def test_bodies_of_the_other_world_are_refused(chunks: Any, stream: Any) -> None:
    """With words that say what to pass instead."""
    with pytest.raises(RuntimeError, match="pass"):
        chunks(stream)
