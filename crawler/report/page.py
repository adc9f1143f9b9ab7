"""A report as one HTML file: charts and tables, without a script and without anything fetched from elsewhere.

Texts come from job files, URLs and servers: all of them are escaped, and the page's own policy
(`Content-Security-Policy`) allows nothing but its style sheet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from typing import Final

from crawler.report.style import style_sheet

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


@dataclass(frozen=True, slots=True)
class Table:
    """A table: the first column is text, the others are numbers unless `left` names them."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: frozenset[int] = frozenset({0})


def page(title: str, body: Iterable[str]) -> str:
    """Put a page around pieces of HTML."""
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            f"<title>{escape(title)}</title>",
            f"<style>{style_sheet()}</style></head><body>",
            *body,
            "</body></html>\n",
        )
    )


def figure_of(title: str, caption: str, svg: str) -> str:
    """Put a title and a caption around a chart; nothing without a chart."""
    if not svg:
        return ""
    return f"<figure><h2>{escape(title)}</h2><figcaption>{escape(caption)}</figcaption>{svg}</figure>"


def table_of(title: str, table: Table) -> Iterator[str]:
    """Write a table with its heading; nothing without rows."""
    if not table.rows:
        return
    sides = ["left" if column in table.left else "" for column in range(len(table.head))]
    yield f'<h2>{escape(title)}</h2><div class="scroll"><table><thead><tr>'
    yield (
        "".join(_cell("th", side, text) for side, text in zip(sides, table.head, strict=True)) + "</tr></thead><tbody>"
    )
    for row in table.rows:
        yield "<tr>" + "".join(_cell("td", side, text) for side, text in zip(sides, row, strict=True)) + "</tr>"
    yield "</tbody></table></div>"


def _cell(tag: str, side: str, text: str) -> str:
    kind = f' class="{side}"' if side else ""
    return f"<{tag}{kind}>{escape(text)}</{tag}>"
