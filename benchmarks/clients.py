"""One function per client: how its users would write it, with its default options.

Each gives a function that sends one request, reads the whole body and returns its length. Where a client needs to be
told more than its defaults for the load at hand (an authority for TLS, HTTP/2, room for more connections), it is told.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from io import FileIO
from pathlib import Path
from typing import Any, Final

from benchmarks.loads import Load

Send = Callable[[], Awaitable[int]]
SendNow = Callable[[], int]

PAYLOAD: Final = {
    "items": [
        {"id": n, "name": f"item {n}", "price": n * 1.25, "tags": ["new", "sale"], "in_stock": n % 3 == 0, "note": None}
        for n in range(177)
    ]
}
"""What is posted: about 16 KiB as JSON."""

MANY: Final = 100
"""Connections that HTTPX's, aiohttp's and our clients have by default; more are asked for where more are needed."""


def context(load: Load) -> ssl.SSLContext | bool:
    """Trust in the server of this run; True where no TLS is spoken, which is every client's default."""
    return ssl.create_default_context(cafile=load.ca) if load.tls else True


def authority(load: Load) -> bytes:
    """The certificate to trust, for clients that want it themselves."""
    return Path(load.ca).read_bytes()


def nowhere() -> FileIO:
    """Where downloads go, unbuffered: a write is one system call, as it is for curl."""
    return FileIO("/dev/null", "wb")


# --- awaited ---


@asynccontextmanager
async def crawler(load: Load) -> AsyncIterator[Send]:
    """Ours."""
    import crawler

    more: dict[str, Any] = {}
    if load.concurrency > MANY:
        more["limits"] = crawler.Limits()
    if load.kind == "hold":
        more["timeout"] = 60
    async with crawler.AsyncClient(verify=context(load), http2=load.http2, **more) as client:

        async def get() -> int:
            response = await client.get(load.url)
            assert response.status_code == 200
            return len(response.content)

        async def post_json() -> int:
            response = await client.post(load.url, json=PAYLOAD)
            assert response.status_code == 200
            return len(response.content)

        async def post_bytes() -> int:
            response = await client.post(load.url, content=BYTES)
            assert response.status_code == 200
            return len(response.content)

        async def download() -> int:
            size = 0
            with nowhere() as sink:
                async with client.stream("GET", load.url) as response:
                    async for chunk in response.aiter_bytes():
                        size += sink.write(chunk)
            return size

        yield {"": download if load.kind == "download" else get, "json": post_json, "bytes": post_bytes}[load.post]


@asynccontextmanager
async def aiohttp(load: Load) -> AsyncIterator[Send]:
    """aiohttp's session."""
    import aiohttp

    limit = MANY if load.concurrency <= MANY else 0
    connector = aiohttp.TCPConnector(ssl=context(load), limit=limit)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def get() -> int:
            async with session.get(load.url) as response:
                assert response.status == 200
                return len(await response.read())

        async def post_json() -> int:
            async with session.post(load.url, json=PAYLOAD) as response:
                assert response.status == 200
                return len(await response.read())

        async def post_bytes() -> int:
            async with session.post(load.url, data=BYTES) as response:
                assert response.status == 200
                return len(await response.read())

        async def download() -> int:
            size = 0
            with nowhere() as sink:
                async with session.get(load.url) as response:
                    async for chunk in response.content.iter_any():
                        size += sink.write(chunk)
            return size

        yield {"": download if load.kind == "download" else get, "json": post_json, "bytes": post_bytes}[load.post]


@asynccontextmanager
async def httpx(load: Load) -> AsyncIterator[Send]:
    """HTTPX."""
    import httpx

    async with httpx.AsyncClient(verify=context(load), http2=load.http2) as client:

        async def get() -> int:
            response = await client.get(load.url)
            assert response.status_code == 200
            return len(response.content)

        yield get


@asynccontextmanager
async def httpx2(load: Load) -> AsyncIterator[Send]:
    """HTTPX 2."""
    import httpx2

    async with httpx2.AsyncClient(verify=context(load), http2=load.http2) as client:

        async def get() -> int:
            response = await client.get(load.url)
            assert response.status_code == 200
            return len(response.content)

        yield get


@asynccontextmanager
async def pyreqwest(load: Load) -> AsyncIterator[Send]:
    """pyreqwest: Rust's reqwest."""
    from pyreqwest.client import ClientBuilder

    builder = ClientBuilder()
    if load.tls:
        builder = builder.add_root_certificate_pem(authority(load))
    if load.http2:
        builder = builder.http2(True)
    async with builder.build() as client:

        async def get() -> int:
            response = await client.get(load.url).build().send()
            assert response.status == 200
            return len(await response.bytes())

        async def post_json() -> int:
            response = await client.post(load.url).body_json(PAYLOAD).build().send()
            assert response.status == 200
            return len(await response.bytes())

        async def post_bytes() -> int:
            response = await client.post(load.url).body_bytes(BYTES).build().send()
            assert response.status == 200
            return len(await response.bytes())

        yield {"": get, "json": post_json, "bytes": post_bytes}[load.post]


