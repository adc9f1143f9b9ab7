"""The jar behind `Cookies`: `http.cookiejar`'s, with RFC 6265's safety, bounds, and a look-up by host.

Imported only when the first cookie is met: `http.cookiejar` costs as much to import as the whole client.

What the standard jar lacks and a hostile server would use:

| the server sends | here |
|---|---|
| `Domain=.0.0.1` from 127.0.0.1 (the tail of an address) | refused: an address has no parent |
| `Domain=co.uk`, `Domain=github.io` | refused: a public suffix, see `public_suffixes` |
| no `Domain` | goes back to that very host, not to its subdomains |
| `Secure` over http, `__Host-` and `__Secure-` names that do not keep their promise | refused |
| control characters in name or value | refused: they could not be sent back |
| thousands of cookies, or huge ones | `MAX_PER_DOMAIN`, `MAX_DOMAINS`, `MAX_COOKIE_BYTES`; oldest first out |
| so many that the `Cookie` field is huge | `MAX_HEADER_BYTES`: those with the longest paths go first, the rest stays |

A jar that the user brings keeps its own policy; nothing of this applies to it.

Source: RFC 6265 §5.3 and §5.4; the limits are those of browsers (RFC 6265 §6.1).
"""

from __future__ import annotations

import math
import re
import time
import urllib.request
from collections.abc import Iterator
from http import cookiejar
from http.cookiejar import Cookie, CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Final

from crawler.models.public_suffixes import is_public_suffix

if TYPE_CHECKING:
    from crawler.models.request import Request
    from crawler.models.response import Response

MAX_PER_DOMAIN: Final = 180
MAX_DOMAINS: Final = 10_000
MAX_COOKIE_BYTES: Final = 4096
"""Name and value together."""

MAX_HEADER_BYTES: Final = 16 * 1024 - 512
"""The value of the `Cookie` field."""

MAX_SET_COOKIE_BYTES: Final = 2 * MAX_COOKIE_BYTES
"""One `Set-Cookie` field with its attributes; longer ones are not even parsed."""

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_ADDRESS = re.compile(r"[0-9]+(?:\.[0-9]+){0,3}|.*:.*|\[.*\]")


def _request_hosts(request: urllib.request.Request) -> tuple[str, str]:
    """The request's host, and the same with ".local" where it has no dot, as the standard jar stores it."""
    hosts: tuple[str, str] = cookiejar.eff_request_host(request)  # type: ignore[attr-defined]  # not in typeshed
    return hosts


class SafeCookiePolicy(DefaultCookiePolicy):
    """`http.cookiejar`'s rules and those of the table at the head of this module."""

    def __init__(self) -> None:
        super().__init__(strict_domain=True)

    def set_ok(self, cookie: Cookie, request: urllib.request.Request) -> bool:
        """Whether a response to `request` may set `cookie`."""
        name, value = cookie.name, cookie.value or ""
        if len(name.encode()) + len(value.encode()) > MAX_COOKIE_BYTES or _CONTROL.search(name + value):
            return False
        is_secure_request = request.type in self.secure_protocols  # type: ignore[attr-defined]  # not in typeshed
        if cookie.secure and not is_secure_request:
            return False
        if name.startswith("__Secure-") and not cookie.secure:
            return False
        if name.startswith("__Host-") and not (cookie.secure and cookie.path == "/" and not cookie.domain_specified):
            return False
        return super().set_ok(cookie, request)

    def set_ok_domain(self, cookie: Cookie, request: urllib.request.Request) -> bool:
        """Whether the response's host may set a cookie for that domain."""
        if cookie.domain_specified:
            host, _ = _request_hosts(request)
            domain = cookie.domain.lower().strip(".")
            if domain != host and (_ADDRESS.fullmatch(host) or is_public_suffix(domain)):
                return False
        return super().set_ok_domain(cookie, request)

    def return_ok_domain(self, cookie: Cookie, request: urllib.request.Request) -> bool:
        """Whether the cookie goes to the request's host: one set without a domain goes to its very host only."""
        if cookie.domain and not cookie.domain_specified and cookie.domain not in _request_hosts(request):
            return False
        return super().return_ok_domain(cookie, request)


