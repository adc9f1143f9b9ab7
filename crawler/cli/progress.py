"""What is seen while a run goes: two live lines on a terminal, one JSON line now and then elsewhere.

Both read the run's counters (`Run.stats`) and nothing else, from a task of the run's own event loop: the counters
change only between two steps of that loop, so a reader in the loop never sees them half changed.

Progress goes to stderr; stdout belongs to what the command gives back.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal, Protocol

from crawler.cli.text import one_line, printable
from crawler.cli.units import count, duration, rate, size

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    from crawler.fanout import Stats

Mode = Literal["auto", "bar", "lines", "none"]

_REFRESH_S = 0.125  # a refresh costs some 2 ms of the loop; eight a second look live


class Progress(Protocol):
    """A way of showing how a run goes."""

    interval_s: float

    def update(self, stats: Stats, now: float) -> None:
        """Show the counters as they are at monotonic time `now`."""

    def note(self, text: str) -> None:
        """Say one sentence without disturbing what is shown."""

    def close(self) -> None:
        """Show no more; leave the terminal in order."""


def choose_progress(mode: Mode, interval_s: float = 10.0) -> Progress:
    """Give the display for `mode`; `auto` is a bar if stderr is a terminal that can move its cursor, else lines."""
    if mode == "none":
        return Silence()
    if mode == "lines" or (mode == "auto" and not sys.stderr.isatty()):
        return Lines(interval_s)
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    if mode == "auto" and console.is_dumb_terminal:
        return Lines(interval_s)
    return Bar(console)


@asynccontextmanager
async def shown(progress: Progress, stats: Stats) -> AsyncIterator[None]:
    """Keep `progress` up to date while the block runs, and once more at its end."""

    async def keep_showing() -> None:
        while True:
            await asyncio.sleep(progress.interval_s)
            progress.update(stats, time.monotonic())

    task = asyncio.create_task(keep_showing())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        progress.update(stats, time.monotonic())
        progress.close()


class Silence:
    """Shows nothing but what must be said (`--quiet`)."""

    interval_s = 3600.0

    def update(self, stats: Stats, now: float) -> None:
        """Do nothing."""

    def note(self, text: str) -> None:
        """Say it plainly."""
        _write_stderr(text)

    def close(self) -> None:
        """Do nothing."""


class Lines:
    """One JSON object per line, for logs; the last one when the run ends."""

    def __init__(self, interval_s: float) -> None:
        self.interval_s = interval_s

    def update(self, stats: Stats, now: float) -> None:
        """Write one line."""
        _write_stderr(json.dumps({"event": "progress", **snapshot(stats, now)}))

    def note(self, text: str) -> None:
        """Say it as a line of its own."""
        _write_stderr(json.dumps({"event": "note", "message": text}, ensure_ascii=False))

    def close(self) -> None:
        """Do nothing."""


class Bar:
    """A bar with done, total, rate and the time left, and below it what is under way and what went wrong."""

    interval_s = _REFRESH_S

    def __init__(self, console: Console) -> None:
        from rich.live import Live

        self._console = console
        # The lines go away at the end: the summary that follows says it all, and a run of a second leaves no litter.
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._live.start()

    def update(self, stats: Stats, now: float) -> None:
        """Redraw."""
        self._live.update(render(stats, now), refresh=True)

    def note(self, text: str) -> None:
        """Print above the bar."""
        self._console.print(printable(text), markup=False)

    def close(self) -> None:
        """Take the bar away."""
        self._live.stop()


def snapshot(stats: Stats, now: float) -> dict[str, object]:
    """Give the counters as JSON values: what a progress line holds."""
    left = seconds_left(stats, now)
    return {
        "elapsed_s": round(now - stats.started, 1),
        "done": stats.done,
        "total": stats.submitted if stats.is_total_known else None,
        "ok": stats.ok,
        "failed": stats.failed,
        "in_flight": stats.in_flight,
        "waiting": stats.waiting,
        "rate": round(stats.rate.now(now), 1),
        "bytes": stats.bytes,
        "errors": {error.kind: error.n for error in stats.errors_by_kind()},
        "eta_s": None if left is None else round(left, 1),
        **({} if stats.paused is None else {"paused": stats.paused}),
    }


def seconds_left(stats: Stats, now: float) -> float | None:
    """Estimate the seconds until all is done; `None` while the total or the rate is not known."""
    per_second = stats.rate.now(now)
    if not stats.is_total_known or per_second <= 0:
        return None
    return stats.pending / per_second


def render(stats: Stats, now: float) -> RenderableType:
    """Draw the two lines of the bar."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    known = stats.is_total_known
    left = seconds_left(stats, now)
    upper = Table.grid(padding=(0, 2), expand=False)
    upper.add_row(
        ProgressBar(total=max(stats.submitted, 1) if known else None, completed=stats.done, width=36, pulse=not known),
        Text(f"{count(stats.done)}/{count(stats.submitted)}{'' if known else '…'}", "bold"),
        Text(f"{100 * stats.done // max(stats.submitted, 1)} %" if known else ""),
        Text(rate(stats.rate.now(now)), "cyan"),
        Text(f"{duration(max(1, round(left)))} left" if left is not None else duration(now - stats.started), "dim"),
    )
    lower = Text("  ").join(
        [
            *([] if stats.paused is None else [Text(one_line(stats.paused), "bold yellow")]),
            Text(f"in flight {count(stats.in_flight)}", "dim"),
            Text(f"waiting for retry {count(stats.waiting)}", "yellow" if stats.waiting else "dim"),
            Text(size(stats.bytes), "dim"),
            _errors(stats),
        ]
    )
    lower.no_wrap, lower.overflow = True, "ellipsis"
    return Group(upper, lower)


def _errors(stats: Stats) -> Text:
    from rich.text import Text

    kinds = stats.errors_by_kind()
    if not kinds:
        return Text("no errors", "dim")
    more = f" +{len(kinds) - 3} kinds" if len(kinds) > 3 else ""
    return Text(" ".join(f"{one_line(error.kind)}:{count(error.n)}" for error in kinds[:3]) + more, "red")


def _write_stderr(line: str) -> None:
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except OSError:
        pass  # nobody reads it any more; the run goes on
