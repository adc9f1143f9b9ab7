"""`crawler status RUN`: where a run stands, from what it left in its folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from crawler.cli.exits import CommandError
from crawler.cli.summary import show_summary, view_summary
from crawler.cli.text import one_line


def status(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Name of the job, or the folder of its output.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Show where a run stands."""
    summary = _read_summary(_summary_file(run))
    if as_json:
        typer.echo(json.dumps(summary, indent=2, ensure_ascii=False))
    else:
        show_summary(view_summary(summary))


def _summary_file(run: Path) -> Path:
    """Find `summary.json` by the folder, by the file itself, or by the job's name below `out/`."""
    places = [run if run.name == "summary.json" else run / "summary.json", Path("out") / run / "summary.json"]
    for place in places:
        if place.is_file():
            return place
    folders = " or ".join(one_line(str(place.parent)) for place in places)
    raise CommandError(f"no run has ended in {folders} yet: there is no summary.json")


def _read_summary(path: Path) -> dict[str, Any]:
    try:
        summary = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CommandError(f"{path}: cannot be read as a summary: {error}") from error
    if not isinstance(summary, dict) or not str(summary.get("schema", "")).startswith("crawler.summary/"):
        raise CommandError(f"{path}: is not the summary of a run (crawler.summary/1)")
    return summary
