"""Many requests from a Python program: in input order, as they come, or without an event loop of one's own.

    results = await gather(urls)                          # a list, in input order

    async with as_completed(urls) as results:             # as they come; leaving early cancels the rest
        async for result in results:
            ...

    results = fetch_all(urls)                             # blocking

All three take any iterable or async iterable of URLs and requests and pull it as needed. None raises for one failed
URL unless asked to; each works under asyncio and trio.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, closing

from crawler.fanout.bodies import open_bodies
from crawler.fanout.clock import loop_clock
from crawler.fanout.completed import AsCompleted, Outbox
from crawler.fanout.fetch import Fetcher, HTTPClient, make_client, request_of, wait_before_retry
from crawler.fanout.plan import BodyPolicy, ClientOptions, RetryPolicy
from crawler.fanout.result import Result
from crawler.fanout.sources import Targets, source_of
from crawler.fanout.workers import Engine
from crawler.models import Timeout


async def gather(
    requests: Targets,
    *,
    concurrency: int = 64,
    client: HTTPClient | None = None,
    return_exceptions: bool = True,
    retry: RetryPolicy | None = None,
    timeout: Timeout | float | None = None,
    body: BodyPolicy | None = None,
) -> list[Result]:
    """Fetch everything and give the results in input order.

    Args:
        requests: URLs, `Request`s or a mixture, in any iterable or async iterable; pulled as workers become free.
        concurrency: Requests on the wire at once.
        client: Sends them, with its own settings, and stays open. By default one is made for this call, which follows
            redirects.
        return_exceptions: If false, the first request that gets no response ends all others and its error is raised.
            A response with an error status is a response: see `Result.ok`.
        retry: When to try again; by default never.
        timeout: Time limits of one attempt, for requests that have none of their own.
        body: What to do with bodies, for example to stream them into files (`Result.path`). By default they are read
            into `result.response.content`.

    Raises:
        HTTPError, InvalidURL: The first failure, if `return_exceptions` is false.
        Exception: Whatever iterating `requests` raised.
    """
    results: list[Result | None] = []

    def deliver(result: Result) -> None:
        if result.error is not None and not return_exceptions:
            raise result.error
        if result.index >= len(results):
            results.extend([None] * (result.index + 1 - len(results)))
        results[result.index] = result

    await _fan_out(requests, deliver, concurrency, client, retry, timeout, body)
    return [result for result in results if result is not None]


def as_completed(
    requests: Targets,
    *,
    concurrency: int = 64,
    client: HTTPClient | None = None,
    return_exceptions: bool = True,
    retry: RetryPolicy | None = None,
    timeout: Timeout | float | None = None,
    body: BodyPolicy | None = None,
) -> AsCompleted[Result]:
    """Fetch everything and give each result as soon as it is there; arguments as for `gather`.

    At most `concurrency` results lie ready: a slow consumer slows the fetching, memory stays flat. Use it as a context
    manager wherever the loop may be left early (`break`, an exception): leaving the block cancels what is under way
    and waits until it is gone. Without the block the rest is cancelled as soon as the iterator is no longer
    referenced.
    """

    async def work(outbox: Outbox[Result]) -> None:
        def deliver(result: Result) -> Awaitable[None] | None:
            if result.error is not None and not return_exceptions:
                raise result.error
            return outbox.put(result)

        await _fan_out(requests, deliver, concurrency, client, retry, timeout, body)

    return AsCompleted(work, capacity=concurrency)


def fetch_all(
    requests: Targets,
    *,
    concurrency: int = 64,
    client: HTTPClient | None = None,
    return_exceptions: bool = True,
    retry: RetryPolicy | None = None,
    timeout: Timeout | float | None = None,
    body: BodyPolicy | None = None,
) -> list[Result]:
    """Do what `gather` does, for programs without an event loop: runs one of its own (uvloop where there is one).

    A `client` must not have been used in another event loop before.

    Raises:
        RuntimeError: An event loop runs in this thread already; `await gather(...)` there.
    """
    import anyio
    import sniffio

    try:
        library = sniffio.current_async_library()
    except sniffio.AsyncLibraryNotFoundError:
        pass
    else:
        raise RuntimeError(f"fetch_all() was called inside a running {library} program; use `await gather(...)` there")

    async def run() -> list[Result]:
        return await gather(
            requests,
            concurrency=concurrency,
            client=client,
            return_exceptions=return_exceptions,
            retry=retry,
            timeout=timeout,
            body=body,
        )

    return anyio.run(run, backend="asyncio", backend_options={"use_uvloop": _has_uvloop()})


async def _fan_out(
    targets: Targets,
    deliver: Callable[[Result], Awaitable[None] | None],
    concurrency: int,
    client: HTTPClient | None,
    retry: RetryPolicy | None,
    timeout: Timeout | float | None,
    body: BodyPolicy | None,
) -> None:
    """Put source, engine and client together for one call, and take them apart again."""
    limits = None if timeout is None else Timeout(timeout)
    clock = loop_clock()
    async with AsyncExitStack() as stack:
        sender: HTTPClient
        if client is None:
            sender = await stack.enter_async_context(make_client(ClientOptions(), limits, concurrency))
            limits = None  # the client's own now
        else:
            sender = client
        naming = BodyNames()
        fetcher = Fetcher(
            sender,
            clock=clock,
            build=lambda result: request_of(sender, result.target, limits),
            bodies=None if body is None else stack.enter_context(closing(open_bodies(body, naming.claim))),
            naming=naming.of,
        )
        engine = Engine(
            source_of(targets, clock),
            attempt=fetcher.attempt,
            again=lambda result: None if retry is None else wait_before_retry(retry, result, None, random.random),
            deliver=deliver,
            concurrency=concurrency,
            clock=clock,
        )
        await engine.run()


class BodyNames:
    """File names of the bodies of one call: each belongs to the position in the input that asked first."""

    def __init__(self) -> None:
        self._owners: dict[str, bytes] = {}

    def of(self, result: Result) -> tuple[None, bytes]:
        """Names come from URLs; the owner is the position."""
        return None, result.index.to_bytes(8, "big")

    async def claim(self, name: str, owner: bytes) -> bool:
        """Reserve a name for an owner."""
        return self._owners.setdefault(name, owner) == owner


def _has_uvloop() -> bool:
    from importlib.util import find_spec

    return find_spec("uvloop") is not None
