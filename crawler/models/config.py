"""What a client is told once: `Timeout`, `Limits`, `Proxy`, `Retry`, and the marker for "not told".

Plain classes with slots, not dataclasses: importing `dataclasses` alone costs more than this whole room.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

from crawler.models.headers import SENSITIVE, Headers
from crawler.models.retry import Retry as Retry
from crawler.models.url import URL

if TYPE_CHECKING:
    from ssl import SSLContext

    from crawler.models.types import HeaderTypes, TimeoutTypes, URLTypes


class UseClientDefault:
    """The type of `USE_CLIENT_DEFAULT`."""

    def __repr__(self) -> str:
        return "USE_CLIENT_DEFAULT"


USE_CLIENT_DEFAULT: Final = UseClientDefault()
"""An argument that was not given: the client's own setting holds. (None would switch the thing off.)"""


class _Unset(Enum):
    UNSET = "UNSET"


_UNSET: Final = _Unset.UNSET


class Timeout:
    """Time limits in seconds; None is no limit.

        Timeout(5.0)                 5 s for each of the four
        Timeout(5.0, connect=10.0)   10 s to connect, 5 s for the others
        Timeout(None, pool=1.0)      1 s to get a connection from the pool, else no limit
        Timeout(5.0, total=30.0)     as the first, and 30 s for the whole exchange
        Timeout(total=30.0)          30 s for the whole exchange and no other limit
        Timeout(5.0, ttfb=60.0)      as the first, but a minute until the response begins

    Args:
        timeout: The default of the four; or a tuple of the four; or another `Timeout`, to be changed.
        connect: For a connection: name look-up, TCP, proxy and TLS together; without those that have a limit of their
            own.
        read: For each wait for bytes of the response.
        write: For each wait until the network takes bytes of the request.
        pool: For a free connection of the pool.
        total: A deadline over all of it: queue, retries, redirects, body. None (the default) is no deadline.
        dns: For the name look-up by itself. None (the default) counts it within `connect`. Beyond HTTPX, as the others
            that follow.
        tls: For each TLS handshake by itself. None (the default) counts it within `connect`.
        ttfb: From the end of the request to the first byte of the response. None (the default) is as `read`.

    Raises:
        ValueError: Neither a default, nor all four, nor a total.
    """

    __slots__ = ("connect", "dns", "pool", "read", "tls", "total", "ttfb", "write")

    def __init__(
        self,
        timeout: TimeoutTypes | _Unset = _UNSET,
        *,
        connect: float | _Unset | None = _UNSET,
        read: float | _Unset | None = _UNSET,
        write: float | _Unset | None = _UNSET,
        pool: float | _Unset | None = _UNSET,
        total: float | _Unset | None = _UNSET,
        dns: float | _Unset | None = _UNSET,
        tls: float | _Unset | None = _UNSET,
        ttfb: float | _Unset | None = _UNSET,
    ) -> None:
        if timeout is _UNSET and _UNSET in (connect, read, write, pool) and (total is _UNSET or total is None):
            raise ValueError("Timeout must either include a default, or set all four parameters explicitly.")
        base = _base_limits(timeout)
        self.connect: float | None = base[0] if isinstance(connect, _Unset) else connect
        self.read: float | None = base[1] if isinstance(read, _Unset) else read
        self.write: float | None = base[2] if isinstance(write, _Unset) else write
        self.pool: float | None = base[3] if isinstance(pool, _Unset) else pool
        self.total: float | None = base[4] if isinstance(total, _Unset) else total
        self.dns: float | None = base[5] if isinstance(dns, _Unset) else dns
        self.tls: float | None = base[6] if isinstance(tls, _Unset) else tls
        self.ttfb: float | None = base[7] if isinstance(ttfb, _Unset) else ttfb

    def as_dict(self) -> dict[str, float | None]:
        """The limits as the request extension `timeout` has them; those beyond HTTPX only where they are set."""
        limits = {"connect": self.connect, "read": self.read, "write": self.write, "pool": self.pool}
        limits.update(self._extras())
        return limits

    def _extras(self) -> dict[str, float]:
        """Limits that HTTPX does not have."""
        extras = {"total": self.total, "dns": self.dns, "tls": self.tls, "ttfb": self.ttfb}
        return {name: seconds for name, seconds in extras.items() if seconds is not None}

    def _key(self) -> tuple[float | None, ...]:
        return self.connect, self.read, self.write, self.pool, self.total, self.dns, self.tls, self.ttfb

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, Timeout) else NotImplemented

    def __repr__(self) -> str:
        if len({self.connect, self.read, self.write, self.pool}) == 1:
            shown = f"timeout={self.connect}"
        else:
            shown = f"connect={self.connect}, read={self.read}, write={self.write}, pool={self.pool}"
        return f"Timeout({', '.join([shown, *(f'{name}={seconds}' for name, seconds in self._extras().items())])})"


