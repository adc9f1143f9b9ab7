"""One exchange for a request that is traced: the same as for any other, with its steps told to the callback.

    send_request_headers ─▶ send_request_body ─▶ receive_response_headers ─▶ receive_response_body ─▶ response_closed

The prefix is `http11.`, or `http2.` on such a connection. What is sent leaves in as few writes as possible, within the
step that awaits the head of the response: the two steps of sending are told when it begins.

Requests that nobody traces never come here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Generic, TypeVar

from crawler.models import AsyncByteStream, Request, Response, SyncByteStream
from crawler.net.blocking import run_blocking
from crawler.net.pool import Connection, Pool
from crawler.net.trace import Step, Trace

S = TypeVar("S", SyncByteStream, AsyncByteStream)


async def traced_exchange(pool: Pool, connection: Connection, request: Request) -> Response:
    """Do one exchange over `connection`, leased from `pool`; the response streams, so that its body can be traced too.

    Raises:
        TransportError: As `Connection.exchange`.
    """
    trace = Trace(request)
    prefix = "http2." if connection.is_shared else "http11."
    try:
        for name in ("send_request_headers", "send_request_body"):
            async with trace.step(prefix + name, request=request):
                pass
        step = trace.step(f"{prefix}receive_response_headers", request=request)
        await step.__aenter__()
    except BaseException:  # of the callback; nothing has happened on the connection
        pool.release(connection)
        raise
    try:
        response = await connection.exchange(request, whole=False)
    except BaseException as exc:
        await step.__aexit__(type(exc), exc, None)
        raise
    version = response.extensions.get("http_version", b"HTTP/1.1")
    reason = response.extensions.get("reason_phrase", b"")
    step.value = (version, response.status_code, reason, response.raw_headers)
    await step.__aexit__(None, None, None)
    receiving = trace.step(f"{prefix}receive_response_body", request=request)
    closing = trace.step(f"{prefix}response_closed", request=request)
    body = response.stream
    if isinstance(body, AsyncByteStream):
        response.stream = AsyncTracedBody(body, receiving, closing)
    else:
        response.stream = TracedBody(body, receiving, closing)
    return response


class _Traced(Generic[S]):
    """What both faces share: the body, and its two steps, each of which happens once."""

    def __init__(self, body: S, receiving: Step, closing: Step) -> None:
        self._body: S = body
        self._receiving = receiving
        self._closing: Step | None = closing
        self._is_receiving = False

    @property
    def ended(self) -> float | None:
        """When the body ended: monotonic seconds; 0 or None before."""
        ended: float | None = getattr(self._body, "ended", None)
        return ended

    async def _begin(self) -> None:
        if not self._is_receiving:
            self._is_receiving = True
            await self._receiving.__aenter__()

    async def _end(self, exc: BaseException | None = None) -> None:
        if self._is_receiving:
            await self._receiving.__aexit__(None if exc is None else type(exc), exc, None)


class TracedBody(_Traced[SyncByteStream], SyncByteStream):
    """A body of the blocking client, traced."""

    def __iter__(self) -> Iterator[bytes]:
        run_blocking(self._begin())
        try:
            yield from self._body
        except BaseException as exc:
            run_blocking(self._end(exc))
            raise
        run_blocking(self._end())

    def close(self) -> None:
        """See `SyncByteStream.close`."""
        closing, self._closing = self._closing, None
        if closing is not None:
            run_blocking(self._close(closing))

    async def _close(self, closing: Step) -> None:
        try:
            async with closing:
                self._body.close()
        finally:  # also if the callback fails
            self._body.close()


class AsyncTracedBody(_Traced[AsyncByteStream], AsyncByteStream):
    """A body of the async client, traced."""

    _pieces: AsyncIterator[bytes] | None = None

    def __aiter__(self) -> AsyncTracedBody:
        return self

    async def __anext__(self) -> bytes:
        if self._pieces is None:
            self._pieces = aiter(self._body)
            await self._begin()
        try:
            return await anext(self._pieces)
        except StopAsyncIteration:
            await self._end()
            raise
        except BaseException as exc:
            await self._end(exc)
            raise

    async def aclose(self) -> None:
        """See `AsyncByteStream.aclose`."""
        closing, self._closing = self._closing, None
        if closing is not None:
            try:
                async with closing:
                    await self._body.aclose()
            finally:
                await self._body.aclose()
