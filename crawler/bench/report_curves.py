"""Lines: the distribution of response times on a logarithmic axis, and what happened second by second."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean
from typing import Final

from crawler.bench.result import ArmResult
from crawler.report import units
from crawler.report.lines import line_chart
from crawler.report.svg import SERIES, WIDTH, Scale, decades, figure, grid_x, grid_y, label, legend, line

_LEFT: Final = 46
_HEIGHT: Final = 220
_SHARES: Final = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)


def cdf(arms: Sequence[ArmResult]) -> str:
    """Draw which share of the requests was answered within which time; empty without answers."""
    curves = [(arm.name, arm.response_time.cdf()) for arm in arms if arm.response_time.count][:SERIES]
    edges = [edge for _, points in curves for edge, _ in points if edge > 0]
    if not edges:
        return ""
    # A little room on both sides: a server that always takes the same time is a vertical line, not the frame.
    x = Scale(min(edges) * 0.8, max(edges) * 1.25, _LEFT, WIDTH - 8, is_log=True)
    y = Scale(0, 1, _HEIGHT, 10)
    parts = grid_y(y, _SHARES, _LEFT, WIDTH - 8, lambda share: f"{100 * share:.0f} %")
    parts += grid_x(x, decades(x.low, x.high), y.end, _HEIGHT, units.tick_time)
    parts.append(label(WIDTH - 8, _HEIGHT + 32, "response time", anchor="end", kind="small"))
    for number, (name, points) in enumerate(curves):
        parts.append(line(_stairs(points, x, y), f"curve s{number}", name))
    keys, bottom = legend([(f"s{number}", name) for number, (name, _) in enumerate(curves)], _HEIGHT + 42)
    return figure(bottom, "Share of requests answered within a response time", [*parts, *keys])


def _stairs(points: Sequence[tuple[float, float]], x: Scale, y: Scale) -> list[tuple[float, float]]:
    """A cumulative count jumps at the edges and is flat between them; it comes from zero and goes on to the end."""
    drawn, height = [(x.start, y.at(0))], 0.0
    for edge, share in points:
        drawn += [(x.at(edge), y.at(height)), (x.at(edge), y.at(share))]
        height = share
    return [*drawn, (x.end, y.at(height))]


def over_time(arms: Sequence[ArmResult]) -> str:
    """Draw the rate in each second of a round, the mean of all rounds; empty if rounds are too short to show it.

    The last second of a round is left out: the round ended in the middle of it.
    """
    lines = [(arm.name, _seconds(arm)) for arm in arms][:SERIES]
    if not any(len(points) >= 3 for _, points in lines):
        return ""
    return line_chart("Successful requests in each second of a round", "second of the round", lines)


def over_rounds(arms: Sequence[ArmResult]) -> str:
    """Draw the rate of each round, so that a drift or an odd one is seen; empty with one round."""
    lines = [(arm.name, [(float(r.round + 1), r.rate) for r in arm.rounds]) for arm in arms][:SERIES]
    if not any(len(points) >= 2 for _, points in lines):
        return ""
    return line_chart("Rate of each round", "round", lines)


def _seconds(arm: ArmResult) -> list[tuple[float, float]]:
    ends: dict[int, int] = {}
    for row in arm.timeline:
        ends[row.round] = max(row.second, ends.get(row.round, 0))
    found: dict[int, list[int]] = {}
    for row in arm.timeline:
        if row.second < ends[row.round]:
            found.setdefault(row.second, []).append(row.requests - row.errors)
    return [(float(second + 1), mean(counts)) for second, counts in sorted(found.items())]
