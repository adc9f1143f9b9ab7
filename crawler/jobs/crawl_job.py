"""From the keys of a job to a crawl: its settings, its gate, and what it was when it was stopped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.fanout import Item, Politeness
from crawler.fanout.hosts import host_key
from crawler.jobs.crawl_schema import instant_of
from crawler.jobs.extract_job import extractor_of
from crawler.jobs.schema import JobFile
from crawler.spider.crawl import HOLD, Crawl, CrawlSettings
from crawler.spider.extract_pages import ExtractPages
from crawler.spider.gate import RobotsGate, RobotsSettings
from crawler.spider.resume import known_items
from crawler.spider.traps import TrapLimits

if TYPE_CHECKING:
    from crawler.fanout.pages import Processor


def crawl_settings(model: JobFile, now: datetime | None = None) -> CrawlSettings:
    """Say what a crawl follows."""
    crawl, sitemaps = model.crawl, model.sitemaps
    since = sitemaps.since
    return CrawlSettings(
        scope=crawl.scope,
        include=tuple(crawl.include),
        exclude=tuple(crawl.exclude),
        depth=crawl.depth,
        extra_hops=crawl.extra_hops,
        follow=tuple(crawl.follow),
        obey_nofollow=crawl.nofollow == "obey",
        max_pages=crawl.max_pages,
        max_pages_per_host=crawl.max_pages_per_host,
        traps=TrapLimits(crawl.max_url_length, crawl.max_query_params, crawl.max_repeat, crawl.max_per_template),
        order=crawl.order,
        normalizer=crawl.normalizer(),
        follow_redirects=model.redirects.follow,
        max_redirects=model.redirects.max,
        sitemaps=sitemaps.enabled,
        sitemap_since=None if since is None else instant_of(since, now or datetime.now(UTC)),
        max_sitemap_urls=sitemaps.max_urls,
        agent=model.robots.agent,
    )


def gate_of(model: JobFile, politeness: Politeness) -> RobotsGate | None:
    """Make the gate of robots.txt; `None` for a job that asks for none."""
    robots = model.robots
    if not robots.obey and not (model.kind == "crawl" and model.sitemaps.enabled):
        return None
    settings = RobotsSettings(robots.obey, robots.agent, robots.max_crawl_delay, robots.on_unavailable, robots.cache)
    rate = politeness.limits.rate
    domains = politeness.by == "registrable_domain"
    key_of = (lambda url: host_key(url, "registrable_domain")) if domains else None
    return RobotsGate(settings, pause=0.0 if rate is None else 1.0 / rate, key_of=key_of)


def crawl_of(
    model: JobFile,
    seeds: Iterable[Item],
    gate: RobotsGate | None,
    state_file: Path | None,
    testbed_url: str | None = None,
    *,
    is_limited: bool = True,
) -> Crawl:
    """Make the crawl of a job, as it was when it was stopped.

    Args:
        model: The checked job.
        seeds: Its requests, all of which are read.
        gate: Of the same run.
        state_file: The database of the run's state, if there may be one.
        testbed_url: What addresses that begin with `/` are put behind.
        is_limited: Keep to the budgets of pages; if false, somebody else does (`Crawl.spend`).
    """
    sitemaps = [_on_testbed(url, testbed_url) for url in model.sitemaps.urls]
    settings = crawl_settings(model)
    crawl = Crawl(
        settings if is_limited else replace(settings, max_pages=None, max_pages_per_host=None),
        seeds,
        sitemaps=sitemaps,
        extractor=extractor_of(model),
        gate=gate,
    )
    if state_file is not None and state_file.is_file():
        crawl.restore(known_items(state_file))
    return crawl


def held_of(model: JobFile) -> int | None:
    """Give the bytes of a body that links and items are taken from; `None` if nobody looks at bodies for these."""
    return HOLD if model.kind == "crawl" or model.extract else None


def extraction_of(model: JobFile) -> Processor | None:
    """Make what extracts, for a job that follows no links."""
    extractor = extractor_of(model)
    if extractor is None or model.kind == "crawl":
        return None
    return ExtractPages(extractor)


def _on_testbed(url: str, testbed_url: str | None) -> str:
    return f"{testbed_url or ''}{url}" if url.startswith("/") else url
