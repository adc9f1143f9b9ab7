"""How a transport reaches servers: everything about connections that is fixed when a transport is made."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crawler.models import Origin, Proxy
from crawler.net import tls

if TYPE_CHECKING:
    SocketOption = tuple[int, int, int] | tuple[int, int, bytes | bytearray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The options of one transport.

    Attributes:
        verify, cert, trust_env: See `crawler.net.tls.create_ssl_context`.
        http1, http2: Protocols that may be spoken.
        proxy: Where all connections go first.
        uds: Path of a UNIX socket that all connections go to instead of the network.
        local_address: Address of this machine that connections start from.
        socket_options: Arguments for `setsockopt` on each new socket.
        retries: Further attempts when a connection cannot be opened.
        guard: Asked for each address before anything is sent to it; False refuses it.
    """

    verify: ssl.SSLContext | str | bool = True
    cert: Any = None
    trust_env: bool = True
    http1: bool = True
    http2: bool = False
    proxy: Proxy | None = None
    uds: str | None = None
    local_address: str | None = None
    socket_options: Iterable[SocketOption] | None = None
    retries: int = 0
    guard: Callable[[str], bool] | None = None

    @property
    def forwards(self) -> bool:
        """Whether requests for http URLs are handed to a proxy in absolute form (RFC 9112 §3.2.2)."""
        return self.proxy is not None and self.proxy.url.scheme in ("http", "https")

    @property
    def alpn(self) -> tuple[str, ...]:
        """What TLS offers, best first (RFC 7301)."""
        return ("h2",) * self.http2 + ("http/1.1",) * self.http1

    def key(self, origin: Origin) -> Origin:
        """Whom a connection for `origin` belongs to: all http origins share those to a forwarding proxy."""
        if self.forwards and origin.scheme == "http" and self.proxy is not None:
            return self.proxy.url.origin
        return origin

    def may_be_http2(self, key: Origin) -> bool:
        """Whether a connection for `key` may turn out to speak HTTP/2: by ALPN, or because nothing else is allowed."""
        return self.http2 and (key.scheme == "https" or not self.http1)

    def ssl_context(self) -> ssl.SSLContext:
        """The context for connections to servers; shared between transports of the same options."""
        return tls.context_for(self.verify, self.cert, self.trust_env, self.alpn)

    def proxy_ssl_context(self) -> ssl.SSLContext:
        """The context for the connection to an https proxy, which speaks HTTP/1.1."""
        own = None if self.proxy is None else self.proxy.ssl_context
        return tls.context_for(True if own is None else own, None, self.trust_env, ("http/1.1",))
