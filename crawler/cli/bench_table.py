"""What is seen at the end of a benchmark: a panel on a terminal, plain text elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from crawler.bench.report_text import text
from crawler.bench.report_view import View
from crawler.cli.text import one_line, printable
from crawler.report.page import Table

if TYPE_CHECKING:
    from rich.console import RenderableType

_FRAME: Final = 2  # of the panel's four columns two are where the last cell has its margin
_DROPPED: Final = ("interval", "client", "HTTP", "engine", "interval", "vus", "measured", "p50")
_COLOURS: Final = {"faster": "green", "slower": "red", "client limited": "yellow", "too few rounds": "yellow"}


def show_result(view: View, files: Sequence[str], *, to_stderr: bool = False) -> None:
    """Write the result to stdout (or stderr) and where the reports are.

    Raises:
        BrokenPipeError: The reader of stdout went away.
    """
    stream = sys.stderr if to_stderr else sys.stdout
    if stream.isatty():
        from rich.console import Console

        console = Console(file=stream, highlight=False)
        console.print(as_panel(view, files, console.width))
        return
    stream.write(printable(text(view)))
    stream.writelines(f"  report: {one_line(path, 300)}\n" for path in files)
    stream.flush()


def as_panel(view: View, files: Sequence[str], width: int) -> RenderableType:
    """Give the result as a panel for a terminal of that many columns."""
    from rich.console import Group
    from rich.panel import Panel
    from rich.table import Table as Grid
    from rich.text import Text

    about = Grid.grid(padding=(0, 2))
    about.add_column(style="dim", no_wrap=True)
    about.add_column(overflow="fold")
    for label, value in view.about:
        about.add_row(label, Text(one_line(value, 500)))
    for path in files:
        about.add_row("report", Text(one_line(path, 300)))
    parts: list[RenderableType] = [about, Text(), _table(view.arms, width), Text(), _table(view.costs, width)]
    for table in (view.thousand, view.break_even, view.starts, view.errors):
        if table.rows:
            parts += [Text(), _table(table, width)]
    parts.append(Text())
    parts += [Text(one_line(breach, 500), "bold red") for breach in view.breaches]
    parts += [Text(one_line(sentence, 500), "bold") for sentence in view.headline]
    parts += [Text(note, "dim") for note in view.notes]
    colour = "red" if view.breaches else "yellow" if view.is_partial else "green"
    state = "ended early" if view.is_partial else "finished"
    title = Text(f"{one_line(view.title, 80)}: {state}", f"bold {colour}")
    return Panel(Group(*parts), title=title, title_align="left", border_style=colour)


def _fitted(table: Table, width: int) -> Table:
    """The table without as many of the less needed columns as must go for it to fit; the sentences say them too."""
    for head in _DROPPED:
        natural = sum(max(map(len, column)) + 2 for column in zip(table.head, *table.rows, strict=True))
        if natural <= width - _FRAME or head not in table.head:
            continue
        place = table.head.index(head)
        kept = [column for column in range(len(table.head)) if column != place]
        table = Table(
            tuple(table.head[column] for column in kept),
            tuple(tuple(row[column] for column in kept) for row in table.rows),
            frozenset(number for number, column in enumerate(kept) if column in table.left),
        )
    return table


def _table(table: Table, width: int) -> RenderableType:
    from rich.table import Table as Grid
    from rich.text import Text

    table = _fitted(table, width)
    grid = Grid(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for column, head in enumerate(table.head):
        left = column in table.left
        grid.add_column(head, justify="left" if left else "right", overflow="fold")
    for row in table.rows:
        grid.add_row(*(Text(one_line(cell), _COLOURS.get(cell, "")) for cell in row))
    return grid
