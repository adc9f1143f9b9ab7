"""The command line `crawler`: one command per file of this room; what a command needs is imported when it runs.

main.py ─▶ boundary.py  failures become one message and an exit code (exits.py)
   ├─▶ run.py, retry.py ─▶ signals.py (Ctrl-C), progress.py (while it runs), summary.py (at the end)
   ├─▶ bench.py ─▶ bench_execution.py ─▶ bench_live.py (while it runs), bench_table.py (at the end); compare.py
   ├─▶ validate.py, config.py, schema.py, status.py
   ├─▶ extract.py, shell.py ─▶ page.py (the page), trial.py (the rule)
   └─▶ request.py, serve.py, testbed.py
"""

from __future__ import annotations

import gc
import os
from typing import Annotated, Final

import typer

from crawler.cli.bench import bench
from crawler.cli.boundary import Boundary
from crawler.cli.compare import compare
from crawler.cli.export import export
from crawler.cli.extract import extract
from crawler.cli.request import RequestCommand, request
from crawler.cli.retry import retry
from crawler.cli.run import run
from crawler.cli.schema import schema
from crawler.cli.serve import serve
from crawler.cli.shell import shell
from crawler.cli.status import status
from crawler.cli.testbed import serve_testbed
from crawler.cli.validate import config, validate

NEW_OBJECTS: Final = 50_000
"""As many as engines let pass before the collector starts (`fanout.collector`)."""

# Plain help instead of typer's rich panels: it is ready in half the time and reads well in a pipe.
app = typer.Typer(
    name="crawler",
    cls=Boundary,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(run)
app.command()(retry)
app.command()(validate)
app.command()(config)
app.command()(schema)
app.command()(status)
app.command()(export)
app.command()(extract)
app.command()(shell)
app.command()(bench)
app.command()(compare)
app.command()(serve)
app.command(cls=RequestCommand)(request)
app.command("testbed")(serve_testbed)


def _show_version(wanted: bool) -> None:
    if wanted:
        from crawler.version import __version__

        typer.echo(f"crawler {__version__}")
        raise typer.Exit


@app.callback()
def crawler(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Fetch many URLs: fast, politely, resumably.

    Start with `crawler run URL…`, or `crawler run JOB.yaml` for a job file; run it again, it goes on where it stopped.
    `crawler COMMAND --help` tells the options of a command.
    """


def main() -> None:
    """Run the command line; leaves by `SystemExit` with a code of `exits.Exit`."""
    # A start makes 200,000 objects, all of which stay: the collector would walk over them again and again (50 ms).
    gc.set_threshold(NEW_OBJECTS, 20, 20)
    # We use no plugins of pydantic; looking for some reads the metadata of everything that is installed (10 ms).
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    app()
