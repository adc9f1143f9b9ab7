"""The report as Markdown, for pull requests: tables that GitHub shows, nothing that needs a picture."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from crawler.bench.report_view import View
from crawler.report.page import Table

_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>#|~!])")


def markdown(view: View) -> str:
    """Write it all."""
    return "\n".join(_lines(view)) + "\n"


def escape(text: str) -> str:
    """Text that Markdown shows as it is, on one line: names and URLs of a job are no markup."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _lines(view: View) -> Iterator[str]:
    yield f"# {escape(view.title)}{' (ended early)' if view.is_partial else ''}"
    yield ""
    if view.breaches:
        yield from (f"- ❌ {escape(breach)}" for breach in view.breaches)
        yield ""
    if view.headline:
        yield from (f"- {escape(sentence)}" for sentence in view.headline)
        yield ""
    yield from _table(view.arms)
    parts = (
        ("Break-even", view.break_even),
        ("Response times", view.percentiles),
        ("Due and sent", view.starts),
        ("The client", view.costs),
        ("1,000 requests", view.thousand),
        ("Errors", view.errors),
        ("Thresholds", view.thresholds),
    )
    for title, table in parts:
        if table.rows:
            yield from (f"## {title}", "", *_table(table))
    yield from ("## Notes", "", *(f"- {escape(note)}" for note in view.notes), "")
    yield from (f"- **{label}**: {escape(value)}" for label, value in view.about)


def _table(table: Table) -> Iterator[str]:
    yield "| " + " | ".join(map(escape, table.head)) + " |"
    yield "|" + "|".join(":--" if column in table.left else "--:" for column in range(len(table.head))) + "|"
    yield from ("| " + " | ".join(map(escape, row)) + " |" for row in table.rows)
    yield ""
