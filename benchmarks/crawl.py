"""A whole crawl against Scrapy: `python -m benchmarks.crawl`.

A site of 50,000 pages with 20 links each, served by nginx from files, politeness off: every link is followed, every
page fetched once, three fields are taken out of each. Each program is one process from its start to its end, on a core
of its own; nginx has the other one. Ours keeps a durable state, writes a record of each page and the items, as
`crawler run` does without being asked; Scrapy writes the items. Rounds are interleaved; the table has medians.

Scrapy is better kept in an environment of its own: `--scrapy .venv-scrapy/bin/python`, or CRAWLER_BENCH_SCRAPY.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.engine import Process, clear, crawler_command, run
from benchmarks.servers import running_server

AT_ONCE: Final = 64
LINKS: Final = 20
GOAL: Final = 8.0
"""How many times as fast as Scrapy we want to be."""

MOST_MIB: Final = 300.0

PAGE: Final = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Product {number}</title>
<meta name="description" content="What one should know about product {number}.">
<link rel="stylesheet" href="/style.css"></head>
<body><nav><a href="#main">Skip</a> <b>Shop</b></nav>
<main id="main"><h1 class="title">Product {number}</h1>
<p class="price"><span class="amount">{price}</span> EUR</p><p class="stock">In stock</p>
<p>{text}</p>
<ul class="related">
{links}
</ul></main>
<footer><p>All of this was made up.</p></footer></body></html>
"""
TEXT: Final = "A few words about the thing that is sold here, as every such page has them. " * 8

SPIDER: Final = """
import scrapy

class Spider(scrapy.Spider):
    name = "crawl"
    custom_settings = {
        "CONCURRENT_REQUESTS": 64, "CONCURRENT_REQUESTS_PER_DOMAIN": 64, "LOG_LEVEL": "ERROR", "ROBOTSTXT_OBEY": False,
        "TELNETCONSOLE_ENABLED": False, "FEEDS": {"items.jsonl": {"format": "jsonlines"}},
    }

    async def start(self):
        with open("start.txt") as start:
            yield scrapy.Request(start.read().strip())

    def parse(self, response):
        yield {
            "title": response.css("h1::text").get(),
            "price": float(response.css("span.amount::text").get()),
            "description": response.css("meta[name=description]::attr(content)").get(),
        }
        for href in response.css("a::attr(href)").getall():
            if not href.startswith("#"):
                yield response.follow(href)
"""


def links_of(number: int, count: int) -> Iterator[int]:
    """The pages that a page links to: some near, some far, each page reached by many."""
    for place in range(LINKS // 2):
        yield (number * 10 + place + 1) % count
        yield (number * 7919 + place * 104_729 + 13) % count


def fill(root: Path, count: int) -> None:
    """Write the site."""
    site = root / "site"
    site.mkdir()
    for number in range(count):
        links = "\n".join(f'<li><a href="/site/{to}.html">Product {to}</a></li>' for to in links_of(number, count))
        price = f"{number % 1000 + 1}.{number % 100:02}"
        page = PAGE.format(number=number, price=price, text=TEXT, links=links)
        (site / f"{number}.html").write_text(page, encoding="utf-8")


def write_work(folder: Path, start: str) -> None:
    """The spider and the job."""
    (folder / "start.txt").write_text(start)
    (folder / "spider.py").write_text(SPIDER)
    job = {
        "version": 1,
        "name": "crawl",
        "kind": "crawl",
        "contact": "crawl-admin@example.org",
        "urls": [start],
        "concurrency": AT_ONCE,
        "per_host": {"concurrency": None, "rate": None},
        "robots": {"obey": False},
        "sitemaps": {"enabled": False},
        "crawl": {"depth": None, "max_pages": None, "max_pages_per_host": None, "max_per_template": None},
        "stop": {"requests": 10_000_000},
        "extract": {
            "fields": {
                "title": {"css": "h1::text"},
                "price": {"css": "span.amount", "type": "float"},
                "description": {"meta": "description"},
            }
        },
        "output": [{"path": "results.jsonl"}, {"path": "items.jsonl", "records": "items"}],
    }
    (folder / "job.yaml").write_text(json.dumps(job))


def check(folder: Path, program: str, count: int) -> None:
    """See to it that every page came, once.

    Raises:
        RuntimeError: It did not.
    """
    where = folder / "out" if program == "crawler" else folder
    items = [json.loads(line) for line in (where / "items.jsonl").open(encoding="utf-8")]
    titles = {item["title"] for item in items}
    if len(items) != count or len(titles) != count:
        raise RuntimeError(f"{program}: {len(items)} items of {len(titles)} pages, not {count}")
    wanted = {"title": "Product 7", "price": 8.07, "description": "What one should know about product 7."}
    if not any(wanted.items() <= item.items() for item in items):
        raise RuntimeError(f"{program}: no item is {wanted}")


def compare(start: str, count: int, rounds: int, scrapy: str | None, core: set[int]) -> bool:
    """Measure, and print the table; gives whether every goal was met."""
    commands = {"crawler": crawler_command()}
    if scrapy is not None:
        commands["scrapy"] = [str(Path(scrapy).absolute()), "-m", "scrapy", "runspider", "spider.py"]
    samples: dict[str, list[Process]] = {}
    with tempfile.TemporaryDirectory(prefix="crawler-crawl-") as name:
        folder = Path(name)
        write_work(folder, start)
        for _ in range(rounds):
            for program, command in commands.items():
                samples.setdefault(program, []).append(run(command, folder, core))
                check(folder, program, count)
                clear(folder)
                (folder / "items.jsonl").unlink(missing_ok=True)
    return _print(samples, count, rounds)


def _print(samples: dict[str, list[Process]], count: int, rounds: int) -> bool:
    print(f"{count:,} pages of {LINKS} links, 3 fields, {AT_ONCE} at once, whole processes, medians of {rounds}\n")
    print(f"{'':10} {'seconds':>9} {'pages/s':>9} {'µs CPU':>8} {'MiB':>7} {'ours is':>9} {'wanted':>7}")
    ours = median(sample.seconds for sample in samples["crawler"])
    is_met = True
    for program, taken in samples.items():
        seconds = median(sample.seconds for sample in taken)
        cpu_us = median(sample.cpu_s for sample in taken) / count * 1e6
        mib = median(sample.peak_mib for sample in taken)
        said = "" if program == "crawler" else f"{seconds / ours:8.2f}x {GOAL:6.0f}x"
        print(f"{program:10} {seconds:9.2f} {count / seconds:9,.0f} {cpu_us:8.1f} {mib:7.1f} {said}")
        is_met = is_met and (mib <= MOST_MIB if program == "crawler" else seconds / ours >= GOAL)
    return is_met


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; the exit status is 0 if every goal was met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crawl", description=__doc__.splitlines()[0])
    parser.add_argument("--pages", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scrapy", default=os.environ.get("CRAWLER_BENCH_SCRAPY"), help="a Python that has Scrapy")
    options = parser.parse_args(arguments)
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    servers, core = (set(cores[:1]), set(cores[1:2])) if len(cores) > 1 else (set(), set())
    with running_server(servers, partial(fill, count=options.pages)) as server:
        start = f"{server.plain}/site/0.html"
        is_met = compare(start, options.pages, options.rounds, options.scrapy, core)
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
