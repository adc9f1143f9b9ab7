"""What `crawler run --dry-run` says of a crawl: what belongs to it, and what the robots.txt of its hosts say.

Each robots.txt is fetched, as nobody can tell else what it says; no page is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager

from crawler.cli.loop import run_async
from crawler.cli.text import one_line
from crawler.cli.units import count
from crawler.fanout import Item, Plan
from crawler.fanout.fetch import make_client
from crawler.fanout.pages import Unknown
from crawler.jobs import Job
from crawler.spider.crawl import CrawlSettings
from crawler.spider.gate import RobotsGate, origin_of

_SHOWN = 10


def show_crawl(job: Job, plan: Plan) -> None:
    """Print scope and robots decisions of a checked job of kind `crawl`."""
    with _testbed(job) as testbed_url:
        staff = job.staff(plan, testbed_url=testbed_url)
        assert staff.crawl is not None
        _show_scope(staff.crawl.settings)
        gate = staff.gate
        if isinstance(gate, RobotsGate):
            seeds = [item for item in staff.items if origin_of(item.url) is not None]
            for line in run_async(_decisions(plan, gate, seeds)):
                print("  " + one_line(job.mask(line), 500))
        else:
            print("  robots: not asked")


@contextmanager
def _testbed(job: Job) -> Iterator[str | None]:
    if not job.testbed:
        yield None
        return
    from crawler.testbed import Testbed

    with Testbed() as bed:
        yield bed.url


def _show_scope(settings: CrawlSettings) -> None:
    depth = "any depth" if settings.depth is None else f"depth {settings.depth}"
    pages = "no limit of pages" if settings.max_pages is None else f"at most {count(settings.max_pages, 'page')}"
    print(f"  scope: {settings.scope}, {depth}, {pages}, {settings.order}")
    for name, patterns in (("include", settings.include), ("exclude", settings.exclude)):
        for pattern in patterns:
            print(f"  {name}: {one_line(pattern, 200)}")


async def _decisions(plan: Plan, gate: RobotsGate, seeds: list[Item]) -> list[str]:
    """Ask the robots.txt of the first hosts; a line for each seed, and for what else they say."""
    lines: list[str] = []
    asked: dict[str, None] = {}
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(make_client(plan.client, plan.timeout, 1))
        for item in seeds[:_SHOWN]:
            verdict = gate.admit(item)
            if isinstance(verdict, Unknown):
                await gate.prepare(item, client)
                verdict = gate.admit(item)
            said = f"{gate.verdict(item)}" + ("" if verdict is None else f" ({verdict})")
            lines.append(f"robots: {said}: {item.url}")
            asked[origin_of(item.url) or ""] = None
    for origin in asked:
        interval = gate.interval(origin)
        if interval is not None:
            clamped = f", of the {gate.clamped[origin]:g} s it asks for" if origin in gate.clamped else ""
            lines.append(f"delay: {interval:g} s between requests to {origin}{clamped}")
        lines += [f"sitemap: {url}" for url in gate.sitemaps(origin)[:_SHOWN]]
    if len(seeds) > _SHOWN:
        lines.append(f"… robots.txt of {count(len(seeds) - _SHOWN, 'more start')} was not asked")
    return lines
