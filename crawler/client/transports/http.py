"""The transports that go over the network: a pool of connections each, with HTTPX's options."""

from __future__ import annotations

import ssl
from collections.abc import Coroutine, Iterable
from typing import TYPE_CHECKING, Any

from crawler.client.transports.base import AsyncBaseTransport, BaseTransport
from crawler.models import DEFAULT_LIMITS, Limits, Proxy, Request, Response
from crawler.net import (
    AsyncNetworks,
    BlockingNetwork,
    Names,
    Route,
    Streams,
    create_ssl_context,
    exchange,
    run_blocking,
)

if TYPE_CHECKING:
    from crawler.models.types import CertTypes, ProxyTypes
    from crawler.net.resolve import AddressGuard
    from crawler.net.resolver import Resolver
    from crawler.net.route import SocketOption


def make_proxy(proxy: ProxyTypes | None) -> Proxy | None:
    """A `Proxy` from whatever a user may pass for one."""
    return Proxy(proxy) if proxy is not None and not isinstance(proxy, Proxy) else proxy


def make_verify(verify: ssl.SSLContext | str | bool, cert: CertTypes | None, trust_env: bool) -> ssl.SSLContext | bool:
    """What `verify` and the deprecated `cert` mean: a file is read once, here; the usual roots when they are needed."""
    if isinstance(verify, (bool, ssl.SSLContext)) and not cert:
        return verify
    return create_ssl_context(verify, cert, trust_env)


class NetworkTransport:
    """What both transports are made from."""

    def __init__(
        self,
        verify: ssl.SSLContext | str | bool = True,
        cert: CertTypes | None = None,
        trust_env: bool = True,
        http1: bool = True,
        http2: bool = False,
        limits: Limits = DEFAULT_LIMITS,
        proxy: ProxyTypes | None = None,
        uds: str | None = None,
        local_address: str | None = None,
        retries: int = 0,
        socket_options: Iterable[SocketOption] | None = None,
        *,
        address_guard: AddressGuard = None,
        names: Names | None = None,
        streams: Streams | None = None,
        resolver: Resolver | None = None,
    ) -> None:
        self._route = Route(
            verify=make_verify(verify, cert, trust_env),
            trust_env=trust_env,
            http1=http1,
            http2=http2,
            proxy=make_proxy(proxy),
            uds=uds,
            local_address=local_address,
            retries=retries,
            socket_options=socket_options,
            guard=address_guard,
            names=names or Names(),
            streams=streams or Streams(),
            resolver=resolver,
        )
        _ = self._route.lookups  # says at once if name servers cannot be asked
        self._open(limits)

    def _open(self, limits: Limits) -> None:
        raise NotImplementedError  # each of the two transports has its own network


class HTTPTransport(NetworkTransport, BaseTransport):
    """Sends requests by blocking; may be shared between threads.

    Args:
        verify: True, False, or an `ssl.SSLContext`.
        cert: Deprecated; a client certificate.
        trust_env: Whether SSL_CERT_FILE, SSL_CERT_DIR and SSLKEYLOGFILE count.
        http1, http2: Protocols that may be spoken.
        limits: How many connections.
        proxy: Where all connections go first.
        uds: Path of a UNIX socket that all connections go to.
        local_address: Address of this machine to start from.
        retries: Further attempts when a connection cannot be opened.
        socket_options: Arguments for `setsockopt` on each socket.
        address_guard: Asked for each IP address (text) before a connection to it is begun; False refuses it. Through a
            proxy it is the proxy's address that is asked about. Beyond HTTPX.
        names: How long look-ups are believed, and which addresses count. Beyond HTTPX.
        streams: How much an HTTP/2 connection carries. Beyond HTTPX.
        resolver: Gives the IP addresses (text) of a host name, the best first; the async transport takes a coroutine
            function, too. What it raises of `OSError` is a name that could not be looked up. Beyond HTTPX.
    """

    def _open(self, limits: Limits) -> None:
        self._network = BlockingNetwork(self._route, limits)

    def handle_request(self, request: Request) -> Response:
        """See `BaseTransport.handle_request`."""
        return run_blocking(self.exchange(request, whole=False))

    def exchange(self, request: Request, whole: bool) -> Coroutine[Any, Any, Response]:
        """The exchange as a coroutine that never suspends; for the client, whose own script awaits it."""
        return exchange(self._network.pool, self._route, request, whole)

    def close(self) -> None:
        """Close all connections."""
        self._network.close()


class AsyncHTTPTransport(NetworkTransport, AsyncBaseTransport):
    """Sends requests under asyncio or trio, whichever runs; arguments as for `HTTPTransport`."""

    def _open(self, limits: Limits) -> None:
        self._networks = AsyncNetworks(self._route, limits)

    async def handle_async_request(self, request: Request) -> Response:
        """See `AsyncBaseTransport.handle_async_request`."""
        return await self.exchange(request, whole=False)

    def exchange(self, request: Request, whole: bool) -> Coroutine[Any, Any, Response]:
        """The exchange as a coroutine; with `whole`, the response comes with its body read, in one wake-up."""
        return exchange(self._networks.pool(), self._route, request, whole)

    async def aclose(self) -> None:
        """Close all connections."""
        self._networks.close()
