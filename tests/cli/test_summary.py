"""The summary at the end of a run, made from `summary.json` alone."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from crawler.cli.summary import as_panel, as_text, elapsed_seconds, show_summary, view_summary

SUMMARY: dict[str, Any] = {
    "schema": "crawler.summary/1",
    "job": "quickstart",
    "state": "finished",
    "started_at": "2026-01-02T03:04:05.000Z",
    "ended_at": "2026-01-02T03:04:07.000Z",
    "counts": {"ok": 297, "failed": 3, "skipped": 0, "unchanged": 0, "cancelled": 0},
    "submitted": 300,
    "pending": 0,
    "earlier": 0,
    "errors": [
        {"kind": "http_4xx", "host": "a", "n": 1, "example": "http://a/missing: 404 \x1b[2JNot Found"},
        {"kind": "http_4xx", "host": "b", "n": 1, "example": "http://b/missing: 404"},
        {"kind": "timeout_read", "host": "a", "n": 1, "example": "http://a/slow: nothing for 1 s"},
    ],
    "bytes": 20_500_000,
    "rate": {"mean": 150.0, "peak": 180.0},
    "timing": {"total": {"p50": 0.02, "p90": 0.1, "p99": 0.5, "max": 1.1}},
    "hosts": [{"host": "a", "n": 200, "mean": 0.05}, {"host": "b", "n": 100, "mean": 0.09}],
    "retries": {"n": 1, "share": 0.003},
    "sequential_seconds": 41.0,
    "outputs": [{"path": "out/quickstart/results.jsonl", "rows": 300, "bytes": 412_000, "sha256": None}],
}
NEXT = [("again", "crawler run configs/quickstart.yaml --fresh")]


def test_the_text_says_it_all() -> None:
    """Counts, rate, latency, slowest host, speed-up, errors with advice, outputs and the next command."""
    text = as_text(view_summary(SUMMARY, NEXT))

    assert text.splitlines()[:2] == ["quickstart: finished", "  300 URLs: 297 ok, 3 failed"]
    for line in (
        "took:         2 s for 300 URLs, 150/s (best second 180/s)",
        "received:     20.5 MB of bodies, 1 retry",
        "one by one:   up to 41 s, all requests added up; this was up to 20× faster",
        "latency:      p50 20 ms   p90 100 ms   p99 500 ms   max 1.1 s",
        "slowest host: b, 90 ms on average",
        "records:      out/quickstart/results.jsonl (300 records, 412 kB)",
        "2 × http_4xx, for example http://a/missing: 404 \\x1b[2JNot Found",
        "→ the server refuses the request; check URL, credentials and headers",
        "again:        crawler run configs/quickstart.yaml --fresh",
    ):
        assert line in text


def test_the_panel_has_what_the_text_has() -> None:
    """A terminal gets the same facts in a frame, and no escape sequence of a server."""
    console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)
    console.print(as_panel(view_summary(SUMMARY, NEXT)))
    assert isinstance(console.file, io.StringIO)
    drawn = console.file.getvalue()

    for text in ("quickstart: finished", "297 ok, 3 failed", "20× faster", "p99 500 ms", "http_4xx"):
        assert text in drawn
    assert "\x1b[2J" not in drawn


def test_markup_in_what_servers_say_is_shown_as_it_is() -> None:
    """Square brackets in an error text are no commands to the terminal library."""
    summary = {**SUMMARY, "errors": [{"kind": "http_5xx", "host": "a", "n": 1, "example": "[bold]x[/] [/nothing]"}]}
    console = Console(file=io.StringIO(), width=120)
    console.print(as_panel(view_summary(summary)))
    assert isinstance(console.file, io.StringIO)

    assert "[bold]x[/] [/nothing]" in console.file.getvalue()


def test_a_resumed_run_tells_what_was_done_before() -> None:
    """The rate and the time are of this run; what earlier runs did has a line of its own."""
    summary = {**SUMMARY, "state": "interrupted", "earlier": 250, "pending": 100, "submitted": 400}
    view = view_summary(summary)

    assert not view.is_good
    assert view.title == "quickstart: interrupted"
    assert view.counts == "400 URLs: 297 ok, 3 failed, 100 still to do"
    assert ("before", "250 URLs done by earlier runs") in view.rows


def test_an_almost_empty_summary_is_shown_too() -> None:
    """A run that did nothing, or a summary of another version, is no reason to fail."""
    text = as_text(view_summary({"state": "finished", "counts": {}}))

    assert text.startswith("run: finished\n  0 URLs: 0 ok\n")
    assert elapsed_seconds({"started_at": "yesterday", "ended_at": None}) == 0.0


def test_many_kinds_of_errors_are_cut() -> None:
    """A dozen kinds are enough to read; the rest is counted."""
    errors = [{"kind": f"kind_{n}", "host": "a", "n": 1, "example": "x"} for n in range(20)]
    view = view_summary({**SUMMARY, "errors": errors})

    assert len(view.errors) == 12
    assert "and 8 more kinds, see summary.json" in as_text(view)


def test_it_goes_to_the_stream_that_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """Records on stdout must not be mixed with the summary, which then goes to stderr."""
    view = view_summary(SUMMARY)
    show_summary(view)
    assert capsys.readouterr() == (as_text(view), "")
    show_summary(view, to_stderr=True)
    assert capsys.readouterr() == ("", as_text(view))
