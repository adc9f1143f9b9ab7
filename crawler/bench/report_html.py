"""The report as one HTML file: charts, tables and notes, without a script and without anything fetched from elsewhere.

Names and URLs come from a job file and error kinds from servers: all text is escaped, and the page's own policy
(`Content-Security-Policy`) allows nothing but its style sheet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import zip_longest

from crawler.bench.report_curves import cdf, over_rounds, over_time
from crawler.bench.report_view import View, is_open, verdict, view
from crawler.bench.report_waterfall import waterfall
from crawler.bench.result import ArmResult, BenchResult
from crawler.bench.statistics import median_interval
from crawler.bench.verdict import seed_of
from crawler.report import units
from crawler.report.bars import Bar, bars
from crawler.report.page import figure_of, page, table_of
from crawler.report.svg import SERIES


def html(result: BenchResult) -> str:
    """Write the whole page."""
    said = view(result)
    charts = ('<div class="charts">', *_charts(result), "</div>")
    return page(f"{said.title} · benchmark", (*_head(result, said), *charts, *_tables(said), *_notes(said)))


def _head(result: BenchResult, said: View) -> Iterator[str]:
    early = ' <span class="dim">(ended early)</span>' if said.is_partial else ""
    yield f"<h1>{escape(said.title)}{early}</h1>"
    yield '<ul class="lead">'
    yield from (f'<li class="broken">✗ {escape(breach)}</li>' for breach in said.breaches)
    kinds = [arm.speedup.verdict for arm in result.arms if arm.speedup.verdict not in ("baseline", "no_data")]
    for sentence, kind in zip_longest(said.headline, kinds):
        colour = kind if kind in ("faster", "slower") else "none"
        yield f'<li class="{colour}">{escape(sentence)}</li>'
    yield "</ul><dl>"
    yield from (f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in said.about)
    yield "</dl>"


def _charts(result: BenchResult) -> Iterator[str]:
    """The figures that there is something to show in."""
    arms = result.arms
    percent = f"{100 * result.confidence:g} %"
    if not is_open(result):
        yield figure_of(
            "Rate", f"Successful requests per second: median of the rounds, with {percent} interval.", _rates(arms)
        )
    yield figure_of(
        "Median response time",
        f"Half of the requests were answered within: median of the rounds, with {percent} interval. Shorter is better.",
        _medians(result),
    )
    left_out = f" The first {SERIES} of {len(arms)} arms." if len(arms) > SERIES else ""
    yield figure_of(
        "Response times", f"Share of requests answered within a time; the axis is logarithmic.{left_out}", cdf(arms)
    )
    yield figure_of("Over time", f"Rate in each second of a round, mean of the rounds.{left_out}", over_time(arms))
    yield figure_of("Rounds", f"Rate of each round: a drift or an odd round shows here.{left_out}", over_rounds(arms))
    yield figure_of("Phases of a request", "Mean time of each phase, one after the other.", waterfall(arms))


def _rates(arms: Sequence[ArmResult]) -> str:
    rows = [
        Bar(
            arm.name,
            arm.rate.median,
            arm.rate.low,
            arm.rate.high,
            units.rate(arm.rate.median),
            _colour(number),
            verdict(arm),
        )
        for number, arm in enumerate(arms)
    ]
    return bars("Successful requests per second of each arm", rows, units.rate_range)


def _medians(result: BenchResult) -> str:
    rows = []
    for number, arm in enumerate(result.arms):
        values = [value for row in arm.rounds if (value := row.response_time.get("p50")) is not None]
        if not values:
            rows.append(Bar(arm.name, None, None, None, units.NONE, _colour(number)))
            continue
        found = median_interval(values, result.confidence, seed_of(result.seed, arm.name))
        rows.append(Bar(arm.name, found.value, found.low, found.high, units.time(found.value), _colour(number)))
    return bars("Median response time of each arm", rows, units.time_range)


def _colour(number: int) -> str:
    """The colour that the arm has in every chart; beyond those that have curves, grey."""
    return f"s{min(number, SERIES - 1)}"


def _tables(said: View) -> Iterator[str]:
    yield from table_of("Result", said.arms)
    yield from table_of("Break-even", said.break_even)
    yield from table_of("Response times", said.percentiles)
    yield from table_of("Due and sent", said.starts)
    yield from table_of("The client", said.costs)
    yield from table_of("1,000 requests", said.thousand)
    yield from table_of("Errors", said.errors)
    yield from table_of("Thresholds", said.thresholds)


def _notes(said: View) -> Iterator[str]:
    yield "<h2>How to read this</h2><ul>"
    yield from (f"<li>{escape(note)}</li>" for note in said.notes)
    yield "</ul>"
