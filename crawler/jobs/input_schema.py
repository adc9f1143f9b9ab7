"""The keys of `input`, as a pydantic model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel

from crawler.jobs.fields import OneOrMany, PathText, Ratio, Reader, TemplateText, Text, choice, loosen, show, whole
from crawler.jobs.input_order import DEFAULT_WINDOW
from crawler.jobs.section import SECTION

_FORMATS = ("txt", "csv", "tsv", "jsonl", "json", "parquet", "sitemap", "feed")


def _parse_shuffle(value: object) -> int:
    got = loosen(value)
    if isinstance(got, bool):
        return DEFAULT_WINDOW if got else 0
    if isinstance(got, int) and 2 <= got <= 10_000_000:
        return got
    raise ValueError(f"expected true, false or a number of rows from 2 on, not {show(got)}")


class Input(BaseModel):
    """Rows from files, one request each; read as a stream."""

    model_config = SECTION

    path: Annotated[list[PathText], OneOrMany()]
    """Files or globs, relative to the job file, or http(s) URLs, read in order; `-` is standard input."""
    format: Annotated[
        Literal["txt", "csv", "tsv", "jsonl", "json", "parquet", "sitemap", "feed"] | None, choice(*_FORMATS)
    ] = None
    """Default: by the file's suffix, `txt` if that says nothing. `.gz .bz2 .xz .zst` are unpacked."""
    columns: dict[str, Text] = {}
    """Which column holds `url`, `method`, `path`, `priority`, a checksum, `size` or `meta.NAME`."""
    key: TemplateText | None = None
    """Stable name of a row, for records and joins; default the row number."""
    limit: Annotated[int | None, whole(1).or_null()] = None
    """Rows at most."""
    offset: Annotated[int, whole(0)] = 0
    """Rows to pass over first."""
    sample: Ratio | None = None
    """Share of the rows that is taken, drawn from `seed`."""
    seed: Annotated[int, whole(0)] = 0
    """Of `sample` and `shuffle`: the same seed draws the same rows in the same order."""
    shuffle: Annotated[
        int, Reader(_parse_shuffle, {"anyOf": [{"type": "boolean"}, {"type": "integer", "minimum": 2}]})
    ] = 0
    """Mixes the order within a window of so many rows, true is 10,000: the hosts of a sorted list are spread."""
    on_bad_row: Annotated[Literal["record", "skip", "fail"], choice("record", "skip", "fail")] = "record"
    """A row that cannot be read: a failed record, a warning, or the end of the run."""
