"""The one script that opens a connection: TCP, then the proxy's tunnel, then TLS, whatever the world.

                 direct            http via http proxy     https, ws via http proxy    via SOCKS5
    TCP          to the server     to the proxy            to the proxy                to the proxy
    TLS          –                 if an https proxy       if an https proxy           –
    tunnel       –                 –                       CONNECT                     SOCKS5
    TLS          if https, wss     –                       if https, wss               if https, wss

It awaits only the network's streams, so it is the same under asyncio, trio and without async.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable
from time import monotonic
from typing import Protocol

from crawler.errors import ConnectError, ConnectTimeout, TimeoutException, TotalTimeout
from crawler.models import Origin, Request
from crawler.net import proxy as tunnels
from crawler.net.deadlines import ConnectClock, Phase, timed_out
from crawler.net.proxy import ProxyTimeout
from crawler.net.route import Route
from crawler.net.stream import Stream
from crawler.net.timing import ConnectTiming
from crawler.net.tls_info import TLSInfo
from crawler.net.trace import Trace

MAX_RETRY_WAIT_S = 60.0
MAX_OFFERS = 10  # see `Opening.run`


class Dialer(Protocol):
    """What a world offers for opening connections; deadlines are monotonic seconds, None for no limit."""

    def open_tcp(
        self, host: str, port: int, clock: ConnectClock, route: Route, timing: ConnectTiming
    ) -> Awaitable[Stream]:
        """Resolve `host` and connect to the first of its addresses that answers (RFC 8305)."""
        ...

    def open_unix(self, path: str, deadline: float | None, route: Route) -> Awaitable[Stream]:
        """Connect to a UNIX socket."""
        ...

    def sleep(self, seconds: float) -> Awaitable[None]:
        """Wait."""
        ...


class Opening:
    """The steps that open one connection, and what they have led to so far.

    Attributes:
        stream: Ready for HTTP at the end.
        protocol: "h2" or "http/1.1", as ALPN decided; prior knowledge on plain connections.
        timing: What the steps took.
        tls: What the handshake with the server led to, if there was one.
    """

    __slots__ = ("clock", "dialer", "origin", "protocol", "route", "stream", "timing", "tls", "trace")

    def __init__(self, dialer: Dialer, route: Route, origin: Origin, request: Request) -> None:
        self.dialer = dialer
        self.route = route
        self.origin = origin
        self.clock = ConnectClock(request)
        self.trace = Trace(request)
        self.timing = ConnectTiming()
        self.protocol: str
        self.tls: TLSInfo | None = None
        self.stream: Stream | None = None

    async def run(self, sni: str | None) -> Opening:
        """Do all steps; the half-open connection is dropped if one fails or is cancelled.

        Which protocols TLS offers is set on the context. Where that is the user's, WebSockets and HTTP/2 share it, and
        connections that begin at the same time may find the other's offer: then all is done once more.
        """
        for _ in range(MAX_OFFERS):
            if await self._attempt(sni):
                return self
        raise ConnectError(f"{self.origin} chose {self.protocol!r}, which was not offered.", kind="tls_protocol")

    async def _attempt(self, sni: str | None) -> bool:
        self.protocol = "http/1.1" if self.route.speaks_http1(self.origin) else "h2"
        try:
            await self._reach_server()
            if self.origin.scheme not in ("https", "wss"):
                return True
            context = self.route.ssl_context(self.origin)
            await self._start_tls(context, sni or self.origin.host, negotiate=True)
            if self.protocol in self.route.alpn(self.origin):
                return True
        except BaseException:
            if self.stream is not None:
                self.stream.abort()
            raise
        assert self.stream is not None
        self.stream.abort()
        return False

    async def _reach_server(self) -> None:
        proxy = self.route.proxy
        if self.route.uds is not None:
            await self._open_unix(self.route.uds)
        elif proxy is None:
            await self._open_tcp(self.origin)
        elif self.route.forwards:
            await self._open_tcp(proxy.url.origin)
            if proxy.url.scheme == "https":
                await self._start_tls(self.route.proxy_ssl_context(), proxy.url.origin.host, negotiate=False)
            if self.origin.scheme != "http":
                await self._tunnel()
        else:
            await self._open_tcp(proxy.url.origin)
            await self._socks()

    async def _open_tcp(self, to: Origin) -> None:
        async with self.trace.step("connection.connect_tcp", host=to.host, port=to.port) as step:
            step.value = self.stream = await self.dialer.open_tcp(to.host, to.port, self.clock, self.route, self.timing)

    async def _open_unix(self, path: str) -> None:
        started = monotonic()
        async with self.trace.step("connection.connect_unix_socket", path=path) as step:
            step.value = self.stream = await self.dialer.open_unix(path, self.clock.deadline, self.route)
        self.timing.connect = monotonic() - started

    async def _start_tls(self, context: ssl.SSLContext, hostname: str, *, negotiate: bool) -> None:
        assert self.stream is not None
        started = monotonic()
        async with self.trace.step("connection.start_tls", server_hostname=hostname) as step:
            deadline = self.clock.begin("tls")
            try:
                step.value = self.stream = await self.stream.start_tls(context, hostname, deadline)
            except ConnectTimeout as exc:
                exc.kind = "timeout_tls"
                raise
        took = monotonic() - started
        self.timing.tls += took
        self.clock.end("tls", took)
        if negotiate:
            self.tls = TLSInfo(self.stream.get_extra_info("ssl_object"))
            chosen = self.tls.alpn
            # No ALPN answer means HTTP/1.1, unless we would speak nothing but HTTP/2 (RFC 9113 §3.3).
            self.protocol = chosen or self.protocol

    def too_late(self, exc: TimeoutException, request: Request) -> TimeoutException:
        """Say which limit `exc` was about, and of which request."""
        phase: Phase = "connect"
        if exc.kind == "dns_timeout" and self.clock.has("dns"):
            phase = "dns"
        elif exc.kind == "timeout_tls" and self.clock.has("tls"):
            phase = "tls"
        error = timed_out(request, phase, f"connecting to {self.origin}")
        error.__cause__ = exc
        if isinstance(error, ConnectTimeout):
            error.kind = exc.kind  # also without a limit of its own
        return error

    async def _tunnel(self) -> None:
        assert self.stream is not None
        assert self.route.proxy is not None
        started = monotonic()
        headers = proxy_headers(self.route)
        await tunnels.open_tunnel(self.stream, self.origin.host, self.origin.port, headers, self.clock.deadline)
        self.timing.connect += monotonic() - started

    async def _socks(self) -> None:
        assert self.stream is not None
        assert self.route.proxy is not None
        started = monotonic()
        auth = self.route.proxy.raw_auth
        await tunnels.socks5_connect(self.stream, self.origin.host, self.origin.port, auth, self.clock.deadline)
        self.timing.connect += monotonic() - started


def proxy_headers(route: Route) -> list[tuple[bytes, bytes]]:
    """The header fields meant for the proxy itself, its credentials among them."""
    proxy = route.proxy
    if proxy is None:
        return []
    headers = list(proxy.headers.raw)
    if proxy.raw_auth is not None:
        import base64

        token = base64.b64encode(b":".join(proxy.raw_auth))
        headers.append((b"Proxy-Authorization", b"Basic " + token))
    return headers


async def open_connection(dialer: Dialer, route: Route, origin: Origin, request: Request) -> Opening:
    """Open a connection for requests to `origin`.

    When that fails, `route.retries` further attempts are made, after 0, 0.5, 1, 2, 4 … seconds.

    Raises:
        ConnectError, ConnectTimeout, ProxyError: It could not be opened.
    """
    attempt = 0
    while True:
        opening = Opening(dialer, route, origin, request)
        try:
            return await opening.run(request.extensions.get("sni_hostname"))
        except ProxyTimeout as exc:
            late = timed_out(request, "connect", f"connecting to {origin} through a proxy")
            raise (late if isinstance(late, TotalTimeout) else exc) from exc.__cause__
        except TimeoutException as exc:
            error: ConnectError | TimeoutException = opening.too_late(exc, request)
        except ConnectError as exc:
            error = exc
        attempt += 1
        if attempt > route.retries or not isinstance(error, (ConnectError, ConnectTimeout)):
            raise error
        delay = min(0.5 * 2 ** (attempt - 2), MAX_RETRY_WAIT_S) if attempt > 1 else 0.0
        async with opening.trace.step("connection.retry", attempt=attempt, delay=delay):
            await dialer.sleep(delay)