class HostIndexedJar(CookieJar):
    """A `CookieJar` that looks only at the domains a host can match, sweeps out what expired only when something has,
    and has bounds.

    A user's policy with its own idea of which domains match gets to see all of them.
    """

    _cookies: dict[str, dict[str, dict[str, Cookie]]]

    def __init__(self, policy: Any = None) -> None:
        super().__init__(SafeCookiePolicy() if policy is None else policy)
        self._next_expiry = math.inf

    @property
    def policy(self) -> Any:
        """The policy that decides what is kept and sent."""
        return self._policy  # type: ignore[attr-defined]  # not in typeshed

    def set_cookie(self, cookie: Cookie) -> None:
        """Keep `cookie`; the oldest of its domain, or the oldest domain, makes room."""
        with self._cookies_lock:  # type: ignore[attr-defined]  # not in typeshed
            super().set_cookie(cookie)
            if cookie.expires is not None:
                self._next_expiry = min(self._next_expiry, cookie.expires)
            self._make_room(cookie)

    def _make_room(self, newest: Cookie) -> None:
        paths = self._cookies[newest.domain]
        if sum(map(len, paths.values())) > MAX_PER_DOMAIN:
            path, name = next(
                (path, name) for path, names in paths.items() for name in names if names[name] is not newest
            )
            del paths[path][name]
            if not paths[path]:
                del paths[path]
        if len(self._cookies) > MAX_DOMAINS:
            del self._cookies[next(domain for domain in self._cookies if domain != newest.domain)]

    def clear_expired_cookies(self) -> None:
        """Drop what has expired; free as long as nothing can have."""
        if time.time() < self._next_expiry:
            return
        with self._cookies_lock:  # type: ignore[attr-defined]  # not in typeshed
            super().clear_expired_cookies()
            self._next_expiry = min((c.expires for c in self if c.expires is not None), default=math.inf)

    def _cookies_for_request(self, request: urllib.request.Request) -> list[Cookie]:
        hosts = _request_hosts(request)
        matches_by_name = type(self.policy).domain_return_ok is DefaultCookiePolicy.domain_return_ok
        domains = _matching_domains(hosts) if matches_by_name else list(self._cookies)
        cookies: list[Cookie] = []
        for domain in domains:
            if domain in self._cookies:
                cookies += self._cookies_for_domain(domain, request)  # type: ignore[attr-defined]  # not in typeshed
        return cookies

    def _cookie_attrs(self, cookies: list[Cookie]) -> list[str]:
        attrs: list[str] = super()._cookie_attrs(cookies)  # type: ignore[misc]  # not in typeshed
        size, kept = 0, []
        for attr in attrs:
            size += len(attr.encode()) + 2
            if size > MAX_HEADER_BYTES:
                break
            kept.append(attr)
        return kept


def _matching_domains(hosts: tuple[str, str]) -> list[str]:
    """Every domain under which a cookie for these hosts can be kept, the least specific first.

    For `a.example.org`: "", ".org", "org", ".example.org", "example.org", ".a.example.org", "a.example.org".
    """
    domains = {"": None}
    for host in hosts:
        labels = host.lstrip(".").split(".")
        for count in range(1, len(labels) + 1):
            suffix = ".".join(labels[-count:])
            domains[f".{suffix}"] = None
            domains[suffix] = None
    return list(domains)


class JarRequest(urllib.request.Request):
    """A request as `http.cookiejar` and policies written for it want to see it."""

    def __init__(self, request: Request) -> None:
        url = request.url
        # Without user information, which the jar would take for a part of the host.
        super().__init__(f"{url.scheme}://{url.netloc.decode()}{url.raw_path.decode()}", method=request.method)
        self._request = request

    def has_header(self, header_name: str) -> bool:
        """Whether the request has the field."""
        return header_name in self._request.headers

    def get_header(self, header_name: str, default: Any = None) -> Any:
        """The value of the field."""
        return self._request.headers.get(header_name, default)

    def header_items(self) -> list[tuple[str, str]]:
        """All fields."""
        return list(self._request.headers.items())

    def add_unredirected_header(self, key: str, val: str) -> None:
        """Set a field; the jar sets `Cookie`."""
        self._request.headers[key] = val


class JarResponse:
    """A response as `http.cookiejar` wants to see it: `info().get_all(name, default)`."""

    def __init__(self, response: Response) -> None:
        self._response = response

    def info(self) -> JarResponse:
        """The response's fields."""
        return self

    def get_all(self, name: str, default: list[str]) -> list[str]:
        """All values of a field, over-long ones left out."""
        values = [value for value in self._response.headers.get_list(name) if len(value) <= MAX_SET_COOKIE_BYTES]
        return values or default

    def __iter__(self) -> Iterator[str]:
        return iter(self._response.headers)
