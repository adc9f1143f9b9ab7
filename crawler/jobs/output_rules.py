"""Rules of `output[]`: where records may go, and keys that would do nothing there."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from crawler.fanout import Output
from crawler.fanout.sinks.fields import ITEM, field_problem
from crawler.fanout.sinks.rows import Where
from crawler.jobs.fields import nearest
from crawler.jobs.findings import Finding
from crawler.jobs.nodes import Map, dotted, locate
from crawler.jobs.output_schema import Output as OutputSection
from crawler.jobs.outputs import PATH_NAMES, SEQ, default_name, is_url, item_columns, seq_problem
from crawler.jobs.schema import JobFile

_REPORTS: Final = {
    "bench_json": "result.json",
    "html": "report.html",
    "markdown": "report.md",
    "csv": "result.csv",
    "hlog": "result.hlog",
}

_EFFECTLESS: Final[dict[str, dict[str, str]]] = {
    "parquet": {"compress": "Parquet is compressed in itself"},
    "warc": {
        "records": "an archive has what went over the wire",
        "fields": "an archive has what went over the wire",
    },
    "sha256sums": {"records": "a list of checksums has a line per file", "fields": "its lines have one form"},
}
_REPORT_KEYS: Final = ("records", "fields", "where", "compress", "roll_rows", "roll_size", "append", "cdxj")
_STDOUT_KEYS: Final = ("roll_rows", "roll_size", "append", "compress")


def report_name(form: str) -> str:
    """Give the file name of a benchmark's report that has no path."""
    return _REPORTS[form]


def output_rules(tree: Map, model: JobFile, *, allow_outside: bool) -> Iterator[Finding]:
    """Every breach of these rules."""
    seen: dict[str, int] = {}
    if model.body.keep == "warc" and all(output.format != "warc" for output in model.output):
        message = "body.keep: an archive needs an output of `format: warc`"
        yield Finding(locate(tree, ("body", "keep")), message)
    for index, output in enumerate(model.output):
        place = ("output", index)
        is_report = model.kind == "bench"
        text = output.path.text if output.path is not None else ""
        text = text or (report_name(output.format) if is_report and output.format in _REPORTS else _default(output))
        yield from (
            Finding(locate(tree, (*place, key)), f"{dotted((*place, key))}: {message}")
            for key, message in (
                *_path(output, text, is_report=is_report, allow_outside=allow_outside),
                *_same(text, seen, index),
                *(_report(output) if is_report else _records(output, text, tree)),
            )
        )


def _default(output: OutputSection) -> str:
    return default_name(output) if output.format not in ("bench_json", "html", "markdown", "hlog") else output.format


def _same(text: str, seen: dict[str, int], index: int) -> Iterator[tuple[str, str]]:
    if text in seen:
        yield "path", f"output[{seen[text]}] writes to the same path"
    seen[text] = index


def _path(output: OutputSection, text: str, *, is_report: bool, allow_outside: bool) -> Iterator[tuple[str, str]]:
    unknown = sorted(output.path.names - PATH_NAMES) if output.path is not None else []
    if unknown:
        known = "{run_id}, {run_date}, {name} and {seq}"
        near = nearest(unknown[0], PATH_NAMES)
        hint = f"; did you mean {{{near}}}?" if near else ""
        yield "path", f"{{{unknown[0]}}}: a path knows {known}{hint}"
    if is_report and SEQ.search(text):
        yield "path", "a report has one file; take out {seq}"
    elif problem := seq_problem(text):
        yield "path", problem
    if is_url(text):
        if is_report:
            yield "path", "a report is written to a file"
        elif find_spec("fsspec") is None:
            yield "path", "object stores need fsspec, which is not installed: pip install 'crawler[remote]'"
        return
    here = Path.cwd().resolve()
    if not allow_outside and not (here / text).resolve().is_relative_to(here):
        yield "path", f"{text} lies outside the working directory; write below it"


def _report(output: OutputSection) -> Iterator[tuple[str, str]]:
    for key in _REPORT_KEYS:
        if key != "records" and key in output.model_fields_set:  # `records` has a rule of its own
            yield key, "has no effect on the report of a benchmark"


def _records(output: OutputSection, text: str, tree: Map) -> Iterator[tuple[str, str]]:
    given = output.model_fields_set
    for key, why in _EFFECTLESS.get(output.format, {}).items():
        if key in given:
            yield key, f"has no effect on {output.format}: {why}"
    for key in ("roll_rows", "roll_size"):
        if key in given and not SEQ.search(text):
            yield (
                key,
                "has no effect without {seq} in the path, the number of the part, like results-{seq:05d}.jsonl",
            )
    if output.cdxj and output.format != "warc":
        yield "cdxj", "has no effect without `format: warc`"
    if output.format == "warc" and (output.compress == "zst" or text.endswith(".zst")):
        yield "compress" if output.compress else "path", "archives are compressed with gzip, record by record"
    if output.format == "parquet" and find_spec("pyarrow") is None:
        yield "format", "parquet needs pyarrow, which is not installed: pip install 'crawler[parquet]'"
    if text == "-":
        yield from _stdout(output)
    if output.records == "items" and tree.get("extract") is None:
        yield "records", "items need `extract`, which says what they are"
    yield from _selection(output, tree)


def _stdout(output: OutputSection) -> Iterator[tuple[str, str]]:
    if output.format not in ("jsonl", "csv"):
        yield "path", f"{output.format} needs a file; standard output takes jsonl and csv"
    for key in _STDOUT_KEYS:
        if key in output.model_fields_set:
            yield key, "has no effect on standard output"


def _selection(output: OutputSection, tree: Map) -> Iterator[tuple[str, str]]:
    columns = item_columns(tree) if output.records == "items" else ()
    for name in sorted({name for name, _ in columns} & set(ITEM)):
        yield "records", f"`extract` fills a field {name!r}, which every item has already; give it another name"
    probe = Output(Path("-"), records=output.records, columns=columns)
    for name in output.fields:
        if problem := field_problem(name, probe):
            yield "fields", problem
    if output.where is not None:
        try:
            Where(output.where)
        except ValueError as error:
            yield "where", f"is no JMESPath expression: {error}"
