"""The client in every world behind one face, so that one test body serves them all.

    blocking    `Client`; the test coroutine never suspends, which also proves that the client never does
    asyncio     `AsyncClient` on the standard event loop
    uvloop      `AsyncClient` on uvloop
    trio        `AsyncClient` under trio

A test is an `async def` that takes `face`; `tests/exchange/conftest.py` runs it once per world.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

import anyio
import trio
import uvloop

import crawler
from crawler.models.content import AsyncOver
from crawler.net import run_blocking
from crawler.net.pool import Pool

T = TypeVar("T")

WORLDS = ("blocking", "asyncio", "uvloop", "trio")

PATIENCE_S = 20.0
"""After so long a test is stuck; nothing waits for it in a test that passes."""


class FaceClient:
    """A client whose methods are awaited in all worlds; on leaving the block its pool must be whole.

    Attributes:
        client: The client itself.
    """

    def __init__(self, face: Face, client: crawler.Client | crawler.AsyncClient) -> None:
        self._face = face
        self.client = client

    async def __aenter__(self) -> Self:
        if isinstance(self.client, crawler.Client):
            self.client.__enter__()
        else:
            await self.client.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if exc is None and not self.client.is_closed:
                self.check_pool()
        finally:
            await self.close()

    @property
    def pool(self) -> Pool | None:
        """The pool of the client's own transport; None before the first request of an async client."""
        transport: Any = self.client._settings.transport
        if isinstance(transport, crawler.HTTPTransport):
            return transport._network.pool
        if isinstance(transport, crawler.AsyncHTTPTransport):
            return transport._networks._pool
        return None

    def check_pool(self) -> None:
        """Nothing is in use, nobody waits, and the books agree with what is open."""
        pool = self.pool
        if pool is not None:
            ledger = pool.ledger
            assert (ledger.count, ledger.waiting, ledger.doomed) == (ledger.idle, 0, [])
            assert {connection.leased for connection in pool.connections} <= {0}
            assert len(pool.connections) == ledger.count

    async def close(self) -> None:
        """Close the client."""
        if isinstance(self.client, crawler.Client):
            self.client.close()
        else:
            await self.client.aclose()

    async def request(self, method: str, url: Any, **options: Any) -> crawler.Response:
        """Send a request by the verb's own method where there is one."""
        verb = getattr(self.client, method.lower(), None)
        answer = self.client.request(method, url, **options) if verb is None else verb(url, **options)
        response: crawler.Response = await self._face.settle(answer)
        return response

    async def fetch(self, url: Any, *, is_streamed: bool) -> bytes:
        """The body of a GET, in either of the two ways."""
        if not is_streamed:
            return (await self.get(url)).content
        async with self.stream("GET", url) as response:
            return await self._face.read(response)

    async def get(self, url: Any, **options: Any) -> crawler.Response:
        """Send a GET request."""
        return await self.request("GET", url, **options)

    async def post(self, url: Any, **options: Any) -> crawler.Response:
        """Send a POST request."""
        return await self.request("POST", url, **options)

    def build_request(self, method: str, url: Any, **options: Any) -> crawler.Request:
        """Build a request."""
        return self.client.build_request(method, url, **options)

    async def send(self, request: crawler.Request, **options: Any) -> crawler.Response:
        """Send a request that was built."""
        response: crawler.Response = await self._face.settle(self.client.send(request, **options))
        return response

    @asynccontextmanager
    async def stream(self, method: str, url: Any, **options: Any) -> AsyncIterator[crawler.Response]:
        """Send a request, the body to be read inside the block."""
        if isinstance(self.client, crawler.Client):
            with self.client.stream(method, url, **options) as response:
                yield response
        else:
            async with self.client.stream(method, url, **options) as response:
                yield response


