"""`as_completed`: results as they come, back-pressure, and leaving early without leaks."""

from __future__ import annotations

import gc

import anyio
import anyio.lowlevel
import pytest

import crawler
from crawler.fanout import as_completed
from tests.peers.clients import ScriptedClient

URLS = [f"http://h.example/{n}" for n in range(300)]


async def settled(client: ScriptedClient) -> None:
    """Let background tasks run until nothing is under way."""
    for _ in range(200):
        await anyio.lowlevel.checkpoint()
    assert client.in_flight == 0


@pytest.mark.anyio
async def test_each_result_comes_once_as_soon_as_it_is_there() -> None:
    """Fast ones overtake slow ones, and nobody is forgotten."""
    client = ScriptedClient(lambda url, number: 0.05 if url.endswith("/0") else 200)

    async with as_completed(URLS, client=client, concurrency=8) as results:
        seen = [result.url async for result in results]

    assert sorted(seen) == sorted(URLS)
    assert seen[0] != URLS[0]


@pytest.mark.anyio
async def test_it_is_an_iterator_without_a_block_as_well() -> None:
    """A loop that runs to the end needs no `async with`."""
    client = ScriptedClient()

    seen = {result.index async for result in as_completed(URLS, client=client)}

    assert seen == set(range(300))
    await settled(client)


@pytest.mark.anyio
async def test_leaving_the_block_early_cancels_the_rest() -> None:
    """After the block nothing is under way any more, and no further request was begun."""
    client = ScriptedClient(lambda url, number: 200 if url.endswith("/0") else 30.0)

    async with as_completed(URLS, client=client, concurrency=16) as results:
        async for _result in results:
            break

    assert client.in_flight == 0
    assert client.begun == client.ended <= 17


@pytest.mark.anyio
async def test_an_exception_in_the_loop_comes_out_as_it_is() -> None:
    """The consumer's own exception passes through the block, in no group."""
    client = ScriptedClient()

    async def consume() -> None:
        async with as_completed(URLS, client=client) as results:
            async for _result in results:
                raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await consume()

    assert client.in_flight == 0


@pytest.mark.anyio
async def test_a_forgotten_iterator_ends_its_work() -> None:
    """Without the block, a `break` drops the iterator, and that cancels what is under way."""
    client = ScriptedClient(lambda url, number: 200 if url.endswith("/0") else 30.0)

    async for _result in as_completed(URLS, client=client, concurrency=16):
        break
    gc.collect()  # only for interpreters without reference counts

    await settled(client)
    assert client.begun <= 17


@pytest.mark.anyio
async def test_a_slow_consumer_slows_the_fetching() -> None:
    """Never more than two times `concurrency` requests are ahead: half lie ready, half are in workers' hands."""
    client = ScriptedClient()
    taken = 0

    async with as_completed(URLS, client=client, concurrency=8) as results:
        async for _result in results:
            taken += 1
            for _ in range(20):
                await anyio.lowlevel.checkpoint()
            assert client.ended - taken <= 16

    assert taken == 300


@pytest.mark.anyio
async def test_the_first_error_is_raised_on_demand() -> None:
    """With `return_exceptions=False` the error comes out of the loop after the results before it."""
    client = ScriptedClient(lambda url, number: crawler.ReadError("broken") if url.endswith("/9") else 200)
    seen = []

    async def consume() -> None:
        async with as_completed(URLS, client=client, concurrency=2, return_exceptions=False) as results:
            async for result in results:
                seen.append(result)  # noqa: PERF401 -- what came before the error is looked at

    with pytest.raises(crawler.ReadError):
        await consume()

    assert seen
    assert client.in_flight == 0


@pytest.mark.anyio
async def test_a_block_that_is_never_iterated_does_nothing() -> None:
    """Work begins with the first look; closing twice is fine."""
    client = ScriptedClient()

    async with as_completed(URLS, client=client) as results:
        pass
    await results.aclose()

    assert client.begun == 0
    with pytest.raises(StopAsyncIteration):
        await results.__anext__()


@pytest.mark.anyio
async def test_cancelling_the_consumer_cancels_the_work() -> None:
    """A cancelled consumer leaves the block only when nothing is under way."""
    client = ScriptedClient(lambda url, number: 30.0)

    with anyio.move_on_after(0.02) as scope:
        async with as_completed(URLS, client=client, concurrency=16) as results:
            async for _result in results:
                pass

    assert scope.cancelled_caught
    assert (client.in_flight, client.begun) == (0, 16)


@pytest.mark.anyio
async def test_the_block_may_be_in_another_scope_than_the_first_look() -> None:
    """The first `__anext__` may happen inside a cancel scope of its own, which changes nothing later."""
    results = as_completed(URLS[:5], client=ScriptedClient())

    with anyio.fail_after(5):
        first = await results.__anext__()
    rest = [result async for result in results]

    assert len({first.index, *(result.index for result in rest)}) == 5
