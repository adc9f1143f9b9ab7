"""The app by itself, without a server."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

import crawler.testbed
from crawler.testbed import App, app

Message = MutableMapping[str, Any]


async def call(target: App, method: str, path: str, pieces: list[bytes]) -> tuple[int, bytes]:
    """Send one request to the app; return status and body."""
    incoming = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    incoming.append({"type": "http.request", "body": b"", "more_body": False})
    sent: list[Message] = []

    async def receive() -> Message:
        return incoming.pop(0) if incoming else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"Host", b"t")],
        "client": ("192.0.2.1", 5),
        "server": ("t", 80),
    }
    await target(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


def test_the_app_runs_under_any_asgi_server() -> None:
    """A request by hand, in pieces, with a header name in mixed case, is echoed."""
    status, body = asyncio.run(call(app, "POST", "/post", [b"one ", b"two"]))
    assert status == 200
    assert b'"data":"one two"' in body
    assert b'"url":"http://t/post"' in body
    assert b'"Host":"t"' in body


def test_each_app_counts_for_itself() -> None:
    """State belongs to the instance: counters and keys of one are unknown to another."""
    first, second = App(), App()
    assert [asyncio.run(call(first, "GET", "/flaky", []))[0] for _ in range(3)] == [503, 503, 200]
    assert asyncio.run(call(second, "GET", "/flaky", []))[0] == 503
    assert (first.stats.requests, second.stats.requests, first.stats.in_flight) == (3, 1, 0)


def test_unknown_names_are_unknown() -> None:
    """The late names of the package do not hide a typing mistake."""
    with pytest.raises(AttributeError, match="no attribute 'ap'"):
        crawler.testbed.ap  # noqa: B018
