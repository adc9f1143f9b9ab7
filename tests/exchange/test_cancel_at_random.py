"""Twenty thousand requests cancelled anywhere (C-20, L-9): then the pool is whole, and the next request works."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest
import trio

import crawler
from tests.peers.quick import QuickHttp1, QuickHttp2, QuickServer
from tests.peers.worlds import Face, FaceClient

CANCELS = 3_400  # in each of three worlds and two protocols
TASKS = 50
SEED = 20_25
FIRST_S = 0.004  # the longest wait before cancelling, at first; then so that a fifth of all requests come to an end

Work = Callable[[], Awaitable[None]]


async def one_request(client: FaceClient, url: str, rng: random.Random) -> None:
    """A request of some kind; what comes of it has to be right."""
    match rng.randrange(4):
        case 0:
            assert (await client.get(url)).content == b"helloworld"
        case 1:
            assert (await client.post(url, content=bytes(rng.choice((10, 100_000))))).content == b"helloworld"
        case 2:
            async with client.stream("GET", url) as response:
                assert b"".join([piece async for piece in response.aiter_raw()]) == b"helloworld"
        case _:
            async with client.stream("GET", url) as response:
                assert await anext(response.aiter_raw()) in (b"hello", b"helloworld")


async def cancelled_in_asyncio(work: Awaitable[None], wait_s: float) -> bool:
    """Cancel a task after so long, or after a turn or two of the event loop; whether it had not ended."""
    task = asyncio.ensure_future(work)
    if wait_s < FIRST_S / 10:
        for _ in range(int(wait_s * 100_000) % 4):
            await asyncio.sleep(0)
    else:
        await asyncio.sleep(wait_s)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return True
    return False


async def cancelled_in_trio(work: Awaitable[None], wait_s: float) -> bool:
    """Cancel a scope after so long; whether what it held had not ended."""
    with trio.move_on_after(wait_s) as scope:
        await work
    return scope.cancelled_caught


@pytest.mark.parametrize("face", ["asyncio", "uvloop", "trio"], indirect=True)
@pytest.mark.parametrize("protocol", ["HTTP/1.1", "HTTP/2"])
async def test_cancelling_at_random(face: Face, protocol: str) -> None:
    """Fifty tasks send requests and cancel them; no slot, task or connection is lost by it."""
    cancelled = ended = 0
    cancel = cancelled_in_trio if face.world == "trio" else cancelled_in_asyncio

    async def send_and_cancel(client: FaceClient, url: str, rng: random.Random) -> None:
        nonlocal cancelled, ended
        longest_s = FIRST_S
        while cancelled < CANCELS:
            if await cancel(one_request(client, url, rng), rng.random() * longest_s):
                cancelled += 1
                longest_s *= 1.1
            else:
                ended += 1
                longest_s *= 0.7

    limits = crawler.Limits(max_connections=20, max_keepalive_connections=10)
    is_http2 = protocol == "HTTP/2"
    with QuickServer(QuickHttp2 if is_http2 else QuickHttp1, SEED) as server:
        async with face.client(http1=not is_http2, http2=is_http2, limits=limits, timeout=15.0) as client:
            works = [send_and_cancel(client, server.url, random.Random(SEED + n)) for n in range(TASKS)]
            assert await face.gather(*works) == [None] * TASKS
            client.check_pool()
            for _ in range(5):
                response = await client.get(server.url)
                assert (response.content, response.http_version) == (b"helloworld", protocol)

    assert cancelled >= CANCELS
    assert ended > CANCELS / 20  # some came to their end, or nothing would have been reused
