"""Cookies."""

from __future__ import annotations

from typing import Any

Ask = Any  # the `Asker` of conftest.py


def test_cookies_are_shown(ask: Ask) -> None:
    """What came in `Cookie` is shown."""
    assert ask("/cookies", headers={"Cookie": "a=1; b=two"}).json() == {"cookies": {"a": "1", "b": "two"}}


def test_cookies_are_set(ask: Ask) -> None:
    """One `Set-Cookie` line per parameter, and a redirect to where they show."""
    reply = ask("/cookies/set?a=1&b=2")
    assert (reply.status, reply.headers["location"]) == (302, "/cookies")
    assert reply.headers.get_all("set-cookie") == ["a=1; Path=/", "b=2; Path=/"]


def test_cookies_are_deleted(ask: Ask) -> None:
    """Named ones, or else all that came, expire."""
    lines = ask("/cookies/delete?a", headers={"Cookie": "a=1; b=2"}).headers.get_all("set-cookie")
    assert lines == ["a=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/"]
    assert len(ask("/cookies/delete", headers={"Cookie": "x=1; y=2"}).headers.get_all("set-cookie")) == 2


def test_what_is_no_cookie_is_refused(ask: Ask) -> None:
    """A name or value that would change the line is a mistake of the request."""
    for query in ("a=1%3B%20Domain%3Dx", "a%3D=1", "a=%0d%0a", "=1"):
        assert ask(f"/cookies/set?{query}").status == 400
