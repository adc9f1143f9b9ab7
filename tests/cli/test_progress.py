"""What is seen while a run goes, made from its counters alone."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from crawler.cli.progress import Bar, Lines, Silence, choose_progress, render, seconds_left, snapshot
from crawler.fanout.stats import ErrorCount, Stats


@pytest.fixture
def stats() -> Stats:
    """Counters of a run in its tenth second: 40 of 100 done, one failed."""
    stats = Stats(now=0.0)
    stats.submitted = 100
    stats.is_total_known = True
    for second in range(10):
        for _ in range(4):
            stats.rate.add(second + 0.5)
    stats.counts["ok"] = 39
    stats.counts["failed"] = 1
    stats.in_flight = 8
    stats.waiting = 2
    stats.bytes = 1_400_000
    stats.errors["http_4xx", "host"] = ErrorCount("http_4xx", "host", 1, "http://host/: 404")
    return stats


def _drawn(stats: Stats, now: float) -> str:
    console = Console(file=io.StringIO(), width=120, force_terminal=False)
    console.print(render(stats, now))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_bar_shows_all_that_matters(stats: Stats) -> None:
    """Done and total, share, rate, time left, in flight, waiting, bytes and the errors by kind."""
    drawn = _drawn(stats, 10.2)

    for text in ("40/100", "40 %", "4/s", "15 s left", "in flight 8", "waiting for retry 2", "1.4 MB", "http_4xx:1"):
        assert text in drawn


def test_without_a_total_nothing_is_promised(stats: Stats) -> None:
    """While the input is still being read there is no share and no time left."""
    stats.is_total_known = False

    drawn = _drawn(stats, 10.2)

    assert "40/100…" in drawn
    assert "%" not in drawn
    assert "left" not in drawn
    assert seconds_left(stats, 10.2) is None
    assert snapshot(stats, 10.2)["total"] is None


def test_many_kinds_of_errors_stay_on_one_line(stats: Stats) -> None:
    """The three most frequent kinds are named, the others counted."""
    for kind in ("a", "b", "c", "d"):
        stats.errors[kind, "host"] = ErrorCount(kind, "host", 5, "")

    assert "a:5 b:5 c:5 +2 kinds" in _drawn(stats, 10.2)


def test_lines_are_json(stats: Stats, capsys: pytest.CaptureFixture[str]) -> None:
    """Elsewhere than on a terminal each report is one JSON object on stderr."""
    lines = Lines(interval_s=10)
    lines.update(stats, 10.2)
    lines.note("Stopping")

    out, err = capsys.readouterr()
    progress, note = map(json.loads, err.splitlines())
    assert out == ""
    assert progress == {
        "event": "progress",
        "elapsed_s": 10.2,
        "done": 40,
        "total": 100,
        "ok": 39,
        "failed": 1,
        "in_flight": 8,
        "waiting": 2,
        "rate": 4.0,
        "bytes": 1_400_000,
        "errors": {"http_4xx": 1},
        "eta_s": 15.0,
    }
    assert note == {"event": "note", "message": "Stopping"}


def test_quiet_shows_nothing_but_notes(stats: Stats, capsys: pytest.CaptureFixture[str]) -> None:
    """Without progress, what must be said is still said."""
    silence = Silence()
    silence.update(stats, 10.2)
    silence.note("Stopping")

    assert capsys.readouterr().err == "Stopping\n"


def test_the_display_fits_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` is lines where stderr is no terminal; a mode that is asked for is taken."""
    assert isinstance(choose_progress("auto"), Lines)
    assert isinstance(choose_progress("lines"), Lines)
    assert isinstance(choose_progress("none"), Silence)
    bar = choose_progress("bar")
    bar.close()
    assert isinstance(bar, Bar)


def test_a_pause_of_the_whole_run_is_said(stats: Stats, capsys: pytest.CaptureFixture[str]) -> None:
    """When downloads wait for the disk, lines and bar say so."""
    stats.paused = "paused: the disk is full"
    Lines(10.0).update(stats, 10.2)

    assert json.loads(capsys.readouterr().err)["paused"] == "paused: the disk is full"
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(render(stats, 10.2))
    assert "paused: the disk is full" in console.export_text()
