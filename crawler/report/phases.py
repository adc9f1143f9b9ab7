"""Where the time of a request goes: the mean of each phase, one after the other, on one axis for all rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from crawler.report import units
from crawler.report.svg import WIDTH, Scale, box, figure, grid_x, label, legend, round_steps

_STEP: Final = 40
_MEANINGS: Final = {
    "queue": "waiting to be sent",
    "dns": "name look-up",
    "connect": "TCP connect",
    "tls": "TLS handshake",
    "send": "sending",
    "ttfb": "waiting for the first byte",
    "receive": "receiving",
}


def phase_chart(rows: Sequence[tuple[str, dict[str, float]]]) -> str:
    """Draw named rows of mean seconds per phase, in the order of each; empty if all of them are zero."""
    longest = max((sum(means.values()) for _, means in rows), default=0.0)
    if not longest:
        return ""
    steps = round_steps(longest, 4)
    scale = Scale(0, max(longest, steps[-2] * 1.02), 4, WIDTH - 4)
    bottom = _STEP * len(rows) + 2
    parts = grid_x(scale, [step for step in steps if step <= scale.high], 0, bottom, units.tick_time)
    for number, (name, means) in enumerate(rows):
        parts += _row(name, means, scale, number * _STEP)
    used = [phase for phase in _MEANINGS if any(means.get(phase) for _, means in rows)]
    keys, end = legend([(f"ph-{phase}", _MEANINGS[phase]) for phase in used], bottom + 24)
    return figure(end, "Mean time of each phase of a request", [*parts, *keys])


def _row(name: str, means: dict[str, float], scale: Scale, top: float) -> list[str]:
    total = sum(means.values())
    parts = [label(4, top + 13, name), label(WIDTH - 4, top + 13, units.time(total), anchor="end", kind="number")]
    begin = 0.0
    for phase, seconds in means.items():
        left, right = scale.at(begin), scale.at(begin + seconds)
        hint = f"{name}, {_MEANINGS[phase]}: {units.time(seconds)}"
        # Half a unit at least: a phase of microseconds is there, even beside one of seconds.
        parts.append(box(left, top + 18, max(0.5, right - left), 14, f"fill ph-{phase}", hint))
        begin += seconds
    return parts
