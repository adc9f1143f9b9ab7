"""Keys that travel with each request: in a header of any name, or in the query."""

from __future__ import annotations

from crawler.client.auth import Auth, AuthFlow
from crawler.models import Request
from crawler.models.content import ByteStream


class HeaderAuth(Auth):
    """A key in a header, like `X-Api-Key`.

    The header does not survive a redirect to another origin, just as `Authorization` does not.

    Args:
        name, value: Of the header.
    """

    def __init__(self, name: str, value: str) -> None:
        self._name = name
        self._value = value

    def auth_flow(self, request: Request) -> AuthFlow:
        """See `Auth.auth_flow`."""
        request.headers[self._name] = self._value
        request.extensions["secret_headers"] = (self._name,)
        yield request


class QueryAuth(Auth):
    """A key in the query of the URL, in place of a parameter of that name.

    Where it can be had, a header is the better place: servers and proxies write URLs to their logs.

    Args:
        name, value: Of the parameter.
    """

    def __init__(self, name: str, value: str) -> None:
        self._name = name
        self._value = value

    def auth_flow(self, request: Request) -> AuthFlow:
        """See `Auth.auth_flow`."""
        # A copy: the request as its owner knows it keeps a URL that can be shown.
        url = request.url.copy_set_param(self._name, self._value)
        extensions = request.extensions
        keyed = Request(request.method, url, headers=request.headers, stream=request.stream, extensions=extensions)
        if isinstance(request.stream, ByteStream):
            keyed.read()
        yield keyed
