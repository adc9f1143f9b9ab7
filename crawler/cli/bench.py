"""`crawler bench`: ways of fetching the same URLs, side by side; a job of `kind: bench`, or URLs and options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crawler.cli.bench_options import BenchOptions
from crawler.cli.exits import complain
from crawler.cli.text import one_line


def bench(
    sources: Annotated[list[str], typer.Argument(metavar="JOB.yaml | URL…", help="A job of kind bench, or URLs.")],
    arms: Annotated[
        str | None,
        typer.Option(
            "--arms",
            metavar="A,B,…",
            help="sync, sync_new (no reuse), threads, async, async_h2, engine; or a library, as httpx, requests, "
            "aiohttp/async. The first is the baseline.",
        ),
    ] = None,
    http2: Annotated[bool, typer.Option("--http2", help="Also an arm of HTTP/2 (https URLs).")] = False,
    vus: Annotated[
        str | None, typer.Option("--vus", metavar="N,…", help="Requests at once; several make a matrix.")
    ] = None,
    requests: Annotated[int | None, typer.Option("--requests", metavar="N", help="Per arm and round.")] = None,
    duration: Annotated[
        str | None, typer.Option("--duration", metavar="TIME", help="Per arm and round, as 2s; instead of --requests.")
    ] = None,
    rate: Annotated[
        str | None, typer.Option("--rate", metavar="N/s", help="Open load: start so many a second, come what may.")
    ] = None,
    rounds: Annotated[int | None, typer.Option("--rounds", metavar="N", help="At least 5 for a verdict.")] = None,
    warmup: Annotated[
        str | None, typer.Option("--warmup", metavar="N|TIME", help="Before each round, not counted.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", help="Repeats the order of an earlier run.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Set a key of the job, as a.b=c; repeatable.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder for the reports.", show_default=False)
    ] = None,
    is_owned: Annotated[
        bool, typer.Option("--i-own-this-host", help="Lift the limit of 100 requests/s and 64 at once on public hosts.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")] = False,
    no_tui: Annotated[bool, typer.Option("--no-tui", help="JSON lines instead of the live view.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no table; only errors.")] = False,
) -> None:
    """Measure ways of fetching the same URLs against each other.

    One by one, threads, async, HTTP/2, other libraries. Every arm runs once per round, in a process of its own and
    in shuffled order; the table at the end says who was faster, with intervals. Ctrl-C ends it with what was
    measured until then.

    Exit codes: 0 done, 1 an arm had no success at all, 2 the job is wrong or the host may not be loaded, 5 a threshold
    is broken, 130 and 143 interrupted.
    """
    from crawler.cli import bench_execution

    options = BenchOptions(arms, http2, vus, requests, duration, rate, rounds, warmup, seed)
    job = options.read_job(sources, overrides or ())
    for warning in job.warnings:
        complain(f"warning: {one_line(str(warning), 500)}")
    show = bench_execution.Show(as_json=as_json, quiet=quiet, no_tui=no_tui)
    raise typer.Exit(bench_execution.execute(job, out, show, is_owned=is_owned))
