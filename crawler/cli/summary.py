"""What is seen at the end of a run, and by `crawler status`: a panel on a terminal, text elsewhere.

It is made from the `crawler.summary/1` object alone (`summary.json`), so both see the same. All text in it that came
from a server or a list is made safe before it is shown.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crawler.cli.advice import advice
from crawler.cli.text import one_line
from crawler.cli.units import count, duration, rate, size

if TYPE_CHECKING:
    from rich.console import RenderableType

_SHOWN_ERRORS = 12  # kinds of errors; summary.json has them all

_HEADLINES = {
    "finished": "finished",
    "stopped": "stopped before the end",
    "interrupted": "interrupted",
    "failed": "failed",
}


@dataclass(frozen=True, slots=True)
class ErrorLine:
    """One kind of error: how often, one case of it, and what to change."""

    kind: str
    n: int
    example: str
    advice: str


@dataclass(frozen=True, slots=True)
class SummaryView:
    """The summary as lines of text; `rows` are label and value, in order."""

    title: str
    is_good: bool
    counts: str
    rows: tuple[tuple[str, str], ...]
    errors: tuple[ErrorLine, ...]
    more_errors: int
    next_steps: tuple[tuple[str, str], ...]


def view_summary(
    summary: Mapping[str, Any],
    next_steps: Sequence[tuple[str, str]] = (),
    places: Sequence[tuple[str, Path]] = (),
) -> SummaryView:
    """Choose what of a `crawler.summary/1` object is shown, and how it reads.

    Args:
        summary: The object, as in `summary.json`.
        next_steps: Pairs of a short label and a command to copy.
        places: Further files and folders the run left, each with a label; the records are known from the summary.
    """
    seconds = elapsed_seconds(summary)
    state = str(summary.get("state", ""))
    counts: Mapping[str, int] = summary.get("counts", {})
    errors = _error_lines(summary.get("errors", ()))
    rows = [*_rate_rows(summary, seconds), *_latency_rows(summary), *_output_rows(summary)]
    rows += [(label, _short_path(str(path))) for label, path in places]
    return SummaryView(
        title=f"{one_line(str(summary.get('job', 'run')), 80)}: {_HEADLINES.get(state, one_line(state, 40))}",
        is_good=state == "finished" and not counts.get("failed", 0),
        counts=_counts(summary, counts),
        rows=tuple(rows),
        errors=tuple(errors[:_SHOWN_ERRORS]),
        more_errors=max(0, len(errors) - _SHOWN_ERRORS),
        next_steps=tuple(next_steps),
    )


def elapsed_seconds(summary: Mapping[str, Any]) -> float:
    """Give how long the run took, from its two instants; 0 if one is missing."""
    try:
        started = datetime.fromisoformat(summary["started_at"])
        ended = datetime.fromisoformat(summary["ended_at"])
    except (KeyError, TypeError, ValueError):
        return 0.0
    return (ended - started).total_seconds()


def _counts(summary: Mapping[str, Any], counts: Mapping[str, int]) -> str:
    parts = [f"{count(counts.get('ok', 0))} ok"]
    parts += [f"{count(n)} {outcome}" for outcome, n in counts.items() if n and outcome != "ok"]
    if pending := int(summary.get("pending") or 0):
        parts.append(f"{count(pending)} still to do")
    return f"{count(int(summary.get('submitted') or sum(counts.values())), 'URL')}: {', '.join(parts)}"


def _rate_rows(summary: Mapping[str, Any], seconds: float) -> list[tuple[str, str]]:
    counts: Mapping[str, int] = summary.get("counts", {})
    earlier = int(summary.get("earlier") or 0)
    done_now = sum(counts.values()) - earlier
    if earlier and not done_now:
        return [("took", f"{duration(seconds)}; nothing was left to do, earlier runs did it all")]
    rows = []
    took = f"{duration(seconds)} for {count(done_now, 'URL')}"
    if rates := summary.get("rate"):
        took += f", {rate(rates['mean'])}"
        if rates["peak"] > rates["mean"]:
            took += f" (best second {rate(rates['peak'])})"
    rows.append(("took", took))
    if earlier:
        rows.append(("before", f"{count(earlier, 'URL')} done by earlier runs"))
    retries = int((summary.get("retries") or {}).get("n", 0))
    amount = f"{size(summary.get('bytes') or 0)} of bodies"
    rows.append(("received", amount + (f", {count(retries, 'retry', 'retries')}" if retries else "")))
    alone = float(summary.get("sequential_seconds") or 0)
    if alone > 0 and seconds > 0 and done_now > 1:
        times = alone / seconds
        faster = f"{times:,.0f}×" if times >= 10 else f"{times:.1f}×"
        # "Up to": requests that share a busy server or machine each take longer than they would alone.
        verdict = f"; this was up to {faster} faster" if times >= 1.2 else ""
        rows.append(("one by one", f"up to {duration(alone)}, all requests added up{verdict}"))
    return rows


def _latency_rows(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = []
    total: Mapping[str, float | None] = (summary.get("timing") or {}).get("total") or {}
    if total.get("max") is not None:
        spread = "   ".join(f"{name} {duration(total.get(name))}" for name in ("p50", "p90", "p99", "max"))
        rows.append(("latency", spread))
    hosts = [host for host in summary.get("hosts") or () if host.get("mean")]
    if hosts:
        slowest = max(hosts, key=lambda host: float(host["mean"]))
        answer = f"{one_line(slowest['host'], 60)}, {duration(slowest['mean'])} on average"
        rows.append(("slowest host", answer if len(hosts) > 1 else f"{answer} (the only one)"))
    if found := summary.get("bottleneck"):
        rows.append(("held back by", f"{found['name']}: {found['evidence']} → {found['advice']}"))
    return rows


def _output_rows(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = []
    for output in summary.get("outputs") or ():
        details = []
        if output.get("rows") is not None:
            details.append(count(output["rows"], "record"))
        if output.get("bytes") is not None:
            details.append(size(output["bytes"]))
        rows.append(("records", f"{_short_path(output['path'])}{' (' + ', '.join(details) + ')' if details else ''}"))
    return rows


def _short_path(path: str) -> str:
    """Give the path relative to where the user stands, if it lies below."""
    if path == "-":
        return "standard output"
    relative = os.path.relpath(path) if os.path.isabs(path) else path
    return one_line(path if relative.startswith("..") else relative, 300)


def _error_lines(errors: Sequence[Mapping[str, Any]]) -> list[ErrorLine]:
    """Sum the errors of all hosts by kind, the most frequent first."""
    by_kind: dict[str, list[Mapping[str, Any]]] = {}
    for error in errors:
        by_kind.setdefault(str(error["kind"]), []).append(error)
    lines = [
        ErrorLine(one_line(kind, 40), sum(int(e["n"]) for e in group), one_line(str(group[0]["example"])), advice(kind))
        for kind, group in by_kind.items()
    ]
    return sorted(lines, key=lambda line: (-line.n, line.kind))


def as_text(view: SummaryView) -> str:
    """Give the summary as plain text, for pipes and logs."""
    lines = [view.title, f"  {view.counts}"]
    lines += [f"  {label + ':':<14}{value}" for label, value in view.rows]
    if view.errors:
        lines.append("  errors:")
    for error in view.errors:
        lines.append(f"    {count(error.n)} × {error.kind}, for example {error.example}")
        if error.advice:
            lines.append(f"      → {error.advice}")
    if view.more_errors:
        lines.append(f"    and {count(view.more_errors, 'more kind')}, see summary.json")
    lines += [f"  {label + ':':<14}{command}" for label, command in view.next_steps]
    return "\n".join(lines) + "\n"


def as_panel(view: SummaryView) -> RenderableType:
    """Give the summary as a panel, for terminals."""
    from rich.console import Group
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    colour = "green" if view.is_good else "yellow"
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, value in view.rows:
        grid.add_row(label, Text(value))
    parts: list[RenderableType] = [Text(view.counts, "bold"), Text(), grid]
    if view.errors:
        parts += [Text(), _error_table(view)]
    return Panel(Group(*parts), title=Text(view.title, f"bold {colour}"), title_align="left", border_style=colour)


def _error_table(view: SummaryView) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("n", justify="right", no_wrap=True)
    table.add_column("error", style="red", no_wrap=True)
    table.add_column("for example, and what to change", overflow="fold")
    for error in view.errors:
        cell = Text(error.example)
        if error.advice:
            cell.append(f"\n→ {error.advice}", "yellow")
        table.add_row(count(error.n), error.kind, cell)
    if view.more_errors:
        table.add_row("", f"and {count(view.more_errors, 'more kind')}", "see summary.json")
    return table


def show_summary(view: SummaryView, *, to_stderr: bool = False) -> None:
    """Write the summary to stdout (or stderr): a panel if that is a terminal, else text.

    Raises:
        BrokenPipeError: The reader of stdout went away.
    """
    stream = sys.stderr if to_stderr else sys.stdout
    if stream.isatty():
        from rich.console import Console
        from rich.text import Text

        console = Console(file=stream, highlight=False)
        console.print(as_panel(view))
        for label, command in view.next_steps:
            # Below the frame and never folded, so that it can be copied.
            console.print(Text.assemble((f"  {label}  ", "dim"), (command, "cyan")), soft_wrap=True)
    else:
        stream.write(as_text(view))
        stream.flush()
