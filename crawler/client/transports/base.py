"""What a client sends requests through; subclass one of these for a transport of your own."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from crawler.models import Request, Response


class BaseTransport:
    """A transport of the blocking `Client`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()

    def handle_request(self, request: Request) -> Response:
        """Send one request, give its response; the body may still be streaming.

        Errors are those of `crawler.TransportError` and below; anything else passes through the client as it is.
        """
        raise NotImplementedError(f"{type(self).__name__} must define handle_request()")

    def close(self) -> None:
        """Release what the transport holds; called once, by the client."""


class AsyncBaseTransport:
    """A transport of the `AsyncClient`."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    async def handle_async_request(self, request: Request) -> Response:
        """Send one request, give its response; the body may still be streaming.

        Errors are those of `crawler.TransportError` and below; anything else passes through the client as it is.
        """
        raise NotImplementedError(f"{type(self).__name__} must define handle_async_request()")

    async def aclose(self) -> None:
        """Release what the transport holds; called once, by the client."""
