"""What is seen while a benchmark goes: a live picture four times a second on a terminal, JSON lines elsewhere.

    sync-vs-async   round 2 of 5   ━━━━━━━━━━━╸        6/25   18 s left
    async   measure   24 requests   98/s   errors 0   lag 1.2 ms
    20.9 ms ▁▁▇▁▂▁▅▁▃▁ 81.9 ms   p50 42.9 ms   p99 –

    arm       rate     p50      p99      errors   lag
    sync      20.8/s   43 ms    82 ms    0        –         the latest round of each arm

Both read the snapshots that the run gives (`LiveStats`), in the thread of the run: while the picture is drawn the
worker, a process of its own, measures on.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal, Protocol

from crawler.bench.live import LiveStats
from crawler.cli.text import one_line, printable
from crawler.cli.units import count, duration, rate

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

Mode = Literal["auto", "bar", "lines", "none"]

_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_COLUMNS: Final = 24
_SHOWN_ARMS: Final = 16  # a terminal has some 24 lines; with more arms the latest are shown


class BenchProgress(Protocol):
    """A way of showing how a benchmark goes."""

    def update(self, stats: LiveStats) -> None:
        """Show a snapshot."""

    def note(self, text: str) -> None:
        """Say one sentence without disturbing what is shown."""

    def close(self) -> None:
        """Show no more; leave the terminal in order."""


def choose_bench_progress(mode: Mode, title: str, interval_s: float) -> BenchProgress:
    """Give the display for `mode`; `auto` is the live picture if stderr is a terminal that can move its cursor."""
    if mode == "none":
        return Silence()
    if mode == "lines" or (mode == "auto" and not sys.stderr.isatty()):
        return Lines(interval_s)
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    if mode == "auto" and console.is_dumb_terminal:
        return Lines(interval_s)
    return Picture(console, title)


class Silence:
    """Shows nothing but what must be said (`--quiet`)."""

    def update(self, stats: LiveStats) -> None:
        """Do nothing."""

    def note(self, text: str) -> None:
        """Say it plainly."""
        _write_stderr(text)

    def close(self) -> None:
        """Do nothing."""


class Lines:
    """One JSON object per line and interval, and one at the end."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._due = time.monotonic()
        self._last: LiveStats | None = None

    def update(self, stats: LiveStats) -> None:
        """Write a line if one is due."""
        self._last = stats
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + self._interval_s
            self._write(stats)

    def note(self, text: str) -> None:
        """Say it as a line of its own."""
        _write_stderr(json.dumps({"event": "note", "message": text}, ensure_ascii=False))

    def close(self) -> None:
        """Write the last snapshot."""
        if self._last is not None:
            self._write(self._last)
        self._last = None

    def _write(self, stats: LiveStats) -> None:
        _write_stderr(json.dumps({"event": "bench", **snapshot(stats)}))


class Picture:
    """The live picture; it goes away at the end, as the table that follows says it all."""

    def __init__(self, console: Console, title: str) -> None:
        from rich.live import Live

        self._console = console
        self._title = title
        self._latest: dict[str, LiveStats] = {}
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._live.start()

    def update(self, stats: LiveStats) -> None:
        """Redraw."""
        if stats.phase == "measure":
            self._latest.pop(stats.arm, None)
            self._latest[stats.arm] = stats
        shown = list(self._latest.values())[-_SHOWN_ARMS:]
        self._live.update(render(self._title, stats, shown), refresh=True)

    def note(self, text: str) -> None:
        """Print above the picture."""
        self._console.print(printable(text), markup=False)

    def close(self) -> None:
        """Take the picture away."""
        self._live.stop()


def snapshot(stats: LiveStats) -> dict[str, object]:
    """Give a snapshot as JSON values: what a progress line holds."""
    left = seconds_left(stats)
    return {
        "elapsed_s": round(stats.total_elapsed, 1),
        "step": stats.step,
        "steps": stats.steps,
        "arm": stats.arm,
        "round": stats.round + 1,
        "rounds": stats.rounds,
        "phase": stats.phase,
        "requests": stats.requests,
        "errors": stats.errors,
        "dropped": stats.dropped,
        "rate": round(stats.rate, 1),
        "p50": stats.p50,
        "p99": stats.p99,
        "loop_lag": stats.loop_lag,
        "eta_s": None if left is None else round(left, 1),
    }


