"""Formats of one line per row: JSON lines, CSV, and the list of checksums."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable
from datetime import date
from typing import TYPE_CHECKING, Protocol

import orjson

from crawler.fanout.record import Record, WrittenRecord
from crawler.fanout.sinks.fields import columns_of, pick

if TYPE_CHECKING:
    from crawler.fanout.plan import Output


class Format(Protocol):
    """How rows become bytes.

    Attributes:
        header: What each part begins with.
    """

    header: bytes

    def encode(self, row: Record) -> bytes:
        """Write one row; may be empty, if the format has nothing to say about it."""


def encode_line(record: Record) -> bytes:
    """Write a record as one line of JSON.

    What `orjson` refuses (integers beyond 64 bits, lone surrogates from a broken URL) takes the slow way: a record
    may cost more, but is never lost. One that was written already stays as it is.
    """
    if type(record) is WrittenRecord:
        return record.line
    try:
        return orjson.dumps(record, default=_written, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        text = json.dumps(record, ensure_ascii=False, default=str, separators=(",", ":"))
        return text.encode("utf-8", "replace") + b"\n"


def _written(value: object) -> orjson.Fragment:
    """A decimal as the number it is, digit by digit."""
    from decimal import Decimal

    if isinstance(value, Decimal):
        return orjson.Fragment(str(value))
    raise TypeError(f"{type(value).__name__} has no form in JSON")


class Jsonl:
    """One JSON object per line."""

    header = b""
    encode = staticmethod(encode_line)


class Csv:
    """A table with commas (RFC 4180): one header row per file, the same columns in every row.

    Nothing is an empty cell; lists and maps are JSON.
    """

    def __init__(self, output: Output) -> None:
        self._columns = tuple(columns_of(output))
        self.header = _csv_line(self._columns)

    def encode(self, row: Record) -> bytes:
        """Write one row."""
        return _csv_line(cell(pick(row, name)) for name in self._columns)


class Sums:
    """`sha256sum -c` reads it: digest, two spaces, file below the folder of bodies."""

    header = b""

    def encode(self, row: Record) -> bytes:
        """Write the line of a file; a request without one has none."""
        path, digest = row.get("path"), row.get("sha256")
        if row.get("outcome") not in ("ok", "unchanged") or not path or not digest:
            return b""
        return sums_line(str(digest), str(path))


def sums_line(digest: str, path: str) -> bytes:
    """Write digest and name; a name with a line break or backslash is escaped, and the line begins with one then."""
    escaped = path.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    mark = "\\" if escaped != path else ""
    return f"{mark}{digest}  {escaped}\n".encode("utf-8", "surrogateescape")


def cell(value: object) -> str:
    """Write a value into a cell."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, date):  # and instants, which are dates, too
        return value.isoformat()
    return encode_line(value).decode()[:-1]  # type: ignore[arg-type]  # lists as well


def _csv_line(cells: Iterable[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().encode("utf-8", "replace")


_FORMATS: dict[str, Callable[[Output], Format]] = {
    "jsonl": lambda output: Jsonl(),
    "parquet": lambda output: Jsonl(),  # collected as lines
    "csv": Csv,
    "sha256sums": lambda output: Sums(),
}


def format_of(output: Output) -> Format:
    """Choose the format of an output of lines."""
    return _FORMATS[output.format](output)
