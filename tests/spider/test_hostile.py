"""What sites do to a crawl, meaning to or not: ten megabytes, chains of hosts, hosts at their own pace."""

from __future__ import annotations

import json
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from crawler.fanout import BodyPolicy, HostLimits, Item, Output, Plan, Politeness, Run
from crawler.spider.crawl import HOLD, Crawl, CrawlSettings
from crawler.spider.gate import RobotsGate
from tests.peers.sites import Answer, Site, links, redirect


async def crawl(folder: Path, site: Site, seeds: list[str], **plan: Any) -> dict[str, dict[str, Any]]:
    """Crawl by the rules of robots.txt; the records by URL."""
    gate = RobotsGate()
    work = Crawl(CrawlSettings(scope="any", sitemaps=False), [Item(seed) for seed in seeds], gate=gate)
    made = Plan(
        "c",
        outputs=(Output(folder / "r.jsonl"),),
        follow_redirects=False,
        body=BodyPolicy(hold=HOLD),
        **plan,
    )
    async with site.client() as client:
        await Run(made, work.items(), work, client=client, gate=gate).execute()
    records = [json.loads(line) for line in (folder / "r.jsonl").read_bytes().splitlines()]
    return {record["url"]: record for record in records}


@pytest.mark.anyio
async def test_ten_megabytes_of_text_between_two_links(tmp_path: Path) -> None:
    """A large page is read whole, beside the event loop."""
    page = '<a href="/first">x</a><p>' + "word " * 2_000_000 + '</p><a href="/last">y</a>'

    records = await crawl(
        tmp_path, Site({"http://h/": page, "http://h/first": "1", "http://h/last": "2"}), ["http://h/"]
    )

    assert {url for url, record in records.items() if record["outcome"] == "ok"} == {
        "http://h/",
        "http://h/first",
        "http://h/last",
    }


@pytest.mark.anyio
async def test_a_chain_of_redirects_obeys_each_host_on_its_way(tmp_path: Path) -> None:
    """Each hop asks the robots.txt of its own host first; one that denies ends the chain."""
    site = Site(
        {
            "http://a/": redirect("http://b/x"),
            "http://b/x": redirect("http://c/y"),
            "http://c/robots.txt": "User-agent: *\nDisallow: /y",
            "http://c/y": links("/never"),
        }
    )

    records = await crawl(tmp_path, site, ["http://a/"])

    assert [records[url]["status"] for url in ("http://a/", "http://b/x")] == [302, 302]
    assert records["http://c/y"]["error"]["kind"] == "robots_denied"
    assert site.asked["http://c/y"] == 0
    assert [site.asked[f"http://{host}/robots.txt"] for host in "abc"] == [1, 1, 1]


@pytest.mark.anyio
async def test_many_hosts_keep_each_interval(tmp_path: Path) -> None:
    """Of forty hosts at once, each is asked no sooner than its rate says: pages and redirects that lead to it alike."""
    hosts = [f"h{number}" for number in range(40)]
    asked: dict[str, list[float]] = {host: [] for host in hosts}

    def answer(url: str) -> Answer:
        host, _, path = url.removeprefix("http://").partition("/")
        asked[host].append(monotonic())
        if path == "robots.txt":
            return ""
        if path == "":
            return links("/1", "/2")
        return redirect(f"http://{hosts[(hosts.index(host) + 1) % 40]}/end") if path == "2" else "page"

    politeness = Politeness(limits=HostLimits(concurrency=2, rate=10.0, jitter=0.0))
    records = await crawl(tmp_path, Site(answer), [f"http://{host}/" for host in hosts], politeness=politeness)

    assert len(records) == 40 * 4
    assert {len(times) for times in asked.values()} == {5}
    # Five starts lie 0.4 s apart; the first may arrive late, so not all of it is seen.
    assert min(times[-1] - times[0] for times in asked.values()) > 0.25
