"""The connections of a run, where it wants others than a client makes by itself: several proxies, an own address."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final

from crawler.client import AsyncBaseTransport, AsyncHTTPTransport

if TYPE_CHECKING:
    from crawler.fanout.plan import ClientOptions
    from crawler.models import Limits, Request, Response

MAX_HOSTS: Final = 10_000
"""Hosts whose turn is remembered; above that the host that came first begins anew."""


class RoundRobin(AsyncBaseTransport):
    """Sends the requests of each host through several transports in turn.

    So each proxy has its share of each host, and a request that failed by one proxy is tried by the next.

    Args:
        transports: Two or more.
    """

    def __init__(self, transports: list[AsyncHTTPTransport]) -> None:
        self._transports = transports
        self._turns: dict[str, int] = {}

    async def handle_async_request(self, request: Request) -> Response:
        """See `AsyncBaseTransport.handle_async_request`."""
        host = request.url.host
        turn = self._turns.get(host)
        if turn is None:
            turn = 0
            if len(self._turns) >= MAX_HOSTS:
                del self._turns[next(iter(self._turns))]
        self._turns[host] = (turn + 1) % len(self._transports)
        return await self._transports[turn].handle_async_request(request)

    async def aclose(self) -> None:
        """Close all connections."""
        for transport in self._transports:
            await transport.aclose()


def transport_of(options: ClientOptions, limits: Limits) -> AsyncBaseTransport | None:
    """The transport that the options ask for; `None` leaves it to the client, which then looks at the environment."""
    is_usual = options.local_address is None and options.names is None and options.streams is None
    if is_usual and len(options.proxies) < 2:
        return None
    proxies: tuple[str | None, ...] = options.proxies or (options.proxy,)
    transports = [_transport(options, limits, proxy) for proxy in proxies]
    return transports[0] if len(transports) == 1 else RoundRobin(transports)


def mounts_of(options: ClientOptions, limits: Limits) -> dict[str, AsyncBaseTransport | None]:
    """The transports to the environment's proxies, by URL pattern, for a client that has a transport of its own."""
    if options.proxy is not None or options.proxies or not options.trust_env or options.guard is not None:
        return {}
    if options.local_address is not None:
        return {}
    from crawler.client.environment import environment_proxies

    return {
        pattern: None if proxy is None else _transport(options, limits, proxy)
        for pattern, proxy in environment_proxies().items()
    }


def _transport(options: ClientOptions, limits: Limits, proxy: str | None) -> AsyncHTTPTransport:
    return AsyncHTTPTransport(
        verify=trust_of(options),
        trust_env=options.trust_env,
        http1=options.http1,
        http2=options.http2,
        limits=limits,
        proxy=proxy,
        local_address=options.local_address,
        address_guard=options.guard,
        names=options.names,
        streams=options.streams,
    )


def trust_of(options: ClientOptions) -> bool | ssl.SSLContext:
    """What certificates are trusted, and what is shown of one's own.

    Raises:
        OSError, ssl.SSLError: A certificate cannot be read.
    """
    is_plain = options.client_cert is None and options.min_tls is None
    if is_plain and (options.ca_file is None or not options.verify):
        return options.verify
    from crawler.net import create_ssl_context

    if options.ca_file is not None and options.verify:
        context = ssl.create_default_context(cafile=options.ca_file)
    else:
        context = create_ssl_context(options.verify, None, options.trust_env)
    if options.client_cert is not None:
        context.load_cert_chain(options.client_cert, options.client_key)
    if options.min_tls is not None:
        context.minimum_version = ssl.TLSVersion.TLSv1_3 if options.min_tls == "1.3" else ssl.TLSVersion.TLSv1_2
    return context
