"""From `recrawl` to the engine's policy, and what is wrong with it beside other keys."""

from __future__ import annotations

from collections.abc import Iterator

from crawler.fanout.recrawl import RecrawlPolicy
from crawler.jobs.findings import Finding
from crawler.jobs.nodes import Map, dotted, locate
from crawler.jobs.schema import JobFile

KINDS = ("fetch", "crawl")
"""Kinds of jobs that fetch again."""


def recrawl_of(model: JobFile) -> RecrawlPolicy | None:
    """Say how pages are fetched again; `None` if they are not."""
    recrawl = model.recrawl
    return RecrawlPolicy(recrawl.if_changed, recrawl.max_age, recrawl.diff) if recrawl.is_wanted else None


def recrawl_rules(tree: Map, model: JobFile) -> Iterator[Finding]:
    """What is wrong with `recrawl`, each at its line."""
    recrawl = model.recrawl
    if "recrawl" not in tree.entries:
        return
    if model.kind not in KINDS:
        yield _finding(tree, ("recrawl",), f"has no effect with `kind: {model.kind}`")
    elif recrawl.diff != "none" and not recrawl.if_changed:
        yield _finding(tree, ("recrawl", "diff"), "has no effect without `if_changed: true`")
    elif recrawl.if_changed and model.paginate is not None:
        yield _finding(tree, ("recrawl", "if_changed"), "an unchanged page would end its pages; take `paginate` out")


def _finding(tree: Map, path: tuple[str, ...], message: str) -> Finding:
    return Finding(locate(tree, path, key=True), f"{dotted(path)}: {message}")
