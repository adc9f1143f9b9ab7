"""A crawl: what the engine's processor does with each page.

    page ─▶ redirect? ─▶ its target, in the place of the page
         ─▶ sitemap?  ─▶ the pages and sitemaps it lists
         ─▶ links, judged ─▶ more requests, refusals as records;  items ─▶ rows

Redirects are not followed by the client but found like links (`discovered_by: redirect`), so that each hop waits for
its own host, asks its own robots.txt, is judged by the scope and is fetched once, whoever else leads there. One that
starts at a seed takes the scope with it: `example.com` often is `www.example.org` in truth.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal

import anyio.lowlevel
import anyio.to_thread

from crawler.fanout.pages import Findings, Page
from crawler.fanout.plan import Item
from crawler.spider.document import Document
from crawler.spider.errors import RedirectLoop
from crawler.spider.extraction import Extractor
from crawler.spider.gate import RobotsGate, origin_of
from crawler.spider.judge import Judge, Verdict
from crawler.spider.links import DEFAULT_SOURCES, LinkFinder
from crawler.spider.normalize import Normalizer, absolute
from crawler.spider.reading import PageReader, Reading
from crawler.spider.scope import Preset, Scope
from crawler.spider.sitemaps import SitemapEntry, read_sitemap
from crawler.spider.traps import TrapLimits, Traps

if TYPE_CHECKING:
    from crawler.models import Response

Order = Literal["bfs", "dfs", "priority"]

MAX_SITEMAP_LEVEL: Final = 3
"""An index of indexes of sitemaps is read, no deeper."""

HOLD: Final = 50 * 1024 * 1024
"""Bytes of a body up to which it is looked at; as large as a sitemap may be."""

_LINKS_WITHOUT_TURN: Final = 50
_LINKS_PER_TURN: Final = 500  # judged before the event loop gets its turn: some 2 ms


@dataclass(frozen=True, slots=True)
class CrawlSettings:
    """What a crawl follows.

    Attributes:
        scope, include, exclude: See `crawler.spider.scope`.
        depth: Links between a seed and a page at most; `None` is no limit.
        extra_hops: Links out of the scope that may be followed one after the other.
        follow: Sources of links (`crawler.spider.links`).
        obey_nofollow: Keep to `nofollow` and `noindex` of links, pages and headers.
        max_pages, max_pages_per_host: Budgets; `None` is no limit.
        traps: See `TrapLimits`.
        order: `bfs` takes pages near the seeds first, `dfs` far ones, `priority` those of seeds with a high one.
        normalizer: How URLs are brought to one form.
        follow_redirects, max_redirects: Redirect rules.
        sitemaps: Look for sitemaps of the seeds' hosts.
        sitemap_since: Leave out what sitemaps say has not changed since.
        max_sitemap_urls: Pages taken from sitemaps at most.
        agent: Our name among robots.
    """

    scope: Preset = "host"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    depth: int | None = 3
    extra_hops: int = 0
    follow: tuple[str, ...] = DEFAULT_SOURCES
    obey_nofollow: bool = True
    max_pages: int | None = 100_000
    max_pages_per_host: int | None = 50_000
    traps: TrapLimits = field(default_factory=TrapLimits)
    order: Order = "bfs"
    normalizer: Normalizer = field(default_factory=Normalizer)
    follow_redirects: bool = True
    max_redirects: int = 10
    sitemaps: bool = True
    sitemap_since: datetime | None = None
    max_sitemap_urls: int = 500_000
    agent: str = "crawler"


class Crawl:
    """Follows links and takes items: the `Processor` of a crawl.

    Args:
        settings: See `CrawlSettings`.
        seeds: Where it begins, all of them; `items` gives them as the engine wants them.
        sitemaps: Sitemaps to begin with, besides.
        extractor: Makes items of pages.
        gate: Knows the sitemaps of hosts; give the same one to the engine.

    Raises:
        BadExpression: A pattern or source does not compile.

    Attributes:
        settings: As given.
        judge: What it thinks of links; `judge.counts` says why some were not followed.
    """

    def __init__(
        self,
        settings: CrawlSettings,
        seeds: Iterable[Item],
        *,
        sitemaps: Sequence[str] = (),
        extractor: Extractor | None = None,
        gate: RobotsGate | None = None,
    ) -> None:
        self.settings = settings
        scope = Scope(settings.scope, (), settings.include, settings.exclude)
        self.judge = Judge(
            scope, Traps(settings.traps), settings.normalizer, settings.max_pages, settings.max_pages_per_host
        )
        self._gate = gate
        self._reader = PageReader(LinkFinder(settings.follow), extractor, settings.agent)
        self._announced: set[str] = set()
        self._sitemap_urls = 0
        self._limiter: anyio.CapacityLimiter | None = None
        self._seeds = [self._seed(item) for item in seeds]
        self._seeds += [_sitemap_item(url, None, 0) for url in sitemaps]

    # -- the start ----------------------------------------------------------------------------------------------------

    def items(self) -> Iterator[Item]:
        """Give the seeds, as the engine wants them."""
        yield from self._seeds

    def _seed(self, item: Item) -> Item:
        normal = self.settings.normalizer.normalize(item.url)
        if normal is not None:
            item.url = normal
            self.judge.scope.add_seed(normal)
            self.judge.spend(normal)
            if self._gate is not None and self.settings.sitemaps and (origin := origin_of(normal)) is not None:
                self._gate.want_sitemaps(origin)
        item.depth = 0
        item.discovered_by = "seed"
        item.priority = self._priority(item.priority, 0)
        return item

    def spend(self, item: Item) -> bool:
        """Take a page from the budgets that another process has found; false if there is none left."""
        is_page = item.refused is None and _sitemap_level(item) is None
        return not is_page or self.judge.spend(item.url)

    def restore(self, items: Iterable[Item]) -> None:
        """Take up the count of pages and the scope from what an earlier run knew, seeds included."""
        self.judge.forget_pages()
        for item in items:
            if item.refused is not None or _sitemap_level(item) is not None:
                continue
            self.judge.count_page(item.url)
            if item.discovered_by == "redirect" and item.depth == 0:
                self.judge.scope.add_seed(item.url)
            if item.discovered_by == "sitemap":
                self._sitemap_urls += 1

    def told(self) -> dict[str, object]:
        """Say which links were not followed, and why; for the summary of the run."""
        counts = {name: n for name, n in self.judge.counts.items() if n}
        return {"not_followed": counts, "traps": dict(self.judge.traps.counts)}

    def _priority(self, parent: int, depth: int) -> int:
        if self.settings.order == "priority":
            return parent
        return -depth if self.settings.order == "bfs" else depth

    # -- pages --------------------------------------------------------------------------------------------------------

    async def process(self, page: Page) -> Findings:
        """Look at one page; see `crawler.fanout.pages.Processor`."""
        status = page.response.status_code
        if page.item.depth == 0 and page.item.discovered_by == "redirect":
            self.judge.scope.add_seed(page.item.url)  # another process may have found it
        announced = self._announce(page)
        if 300 <= status < 400:
            findings = self._redirect(page)
        elif (level := _sitemap_level(page.item)) is not None:
            findings = await self._sitemap(page, level)
        else:
            findings = await self._page(page)
        if announced:
            findings.found = [*announced, *findings.found]
        return findings

    def _announce(self, page: Page) -> list[Item]:
        """Give the sitemaps of a host, with the first page that comes from it."""
        if self._gate is None or not self.settings.sitemaps:
            return []
        origin = origin_of(page.item.url)
        if origin is None or origin in self._announced:
            return []
        self._announced.add(origin)
        return [_sitemap_item(url, page.id, 0) for url in self._gate.sitemaps(origin)]

    def _redirect(self, page: Page) -> Findings:
        location = page.response.headers.get("location")
        if location is None or not self.settings.follow_redirects:
            return Findings()
        item = page.item
        target = absolute(location, page.url)
        normal = None if target is None else self.settings.normalizer.normalize(target)
        if normal is None:
            self.judge.counts["not_http"] += 1
            return Findings()
        if normal == item.url:
            return Findings(error=RedirectLoop("the page redirects to itself"))
        hops = _int(item, "redirects") + 1
        child = self._child(page, normal, "redirect", item.depth or 0)
        child.memo = {"redirects": hops}
        if (level := _sitemap_level(item)) is not None:
            child.memo["sitemap"] = level
            return Findings([child])
        if hops > self.settings.max_redirects:
            child.refused = ("redirect_limit", f"more than {self.settings.max_redirects} redirects")
            return Findings([child])
        if item.depth == 0 and item.discovered_by in ("seed", "redirect"):
            self.judge.add_seed(normal)
            if self._gate is not None and self.settings.sitemaps and (origin := origin_of(normal)) is not None:
                self._gate.want_sitemaps(origin)
        given = self._give(page, self.judge.verdict(normal), child)
        return Findings([] if given is None else [given])

    async def _page(self, page: Page) -> Findings:
        reading = await self._reader.read(document_of(page))
        extraction = reading.extraction
        fields = fields_of(reading)
        rows = extraction.rows
        if reading.directives.noindex and self.settings.obey_nofollow:
            rows = ()
            fields.pop("items", None)
        if len(reading.links) <= _LINKS_WITHOUT_TURN:
            found = await self._follow(page, reading)
        else:
            async with self._reader.turn:
                found = await self._follow(page, reading)
        return Findings(found, rows, fields, extraction.failure)

    async def _follow(self, page: Page, reading: Reading) -> list[Item]:
        """Judge the links of a page."""
        judge, settings = self.judge, self.settings
        if reading.other_links:
            judge.counts["not_http"] += reading.other_links
        if reading.directives.nofollow and settings.obey_nofollow:
            judge.counts["nofollow"] += len(reading.links)
            return []
        depth = (page.item.depth or 0) + 1
        is_too_deep = settings.depth is not None and depth > settings.depth
        # A page that fails may be tried again, and must give its links again then.
        is_certain = reading.extraction.failure is None
        found: list[Item] = []
        ignores_rel = not settings.obey_nofollow
        duplicates = 0
        for number, (url, nofollow) in enumerate(reading.links.items(), 1):
            if not number % _LINKS_PER_TURN:
                await anyio.lowlevel.checkpoint()
            if (ignores_rel or not nofollow) and judge.is_given(url):
                duplicates += 1
                continue
            verdict = judge.verdict(url)
            if verdict.url is None:
                judge.counts["not_http"] += 1
            elif nofollow and settings.obey_nofollow:
                judge.counts["nofollow"] += 1
            elif verdict.is_given:  # under another spelling
                judge.counts["duplicate"] += 1
            elif is_too_deep and verdict.refused is None:
                judge.counts["depth"] += 1
            else:
                child = self._give(page, verdict, self._child(page, verdict.url, "link", depth), is_too_deep)
                if child is not None:
                    verdict.is_given = is_certain
                    found.append(child)
        if duplicates:
            judge.counts["duplicate"] += duplicates
        return found

    def _give(self, page: Page, verdict: Verdict, child: Item, is_too_deep: bool = False) -> Item | None:
        """Finish a request for a URL that was judged; `None` if it is only counted."""
        judge, refused = self.judge, verdict.refused
        if refused is not None:
            kind = refused[0]
            hops = _int(page.item, "hops") + 1
            if kind != "out_of_scope" or hops > self.settings.extra_hops or is_too_deep:
                judge.counts[kind] += 1
                verdict.is_given = True
                # With hops left another page may still lead there: its record must not be taken.
                if (kind == "out_of_scope" and self.settings.extra_hops) or not judge.may_record_refusal():
                    return None
                child.refused = refused
                return child
            if (trap := judge.traps.refusal(child.url)) is not None:
                judge.counts["trap"] += 1
                child.refused = ("trap", trap)
                return child
            child.memo = {**(child.memo or {}), "hops": hops}
        return child if judge.spend(child.url) else None

    def _child(self, page: Page, url: str, how: str, depth: int) -> Item:
        return Item(
            url,
            priority=self._priority(page.item.priority, depth),
            depth=depth,
            parent=page.id,
            discovered_by=how,
        )

    # -- sitemaps -----------------------------------------------------------------------------------------------------

    async def _sitemap(self, page: Page, level: int) -> Findings:
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(1)
        content_type = page.response.headers.get("content-type")
        entries = await anyio.to_thread.run_sync(_read_all, page.body, content_type, limiter=self._limiter)
        found: list[Item] = []
        for number, entry in enumerate(entries, 1):
            if not number % _LINKS_PER_TURN:
                await anyio.lowlevel.checkpoint()
            child = self._entry(page, entry, level)
            if child is not None:
                found.append(child)
        return Findings(found)

    def _entry(self, page: Page, entry: SitemapEntry, level: int) -> Item | None:
        settings, judge = self.settings, self.judge
        if settings.sitemap_since is not None and entry.is_older_than(settings.sitemap_since):
            judge.counts["lastmod"] += 1
            return None
        url = absolute(entry.url, page.url)
        verdict = None if url is None else judge.verdict(url)
        if verdict is None or verdict.url is None:
            judge.counts["not_http"] += 1
            return None
        if entry.kind == "sitemap":
            return _sitemap_item(verdict.url, page.id, level + 1) if level < MAX_SITEMAP_LEVEL else None
        if verdict.is_given:
            judge.counts["duplicate"] += 1
            return None
        if self._sitemap_urls >= settings.max_sitemap_urls:
            judge.counts["max_urls"] += 1
            return None
        child = self._give(page, verdict, self._child(page, verdict.url, "sitemap", 0))
        if child is not None:
            verdict.is_given = True
            self._sitemap_urls += child.refused is None
        return child


def _read_all(body: bytes, content_type: str | None) -> list[SitemapEntry]:
    return list(read_sitemap(body, content_type))


def _sitemap_item(url: str, parent: str | None, level: int) -> Item:
    """A sitemap to fetch, before the pages of its depth."""
    return Item(url, memo={"sitemap": level}, priority=1, depth=0, parent=parent, discovered_by="sitemap")


def _sitemap_level(item: Item) -> int | None:
    level = (item.memo or {}).get("sitemap")
    return level if isinstance(level, int) else None


def _int(item: Item, name: str) -> int:
    value = (item.memo or {}).get(name)
    return value if isinstance(value, int) else 0


def document_of(page: Page) -> Document:
    """A fetched page as a document."""
    response = page.response
    return Document(page.url, page.body, response.headers.get("content-type"), _headers(response))


def fields_of(reading: Reading) -> dict[str, object]:
    """What a page's record says of its reading."""
    fields: dict[str, object] = {}
    if reading.charset is not None:
        fields["charset"], fields["charset_source"] = reading.charset, reading.charset_source
    if reading.extraction.matched:
        fields["items"] = len(reading.extraction.rows)
        fields["extract_errors"] = list(reading.extraction.errors)
    return fields


def _headers(response: Response) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers.raw]
