"""Crawls from a Python program.

async with crawler.crawl("https://example.com/", extract={"title": "h1::text"}) as pages:
    async for page in pages:
        print(page.status, page.url, page.items)
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crawler.fanout import (
    BodyPolicy,
    ClientOptions,
    Findings,
    HostLimits,
    Item,
    Page,
    Plan,
    Politeness,
    RetryPolicy,
    Run,
)
from crawler.fanout.completed import AsCompleted, Outbox
from crawler.fanout.fetch import HTTPClient
from crawler.fanout.pages import Unknown
from crawler.fanout.result import Result
from crawler.spider.crawl import HOLD, Crawl, CrawlSettings, Order
from crawler.spider.extraction import Extractor
from crawler.spider.gate import RobotsGate, RobotsSettings
from crawler.spider.links import DEFAULT_SOURCES
from crawler.spider.normalize import Normalizer
from crawler.spider.rules import rules_from
from crawler.spider.scope import Preset
from crawler.version import __version__

Rules = Mapping[str, Any] | Sequence[Mapping[str, Any]]


@dataclass(slots=True)
class CrawledPage:
    """One page of a crawl.

    Attributes:
        url: As asked for.
        status: HTTP status; `None` without a response.
        items: What was extracted from it.
        error_kind, error: Why it failed or was refused, if it did (`crawler.fanout.kinds`).
        depth: Links between it and the start.
        discovered_by: `seed`, `link`, `sitemap`, `redirect`.
        text: The page as text; "" without a response of less than 400.
        result: Timing, tries and the response; `None` for what was refused and never sent.
    """

    url: str
    status: int | None = None
    items: Sequence[Mapping[str, object]] = ()
    error_kind: str | None = None
    error: str | None = None
    depth: int | None = None
    discovered_by: str | None = None
    text: str = field(default="", repr=False)
    result: Result | None = field(default=None, repr=False)


class _Face:
    """Sits between a crawl and the engine, and hands over each page as it is settled: the engine asks the gate for the
    fields of every record, right when the record is made.
    """

    def __init__(self, crawl: Crawl, gate: RobotsGate | None, outbox: Outbox[CrawledPage]) -> None:
        self._crawl = crawl
        self._gate = gate
        self._outbox = outbox
        self._pages: dict[str, CrawledPage] = {}

    async def process(self, page: Page) -> Findings:
        """Have the page looked at, and remember what came of it."""
        from crawler.spider.crawl import document_of

        findings = await self._crawl.process(page)
        self._of(page.item).items = findings.rows
        self._of(page.item).text = document_of(page).text
        blocked = self._room()
        if blocked is not None:
            await blocked
        return findings

    def _of(self, item: Item) -> CrawledPage:
        page = self._pages.get(item.url)
        if page is None:
            page = self._pages[item.url] = CrawledPage(item.url, depth=item.depth, discovered_by=item.discovered_by)
        return page

    def _room(self) -> Awaitable[None] | None:
        """Something to wait for, if the consumer is slower than the crawl."""
        return self._outbox.wait_for_room()

    def attempt(self, result: Result, host: str) -> None:
        """An attempt ended; see `crawler.fanout.attempt_log.Observer`."""
        page = self._of(result.target.item)
        page.result, page.status = result, result.status

    def admit(self, item: Item) -> Exception | Unknown | None:
        """See `RobotsGate`."""
        return None if self._gate is None else self._gate.admit(item)

    async def prepare(self, item: Item, client: HTTPClient) -> None:
        """See `RobotsGate`."""
        if self._gate is not None:
            await self._gate.prepare(item, client)

    def interval(self, host: str) -> float | None:
        """See `RobotsGate`."""
        return None if self._gate is None else self._gate.interval(host)

    def fields(self, item: Item) -> Mapping[str, object]:
        """The record of an item is being made: its page is settled."""
        page = self._of(item)
        del self._pages[item.url]
        if page.result is not None:
            page.error_kind, page.error = page.result.error_kind, page.result.error_message
            page.items = () if page.error_kind is not None else page.items
        elif item.refused is not None:
            page.error_kind, page.error = item.refused
        elif isinstance(verdict := self.admit(item), Exception):
            page.error_kind, page.error = getattr(verdict, "kind", None), str(verdict)
        self._outbox.put(page)
        return {} if self._gate is None else self._gate.fields(item)


def crawl(
    start: str | Iterable[str],
    *,
    scope: Preset = "host",
    depth: int | None = 3,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    extract: Rules | None = None,
    follow: Sequence[str] = DEFAULT_SOURCES,
    max_pages: int | None = 10_000,
    order: Order = "bfs",
    normalize: Normalizer | None = None,
    robots: bool = True,
    sitemaps: bool = False,
    contact: str | None = None,
    concurrency: int = 16,
    per_host: HostLimits | None = None,
    retry: RetryPolicy | None = None,
    client: HTTPClient | None = None,
) -> AsCompleted[CrawledPage]:
    """Follow links and give each page as it comes, refused and failed ones too.

    Use it as a context manager wherever the loop may be left early; a slow consumer slows the crawl. Redirects are
    pages of their own. Nothing is kept on disk: a crawl that can be gone on with is a job of kind `crawl`.

    Args:
        start: Where it begins.
        scope, depth, include, exclude, follow, max_pages, order: As in a job (docs/crawling.md).
        extract: Rules in the words of a job; a mapping of names to CSS selectors or fields is one rule for all pages.
        normalize: How URLs are brought to one form.
        robots: Obey robots.txt.
        sitemaps: Read the sitemaps of the start's hosts.
        contact: E-mail or URL, told to servers in the User-Agent.
        concurrency: Requests on the wire at once.
        per_host: Limits of each host; default two at once, one per second.
        retry: When to try again; default three tries.
        client: Sends the requests, and stays open; it must not follow redirects by itself.

    Raises:
        ValueError: An expression or pattern does not compile (`crawler.spider.errors.BadExpression`).
    """
    settings = CrawlSettings(
        scope=scope,
        depth=depth,
        include=tuple(include),
        exclude=tuple(exclude),
        follow=tuple(follow),
        max_pages=max_pages,
        order=order,
        normalizer=normalize or Normalizer(),
        sitemaps=sitemaps,
    )
    extractor = None if extract is None else Extractor(rules_from(extract))
    limits = per_host or HostLimits(concurrency=2, rate=1.0)
    gate = None
    if robots or sitemaps:
        gate = RobotsGate(RobotsSettings(obey=robots), pause=1.0 / limits.rate if limits.rate else 0.0)
    seeds = [Item(url) for url in ([start] if isinstance(start, str) else start)]
    work = Crawl(settings, seeds, extractor=extractor, gate=gate)
    user_agent = f"crawler/{__version__}" + (f" (+{contact})" if contact else "")
    plan = Plan(
        "crawl",
        concurrency=concurrency,
        retry=retry or RetryPolicy(attempts=3),
        politeness=Politeness(limits=limits),
        follow_redirects=False,
        body=BodyPolicy(hold=HOLD, hash=False),
        client=ClientOptions(headers=(("User-Agent", user_agent),)),
    )

    async def run(outbox: Outbox[CrawledPage]) -> None:
        face = _Face(work, gate, outbox)
        await Run(plan, work.items(), face, gate=face, client=client, observers=[face]).execute()

    return AsCompleted(run, capacity=concurrency)
