"""What differs between the two clients: how a transport is called, a body read, a hook run, an auth flow stepped.

The script of a request (`script.py`) is written once and awaits these. In the blocking world each of them is finished
when it returns, so that the script never suspends.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterator
from typing import Any, Protocol

from crawler.client.auth import Auth
from crawler.client.transports.base import AsyncBaseTransport, BaseTransport
from crawler.client.transports.http import AsyncHTTPTransport, HTTPTransport
from crawler.errors import RequestError, StreamError
from crawler.models import AsyncByteStream, Request, Response, SyncByteStream
from crawler.net import Done

Transport = BaseTransport | AsyncBaseTransport


def check_origin(request: Request) -> None:
    """Refuse, whatever the transport, a URL that the network would refuse.

    Raises:
        InvalidURL: It is relative, or its host cannot be looked up.
    """
    _ = request.url.origin


class Flow(Protocol):
    """An auth flow, stepped from the script."""

    def start(self) -> Awaitable[Request]:
        """The first request to send."""
        ...

    def step(self, response: Response) -> Awaitable[Request | None]:
        """The next request to send, or None when the flow is satisfied."""
        ...

    def close(self) -> Awaitable[None]:
        """End the flow, wherever it is."""
        ...


class World(Protocol):
    """One of the two worlds."""

    def call(self, transport: Any, request: Request, whole: bool) -> Awaitable[Response]:
        """Send `request` through `transport`; `whole` allows it to give the response with its body read."""
        ...

    def read(self, response: Response) -> Awaitable[bytes]:
        """Read the body."""
        ...

    def close(self, response: Response) -> Awaitable[None]:
        """Close the response."""
        ...

    def drain(self, response: Response, limit: int) -> Awaitable[None]:
        """Take the raw body off the connection, so that this can be used again; one beyond `limit` bytes is dropped.

        Whatever happens, the response is closed: the body is not what the caller wants.
        """
        ...

    def run_hook(self, hook: Callable[..., Any], argument: Request | Response) -> Awaitable[Any]:
        """Run an event hook."""
        ...

    def flow(self, auth: Auth, request: Request) -> Flow:
        """Begin an auth flow."""
        ...

    def sleep(self, seconds: float) -> Awaitable[None]:
        """Wait."""
        ...

    def timed(self, response: Response, clock: Callable[[], float]) -> None:
        """Note when the body of a response ends that came from a transport of somebody else's making."""
        ...


class BlockingFlow:
    """A `Flow` over a plain generator."""

    __slots__ = ("_generator",)

    def __init__(self, generator: Generator[Request, Response, None]) -> None:
        self._generator = generator

    def start(self) -> Done[Request]:
        """See `Flow.start`."""
        return Done(next(self._generator))

    def step(self, response: Response) -> Done[Request | None]:
        """See `Flow.step`."""
        try:
            return Done(self._generator.send(response))
        except StopIteration:
            return Done(None)

    def close(self) -> Done[None]:
        """See `Flow.close`."""
        self._generator.close()
        return Done(None)


class BlockingWorld:
    """Calls that block."""

    def call(self, transport: Any, request: Request, whole: bool) -> Awaitable[Response]:
        """See `World.call`."""
        if type(transport) is HTTPTransport:
            return transport.exchange(request, whole)
        check_origin(request)
        return Done(transport.handle_request(request))

    def read(self, response: Response) -> Done[bytes]:
        """See `World.read`."""
        return Done(response.read())

    def close(self, response: Response) -> Done[None]:
        """See `World.close`."""
        response.close()
        return Done(None)

    def drain(self, response: Response, limit: int) -> Done[None]:
        """See `World.drain`."""
        pieces: list[bytes] = []
        with contextlib.suppress(RequestError, StreamError):
            for piece in response.iter_raw():
                pieces.append(piece)
                limit -= len(piece)
                if limit < 0:
                    break
            else:
                response.keep(b"".join(pieces))
        response.close()
        return Done(None)

    def run_hook(self, hook: Callable[..., Any], argument: Request | Response) -> Done[Any]:
        """See `World.run_hook`."""
        answer = hook(argument)
        if inspect.iscoroutine(answer):
            answer.close()
            raise TypeError(f"The event hook {hook!r} of a blocking client must be a plain function, not an async one.")
        return Done(answer)

    def flow(self, auth: Auth, request: Request) -> BlockingFlow:
        """See `World.flow`."""
        return BlockingFlow(auth.sync_auth_flow(request))

    def sleep(self, seconds: float) -> Done[None]:
        """See `World.sleep`."""
        time.sleep(seconds)
        return Done(None)

    def timed(self, response: Response, clock: Callable[[], float]) -> None:
        """See `World.timed`."""
        if not isinstance(response.stream, SyncByteStream):
            raise RuntimeError("The transport of a blocking client gave a response with an async body.")
        response.stream = TimedStream(response.stream, clock)


