"""Reading outputs back: what `crawler export` and `crawler retry` do. Only what a commit vouches for is read."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, NamedTuple

import orjson

from crawler.fanout.errors import StateDamaged, output_error
from crawler.fanout.record import Record
from crawler.fanout.sinks.compress import Compression, compression_of, lines_of, unpack
from crawler.fanout.sinks.fields import RECORD
from crawler.fanout.sinks.parts import Part

if TYPE_CHECKING:
    from crawler.fanout.plan import Output

TABLES: Final = ("jsonl", "csv", "parquet")
"""Formats whose rows can be read back."""

_READ: Final = 1 << 18


class Stored(NamedTuple):
    """An output as the state knows it.

    Attributes:
        output: As the job has it now.
        parts: Its parts in order.
        offset, rows: How far it is vouched for.
    """

    output: Output
    parts: Sequence[Part]
    offset: int
    rows: int

    def ends(self) -> list[tuple[Part, int]]:
        """Give each part with the number of its bytes that are vouched for."""
        starts = [part.start for part in self.parts[1:]]
        ends = [*starts, self.offset]
        return [(part, min(end, self.offset) - part.start) for part, end in zip(self.parts, ends, strict=True)]


def compression_in(output: Output) -> Compression:
    """Give the compression of the file in which rows are collected."""
    return "zst" if output.format == "parquet" else compression_of(output)


def stored_rows(stored: Stored) -> Iterator[Record]:
    """Give the rows of an output, one after the other; memory holds a few.

    Raises:
        StateDamaged: A part is gone, or holds something else.
        OutputError: It cannot be read.
    """
    for part, size in stored.ends():
        if size > 0:
            yield from part_rows(stored.output, part, size)


def part_rows(output: Output, part: Part, size: int) -> Iterator[Record]:
    """Give the rows among the first `size` bytes of a part."""
    name = part.target if part.is_published else part.path
    try:
        if part.is_published:
            yield from _published_rows(output, part)
        else:
            lines = lines_of(Path(part.path), size, compression_in(output))
            yield from _csv_rows(lines) if output.format == "csv" else _json_rows(lines)
    except FileNotFoundError as error:
        raise StateDamaged(f"{name} is gone; put it back, or begin anew with --fresh") from error
    except (ValueError, EOFError) as error:
        raise StateDamaged(f"{name}: a line of it is no record of ours: {error}") from error
    except OSError as error:
        raise output_error(name, error) from error


def _published_rows(output: Output, part: Part) -> Iterator[Record]:
    with _open(part.target) as file:
        if output.format == "parquet":
            import pyarrow.parquet as pq

            for batch in pq.ParquetFile(file).iter_batches(5_000):
                yield from map(_nested, batch.to_pylist())
            return
        lines = _lines(unpack(_pieces(file), compression_of(output)))
        yield from _csv_rows(lines) if output.format == "csv" else _json_rows(lines)


def _open(target: str) -> IO[bytes]:
    if "://" not in target:
        return open(target, "rb")
    import fsspec

    opened: IO[bytes] = fsspec.open(target, "rb").open()
    return opened


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(_READ):
        yield piece


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line + b"\n"
    if rest:
        yield rest


def _json_rows(lines: Iterator[bytes]) -> Iterator[Record]:
    for line in lines:
        row = orjson.loads(line)
        if not isinstance(row, dict):
            raise ValueError("not an object")
        yield row


def _csv_rows(lines: Iterator[bytes]) -> Iterator[Record]:
    """Rows with all values as text, but nothing for an empty cell."""
    reader = csv.DictReader(line.decode("utf-8") for line in lines)
    for row in reader:
        yield _nested({name: value or None for name, value in row.items() if name is not None})


def _nested(row: Record) -> Record:
    """Put the columns of a table together again to the record they were."""
    record: Record = {}
    for name, value in row.items():
        head, dot, rest = name.partition(".")
        if dot and isinstance(RECORD.get(head), Mapping):
            inner = record.setdefault(head, {})
            if isinstance(inner, dict):
                inner[rest] = value
            continue
        is_text = RECORD.get(name) in ("json", "list") and isinstance(value, str) and value[:1] in ("[", "{")
        record[name] = orjson.loads(str(value)) if is_text else value
    for head, inner in record.items():
        if isinstance(inner, dict) and isinstance(RECORD.get(head), Mapping) and not any(inner.values()):
            record[head] = None
    return record
