"""The clients that an arm can use, each as its users would write it, behind one small interface.

    async with open_async(arm, plan) as sender:        with open_blocking(arm, plan) as sender:
        status, size, answer = await sender.send(url)      status, size, answer = sender.send(url)

Each sends the plan's request with its library's defaults, except for what makes arms comparable: one HTTP version, no
redirects, no proxies from the environment, as many connections as there are users. Libraries are imported when an arm
asks for them, so that its process holds no other's memory.
"""

from __future__ import annotations

import importlib
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from crawler.bench.errors import BenchError
from crawler.bench.plan import Arm, BenchPlan

if TYPE_CHECKING:
    from crawler.net.timing import Timing

S = TypeVar("S")

Answer = tuple[int, int, Any]
"""Status, length of the body, and the library's own response."""

_EXTRA: Final = "pip install 'crawler[peers]'"
_APART: Final = {"niquests": "pip install niquests, in an environment of its own: it replaces urllib3"}


def _no_timing(response: Any) -> None:
    """Most libraries do not tell where the time went."""


@dataclass(frozen=True, slots=True)
class Sender(Generic[S]):
    """A client that is ready.

    Attributes:
        send: Sends the request of the plan to a URL and reads the whole body.
        version: Tells the HTTP version of a response, `"1.1"` or `"2"`.
        timing: Tells the phases of a response, where the library knows them.
    """

    send: S
    version: Callable[[Any], str]
    timing: Callable[[Any], Timing | None] = _no_timing


Sending = Callable[[str], Awaitable[Answer]]
SendingNow = Callable[[str], Answer]
AsyncSender = Sender[Sending]
BlockingSender = Sender[SendingNow]


def load(name: str) -> Any:
    """Import a client library; our own in the place of the bare package that a worker begins with.

    Raises:
        BenchError: It is not installed; the message says how to.
    """
    if name == "crawler" and not hasattr(sys.modules.get("crawler"), "Client"):
        sys.modules.pop("crawler", None)
    try:
        return importlib.import_module({"pyreqwest": "pyreqwest.client"}.get(name, name))
    except ImportError as error:
        raise BenchError(f"An arm uses {name}, which is not installed: {_APART.get(name, _EXTRA)}") from error


def open_async(arm: Arm, plan: BenchPlan) -> AbstractAsyncContextManager[AsyncSender]:
    """Open a client for the event loop; closes when the block ends.

    Raises:
        BenchError: Its library is not installed.
    """
    return _ASYNC[arm.client](arm, plan)


def open_blocking(arm: Arm, plan: BenchPlan) -> AbstractContextManager[BlockingSender]:
    """Open a client for threads; closes when the block ends.

    Raises:
        BenchError: Its library is not installed.
    """
    return _BLOCKING[arm.client](arm, plan)


def trust(plan: BenchPlan) -> ssl.SSLContext | bool:
    """What to check certificates against, for libraries that take a context."""
    tls = plan.tls
    return ssl.create_default_context(cafile=tls.ca_file) if tls.verify and tls.ca_file else tls.verify


def _trust_path(plan: BenchPlan) -> str | bool:
    tls = plan.tls
    return tls.ca_file if tls.verify and tls.ca_file else tls.verify


def _is_plain(arm: Arm, plan: BenchPlan) -> bool:
    return any(url.startswith("http:") for url in plan.urls_of(arm))


def like_httpx(arm: Arm, plan: BenchPlan, library: Any) -> dict[str, Any]:
    """Options for the clients of HTTPX's API.

    On plain connections HTTP/2 is spoken without being asked for (prior knowledge), which takes `http1=False`.
    """
    is_h2 = arm.http_version == "2"
    return {
        "http1": not (is_h2 and _is_plain(arm, plan)),
        "http2": is_h2,
        "verify": trust(plan),
        "headers": list(plan.request.headers),
        "timeout": plan.request.timeout,
        "limits": library.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=60),
        "trust_env": False,
    }


def version_of(response: Any) -> str:
    """The HTTP version of a response of HTTPX's API."""
    return {"HTTP/1.0": "1.0", "HTTP/1.1": "1.1", "HTTP/2": "2"}.get(response.http_version, "?")


def timing_of(response: Any) -> Timing | None:
    """The phases of a response of ours."""
    timing: Timing | None = response.extensions.get("crawler.timing")
    return timing


