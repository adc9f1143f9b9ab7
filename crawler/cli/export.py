"""`crawler export RUN`: the records of a run in another form."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crawler.cli.exits import CommandError, Exit, complain
from crawler.cli.memo import make_memo, read_memo
from crawler.cli.source import is_job_file, read_source
from crawler.cli.text import one_line
from crawler.cli.units import count

if TYPE_CHECKING:
    from crawler.fanout import Output, Plan

_FORMATS = ("jsonl", "csv", "parquet", "sha256sums")
_RECORDS = ("requests", "attempts", "items")


def export(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN", help="Name of the job or folder of its output; or its job file or URLs."),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to; `-` is standard output.")],
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="FORMAT", help="jsonl, csv, parquet or sha256sums; default by FILE."),
    ] = None,
    fields: Annotated[
        list[str] | None,
        typer.Option("--fields", metavar="FIELDS", help="Only these fields, as url,status,timing.total; repeatable."),
    ] = None,
    where: Annotated[
        str | None, typer.Option("--where", metavar="CONDITION", help="Only these rows: a JMESPath expression.")
    ] = None,
    records: Annotated[
        str, typer.Option("--records", metavar="RECORDS", help="requests, attempts or items.")
    ] = "requests",
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Set a key of the job, as a.b=c; repeatable.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it is there.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress; only errors.")] = False,
) -> None:
    """Write the records of a run to another format.

    The run may be finished, interrupted or under way; it is neither changed nor held up. The records are read from an
    output of it that has them all: jsonl, csv or parquet, without `where`.
    """
    from crawler.fanout.errors import RunError
    from crawler.fanout.export import export as write
    from crawler.fanout.run import STATE_FILE

    plan = _plan(runs, overrides or [])
    target = _target(plan, out, form, tuple(_words(fields)), where, records)
    assert plan.state_dir is not None
    telling = _Telling(quiet)
    try:
        if target.is_local:
            _make_room(out, force=force)
        n = write(plan, target, state_file=plan.state_dir / STATE_FILE, tell=telling.tell)
    except BrokenPipeError:
        raise
    except RunError as error:
        raise CommandError(str(error), error.exit_code) from error
    except OSError as error:
        raise CommandError(f"cannot write {out}: {error.strerror or error}", Exit.DISK) from error
    telling.end()
    if not quiet:
        complain(f"{count(n, 'row')} written to {'standard output' if target.is_stdout else out}")


def _plan(runs: list[str], overrides: list[str]) -> Plan:
    is_name = len(runs) == 1 and not is_job_file(runs[0]) and "://" not in runs[0] and runs[0] != "-"
    memo = read_memo(runs[0]) if is_name else make_memo(runs, overrides, None)
    job = read_source(memo.sources, overrides)
    if job.kind == "bench":
        raise CommandError("a benchmark has no records; see `crawler compare`")
    return job.plan(out=None if memo.out is None else Path(memo.out))


def _target(
    plan: Plan, out: Path, form: str | None, fields: tuple[str, ...], where: str | None, records: str
) -> Output:
    from crawler.fanout import Output
    from crawler.fanout.sinks.fields import field_problem
    from crawler.fanout.sinks.rows import Where

    chosen = form or _format_by_name(out)
    if chosen not in _FORMATS:
        raise CommandError(f"--format: expected {', '.join(_FORMATS)}, not '{one_line(chosen, 40)}'")
    if records not in _RECORDS:
        raise CommandError(f"--records: expected {', '.join(_RECORDS)}, not '{one_line(records, 40)}'")
    columns = next((output.columns for output in plan.outputs if output.records == records), ())
    is_remote = "://" in str(out)
    target = Output(
        out,
        chosen,  # type: ignore[arg-type]  # checked above
        records=records,  # type: ignore[arg-type]
        fields=fields,
        where=where,
        columns=columns,
        append=False,
        remote=str(out) if is_remote else "",
    )
    for name in fields:
        if problem := field_problem(name, target):
            raise CommandError(f"--fields: {problem}")
    try:
        if where is not None:
            Where(where)
    except ValueError as error:
        raise CommandError(f"--where: is no JMESPath expression: {error}") from error
    if chosen == "parquet":
        _ask_for("pyarrow", "parquet")
    if target.is_stdout and chosen == "parquet":
        raise CommandError("parquet needs a file; standard output takes jsonl, csv and sha256sums")
    return target


def _ask_for(package: str, extra: str) -> None:
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise CommandError(f"{extra} needs {package}, which is not installed: pip install 'crawler[{extra}]'")


def _format_by_name(out: Path) -> str:
    for suffix in reversed(out.suffixes):
        if suffix[1:] in _FORMATS:
            return suffix[1:]
    return "jsonl"


def _words(options: list[str] | None) -> list[str]:
    return [word.strip() for option in options or () for word in option.split(",") if word.strip()]


def _make_room(out: Path, *, force: bool) -> None:
    if os.path.lexists(out):
        if not force:
            raise CommandError(f"{out} exists already; choose another name, or replace it with --force")
        out.unlink()


class _Telling:
    """Says how far it is: on a terminal in place, elsewhere a JSON line every ten seconds."""

    def __init__(self, quiet: bool) -> None:
        self._is_quiet = quiet
        self._is_terminal = sys.stderr.isatty()
        self._next = time.monotonic() + (0.2 if self._is_terminal else 10.0)
        self._has_told = False

    def tell(self, read: int, total: int) -> None:
        """Take the state of things; says it now and then."""
        now = time.monotonic()
        if self._is_quiet or now < self._next:
            return
        self._has_told = True
        if self._is_terminal:
            self._next = now + 0.2
            sys.stderr.write(f"\r{read:,} of {total:,} rows read")
        else:
            self._next = now + 10.0
            sys.stderr.write(json.dumps({"read": read, "total": total}) + "\n")
        sys.stderr.flush()

    def end(self) -> None:
        """Leave the line to others."""
        if self._has_told and self._is_terminal:
            sys.stderr.write("\r\x1b[K")
