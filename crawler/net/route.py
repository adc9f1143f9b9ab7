"""How a transport reaches servers: everything about connections that is fixed when a transport is made."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from crawler.models import Origin, Proxy, Request
from crawler.net import tls
from crawler.net.lookup import MAX_THREADS, Lookups, lookups_for
from crawler.net.resolve import AddressCache
from crawler.net.resolver import Resolver
from crawler.wire.http2_api import LIMITS, Http2Limits

if TYPE_CHECKING:
    SocketOption = tuple[int, int, int] | tuple[int, int, bytes | bytearray]

MIN_WINDOW: Final = 16_384  # a frame
MAX_WINDOW: Final = 2**31 - 1  # RFC 9113 §6.9.1

WEBSOCKET: Final = "crawler.websocket"
"""The extension of a request, of any value, that asks for a WebSocket: see `origin_of`."""


def origin_of(request: Request) -> Origin:
    """Whom a request's connection is for.

    One that asks for a WebSocket counts as ws or wss. So its connection speaks HTTP/1.1, as there is no leaving HTTP/2
    (RFC 9113 §8.6), and a proxy makes a tunnel for it, also to a server without TLS (RFC 6455 §4.1).
    """
    if WEBSOCKET not in request.extensions:
        return request.url.origin
    return request.url.copy_with(scheme="wss" if request.url.scheme == "https" else "ws").origin


@dataclass(frozen=True, slots=True)
class Names:
    """How names become addresses.

    Attributes:
        ttl_s: How long addresses are believed, in seconds. The system's resolver tells no time to live: by default 10.
            Name servers do, and this is the most that counts: by default an hour.
        negative_ttl_s: How long it is believed that a name does not exist; by default 5, of name servers at most 30.
        family: Addresses that count; `auto` tries both, by RFC 8305.
        servers: Name servers to ask instead of the system's resolver: IP addresses, with a port or without. Needs the
            extra `dns`. The file of hosts and search domains do not count then.
        concurrency: Names that are asked for at once.
    """

    ttl_s: float | None = None
    negative_ttl_s: float | None = None
    family: Literal["auto", "ipv4", "ipv6"] = "auto"
    servers: tuple[str, ...] = ()
    concurrency: int = MAX_THREADS

    @property
    def wanted_family(self) -> int:
        """The one family of addresses that counts; 0 for both."""
        return int({"auto": 0, "ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}[self.family])

    def new_cache(self) -> AddressCache:
        """An empty cache of addresses."""
        ttl_s, negative_ttl_s = (3600.0, 30.0) if self.servers else (10.0, 5.0)
        if self.ttl_s is not None:
            ttl_s = self.ttl_s
        if self.negative_ttl_s is not None:
            negative_ttl_s = self.negative_ttl_s
        return AddressCache(ttl_s, negative_ttl_s, only=self.wanted_family)


@dataclass(frozen=True, slots=True)
class Streams:
    """How much an HTTP/2 connection carries.

    Attributes:
        per_connection: Most requests at once on one connection, if its server allows as many; when all its connections
            are full, another is opened.
        window: Body bytes of one response that may lie unread before the server is held up. Less saves memory where
            many responses are read slowly; more is faster where a large body comes from far away: a window is what can
            come in one round trip.

    Raises:
        ValueError: Out of range.
    """

    per_connection: int = LIMITS.streams
    window: int = LIMITS.stream_window_bytes

    def __post_init__(self) -> None:
        if self.per_connection < 1:
            raise ValueError(f"per_connection must be at least 1, not {self.per_connection}")
        if not MIN_WINDOW <= self.window <= MAX_WINDOW:
            raise ValueError(f"window must be between {MIN_WINDOW} and {MAX_WINDOW} bytes, not {self.window}")

    @property
    def limits(self) -> Http2Limits:
        """The limits of a new connection; its own window, which opens as bytes come, is never less than a stream's."""
        return replace(
            LIMITS,
            stream_window_bytes=self.window,
            connection_window_bytes=max(LIMITS.connection_window_bytes, self.window),
            streams=self.per_connection,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The options of one transport.

    Attributes:
        verify: See `crawler.net.tls.create_ssl_context`.
        trust_env: Whether the environment's certificates count.
        http1, http2: Protocols that may be spoken.
        proxy: Where all connections go first.
        uds: Path of a UNIX socket that all connections go to instead of the network.
        local_address: Address of this machine that connections start from.
        socket_options: Arguments for `setsockopt` on each new socket.
        retries: Further attempts when a connection cannot be opened.
        guard: Asked for each address before anything is sent to it; False refuses it.
        names: How long the answers of the resolver are believed, and which of them count.
        resolver: Asked for addresses instead.
        streams: How much an HTTP/2 connection carries.
    """

    verify: ssl.SSLContext | bool = True
    trust_env: bool = True
    http1: bool = True
    http2: bool = False
    proxy: Proxy | None = None
    uds: str | None = None
    local_address: str | None = None
    socket_options: Iterable[SocketOption] | None = None
    retries: int = 0
    guard: Callable[[str], bool] | None = None
    names: Names = Names()
    resolver: Resolver | None = None
    streams: Streams = Streams()

    def new_cache(self) -> AddressCache:
        """An empty cache of addresses."""
        return self.names.new_cache()

    @property
    def lookups(self) -> Lookups:
        """Who looks names up."""
        return lookups_for(self.names)

    @property
    def forwards(self) -> bool:
        """Whether requests for http URLs are handed to a proxy in absolute form (RFC 9112 §3.2.2)."""
        return self.proxy is not None and self.proxy.url.scheme in ("http", "https")

    def speaks_http1(self, origin: Origin) -> bool:
        """Whether HTTP/1.1 may be spoken; a WebSocket begins with nothing else."""
        return self.http1 or origin.scheme in ("ws", "wss")

    def alpn(self, origin: Origin) -> tuple[str, ...]:
        """What TLS offers, best first (RFC 7301)."""
        http2 = self.http2 and origin.scheme == "https"
        return ("h2",) * http2 + ("http/1.1",) * self.speaks_http1(origin)

    def key(self, origin: Origin) -> Origin:
        """Whom a connection for `origin` belongs to: all http origins share those to a forwarding proxy."""
        if self.forwards and origin.scheme == "http" and self.proxy is not None:
            return self.proxy.url.origin
        return origin

    def may_be_http2(self, key: Origin) -> bool:
        """Whether a connection for `key` may turn out to speak HTTP/2: by ALPN, or because nothing else is allowed."""
        return self.http2 and (key.scheme == "https" or not self.speaks_http1(key))

    def ssl_context(self, origin: Origin) -> ssl.SSLContext:
        """The context for a connection to a server; shared between transports of the same options."""
        return tls.context_for(self.verify, None, self.trust_env, self.alpn(origin))

    def proxy_ssl_context(self) -> ssl.SSLContext:
        """The context for the connection to an https proxy, which speaks HTTP/1.1.

        One of the user's own is taken as it is: without ALPN that is what a proxy speaks, and it may be the very
        context that connections to servers offer HTTP/2 with.
        """
        own = None if self.proxy is None else self.proxy.ssl_context
        return tls.context_for(True, None, self.trust_env, ("http/1.1",)) if own is None else own
