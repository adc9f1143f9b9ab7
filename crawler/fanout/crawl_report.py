"""What `report.html` has of a crawl: pages by depth and size, the tree of the site, broken links, and what was not
followed. Made of `crawl` in the summary alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from crawler.report import units
from crawler.report.bars import Bar, bars
from crawler.report.page import Table, figure_of, table_of
from crawler.report.svg import WIDTH, box, figure, label, rule

Crawled = Mapping[str, Any]

_LINE: Final = 18
_INDENT: Final = 14
_OUTCOMES: Final = ("ok", "unchanged", "failed", "skipped", "cancelled")
_MAX_NAME: Final = 44


def crawl_charts(crawl: Crawled) -> Iterator[str]:
    """Draw the charts."""
    depths = [(f"{row['depth']} links deep", sum(row.get(name, 0) for name in _OUTCOMES)) for row in crawl["depths"]]
    yield figure_of("Pages by depth", "How many links from the start.", _bars("Pages by depth", depths))
    yield figure_of("Pages by size", "Up to.", _bars("Pages by size", list(crawl["sizes"].items())))
    yield figure_of("The site", "Pages below each folder; the largest ones.", site_tree(crawl["tree"]))


def _bars(title: str, counted: list[tuple[str, int]]) -> str:
    rows = [Bar(name, float(n), None, None, units.count(n), "s0") for name, n in counted]
    return bars(title, rows, units.rate_range) if rows else ""


def site_tree(tree: list[Mapping[str, Any]]) -> str:
    """Draw the folders of a site as a tree, each with a bar as long as its share of the pages."""
    if not tree:
        return ""
    most = max(row["n"] for row in tree)
    parts: list[str] = []
    ends: dict[tuple[str, ...], float] = {}
    for number, row in enumerate(tree):
        path, top = tuple(row["path"]), number * _LINE
        x = 4 + _INDENT * (len(path) - 1)
        middle = top + 10
        parent = ends.get(path[:-1])
        if parent is not None:
            parts.append(rule(x - 8, parent, x - 8, middle))
            parts.append(rule(x - 8, middle, x - 2, middle))
        ends[path] = top + 14
        name = path[-1] if len(path) == 1 else f"{path[-1]}/"
        name = name if len(name) <= _MAX_NAME else name[: _MAX_NAME - 1] + "…"
        width = 120 * row["n"] / most
        parts.append(label(x, top + 13, name))
        parts.append(box(WIDTH - 60 - width, top + 4, width, 10, "fill s0", f"{'/'.join(path)}: {row['n']} pages"))
        parts.append(label(WIDTH - 4, top + 13, units.count(row["n"]), anchor="end", kind="number"))
    return figure(_LINE * len(tree) + 6, "Tree of the site", parts)


def crawl_tables(crawl: Crawled) -> Iterator[str]:
    """Write the tables."""
    broken = crawl["broken"]
    links = tuple(
        (row["url"], str(row["status"] or row["kind"]), row["parent"] or units.NONE) for row in broken["links"]
    )
    more = f" (the first {len(links)} of {units.count(broken['n'])})" if broken["n"] > len(links) else ""
    yield from table_of(f"Broken links{more}", Table(("link", "answer", "stands on"), links, frozenset({0, 1, 2})))
    depths = tuple(
        (str(row["depth"]), *(units.count(row.get(name, 0)) for name in _OUTCOMES), units.size(row["bytes"]))
        for row in crawl["depths"]
    )
    yield from table_of("Depths", Table(("depth", *_OUTCOMES, "bodies"), depths))
    counts = sorted((crawl.get("not_followed") or {}).items(), key=lambda pair: -pair[1])
    rows = tuple((name, units.count(n)) for name, n in counts)
    yield from table_of("Links that were not followed", Table(("why", "links"), rows))
    clamped = tuple((origin, units.time(asked)) for origin, asked in (crawl.get("clamped_delays") or {}).items())
    yield from table_of("Crawl delays that were cut", Table(("host", "it asks for"), clamped))
