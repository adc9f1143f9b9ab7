"""Redirects."""

from __future__ import annotations

from typing import Any

import pytest

Ask = Any  # the `Asker` of conftest.py


def test_each_hop_is_one_less(ask: Ask) -> None:
    """`/redirect/2` leads to `/redirect/1`, that to `/get`; `status` is carried along."""
    first = ask("/redirect/2?status=307", "POST", body=b"x")
    assert (first.status, first.headers["location"]) == (307, "/redirect/1?status=307")
    assert ask("/redirect/1").headers["location"] == "/get"
    assert ask("/relative-redirect/3").headers["location"] == "/relative-redirect/2"


def test_absolute_redirects_stay_on_the_host_that_was_named(ask: Ask) -> None:
    """The absolute form uses the request's own host."""
    assert ask("/absolute-redirect/2").headers["location"] == ask.bed.url + "/absolute-redirect/1"
    reply = ask("/absolute-redirect/1", headers={"Host": "other.test:81"})
    assert reply.headers["location"] == "http://other.test:81/get"


@pytest.mark.parametrize("url", ["/get?a=1&b=2", "http://127.0.0.1:1/x", "//h/p", "?q"])
def test_redirect_to(ask: Ask, url: str) -> None:
    """`/redirect-to` takes its URL as it is."""
    from urllib.parse import quote

    reply = ask(f"/redirect-to?status=308&url={quote(url, safe='')}")
    assert (reply.status, reply.headers["location"]) == (308, url)


def test_mistakes(ask: Ask) -> None:
    """No URL and a status that is no redirect are mistakes of the request."""
    assert ask("/redirect-to").status == 400
    assert ask("/redirect-to?url=/get&status=200").status == 400
    assert ask("/redirect/2?status=999").status == 400


def test_the_loop(ask: Ask) -> None:
    """`/redirect-loop` leads to itself."""
    assert ask("/redirect-loop").headers["location"] == "/redirect-loop"
