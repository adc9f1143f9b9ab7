"""What the suites over the codecs share: each pair, and what was read as a value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import pytest

from crawler.errors import RemoteProtocolError
from crawler.wire import http1_h11, http1_llhttp, http2, http2_h2
from crawler.wire.http1 import LIMITS, Http1Limits, Http1Reader
from crawler.wire.http2_api import LIMITS as HTTP2_LIMITS
from crawler.wire.http2_api import Http2Connection, Http2Limits, Http2Stream

READERS: dict[str, Callable[[Http1Limits], Http1Reader]] = {
    "llhttp": http1_llhttp.Http1Reader,
    "h11": http1_h11.Http1Reader,
}


@dataclass(frozen=True)
class Reading:
    """What a reader made of one response; `refused` is the kind of the error, and then the rest is left empty."""

    status: int = 0
    reason: bytes = b""
    http_version: str = "HTTP/1.1"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    is_complete: bool = False
    can_reuse: bool = False
    trailers: tuple[tuple[bytes, bytes], ...] = ()
    leftover: bytes = b""
    refused: str | None = None


def read_http1(
    codec: str, method: str, pieces: Iterable[bytes], *, eof: bool = False, limits: Http1Limits = LIMITS
) -> Reading:
    """Read one response from pieces of bytes."""
    reader = READERS[codec](limits)
    reader.expect(method)
    try:
        for piece in pieces:
            reader.feed(piece)
        if eof:
            reader.feed_eof()
    except RemoteProtocolError as exc:
        return Reading(refused=exc.kind)
    return snapshot(reader)


def snapshot(reader: Http1Reader) -> Reading:
    """The state of a reader as a value; before the final head is whole there is nothing to compare but that."""
    return Reading(
        status=reader.status,
        reason=reader.reason if reader.status else b"",
        http_version=reader.http_version if reader.status else "HTTP/1.1",
        headers=tuple(reader.headers),
        body=b"".join(reader.body),
        is_complete=reader.is_complete,
        can_reuse=reader.can_reuse,
        trailers=tuple(reader.trailers),
        leftover=reader.leftover,
    )


ReadHttp1 = Callable[..., Reading]


@pytest.fixture(params=list(READERS))
def codec(request: pytest.FixtureRequest) -> str:
    """The name of each reader of the pair."""
    name: str = request.param
    return name


@pytest.fixture
def new_reader(codec: str) -> Callable[[], Http1Reader]:
    """Makes readers of the pair."""
    return lambda: READERS[codec](LIMITS)


@pytest.fixture(scope="session", name="read_http1")
def _read_http1() -> ReadHttp1:
    """The function above, since test modules cannot import this file."""
    return read_http1


@pytest.fixture(scope="session", name="snapshot")
def _snapshot() -> Callable[[Http1Reader], Reading]:
    """The function above, likewise."""
    return snapshot


# ---- HTTP/2

CONNECTIONS: dict[str, Callable[[Http2Limits], Http2Connection]] = {
    "lean": http2.Http2Connection,
    "h2": http2_h2.Http2Connection,
}


@dataclass(frozen=True)
class StreamReading:
    """What became of one stream."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    trailers: tuple[tuple[bytes, bytes], ...]
    is_complete: bool
    error: str | None
    is_unprocessed: bool


@dataclass(frozen=True)
class Http2Reading:
    """What a connection made of the bytes of a peer: its error, and every stream."""

    error: str | None
    is_draining: bool
    streams: tuple[StreamReading, ...]


def read_http2(
    codec: str, pieces: Iterable[bytes], *, methods: Sequence[str] = ("GET", "GET"), limits: Http2Limits = HTTP2_LIMITS
) -> Http2Reading:
    """Begin requests, then read what a peer sends, in pieces."""
    connection = CONNECTIONS[codec](limits)
    streams = [connection.request(method, b"https", b"example", b"/", []) for method in methods]
    connection.take_outgoing()
    try:
        for piece in pieces:
            connection.feed(piece)
    except RemoteProtocolError:
        assert connection.error is not None
        assert not connection.streams
        assert connection.take_outgoing()
    return Http2Reading(
        error=connection.error.kind if connection.error else None,
        is_draining=connection.is_draining,
        streams=tuple(_read_stream(stream) for stream in streams),
    )


def _read_stream(stream: Http2Stream) -> StreamReading:
    return StreamReading(
        status=stream.status,
        headers=tuple(stream.headers),
        body=b"".join(stream.body),
        trailers=tuple(stream.trailers),
        is_complete=stream.is_complete,
        error=stream.error.kind if stream.error else None,
        is_unprocessed=stream.is_unprocessed,
    )


@pytest.fixture(params=list(CONNECTIONS))
def http2_codec(request: pytest.FixtureRequest) -> str:
    """The name of each HTTP/2 connection of the pair."""
    name: str = request.param
    return name


@pytest.fixture
def new_connection(http2_codec: str) -> Callable[..., Http2Connection]:
    """Makes connections of the pair."""
    return lambda limits=HTTP2_LIMITS: CONNECTIONS[http2_codec](limits)


@pytest.fixture(scope="session", name="read_http2")
def _read_http2() -> Callable[..., Http2Reading]:
    """The function above, since test modules cannot import this file."""
    return read_http2
