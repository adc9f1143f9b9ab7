"""The shop of the testbed, crawled by the command line: every product once, also when the run is killed on its way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from crawler.cli.main import app
from crawler.testbed.catalog import PRODUCTS

CONFIG = Path(__file__).parents[2] / "configs" / "shop-crawl.yaml"
RECORDS = """
output:
  - {format: jsonl, path: items.jsonl, records: items}
  - {format: jsonl, path: pages.jsonl}
"""


def command(folder: Path, *arguments: str) -> list[str]:
    """`crawler run` of the shop, with its records in a folder."""
    job = folder / "shop.yaml"
    if not job.exists():
        text = CONFIG.read_text(encoding="utf-8")
        job.write_text(text.partition("output:")[0] + RECORDS)
    return [sys.executable, "-m", "crawler.cli", "run", str(job), "--out", str(folder / "out"), *arguments]


def rows(folder: Path, name: str) -> list[dict[str, Any]]:
    """The whole lines of an output."""
    path = folder / "out" / name
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines]


def check_all_is_there(folder: Path) -> None:
    """Every product once with its price as a number, every page once, every refusal with its reason."""
    items = rows(folder, "items.jsonl")
    assert Counter(item["sku"] for item in items) == dict.fromkeys(PRODUCTS, 1)
    for item in items:
        product = PRODUCTS[item["sku"]]
        assert item["price"] == float(product.price)
        assert (item["title"], item["currency"]) == (product.name, "EUR")
        assert item["offer"] == f"https://schema.org/{'InStock' if product.is_available else 'OutOfStock'}"
        assert item["image"].endswith(f"/site/image/{product.sku}.png")
        assert len(item["related"]) == 3
    pages = rows(folder, "pages.jsonl")
    paths = Counter("/" + page["url"].split("/", 3)[3] for page in pages)
    assert set(paths.values()) == {1}
    assert len(pages) == 85
    refused = {"/" + page["url"].split("/", 3)[3]: page for page in pages if page["outcome"] == "skipped"}
    assert {path: page["error"]["kind"] for path, page in refused.items()} == {
        "/site/private/1": "robots_denied",
        "/site/search?q=tea": "out_of_scope",
    }
    by_id = {page["id"]: page for page in pages}
    assert refused["/site/private/1"]["robots"] == "denied"
    assert all(by_id[page["parent"]]["url"].endswith("/site/") for page in refused.values())
    assert [page["url"].rpartition("/")[2] for page in pages if page["outcome"] == "failed"] == ["missing"]


def test_the_example_yields_every_product_once(tmp_path: Path) -> None:
    """The example of the manual, as it stands there."""
    done = subprocess.run(command(tmp_path, "--quiet"), capture_output=True, text=True, timeout=50, check=False)

    assert done.returncode == 1, done.stderr  # the one broken link
    check_all_is_there(tmp_path)
    crawl = json.loads((tmp_path / "out" / "summary.json").read_bytes())["crawl"]
    (broken,) = crawl["broken"]["links"]
    assert (broken["status"], broken["parent"].endswith("/site/")) == (404, True)
    assert crawl["not_followed"]["out_of_scope"] == 1
    assert "Broken links" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


@pytest.mark.skipif(os.name == "nt", reason="there is no such signal")
@pytest.mark.parametrize(("signum", "after"), [(signal.SIGKILL, (10, 40)), (signal.SIGTERM, (25,))])
def test_killed_on_its_way_it_goes_on(tmp_path: Path, signum: signal.Signals, after: tuple[int, ...]) -> None:
    """A crawl that was killed loses and doubles neither a page nor an item, however often."""
    slow = ("--quiet", "--set", "per_host.rate=90/s")
    for least in after:
        with subprocess.Popen(command(tmp_path, *slow), stderr=subprocess.DEVNULL) as run:
            end = time.monotonic() + 40
            while len(rows(tmp_path, "pages.jsonl")) < least and run.poll() is None and time.monotonic() < end:
                time.sleep(0.02)
            run.send_signal(signum)
            run.wait(timeout=30)
        assert len(rows(tmp_path, "pages.jsonl")) < 85, "it was still on its way"

    done = subprocess.run(command(tmp_path, "--quiet"), capture_output=True, text=True, timeout=50, check=False)

    assert done.returncode == 1, done.stderr
    check_all_is_there(tmp_path)


def test_a_dry_run_says_what_robots_and_scope_say(tmp_path: Path) -> None:
    """Scope, robots decisions and sitemaps; no page is fetched, nothing is written."""
    done = CliRunner().invoke(app, command(tmp_path, "--dry-run")[3:])

    assert done.exit_code == 0, done.stderr
    assert "scope: host, depth 6, at most 500 pages, bfs" in done.stdout
    assert "exclude: **?q=*" in done.stdout
    assert "robots: allowed: http://127.0.0.1:" in done.stdout
    assert "/sitemap.xml" in done.stdout
    assert not (tmp_path / "out").exists()


def test_a_crawl_without_contact_is_refused(tmp_path: Path) -> None:
    """Somebody has to be named, or the crawl is anonymous on purpose."""
    job = tmp_path / "job.yaml"
    job.write_text("kind: crawl\ntestbed: true\nurls: [/site/]\ncrawl: {max_pages: 1}\nsitemaps: {enabled: false}\n")
    run = ["run", str(job), "--out", str(tmp_path / "out"), "--quiet"]

    refused, allowed = CliRunner().invoke(app, run), CliRunner().invoke(app, [*run, "--anonymous"])

    assert refused.exit_code == 2
    assert "set `contact`, or run it with --anonymous" in refused.stderr
    assert allowed.exit_code == 0, allowed.stderr
