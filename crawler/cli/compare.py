"""`crawler compare`: results of benchmarks (`bench_json`) against the first of them; exit code 5 on a regression."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crawler.cli.exits import CommandError, Exit
from crawler.cli.text import one_line, printable

if TYPE_CHECKING:
    from crawler.bench import BenchResult
    from crawler.bench.compare import Change
    from crawler.report.page import Table

_MAX_BYTES = 256 * 1024 * 1024  # of a result file; a report of 64 arms is a few megabytes


def compare(
    files: Annotated[list[Path], typer.Argument(metavar="A.json B.json…", help="Results; the first is the base.")],
    force: Annotated[
        bool, typer.Option("--force", help="Compare results of different machines, targets or loads.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
) -> None:
    """Compare results of benchmarks with the first of them.

    Says what became faster, what slower, and what made no difference. Ratios are of speeds, above 1 is faster than
    the first file. A verdict needs five rounds, a difference of at least `min_effect` and an interval that excludes
    1.

    Exit codes: 0 nothing is slower, 2 the results cannot be compared, 5 something is slower.
    """
    from crawler.bench.compare import compare as compare_results
    from crawler.bench.compare import obstacles

    if len(files) < 2:
        raise CommandError("give at least two results: crawler compare A.json B.json")
    results = [_read(path) for path in files]
    hindrances = [
        f"{files[0]} and {path}: {text}"
        for path, result in zip(files[1:], results[1:], strict=True)
        for text in obstacles(results[0], result)
    ]
    if hindrances and not force:
        told = "\n".join(one_line(text, 500) for text in hindrances)
        raise CommandError(f"{told}\nThese are not comparable; --force does it all the same.")
    changes = compare_results(results)
    if as_json:
        typer.echo(json.dumps(_document(files, hindrances, changes), indent=2, ensure_ascii=False))
    else:
        _show(files, hindrances, changes)
    if any(change.verdict == "slower" for change in changes):
        raise typer.Exit(Exit.THRESHOLD)


def _read(path: Path) -> BenchResult:
    from crawler.bench import BenchResult

    try:
        if path.stat().st_size > _MAX_BYTES:
            raise CommandError(f"{path}: larger than any result of a benchmark")
        return BenchResult.from_json(json.loads(path.read_bytes()))
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        why = one_line(str(error).splitlines()[0] if str(error) else type(error).__name__)
        raise CommandError(f"{path}: no result of a benchmark (bench_json): {why}") from error


def _document(files: list[Path], hindrances: list[str], changes: list[Change]) -> dict[str, Any]:
    from dataclasses import asdict

    rows = [{**asdict(change), "result": str(files[change.result])} for change in changes]
    return {"schema": "crawler.compare/1", "base": str(files[0]), "obstacles": hindrances, "changes": rows}


def _show(files: list[Path], hindrances: list[str], changes: list[Change]) -> None:
    from crawler.bench.report_text import table_lines

    for number, path in enumerate(files[1:], 1):
        mine = [change for change in changes if change.result == number]
        typer.echo(f"{one_line(str(path))} against {one_line(str(files[0]))}")
        for text in table_lines(_table(mine)):
            typer.echo(printable(text))
        for verdict in ("slower", "faster"):
            hits = sum(change.verdict == verdict for change in mine)
            if hits:
                typer.echo(f"  {hits} {verdict}")
    for text in hindrances:
        typer.echo(f"  note: {one_line(text, 500)}")


def _table(changes: list[Change]) -> Table:
    from crawler.report import units
    from crawler.report.page import Table

    rows = []
    for change in changes:
        shown = units.rate if change.metric == "rate" else units.time
        verdict = f"{change.verdict}: {change.reason}" if change.reason else change.verdict
        interval = units.times_range(change.low, change.high)
        before, after = shown(change.before), shown(change.after)
        rows.append((change.arm, change.metric, before, after, units.times(change.ratio), interval, verdict))
    return Table(
        ("arm", "metric", "before", "after", "speed", "interval", "verdict"), tuple(rows), frozenset({0, 1, 6})
    )
