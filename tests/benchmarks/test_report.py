"""The table for people and the JSON for programs."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.loads import Sample
from benchmarks.report import BEGIN, END, Report
from benchmarks.rounds import NOT_INSTALLED, Outcome
from benchmarks.rows import ROWS

MACHINE = {
    "date": "2026-01-02",
    "python": "CPython 3",
    "kernel": "Linux 6",
    "processor": "<fast & new>",
    "cores": "2",
    "load before": "0.0",
    "server": "nginx 1",
    "programs": "none",
}


@pytest.fixture
def report() -> Report:
    """A run of one row in three rounds, in which one client was missing and one failed."""
    row = next(row for row in ROWS if row.name == "get")
    samples = {
        "crawler": [Sample(60_000, 1.0, 1.0), Sample(50_000, 1.0, 0.9), Sample(40_000, 1.0, 0.9)],
        "aiohttp": [Sample(10_000, 1.0, 1.0, peak_mib=40.0)] * 3,
    }
    left_out = {"wreq": NOT_INSTALLED, "httpx2": "failed: it fell over"}
    return Report(MACHINE, {"crawler": "1.0"}, {"seconds": 1.0, "rounds": 3}, [Outcome(row, samples, left_out)])


def test_the_table_shows_medians_goals_and_who_was_left_out(report: Report) -> None:
    """Each client has its median and minimum; each goal what was reached and whether that is enough."""
    said = report.text()

    assert "50,000 (40,000)" in said
    assert "ratio to aiohttp: 5.00 [by CPU per request: 5.56] (must ≥ 2.5, aim ≥ 3.3): holds" in said
    assert "ratio to httpx2: not measured" in said
    assert "wreq (not installed); httpx2 (failed: it fell over)" in said


def test_a_goal_that_was_not_measured_is_missed(report: Report) -> None:
    """What could not be compared counts as not reached; a client that failed is told from one that is absent."""
    assert [text.split(": ")[1] for text in report.missed()] == [
        "ratio to the faster of wreq and pyreqwest",
        "ratio to httpx2",
    ]
    assert report.failures() == ["AsyncClient.get, HTTP/1.1, 64 at once: httpx2 failed: it fell over"]


def test_the_json_can_be_read_back(report: Report) -> None:
    """A report made from the JSON of another one is the same."""
    assert Report.parse(report.dump()) == report


def test_the_documents_get_the_tables_between_their_markers(report: Report, tmp_path: Path) -> None:
    """`update_docs` replaces what stands between the markers and nothing else, however often it is called."""
    (tmp_path / "docs").mkdir()
    for name in ("README.md", "docs/performance.md"):
        (tmp_path / name).write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")

    report.update_docs(tmp_path)
    first = (tmp_path / "README.md").read_text()
    report.update_docs(tmp_path)

    assert (tmp_path / "README.md").read_text() == first
    assert first.startswith(f"before\n{BEGIN}\n")
    assert first.endswith(f"{END}\nafter\n")
    assert "old" not in first
    assert "| AsyncClient.get, HTTP/1.1, 64 at once | 50,000 req/s |" in first
    assert "| aiohttp | 10,000 (10,000) |" in (tmp_path / "docs/performance.md").read_text()


def test_a_document_without_markers_is_left_alone(report: Report, tmp_path: Path) -> None:
    """Without a place for the table the command says which lines to add, and where."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("nothing\n")

    with pytest.raises(ValueError, match=r"README\.md has no place"):
        report.update_docs(tmp_path)
    assert (tmp_path / "README.md").read_text() == "nothing\n"


def test_the_chart_is_an_image_with_a_bar_for_each_client(report: Report) -> None:
    """The picture is well-formed SVG, fastest first, and ours stands out."""
    svg = "{http://www.w3.org/2000/svg}"
    picture = ElementTree.fromstring(report.chart())

    bars = picture.findall(f"{svg}rect")
    assert [bar.get("class") for bar in bars] == ["ours", "bar"]
    assert float(bars[0].get("width", "0")) > float(bars[1].get("width", "0"))
    assert "crawler" in [text.text for text in picture.findall(f"{svg}text")]
