"""The outputs of a job as the engine takes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, cast

from crawler.fanout import Output
from crawler.jobs.nodes import Map, plain
from crawler.jobs.output_schema import Output as OutputSection
from crawler.jobs.template import Template

RecordFormat = Literal["jsonl", "csv", "parquet", "warc", "sha256sums"]

PATH_NAMES: Final = frozenset({"run_id", "run_date", "name", "seq"})
"""What the path of an output knows."""

SEQ: Final = re.compile(r"(?<!\{)\{seq(?::(?P<spec>[^{}]*))?\}(?!\})")
_SPEC: Final = re.compile(r"0?\d*d")
_PLACE: Final = "\x00"

_NAMES: Final = {"parquet": "parquet", "csv": "csv", "jsonl": "jsonl"}


@dataclass(frozen=True, slots=True)
class Naming:
    """What the paths of a run's outputs are made of.

    Attributes:
        folder: Of outputs without a path.
        moved: Whether all outputs go there (`--out`).
        name: Of the job.
        run_id: Of the run.
        begun: When it began.
        contact: Whom to ask, for archives.
    """

    folder: Path
    moved: bool
    name: str
    run_id: str
    begun: datetime
    contact: str | None = None


def default_name(section: OutputSection) -> str:
    """Give the file name of an output of records that has no path."""
    if section.format == "warc":
        return "results.warc.gz"
    if section.format == "sha256sums":
        return "SHA256SUMS"
    stem = "results" if section.records == "requests" else section.records
    suffix = f".{section.compress}" if section.compress in ("gz", "zst") and section.format != "parquet" else ""
    return f"{stem}.{_NAMES[section.format]}{suffix}"


def make_output(section: OutputSection, naming: Naming, tree: Map) -> Output:
    """Say to the engine what one output is."""
    text = None if section.path is None else section.path.text
    if text is None:
        where = str(naming.folder / default_name(section))
    elif naming.moved and text != "-":
        where = str(naming.folder / text.rstrip("/").rpartition("/")[2])
    else:
        where = text
    path = fill_path(where, naming)
    is_remote = is_url(path)
    return Output(
        Path(path),
        cast("RecordFormat", section.format),  # the others are a benchmark's
        records=section.records,
        fields=tuple(section.fields),
        where=section.where,
        compress=section.compress,
        roll_rows=section.roll_rows,
        roll_size=section.roll_size,
        append=section.append,
        cdxj=section.cdxj,
        columns=item_columns(tree) if section.records == "items" else (),
        remote=path if is_remote else "",
        identity=where,
        comment=(("isPartOf", naming.name), *((("operator", naming.contact),) if naming.contact else ())),
    )


def fill_path(text: str, naming: Naming) -> str:
    """Fill in all names but `{seq}`, which the engine counts."""
    specs = [match["spec"] for match in SEQ.finditer(text)]
    names = {
        "run_id": naming.run_id,
        "run_date": naming.begun.strftime("%Y-%m-%d"),
        "name": naming.name,
    }
    filled = Template(SEQ.sub(_PLACE, text)).fill(names)
    for spec in specs:
        filled = filled.replace(_PLACE, "{seq}" if spec is None else f"{{seq:{spec}}}", 1)
    return filled


def seq_problem(text: str) -> str | None:
    """Say what is wrong with the form of a `{seq}`."""
    for match in SEQ.finditer(text):
        if match["spec"] is not None and not _SPEC.fullmatch(match["spec"]):
            return f"{match[0]} is no form of the part's number; write {{seq}} or {{seq:05d}}"
    return None


def is_url(path: str) -> bool:
    """Whether a path is the URL of an object store."""
    return re.match(r"[a-z][a-z0-9+.-]+://", path) is not None


def item_columns(tree: Map) -> tuple[tuple[str, str], ...]:
    """Give names and types of the fields that `extract` fills; where two rules differ in a type, it is text."""
    node = tree.get("extract")
    rules = None if node is None else plain(node)
    columns: dict[str, str] = {}
    for rule in rules if isinstance(rules, list) else [rules]:
        fields = rule.get("fields") if isinstance(rule, Mapping) else None
        for name, spec in fields.items() if isinstance(fields, Mapping) else ():
            kind = _kind(spec)
            columns[str(name)] = kind if columns.get(str(name), kind) == kind else "str"
    return tuple(columns.items())


def _kind(spec: object) -> str:
    """Give the type of a column by the rule of its field: lists and maps are JSON."""
    if not isinstance(spec, Mapping):
        return "str"
    if spec.get("all") is True or "fields" in spec:
        return "json"
    kind = str(spec.get("type", "str"))
    return kind if kind in ("int", "float", "decimal", "bool", "datetime", "date", "json") else "str"