def seconds_left(stats: LiveStats) -> float | None:
    """Estimate the seconds until the end from the steps done; `None` before the first is."""
    if not stats.step:
        return None
    return stats.total_elapsed / stats.step * (stats.steps - stats.step)


def sparkline(buckets: Sequence[tuple[float, int]], width: int = _COLUMNS) -> str:
    """Draw a histogram in a line of blocks, on a logarithmic axis; where anything is, something is seen.

    Args:
        buckets: Upper edges in seconds and counts, ascending; empty ones may be left out.
        width: Blocks.
    """
    edges = [edge for edge, n in buckets if edge > 0 and n]
    if not edges:
        return ""
    low, span = math.log(edges[0]), math.log(edges[-1] / edges[0])
    columns = [0] * width
    for edge, n in buckets:
        if edge > 0:
            place = (math.log(edge) - low) / span if span else 0.0
            columns[min(width - 1, max(0, int(place * width)))] += n
    highest, top = max(columns), len(_BLOCKS) - 1
    return "".join(_BLOCKS[max(1, round(top * n / highest))] if n else _BLOCKS[0] for n in columns)


def render(title: str, stats: LiveStats, latest: Sequence[LiveStats]) -> RenderableType:
    """Draw the picture.

    Args:
        title: Name of the benchmark.
        stats: As it is now.
        latest: The last snapshot of each arm's latest round.
    """
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    left = seconds_left(stats)
    upper = Table.grid(padding=(0, 2), expand=False)
    upper.add_row(
        Text(one_line(title, 40), "bold"),
        Text(f"round {stats.round + 1} of {stats.rounds}"),
        ProgressBar(total=max(1, stats.steps), completed=stats.step, width=30),
        Text(f"{stats.step}/{stats.steps}"),
        Text(f"{duration(max(1, round(left)))} left" if left is not None else duration(stats.total_elapsed), "dim"),
    )
    is_busy = stats.phase in ("warmup", "measure")
    middle = Text("  ").join(
        [
            Text(one_line(stats.arm, 60), "bold cyan"),
            Text(stats.phase, "dim"),
        ]
        + [
            Text(count(stats.requests, "request")),
            Text(rate(stats.rate), "cyan"),
            Text(f"errors {count(stats.errors)}", "red" if stats.errors else "dim"),
            *([Text(f"dropped {count(stats.dropped)}", "red")] if stats.dropped else []),
            Text(f"lag {duration(stats.loop_lag)}", "dim"),
        ]
        * is_busy
    )
    lower = Text("waiting for answers" if is_busy else "", "dim")
    if stats.buckets:
        low, high = duration(stats.buckets[0][0]), duration(stats.max)
        lower = Text(f"{low} {sparkline(stats.buckets)} {high}  p50 {duration(stats.p50)}  p99 {duration(stats.p99)}")
    for text in (middle, lower):
        text.no_wrap, text.overflow = True, "ellipsis"
    return Group(upper, middle, lower, *([_latest_table(stats.arm, latest)] if latest else []))


def _latest_table(now: str, latest: Sequence[LiveStats]) -> RenderableType:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("latest round", no_wrap=True)
    for head in ("rate", "p50", "p99", "errors", "lag"):
        table.add_column(head, justify="right", no_wrap=True)
    for arm in sorted(latest, key=lambda arm: arm.arm):
        mean_rate = (arm.requests - arm.errors) / arm.elapsed if arm.elapsed else 0.0
        table.add_row(
            one_line(arm.arm, 60),
            rate(mean_rate),
            duration(arm.p50),
            duration(arm.p99),
            count(arm.errors),
            duration(arm.loop_lag),
            style="bold" if arm.arm == now else "",
        )
    return table


def _write_stderr(line: str) -> None:
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except OSError:
        pass  # nobody reads it any more; the run goes on
