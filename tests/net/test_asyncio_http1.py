"""HTTP/1.1 under asyncio: streamed responses that may come whole, to those who ask for it."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import crawler
from crawler.net.asyncio_body import MAY_BE_WHOLE

Use = Callable[[crawler.AsyncClient, str], Coroutine[Any, Any, None]]

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
HEAD = PLAIN[: -len(b"hello")]
CODED = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (
    len(gzip.compress(b"hello", mtime=0)),
    gzip.compress(b"hello", mtime=0),
)


def with_server(pieces: list[bytes], use: Use) -> None:
    """Run `use` with a client and the URL of a server that answers each request with `pieces`, one after another."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline():
            while (await reader.readline()).strip():
                pass
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(0.02)
        writer.close()
        await writer.wait_closed()
        gone.set()

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1")
        port = server.sockets[0].getsockname()[1]
        async with server, crawler.AsyncClient() as client:
            await use(client, f"http://127.0.0.1:{port}/")
            await client.aclose()
            await gone.wait()  # of the one connection that was opened

    gone = asyncio.Event()
    asyncio.run(run())


async def fetch(client: crawler.AsyncClient, url: str, *, may_be_whole: bool) -> crawler.Response:
    """Ask for a response that streams."""
    request = client.build_request("GET", url)
    if may_be_whole:
        request.extensions[MAY_BE_WHOLE] = True
    return await client.send(request, stream=True)


def test_a_plain_body_that_came_with_its_head_is_given_whole() -> None:
    """The response is closed and its content there; its timing is whole, and the connection serves the next."""

    async def use(client: crawler.AsyncClient, url: str) -> None:
        first, second = [await fetch(client, url, may_be_whole=True) for _ in range(2)]
        assert first.is_closed
        assert first.content == b"hello"
        assert second.content == b"hello"
        assert second.extensions["crawler.timing"].conn_reused

    with_server([PLAIN], use)


def test_others_rely_on_a_stream() -> None:
    """Without the extension nothing is read ahead for the caller."""

    async def use(client: crawler.AsyncClient, url: str) -> None:
        response = await fetch(client, url, may_be_whole=False)
        assert not response.is_closed
        with pytest.raises(crawler.ResponseNotRead):
            _ = response.content
        assert await response.aread() == b"hello"

    with_server([PLAIN], use)


@pytest.mark.parametrize("pieces", [[HEAD, b"hello"], [CODED]], ids=["in pieces", "coded"])
def test_a_body_that_may_become_large_streams_all_the_same(pieces: list[bytes]) -> None:
    """One that comes later, or whose size after decoding is not known."""

    async def use(client: crawler.AsyncClient, url: str) -> None:
        response = await fetch(client, url, may_be_whole=True)
        assert not response.is_closed
        assert await response.aread() == b"hello"

    with_server(pieces, use)
