"""Revalidation and headers at will."""

from __future__ import annotations

from typing import Any

import pytest

Ask = Any  # the `Asker` of conftest.py


def test_cache(ask: Ask) -> None:
    """200 with validators, 304 to a request that shows one of them."""
    first = ask("/cache")
    assert first.status == 200
    for headers in (
        {"If-None-Match": first.headers["etag"]},
        {"If-Modified-Since": first.headers["last-modified"]},
    ):
        reply = ask("/cache", headers=headers)
        assert (reply.status, reply.body) == (304, b"")


def test_cache_for(ask: Ask) -> None:
    """`/cache/{seconds}` says how long it is fresh."""
    assert ask("/cache/60").headers["cache-control"] == "public, max-age=60"


def test_etag(ask: Ask) -> None:
    """The tag of the path decides both preconditions; If-Match compares strongly."""
    assert ask("/etag/v1").headers["etag"] == '"v1"'
    assert ask("/etag/v1", headers={"If-None-Match": '"v1"'}).status == 304
    assert ask("/etag/v1", "PUT", headers={"If-Match": '"v1"'}).status == 200
    assert ask("/etag/v1", "PUT", headers={"If-Match": '"v2"'}).status == 412
    assert ask("/etag/v1", "PUT", headers={"If-Match": 'W/"v1"'}).status == 412
    assert ask("/etag/a%22b").status == 400


def test_response_headers(ask: Ask) -> None:
    """Lines as told, in order and repeated."""
    reply = ask("/response-headers?X-A=1&X-A=2&Set-Cookie=k%3Dv%3B%20Secure&Content-Type=text/x&X-U=%C3%BC")
    assert reply.headers.get_all("x-a") == ["1", "2"]
    assert reply.headers["set-cookie"] == "k=v; Secure"
    assert reply.headers.get_all("content-type") == ["text/x"]
    assert reply.headers["x-u"] == "ü"


@pytest.mark.parametrize("query", ["Content-Length=5", "Transfer-Encoding=chunked", "a%20b=1", "x=a%0d%0ab", "x=%20a"])
def test_response_headers_cannot_break_the_message(ask: Ask, query: str) -> None:
    """Framing and line ends are refused."""
    assert ask(f"/response-headers?{query}").status == 400
