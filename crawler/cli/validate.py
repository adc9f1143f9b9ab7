"""`crawler validate` and `crawler config`: a job file checked, and shown as it is understood."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from crawler.cli.source import read_source

JobFiles = Annotated[
    list[Path], typer.Argument(metavar="JOB.yaml…", help="The job file; several are merged left to right.")
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Set a key of the job, as a.b=c; repeatable.")
]


Anonymous = Annotated[bool, typer.Option("--anonymous", help="A crawl may go without a `contact`.")]


def validate(jobs: JobFiles, overrides: Overrides = None, anonymous: Anonymous = False) -> None:
    """Check a job file.

    Says everything that is wrong with it, with line and column; nothing is fetched. Exit code 0 if it
    can be run, 2 if not.
    """
    job = read_source([str(path) for path in jobs], overrides or (), anonymous=anonymous)
    if job.kind == "bench" and job.plan().input_id is not None:  # else it would read standard input
        from crawler.cli import bench_execution

        bench_execution.check(job)
    typer.echo(f"{job.name}: valid")


def config(jobs: JobFiles, overrides: Overrides = None, anonymous: Anonymous = False) -> None:
    """Print the job as it is understood.

    Merged and filled in, defaults left out, secrets masked.
    """
    from ruamel.yaml import YAML

    job = read_source([str(path) for path in jobs], overrides or (), anonymous=anonymous)
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 4096  # no folded lines
    yaml.dump(job.merged(), sys.stdout)
