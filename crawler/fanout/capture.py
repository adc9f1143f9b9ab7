"""What went over the wire, kept for archives: a client that looks over the shoulder of another.

The body is taken where it comes off the connection, before any content coding is undone, whatever then becomes of it:
pieces up to a limit stay in memory, larger bodies go to a temporary file. Heads are written from what the messages
hold: field names and values as they came, in their order. A transfer coding is undone by then, so its field gets
another name. Secrets of requests are masked.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from crawler.fanout.exchange import BODY_SUFFIX, Exchange, Hop
from crawler.models import URL, AsyncByteStream, Request, Response, SyncByteStream

if TYPE_CHECKING:
    from crawler.fanout.fetch import HTTPClient
    from crawler.fanout.result import Result

CAPTURE: Final = "crawler.capture"

_SECRET_FIELDS: Final = frozenset({b"authorization", b"cookie", b"proxy-authorization", b"x-api-key"})
_RENAMED: Final = frozenset({b"transfer-encoding"})
_UNARCHIVED: Final = "rate_limited"
"""Nobody wants the page that says "too many requests" in the place of a page."""


class Captured:
    """A body as it is received.

    Attributes:
        size: Bytes so far.
        is_whole: Whether it came to its end.
    """

    __slots__ = ("_file", "_folder", "_limit", "_path", "_pieces", "is_whole", "size")

    def __init__(self, limit: int, folder: Path) -> None:
        self._limit = limit
        self._folder = folder
        self._pieces: list[bytes] = []
        self._path: Path | None = None
        self._file = -1
        self.size = 0
        self.is_whole = False

    def take(self, piece: bytes) -> None:
        """Keep a piece."""
        self.size += len(piece)
        if self._file < 0:
            self._pieces.append(piece)
            if self.size <= self._limit or self._path is not None:
                return
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file, name = tempfile.mkstemp(BODY_SUFFIX, dir=self._folder)
            self._path = Path(name)
            piece = b"".join(self._pieces)
            self._pieces.clear()
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(self._file, rest) :]

    def end(self, *, is_whole: bool) -> None:
        """No more comes."""
        self.is_whole = self.is_whole or is_whole
        if self._file >= 0:
            fd, self._file = self._file, -1
            os.close(fd)

    def taken(self) -> bytes | Path:
        """Give what came."""
        return b"".join(self._pieces) if self._path is None else self._path

    def discard(self) -> None:
        """Nobody wants it."""
        self.end(is_whole=False)
        self._pieces.clear()
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()


class CapturingClient:
    """Sends by another client, and keeps bodies as they come.

    Args:
        client: Sends.
        memory_limit: Larger bodies go to files.
        folder: Where to.
    """

    def __init__(self, client: HTTPClient, memory_limit: int, folder: Path) -> None:
        self._client = client
        self._limit = memory_limit
        self._folder = folder

    def build_request(
        self, method: str, url: URL | str, *, headers: list[tuple[str, str]] | None = None, content: bytes | None = None
    ) -> Request:
        """Make a request with the client's own headers and settings."""
        return self._client.build_request(method, url, headers=headers, content=content)

    async def send(self, request: Request, **options: Any) -> Response:
        """Send a request; the body that is read from the response is kept as well."""
        response = await self._client.send(request, **options)
        if not response.is_closed and isinstance(response.stream, AsyncByteStream):
            captured = Captured(self._limit, self._folder)
            response.stream = _Tee(response.stream, captured)
            response.extensions[CAPTURE] = captured
        return response


class _Tee(AsyncByteStream):
    """A body that is kept while it is read."""

    def __init__(self, stream: AsyncByteStream, captured: Captured) -> None:
        self._stream = stream
        self._captured = captured

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _TeeReading(aiter(self._stream), self._captured)

    async def aclose(self) -> None:
        self._captured.end(is_whole=False)
        await self._stream.aclose()

    @property
    def ended(self) -> float | None:
        """When it ended, if the stream knows."""
        return getattr(self._stream, "ended", None)


