"""A service in this process, talked to without a socket; and job files for it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import crawler
from crawler.service.app import make_app
from crawler.service.service import Service
from crawler.service.settings import Settings
from crawler.testbed import Testbed

Work = Callable[["Bench"], Awaitable[None]]


class Bench:
    """A running service and a client of its API."""

    def __init__(self, service: Service, client: crawler.AsyncClient) -> None:
        self.service = service
        self.client = client

    async def post(self, path: str, body: object = None, **options: Any) -> crawler.Response:
        """POST JSON."""
        return await self.client.post(path, json={} if body is None else body, **options)

    async def until(self, run_id: str, *states: str) -> dict[str, Any]:
        """Wait until a run is in one of these states; gives it."""
        for _ in range(400):
            run: dict[str, Any] = (await self.client.get(f"/v1/runs/{run_id}")).json()
            if run["state"] in states:
                return run
            await asyncio.sleep(0.05)
        raise AssertionError(f"the run is {run['state']}, not {states}: {run}")

    async def until_done(self, run_id: str, least: int) -> None:
        """Wait until a run has brought so many URLs to their end."""
        for _ in range(400):
            if self.service.runner.live.get(run_id, {}).get("done", 0) >= least:
                return
            await asyncio.sleep(0.05)
        raise AssertionError("the run does not get on")


@pytest.fixture(scope="session")
def bed() -> Iterator[Testbed]:
    """One testbed for all tests of this room."""
    with Testbed() as bed:
        yield bed


class Sluice:
    """A server of this process: `/quick` answers at once, `/held` when the sluice is opened."""

    def __init__(self) -> None:
        self._is_open = threading.Event()
        is_open = self._is_open

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if self.path.startswith("/held"):
                    is_open.wait(60)
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                with contextlib.suppress(OSError):  # a client that was killed meanwhile
                    self.wfile.write(b"ok")

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request: object, client_address: object) -> None:
                """A client that was killed is no error."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def job(self, quick: int, held: int) -> str:
        """A job of so many URLs of each, the quick ones first."""
        urls = [f"{self.url}/quick?{n}" for n in range(quick)] + [f"{self.url}/held?{n}" for n in range(held)]
        return "urls:\n" + "".join(f"  - {url}\n" for url in urls) + "concurrency: 4\nstop: {grace: 300ms}\n"

    def open(self) -> None:
        """Let them all through, from now on."""
        self._is_open.set()

    def close(self) -> None:
        """Open, and end the server."""
        self.open()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def sluice() -> Iterator[Sluice]:
    """A closed one."""
    sluice = Sluice()
    yield sluice
    sluice.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A job folder, a state folder, and leave to fetch from this machine."""
    (tmp_path / "jobs").mkdir()
    return Settings(
        jobs=tmp_path / "jobs", state=tmp_path / "state", allow=("127.0.0.0/8",), poll=0.1, grace=1.0, drain=5.0
    )


@contextlib.asynccontextmanager
async def running(settings: Settings, **headers: str) -> AsyncIterator[Bench]:
    """A service for the time of a block."""
    service = Service(settings)
    transport = crawler.ASGITransport(make_app(service))
    async with crawler.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
        await service.start()
        try:
            yield Bench(service, client)
        finally:
            await service.stop()


@pytest.fixture
def serve(settings: Settings) -> Callable[..., None]:
    """Run a test's coroutine beside a service; keywords change the settings."""

    def run(work: Work, **changes: Any) -> None:
        async def body() -> None:
            async with running(replace(settings, **changes)) as bench:
                await work(bench)

        asyncio.run(body())

    return run


@pytest.fixture
def write_job(settings: Settings, bed: Testbed) -> Callable[[str, str], Path]:
    """Write a job file; `BED` in it is the testbed's address."""

    def write(name: str, text: str) -> Path:
        path = settings.jobs / f"{name}.yaml"
        path.write_text(text.replace("BED", bed.url), encoding="utf-8")
        return path

    return write
