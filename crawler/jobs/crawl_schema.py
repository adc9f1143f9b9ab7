"""The keys of `crawl`, `robots` and `sitemaps`, as pydantic models."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel

from crawler.jobs.fields import Bool, Duration, Limit, OneOrMany, Reader, Text, choice, show, text, whole
from crawler.jobs.section import SECTION
from crawler.jobs.units import parse_duration
from crawler.spider.links import DEFAULT_SOURCES
from crawler.spider.normalize import Normalizer
from crawler.spider.traps import TrapLimits

_TRAPS = TrapLimits()
Texts = Annotated[list[Text], OneOrMany()]


def _parse_since(value: object) -> str:
    """A duration, or a date of ISO 8601; kept as text, as a duration counts back from each run."""
    if isinstance(value, datetime) or (value is not None and hasattr(value, "isoformat")):
        return str(value)
    try:
        parse_duration(value)
    except ValueError:
        if not isinstance(value, str):
            raise ValueError(f"expected a duration like 30d or a date like 2026-11-21, not {show(value)}") from None
        try:
            datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"expected a duration like 30d or a date like 2026-11-21, not {show(value)}") from None
    return str(value)


Since = Annotated[str, Reader(_parse_since, {"type": "string", "examples": ["30d", "2026-11-21"]}).or_null()]


class Normalize(BaseModel):
    """How URLs that are written in different ways become one."""

    model_config = SECTION

    sort_query: Bool = False
    """Order the parameters of the query."""
    drop_params: Texts = []
    """Globs of parameters to drop, like utm_*."""
    drop_fragment: Bool = True
    """Drop what follows #."""
    lowercase_path: Bool = False
    """Write paths in lower case, for servers that do not tell cases apart."""


class CrawlSection(BaseModel):
    """Which links a job of kind `crawl` follows."""

    model_config = SECTION

    scope: Annotated[
        Literal["page", "prefix", "host", "domain", "any"], choice("page", "prefix", "host", "domain", "any")
    ] = "host"
    """What belongs to the crawl: the given pages alone, what is below their folders, their hosts, their registrable
    domains, or everything."""
    depth: Annotated[int | None, whole(1, 10_000).or_null()] = 3
    """Links between the start and a page at most; null is no limit."""
    extra_hops: Annotated[int, whole(0, 10)] = 0
    """Links out of the scope that are followed one after the other."""
    include: Texts = []
    """Only URLs that match one of these patterns: globs, or re: and a regular expression."""
    exclude: Texts = []
    """No URLs that match one of these; wins over `include`."""
    follow: Texts = list(DEFAULT_SOURCES)
    """Where links stand: css@attribute, xpath:…, header:Link[rel=next], re:…"""
    nofollow: Annotated[Literal["obey", "ignore"], choice("obey", "ignore")] = "obey"
    """Keep to nofollow and noindex of links, pages and X-Robots-Tag."""
    max_pages: Annotated[int | None, whole(1).or_null()] = 100_000
    """Pages in all; null is no limit."""
    max_pages_per_host: Annotated[int | None, whole(1).or_null()] = 50_000
    """Pages of each host; null is no limit."""
    max_url_length: Annotated[int, whole(10, 65_536)] = _TRAPS.max_url_length
    """A longer URL is a trap."""
    max_query_params: Annotated[int, whole(0, 10_000)] = _TRAPS.max_query_params
    """A URL with more parameters is a trap."""
    max_repeat: Annotated[int, whole(1, 1000)] = _TRAPS.max_repeat
    """A URL in whose path one segment stands more often is a trap."""
    max_per_template: Annotated[int | None, whole(1).or_null()] = _TRAPS.max_per_template
    """Of URLs that differ in numbers and query values only, so many are fetched; null is no limit."""
    order: Annotated[Literal["bfs", "dfs", "priority"], choice("bfs", "dfs", "priority")] = "bfs"
    """Pages near the start first, far ones first, or by the priority of the start they came from."""
    normalize: Normalize = Normalize()

    def normalizer(self) -> Normalizer:
        """What brings URLs to one form."""
        own = self.normalize
        return Normalizer(own.sort_query, tuple(own.drop_params), own.drop_fragment, own.lowercase_path)


class Robots(BaseModel):
    """What is done about robots.txt."""

    model_config = SECTION

    obey: Bool = False
    """Keep to it; a crawl does unless it says otherwise."""
    agent: Annotated[str, text(100, r"[A-Za-z_-]+", "a robot's name is made of letters, - and _")] = "crawler"
    """Our name in it."""
    max_crawl_delay: Limit = 60.0
    """Longest interval kept between requests, whatever it asks for."""
    on_unavailable: Annotated[Literal["deny", "allow", "stale"], choice("deny", "allow", "stale")] = "deny"
    """What it means that it cannot be had: nothing may be fetched, anything may, or what an old copy says."""
    cache: Duration = 86_400.0
    """How long it counts."""


class Sitemaps(BaseModel):
    """Lists of pages that sites publish; for a job of kind `crawl`."""

    model_config = SECTION

    enabled: Bool = True
    """Look for them in robots.txt and at /sitemap.xml."""
    urls: Texts = []
    """Sitemaps to begin with."""
    since: Since | None = None
    """Leave out what has not changed since: a duration before now, or a date."""
    max_urls: Annotated[int, whole(1)] = 500_000
    """Pages taken from them at most."""


def instant_of(since: str, now: datetime) -> datetime:
    """Make an instant of what `sitemaps.since` says."""
    from datetime import timedelta

    try:
        return now - timedelta(seconds=parse_duration(since))
    except ValueError:
        found = datetime.fromisoformat(since)
        return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
