"""Transports of users' own, which subclass `BaseTransport` or `AsyncBaseTransport`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Any, Self

import pytest

import crawler
from crawler.testbed import Testbed
from tests.peers.worlds import Face


class Body(crawler.SyncByteStream, crawler.AsyncByteStream):
    """A body for both worlds that counts how often it was closed."""

    def __init__(self) -> None:
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        yield b"hello, "
        yield b"world"

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"hello, "
        yield b"world"

    def close(self) -> None:
        self.closed += 1

    async def aclose(self) -> None:
        self.closed += 1


class Own(crawler.BaseTransport, crawler.AsyncBaseTransport):
    """Answers with a stream; remembers what happens to it."""

    def __init__(self) -> None:
        self.body = Body()
        self.events: list[str] = []

    def handle_request(self, request: crawler.Request) -> crawler.Response:
        return crawler.Response(200, stream=self.body)

    async def handle_async_request(self, request: crawler.Request) -> crawler.Response:
        return crawler.Response(200, stream=self.body)

    def close(self) -> None:
        self.events.append("close")

    async def aclose(self) -> None:
        self.events.append("close")

    def __enter__(self) -> Self:
        self.events.append("enter")
        return self

    async def __aenter__(self) -> Self:
        self.events.append("enter")
        return self


async def test_a_response_of_one_s_own_is_read_timed_and_closed(face: Face) -> None:
    """The client does to it what it does to its own."""
    transport = Own()
    async with face.client(transport=transport) as client:
        response = await client.get("https://h/")

    assert response.text == "hello, world"
    assert response.elapsed.total_seconds() >= 0
    assert response.num_bytes_downloaded == 12
    assert transport.body.closed == 1
    assert transport.events == ["enter", "close"]


async def test_a_streamed_response_is_closed_with_the_block(face: Face) -> None:
    """Read or not."""
    transport = Own()
    async with face.client(transport=transport) as client:
        async with client.stream("GET", "https://h/") as response:
            assert not response.is_closed
        assert transport.body.closed == 1
        assert response.elapsed.total_seconds() >= 0


async def test_the_wrong_kind_of_body_is_told(face: Face) -> None:
    """A blocking body in the async client, and the reverse."""

    class Wrong(crawler.BaseTransport, crawler.AsyncBaseTransport):
        def handle_request(self, request: crawler.Request) -> crawler.Response:
            async def pieces() -> AsyncIterator[bytes]:
                yield b""

            return crawler.Response(200, content=pieces())

        async def handle_async_request(self, request: crawler.Request) -> crawler.Response:
            return crawler.Response(200, content=iter([b"x"]))

    async with face.client(transport=Wrong()) as client:
        with pytest.raises(RuntimeError, match="blocking body" if face.is_async else "async body"):
            await client.get("https://h/")


async def test_a_transport_that_defines_nothing_says_what_is_missing(face: Face) -> None:
    """By the name of the method."""
    base: Any = crawler.AsyncBaseTransport if face.is_async else crawler.BaseTransport
    async with face.client(transport=base()) as client:
        with pytest.raises(NotImplementedError, match="handle_async_request" if face.is_async else "handle_request"):
            await client.get("https://h/")


def test_a_transport_may_wrap_the_network(bed: Testbed) -> None:
    """The usual way to retry, to log or to cache."""

    class Wrapper(crawler.BaseTransport):
        def __init__(self) -> None:
            self.inner = crawler.HTTPTransport(retries=1)

        def handle_request(self, request: crawler.Request) -> crawler.Response:
            request.headers["X-Through"] = "wrapper"
            response = self.inner.handle_request(request)
            response.headers["X-Status"] = str(response.status_code)
            return response

        def close(self) -> None:
            self.inner.close()

    with crawler.Client(transport=Wrapper()) as client:
        response = client.get(f"{bed.url}/headers")
        assert "wrapper" in response.text
        assert response.headers["X-Status"] == "200"
        assert response.http_version == "HTTP/1.1"
        with client.stream("GET", f"{bed.url}/bytes/100000") as streamed:
            assert sum(map(len, streamed.iter_bytes())) == 100_000


async def test_an_async_transport_may_wrap_the_network(face: Face, bed: Testbed) -> None:
    """And so in the async client."""
    if not face.is_async:
        return

    class Wrapper(crawler.AsyncBaseTransport):
        def __init__(self) -> None:
            self.inner = crawler.AsyncHTTPTransport()

        async def handle_async_request(self, request: crawler.Request) -> crawler.Response:
            response = await self.inner.handle_async_request(request)
            response.headers["X-Status"] = str(response.status_code)
            return response

        async def aclose(self) -> None:
            await self.inner.aclose()

    async with face.client(transport=Wrapper()) as client:
        response = await client.get(f"{bed.url}/gzip")

    assert response.headers["X-Status"] == "200"
    assert response.json()


async def test_an_exit_of_one_s_own_sees_the_error(face: Face) -> None:
    """`__exit__` is called with what ended the block."""
    seen: list[type[BaseException] | None] = []

    class Watching(Own):
        def __exit__(
            self,
            exc_type: type[BaseException] | None = None,
            exc_value: BaseException | None = None,
            traceback: TracebackType | None = None,
        ) -> None:
            seen.append(exc_type)

        async def __aexit__(
            self,
            exc_type: type[BaseException] | None = None,
            exc_value: BaseException | None = None,
            traceback: TracebackType | None = None,
        ) -> None:
            seen.append(exc_type)

    async def fail(client: crawler.Client | crawler.AsyncClient) -> None:
        if isinstance(client, crawler.Client):
            with client:
                raise ZeroDivisionError
        async with client:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail(face.client(transport=Watching()).client)

    assert seen == [ZeroDivisionError]
