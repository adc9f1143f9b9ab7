"""`crawler retry`: what failed, once more."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crawler.cli.exits import CommandError, complain
from crawler.cli.memo import Memo, make_memo, read_memo
from crawler.cli.source import is_job_file, read_source
from crawler.cli.text import one_line


def retry(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN", help="Name of the job or folder of its output; or its job file or URLs."),
    ],
    kinds: Annotated[
        list[str] | None,
        typer.Option("--kind", metavar="KINDS", help="Only these error kinds, as timeout_*,dns_*; repeatable."),
    ] = None,
    statuses: Annotated[
        list[str] | None,
        typer.Option("--status", metavar="STATUSES", help="Only these statuses, as 404,5xx; repeatable."),
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Set a key of the job, as a.b=c; repeatable.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Folder the run was told to write to.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary; only errors.")] = False,
) -> None:
    """Try again what failed in earlier runs.

    Each URL keeps one record: the old one of a failure goes, the new one comes. Without --kind and --status all that
    failed is tried again, and what was skipped because its host was given up. Exit codes are those of `crawler run`.
    """
    from crawler.cli import execution

    memo = _memo(runs, overrides or [], out)
    job = read_source(memo.sources, overrides or (), anonymous=True)  # whoever ran it before said so
    if job.kind == "bench":
        raise CommandError("a benchmark has nothing to try again; run it anew")
    for warning in job.warnings:
        complain(f"warning: {one_line(str(warning), 500)}")
    chosen = execution.Chosen(_words(kinds, "--kind"), _statuses(statuses))
    folder = None if memo.out is None else Path(memo.out)
    show = {"as_json": as_json, "quiet": quiet}
    raise typer.Exit(execution.execute(job, folder, fresh=False, again=chosen, memo=memo, **show))


def _memo(runs: list[str], overrides: list[str], out: Path | None) -> Memo:
    """How the run was started: as given here, or as kept with it."""
    if len(runs) > 1 or is_job_file(runs[0]) or "://" in runs[0] or runs[0] == "-":
        return make_memo(runs, overrides, out)
    memo = read_memo(runs[0])
    missing = sorted(set(memo.keys) - {override.partition("=")[0] for override in overrides})
    if missing:
        complain(f"warning: the run had --set for {', '.join(missing)}; without it the job's own value counts")
    return Memo(memo.sources, memo.keys, memo.out if out is None else str(out))


def _words(options: list[str] | None, name: str) -> tuple[str, ...]:
    words = tuple(word.strip() for option in options or () for word in option.split(","))
    if not all(words):
        raise CommandError(f"{name}: expected words with commas between them, like timeout_*,dns_*")
    return words


def _statuses(options: list[str] | None) -> tuple[str, ...]:
    words = _words(options, "--status")
    for word in words:
        if len(word) != 3 or not word[0].isdigit() or not (word[1:].isdigit() or word[1:] == "xx"):
            raise CommandError(f"--status: '{one_line(word, 40)}' is no status; write 404, or 5xx for a class of them")
    return words
