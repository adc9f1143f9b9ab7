"""Who may ask what, before anything of a request is looked at: a layer of ASGI around the application.

    Host       only names of this server, unless a token is asked for (a page of another name cannot know it)
    Origin     a request that changes something, from a page of another origin, is refused
    token      `Authorization: Bearer`, or the cookie that the dashboard's login sets; compared in constant time
    body       bounded in size and time
    answer     security headers on everything, no CORS header ever

Health checks pass without a token: they say nothing but yes or no.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from typing import Final, Literal
from urllib.parse import parse_qsl, urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crawler.service.problems import Problem, answer
from crawler.service.settings import Settings

OPEN_PATHS: Final = frozenset({"/healthz", "/readyz"})
LOGIN: Final = "/login"
LOGOUT: Final = "/logout"
COOKIE: Final = "crawler_session"
BODY_TIMEOUT_S: Final = 15.0
Right = Literal["write", "read"]

_FORMS: Final = frozenset({LOGIN, LOGOUT})
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_TOKEN_PARAMETERS: Final = frozenset({"token", "access_token", "api_key"})

HEADERS: Final = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        b"frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),  # with no-referrer, browsers name no origin for our own forms either
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)


def session_value(token: str) -> str:
    """What the dashboard's cookie holds in place of the token: whoever reads it cannot tell the token from it."""
    return hmac.new(token.encode(), b"crawler dashboard session", hashlib.sha256).hexdigest()


def right_of(given: str, settings: Settings, *, is_session: bool = False) -> Right | None:
    """What a token, or the value of a session cookie, permits; every known one is compared, in constant time."""
    right: Right | None = None
    for token, permitted in ((settings.read_token, "read"), (settings.token, "write")):
        if token is None:
            continue
        known = session_value(token) if is_session else token
        if hmac.compare_digest(given.encode("utf-8", "replace"), known.encode()):
            right = "write" if permitted == "write" else "read"
    return right


class Guard:
    """The layer; see the module's text.

    Args:
        app: What it stands before.
        settings: The service's.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._needs_token = settings.token is not None or settings.read_token is not None
        self._hosts = {"localhost", "127.0.0.1", "::1", settings.host.lower(), *map(str.lower, settings.hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                names = {name.lower() for name, _ in message["headers"]}
                added = [(name, value) for name, value in HEADERS if name not in names]
                if b"cache-control" not in names:
                    added.append((b"cache-control", b"no-store"))
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            scope["crawler.right"] = self._check(scope, headers)
            receive = await self._bounded(scope, headers, receive)
        except Problem as problem:
            if problem.status == 401 and scope["method"] == "GET" and "text/html" in headers.get(b"accept", ""):
                scope["crawler.right"] = None  # the page asks for the token instead
                scope["path"] = LOGIN
                await self._app(scope, receive, send_safely)
                return
            await answer(problem)(scope, receive, send_safely)
            return
        await self._app(scope, receive, send_safely)

    def _check(self, scope: Scope, headers: dict[bytes, str]) -> Right:
        """Give what the caller may do.

        Raises:
            Problem: Nothing, or not this.
        """
        path, method = scope["path"], scope["method"]
        if path in OPEN_PATHS and method in _SAFE_METHODS:
            return "read"
        self._check_host(headers)
        if method not in _SAFE_METHODS:
            _check_origin(headers)
            kind = headers.get(b"content-type", "application/json").partition(";")[0].strip().lower()
            if kind != "application/json" and path not in _FORMS:
                raise Problem(415, "what changes something is JSON, and says so: `Content-Type: application/json`")
        names = {name.lower() for name, _ in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)}
        if names & _TOKEN_PARAMETERS:
            raise Problem(400, "a token in a URL lands in logs; send it as `Authorization: Bearer`")
        if not self._needs_token or path == LOGIN:
            return "write"
        right = self._right(headers)
        if right is None:
            raise Problem(
                401, "a token is needed: `Authorization: Bearer`", {"WWW-Authenticate": 'Bearer realm="crawler"'}
            )
        if right == "read" and method not in _SAFE_METHODS:
            raise Problem(403, "this token may read only")
        return right

    def _check_host(self, headers: dict[bytes, str]) -> None:
        host = urlsplit(f"//{headers.get(b'host', '')}").hostname or ""
        if self._needs_token and not self._settings.hosts:
            return
        if host.lower() not in self._hosts:
            raise Problem(
                403, f"this server is not called {host[:80]!r}; give --allow-host to have it answer to that name"
            )

    def _right(self, headers: dict[bytes, str]) -> Right | None:
        scheme, _, token = headers.get(b"authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token:
            return right_of(token.strip(), self._settings)
        try:
            morsel = SimpleCookie(headers.get(b"cookie", "")).get(COOKIE)
        except CookieError:
            return None
        return None if morsel is None else right_of(morsel.value, self._settings, is_session=True)

    async def _bounded(self, scope: Scope, headers: dict[bytes, str], receive: Receive) -> Receive:
        """Read the body, within its bounds, and give a `receive` that hands it on."""
        if scope["method"] in _SAFE_METHODS:
            return receive
        most = self._settings.max_body
        length = headers.get(b"content-length", "")
        if length.isdigit() and int(length) > most:
            raise Problem(413, f"a body has at most {most} bytes here", {"Connection": "close"})
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        raise Problem(400, "the body broke off")
                    body += message.get("body", b"")
                    if len(body) > most:
                        raise Problem(413, f"a body has at most {most} bytes here", {"Connection": "close"})
                    if not message.get("more_body"):
                        break
        except TimeoutError:
            raise Problem(408, f"the body did not come within {BODY_TIMEOUT_S:g} s", {"Connection": "close"}) from None
        is_given = False

        async def replay() -> Message:
            nonlocal is_given
            if is_given:
                return await receive()
            is_given = True
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        return replay


def _check_origin(headers: dict[bytes, str]) -> None:
    """Refuse what a page of another origin makes a browser send (reliability S-3)."""
    if headers.get(b"sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Problem(403, "requests from other sites are refused")
    origin = headers.get(b"origin")
    if origin is not None and urlsplit(origin).netloc.lower() != headers.get(b"host", "").lower():
        raise Problem(403, "requests from other origins are refused")


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
