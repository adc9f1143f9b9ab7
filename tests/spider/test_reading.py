"""Reading pages beside the event loop."""

from __future__ import annotations

import threading

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.spider import reading
from crawler.spider.document import Document
from crawler.spider.errors import BadPayload, SelectorTimeout
from crawler.spider.extraction import Extractor
from crawler.spider.links import Link, LinkFinder
from crawler.spider.normalize import absolute
from crawler.spider.reading import INLINE_SIZE, PageReader, absolute_links
from crawler.spider.rules import rules_from


def page(html: str) -> Document:
    """A page of markup."""
    return Document("http://h/d/e", html.encode(), "text/html; charset=utf-8")


@given(
    st.lists(
        st.sampled_from(["/a", "/a/../b", "//c/d", "e?f#g", "http://h/x", "HTTP://H/x", "/ü", "/%7e", "#t", "x:y"])
    )
)
def test_the_quick_way_agrees(hrefs: list[str]) -> None:
    """Links that are taken as they are, are what resolving them would give."""
    found, _ = absolute_links([Link(href) for href in hrefs], "http://h/d/e")

    resolved = [absolute(href, "http://h/d/e") for href in hrefs if not href.startswith("#")]
    assert list(found) == list(dict.fromkeys(url.partition("#")[0] for url in resolved if url is not None))


def test_a_link_that_may_be_followed_once_may_be_followed() -> None:
    """Of two links to one URL, the one without `nofollow` counts; other schemes are counted."""
    links = [Link("/a", True), Link("/b", True), Link("/a", False), Link("/a", True), Link("mailto:x")]

    assert absolute_links(links, "http://h/") == ({"http://h/a": False, "http://h/b": True}, 1)


@pytest.mark.anyio
async def test_large_pages_are_read_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pages are read where the loop runs, large ones beside it."""
    threads: list[bool] = []
    reader = PageReader(LinkFinder(), None)
    read_now = reader.read_now

    def note(document: Document, seconds: float) -> object:
        threads.append(threading.current_thread() is threading.main_thread())
        return read_now(document, seconds)

    monkeypatch.setattr(reader, "read_now", note)
    small = await reader.read(page("<a href=x>"))
    large = await reader.read(page("<a href=x>" + " " * INLINE_SIZE))

    assert small.links == large.links == {"http://h/d/x": False}
    assert threads == [True, False]
    assert small.charset == "utf-8"


@pytest.mark.anyio
async def test_what_takes_long_is_read_again_beside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """An expression that runs away on a small page fails that page, and holds up nobody meanwhile."""
    monkeypatch.setattr(reading, "PAGE_SECONDS", 0.3)
    extractor = Extractor(rules_from({"x": {"regex": r"^http://h/(\w|\w\w|\w+)*-$"}}))
    reader = PageReader(None, extractor)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await anyio.sleep(0.01)
            ticks += 1

    async with anyio.create_task_group() as group:
        group.start_soon(tick)
        got = await reader.read(Document("http://h/", b"http://h/" + b"a" * 200, "text/plain"))
        group.cancel_scope.cancel()

    assert isinstance(got.extraction.failure, SelectorTimeout)
    assert ticks, "the loop went on"


@pytest.mark.anyio
async def test_a_page_that_cannot_be_parsed_is_a_bad_payload() -> None:
    """Elements without end within each other fail the page."""
    got = await PageReader(LinkFinder(), None).read(page("<div>" * 10_000))

    assert isinstance(got.extraction.failure, BadPayload)
    assert not got.links
