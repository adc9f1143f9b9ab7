"""Downloads: `/bytes/{n}`, `/range/{n}` with validators and ranges; `/stream-bytes/{n}` without a length; `/cut/{n}`.

The bytes are those of `content.py`. One range per request is served; a request for several gets the whole body, which
RFC 9110 §14.2 allows.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import Send

from crawler.testbed.conditional import LAST_MODIFIED, is_not_modified
from crawler.testbed.content import BLOCK, pieces
from crawler.testbed.exchange import BadRequest, whole_number
from crawler.testbed.memory import BoundedDict

MAX_BYTES: Final = 100 * 1024**3
"""The largest body: 100 GiB."""

_RANGE: Final = re.compile(r"bytes\s*=\s*(\d*)\s*-\s*(\d*)", re.IGNORECASE | re.ASCII)
_MEDIA_TYPE: Final = "application/octet-stream"


class RangeNotSatisfiable(Exception):
    """The range lies wholly behind the end: 416."""


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """Return the (start, stop) that a `Range` header asks for, or None where it is to be ignored.

    Ignored are other units, several ranges and nonsense (`bytes=5-2`). `stop` is the position after the last byte.

    Raises:
        RangeNotSatisfiable: The header is well formed and names no byte of the body.

    Source: RFC 9110 §14.1.2.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        suffix = int(match[2])
        if suffix == 0 or size == 0:
            raise RangeNotSatisfiable
        return max(0, size - suffix), size
    start = int(match[1])
    last = int(match[2]) if match[2] else size - 1
    if match[2] and last < start:
        return None
    if start >= size:
        raise RangeNotSatisfiable
    return start, min(last + 1, size)


def etag_of(n: int, seed: str) -> str:
    """Return the strong entity tag of `/bytes/{n}?seed={seed}`."""
    return f'"{n}-{hashlib.sha256(seed.encode()).hexdigest()[:16]}"'


def _may_use_range(request: Request, etag: str) -> bool:
    """Decide `If-Range`: strong comparison with the tag, or the exact date."""
    condition = request.headers.get("if-range")
    return condition is None or condition.strip() in (etag, LAST_MODIFIED)


class _Selection:
    """What one request gets: status, headers and the stretch of bytes."""

    def __init__(self, request: Request, n: int, seed: str) -> None:
        etag = etag_of(n, seed)
        self.seed = seed
        self.status = 200
        self.start, self.stop = 0, n
        self.headers = {"etag": etag, "last-modified": LAST_MODIFIED, "accept-ranges": "bytes"}
        if is_not_modified(request, etag):
            self.status, self.stop = 304, 0
            return
        header = request.headers.get("range") if request.method == "GET" else None
        if header is not None and _may_use_range(request, etag):
            self._apply(header, n)
        self.headers["content-type"] = _MEDIA_TYPE
        self.headers["content-length"] = str(self.stop - self.start)

    def _apply(self, header: str, n: int) -> None:
        try:
            stretch = parse_range(header, n)
        except RangeNotSatisfiable:
            self.status, self.stop = 416, 0
            self.headers["content-range"] = f"bytes */{n}"
            return
        if stretch is not None:
            self.status = 206
            self.start, self.stop = stretch
            self.headers["content-range"] = f"bytes {self.start}-{self.stop - 1}/{n}"

    def response(self, method: str) -> Response:
        if method == "HEAD" or self.stop - self.start == 0:
            return Response(b"", self.status, self.headers)
        if self.stop - self.start <= BLOCK:  # a plain answer costs no task group
            return Response(b"".join(pieces(self.start, self.stop, self.seed)), self.status, self.headers)
        return StreamingResponse(_stream(self.start, self.stop, self.seed), self.status, self.headers)


async def _stream(start: int, stop: int, seed: str) -> AsyncIterator[bytes]:
    for piece in pieces(start, stop, seed):
        yield piece


def _wanted(request: Request) -> tuple[int, str]:
    n: int = request.path_params["n"]
    if n > MAX_BYTES:
        raise BadRequest(f"at most {MAX_BYTES} bytes can be asked for, got {n}")
    return n, request.query_params.get("seed", "0")


async def _bytes(request: Request) -> Response:
    return _Selection(request, *_wanted(request)).response(request.method)


async def _stream_bytes(request: Request) -> Response:
    """The same bytes without `Content-Length`: chunked, or ended by the end of the stream."""
    n, seed = _wanted(request)
    return StreamingResponse(_stream(0, n, seed), media_type=_MEDIA_TYPE)


class _CutResponse(StreamingResponse):
    """Says the whole `Content-Length`, sends less and leaves; the server then closes the connection."""

    async def stream_response(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for piece in self.body_iterator:
            await send({"type": "http.response.body", "body": piece, "more_body": True})


class Cut:
    """`/cut/{n}?after=&times=&key=`: `/bytes/{n}`, but a key's first `times` requests break off after `after` bytes.

    With ranges it shows whether a download resumes. HTTP/1 only: the server under us has no way to reset one stream.
    """

    def __init__(self) -> None:
        self._counts: BoundedDict[int] = BoundedDict()

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        if request.scope["http_version"] == "2":
            raise BadRequest("/cut breaks off the connection and so works over HTTP/1 only")
        n, seed = _wanted(request)
        times = whole_number(request, "times", 1, 1_000_000)
        after = whole_number(request, "after", n // 2, MAX_BYTES)
        selection = _Selection(request, n, seed)
        key = f"{request.query_params.get('key', '')} {n} {seed}"
        count = self._counts.get(key, 0)
        is_whole = after >= selection.stop - selection.start
        if request.method == "HEAD" or selection.status not in (200, 206) or count >= times or is_whole:
            return selection.response(request.method)
        self._counts[key] = count + 1
        stream = _stream(selection.start, selection.start + after, seed)
        return _CutResponse(stream, selection.status, selection.headers)


def routes() -> list[BaseRoute]:
    """Return the routes of this file, with fresh counters."""
    return [
        Route("/bytes/{n:int}", _bytes),
        Route("/range/{n:int}", _bytes),
        Route("/stream-bytes/{n:int}", _stream_bytes),
        Route("/cut/{n:int}", Cut().handle),
    ]
