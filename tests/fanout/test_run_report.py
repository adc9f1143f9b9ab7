"""The report of a run, made of its summary alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import anyio
import pytest

from crawler.fanout import Item, Output, Plan, RetryPolicy, Run
from crawler.fanout.run_report import run_report
from crawler.testbed import Testbed


@pytest.fixture(scope="module")
def bed() -> Iterator[Testbed]:
    """The testbed."""
    with Testbed() as running:
        yield running


class Balance(HTMLParser):
    """Fails on a tag that closes nothing; collects what a browser would fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.foreign: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "line"):
            self.open.append(tag)
        self.foreign += [tag for name, _ in attrs if name in ("src", "href") or name.startswith("on")]
        self.foreign += [tag] if tag in ("script", "link", "iframe", "img") else []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _summary(bed: Testbed, folder: Path) -> dict[str, Any]:
    urls = [*(f"{bed.url}/bytes/{n}" for n in range(1, 40)), f"{bed.url}/status/404?<script>alert(1)</script>"]
    plan = Plan("job <b>", outputs=(Output(folder / "results.jsonl"),), retry=RetryPolicy(attempts=1))
    anyio.run(Run(plan, [Item(url) for url in urls]).execute)
    loaded: dict[str, Any] = json.loads((folder / "summary.json").read_bytes())
    return loaded


def test_it_lies_beside_the_summary_and_shows_it(bed: Testbed, tmp_path: Path) -> None:
    """Counts, errors, hosts and outputs are there; names and URLs are text, never markup; nothing is fetched."""
    summary = _summary(bed, tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")

    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    assert parser.foreign == []
    assert "40 requests: 39 ok, 1 failed" in page
    assert "job &lt;b&gt;" in page
    assert "http_4xx" in page
    assert bed.url.removeprefix("http://") in page
    assert summary["outputs"][0]["sha256"] in page


def test_charts_follow_the_numbers(bed: Testbed, tmp_path: Path) -> None:
    """A timeline becomes lines, a bottleneck a sentence; what was not measured is not drawn."""
    summary = _summary(bed, tmp_path)
    plain = run_report({**summary, "timeline": {"step_s": 1, "finished": [], "failed": [], "bytes": []}})
    busy = {"step_s": 2, "finished": [10, 20, 30, 5], "failed": [0, 2, 0, 0], "bytes": [2**20] * 4}
    held = {"name": "disk", "evidence": "in 80 % of the looks …", "advice": "a faster disk"}
    drawn = run_report({**summary, "timeline": busy, "bottleneck": held})

    assert "Over time" not in plain
    assert len(re.findall("<polyline", drawn)) == 3
    assert "What held it back: disk" in drawn