class AsyncFlow:
    """A `Flow` over an async generator."""

    __slots__ = ("_generator",)

    def __init__(self, generator: AsyncGenerator[Request, Response]) -> None:
        self._generator = generator

    async def start(self) -> Request:
        """See `Flow.start`."""
        return await anext(self._generator)

    async def step(self, response: Response) -> Request | None:
        """See `Flow.step`."""
        try:
            return await self._generator.asend(response)
        except StopAsyncIteration:
            return None

    async def close(self) -> None:
        """See `Flow.close`."""
        await self._generator.aclose()


class AsyncWorld:
    """Calls that are awaited, under asyncio or trio."""

    def call(self, transport: Any, request: Request, whole: bool) -> Coroutine[Any, Any, Response]:
        """See `World.call`."""
        if type(transport) is AsyncHTTPTransport:
            return transport.exchange(request, whole)
        check_origin(request)
        answer: Coroutine[Any, Any, Response] = transport.handle_async_request(request)
        return answer

    def read(self, response: Response) -> Awaitable[bytes]:
        """See `World.read`."""
        return response.aread()

    def close(self, response: Response) -> Awaitable[None]:
        """See `World.close`."""
        return response.aclose()

    async def drain(self, response: Response, limit: int) -> None:
        """See `World.drain`."""
        pieces: list[bytes] = []
        with contextlib.suppress(RequestError, StreamError):
            async for piece in response.aiter_raw():
                pieces.append(piece)
                limit -= len(piece)
                if limit < 0:
                    break
            else:
                response.keep(b"".join(pieces))
        await response.aclose()

    async def run_hook(self, hook: Callable[..., Any], argument: Request | Response) -> Any:
        """See `World.run_hook`."""
        answer = hook(argument)
        if not inspect.isawaitable(answer):
            raise TypeError(f"The event hook {hook!r} of an async client must be an async function.")
        return await answer

    def flow(self, auth: Auth, request: Request) -> AsyncFlow:
        """See `World.flow`."""
        return AsyncFlow(auth.async_auth_flow(request))

    def sleep(self, seconds: float) -> Awaitable[None]:
        """See `World.sleep`."""
        if "trio" in sys.modules:
            import anyio

            return anyio.sleep(seconds)
        return asyncio.sleep(seconds)

    def timed(self, response: Response, clock: Callable[[], float]) -> None:
        """See `World.timed`."""
        if not isinstance(response.stream, AsyncByteStream):
            raise RuntimeError("The transport of an async client gave a response with a blocking body.")
        response.stream = AsyncTimedStream(response.stream, clock)


class TimedStream(SyncByteStream):
    """A body that notes when it was closed."""

    def __init__(self, stream: SyncByteStream, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self.ended: float | None = None

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._stream)

    def close(self) -> None:
        """See `SyncByteStream.close`."""
        self.ended = self._clock()
        self._stream.close()


class AsyncTimedStream(AsyncByteStream):
    """A body that notes when it was closed."""

    def __init__(self, stream: AsyncByteStream, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self.ended: float | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._stream)

    async def aclose(self) -> None:
        """See `AsyncByteStream.aclose`."""
        self.ended = self._clock()
        await self._stream.aclose()