@asynccontextmanager
async def _httpx_async(arm: Arm, plan: BenchPlan) -> AsyncIterator[AsyncSender]:
    library = load(arm.client)
    method, body = plan.request.method, plan.request.body
    async with library.AsyncClient(**like_httpx(arm, plan, library)) as client:
        if method == "GET" and body is None:
            get = client.get

            async def send(url: str) -> Answer:
                response = await get(url)
                return response.status_code, len(response.content), response
        else:

            async def send(url: str) -> Answer:
                response = await client.request(method, url, content=body)
                return response.status_code, len(response.content), response

        yield Sender(send, version_of, timing_of if arm.client == "crawler" else _no_timing)


@contextmanager
def _httpx_blocking(arm: Arm, plan: BenchPlan) -> Iterator[BlockingSender]:
    library = load(arm.client)
    method, body = plan.request.method, plan.request.body
    with library.Client(**like_httpx(arm, plan, library)) as client:

        def send(url: str) -> Answer:
            response = client.request(method, url, content=body)
            return response.status_code, len(response.content), response

        yield Sender(send, version_of, timing_of if arm.client == "crawler" else _no_timing)


@asynccontextmanager
async def _aiohttp(arm: Arm, plan: BenchPlan) -> AsyncIterator[AsyncSender]:
    library = load("aiohttp")
    spec = plan.request
    async with library.ClientSession(
        connector=library.TCPConnector(ssl=trust(plan), limit=0),
        headers=list(spec.headers),
        timeout=library.ClientTimeout(total=spec.timeout),
        cookie_jar=library.DummyCookieJar(),
    ) as session:

        async def send(url: str) -> Answer:
            async with session.request(spec.method, url, data=spec.body, allow_redirects=False) as response:
                return response.status, len(await response.read()), response

        yield Sender(send, lambda response: f"{response.version.major}.{response.version.minor}")


@contextmanager
def _requests(arm: Arm, plan: BenchPlan) -> Iterator[BlockingSender]:
    library = load("requests")
    spec, verify = plan.request, _trust_path(plan)
    with library.Session() as session:
        session.trust_env = False
        session.headers.update(dict(spec.headers))
        for scheme in ("http://", "https://"):
            session.mount(scheme, library.adapters.HTTPAdapter(pool_maxsize=max(10, arm.vus, plan.executor.max_vus)))

        def send(url: str) -> Answer:
            response = session.request(
                spec.method, url, data=spec.body, timeout=spec.timeout, allow_redirects=False, verify=verify
            )
            return response.status_code, len(response.content), response

        yield Sender(send, lambda response: {10: "1.0", 11: "1.1", 20: "2"}.get(response.raw.version, "?"))


def _niquests_options(arm: Arm, plan: BenchPlan) -> dict[str, Any]:
    return {
        "pool_maxsize": max(10, arm.vus),
        "disable_http1": arm.http_version == "2",
        "disable_http2": arm.http_version != "2",
        "disable_http3": True,
        "headers": dict(plan.request.headers),
    }


def _niquests_version(response: Any) -> str:
    return {10: "1.0", 11: "1.1", 20: "2", 30: "3"}.get(response.http_version, "?")


@asynccontextmanager
async def _niquests_async(arm: Arm, plan: BenchPlan) -> AsyncIterator[AsyncSender]:
    library = load("niquests")
    spec, verify = plan.request, _trust_path(plan)
    async with library.AsyncSession(**_niquests_options(arm, plan)) as session:
        session.trust_env = False

        async def send(url: str) -> Answer:
            response = await session.request(
                spec.method, url, data=spec.body, timeout=spec.timeout, allow_redirects=False, verify=verify
            )
            return response.status_code, len(response.content or b""), response

        yield Sender(send, _niquests_version)


@contextmanager
def _niquests_blocking(arm: Arm, plan: BenchPlan) -> Iterator[BlockingSender]:
    library = load("niquests")
    spec, verify = plan.request, _trust_path(plan)
    with library.Session(**_niquests_options(arm, plan)) as session:
        session.trust_env = False

        def send(url: str) -> Answer:
            response = session.request(
                spec.method, url, data=spec.body, timeout=spec.timeout, allow_redirects=False, verify=verify
            )
            return response.status_code, len(response.content or b""), response

        yield Sender(send, _niquests_version)


