"""Statuses and time: `/status/{n}`, `/delay/{duration}`, `/stream/{n}`, `/drip`, `/sse`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from crawler.testbed.echo import ALL_METHODS, echo
from crawler.testbed.exchange import BadRequest, duration, header_value, pause, whole_number

MAX_LINES: Final = 1_000_000
MAX_DRIP_BYTES: Final = 10 * 1024 * 1024
_NO_BODY: Final = frozenset({204, 205, 304})
_TO_LOCATION: Final = frozenset({301, 302, 303, 307, 308})


async def _status(request: Request) -> Response:
    """Answer with the status of the path; `?retry_after=` adds that header, any text."""
    status: int = request.path_params["n"]
    if not 200 <= status <= 999:
        raise BadRequest(f"expected a final status from 200 to 999, got {status}")
    headers = {}
    if status in _TO_LOCATION:
        headers["location"] = "/get"
    if status == 401:
        headers["www-authenticate"] = 'Basic realm="testbed"'
    if (retry_after := request.query_params.get("retry_after")) is not None:
        headers["retry-after"] = header_value(retry_after)
    if status in _NO_BODY:
        return Response(b"", status, headers)
    phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Unknown"
    return Response(f"{status} {phrase}\n", status, headers, "text/plain")


async def _delay(request: Request) -> Response:
    """Wait, then echo."""
    await pause(request, duration(request.path_params["duration"]))
    return echo(request)


async def _stream(request: Request) -> Response:
    """Answer with `n` lines of JSON, without a length; `?delay=` waits before each."""
    n: int = min(request.path_params["n"], MAX_LINES)
    pause_s = duration(request.query_params.get("delay", "0"))

    async def lines() -> AsyncIterator[bytes]:
        for number in range(n):
            if pause_s:
                await asyncio.sleep(pause_s)
            yield orjson.dumps({"id": number, "url": str(request.url)}, option=orjson.OPT_APPEND_NEWLINE)

    return StreamingResponse(lines(), media_type="application/x-ndjson")


async def _drip(request: Request) -> Response:
    """After `delay`, send `numbytes` asterisks one by one over `duration`; the length is announced."""
    n = whole_number(request, "numbytes", 10, MAX_DRIP_BYTES)
    over = duration(request.query_params.get("duration", "2"))
    status = whole_number(request, "code", 200, 599, minimum=200)
    await pause(request, duration(request.query_params.get("delay", "0")))
    pause_s = over / n if n else 0.0

    async def drops() -> AsyncIterator[bytes]:
        for _ in range(n):
            yield b"*"
            await asyncio.sleep(pause_s)

    headers = {"content-length": str(n)}
    return StreamingResponse(drops(), status, headers, media_type="application/octet-stream")


async def _sse(request: Request) -> Response:
    """Send `n` server-sent events (default 5), `delay` apart, with ids 1 to n.

    A `Last-Event-ID` header continues after that id. Every third event has data of two lines; the last one has the type
    `done`; a comment stands first.
    """
    n = whole_number(request, "n", 5, MAX_LINES)
    pause_s = duration(request.query_params.get("delay", "0"))
    last_id = request.headers.get("last-event-id", "0")
    first = int(last_id) + 1 if last_id.isascii() and last_id.isdigit() else 1

    async def events() -> AsyncIterator[str]:
        yield ": testbed\nretry: 100\n\n"
        for number in range(first, n + 1):
            if pause_s:
                await asyncio.sleep(pause_s)
            kind = "event: done\n" if number == n else ""
            second_line = "data: second line\n" if number % 3 == 0 else ""
            yield f'id: {number}\n{kind}data: {{"n": {number}}}\n{second_line}\n'

    headers = {"cache-control": "no-store"}
    return StreamingResponse(events(), headers=headers, media_type="text/event-stream")


def routes() -> list[BaseRoute]:
    """Return the routes of this file."""
    return [
        Route("/status/{n:int}", _status, methods=ALL_METHODS),
        Route("/delay/{duration}", _delay, methods=ALL_METHODS),
        Route("/stream/{n:int}", _stream),
        Route("/drip", _drip),
        Route("/sse", _sse),
    ]
