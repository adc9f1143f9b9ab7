"""`summary.json`: a whole run on one page (`crawler.summary/1`, job-example §6)."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import orjson
import sniffio

from crawler.fanout.plan import Plan, RunState
from crawler.version import __version__

SCHEMA: Final = "crawler.summary/1"
REPORT_FILE: Final = "report.html"


def make_summary(
    plan: Plan,
    counted: dict[str, object],
    state: RunState,
    exit_code: int,
    started_at: datetime,
    outputs: Sequence[dict[str, object]],
) -> dict[str, object]:
    """Put names, times and outputs around what was counted (`Stats.summary`)."""
    return {
        "schema": SCHEMA,
        "run_id": plan.run_id,
        "job": plan.name,
        "state": state,
        "exit_code": exit_code,
        "started_at": _instant(started_at),
        "ended_at": _instant(datetime.now(UTC)),
        **counted,
        "outputs": list(outputs),
        "environment": environment(),
    }


def environment() -> dict[str, object]:
    """Say what the run ran on: versions, system, processors, event loop, limit of open files."""
    return {
        "version": __version__,
        "python": platform.python_version(),
        "os": f"{platform.system()} {platform.release()}",
        "cpus": os.cpu_count(),
        "loop": _loop(),
        "fd_limit": _fd_limit(),
    }


def write_summary(path: Path, summary: dict[str, object], report: str) -> None:
    """Write the summary, and the report beside it.

    Args:
        path: Of the summary; the report is `report.html` in the same folder.
        summary: As `make_summary` gives it.
        report: The page, as `run_report` gives it.

    Raises:
        OSError: The disk refused.
    """
    _replace(path, orjson.dumps(summary, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    _replace(path.with_name(REPORT_FILE), report.encode("utf-8", "replace"))


def _replace(path: Path, data: bytes) -> None:
    """Write a file under its name in one step: a reader sees the old one or the new one."""
    new = path.with_name(path.name + ".new")
    with open(new, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)


def _instant(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _loop() -> str:
    library = sniffio.current_async_library()
    if library != "asyncio":
        return library
    import asyncio

    return type(asyncio.get_running_loop()).__module__.partition(".")[0]


def _fd_limit() -> int | None:
    if sys.platform == "win32":
        return None
    import resource

    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