@asynccontextmanager
async def wreq(load: Load) -> AsyncIterator[Send]:
    """wreq: a fork of reqwest."""
    import wreq

    more: dict[str, Any] = {"tls_verify": Path(load.ca)} if load.tls else {}
    client = wreq.Client(**more)

    async def get() -> int:
        response = await client.get(load.url)
        assert response.status.as_int() == 200
        return len(await response.bytes())

    yield get


@asynccontextmanager
async def niquests(load: Load) -> AsyncIterator[Send]:
    """niquests: requests' API, awaited."""
    import niquests

    async with niquests.AsyncSession(pool_maxsize=load.concurrency) as session:
        session.verify = load.ca if load.tls else True

        async def get() -> int:
            response = await session.get(load.url)
            assert response.status_code == 200
            return len(response.content)

        yield get


@asynccontextmanager
async def curl_cffi(load: Load) -> AsyncIterator[Send]:
    """curl_cffi: libcurl."""
    from curl_cffi.requests import AsyncSession

    async with AsyncSession(verify=load.ca if load.tls else True, max_clients=load.concurrency) as session:

        async def get() -> int:
            response = await session.get(load.url)
            assert response.status_code == 200
            return len(response.content)

        yield get


# --- blocking ---


@contextmanager
def crawler_blocking(load: Load) -> Iterator[SendNow]:
    """Ours."""
    import crawler

    with crawler.Client(verify=context(load)) as client:

        def get() -> int:
            response = client.get(load.url)
            assert response.status_code == 200
            return len(response.content)

        def download() -> int:
            size = 0
            with nowhere() as sink, client.stream("GET", load.url) as response:
                for chunk in response.iter_bytes():
                    size += sink.write(chunk)
            return size

        yield download if load.path == "/1g.bin" else get


@contextmanager
def requests(load: Load) -> Iterator[SendNow]:
    """requests."""
    import requests

    with requests.Session() as session:

        def get() -> int:
            response = session.get(load.url)
            assert response.status_code == 200
            return len(response.content)

        yield get


@contextmanager
def httpx_blocking(load: Load) -> Iterator[SendNow]:
    """HTTPX."""
    import httpx

    with httpx.Client() as client:

        def get() -> int:
            response = client.get(load.url)
            assert response.status_code == 200
            return len(response.content)

        yield get


@contextmanager
def httpx2_blocking(load: Load) -> Iterator[SendNow]:
    """HTTPX 2."""
    import httpx2

    with httpx2.Client() as client:

        def get() -> int:
            response = client.get(load.url)
            assert response.status_code == 200
            return len(response.content)

        yield get


@contextmanager
def niquests_blocking(load: Load) -> Iterator[SendNow]:
    """niquests."""
    import niquests

    with niquests.Session() as session:

        def get() -> int:
            response = session.get(load.url)
            assert response.status_code == 200
            return len(response.content or b"")

        yield get


@contextmanager
def pyreqwest_blocking(load: Load) -> Iterator[SendNow]:
    """pyreqwest."""
    from pyreqwest.client import SyncClientBuilder

    with SyncClientBuilder().build() as client:

        def get() -> int:
            response = client.get(load.url).build().send()
            assert response.status == 200
            return len(response.bytes())

        yield get


@contextmanager
def curl_cffi_blocking(load: Load) -> Iterator[SendNow]:
    """curl_cffi."""
    from curl_cffi.requests import Session

    with Session() as session:

        def get() -> int:
            response = session.get(load.url)
            assert response.status_code == 200
            return len(response.content)

        yield get


def _encoded_payload() -> bytes:
    import json

    return json.dumps(PAYLOAD, separators=(",", ":")).encode()


BYTES: Final = _encoded_payload()

AWAITED: Final[dict[str, Callable[[Load], AbstractAsyncContextManager[Send]]]] = {
    "crawler": crawler,
    "wreq": wreq,
    "pyreqwest": pyreqwest,
    "aiohttp": aiohttp,
    "curl_cffi": curl_cffi,
    "niquests": niquests,
    "httpx2": httpx2,
    "httpx": httpx,
}
BLOCKING: Final[dict[str, Callable[[Load], AbstractContextManager[SendNow]]]] = {
    "crawler": crawler_blocking,
    "pyreqwest": pyreqwest_blocking,
    "curl_cffi": curl_cffi_blocking,
    "niquests": niquests_blocking,
    "httpx2": httpx2_blocking,
    "httpx": httpx_blocking,
    "requests": requests,
}
