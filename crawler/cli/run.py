"""`crawler run`: a job file, URLs or a list, fetched to the end; the same command again goes on where it stopped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crawler.cli.exits import CommandError, complain
from crawler.cli.memo import make_memo
from crawler.cli.source import read_source
from crawler.cli.text import one_line

if TYPE_CHECKING:
    from crawler.cli.bench_execution import Show
    from crawler.jobs import Job


def run(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="JOB.yaml | LIST… | URL… | -",
            help="A job file, lists (.txt, .csv …), URLs, or - for standard input.",
        ),
    ],
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Set a key of the job, as a.b=c; repeatable.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Folder for records, files and state.", show_default=False),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", "--new-state", help="Forget earlier runs of this job and begin again.")
    ] = False,
    continue_anyway: Annotated[
        bool, typer.Option("--continue-anyway", help="Go on with a state that was made by other requests.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be fetched; fetch nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON on stdout.")] = False,
    anonymous: Annotated[bool, typer.Option("--anonymous", help="Crawl without a `contact` in the job.")] = False,
    is_owned: Annotated[
        bool, typer.Option("--i-own-this-host", help="For a job of kind bench: lift the limits on public hosts.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary; only errors.")] = False,
) -> None:
    """Fetch a list of URLs into records and files. Run again, it goes on where it stopped.

    Ctrl-C once lets what is in flight end, twice stops at once; nothing that was fetched is lost either way.

    Exit codes: 0 all done, 1 some URLs failed, 2 the job is wrong, 3 a limit ended it, 4 the output cannot be written,
    6 another run holds the state, 130 and 143 interrupted.
    """
    from crawler.cli import execution

    job = read_source(sources, overrides or (), anonymous=anonymous)
    for warning in job.warnings:
        complain(f"warning: {one_line(str(warning), 500)}")
    if job.kind == "bench":
        from crawler.cli.bench_execution import Show

        show = Show(as_json=as_json, quiet=quiet)
        _run_benchmark(job, out, show, fresh=fresh, dry_run=dry_run, is_owned=is_owned)
        return
    if is_owned:
        raise CommandError("--i-own-this-host is for jobs of kind bench; a fetch is as fast as its job says")
    if dry_run:
        execution.show_dry_run(job, out)
        return
    memo = make_memo(sources, overrides or (), out)
    raise typer.Exit(
        execution.execute(
            job, out, fresh=fresh, as_json=as_json, quiet=quiet, memo=memo, continues_anyway=continue_anyway
        )
    )


def _run_benchmark(job: Job, out: Path | None, show: Show, *, fresh: bool, dry_run: bool, is_owned: bool) -> None:
    """Do what `crawler bench` does with the job."""
    from crawler.cli import bench_execution

    if fresh:
        raise CommandError("a benchmark keeps no state; leave --fresh out")
    if dry_run:
        bench_execution.show_dry_run(job, out)
        return
    raise typer.Exit(bench_execution.execute(job, out, show, is_owned=is_owned))
