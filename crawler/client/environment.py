"""Which requests go through which proxy: patterns over URLs, and what the environment says.

    HTTP_PROXY=http://proxy:3128          {"http://": "http://proxy:3128",
    NO_PROXY=.corp.example,10.0.0.0/8 ─▶   "all://*.corp.example": None, "all://10.0.0.0/8": None}

A pattern is a key of `Client(mounts=...)`. Where several match a URL, the most specific one counts: patterns sort by
that. Reading the environment costs microseconds where no proxy is named, since every client does it.
"""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from crawler.errors import InvalidURL
from crawler.models import URL, Origin

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

# scheme ":" ["//"] [userinfo "@"] host [":" port] [path]; what stands behind the port matters for networks only.
_PATTERN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)?:(?://)?+"
    r"(?:[^/?#]*@)?(?P<host>\[[0-9a-f:.]*\]|[^\s\[\]:/?#@]*)(?::(?P<port>[0-9]*))?"
    r"(?P<rest>[/?#].*)?",
    re.IGNORECASE,
)


class URLPattern:
    """A set of URLs, as a key of `mounts` writes it.

    | pattern | holds |
    | --- | --- |
    | `all://`, `http://` | every URL, every http URL |
    | `all://example.com` | that host alone |
    | `all://*.example.com` | its subdomains, not itself |
    | `all://*example.com` | both, and not `badexample.com` |
    | `https://example.com:8443` | that port alone |
    | `all://10.0.0.0/8`, `all://[fd00::]/8` | URLs whose host is an address in that network; names are not resolved |

    Where HTTPX's rules surprise, these differ: a port is compared with the port that is connected to (`all://h:443`
    holds `https://h/`, and `https://h:443` no other port), IPv6 addresses are compared as addresses, and an exact host
    comes before an asterisk.

    Raises:
        ValueError: The pattern is a plain word; it lacks `://`.
        InvalidURL: It is no pattern: a bad port, bracket or network.
    """

    __slots__ = ("host", "network", "pattern", "port", "scheme", "wildcard")

    def __init__(self, pattern: str) -> None:
        if pattern and ":" not in pattern:
            raise ValueError(
                f"Proxy keys should use proper URL forms rather than plain scheme strings. "
                f'Instead of "{pattern}", use "{pattern}://"'
            )
        parts = _PATTERN.fullmatch(pattern or "all://")
        if parts is None:
            raise InvalidURL(f"Invalid pattern {pattern!r}: expected for example 'all://*.example.com:8080'.")
        scheme = (parts["scheme"] or "").lower()
        host = "" if parts["host"] == "*" else parts["host"].lower()
        self.pattern = pattern
        self.scheme = "" if scheme == "all" else scheme
        self.port = _port(parts["port"], pattern)
        self.network = _network(host, parts["rest"] or "", pattern)
        self.wildcard = "*." if host.startswith("*.") else "*" if host.startswith("*") else ""
        self.host = _ascii_host(host.removeprefix(self.wildcard), pattern)
        if self.wildcard and not self.host:
            raise InvalidURL(f"Invalid pattern {pattern!r}: no name behind the asterisk.")

    def matches(self, url: URL) -> bool:
        """Whether the URL is in the set."""
        return self.matches_origin(url.origin)

    def matches_origin(self, origin: Origin) -> bool:
        """Whether the URLs of this origin are in the set: nothing else of a URL matters, so answers can be kept."""
        if self.scheme and self.scheme != origin.scheme:
            return False
        if self.port is not None and self.port != origin.port:
            return False
        if self.network is not None:
            return _is_in(origin.host, self.network)
        if not self.host:
            return True
        if self.wildcard and origin.host.endswith(f".{self.host}") and len(origin.host) > len(self.host) + 1:
            return True
        return self.wildcard != "*." and _is_same_host(origin.host, self.host)

    @property
    def priority(self) -> tuple[int, int, int, int, int, int]:
        """Sorts the most specific pattern first.

        With a port before without; hosts before networks before neither; then small networks, long names, exact names
        before `*.` before `*`, and a scheme before `all`.
        """
        return (
            0 if self.port is not None else 1,
            1 if self.network is not None else 0 if self.host else 2,
            self.network.num_addresses if self.network is not None else 0,
            -len(self.host) if self.network is None else 0,
            ("", "*.", "*").index(self.wildcard),
            -len(self.scheme),
        )

    def __lt__(self, other: URLPattern) -> bool:
        return self.priority < other.priority

    def __eq__(self, other: object) -> bool:
        return isinstance(other, URLPattern) and self.pattern == other.pattern

    def __hash__(self) -> int:
        return hash(self.pattern)

    def __repr__(self) -> str:
        return f"URLPattern({self.pattern!r})"


