"""Event hooks: when they run, what they may do, and what happens when they fail."""

from __future__ import annotations

from typing import Any

import pytest

import crawler
from crawler.testbed import Testbed
from tests.peers.worlds import Face


async def test_hooks_see_every_request_and_response(face: Face, bed: Testbed) -> None:
    """In their order; the response before its body is read."""
    seen: list[str] = []
    hooks = {
        "request": [
            face.hook(lambda request: seen.append(f"1 {request.method}")),
            face.hook(lambda request: seen.append(f"2 {request.url.path}")),
        ],
        "response": [face.hook(lambda response: seen.append(f"{response.status_code} {response.is_stream_consumed}"))],
    }
    async with face.client(event_hooks=hooks) as client:
        assert (await client.get(f"{bed.url}/get")).json()

    assert seen == ["1 GET", "2 /get", "200 False"]


async def test_hooks_run_on_each_hop_and_each_step(face: Face, bed: Testbed) -> None:
    """Redirects and challenges are requests, too."""
    seen: list[str] = []
    hooks = {
        "request": [face.hook(lambda request: seen.append(request.url.path))],
        "response": [face.hook(lambda response: seen.append(response.status_code))],
    }
    async with face.client(event_hooks=hooks, follow_redirects=True) as client:
        await client.get(f"{bed.url}/redirect/1")
        assert seen == ["/redirect/1", 302, "/get", 200]
        seen.clear()
        await client.get(f"{bed.url}/digest-auth/auth/u/p", auth=crawler.DigestAuth("u", "p"))

    assert seen == ["/digest-auth/auth/u/p", 401, "/digest-auth/auth/u/p", 200]


async def test_a_request_hook_may_change_the_request(face: Face, bed: Testbed) -> None:
    """What it sets is sent."""

    def sign(request: crawler.Request) -> None:
        request.headers["X-Signed"] = "yes"

    async with face.client(event_hooks={"request": [face.hook(sign)]}) as client:
        assert "yes" in (await client.get(f"{bed.url}/headers")).text


async def test_a_response_hook_may_read_the_body(face: Face, bed: Testbed) -> None:
    """Which is then there for the caller as well, streamed or not."""
    bodies: list[bytes] = []

    def read(response: crawler.Response) -> None:
        bodies.append(response.read())

    async def aread(response: crawler.Response) -> None:
        bodies.append(await response.aread())

    async with face.client(event_hooks={"response": [aread if face.is_async else read]}) as client:
        response = await client.get(f"{bed.url}/bytes/5?seed=1")
        async with client.stream("GET", f"{bed.url}/bytes/5?seed=1") as streamed:
            assert streamed.content == response.content

    assert bodies == [response.content] * 2


async def test_raising_for_status_in_a_hook(face: Face, bed: Testbed) -> None:
    """The usual use; the response is closed and its connection free."""

    def raise_for_status(response: crawler.Response) -> None:
        response.raise_for_status()

    async with face.client(event_hooks={"response": [face.hook(raise_for_status)]}) as client:
        with pytest.raises(crawler.HTTPStatusError) as caught:
            await client.get(f"{bed.url}/status/500")
        assert caught.value.response.is_closed
        client.check_pool()
        assert (await client.get(f"{bed.url}/get")).status_code == 200


async def test_an_error_in_a_request_hook_stops_the_request(face: Face) -> None:
    """Nothing is sent."""

    def fail(request: crawler.Request) -> None:
        raise ZeroDivisionError

    def unasked(request: crawler.Request) -> crawler.Response:
        raise AssertionError

    hooks = {"request": [face.hook(fail)]}
    async with face.client(transport=crawler.MockTransport(unasked), event_hooks=hooks) as client:
        with pytest.raises(ZeroDivisionError):
            await client.get("http://h/")


async def test_hooks_can_be_changed_later(face: Face) -> None:
    """The property takes what the constructor takes; its lists can be added to."""
    seen: list[str] = []
    async with face.client(transport=crawler.MockTransport(lambda request: crawler.Response(200))) as client:
        assert client.client.event_hooks == {"request": [], "response": []}
        client.client.event_hooks["request"].append(face.hook(lambda request: seen.append("added")))
        await client.get("http://h/")
        client.client.event_hooks = {"response": [face.hook(lambda response: seen.append("set"))]}
        await client.get("http://h/")

    assert seen == ["added", "set"]


def test_an_async_client_needs_async_hooks() -> None:
    """A plain function is told, by its name."""

    def plain(request: crawler.Request) -> None:
        pass

    async def main() -> None:
        transport = crawler.MockTransport(lambda request: crawler.Response(200))
        async with crawler.AsyncClient(transport=transport, event_hooks={"request": [plain]}) as client:
            await client.get("http://h/")

    with pytest.raises(TypeError, match="plain"):
        Face("asyncio").run(main())


def test_a_blocking_client_needs_plain_hooks() -> None:
    """An async function would silently do nothing."""

    async def hook(argument: Any) -> None:
        pass

    transport = crawler.MockTransport(lambda request: crawler.Response(200))
    with (
        crawler.Client(transport=transport, event_hooks={"request": [hook]}) as client,
        pytest.raises(TypeError, match="hook"),
    ):
        client.get("http://h/")
