"""A bar chart as SVG, by hand: no dependency, and it follows the reader's light or dark theme."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

WIDTH: Final = 720
LABEL_WIDTH: Final = 190
VALUE_WIDTH: Final = 70
TOP: Final = 62
STEP: Final = 28
THICKNESS: Final = 18

STYLE: Final = """
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 16px; font-weight: 600 }
  .note { fill: #57606a }
  .bar { fill: #afb8c1 }
  .ours { fill: #0969da }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .note { fill: #8d96a0 }
    .bar { fill: #484f58 }
    .ours { fill: #4493f8 }
  }
"""


@dataclass(frozen=True)
class Bar:
    """One bar: its label, its length, and whether it stands out."""

    label: str
    value: float
    is_ours: bool = False


def bar_chart(title: str, note: str, bars: Sequence[Bar]) -> str:
    """Draw the bars, longest first; numbers stand behind them."""
    ranked = sorted(bars, key=lambda bar: -bar.value)
    longest = max((bar.value for bar in ranked), default=1.0) or 1.0
    height = TOP + STEP * len(ranked) + 8
    said = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img">',
        f"<title>{escape(title)}: {escape(note)}</title>",
        f"<style>{STYLE}</style>",
        f'<text x="8" y="22" class="title">{escape(title)}</text>',
        f'<text x="8" y="42" class="note">{escape(note)}</text>',
    ]
    for place, bar in enumerate(ranked):
        y = TOP + STEP * place
        length = max(1.0, (WIDTH - LABEL_WIDTH - VALUE_WIDTH) * bar.value / longest)
        baseline = y + THICKNESS - 4
        said += [
            f'<text x="{LABEL_WIDTH - 8}" y="{baseline}" text-anchor="end">{escape(bar.label)}</text>',
            f'<rect x="{LABEL_WIDTH}" y="{y}" width="{length:.1f}" height="{THICKNESS}" rx="2" '
            f'class="{"ours" if bar.is_ours else "bar"}"/>',
            f'<text x="{LABEL_WIDTH + length + 6:.1f}" y="{baseline}">{bar.value:,.0f}</text>',
        ]
    return "\n".join([*said, "</svg>\n"])
