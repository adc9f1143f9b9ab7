"""The style sheet of the report: readable on a phone and on paper, light and dark as the reader's system is.

Colours of series are Okabe and Ito's, which people with colour blindness can tell apart, a little lighter in the dark;
lines have dashes besides.
"""

from __future__ import annotations

from typing import Final

_LIGHT: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9", "#7a5195", "#5c6670")
_DARK: Final = ("#4aa8e0", "#f0874a", "#3ec9a0", "#e5a3c8", "#e3b94a", "#8fd0f5", "#b794d4", "#a5b0ba")
_DASHES: Final = ("none", "7 3", "2 3", "10 3 2 3", "5 5", "1 4", "12 4", "3 2")
_PHASES: Final = ("queue", "dns", "connect", "tls", "send", "ttfb", "receive")


_LIGHT_PAGE: Final = {"page": "#fff", "card": "#f4f6f8", "text": "#1b2026", "dim": "#59636e", "line": "#d9dee3"}
_DARK_PAGE: Final = {"page": "#12161b", "card": "#1c2229", "text": "#e4e9ee", "dim": "#9aa5b1", "line": "#353d47"}


def _colours(page: dict[str, str], series: tuple[str, ...]) -> str:
    named = {**page, **{f"s{number}": value for number, value in enumerate(series)}}
    return " ".join(f"--{name}: {value};" for name, value in named.items())


_BASE: Final = """
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1rem; max-width: 68rem; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; overflow-wrap: anywhere }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .5rem 0 }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem }
p { margin: .4rem 0; max-width: 46rem }
.dim, figcaption { color: var(--dim); font-size: .875rem }
ul { padding-left: 1.2rem; margin: .5rem 0 }
.lead { list-style: none; padding: 0; font-size: 1.1rem }
.lead li { padding: .5rem .8rem; margin: .4rem 0; background: var(--card); border-left: 4px solid var(--dim) }
.lead .faster { border-color: var(--s2) }
.lead .slower, .lead .broken { border-color: var(--s1) }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 25rem), 1fr)); gap: 1rem }
figure { margin: 0; padding: .8rem; background: var(--card); border-radius: 6px; min-width: 0 }
figure h2 { margin: 0 0 .2rem }
svg { display: block; width: 100%; height: auto; margin-top: .6rem }
svg text { font: 12.5px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; fill: var(--text) }
svg text.small { font-size: 11.5px; fill: var(--dim) }
svg text.number { font-variant-numeric: tabular-nums }
.grid { stroke: var(--line) }
.whisker { stroke: var(--text); stroke-width: 1.5 }
.curve { fill: none; stroke-width: 2 }
.scroll { overflow-x: auto }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums }
th, td { padding: .35rem .7rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line) }
th { color: var(--dim); font-weight: 600 }
.left { text-align: left }
th:first-child, td:first-child { position: sticky; left: 0; background: var(--page); padding-left: 0 }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; font-size: .875rem; margin: .8rem 0 }
dt { color: var(--dim) }
dd { margin: 0 }
@media (max-width: 30rem) { dl { grid-template-columns: 1fr; gap: 0 } dd { margin-bottom: .4rem } }
@media print { figure { break-inside: avoid } }
"""


def style_sheet() -> str:
    """The whole sheet; it has no text from outside in it."""
    light = f":root {{ color-scheme: light dark; {_colours(_LIGHT_PAGE, _LIGHT)} }}"
    dark = f"@media (prefers-color-scheme: dark) {{ :root {{ {_colours(_DARK_PAGE, _DARK)} }} }}"
    series = "\n".join(
        f".fill.s{number} {{ fill: var(--s{number}) }} "
        f".curve.s{number} {{ stroke: var(--s{number}); stroke-dasharray: {dashes} }}"
        for number, dashes in enumerate(_DASHES)
    )
    order = (7, 5, 0, 6, 3, 1, 2)  # waiting for the server, the usual giant, stands out; what connects is blue
    phases = "\n".join(
        f".fill.ph-{phase} {{ fill: var(--s{number}) }}" for phase, number in zip(_PHASES, order, strict=True)
    )
    return "\n".join((light, dark, _BASE.strip(), series, phases))
