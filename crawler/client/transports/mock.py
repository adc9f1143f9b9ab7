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
            TypeError: The handler is an async function, or gives no response.
        """
        request.read()
        answer: object = self.handler(request)
        if not isinstance(answer, Response):
            if inspect.iscoroutine(answer):
                answer.close()
            raise TypeError(
                "The handler of a MockTransport in a blocking client must be a plain function that gives a Response, "
                f"not {type(answer).__name__}."
            )
        return answer

    async def handle_async_request(self, request: Request) -> Response:
        """See `AsyncBaseTransport.handle_async_request`.

        Raises:
            TypeError: The handler gives no response.
        """
        await request.aread()
        answer: object = self.handler(request)
        if not isinstance(answer, Response) and inspect.isawaitable(answer):
            answer = await answer
        if not isinstance(answer, Response):
            raise TypeError(f"The handler of a MockTransport must give a Response, not {type(answer).__name__}.")
        return answer
