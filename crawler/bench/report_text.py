"""The report as plain text, for pipes and logs."""

from __future__ import annotations

from collections.abc import Iterator

from crawler.bench.report_view import View
from crawler.report.page import Table


def text(view: View) -> str:
    """Write it all: what was measured, the table, the sentences, the notes."""
    return "\n".join(_lines(view)) + "\n"


def _lines(view: View) -> Iterator[str]:
    yield view.title + (": ended early" if view.is_partial else "")
    yield from (f"  {label + ':':<10}{value}" for label, value in view.about)
    yield ""
    yield from table_lines(view.arms)
    yield ""
    yield from table_lines(view.costs)
    for table in (view.thousand, view.break_even, view.starts, view.errors):
        if table.rows:
            yield ""
            yield from table_lines(table)
    yield ""
    yield from (f"  {sentence}" for sentence in view.headline)
    yield from (f"  note: {note}" for note in view.notes)
    yield from (f"  BROKEN: {breach}" for breach in view.breaches)


def table_lines(table: Table) -> Iterator[str]:
    """Columns as wide as what stands in them; numbers to the right."""
    rows = [table.head, *table.rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(table.head))]
    for row in rows:
        cells = (
            f"{cell:<{width}}" if column in table.left else f"{cell:>{width}}"
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  " + "  ".join(cells).rstrip()
