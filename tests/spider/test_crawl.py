"""Crawls: which pages come, in which order, what is refused and why; over a site in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from crawler.fanout import BodyPolicy, Findings, Item, Output, Page, Plan, Run
from crawler.models import Response
from crawler.spider.crawl import HOLD, Crawl, CrawlSettings
from crawler.spider.extraction import Extractor
from crawler.spider.gate import RobotsGate, RobotsSettings
from crawler.spider.normalize import Normalizer
from crawler.spider.rules import rules_from
from crawler.spider.traps import TrapLimits
from tests.peers.sites import Answer, Site, links, redirect

Records = dict[str, dict[str, Any]]


async def crawl(
    folder: Path,
    site: Site | Mapping[str, Answer] | Callable[[str], Answer],
    settings: CrawlSettings | None = None,
    *,
    seeds: tuple[str, ...] = ("http://h/",),
    extract: Any = None,
    robots: bool = False,
    sitemaps: tuple[str, ...] = (),
    **plan: Any,
) -> tuple[Records, Crawl]:
    """Crawl a site; the records by URL, and the crawl."""
    settings = settings or CrawlSettings()
    gate = RobotsGate(RobotsSettings(obey=robots)) if robots else None
    extractor = None if extract is None else Extractor(rules_from(extract))
    work = Crawl(settings, [Item(seed) for seed in seeds], extractor=extractor, gate=gate, sitemaps=sitemaps)
    outputs = (Output(folder / "r.jsonl"), Output(folder / "i.jsonl", records="items"))
    site = site if isinstance(site, Site) else Site(site)
    async with site.client() as client:
        made = Plan("c", outputs=outputs, follow_redirects=False, body=BodyPolicy(hold=HOLD), **plan)
        await Run(made, work.items(), work, client=client, gate=gate).execute()
    records = [json.loads(line) for line in (folder / "r.jsonl").read_bytes().splitlines()]
    by_url = {record["url"]: record for record in records}
    assert len(by_url) == len(records), "one record per URL"
    return by_url, work


def items(folder: Path) -> list[dict[str, Any]]:
    """All items."""
    return [json.loads(line) for line in (folder / "i.jsonl").read_bytes().splitlines()]


def outcome(record: dict[str, Any]) -> object:
    """The status of a page, or why there is none."""
    return record["error"]["kind"] if record["error"] else record["status"]


SITE: dict[str, Answer] = {
    "http://h/": links("/a", "b?utm_source=x", "http://other/", "mailto:x", "#top", "/gone"),
    "http://h/a": links("/", "/a", "/deep/1", "/b"),
    "http://h/b": links("/c"),
    "http://h/c": links("/d"),
    "http://h/d": links("/e"),
    "http://h/deep/1": links("../deep/2"),
}


@pytest.mark.anyio
async def test_pages_their_depth_and_where_they_were_found(tmp_path: Path) -> None:
    """Each page comes once, with its depth and parent; what lies deeper is counted, what is outside is recorded."""
    settings = CrawlSettings(normalizer=Normalizer(drop_params=("utm_*",)))

    records, work = await crawl(tmp_path, SITE, settings)

    assert {url: (outcome(record), record["depth"]) for url, record in records.items()} == {
        "http://h/": (200, 0),
        "http://h/a": (200, 1),
        "http://h/b": (200, 1),
        "http://h/gone": ("http_4xx", 1),
        "http://other/": ("out_of_scope", 1),
        "http://h/deep/1": (200, 2),
        "http://h/c": (200, 2),
        "http://h/deep/2": ("http_4xx", 3),
        "http://h/d": (200, 3),
    }
    assert records["http://h/"]["discovered_by"] == "seed"
    assert records["http://h/c"]["discovered_by"] == "link"
    assert records["http://h/c"]["parent"] == records["http://h/b"]["id"]
    assert records["http://other/"]["outcome"] == "skipped"
    assert records["http://other/"]["error"]["message"] == "outside the scope `host` of the seeds"
    assert work.judge.counts["depth"] == 1
    assert work.judge.counts["not_http"] == 1


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("order", "priorities"), [("bfs", [0, -1, -2, -3]), ("dfs", [0, 1, 2, 3]), ("priority", [7, 7, 7, 7])]
)
async def test_order(order: Any, priorities: list[int]) -> None:
    """Breadth first takes what is near the seed, depth first what is far, priority what the seed says."""
    found: list[Item] = []

    class Watched(Crawl):
        async def process(self, page: Page) -> Findings:
            findings = await super().process(page)
            found.extend(findings.found)
            return findings

    work = Watched(CrawlSettings(order=order), [Item("http://h/", priority=7)])
    found.extend(work.items())
    async with Site(lambda url: links(url.partition("?")[0] + "x")).client() as client:
        plan = Plan("c", follow_redirects=False, body=BodyPolicy(hold=HOLD))
        await Run(plan, work.items(), work, client=client).execute()

    assert [item.priority for item in found] == priorities
    assert [item.depth for item in found] == [0, 1, 2, 3]


@pytest.mark.anyio
async def test_redirects_are_found_like_links(tmp_path: Path) -> None:
    """A target is fetched once, whoever leads there; loops, long chains and ways out end with their reason."""
    pages: dict[str, Answer] = {
        "http://h/": links("/old", "/new", "/self", "/out", "/chain/0", "/r1"),
        "http://h/old": redirect("/new", 301),
        "http://h/new": "x",
        "http://h/self": redirect("/self"),
        "http://h/out": redirect("http://other/x"),
        "http://h/r1": redirect("/r2"),
        "http://h/r2": redirect("/r1"),
        **{f"http://h/chain/{n}": redirect(f"/chain/{n + 1}") for n in range(9)},
    }
    site = Site(pages)

    records, _ = await crawl(tmp_path, site, CrawlSettings(max_redirects=4))

    assert site.asked["http://h/new"] == 1
    assert outcome(records["http://h/self"]) == "redirect_loop"
    assert outcome(records["http://other/x"]) == "out_of_scope"
    assert outcome(records["http://h/chain/4"]) == 302
    assert outcome(records["http://h/chain/5"]) == "redirect_limit"
    assert records["http://h/chain/4"]["discovered_by"] == "redirect"
    assert records["http://h/chain/4"]["depth"] == 1
    assert set(site.asked.values()) == {1}


@pytest.mark.anyio
async def test_a_seed_that_moves_takes_the_scope_with_it(tmp_path: Path) -> None:
    """`example.com` that redirects to another host is crawled there."""
    site: dict[str, Answer] = {
        "http://h/": redirect("https://shop.test/"),
        "https://shop.test/": links("/a"),
        "https://shop.test/a": "x",
    }

    records, _ = await crawl(tmp_path, site)

    assert outcome(records["https://shop.test/a"]) == 200


@pytest.mark.anyio
async def test_extra_hops_leave_the_scope_and_come_no_further(tmp_path: Path) -> None:
    """With one extra hop the pages that are linked to are fetched, what they link to is not."""
    site = {"http://h/": links("http://a/1"), "http://a/1": links("http://a/2", "http://h/x"), "http://h/x": "x"}

    records, work = await crawl(tmp_path, site, CrawlSettings(extra_hops=1))

    assert sorted(records) == ["http://a/1", "http://h/", "http://h/x"]
    assert work.judge.counts["out_of_scope"] == 1


@pytest.mark.anyio
async def test_nofollow_is_obeyed_everywhere(tmp_path: Path) -> None:
    """`rel`, meta and header keep from following; noindex keeps from taking items."""
    site: dict[str, Answer] = {
        "http://h/": "<a href=/no rel=nofollow>x</a>" + links("/meta", "/head"),
        "http://h/meta": "<meta name=robots content='noindex,nofollow'>" + links("/m"),
        "http://h/head": Response(
            200, headers={"x-robots-tag": "nofollow", "content-type": "text/html"}, html=links("/n")
        ),
    }
    rules = {"n": "a@href"}

    records, work = await crawl(tmp_path, site, extract=rules)

    assert sorted(records) == ["http://h/", "http://h/head", "http://h/meta"]
    assert work.judge.counts["nofollow"] == 3
    assert [row["url"] for row in items(tmp_path)] == ["http://h/", "http://h/head"]
    ignored, _ = await crawl(_new(tmp_path), site, CrawlSettings(obey_nofollow=False), extract=rules)
    assert len(ignored) == 6


def _new(folder: Path) -> Path:
    other = folder / "other"
    other.mkdir()
    return other


def calendar(url: str) -> Answer:
    """A page for every day until the end of time, and a path that grows with each page."""
    if "/grow/" in url:
        return links("grow/x")
    day = int(url.rpartition("/")[2] or 0)
    return links(f"/day/{day + 1}", f"/day/{day + 2}", "/grow/x")


@pytest.mark.anyio
async def test_sites_without_end_end(tmp_path: Path) -> None:
    """Calendars stop at their budget, growing paths at their repetition; each refusal has its reason."""
    settings = CrawlSettings(depth=None, traps=TrapLimits(max_per_template=20))

    records, work = await crawl(tmp_path, calendar, settings)

    reasons = {record["error"]["message"] for record in records.values() if record["error"]}
    assert sum(record["status"] == 200 for record in records.values()) <= 26
    assert reasons == {
        "more than 20 URLs that differ in numbers only",
        "'grow' stands 4 times in its path, more than 3",
    }
    assert work.judge.traps.counts["template"] >= 1


@pytest.mark.anyio
async def test_budgets_of_pages(tmp_path: Path) -> None:
    """`max_pages` ends a crawl without end; what is left out is counted, not recorded."""
    settings = CrawlSettings(depth=None, max_pages=10)

    records, work = await crawl(tmp_path, calendar, settings)

    assert sum(record["status"] is not None for record in records.values()) == 10
    assert work.judge.counts["max_pages"] > 0


@pytest.mark.anyio
async def test_items_and_their_failures(tmp_path: Path) -> None:
    """Items go to their output; a page that misses a required field fails, and its links are followed all the same."""
    site: dict[str, Answer] = {
        "http://h/": links("/p/1", "/p/2"),
        "http://h/p/1": "<h1>One</h1><i>4.50</i>",
        "http://h/p/2": links("/p/3"),
        "http://h/p/3": "<h1>Three</h1><i>free</i>",
    }
    rules = {
        "match": "/p/*",
        "fields": {"name": {"css": "h1", "required": True}, "price": {"css": "i", "type": "float"}},
    }

    records, _ = await crawl(tmp_path, site, extract=rules)

    rows = {row["url"]: (row["name"], row["price"], row["item_index"]) for row in items(tmp_path)}
    assert rows == {"http://h/p/1": ("One", 4.5, 0), "http://h/p/3": ("Three", None, 0)}
    assert outcome(records["http://h/p/2"]) == "extract_failed"
    assert records["http://h/p/2"]["extract_errors"] == ["name"]
    assert records["http://h/p/3"]["extract_errors"] == ["price"]
    assert (records["http://h/p/1"]["items"], records["http://h/"]["items"]) == (1, None)
    assert (records["http://h/"]["charset"], records["http://h/"]["charset_source"]) == ("utf-8", "header")


SITEMAP = (
    "<urlset><url><loc>http://h/new</loc><lastmod>2026-11-01</lastmod></url>"
    "<url><loc>/old</loc><lastmod>2020-01-01</lastmod></url><url><loc>http://other/</loc></url></urlset>"
)


@pytest.mark.anyio
async def test_robots_and_sitemaps(tmp_path: Path) -> None:
    """robots.txt is asked once, its denials are records, its sitemaps are read with all they lead to."""
    from datetime import UTC, datetime

    site = Site(
        {
            "http://h/robots.txt": "User-agent: *\nDisallow: /secret\nSitemap: http://h/map",
            "http://h/": links("/secret/1"),
            "http://h/map": "<sitemapindex><sitemap><loc>http://h/one</loc></sitemap></sitemapindex>",
            "http://h/one": SITEMAP,
            "http://h/new": "x",
        }
    )
    settings = CrawlSettings(sitemap_since=datetime(2026, 1, 1, tzinfo=UTC))

    records, work = await crawl(tmp_path, site, settings, robots=True)

    assert {url: outcome(record) for url, record in records.items()} == {
        "http://h/": 200,
        "http://h/secret/1": "robots_denied",
        "http://h/map": 200,
        "http://h/one": 200,
        "http://h/new": 200,
        "http://other/": "out_of_scope",
    }
    assert records["http://h/new"]["discovered_by"] == "sitemap"
    assert records["http://h/new"]["parent"] == records["http://h/one"]["id"]
    assert records["http://h/secret/1"]["robots"] == "denied"
    assert site.asked["http://h/robots.txt"] == 1
    assert work.judge.counts["lastmod"] == 1


@pytest.mark.anyio
async def test_sitemaps_alone(tmp_path: Path) -> None:
    """A crawl may begin with sitemaps and no page; they nest three deep at most, also in a circle."""
    site = {
        f"http://h/{n}": f"<sitemapindex><sitemap><loc>http://h/{n + 1}</loc></sitemap></sitemapindex>"
        for n in range(9)
    }

    records, _ = await crawl(tmp_path, site, CrawlSettings(scope="any"), seeds=(), sitemaps=("http://h/0",))

    assert sorted(records) == [f"http://h/{n}" for n in range(4)]


@pytest.mark.anyio
async def test_a_hundred_thousand_links_on_one_page(tmp_path: Path) -> None:
    """All of them are judged without holding up the loop for long; those within the budget are fetched."""
    page = links(*(f"/p/{n}/{'x' * (n % 7)}" for n in range(100_000)))
    settings = CrawlSettings(max_pages=50, depth=1, traps=TrapLimits(max_per_template=None))

    records, work = await crawl(tmp_path, lambda url: page if url == "http://h/" else "x", settings)

    assert len([record for record in records.values() if record["status"] == 200]) == 50
    assert work.judge.counts["max_pages"] == 100_000 - 49


@pytest.mark.anyio
async def test_a_crawl_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    """A second run counts the pages of the first against the budgets, and knows where its seed went."""
    settings = CrawlSettings(max_pages=30, depth=None, traps=TrapLimits(max_per_template=None))

    def page(url: str) -> Answer:
        return redirect("http://moved/0") if url == "http://h/" else calendar(url)

    first = Crawl(settings, [Item("http://h/")])
    known: list[Item] = [*first.items()]
    known += [Item("http://moved/0", depth=0, discovered_by="redirect"), Item("http://x/", refused=("trap", "x"))]
    known += [Item(f"http://moved/day/{n}", depth=1, discovered_by="link") for n in range(20)]
    second = Crawl(settings, [Item("http://h/")])

    second.restore(known)

    assert second.judge.pages == 22
    assert second.judge.verdict("http://moved/day/99").refused is None
