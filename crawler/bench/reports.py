"""The reports of a benchmark by their formats, and how they get into files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from crawler.bench.report_csv import csv_text
from crawler.bench.report_hlog import hlog_text
from crawler.bench.report_html import html
from crawler.bench.report_markdown import markdown
from crawler.bench.report_view import view
from crawler.bench.result import BenchResult


def bench_json(result: BenchResult) -> str:
    """The document of schema `crawler.bench/1`, one line a value so that two of them can be diffed."""
    return json.dumps(result.to_json(), indent=1, ensure_ascii=False) + "\n"


def render(form: str, result: BenchResult) -> str:
    """Write a report in the format `bench_json`, `html`, `markdown`, `csv` or `hlog`; `KeyError` for another."""
    return _WRITERS[form](result)


_WRITERS: Final[Mapping[str, Callable[[BenchResult], str]]] = {
    "bench_json": bench_json,
    "html": html,
    "markdown": lambda result: markdown(view(result)),
    "csv": csv_text,
    "hlog": hlog_text,
}


def write_report(path: Path, content: str) -> None:
    """Write a file whole or not at all: beside its place first, then moved there.

    Raises:
        OSError: The place cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(content.encode("utf-8", "replace"))
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
