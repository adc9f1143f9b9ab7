"""The network side in this process: slow peers, bugs, and the way it ends."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

import crawler
from crawler.service import serve as serving
from crawler.service.settings import Settings
from tests.service.conftest import Bench


def run_served(settings: Settings, work: Callable[[str], Awaitable[None]]) -> None:
    """Serve on a free port, do some work against its address, end it by a signal."""

    async def body() -> None:
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(serving.serve(replace(settings, port=0), ready.set_result))
        task.add_done_callback(lambda _: ready.done() or ready.cancel())  # it could not begin
        try:
            await work(await ready)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            await task
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))  # what the work left behind to end

    asyncio.run(body())


def test_a_head_that_does_not_come(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that sends half a request is closed; others are served meanwhile."""
    monkeypatch.setattr(serving, "HEAD_TIMEOUT_S", 0.3)

    async def work(url: str) -> None:
        parts = urlsplit(url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: ")
        async with crawler.AsyncClient() as client:
            assert (await client.get(url + "/healthz")).status_code == 200
        assert await asyncio.wait_for(reader.read(), 20) == b""
        writer.close()

    run_served(settings, work)


def test_an_open_event_stream_does_not_hold_up_the_end(settings: Settings) -> None:
    """It is ended with the service."""
    left: list[asyncio.Task[None]] = []

    async def work(url: str) -> None:
        parts = urlsplit(url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")

        async def read_to_end() -> None:
            await reader.read()
            writer.close()

        left.append(asyncio.create_task(read_to_end()))

    run_served(settings, work)


def test_an_internal_error_has_an_id_and_no_traceback(
    serve: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer names what to look for in the log, and nothing of what is inside."""

    async def work(bench: Bench) -> None:
        monkeypatch.setattr(bench.service.store, "runs", lambda **_: 1 / 0)
        answer = await bench.client.get("/v1/runs")
        assert answer.status_code == 500
        assert len(answer.json()["id"]) == 16
        assert "ZeroDivisionError" not in answer.text

    serve(work)


def test_while_it_drains_it_is_not_ready(serve: Callable[..., None]) -> None:
    """It lives, but takes no more runs."""

    async def work(bench: Bench) -> None:
        bench.service.is_ready = False
        assert (await bench.client.get("/healthz")).status_code == 200
        assert (await bench.client.get("/readyz")).status_code == 503
        inline = {"inline": {"urls": ["https://example.org/"]}}
        assert (await bench.post("/v1/runs", inline)).status_code == 429

    serve(work)