class _TeeReading:
    """One reading of it; a class, as a half-consumed async generator is closed late."""

    def __init__(self, pieces: AsyncIterator[bytes], captured: Captured) -> None:
        self._pieces = pieces
        self._captured = captured

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            piece = await anext(self._pieces)
        except StopAsyncIteration:
            self._captured.end(is_whole=True)
            raise
        self._captured.take(piece)
        return piece

    async def aclose(self) -> None:
        """Let go of the source."""
        close = getattr(self._pieces, "aclose", None)
        if close is not None:
            await close()


def exchange_of(result: Result, epoch: float, mask: Callable[[str], str]) -> Exchange | None:
    """Give what went over the wire in the last attempt; `None` if nothing worth keeping came.

    Args:
        result: Of the request; its captured body is taken.
        epoch: What to add to a monotonic time to get seconds since 1970.
        mask: Replaces secrets in URLs.
    """
    response = result.response
    if response is None or result.error_kind == _UNARCHIVED:
        discard_capture(response)
        return None
    started = result.begun + epoch
    hops = [_hop(each, started, mask) for each in (*response.history, response)]
    return Exchange(hops, dict(_facts(result)))


def discard_capture(response: Response | None) -> None:
    """Remove what was kept of a response that nobody archives."""
    captured = None if response is None else response.extensions.get(CAPTURE)
    if captured is not None:
        captured.discard()


def _facts(result: Result) -> list[tuple[str, str]]:
    facts = [("fetchTimeMs", str(round(result.total * 1000)))]
    item = result.target.item
    if item.depth is not None:
        facts.append(("hopsFromSeed", str(item.depth)))
    if result.key is not None:
        facts.append(("key", " ".join(result.key.split())))
    return facts


def _hop(response: Response, started: float, mask: Callable[[str], str]) -> Hop:
    request = response.request
    body, is_cut = _body(response)
    timing = response.extensions.get("crawler.timing")
    return Hop(
        url=mask(str(request.url)),
        method=request.method,
        request=_request_head(request, mask) + _content(request),
        head=_response_head(response),
        body=body,
        size=len(body) if isinstance(body, bytes) else body.stat().st_size,
        started=started,
        remote_ip=None if timing is None else timing.remote_ip,
        protocol=response.http_version,
        is_cut=is_cut,
    )


def _body(response: Response) -> tuple[bytes | Path, bool]:
    captured: Captured | None = response.extensions.get(CAPTURE)
    if captured is not None:
        captured.end(is_whole=False)
        return captured.taken(), not captured.is_whole
    stream = response.stream
    if response.is_closed and isinstance(stream, SyncByteStream):
        with contextlib.suppress(Exception):  # a redirect's body that was passed over
            return b"".join(stream), False
    return b"", response.headers.get("content-length") not in (None, "0")


def _request_head(request: Request, mask: Callable[[str], str]) -> bytes:
    target = mask(request.url.raw_path.decode("ascii", "replace")).encode("ascii", "replace")
    lines = [b"%s %s HTTP/1.1" % (request.method.encode(), target)]
    lines += [
        name + b": " + (b"***" if name.lower() in _SECRET_FIELDS else mask(value.decode("latin-1")).encode("latin-1"))
        for name, value in request.headers.raw
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _content(request: Request) -> bytes:
    stream = request.stream
    return b"".join(stream) if request.can_replay and isinstance(stream, SyncByteStream) else b""


def _response_head(response: Response) -> bytes:
    status = f"HTTP/1.1 {response.status_code} {response.reason_phrase}".rstrip()
    lines = [status.encode("latin-1", "replace")]
    for name, value in response.raw_headers:
        lines.append((b"X-Archive-Orig-" + name if name.lower() in _RENAMED else name) + b": " + value)
    return b"\r\n".join(lines) + b"\r\n\r\n"
