"""Typical programs for the async client, written as for HTTPX; see `sync_programs.py`."""

# ruff: noqa: PT017 -- these are programs, not tests

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import crawler as httpx


async def one_request(base: str) -> None:
    """The first program of every tutorial."""
    async with httpx.AsyncClient() as client:
        response = await client.get(f"{base}/get", params={"q": "x"})
        response.raise_for_status()
        assert response.json()["args"] == {"q": "x"}


async def fetch(client: httpx.AsyncClient, url: str) -> dict[str, Any]:
    """One of many."""
    response = await client.get(url)
    response.raise_for_status()
    data: dict[str, Any] = response.json()
    return data


async def gathered(base: str) -> None:
    """Many at once over one client."""
    async with httpx.AsyncClient(timeout=10.0, limits=httpx.Limits(max_connections=5)) as client:
        results = await asyncio.gather(*[fetch(client, f"{base}/get?n={n}") for n in range(10)])
        assert [result["args"]["n"] for result in results] == [str(n) for n in range(10)]

        urls = [f"{base}/get", f"{base}/status/500", "http://127.0.0.1:1/"]
        mixed = await asyncio.gather(*(fetch(client, url) for url in urls), return_exceptions=True)
        assert isinstance(mixed[0], dict)
        assert isinstance(mixed[1], httpx.HTTPStatusError)
        assert isinstance(mixed[2], httpx.ConnectError)


async def one_client_per_url(base: str) -> None:
    """Wasteful, and in tutorials; it works."""

    async def get(url: str) -> int:
        async with httpx.AsyncClient() as client:
            return (await client.get(url)).status_code

    assert await asyncio.gather(*(get(f"{base}/get") for _ in range(5))) == [200] * 5


async def with_a_semaphore(base: str) -> None:
    """Not too many at once; tasks, and as they are completed."""
    semaphore = asyncio.Semaphore(3)

    async with httpx.AsyncClient() as client:

        async def get(number: int) -> httpx.Response:
            async with semaphore:
                return await client.get(f"{base}/get", params={"n": number})

        tasks = [asyncio.create_task(get(number)) for number in range(6)]
        seen = [(await task).json()["args"]["n"] for task in asyncio.as_completed(tasks)]
        assert sorted(seen) == [str(number) for number in range(6)]


async def in_a_task_group(base: str) -> None:
    """Structured."""
    async with httpx.AsyncClient() as client, asyncio.TaskGroup() as group:
        tasks = [group.create_task(client.get(f"{base}/get")) for _ in range(3)]
    assert all(task.result().is_success for task in tasks)


async def cancelled(base: str) -> None:
    """A task that is cancelled gives its connection back."""
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=1)) as client:
        task = asyncio.create_task(client.get(f"{base}/delay/5"))
        await asyncio.sleep(0.05)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            assert (await client.get(f"{base}/get")).status_code == 200
        try:
            async with asyncio.timeout(0.05):
                await client.get(f"{base}/delay/5", timeout=None)
        except TimeoutError:
            assert (await client.get(f"{base}/get")).status_code == 200


async def streaming(base: str, folder: Path) -> None:
    """A download, lines, and a body that is made on the way."""
    async with httpx.AsyncClient() as client:
        target = folder / "download"
        async with client.stream("GET", f"{base}/bytes/100000") as response:
            with target.open("wb") as file:
                async for chunk in response.aiter_bytes():
                    file.write(chunk)
        assert target.stat().st_size == 100_000

        async with client.stream("GET", f"{base}/stream/3") as response:
            assert [json.loads(line)["id"] async for line in response.aiter_lines()] == [0, 1, 2]

        async with client.stream("GET", f"{base}/stream/3") as response:
            assert await response.aread() == response.content

        async def pieces() -> AsyncIterator[bytes]:
            for number in range(3):
                yield b"%d" % number

        assert (await client.post(f"{base}/post", content=pieces())).json()["data"] == "012"
        assert (await client.post(f"{base}/post", files={"f": ("a.txt", b"content")})).is_success


async def errors_and_retries(base: str) -> None:
    """With a wait that grows."""
    async with httpx.AsyncClient(timeout=httpx.Timeout(0.2, connect=1.0)) as client:
        for attempt in range(3):
            try:
                await client.get(f"{base}/delay/5")
            except (httpx.ConnectTimeout, httpx.ReadTimeout, httpx.PoolTimeout) as exc:
                assert exc.request.url.path == "/delay/5"
                await asyncio.sleep(0.001 * 2**attempt)
        try:
            await client.get("http://127.0.0.1:1/")
        except httpx.RequestError as exc:
            assert isinstance(exc, httpx.NetworkError | httpx.TransportError)


class AsyncToken(httpx.Auth):
    """Gets its token by I/O of its own."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        async with self._lock:
            await asyncio.sleep(0)
        request.headers["Authorization"] = "Bearer async"
        yield request


async def authentication(base: str) -> None:
    """The same classes as in the blocking client, and async flows."""
    async with httpx.AsyncClient(auth=("u", "p")) as client:
        assert (await client.get(f"{base}/basic-auth/u/p")).is_success
        assert (await client.get(f"{base}/digest-auth/auth/u/p", auth=httpx.DigestAuth("u", "p"))).is_success
        assert (await client.get(f"{base}/bearer", auth=AsyncToken())).json()["token"] == "async"


async def hooks(base: str) -> None:
    """They are async functions."""
    seen: list[str] = []

    async def on_request(request: httpx.Request) -> None:
        seen.append(request.method)

    async def on_response(response: httpx.Response) -> None:
        await response.aread()
        seen.append(response.text[:1])

    async with httpx.AsyncClient(event_hooks={"request": [on_request], "response": [on_response]}) as client:
        await client.get(f"{base}/get")
    assert seen == ["GET", "{"]


class Through(httpx.AsyncBaseTransport):
    """A transport around another."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self.asked: list[httpx.URL] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


async def transports(base: str) -> None:
    """Of one's own, of tests, and an application without a server."""
    through = Through(httpx.AsyncHTTPTransport(retries=2))
    async with httpx.AsyncClient(transport=through) as client:
        assert (await client.get(f"{base}/get")).is_success
        assert through.asked == [f"{base}/get"]

    async def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"method": request.method})

    async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as client:
        assert (await client.delete("https://api.example.org/")).json() == {"method": "DELETE"}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"hello"})

    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False, client=("127.0.0.1", 50000))
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        assert (await client.get("/")).text == "hello"


async def one_client_for_the_program(base: str) -> None:
    """Opened at the start, closed at the end."""
    client = httpx.AsyncClient(base_url=base, headers={"Accept": "application/json"}, follow_redirects=True)
    try:
        assert (await client.get("/redirect/1")).history
        request = client.build_request("GET", "/get")
        response = await client.send(request, stream=True)
        try:
            await response.aread()
        finally:
            await response.aclose()
        assert not client.is_closed
    finally:
        await client.aclose()
    try:
        await client.get("/get")
    except RuntimeError as exc:
        assert "closed" in str(exc)
