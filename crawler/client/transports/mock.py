"""A transport that asks a function instead of the network: for tests."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from typing import Any

from crawler.client.transports.base import AsyncBaseTransport, BaseTransport
from crawler.models import Request, Response

Handler = Callable[[Request], Response] | Callable[[Request], Coroutine[Any, Any, Response]]


class MockTransport(BaseTransport, AsyncBaseTransport):
    """Gives each request, its body read, to `handler`, and what that returns to the client.

    Args:
        handler: A function of the request that gives a response; for the async client it may be an async one.
    """

    def __init__(self, handler: Handler) -> None:
        self.handler = handler

    def handle_request(self, request: Request) -> Response:
        """See `BaseTransport.handle_request`.

        Raises:
            TypeError: The handler is an async function.
        """
        request.read()
        response = self.handler(request)
        if not isinstance(response, Response):
            if inspect.iscoroutine(response):
                response.close()
            raise TypeError("The handler of a MockTransport in a blocking client must be a plain function.")
        return response

    async def handle_async_request(self, request: Request) -> Response:
        """See `AsyncBaseTransport.handle_async_request`."""
        await request.aread()
        response = self.handler(request)
        if not isinstance(response, Response):
            response = await response
        return response
