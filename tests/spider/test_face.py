"""Crawls from a program."""

from __future__ import annotations

import pytest

import crawler
from crawler.errors import ConnectError
from crawler.fanout import HostLimits, RetryPolicy
from crawler.spider.errors import BadExpression
from tests.peers.sites import Answer, Site, links, redirect

FAST = HostLimits(concurrency=4)
ONCE = RetryPolicy(attempts=1)


def answer(url: str) -> Answer:
    """A small site, one part of which cannot be reached."""
    if url.endswith("/down"):
        raise ConnectError("refused")
    pages: dict[str, Answer] = {
        "http://h/robots.txt": "User-agent: *\nDisallow: /secret",
        "http://h/": "<h1>Home</h1>" + links("/a", "/moved", "/secret", "/gone", "/down", "http://other/"),
        "http://h/a": "<h1>A</h1>" + links("/"),
        "http://h/moved": redirect("/a"),
    }
    return pages.get(url)


@pytest.mark.anyio
async def test_every_page_comes_with_what_became_of_it() -> None:
    """Pages with their items, failures and refusals with their reasons, each once."""
    site = Site(answer)
    async with site.client() as client:
        pages = [
            page
            async for page in crawler.crawl(
                "http://h/", extract={"title": "h1::text"}, client=client, per_host=FAST, retry=ONCE
            )
        ]

    assert {page.url: (page.status, page.error_kind, [row["title"] for row in page.items]) for page in pages} == {
        "http://h/": (200, None, ["Home"]),
        "http://h/a": (200, None, ["A"]),
        "http://h/moved": (302, None, []),
        "http://h/secret": (None, "robots_denied", []),
        "http://h/gone": (404, "http_4xx", []),
        "http://h/down": (None, "connect_refused", []),
        "http://other/": (None, "out_of_scope", []),
    }
    assert len(pages) == 7
    home = next(page for page in pages if page.url == "http://h/")
    assert (home.depth, home.discovered_by) == (0, "seed")
    assert home.text.startswith("<h1>Home")
    assert home.result is not None
    assert home.result.attempts == 1


@pytest.mark.anyio
async def test_it_may_be_left_early() -> None:
    """Leaving the block ends a crawl of a site without end; a slow reader holds it up."""
    site = Site(lambda url: links(f"/{len(url)}x" + "y" * len(url)))
    async with site.client() as client:
        crawled = crawler.crawl("http://h/", depth=None, robots=False, client=client, per_host=FAST, concurrency=2)
        async with crawled as pages:
            async for page in pages:
                if page.depth == 5:
                    break

    assert sum(site.asked.values()) < 30


def test_what_does_not_compile_is_said_at_once() -> None:
    """A bad rule is an error of the call, not of the first page."""
    with pytest.raises(BadExpression):
        crawler.crawl("http://h/", extract={"title": "h1[["})
    with pytest.raises(ValueError, match="no regular expression"):
        crawler.crawl("http://h/", include=["re:("])
