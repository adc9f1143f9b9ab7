"""Which codecs are in use: the fast ones, or with `CRAWLER_CODECS=reference` in the environment the reference ones.

The choice is made at the first connection and stays; libraries are imported then, not before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from crawler.wire.http1 import Http1Reader
from crawler.wire.http2_api import LIMITS, Http2Connection, Http2Limits

ENVIRONMENT_VARIABLE: Final = "CRAWLER_CODECS"

_http1: Callable[[], Http1Reader] | None = None
_http2: Callable[[Http2Limits], Http2Connection] | None = None


def http1_reader() -> Http1Reader:
    """A reader for a new HTTP/1.1 connection.

    Raises:
        ValueError: `CRAWLER_CODECS` is set to something else than `fast` or `reference`.
    """
    global _http1
    if _http1 is None:
        _http1 = _choose_http1()
    return _http1()


def http2_connection(limits: Http2Limits = LIMITS) -> Http2Connection:
    """The client's side of a new HTTP/2 connection; its preface is in `take_outgoing()`.

    Args:
        limits: Bounds of what the peer may do.

    Raises:
        ValueError: `CRAWLER_CODECS` is set to something else than `fast` or `reference`.
    """
    global _http2
    if _http2 is None:
        _http2 = _choose_http2()
    return _http2(limits)


def uses_reference() -> bool:
    """Whether the environment asks for the reference codecs.

    Raises:
        ValueError: `CRAWLER_CODECS` is set to something else than `fast` or `reference`.
    """
    import os

    wanted = os.environ.get(ENVIRONMENT_VARIABLE, "") or "fast"
    if wanted not in ("fast", "reference"):
        raise ValueError(f"expected {ENVIRONMENT_VARIABLE} to be 'fast' or 'reference', got {wanted!r}")
    return wanted == "reference"


def _choose_http1() -> Callable[[], Http1Reader]:
    if uses_reference():
        from crawler.wire import http1_h11

        return http1_h11.Http1Reader
    from crawler.wire import http1_llhttp

    return http1_llhttp.Http1Reader


def _choose_http2() -> Callable[[Http2Limits], Http2Connection]:
    if uses_reference():
        from crawler.wire import http2_h2

        return http2_h2.Http2Connection
    from crawler.wire import http2

    return http2.Http2Connection
