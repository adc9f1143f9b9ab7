"""Jobs that fetch again what they have: unchanged pages, differences, what is due, and crashes in between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import anyio
import pytest

from crawler.fanout import Run
from crawler.jobs import JobError, load_job


class Site(ThreadingHTTPServer):
    """A site whose pages change: path -> (body, entity tag or none)."""

    pages: dict[str, tuple[str, str | None]]
    asked: list[tuple[str, str | None]]


class Handler(BaseHTTPRequestHandler):
    """Answers from `pages`; 304 where the tag is known."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer."""
        assert isinstance(self.server, Site)
        tag_sent = self.headers.get("if-none-match")
        self.server.asked.append((self.path, tag_sent))
        body, tag = self.server.pages.get(self.path, ("", None))
        status = 304 if tag is not None and tag == tag_sent else 200 if body else 404
        data = b"" if status == 304 else body.encode()
        self.send_response(status)
        if status != 304:
            self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(data)))
        if tag is not None:
            self.send_header("etag", tag)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def site() -> Iterator[Site]:
    """A server with two pages and a link between them."""
    server = Site(("127.0.0.1", 0), Handler)
    server.pages = {"/": ('<h1>One</h1><a href="/b">b</a>', '"1"'), "/b": ("<h1>Two</h1>", None)}
    server.asked = []
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def run(folder: Path, site: Site, text: str) -> dict[str, Any]:
    """Run a job once; gives the records of this run by path, the summary's counts and the items of all runs."""
    path = folder / "job.yaml"
    path.write_text(text.replace("SITE", f"http://127.0.0.1:{site.server_address[1]}"), encoding="utf-8")
    job = load_job(path)
    plan = job.plan(out=folder / "out")
    staff = job.staff(plan)
    site.asked.clear()
    outcome = anyio.run(Run(plan, staff.items, staff.processor, gate=staff.gate).execute)
    records = [json.loads(line) for line in (folder / "out" / "results.jsonl").read_text("utf-8").splitlines()]
    found: dict[str, Any] = {
        "/" + record["url"].split("/", 3)[3]: record for record in records if record["run_id"] == plan.run_id
    }
    found["counts"] = outcome.summary["counts"]
    items = folder / "out" / "items.jsonl"
    found["items"] = [json.loads(line) for line in items.read_text("utf-8").splitlines()] if items.exists() else []
    return found


CRAWL = """
kind: crawl
contact: crawl-admin@example.org
urls: [SITE/]
per_host: {rate: null}
robots: {obey: false}
sitemaps: {enabled: false}
recrawl: {if_changed: true, diff: text}
extract: {fields: {title: {css: h1}}}
output: [{path: results.jsonl}, {path: items.jsonl, records: items}]
"""


def test_a_crawl_fetches_again_what_changed(tmp_path: Path, site: Site) -> None:
    """A 304 and the same bytes are unchanged; a page that changed gives its items, links and the difference."""
    first = run(tmp_path, site, CRAWL)
    again = run(tmp_path, site, CRAWL)

    assert [first[path]["outcome"] for path in ("/", "/b")] == ["ok", "ok"]
    assert first["/"]["earlier"] is None
    assert site.asked == [("/", '"1"'), ("/b", None)]
    assert [(again[path]["outcome"], again[path]["status"]) for path in ("/", "/b")] == [
        ("unchanged", 304),
        ("unchanged", 200),
    ]
    assert again["/"]["earlier"] == {
        "run_id": first["/"]["run_id"],
        "fetched_at": first["/"]["fetched_at"],
        "path": None,
    }
    assert again["/"]["sha256"] == first["/"]["sha256"]
    assert len(again["items"]) == 2
    assert again["counts"]["unchanged"] == 2

    site.pages["/"] = ('<h1>Uno</h1><a href="/b">b</a>\n<a href="/c">c</a>', '"2"')
    site.pages["/c"] = ("<h1>Three</h1>", '"3"')
    third = run(tmp_path, site, CRAWL)

    assert {path: third[path]["outcome"] for path in ("/", "/b", "/c")} == {"/": "ok", "/b": "unchanged", "/c": "ok"}
    assert third["/"]["diff"].splitlines()[1:] == [
        '-<h1>One</h1><a href="/b">b</a>',
        '+<h1>Uno</h1><a href="/b">b</a>',
        '+<a href="/c">c</a>',
    ]
    assert [item["title"] for item in third["items"][2:]] == ["Uno", "Three"]


def test_a_file_is_pointed_to(tmp_path: Path, site: Site) -> None:
    """The body of the last good record stays where it is."""
    job = "urls: [SITE/]\nbody: {keep: file}\nrecrawl: {if_changed: true}\noutput: [{path: results.jsonl}]\n"

    first, again = run(tmp_path, site, job), run(tmp_path, site, job)

    assert (again["/"]["outcome"], again["/"]["path"]) == ("unchanged", first["/"]["path"])
    assert (tmp_path / "out" / "files" / first["/"]["path"]).read_text() == site.pages["/"][0]


def test_only_what_is_due(tmp_path: Path, site: Site) -> None:
    """What was seen lately is left alone; what failed is tried again."""
    job = "urls: [SITE/, SITE/none]\nrecrawl: {max_age: 1h}\noutput: [{path: results.jsonl}]\n"
    run(tmp_path, site, job)

    again = run(tmp_path, site, job)

    assert site.asked == [("/none", None)]
    assert again["counts"] == {"ok": 1, "failed": 1, "skipped": 0, "unchanged": 0, "cancelled": 0}


def test_changes_of_json(tmp_path: Path, site: Site) -> None:
    """As the operations of JSON Patch, with what was."""
    job = "urls: [SITE/api]\nrecrawl: {if_changed: true, diff: json}\noutput: [{path: results.jsonl}]\n"
    site.pages["/api"] = ('{"a": 1, "b": [1, 2], "c/d": true}', None)
    run(tmp_path, site, job)
    site.pages["/api"] = ('{"a": 2, "b": [1], "e": null}', None)

    again = run(tmp_path, site, job)

    assert again["/api"]["outcome"] == "ok"
    assert sorted(again["/api"]["diff"], key=lambda change: change["path"]) == [
        {"op": "replace", "path": "/a", "value": 2, "was": 1},
        {"op": "remove", "path": "/b/1", "was": 2},
        {"op": "remove", "path": "/c~1d", "was": True},
        {"op": "add", "path": "/e", "value": None},
    ]


def test_without_the_key_nothing_is_fetched_again(tmp_path: Path, site: Site) -> None:
    """A job that is done stays done."""
    job = "urls: [SITE/]\noutput: [{path: results.jsonl}]\n"
    run(tmp_path, site, job)

    assert "/" not in run(tmp_path, site, job)
    assert site.asked == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("urls: [http://h/]\nrecrawl: {diff: text}", "recrawl.diff: has no effect without `if_changed: true`"),
        (
            "kind: download\nurls: [http://h/]\nrecrawl: {if_changed: true}",
            "recrawl: has no effect with `kind: download`",
        ),
    ],
)
def test_what_says_nothing_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """Keys without effect are mistakes."""
    path = tmp_path / "job.yaml"
    path.write_text(text)

    with pytest.raises(JobError) as caught:
        load_job(path)

    assert said in str(caught.value)
