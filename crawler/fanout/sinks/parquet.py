"""Rows as a Parquet file: one column per field, typed, compressed with zstd, in row groups of about 64 MiB.

A Parquet file ends with its index, so it is written in one go of the rows that were collected (`file_sink`), and never
appended to. Nested fields are columns by their dotted names, as in a table of CSV; lists of words are lists, other
lists and maps are JSON text. A value that does not fit its column's type is null.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from crawler.fanout.sinks.compress import Compression, lines_of
from crawler.fanout.sinks.fields import pick
from crawler.fanout.sinks.lines import cell

if TYPE_CHECKING:
    import pyarrow

ROW_GROUP_SIZE: Final = 64 * 1024 * 1024
_BATCH: Final = 10_000
_DECIMAL: Final = (38, 9)
"""Digits in all, and behind the point."""


class ParquetFile:
    """Renders collected rows.

    Args:
        columns: Names and types (`crawler.fanout.sinks.fields`).
        compression: Of the collected rows.
    """

    def __init__(self, columns: Mapping[str, str], compression: Compression) -> None:
        self._columns = [(name, _CONVERT.get(kind, _text)) for name, kind in columns.items()]
        self._kinds = dict(columns)
        self._compression = compression

    def schema(self) -> pyarrow.Schema:
        """Give names and types of the columns."""
        import pyarrow as pa

        types: dict[str, Any] = {
            "int": pa.int64(),
            "float": pa.float64(),
            "bool": pa.bool_(),
            "datetime": pa.timestamp("us", "UTC"),
            "date": pa.date32(),
            "decimal": pa.decimal128(*_DECIMAL),
            "list": pa.list_(pa.string()),
        }
        return pa.schema([(name, types.get(kind, pa.string())) for name, kind in self._kinds.items()])

    def render(self, collected: Path, size: int, path: Path) -> None:
        """Write the file of the rows among the first `size` bytes."""
        self.write((orjson.loads(line) for line in lines_of(collected, size, self._compression)), path)

    def write(self, rows: Iterator[Mapping[str, object]], path: Path) -> None:
        """Write rows; memory holds one row group of them."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = self.schema()
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            group: list[pyarrow.Table] = []
            while batch := self._batch(rows):
                group.append(pa.Table.from_pydict(batch, schema=schema))
                if sum(table.nbytes for table in group) >= ROW_GROUP_SIZE:
                    writer.write_table(pa.concat_tables(group))
                    group = []
            if group:
                writer.write_table(pa.concat_tables(group))

    def _batch(self, rows: Iterator[Mapping[str, object]]) -> dict[str, list[object]]:
        columns: dict[str, list[object]] = {name: [] for name, _ in self._columns}
        n = 0
        for row in rows:
            for name, convert in self._columns:
                value = pick(row, name)
                columns[name].append(None if value is None else convert(value))
            n += 1
            if n == _BATCH:
                break
        return columns if n else {}


def _text(value: object) -> str:
    return cell(value).encode("utf-8", "replace").decode()


def _int(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = int(value)
    except (ValueError, OverflowError):
        return None
    return number if -(2**63) <= number < 2**63 else None


def _float(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _bool(value: object) -> bool | None:
    if isinstance(value, str):  # from a cell of a table
        return {"true": True, "false": False}.get(value)
    return value if isinstance(value, bool) else None


def _datetime(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _date(value: object) -> date | None:
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError:
        return None


def _decimal(value: object) -> Decimal | None:
    try:
        number = Decimal(str(value)).quantize(Decimal(1).scaleb(-_DECIMAL[1]))
    except InvalidOperation:
        return None
    return number if number.is_finite() and number.adjusted() < _DECIMAL[0] - _DECIMAL[1] else None


def _list(value: object) -> list[str]:
    return [_text(one) for one in value] if isinstance(value, list | tuple) else [_text(value)]


_CONVERT: Final[Mapping[str, Callable[[object], object]]] = {
    "int": _int,
    "float": _float,
    "bool": _bool,
    "datetime": _datetime,
    "date": _date,
    "decimal": _decimal,
    "list": _list,
}
