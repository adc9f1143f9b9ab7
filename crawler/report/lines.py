"""Lines over a common axis: rates over rounds or seconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from crawler.report import units
from crawler.report.svg import WIDTH, Scale, figure, grid_x, grid_y, label, legend, line, round_steps

_LEFT: Final = 46
_HEIGHT: Final = 220

Lines = Sequence[tuple[str, Sequence[tuple[float, float]]]]
"""Name and points of each line, at most `svg.SERIES`."""


def line_chart(
    title: str,
    below: str,
    lines: Lines,
    shown: Callable[[float], str] = units.tick_rate,
    shown_below: Callable[[float], str] = "{:.0f}".format,
) -> str:
    """Draw lines from zero upwards.

    Args:
        title: What a screen reader says.
        below: What the horizontal axis counts.
        lines: At least one with a point.
        shown, shown_below: Write a value of the vertical and of the horizontal axis.
    """
    places = [point[0] for _, points in lines for point in points]
    steps = round_steps(max(point[1] for _, points in lines for point in points))
    x = Scale(min(places), max(places), _LEFT + 6, WIDTH - 12)
    y = Scale(0, steps[-1], _HEIGHT, 10)
    parts = grid_y(y, steps, _LEFT, WIDTH - 8, shown)
    stride = max(1, round((x.high - x.low) / 8))
    ticks = [x.low + stride * number for number in range(int((x.high - x.low) / stride) + 1)]
    parts += grid_x(x, ticks, y.end, _HEIGHT, shown_below)
    parts.append(label(WIDTH - 8, _HEIGHT + 32, below, anchor="end", kind="small"))
    for number, (name, points) in enumerate(lines):
        drawn = [(x.at(place), y.at(value)) for place, value in points]
        parts.append(line(drawn, f"curve s{number}", name))
    keys, bottom = legend([(f"s{number}", name) for number, (name, _) in enumerate(lines)], _HEIGHT + 42)
    return figure(bottom, title, [*parts, *keys])
