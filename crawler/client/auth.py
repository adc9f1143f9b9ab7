"""Ways to authenticate requests: a flow takes a request, yields it (changed), and sees the response.

A flow is written once, as a plain generator, and serves both clients; only one that does I/O of its own overrides
`sync_auth_flow` or `async_auth_flow`.
"""

from __future__ import annotations

import inspect
from base64 import b64encode
from collections.abc import AsyncGenerator, Callable, Generator

from crawler.models import Request, Response

AuthFlow = Generator[Request, Response, None]


class Auth:
    """Base of all ways to authenticate; subclass it and define `auth_flow`.

    Attributes:
        requires_request_body: The flow looks at `request.content`: it is read first.
        requires_response_body: The flow looks at `response.content`: it is read first.
    """

    requires_request_body = False
    requires_response_body = False

    def auth_flow(self, request: Request) -> AuthFlow:
        """Yield the request to send; each `yield` gives the response to it. Return when satisfied."""
        yield request

    def sync_auth_flow(self, request: Request) -> AuthFlow:
        """The flow of the blocking client."""
        if self.requires_request_body:
            request.read()
        flow = self.auth_flow(request)
        request = next(flow)
        while True:
            response = yield request
            if self.requires_response_body:
                response.read()
            try:
                request = flow.send(response)
            except StopIteration:
                return

    async def async_auth_flow(self, request: Request) -> AsyncGenerator[Request, Response]:
        """The flow of the async client."""
        if self.requires_request_body:
            await request.aread()
        flow = self.auth_flow(request)
        request = next(flow)
        while True:
            response = yield request
            if self.requires_response_body:
                await response.aread()
            try:
                request = flow.send(response)
            except StopIteration:
                return


class FunctionAuth(Auth):
    """Authenticates by a function that takes the request and gives it back, changed."""

    def __init__(self, func: Callable[[Request], Request]) -> None:
        self._func = func

    def auth_flow(self, request: Request) -> AuthFlow:
        """See `Auth.auth_flow`.

        Raises:
            TypeError: The function gives something else than a request.
        """
        answer: object = self._func(request)
        if not isinstance(answer, Request):
            if inspect.iscoroutine(answer):
                answer.close()
            raise TypeError(
                f"The auth function {self._func!r} must be a plain function that gives a Request, not "
                f"{type(answer).__name__}; for async work subclass Auth and define async_auth_flow()."
            )
        yield answer


class BasicAuth(Auth):
    """User name and password in every request, unasked.

    Source: RFC 7617; UTF-8.
    """

    def __init__(self, username: str | bytes, password: str | bytes) -> None:
        self._header = basic_header(username, password)

    def auth_flow(self, request: Request) -> AuthFlow:
        """See `Auth.auth_flow`."""
        request.headers["Authorization"] = self._header
        yield request


def basic_header(username: str | bytes, password: str | bytes) -> str:
    """The value of the `Authorization` field for `username` and `password`."""
    pair = [part if isinstance(part, bytes) else part.encode("utf-8") for part in (username, password)]
    return "Basic " + b64encode(b":".join(pair)).decode("ascii")


AuthTypes = tuple[str | bytes, str | bytes] | Callable[[Request], Request] | Auth


def make_auth(auth: AuthTypes | None) -> Auth | None:
    """An `Auth` from whatever a user may pass for one.

    Raises:
        TypeError: It is none of them.
    """
    if auth is None or isinstance(auth, Auth):
        return auth
    if isinstance(auth, tuple):
        return BasicAuth(*auth)
    if callable(auth):
        return FunctionAuth(auth)
    raise TypeError(f"Invalid 'auth' argument: {auth!r}; pass (user, password), an Auth, or a function of the request.")
