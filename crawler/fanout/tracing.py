"""Tell servers which span of which trace a request belongs to: a `traceparent` header (W3C Trace Context) per attempt.

The value goes from the engine to whatever sends the requests of an attempt, downloads and redirects included, by a
context variable: an attempt is one task, and the tasks it starts inherit it.
"""

from __future__ import annotations

from collections.abc import Awaitable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from crawler.fanout.fetch import HTTPClient
    from crawler.fanout.result import Result
    from crawler.models import URL, Request, Response

TRACEPARENT: Final[ContextVar[str | None]] = ContextVar("crawler traceparent", default=None)
"""The header of the attempt under way."""


class Tracer(Protocol):
    """Names the spans of attempts before they end."""

    def begin(self, result: Result) -> str:
        """Give the `traceparent` of the attempt that begins, or that goes on behind a redirect."""


class TracedClient:
    """A client that adds `traceparent` to what it sends within an attempt.

    Args:
        client: Sends the requests.
    """

    def __init__(self, client: HTTPClient) -> None:
        self._client = client

    def build_request(
        self, method: str, url: URL | str, *, headers: list[tuple[str, str]] | None = None, content: bytes | None = None
    ) -> Request:
        """Make a request."""
        return self._client.build_request(method, url, headers=headers, content=content)

    def send(
        self, request: Request, *, stream: bool = False, follow_redirects: bool = False, **options: None
    ) -> Awaitable[Response]:
        """Send a request of an attempt."""
        value = TRACEPARENT.get()
        if value is not None:
            request.headers["traceparent"] = value
        return self._client.send(request, stream=stream, follow_redirects=follow_redirects, **options)
