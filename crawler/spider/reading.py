"""One page read for all that a crawl wants of it: its links, its items, what it asks of robots. Pure; may be slow.

A page is read in the event loop if it is small, and in a thread if it is large: lexbor, lxml and the regular
expressions let other threads go on meanwhile. What looks small and takes long all the same (an expression that runs
away) is given up after five milliseconds and read again in a thread, where it has its full time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import anyio
import anyio.to_thread

from crawler.models import URL
from crawler.spider.document import Document
from crawler.spider.errors import BadPayload, SelectorTimeout
from crawler.spider.extraction import PAGE_SECONDS, Extraction, Extractor
from crawler.spider.links import Link, LinkFinder
from crawler.spider.normalize import PLAIN_TARGET, absolute
from crawler.spider.structured import Directives, directives
from crawler.spider.yielding import yielding_threads

INLINE_SIZE: Final = 32 * 1024
"""Bytes of a page up to which it is read in the event loop: some 3 ms at most."""

TINY_SIZE: Final = 4 * 1024
"""Bytes up to which a page needs no turn of its own: some 0.2 ms."""

INLINE_SECONDS: Final = 0.005
"""Time that expressions may take there."""

THREADS: Final = 2
"""Pages read in threads at once, per reader; more would only take turns at Python's one lock."""

_PLAIN_URL = re.compile(r"https?://[a-z0-9][a-z0-9.-]*(?::[0-9]+)?(?=/)", re.ASCII).match


@dataclass(slots=True)
class Reading:
    """What a page holds.

    Attributes:
        links: Absolute http(s) URLs it links to, to whether each such link is one not to follow.
        other_links: Links of other schemes, and those that are no URL.
        directives: What it asks of robots.
        extraction: Its items.
        charset, charset_source: How it was decoded, if it was.
    """

    links: Mapping[str, bool] = field(default_factory=dict)
    other_links: int = 0
    directives: Directives = field(default_factory=Directives)
    extraction: Extraction = field(default_factory=Extraction)
    charset: str | None = None
    charset_source: str | None = None


class PageReader:
    """Reads pages.

    Args:
        finder: Finds links; `None` looks for none.
        extractor: Makes items; `None` makes none.
        agent: Our name among robots.

    Attributes:
        turn: Held by whoever keeps the event loop busy for milliseconds: when many responses come at once, the loop
            gets its turn between any two of these.
    """

    def __init__(self, finder: LinkFinder | None, extractor: Extractor | None, agent: str = "crawler") -> None:
        self._finder = finder
        self._extractor = extractor
        self._agent = agent
        self._limiter: anyio.CapacityLimiter | None = None
        self.turn = anyio.Lock(fast_acquire=True)

    async def read(self, document: Document) -> Reading:
        """Read a page without holding up the event loop."""
        try:
            if len(document.body) <= TINY_SIZE:
                return self.read_now(document, INLINE_SECONDS)
            if len(document.body) <= INLINE_SIZE:
                async with self.turn:
                    return self.read_now(document, INLINE_SECONDS)
        except SelectorTimeout:
            pass
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(THREADS)
        with yielding_threads():
            return await anyio.to_thread.run_sync(self._read_patiently, document, limiter=self._limiter)

    def _read_patiently(self, document: Document) -> Reading:
        try:
            return self.read_now(document, PAGE_SECONDS)
        except SelectorTimeout as error:
            return Reading(extraction=Extraction(failure=error, matched=True))

    def read_now(self, document: Document, seconds: float) -> Reading:
        """Read a page here and now.

        Raises:
            SelectorTimeout: Its expressions took longer than `seconds`.
        """
        reading = Reading()
        try:
            if self._finder is not None:
                reading.directives = directives(document, self._agent)
                links = self._finder.find(document, seconds=seconds)
                reading.links, reading.other_links = absolute_links(links, document.base)
            if self._extractor is not None:
                reading.extraction = self._extractor.extract(document, seconds=seconds)
        except BadPayload as error:
            reading.extraction = Extraction(failure=error, matched=True)
        if "text" in document.__dict__:  # it was decoded
            reading.charset, reading.charset_source = document.charset
        return reading


def absolute_links(links: Iterable[Link], base: str) -> tuple[dict[str, bool], int]:
    """Make links absolute, each once; one that may be followed somewhere may be followed.

    Returns:
        URL → whether it is not to be followed, in the order of the page; and how many were no http(s) URLs.
    """
    url = URL(base)
    prefix = f"{url.scheme}://{url.origin.netloc.decode('ascii')}"
    found: dict[str, bool] = {}
    others = 0
    for href, nofollow in links:
        link: str | None
        # Most links are a plain path, or a plain URL: no need to parse them (0.4 µs against 15).
        if href[:1] == "/" and href[1:2] != "/" and "/." not in href and PLAIN_TARGET(href):
            link = prefix + href
        elif (start := _PLAIN_URL(href)) is not None and "/." not in href and PLAIN_TARGET(href, start.end()):
            link = href
        else:
            if href[:1] == "#":
                continue
            link = absolute(href, base)
            if link is None:
                others += 1
                continue
            link = link.partition("#")[0]
        if link not in found or not nofollow:
            found[link] = nofollow
    return found, others
