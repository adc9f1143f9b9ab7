"""What the charts of the report are drawn with: elements, axes, and the width that a phone can show.

A chart is an `<svg>` text with a `viewBox` and no size: the page scales it. Its width of 440 units is that of a narrow
column, so that on a phone text is scaled down a little only and on a desk two charts stand side by side. Colours come
from the page's style sheet by class (`s0` … `s7` for series, `ph-NAME` for phases), so light and dark need no script.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

WIDTH: Final = 440
SERIES: Final = 8
"""Colours there are; more lines than that nobody can tell apart."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Where a value lies on an axis.

    Attributes:
        low, high: Ends in values.
        start, end: Ends in units of the drawing.
        is_log: Equal steps are equal factors; `low` is above 0 then.
    """

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def at(self, value: float) -> float:
        """The place of a value; beyond the ends it is the end."""
        bounded = min(max(value, self.low), self.high)
        if self.high <= self.low:
            return self.start
        if self.is_log:
            part = math.log(bounded / self.low) / math.log(self.high / self.low)
        else:
            part = (bounded - self.low) / (self.high - self.low)
        return self.start + part * (self.end - self.start)


def figure(height: float, title: str, parts: Iterable[str]) -> str:
    """A whole chart; `title` is what a screen reader says."""
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )


def label(x: float, y: float, text: str, *, anchor: str = "start", kind: str = "") -> str:
    """A line of text; `anchor` is `start`, `middle` or `end`."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{_class(kind)}>{escape(text)}</text>'


def box(x: float, y: float, width: float, height: float, kind: str, title: str = "") -> str:
    """A filled rectangle, with a text that shows where a pointer rests on it."""
    inside = f"<title>{escape(title)}</title>" if title else ""
    place = f'x="{x:.1f}" y="{y:.1f}" width="{max(0.0, width):.1f}" height="{height:.1f}"'
    return f"<rect {place}{_class(kind)}>{inside}</rect>"


def line(points: Sequence[tuple[float, float]], kind: str, title: str = "") -> str:
    """A line through points."""
    inside = f"<title>{escape(title)}</title>" if title else ""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}"{_class(kind)}>{inside}</polyline>'


def rule(x1: float, y1: float, x2: float, y2: float, kind: str = "grid") -> str:
    """A straight line."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"{_class(kind)}/>'


def legend(entries: Sequence[tuple[str, str]], top: float) -> tuple[list[str], float]:
    """Swatches with names, as many a line as fit.

    Args:
        entries: Class of the colour and name.
        top: Where the first line begins.

    Returns:
        The elements, and where the last line ends.
    """
    parts, x, y = [], 4.0, top
    for kind, name in entries:
        width = 26 + 6.6 * len(name)
        if x > 4 and x + width > WIDTH:
            x, y = 4.0, y + 18
        parts += [box(x, y + 3, 12, 10, f"fill {kind}"), label(x + 17, y + 12, name, kind="small")]
        x += width
    return parts, y + 18


def round_steps(high: float, most: int = 5) -> list[float]:
    """Round numbers from 0 to at least `high`, at most `most` steps: 1, 2 or 5 times a power of ten."""
    if not high > 0 or not math.isfinite(high):
        return [0.0, 1.0]
    power = 10.0 ** math.floor(math.log10(high / most))
    step = next(factor * power for factor in (1, 2, 5, 10) if high / (factor * power) <= most)
    return [number * step for number in range(math.ceil(high / step - 1e-9) + 1)]


def decades(low: float, high: float) -> list[float]:
    """The powers of ten within; with 2 and 5 times them where there are few."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if len(powers) <= 4 else (1,)
    slack = 1 + 1e-9
    return [
        factor * 10.0**power
        for power in powers
        for factor in factors
        if low <= factor * 10.0**power * slack and factor * 10.0**power <= high * slack
    ]


def grid_y(scale: Scale, steps: Iterable[float], left: float, right: float, shown: Callable[[float], str]) -> list[str]:
    """Horizontal lines with their values on the left."""
    parts = []
    for step in steps:
        y = scale.at(step)
        parts += [rule(left, y, right, y), label(left - 5, y + 4, shown(step), anchor="end", kind="small")]
    return parts


def grid_x(scale: Scale, steps: Iterable[float], top: float, bottom: float, shown: Callable[[float], str]) -> list[str]:
    """Vertical lines with their values below, where there is room for them."""
    parts, taken = [], -math.inf
    for step in steps:
        x, text = scale.at(step), shown(step)
        parts.append(rule(x, top, x, bottom))
        half = 3.4 * len(text) + 3
        if x - half >= taken:
            anchor = "end" if x + half > WIDTH else "start" if x < half else "middle"
            parts.append(label(x, bottom + 15, text, anchor=anchor, kind="small"))
            taken = x + half
    return parts


def _class(kind: str) -> str:
    return f' class="{escape(kind)}"' if kind else ""
