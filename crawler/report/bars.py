"""Bars with intervals: one arm a line, its name above the bar, so that long names fit a phone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from crawler.report.svg import WIDTH, Scale, box, figure, label, rule

_STEP: Final = 40
_VALUE_WIDTH: Final = 4


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar.

    Attributes:
        name: Of the arm.
        value, low, high: The number and its interval, all `None` if nothing was measured.
        text: The number as it is shown.
        kind: Class of its colour.
        mark: A word behind the number, such as the verdict.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    text: str
    kind: str
    mark: str = ""


def bars(title: str, rows: Sequence[Bar], shown_range: Callable[[float | None, float | None], str]) -> str:
    """Draw the bars, from zero, in the order given; whiskers are the intervals.

    Args:
        title: What a screen reader says.
        rows: The bars.
        shown_range: Writes an interval, for the text that a pointer shows.
    """
    longest = max((max(row.value or 0.0, row.high or 0.0) for row in rows), default=0.0)
    scale = Scale(0, longest or 1.0, 4, WIDTH - _VALUE_WIDTH)
    parts: list[str] = []
    for number, row in enumerate(rows):
        parts += _bar(row, scale, number * _STEP, shown_range)
    return figure(_STEP * len(rows) + 4, title, parts)


def _bar(row: Bar, scale: Scale, top: float, shown_range: Callable[[float | None, float | None], str]) -> list[str]:
    tail = f"{row.text}  {row.mark}" if row.mark else row.text
    parts = [label(4, top + 13, row.name), label(WIDTH - 4, top + 13, tail, anchor="end", kind="number")]
    if row.value is None:
        return parts
    hint = f"{row.name}: {row.text}, interval {shown_range(row.low, row.high)}"
    parts.append(box(scale.start, top + 18, scale.at(row.value) - scale.start, 14, f"fill {row.kind}", hint))
    if row.low is not None and row.high is not None:
        low, high, middle = scale.at(row.low), scale.at(row.high), top + 25
        parts += [rule(low, middle, high, middle, "whisker")]
        parts += [rule(end, middle - 5, end, middle + 5, "whisker") for end in (low, high)]
    return parts
