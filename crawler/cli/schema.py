"""`crawler schema`: the JSON Schema of the job file, for editors."""

from __future__ import annotations

import json

import typer


def schema() -> None:
    """Print the JSON Schema of job files.

    For completion and checks in an editor: `crawler schema > crawler.schema.json`, and as first line of a job file
    `# yaml-language-server: $schema=crawler.schema.json`.
    """
    from crawler.jobs import json_schema

    typer.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
