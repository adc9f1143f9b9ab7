"""Rows of a Parquet file, a batch of its row groups at a time. Needs pyarrow (extra `parquet`)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from crawler.jobs.lines import InputError

EXTRA: Final = "a Parquet list needs pyarrow: pip install 'crawler[parquet]'"
_BATCH: Final = 1000


def parquet_columns(path: Path) -> list[str]:
    """The names of the columns.

    Raises:
        InputError: The file cannot be read, or pyarrow is not installed.
    """
    with _opened(path) as file:
        return [str(name) for name in file.schema_arrow.names]


def parquet_rows(path: Path) -> Iterator[dict[str, object]]:
    """Every row, with values as JSON has them: dates as text, bytes as UTF-8 or hexadecimal, no NaN.

    Raises:
        InputError: The file cannot be read, or pyarrow is not installed.
    """
    with _opened(path) as file:
        batches = file.iter_batches(batch_size=_BATCH)
        while True:
            try:
                batch = next(batches, None)
            except (OSError, ValueError) as error:  # pyarrow's own errors are these
                raise InputError(f"{path}: the Parquet file is damaged: {error}") from error
            if batch is None:
                return
            for row in batch.to_pylist():
                yield {name: _plain(value) for name, value in row.items()}


def _opened(path: Path) -> Any:  # a ParquetFile: pyarrow has no types
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise InputError(EXTRA) from error
    try:
        return parquet.ParquetFile(path, memory_map=False, pre_buffer=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot read it as Parquet: {str(error).splitlines()[0]}") from error


def _plain(value: object) -> object:
    match value:
        case None | str() | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else None
        case bytes():
            try:
                return value.decode("utf-8")
            except UnicodeDecodeError:
                return value.hex()
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Decimal():
            return str(value)
        case dict():
            return {str(key): _plain(part) for key, part in value.items()}
        case list() | tuple():
            return [_plain(part) for part in value]
        case _:
            return str(value)
