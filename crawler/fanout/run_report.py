"""`report.html`: the summary of a run as one page, with charts, for people who were not there.

It is made of nothing but the summary (`crawler.summary/1`), so it can be made again from a `summary.json`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

from crawler.fanout.crawl_report import crawl_charts, crawl_tables
from crawler.report import units
from crawler.report.bars import Bar, bars
from crawler.report.lines import line_chart
from crawler.report.page import Table, figure_of, page, table_of
from crawler.report.phases import phase_chart

Summary = Mapping[str, Any]

_PERCENTILES = ("p50", "p75", "p90", "p95", "p99", "p99.9", "max")
_PHASES = ("queue", "dns", "connect", "tls", "send", "ttfb", "receive", "total")


def run_report(summary: Summary) -> str:
    """Write the page.

    Args:
        summary: As in `summary.json`.
    """
    charts = ('<div class="charts">', *_charts(summary), "</div>")
    return page(f"{summary['job']} · run", (*_head(summary), *charts, *_tables(summary), *_about(summary)))


def _head(summary: Summary) -> Iterator[str]:
    counts = summary["counts"]
    done = sum(counts.values())
    yield f"<h1>{escape(str(summary['job']))} <span class='dim'>{escape(str(summary['state']))}</span></h1>"
    yield '<ul class="lead">'
    good = "faster" if counts["ok"] == done else "slower"
    parts = ", ".join(f"{units.count(n)} {outcome}" for outcome, n in counts.items() if n)
    left = f"; {units.count(summary['pending'])} left" if summary["pending"] else ""
    yield f'<li class="{good}">{units.count(done)} requests: {escape(parts) or "none"}{left}</li>'
    for found in summary.get("limits_hit") or ():
        yield f'<li class="broken">stopped by {escape(found)}; the same command goes on</li>'
    if summary.get("bottleneck"):
        found = summary["bottleneck"]
        sentence = f"What held it back: {found['name']} ({found['evidence']}). To change it: {found['advice']}."
        yield f"<li>{escape(sentence)}</li>"
    yield "</ul><dl>"
    yield from (f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in _facts(summary))
    yield "</dl>"


def _facts(summary: Summary) -> Iterator[tuple[str, str]]:
    begun, ended = (datetime.fromisoformat(summary[name]) for name in ("started_at", "ended_at"))
    rate, retries = summary["rate"], summary["retries"]
    yield "started", f"{begun:%Y-%m-%d %H:%M:%S} UTC, run {summary['run_id']}"
    yield "took", units.time((ended - begun).total_seconds())
    yield "rate", f"{units.rate(rate['mean'])} on average, {units.rate(rate['peak'])} in the best second"
    yield "bodies", f"{units.size(summary['bytes'])}, {units.size(summary['bytes_wire'])} on the wire"
    yield "retries", f"{units.count(retries['n'])}, {units.share(retries['share'])} of all attempts"
    if summary["duplicates"]:
        yield "duplicates", f"{units.count(summary['duplicates'])} rows named a request a second time"
    if summary["earlier"]:
        yield "earlier", f"{units.count(summary['earlier'])} of these were done by earlier runs"
    if (lag := summary.get("loop_lag") or {}).get("p99") is not None:
        yield "loop lag", f"{units.time(lag['p99'])} at the 99th percentile, {units.time(lag['max'])} at most"


def _charts(summary: Summary) -> Iterator[str]:
    if "crawl" in summary:
        yield from crawl_charts(summary["crawl"])
    timeline = summary.get("timeline") or {"step_s": 1, "finished": (), "failed": (), "bytes": ()}
    step = timeline["step_s"]
    yield figure_of("Over time", "Requests finished per second.", _rates(timeline, step))
    yield figure_of("Bytes over time", "Body bytes on the wire per second.", _bytes(timeline, step))
    yield figure_of("Phases of a request", "Mean time of each phase, one after the other.", _phases(summary["timing"]))
    yield figure_of("Response times", "How long an attempt took, for which share of them.", _latency(summary["timing"]))
    yield figure_of("Status", "Final responses by HTTP status.", _counted("Responses", summary["status"].items()))
    kinds: dict[str, int] = {}
    for row in summary["errors"]:
        kinds[row["kind"]] = kinds.get(row["kind"], 0) + row["n"]
    yield figure_of("Errors", "Requests without success, by kind.", _counted("Errors", kinds.items(), "s1"))


def _rates(timeline: Summary, step: int) -> str:
    failed = timeline["failed"]
    lines = [("finished", _per_second(timeline["finished"], step))]
    if any(failed):
        lines.append(("failed", _per_second(failed, step)))
    return line_chart("Requests finished per second", "time", lines, shown_below=units.tick_time) if lines[0][1] else ""


def _bytes(timeline: Summary, step: int) -> str:
    points = _per_second(timeline["bytes"], step)
    if not any(value for _, value in points):
        return ""
    return line_chart("Body bytes per second", "time", [("bytes", points)], units.tick_size, units.tick_time)


def _per_second(counts: Sequence[int], step: int) -> list[tuple[float, float]]:
    """Points of a line; the last slice, which the run ended in the middle of, is left out if there are others."""
    whole = counts[:-1] if len(counts) > 2 else counts
    points = [(float(step * (number + 1)), n / step) for number, n in enumerate(whole)]
    return points if len(points) > 1 else []


def _phases(timing: Summary) -> str:
    answered = timing["total"].get("n") or 0
    means = {
        phase: timing[phase]["mean"] * (min(1.0, timing[phase]["n"] / answered) if answered else 1.0)
        for phase in _PHASES[:-1]
        if timing[phase]["mean"] is not None
    }
    return phase_chart([("all requests", means)]) if means else ""


def _latency(timing: Summary) -> str:
    spread = timing["total"]
    rows = [
        Bar(name, spread[name], None, None, units.time(spread[name]), "s0")
        for name in _PERCENTILES
        if spread[name] is not None
    ]
    return bars("Percentiles of the time of an attempt", rows, units.time_range) if rows else ""


def _counted(title: str, counts: Any, kind: str = "s0") -> str:
    found = sorted(((str(name), int(n)) for name, n in counts), key=lambda pair: -pair[1])[:12]
    rows = [Bar(name, float(n), None, None, units.count(n), kind) for name, n in found]
    return bars(title, rows, units.rate_range) if rows else ""


def _tables(summary: Summary) -> Iterator[str]:
    if "crawl" in summary:
        yield from crawl_tables(summary["crawl"])
    hosts = tuple(
        (
            row["host"],
            units.count(row["n"]),
            units.share(row["ok"] / row["n"] if row["n"] else None),
            units.rate(row["rate"]),
            units.time(row["mean"]),
            units.time(row["wait"]),
            units.time(row["suspended"]),
        )
        for row in summary["hosts"]
    )
    yield from table_of("Hosts", Table(("host", "requests", "ok", "rate", "mean", "waited", "left alone"), hosts))
    errors = tuple((row["kind"], row["host"], units.count(row["n"]), row["example"][:300]) for row in summary["errors"])
    yield from table_of("Errors", Table(("kind", "host", "requests", "example"), errors, frozenset({0, 1, 3})))
    phases = tuple(
        (phase, *(units.time(summary["timing"][phase][name]) for name in _PERCENTILES))
        for phase in _PHASES
        if summary["timing"][phase]["max"] is not None
    )
    yield from table_of("Phases", Table(("phase", *_PERCENTILES), phases))
    outputs = tuple(
        (row["path"], units.count(row["rows"]), units.size(row["bytes"]), row.get("sha256") or units.NONE)
        for row in summary["outputs"]
    )
    yield from table_of("Outputs", Table(("file", "records", "size", "sha256"), outputs, frozenset({0, 3})))


def _about(summary: Summary) -> Iterator[str]:
    about = summary["environment"]
    made_by = f"crawler {about['version']}, Python {about['python']}, {about['os']}, {about['cpus']} processors"
    yield f'<p class="dim">{escape(made_by)}</p>'
