"""What a crawl's summary and report say of its pages."""

from __future__ import annotations

from crawler.fanout.crawl_report import crawl_charts, crawl_tables, site_tree
from crawler.fanout.crawl_tally import MAX_BROKEN, MAX_FOLDERS, CrawlTally


def record(
    url: str, depth: int | None = 1, outcome: str = "ok", status: int = 200, **more: object
) -> dict[str, object]:
    """As much of a record as is looked at."""
    return {"url": url, "depth": depth, "outcome": outcome, "status": status, "bytes": 2000, "error": None} | more


def test_pages_folders_and_broken_links() -> None:
    """By depth, by size, below each folder; a broken link with the page it stands on."""
    tally = CrawlTally()
    tally.note(record("https://h/", 0))
    tally.note(record("https://h/a/b/c/d?x=/y/"))
    tally.note(record("https://h/a/z", bytes=10))
    tally.note(
        record("https://h/none", outcome="failed", status=404, error={"kind": "http_4xx"}, parent="b2:00", bytes=0)
    )
    tally.note(record("https://h/slow", outcome="failed", error={"kind": "timeout_read"}, parent="b2:00"))

    found = tally.summary({"b2:00": "https://h/"}.get)

    assert found["depths"] == [{"depth": 0, "ok": 1, "bytes": 2000}, {"depth": 1, "ok": 2, "failed": 2, "bytes": 2010}]
    assert found["sizes"] == {"1 KiB": 1, "10 KiB": 2}
    link = {"url": "https://h/none", "status": 404, "kind": "http_4xx", "parent": "https://h/"}
    assert found["broken"] == {"n": 1, "links": [link]}
    assert found["tree"] == [
        {"path": ["https://h"], "n": 3},
        {"path": ["https://h", "a"], "n": 2},
        {"path": ["https://h", "a", "b"], "n": 1},
    ]


def test_no_crawl() -> None:
    """Records without a depth say nothing."""
    tally = CrawlTally()
    tally.note(record("https://h/", None))

    assert not tally.is_crawl


def test_it_does_not_grow_without_end() -> None:
    """A site of endless folders, with endless broken links."""
    tally = CrawlTally()
    for number in range(MAX_FOLDERS + 10):
        tally.note(record(f"https://h/{number}/x"))
        tally.note(record(f"https://h/{number}", outcome="failed", status=410, error={"kind": "http_4xx"}, parent=None))

    found = tally.summary(lambda _: None)

    assert found["broken"]["n"] == MAX_FOLDERS + 10  # type: ignore[index]
    assert len(found["broken"]["links"]) == MAX_BROKEN  # type: ignore[index]
    assert found["tree"][0] == {"path": ["https://h"], "n": MAX_FOLDERS + 10}  # type: ignore[index]


def test_the_report_escapes_what_sites_say() -> None:
    """URLs are text, never markup."""
    tally = CrawlTally()
    tally.note(record("https://h/<b>/x"))
    tally.note(record("https://h/<i>", outcome="failed", status=404, error={"kind": "http_4xx"}, parent="p"))
    crawl = {
        **tally.summary(lambda _: "https://h/<u>"),
        "not_followed": {"trap": 3},
        "clamped_delays": {"https://h": 90.0},
    }

    html = "".join((*crawl_charts(crawl), *crawl_tables(crawl)))

    assert "&lt;i&gt;" in html
    assert "&lt;u&gt;" in html
    assert all(tag not in html for tag in ("<b>", "<i>", "<u>"))
    assert "Crawl delays that were cut" in html
    assert site_tree([]) == ""
