"""`gather` and `fetch_all`: order, laziness, caps, failures, cancellation."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

import crawler
from crawler.fanout import BodyPolicy, RetryPolicy, fetch_all, gather
from crawler.models import URL, Request, Response
from tests.peers.clients import ScriptedClient

URLS = [f"http://h{n % 3}.example/{n}" for n in range(200)]


@pytest.mark.anyio
async def test_results_are_in_input_order() -> None:
    """Whatever ends first, the list is in the order of the input."""
    client = ScriptedClient(lambda url, number: 0.002 if url.endswith("0") else 200)

    results = await gather(URLS, client=client)

    assert [result.url for result in results] == URLS
    assert [result.index for result in results] == list(range(200))
    assert all(result.ok and result.status == 200 for result in results)


@pytest.mark.anyio
async def test_nothing_in_nothing_out() -> None:
    """An empty input gives an empty list."""
    assert await gather([], client=ScriptedClient()) == []


@pytest.mark.anyio
@pytest.mark.parametrize("concurrency", [1, 7, 64, 1000])
async def test_the_cap_is_kept(concurrency: int) -> None:
    """Never more requests are under way than `concurrency`."""
    client = ScriptedClient()

    await gather(URLS, client=client, concurrency=concurrency)

    assert client.most <= concurrency
    assert client.begun == len(URLS)


@pytest.mark.anyio
async def test_slots_are_not_left_idle() -> None:
    """While there is work, as many requests are under way as may be."""
    client = ScriptedClient(lambda url, number: 0.05)

    await gather(URLS, client=client, concurrency=64)

    assert client.most == 64


@pytest.mark.anyio
async def test_iterables_are_pulled_as_needed() -> None:
    """No item is taken from the input before a slot is free for it."""
    client = ScriptedClient()
    ahead = 0

    def urls() -> Iterator[str]:
        nonlocal ahead
        for number, url in enumerate(URLS):
            ahead = max(ahead, number - client.ended)
            yield url

    await gather(urls(), client=client, concurrency=8)

    assert ahead <= 8


@pytest.mark.anyio
async def test_async_iterables_mixed_with_urls_and_requests() -> None:
    """Text, URL objects and requests may come mixed from an async generator, which is closed at the end."""
    closed = False

    async def targets() -> AsyncIterator[str | URL | Request]:
        nonlocal closed
        try:
            yield "http://a.example/"
            await anyio.lowlevel.checkpoint()
            yield URL("http://b.example/")
            yield Request("POST", "http://c.example/", content=b"x")
        finally:
            closed = True

    client = ScriptedClient()

    results = await gather(targets(), client=client)

    assert [result.url for result in results] == ["http://a.example/", "http://b.example/", "http://c.example/"]
    assert results[2].request is not None
    assert results[2].request.method == "POST"
    assert closed


@pytest.mark.anyio
async def test_no_failure_raises() -> None:
    """A dead host, a bad URL, an error status and a bug of ours each end in their result."""
    answers: dict[str, int | Exception] = {
        "http://dead.example/": crawler.ConnectError("refused"),
        "http://bug.example/": KeyError("oops"),
        "http://gone.example/": 404,
    }
    client = ScriptedClient(lambda url, number: answers[url])

    dead, bug, gone, bad = await gather([*answers, "http://[broken/"], client=client)

    assert (dead.ok, dead.error_kind, dead.status) == (False, "connect_refused", None)
    assert isinstance(dead.error, crawler.ConnectError)
    assert (bug.error_kind, type(bug.error)) == ("internal", KeyError)
    assert (gone.ok, gone.error, gone.error_kind, gone.status) == (False, None, "http_4xx", 404)
    assert (bad.error_kind, bad.attempts) == ("invalid_url", 1)
    assert "http://[broken/" in repr(bad)


@pytest.mark.anyio
async def test_the_first_error_is_raised_on_demand() -> None:
    """With `return_exceptions=False` the typed error comes out itself, all others are cancelled, nothing leaks."""
    client = ScriptedClient(lambda url, number: crawler.ReadTimeout("slow") if url.endswith("/50") else 0.01)

    with pytest.raises(crawler.ReadTimeout):
        await gather(URLS, client=client, return_exceptions=False, concurrency=16)

    assert client.in_flight == 0
    assert client.begun < len(URLS)


@pytest.mark.anyio
async def test_an_error_status_is_no_error_even_then() -> None:
    """`return_exceptions=False` raises for requests without a response only."""
    results = await gather(["http://a.example/"], client=ScriptedClient(lambda *_: 500), return_exceptions=False)

    assert results[0].status == 500
    assert not results[0].ok
    with pytest.raises(crawler.HTTPStatusError):
        results[0].raise_for_status()


@pytest.mark.anyio
async def test_what_the_input_raises_comes_out() -> None:
    """An exception of the caller's generator is the caller's: it ends the call as it is, in no group."""

    def urls() -> Iterator[str]:
        yield from URLS[:20]
        raise LookupError("list is broken")

    async def later() -> AsyncIterator[str]:
        for url in urls():
            yield url

    for targets in (urls(), later()):
        client = ScriptedClient()
        with pytest.raises(LookupError, match="list is broken"):
            await gather(targets, client=client)
        assert client.in_flight == 0


@pytest.mark.anyio
async def test_cancellation_leaks_nothing() -> None:
    """A cancelled call has ended every request it began, whenever it is cancelled."""
    for patience in range(40):
        client = ScriptedClient(lambda url, number: 0.0 if url.endswith("7") else 200)
        with anyio.CancelScope() as scope:

            def urls(scope: anyio.CancelScope = scope, patience: int = patience) -> Iterator[str]:
                for number, url in enumerate(URLS):
                    if number == patience:
                        scope.cancel()
                    yield url

            await gather(urls(), client=client, concurrency=10, retry=RetryPolicy())

        assert scope.cancelled_caught
        assert client.in_flight == 0
        assert client.begun == client.ended


@pytest.mark.anyio
async def test_retries_do_not_hold_slots() -> None:
    """While one request waits for its next try, the only slot serves the others."""
    order: list[str] = []

    def script(url: str, number: int) -> int | Exception:
        order.append(url)
        return crawler.ConnectError("refused") if url.endswith("/0") and number == 1 else 200

    policy = RetryPolicy(attempts=2, base=0.02, jitter="none")

    results = await gather(URLS[:5], client=ScriptedClient(script), retry=policy, concurrency=1)

    assert [result.ok for result in results] == [True] * 5
    assert order == [*URLS[:5], URLS[0]]
    assert (results[0].attempts, results[0].attempt_errors) == (2, ("connect_refused",))
    assert results[0].elapsed >= 0.02


@pytest.mark.anyio
async def test_a_body_that_cannot_be_sent_twice_is_not_retried() -> None:
    """A request with a generator for a body gets one try, whatever the policy says."""

    async def body() -> AsyncIterator[bytes]:
        yield b"once"

    request = Request("PUT", "http://a.example/", content=body())
    client = ScriptedClient(lambda *_: crawler.ConnectError("refused"))

    (result,) = await gather([request], client=client, retry=RetryPolicy(base=0))

    assert result.attempts == 1


@pytest.mark.anyio
async def test_bodies_go_to_files(tmp_path: Path) -> None:
    """With a body policy each body lies in a file of its own, named in the result."""
    client = ScriptedClient(lambda url, number: url.encode())
    policy = BodyPolicy(keep="file", directory=tmp_path, fsync=False)

    results = await gather(
        ["http://a.example/x", "http://a.example/x", "http://a.example/y/"], client=client, body=policy
    )

    assert sorted(str(result.path) for result in results) == ["a.example/x", "a.example/x~2", "a.example/y/index"]
    for result in results:
        assert (tmp_path / str(result.path)).read_bytes() == result.url.encode()


@pytest.mark.anyio
async def test_a_single_url_is_refused() -> None:
    """A string is an iterable of characters, which nobody means."""
    with pytest.raises(TypeError, match="put it in a list"):
        await gather("http://a.example/", client=ScriptedClient())


@pytest.mark.anyio
async def test_fetch_all_refuses_a_running_loop() -> None:
    """Inside an event loop the message says what to write instead."""
    with pytest.raises(RuntimeError, match=r"await gather"):
        fetch_all(URLS, client=ScriptedClient())


def test_fetch_all_brings_its_own_loop() -> None:
    """Programs without an event loop get the same results."""
    results = fetch_all(URLS, client=ScriptedClient(lambda url, number: url.encode()))

    assert [result.url for result in results] == URLS
    assert isinstance(results[0].response, Response)
    assert results[0].response.content == URLS[0].encode()
