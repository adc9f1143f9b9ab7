"""`Cookies`: what servers asked us to remember, as a mapping; the rules of the jar are in `cookie_jar`.

Most clients never meet a cookie, so that the jar and the modules behind it are made when the first one comes.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING, cast

from crawler.errors import CookieConflict

if TYPE_CHECKING:
    from http.client import HTTPResponse
    from http.cookiejar import Cookie, CookieJar

    from crawler.models.request import Request
    from crawler.models.response import Response
    from crawler.models.types import CookieTypes


class Cookies(MutableMapping[str, str]):
    """Cookies as a mapping of name to value over a jar that also knows domains, paths and expiry.

    Args:
        cookies: A dict or pairs (sent to every host), other `Cookies` (copied), or an `http.cookiejar.CookieJar`, which
            is used itself, with the policy it has.
    """

    __slots__ = ("_jar",)

    def __init__(self, cookies: CookieTypes | None = None) -> None:
        self._jar: CookieJar | None = None
        if isinstance(cookies, Cookies):
            self._copy(cookies)
        elif isinstance(cookies, dict | list):
            for name, value in dict(cookies).items() if isinstance(cookies, dict) else cookies:
                self.set(name, value)
        else:
            self._jar = cookies

    def _copy(self, other: Cookies) -> None:
        if other._jar is None:
            return
        from crawler.models.cookie_jar import HostIndexedJar

        jar = self._jar = HostIndexedJar(getattr(other._jar, "_policy", None))
        for cookie in other._jar:
            jar.set_cookie(cookie)

    @property
    def jar(self) -> CookieJar:
        """The jar itself."""
        if self._jar is None:
            from crawler.models.cookie_jar import HostIndexedJar

            self._jar = HostIndexedJar()
        return self._jar

    def extract_cookies(self, response: Response) -> None:
        """Keep what the `Set-Cookie` fields of a response ask for; malformed ones are ignored."""
        headers = response.headers
        if "set-cookie" not in headers and "set-cookie2" not in headers:
            return
        from crawler.models.cookie_jar import JarRequest, JarResponse

        # The jar only calls info().get_all() of the response.
        self.jar.extract_cookies(cast("HTTPResponse", JarResponse(response)), JarRequest(response.request))

    def set_cookie_header(self, request: Request) -> None:
        """Set the `Cookie` field of a request to what belongs to its URL; one that is there already stays."""
        if self._jar is None:
            return
        from crawler.models.cookie_jar import JarRequest

        self._jar.add_cookie_header(JarRequest(request))

    def set(self, name: str, value: str, domain: str = "", path: str = "/") -> None:
        """Set a cookie; without a domain it goes to every host."""
        from http.cookiejar import Cookie

        self.jar.set_cookie(
            Cookie(
                version=0,
                name=name,
                value=value,
                port=None,
                port_specified=False,
                domain=domain,
                domain_specified=bool(domain),
                domain_initial_dot=domain.startswith("."),
                path=path,
                path_specified=bool(path),
                secure=False,
                expires=None,
                discard=True,
                comment=None,
                comment_url=None,
                rest={"HttpOnly": ""},
                rfc2109=False,
            )
        )

    def get(  # type: ignore[override]  # HTTPX's signature
        self, name: str, default: str | None = None, domain: str | None = None, path: str | None = None
    ) -> str | None:
        """The value of a cookie, else `default`.

        Raises:
            CookieConflict: Several cookies have that name, domain and path.
        """
        found = self._find(name, domain, path)
        if len(found) > 1:
            raise CookieConflict(
                f"Multiple cookies exist with name={name}: "
                + ", ".join(f"domain={cookie.domain!r} path={cookie.path!r}" for cookie in found)
            )
        return default if not found or found[0].value is None else found[0].value

    def delete(self, name: str, domain: str | None = None, path: str | None = None) -> None:
        """Forget the cookies of that name, or the one of that domain and path.

        Raises:
            KeyError: Domain and path are given and there is no such cookie.
        """
        if domain is not None and path is not None:
            self.jar.clear(domain, path, name)
            return
        for cookie in self._find(name, domain, path):
            self.jar.clear(cookie.domain, cookie.path, cookie.name)

    def clear(self, domain: str | None = None, path: str | None = None) -> None:
        """Forget all cookies, or those of a domain, or those of a domain and path.

        Raises:
            KeyError: There is no such domain or path.
            ValueError: A path without a domain.
        """
        if domain is None:
            if path is not None:
                raise ValueError("Cookies.clear(path=...) also needs domain=...")
            self.jar.clear()
        elif path is None:
            self.jar.clear(domain)
        else:
            self.jar.clear(domain, path)

    def update(self, cookies: CookieTypes | None = None) -> None:  # type: ignore[override]  # HTTPX's signature
        """Take in other cookies; those of the same name, domain and path are replaced."""
        for cookie in Cookies(cookies)._all():
            self.jar.set_cookie(cookie)

    def _all(self) -> list[Cookie]:
        return [] if self._jar is None else list(self._jar)

    def _find(self, name: str, domain: str | None, path: str | None) -> list[Cookie]:
        return [
            cookie
            for cookie in self._all()
            if cookie.name == name
            and (domain is None or cookie.domain == domain)
            and (path is None or cookie.path == path)
        ]

    def __setitem__(self, name: str, value: str) -> None:
        self.set(name, value)

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __delitem__(self, name: str) -> None:
        self.delete(name)

    def __len__(self) -> int:
        return len(self._all())

    def __iter__(self) -> Iterator[str]:
        return iter([cookie.name for cookie in self._all()])

    def __bool__(self) -> bool:
        if self._jar is None:  # the whole cost of cookies for a client that has none
            return False
        for _ in self._jar:  # `any` of a generator costs twice as much, and each request asks
            return True
        return False

    def __repr__(self) -> str:
        shown = ", ".join(f"<Cookie {cookie.name}={cookie.value} for {cookie.domain} />" for cookie in self._all())
        return f"<Cookies[{shown}]>"