class Face:
    """One world.

    Attributes:
        world: Its name, one of `WORLDS`.
    """

    def __init__(self, world: str) -> None:
        self.world = world

    @property
    def is_async(self) -> bool:
        """Whether the client is an `AsyncClient`."""
        return self.world != "blocking"

    def client(self, **options: Any) -> FaceClient:
        """A client that looks at no environment unless told."""
        options.setdefault("trust_env", False)
        client = crawler.AsyncClient(**options) if self.is_async else crawler.Client(**options)
        return FaceClient(self, client)

    def transport(self, **options: Any) -> Any:
        """A transport that looks at no environment unless told."""
        options.setdefault("trust_env", False)
        return crawler.AsyncHTTPTransport(**options) if self.is_async else crawler.HTTPTransport(**options)

    # --- running ---

    def run(self, test: Coroutine[Any, Any, None]) -> None:
        """Run a test to its end; fails where the event loop had to complain or a task was left over."""
        if self.world == "blocking":
            run_blocking(test)
        elif self.world == "trio":
            trio.run(self._under_trio, test)
        else:
            self._run_asyncio(test)

    async def _under_trio(self, test: Coroutine[Any, Any, None]) -> None:
        with trio.fail_after(PATIENCE_S):
            await test

    def _run_asyncio(self, test: Coroutine[Any, Any, None]) -> None:
        complaints: list[dict[str, Any]] = []

        async def main() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
            async with asyncio.timeout(PATIENCE_S):
                await test
            for _ in range(3):  # what was cancelled ends
                await asyncio.sleep(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}

        factory = uvloop.new_event_loop if self.world == "uvloop" else asyncio.new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(main())
        assert complaints == []

    async def settle(self, answer: Any) -> Any:
        """The value, awaited where it has to be."""
        return await answer if self.is_async else answer

    async def wait(self, event: threading.Event) -> None:
        """Wait for an event that another thread sets."""
        if self.world == "blocking":
            is_set = event.wait(PATIENCE_S)
        elif self.world == "trio":
            is_set = await trio.to_thread.run_sync(partial(event.wait, PATIENCE_S))
        else:
            is_set = await asyncio.to_thread(event.wait, PATIENCE_S)
        assert is_set

    async def wait_a_moment(self) -> None:
        """Let others go on."""
        if self.world == "blocking":
            time.sleep(0.001)  # noqa: ASYNC251  # this world never suspends
        else:
            await anyio.sleep(0.001)

    async def gather(self, *works: Coroutine[Any, Any, T]) -> list[T | Exception]:
        """Do several things at once: in threads, tasks, or a nursery. Gives values and errors in their order."""
        answers: list[Any] = [None] * len(works)

        async def one(index: int, work: Coroutine[Any, Any, T]) -> None:
            try:
                answers[index] = await work
            except Exception as exc:
                answers[index] = exc

        if self.world == "blocking":
            threads = [threading.Thread(target=run_blocking, args=(one(*pair),)) for pair in enumerate(works)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(PATIENCE_S)
                assert not thread.is_alive()
        elif self.world == "trio":
            async with trio.open_nursery() as nursery:
                for pair in enumerate(works):
                    nursery.start_soon(one, *pair)
        else:
            await asyncio.gather(*(one(*pair) for pair in enumerate(works)))
        return answers

    # --- bodies ---

    def chunks(self, pieces: Iterable[bytes]) -> Any:
        """A body of unknown length, as this world wants it; it can be read once."""
        return self._async_chunks(pieces) if self.is_async else (piece for piece in pieces)

    async def _async_chunks(self, pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    async def read(self, response: crawler.Response) -> bytes:
        """Read a response."""
        data: bytes = await self.settle(response.aread() if self.is_async else response.read())
        return data

    async def close(self, response: crawler.Response) -> None:
        """Close a response."""
        if self.is_async:
            await response.aclose()
        else:
            response.close()

    def pieces(self, response: crawler.Response, kind: str = "bytes", *args: Any) -> AsyncIterator[Any]:
        """Iterate over a response by `iter_KIND` or `aiter_KIND`."""
        method = getattr(response, f"aiter_{kind}" if self.is_async else f"iter_{kind}")
        pieces = method(*args)
        return pieces if self.is_async else AsyncOver(pieces)

    def hook(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A plain function as an event hook or trace callback of this world."""
        if not self.is_async:
            return function

        async def call(*args: Any) -> Any:
            return function(*args)

        return call


async def resolved(work: Awaitable[T]) -> T | Exception:
    """The value or the error of something awaited."""
    try:
        return await work
    except Exception as exc:
        return exc