def _pyreqwest_builder(builder: Any, arm: Arm, plan: BenchPlan) -> Any:
    from datetime import timedelta
    from pathlib import Path

    builder = builder.no_proxy().follow_redirects(False).timeout(timedelta(seconds=plan.request.timeout))
    if not plan.tls.verify:
        builder = builder.danger_accept_invalid_certs(True)
    elif plan.tls.ca_file:
        builder = builder.add_root_certificate_pem(Path(plan.tls.ca_file).read_bytes())
    if arm.http_version == "1.1":
        return builder.http1_only()
    return builder.http2_prior_knowledge() if _is_plain(arm, plan) else builder.http2(True)


def _pyreqwest_version(response: Any) -> str:
    return {"HTTP/1.0": "1.0", "HTTP/1.1": "1.1", "HTTP/2.0": "2"}.get(response.version, "?")


@asynccontextmanager
async def _pyreqwest_async(arm: Arm, plan: BenchPlan) -> AsyncIterator[AsyncSender]:
    library, spec = load("pyreqwest"), plan.request
    headers = list(spec.headers)
    async with _pyreqwest_builder(library.ClientBuilder(), arm, plan).build() as client:

        async def send(url: str) -> Answer:
            request = client.request(spec.method, url)
            if headers:
                request = request.headers(headers)
            if spec.body is not None:
                request = request.body_bytes(spec.body)
            response = await request.build().send()
            return response.status, len(await response.bytes()), response

        yield Sender(send, _pyreqwest_version)


@contextmanager
def _pyreqwest_blocking(arm: Arm, plan: BenchPlan) -> Iterator[BlockingSender]:
    library, spec = load("pyreqwest"), plan.request
    headers = list(spec.headers)
    with _pyreqwest_builder(library.SyncClientBuilder(), arm, plan).build() as client:

        def send(url: str) -> Answer:
            request = client.request(spec.method, url)
            if headers:
                request = request.headers(headers)
            if spec.body is not None:
                request = request.body_bytes(spec.body)
            response = request.build().send()
            return response.status, len(response.bytes()), response

        yield Sender(send, _pyreqwest_version)


def _curl_options(arm: Arm, plan: BenchPlan) -> dict[str, Any]:
    spec = plan.request
    h2 = "v2_prior_knowledge" if _is_plain(arm, plan) else "v2tls"
    return {
        "headers": list(spec.headers) or None,
        "timeout": spec.timeout,
        "verify": _trust_path(plan),
        "allow_redirects": False,
        "trust_env": False,
        "http_version": h2 if arm.http_version == "2" else "v1",
    }


def _curl_version(response: Any) -> str:
    return {1: "1.0", 2: "1.1", 3: "2"}.get(int(response.http_version), "?")


@asynccontextmanager
async def _curl_async(arm: Arm, plan: BenchPlan) -> AsyncIterator[AsyncSender]:
    load("curl_cffi")
    from curl_cffi.requests import AsyncSession

    spec = plan.request
    clients = max(10, plan.executor.max_vus if plan.executor.is_open else arm.vus)
    async with AsyncSession(max_clients=clients, **_curl_options(arm, plan)) as session:

        async def send(url: str) -> Answer:
            response = await session.request(spec.method, url, data=spec.body)
            return response.status_code, len(response.content), response

        yield Sender(send, _curl_version)


@contextmanager
def _curl_blocking(arm: Arm, plan: BenchPlan) -> Iterator[BlockingSender]:
    load("curl_cffi")
    from curl_cffi.requests import Session

    spec = plan.request
    with Session(**_curl_options(arm, plan)) as session:

        def send(url: str) -> Answer:
            response = session.request(spec.method, url, data=spec.body)
            return response.status_code, len(response.content), response

        yield Sender(send, _curl_version)


_ASYNC: Final[dict[str, Callable[[Arm, BenchPlan], AbstractAsyncContextManager[AsyncSender]]]] = {
    "crawler": _httpx_async,
    "httpx": _httpx_async,
    "httpx2": _httpx_async,
    "aiohttp": _aiohttp,
    "pyreqwest": _pyreqwest_async,
    "niquests": _niquests_async,
    "curl_cffi": _curl_async,
}
_BLOCKING: Final[dict[str, Callable[[Arm, BenchPlan], AbstractContextManager[BlockingSender]]]] = {
    "crawler": _httpx_blocking,
    "httpx": _httpx_blocking,
    "httpx2": _httpx_blocking,
    "requests": _requests,
    "pyreqwest": _pyreqwest_blocking,
    "niquests": _niquests_blocking,
    "curl_cffi": _curl_blocking,
}
