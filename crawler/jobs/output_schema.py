"""The keys of `output[]`."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel

from crawler.jobs.fields import Bool, OneOrMany, Size, TemplateText, Text, choice, whole
from crawler.jobs.section import SECTION

RECORD_FORMATS: Final = ("jsonl", "csv", "parquet", "warc", "sha256sums")
"""Formats that a fetch writes."""

REPORT_FORMATS: Final = ("bench_json", "html", "markdown", "csv", "hlog")
"""Formats that a benchmark writes."""

_FORMATS: Final = tuple(dict.fromkeys((*RECORD_FORMATS, *REPORT_FORMATS)))


class Output(BaseModel):
    """Records in a file, a row of files, on standard output or in an object store; or a benchmark's report."""

    model_config = SECTION

    format: Annotated[
        Literal["jsonl", "csv", "parquet", "warc", "sha256sums", "bench_json", "html", "markdown", "hlog"],
        choice(*_FORMATS, later=("sqlite",)),
    ] = "jsonl"
    """One JSON object per line; a table; an archive of what went over the wire; a list of checksums of the files. A
    benchmark writes bench_json, html, markdown, csv, hlog."""
    path: TemplateText | None = None
    """Default in `out/<name>`; may hold {run_id}, {run_date}, {name} and {seq:05d}, the number of the part. `-` is
    standard output; a URL like s3://bucket/key is an object store."""
    records: Annotated[Literal["requests", "attempts", "items"], choice("requests", "attempts", "items")] = "requests"
    """One row per URL, per try, or per extracted item."""
    fields: Annotated[list[Text], OneOrMany()] = []
    """Fields of a row, nested ones by dots (`timing.total`); default all but `headers`."""
    where: Text | None = None
    """Condition on rows, a JMESPath expression, like "status >= `400`"."""
    compress: Annotated[Literal["none", "gz", "zst"] | None, choice("none", "gz", "zst")] = None
    """Default by the suffix of the path, .gz or .zst."""
    roll_rows: Annotated[int | None, whole(1)] = None
    """Rows of a part, where the path holds {seq}; default 100000."""
    roll_size: Size | None = None
    """Bytes of a part after which the next begins, where the path holds {seq}; default 256MiB, 1GB for warc."""
    append: Bool = True
    """Go on in a file that is there already; false makes that an error."""
    cdxj: Bool = False
    """Write an index (CDXJ) beside each WARC file."""
