"""What the suites over the HTTP/1.1 readers share: the pair of readers, and a reading of one response as a value."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pytest

from crawler.errors import RemoteProtocolError
from crawler.wire import http1_h11, http1_llhttp
from crawler.wire.http1 import LIMITS, Http1Limits, Http1Reader

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
