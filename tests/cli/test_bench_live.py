"""What is seen while a benchmark goes, made from its snapshots alone."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from crawler.bench.live import LiveStats
from crawler.bench.report_view import view
from crawler.cli.bench_live import Lines, Silence, choose_bench_progress, render, seconds_left, sparkline
from crawler.cli.bench_table import as_panel
from tests.bench.examples import result

NOW = LiveStats(
    arm="async",
    round=1,
    rounds=5,
    step=3,
    steps=10,
    phase="measure",
    elapsed=2.0,
    requests=200,
    errors=4,
    rate=98.0,
    p50=0.0429,
    p99=0.0812,
    max=0.0819,
    buckets=((0.02, 10), (0.04, 80), (0.08, 10)),
    loop_lag=0.0012,
    total_elapsed=6.0,
)


def drawn(stats: LiveStats, *latest: LiveStats) -> str:
    console = Console(file=io.StringIO(), width=120, force_terminal=False)
    console.print(render("example", stats, latest))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_picture_shows_all_that_matters() -> None:
    """Where it is, how fast, how late, what went wrong, and each arm's latest round."""
    text = drawn(NOW, NOW)
    for part in ("example", "round 2 of 5", "3/10", "14 s left", "200 requests", "98/s", "errors 4", "lag 1.2 ms"):
        assert part in text
    for part in ("20 ms ", " 81.9 ms", "p50 42.9 ms", "p99 81.2 ms", "latest round"):
        assert part in text
    assert "dropped" not in text


def test_between_two_rounds_there_are_no_numbers() -> None:
    """What is not under way has no rate of zero."""
    text = drawn(LiveStats("sync", 0, 5, 0, 10, "start"))
    assert "sync  start" in text
    assert "requests" not in text


def test_time_left_is_told_after_the_first_step() -> None:
    """From the mean of the steps that are done."""
    assert seconds_left(NOW) == pytest.approx(14)
    assert seconds_left(LiveStats("a", 0, 5, 0, 10, "start")) is None


def test_sparkline() -> None:
    """The highest is full, anything at all is seen, and the axis is logarithmic."""
    line = sparkline(((0.01, 100), (0.1, 1), (1.0, 50)), width=9)
    assert len(line) == 9
    assert (line[0], line[4], line[8], line[1]) == ("█", "▂", "▅", "▁")
    assert sparkline(()) == sparkline(((0.1, 0),)) == ""
    assert sparkline(((0.1, 3),), width=3) == "█▁▁"


def test_lines_are_written_when_due(capsys: pytest.CaptureFixture[str]) -> None:
    """The first at once, then one per interval, and the last at the end."""
    lines = Lines(3600)
    for _ in range(3):
        lines.update(NOW)
    lines.note("a word")
    lines.close()
    said = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in said] == ["bench", "note", "bench"]
    assert (said[0]["arm"], said[0]["round"], said[0]["p99"], said[0]["eta_s"]) == ("async", 2, 0.0812, 14.0)


def test_what_is_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    """Lines where stderr is no terminal; nothing if asked for nothing."""
    assert isinstance(choose_bench_progress("auto", "x", 10), Lines)
    silence = choose_bench_progress("none", "x", 10)
    assert isinstance(silence, Silence)
    silence.update(NOW)
    silence.close()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("width", [80, 130])
def test_the_panel_fits(width: int) -> None:
    """On a narrow terminal less needed columns go, and no word is cut in two."""
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(as_panel(view(result()), ["out/report.html"], width))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    for part in ("verdict", "faster", "6.00×", "p99", "CPU per request", "out/report.html", "example: finished"):
        assert part in text
    assert ("engine" in text) == (width > 100)
