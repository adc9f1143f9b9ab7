"""The reports as files: structure, values, and that no text from outside is ever markup."""

from __future__ import annotations

import csv
import html.parser
import io
import json
import re
from pathlib import Path

import pytest

from crawler.bench import BenchResult
from crawler.bench.report_csv import COLUMNS
from crawler.bench.reports import render, write_report
from crawler.bench.thresholds import judged
from crawler.jobs.thresholds import parse_threshold
from tests.bench.examples import HOSTILE, arm, hostile, result, times

VOID = {"meta", "img", "link", "input", "base"}


class Page(html.parser.HTMLParser):
    """What a browser would make of the page: elements, attributes, text; fails on elements that do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)


def test_json_comes_back() -> None:
    """What `bench_json` writes is read again as the same result."""
    found = result(planned_rounds=7)
    document = json.loads(render("bench_json", found))
    assert document["schema"] == "crawler.bench/1"
    assert BenchResult.from_json(document) == found
    assert BenchResult.from_json(document).is_partial


def test_the_page_has_every_part() -> None:
    """Six figures with a title each, the tables that are not empty, the notes and the thresholds."""
    found = judged(result(), [parse_threshold("async.rate", "> 999/s")])
    page = Page(render("html", found))
    words = " ".join(page.words)
    assert page.count("svg") == page.count("figure") == 6
    assert page.count("table") == 5
    assert [attrs.get("role") for tag, attrs in page.elements if tag == "svg"] == ["img"] * 6
    for part in (
        "async is faster than sync: 6.00× (5.40–6.60×)",
        "async: rate is 120/s; wanted async.rate: > 999/s",
        "coordinated omission",
        "crawler 1.2.3, CPython 3.11.7",
    ):
        assert part in words


def test_the_page_fetches_nothing() -> None:
    """No script, no address that a browser would follow, and a policy that forbids it besides."""
    text = render("html", result())
    page = Page(text)
    assert not {"script", "link", "img", "iframe", "base", "a"} & {tag for tag, _ in page.elements}
    names = {name for _, attrs in page.elements for name in attrs}
    assert not {name for name in names if name.startswith("on") or name in ("src", "href", "style", "action")}
    assert "url(" not in text
    assert "@import" not in text
    assert "default-src 'none'" in text


def test_hostile_texts_stay_texts() -> None:
    """Names, URLs, kinds and messages are shown as they are and open no element, in HTML and Markdown."""
    page = Page(render("html", hostile()))
    assert {"img", "script"}.isdisjoint(tag for tag, _ in page.elements)
    assert " ".join(page.words).count(HOSTILE) > 10
    marked = render("markdown", hostile())
    assert "<img" not in re.sub(r"\\<", "", marked)
    table = [line for line in marked.splitlines() if line.startswith("| \\</script")]
    assert table
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table[:1]}) == 1


def test_little_data_is_drawn_all_the_same() -> None:
    """One round, no second that is whole, no phases, no success: the page says what there is."""
    from crawler.bench import Distribution, Interval, Speedup

    dead = arm(
        "dead", 1, 0.1, rate=Interval(), response_time=Distribution(), phases={}, rounds=(), timeline=(),
        speedup=Speedup(baseline="sync"), cpu_per_request=None, cpu=None,
    )  # fmt: skip
    page = Page(render("html", result(dead)))
    assert page.count("svg") == 2
    for form in ("markdown", "csv", "bench_json"):
        assert "dead" in render(form, result(dead))


def test_many_arms_are_drawn() -> None:
    """With 64 arms there is a bar each, and as many lines as there are colours."""
    arms = [arm(f"a[vus={number}]", 10 * number, 0.1 / number) for number in range(1, 65)]
    text = render("html", result(*arms))
    assert text.count("<polyline") == 3 * 8
    assert "The first 8 of 64 arms." in text


def test_instant_answers_are_drawn() -> None:
    """Response times that are all the same, or zero, divide by nothing."""
    flat = arm("flat", 10, 1e-6, response_time=times(1e-6, 4), phases={"ttfb": times(1e-9)})
    Page(render("html", result(flat)))


def test_markdown_for_a_pull_request() -> None:
    """A title, the sentence, and tables whose rows have as many cells as their head."""
    lines = render("markdown", result()).splitlines()
    assert lines[0] == "# example"
    assert lines[2] == "- async is faster than sync: 6.00× (5.40–6.60×)"
    assert lines[4] == "| arm | rate | interval | speed-up | interval | verdict | p50 | p99 | errors |"
    assert lines[5] == "|:--|--:|--:|--:|--:|:--|--:|--:|--:|"
    assert lines[7] == "| async | 120/s | 114–126/s | 6.00× | 5.40–6.60× | faster | 50.0 ms | 150 ms | 0 |"


def test_csv_for_a_spreadsheet() -> None:
    """A row over all rounds and one per round, in base units, empty where nothing was measured."""
    text = render("csv", result())
    rows = list(csv.DictReader(io.StringIO(text)))
    assert text.count("\r\n") == len(rows) + 1
    assert tuple(rows[0]) == COLUMNS
    assert [(row["arm"], row["round"]) for row in rows[:3]] == [("sync", "all"), ("sync", "0"), ("sync", "1")]
    assert len(rows) == 2 * (1 + 5)
    whole = rows[6]
    assert (whole["arm"], float(whole["rate"]), whole["p50"], whole["p99.9"]) == ("async", 120, "0.05", "")
    assert (float(whole["speedup"]), whole["verdict"], rows[7]["verdict"]) == (6, "faster", "")


def test_a_file_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders are made; a write that fails leaves the earlier file, and nothing beside it."""
    path = tmp_path / "a" / "b" / "report.html"
    write_report(path, "first")
    assert path.read_text() == "first"

    def fail(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("crawler.bench.reports.os.replace", fail)
    with pytest.raises(OSError, match="No space"):
        write_report(path, "second")
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
    assert path.read_text() == "first"
