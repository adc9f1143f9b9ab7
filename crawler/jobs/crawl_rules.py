"""Rules between the keys of a crawl, and between `kind: crawl` and the keys of other kinds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from crawler.jobs.findings import Finding
from crawler.jobs.nodes import Map, Scalar, dotted, locate
from crawler.jobs.schema import JobFile
from crawler.jobs.urls import url_problem
from crawler.spider.errors import BadExpression
from crawler.spider.links import compile_source
from crawler.spider.patterns import url_pattern

CRAWL_ONLY: Final = ("crawl", "sitemaps")


def crawl_rules(tree: Map) -> Iterator[Finding]:
    """Keys that say nothing to the job's kind, or nothing beside the others."""
    kind = _word(tree, "kind")
    if kind != "crawl":
        for key in CRAWL_ONLY:
            if key in tree.entries:
                yield Finding(tree.entries[key].key_mark, f"{key}: has no effect without `kind: crawl`")
    elif "paginate" in tree.entries:
        yield Finding(tree.entries["paginate"].key_mark, "paginate: a crawl follows links; say `crawl.follow`")
    if kind == "bench" and "robots" in tree.entries:
        yield Finding(tree.entries["robots"].key_mark, "robots: has no effect with `kind: bench`")


def _word(tree: Map, key: str) -> object:
    node = tree.get(key)
    return node.value if isinstance(node, Scalar) else None


def crawl_model_rules(tree: Map, model: JobFile, *, anonymous: bool = False) -> Iterator[Finding]:
    """What needs the whole model.

    Args:
        tree: For the places.
        model: The job.
        anonymous: Nobody has to be named.
    """
    robots = model.robots
    if not robots.obey and model.kind != "crawl":
        for key in sorted(robots.model_fields_set - {"obey"}):
            yield _finding(tree, ("robots", key), "has no effect without `obey: true`")
    if robots.obey and model.retry.retry_after == "ignore":
        yield _finding(
            tree, ("retry", "retry_after"), "who obeys robots.txt does not ignore Retry-After; set obey or cap"
        )
    if model.kind != "crawl":
        return
    if model.contact is None and not anonymous:
        yield Finding(
            locate(tree, ("kind",)),
            "kind: a crawl names somebody whom sites can write to: set `contact`, or run it with --anonymous",
        )
    yield from _bounds(tree, model)
    yield from _expressions(tree, model)


def _bounds(tree: Map, model: JobFile) -> Iterator[Finding]:
    crawl, sitemaps = model.crawl, model.sitemaps
    if crawl.scope == "any" and "max_pages" not in crawl.model_fields_set:
        yield _finding(tree, ("crawl", "scope"), "`any` has no end: set `crawl.max_pages`")
    if crawl.max_pages is None and model.stop.requests is None:
        yield _finding(tree, ("crawl", "max_pages"), "a crawl needs an end: set it, or `stop.requests`")
    if crawl.scope == "any" and crawl.extra_hops:
        yield _finding(tree, ("crawl", "extra_hops"), "nothing is out of the scope `any`")
    if not sitemaps.enabled and not sitemaps.urls:
        for key in sorted(sitemaps.model_fields_set & {"since", "max_urls"}):
            yield _finding(tree, ("sitemaps", key), "has no effect with `enabled: false` and no `urls`")


def _expressions(tree: Map, model: JobFile) -> Iterator[Finding]:
    crawl = model.crawl
    for key, texts in (("include", crawl.include), ("exclude", crawl.exclude)):
        for index, text in enumerate(texts):
            try:
                url_pattern(text)
            except BadExpression as error:
                yield _finding(tree, ("crawl", key, index), str(error))
    for index, text in enumerate(crawl.follow):
        try:
            compile_source(text)
        except BadExpression as error:
            yield _finding(tree, ("crawl", "follow", index), str(error))
    for index, url in enumerate(model.sitemaps.urls):
        problem = url_problem(url, testbed=model.testbed)
        if problem:
            yield _finding(tree, ("sitemaps", "urls", index), problem)


def crawl_warnings(tree: Map, model: JobFile) -> Iterator[Finding]:
    """What does not stop a crawl, but is to be said each time."""
    if model.kind == "crawl" and not model.robots.obey:
        yield _finding(tree, ("robots", "obey"), "robots.txt is not asked: only crawl like that what is yours")


def _finding(tree: Map, path: tuple[str | int, ...], message: str) -> Finding:
    return Finding(locate(tree, path), f"{dotted(path)}: {message}")
