"""Deprecated uses warn, and the warning names the caller's line."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

import crawler


def line() -> int:
    """The line of the caller."""
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


def mock() -> Any:
    """A transport for both clients."""
    return crawler.MockTransport(lambda request: crawler.Response(200, text=request.headers.get("Cookie", "")))


def check(caught: pytest.WarningsRecorder, number: int) -> None:
    """There is one warning, and it names that line of this file."""
    (warning,) = caught.list
    assert warning.filename == __file__
    assert warning.lineno == number


def test_cookies_of_a_request() -> None:
    """By a verb, by `request`, by `build_request` and by `stream`; they are sent, and forgotten."""
    with crawler.Client(transport=mock(), cookies={"a": "1"}) as client:
        with pytest.warns(DeprecationWarning, match="cookies") as caught:
            response, number = client.get("http://h/", cookies={"b": "2"}), line()
        check(caught, number)
        assert response.text == "a=1; b=2"
        assert dict(client.cookies) == {"a": "1"}
        with pytest.warns(DeprecationWarning, match="cookies") as caught:
            _, number = client.request("GET", "http://h/", cookies={"b": "2"}), line()
        check(caught, number)
        with pytest.warns(DeprecationWarning, match="cookies") as caught:
            _, number = client.build_request("GET", "http://h/", cookies={"b": "2"}), line()
        check(caught, number)
        opening = client.stream("GET", "http://h/", cookies={"b": "2"})
        with pytest.warns(DeprecationWarning, match="cookies") as caught:
            _, number = opening.__enter__(), line()
        check(caught, number)
        opening.__exit__(None, None, None)


def test_cookies_of_an_awaited_request() -> None:
    """The line that awaits."""

    async def main() -> None:
        async with crawler.AsyncClient(transport=mock()) as client:
            with pytest.warns(DeprecationWarning, match="cookies") as caught:
                _, number = await client.get("http://h/", cookies={"b": "2"}), line()
            check(caught, number)

    asyncio.run(main())


def test_content_as_data() -> None:
    """As a verb and as a bare request."""
    raw: Any = b"raw"
    with crawler.Client(transport=mock()) as client, pytest.warns(DeprecationWarning, match="content") as caught:
        _, number = client.post("http://h/", data=raw), line()
    check(caught, number)
    with pytest.warns(DeprecationWarning, match="content") as caught:
        _, number = crawler.Request("POST", "http://h/", data=raw), line()
    check(caught, number)