def _base_limits(timeout: TimeoutTypes | _Unset) -> tuple[float | None, ...]:
    """The limits in the order of `_key` before the single arguments are laid over."""
    if isinstance(timeout, Timeout):
        return timeout._key()
    if isinstance(timeout, tuple):
        connect, read, write, pool, *_ = (*timeout, None, None, None, None)
        return connect, read, write, pool, None, None, None, None
    default = None if isinstance(timeout, _Unset) else timeout
    return default, default, default, default, None, None, None, None


class Limits:
    """How many connections a pool may have.

    Args:
        max_connections: In all, over every origin; None is no limit.
        max_keepalive_connections: Idle ones kept for reuse; None is no limit.
        keepalive_expiry: Seconds after which an idle one is closed; None is never.
    """

    __slots__ = ("keepalive_expiry", "max_connections", "max_keepalive_connections")

    def __init__(
        self,
        *,
        max_connections: int | None = None,
        max_keepalive_connections: int | None = None,
        keepalive_expiry: float | None = 5.0,
    ) -> None:
        self.max_connections = max_connections
        self.max_keepalive_connections = max_keepalive_connections
        self.keepalive_expiry = keepalive_expiry

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Limits):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in Limits.__slots__)

    def __repr__(self) -> str:
        return (
            f"Limits(max_connections={self.max_connections}, "
            f"max_keepalive_connections={self.max_keepalive_connections}, keepalive_expiry={self.keepalive_expiry})"
        )


class Proxy:
    """A proxy to send requests through.

    Args:
        url: Its address; http, https, socks5 or socks5h. A user name and password in it become `auth`.
        ssl_context: An `ssl.SSLContext` for the connection to an https proxy.
        auth: User name and password for the proxy.
        headers: Sent to an HTTP proxy only, never to the server behind it.

    Raises:
        ValueError: Another scheme.
    """

    __slots__ = ("auth", "headers", "ssl_context", "url")

    def __init__(
        self,
        url: URLTypes,
        *,
        ssl_context: SSLContext | None = None,
        auth: tuple[str, str] | None = None,
        headers: HeaderTypes | None = None,
    ) -> None:
        url = URL(url)
        if url.scheme not in ("http", "https", "socks5", "socks5h"):
            raise ValueError(f"Unknown scheme for proxy URL {url!r}")
        if url.username or url.password:
            auth = (url.username, url.password)
            url = url.copy_with(username=None, password=None)
        self.url = url
        self.auth = auth
        self.headers = Headers(headers)
        self.ssl_context = ssl_context

    @property
    def raw_auth(self) -> tuple[bytes, bytes] | None:
        """User name and password in UTF-8."""
        return None if self.auth is None else (self.auth[0].encode("utf-8"), self.auth[1].encode("utf-8"))

    def __repr__(self) -> str:
        """The proxy with its password hidden."""
        auth = f", auth={(self.auth[0], '********')!r}" if self.auth else ""
        shown = {name: "[secure]" if name in SENSITIVE else value for name, value in self.headers.items()}
        return f"Proxy({str(self.url)!r}{auth}{f', headers={shown!r}' if shown else ''})"


DEFAULT_TIMEOUT: Final = Timeout(5.0)
"""A client's limits unless told otherwise: 5 s each to connect, read, write and get a connection."""

DEFAULT_LIMITS: Final = Limits(max_connections=100, max_keepalive_connections=20)
"""A pool's limits unless told otherwise."""

DEFAULT_MAX_REDIRECTS: Final = 20
"""Redirects followed before `TooManyRedirects`."""