def _port(text: str | None, pattern: str) -> int | None:
    """Read the port of a pattern."""
    if not text:
        return None
    if int(text[:6]) > 65_535:
        raise InvalidURL(f"Invalid pattern {pattern!r}: port {text} is above 65535.")
    return int(text)


def _network(host: str, rest: str, pattern: str) -> IPv4Network | IPv6Network | None:
    """Read the network of a pattern; None where it names a host, whose path, if any, says nothing."""
    address = host.strip("[]")
    if rest in ("", "/") or not _is_address(address):
        return None
    from ipaddress import ip_network

    prefix = rest.removeprefix("/")
    if not (prefix.isascii() and prefix.isdigit()):
        raise InvalidURL(f"Invalid pattern {pattern!r}: {prefix!r} is no length of a network prefix.")
    try:
        return ip_network(f"{address}/{prefix}", strict=False)
    except ValueError as exc:
        raise InvalidURL(f"Invalid pattern {pattern!r}: {exc}.") from exc


def _ascii_host(host: str, pattern: str) -> str:
    """Write a host as origins do: in ASCII, without brackets."""
    if host.startswith("["):
        address = host[1:-1]
        if not _is_address(address):
            raise InvalidURL(f"Invalid pattern {pattern!r}: {address!r} is no IPv6 address.")
        return address
    return host if host.isascii() else URL(f"http://{host}/").origin.host


def _packed(address: str) -> bytes | None:
    """The bytes of an IP address, or None for any other text."""
    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    except (OSError, ValueError):
        return None


def _is_address(text: str) -> bool:
    """Whether the text is an IP address, without brackets."""
    return _packed(text) is not None


def _is_same_host(host: str, other: str) -> bool:
    """Whether two hosts are the same; IPv6 addresses have many spellings."""
    return host == other or (":" in host and ":" in other and _packed(host) == _packed(other))


def _is_in(host: str, network: IPv4Network | IPv6Network) -> bool:
    """Whether a host is spelled as an address of the network."""
    if not _is_address(host):
        return False
    from ipaddress import ip_address

    return ip_address(host) in network


def environment_proxies() -> dict[str, str | None]:
    """Read the environment's proxies as mounts: pattern to the proxy's URL, or to None for a direct connection.

    `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` count in either case; lower case wins, and an empty
    lower-case one switches the other off. Where none is set, Windows and macOS are asked for their system's proxies.
    A proxy without a scheme is an http one. Entries of `NO_PROXY` that cannot be understood are ignored, as curl and Go
    do.
    """
    proxies = _proxy_variables(os.environ)
    if not proxies and sys.platform in ("win32", "darwin"):
        from urllib.request import getproxies  # 40 ms at import: it brings http.client and email

        proxies = getproxies()
    if not proxies:
        return {}
    mounts: dict[str, str | None] = {}
    for scheme in ("http", "https", "all"):
        proxy = proxies.get(scheme)
        if proxy:
            mounts[f"{scheme}://"] = proxy if "://" in proxy else f"http://{proxy}"
    for entry in proxies.get("no", "").split(","):
        entry = entry.strip()
        if entry == "*":
            return {}
        pattern = _no_proxy_pattern(entry) if entry else None
        if pattern is not None:
            mounts[pattern] = None
    return mounts


def _proxy_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Collect `*_proxy` variables by the lower-case word before the underscore.

    Under CGI (`REQUEST_METHOD` is set) `HTTP_PROXY` is what a client's `Proxy:` header becomes, so only the lower-case
    spelling is believed there; see CVE-2016-1000110.
    """
    # Other spellings than all upper and all lower case exist, so every name is looked at: 10 µs for 40 variables.
    named = [name for name in environ if name[-6:].lower() == "_proxy"]
    if not named:
        return {}
    proxies = {name[:-6].lower(): environ[name] for name in named if environ[name]}
    if "REQUEST_METHOD" in environ:
        proxies.pop("http", None)
    for name in named:
        if name.endswith("_proxy"):
            if environ[name]:
                proxies[name[:-6].lower()] = environ[name]
            else:
                proxies.pop(name[:-6].lower(), None)
    return proxies


def _no_proxy_pattern(entry: str) -> str | None:
    """Turn one entry of `NO_PROXY` into a pattern; None if it is none.

    A bare name covers itself and its subdomains, `.name` and `*.name` the subdomains alone.
    """
    address, slash, prefix = entry.partition("/")
    if "://" in entry:
        pattern = entry
    elif _is_address(address):
        pattern = f"all://[{address}]{slash}{prefix}" if ":" in address else f"all://{entry}"
    elif entry.startswith("[") or entry.lower() == "localhost":
        pattern = f"all://{entry}"
    elif slash:
        return None
    else:
        pattern = f"all://{entry}" if entry.startswith("*.") else f"all://*{entry}"
    try:
        URLPattern(pattern)
    except InvalidURL:
        return None
    return pattern
