"""`crawler extract PAGE --css …`: see what selectors find on a page, and get the lines for the job file."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from crawler.cli.exits import CommandError, Exit, complain


def extract(
    source: Annotated[str, typer.Argument(metavar="PAGE", help="URL, file, or - for stdin.", show_default=False)],
    css: Annotated[
        list[str] | None,
        typer.Option("--css", metavar="[NAME=]EXPR", help="CSS with ::text, ::html or @attribute at its end."),
    ] = None,
    xpath: Annotated[list[str] | None, typer.Option("--xpath", metavar="[NAME=]EXPR", help="XPath 1.0.")] = None,
    jmespath: Annotated[
        list[str] | None, typer.Option("--jmespath", metavar="[NAME=]EXPR", help="JMESPath in JSON.")
    ] = None,
    jsonpath: Annotated[
        list[str] | None, typer.Option("--jsonpath", metavar="[NAME=]EXPR", help="JSONPath in JSON.")
    ] = None,
    regex: Annotated[
        list[str] | None, typer.Option("--regex", metavar="[NAME=]EXPR", help="Its first group, or all of it.")
    ] = None,
    json_ld: Annotated[
        list[str] | None, typer.Option("--json-ld", metavar="[NAME=]PATH", help="Type.name.name in JSON-LD.")
    ] = None,
    meta: Annotated[list[str] | None, typer.Option("--meta", metavar="[NAME=]NAME", help="Name of a <meta>.")] = None,
    types: Annotated[
        list[str] | None, typer.Option("--type", metavar="[NAME=]TYPE", help="decimal, url, date … of a field, or all.")
    ] = None,
    each: Annotated[
        str | None, typer.Option("--each", metavar="EXPR", help="What finds the items of the page.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="All that is found, not the first alone.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print the items alone.")] = False,
) -> None:
    """Try selectors on a page; prints items, and YAML for a job.

    Items go to stdout, one line of JSON each; all else to stderr. Exit code 1 if nothing was found.
    """
    from crawler.cli.page import described, page_of
    from crawler.cli.text import printable
    from crawler.cli.trial import Trial, is_empty, rows_of

    given = (
        ("css", css),
        ("xpath", xpath),
        ("jmespath", jmespath),
        ("jsonpath", jsonpath),
        ("regex", regex),
        ("json_ld", json_ld),
        ("meta", meta),
    )
    trial = Trial()
    trial.each = each
    for kind, expressions in given:
        for expression in expressions or ():
            trial.add(kind, expression, is_all=all_)
    if not trial.fields:
        raise CommandError('say what to look for, for example --css "title=h1::text"; `crawler shell PAGE` tries them')
    for text in types or ():
        trial.cast(text)
    document = page_of(source)
    extraction = trial.apply(document)
    if not quiet:
        print(described(document), file=sys.stderr)
    for line in rows_of(extraction):
        print(printable(line) if sys.stdout.isatty() else line)
    if extraction.failure is not None:
        complain(str(extraction.failure))
    for name in extraction.errors:
        complain(f"{name}: what was found does not fit its type")
    if not quiet:
        print(f"\n{trial.yaml()}", file=sys.stderr)
    if extraction.failure is not None or is_empty(extraction):
        raise typer.Exit(Exit.FAILURES)
