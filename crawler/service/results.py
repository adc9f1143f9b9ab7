"""The records of a run, by page: whole lines of its JSONL file, from a cursor on. Bounded, and safe while it grows.

A cursor is the offset of a line's first byte. After a crash the end of the file may be cut off and written again; a
cursor that no line begins at any more is refused, not guessed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from crawler.service.errors import ServiceError

MAX_LIMIT: Final = 1000
MAX_PAGE_BYTES: Final = 4 * 1024 * 1024
"""A page ends here, whatever its `limit`."""
MAX_LINE_BYTES: Final = 16 * 1024 * 1024
MAX_SCANNED: Final = 20_000
"""Lines looked at per page where a filter leaves most of them out."""


class BadCursor(ServiceError):
    """The cursor is none, or names a place that is gone."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some records.

    Attributes:
        records: As they stand in the file.
        cursor: Where the next page begins; also at the end, where more may come.
        is_end: There is no further whole line at the moment.
    """

    records: tuple[dict[str, Any], ...]
    cursor: int
    is_end: bool


def read_page(
    path: Path, cursor: int, limit: int, keep: Callable[[dict[str, Any]], bool] = lambda record: True
) -> Page:
    """Read a page. Blocking.

    Args:
        path: The JSONL file; one that is not there yet is empty.
        cursor: 0, or what the page before gave.
        limit: Records at most.
        keep: Chooses among them.

    Raises:
        BadCursor: No line begins there.
    """
    try:
        file = open(path, "rb")  # noqa: SIM115  # entered below; a missing file is an empty page
    except FileNotFoundError:
        return Page((), 0, True)
    with file:
        size = os.fstat(file.fileno()).st_size
        if cursor > size or cursor < 0:
            raise BadCursor("the cursor lies beyond the records; begin again without one")
        if cursor:
            file.seek(cursor - 1)
            if file.read(1) != b"\n":
                raise BadCursor("no record begins at the cursor any more; begin again without one")
        records: list[dict[str, Any]] = []
        begin, scanned = cursor, 0
        while len(records) < limit and scanned < MAX_SCANNED and cursor - begin < MAX_PAGE_BYTES:
            line = file.readline(MAX_LINE_BYTES)
            if not line.endswith(b"\n"):
                return Page(tuple(records), cursor, True)
            cursor += len(line)
            scanned += 1
            record = _parsed(line)
            if record is not None and keep(record):
                records.append(record)
        return Page(tuple(records), cursor, cursor >= size)


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return record if isinstance(record, dict) else None


def chosen(outcome: str | None, kind: str | None, text: str | None) -> Callable[[dict[str, Any]], bool]:
    """A filter over records: by outcome, by error kind, by a part of the URL."""

    def keep(record: dict[str, Any]) -> bool:
        error = record.get("error")
        if outcome is not None and record.get("outcome") != outcome:
            return False
        if kind is not None and (not isinstance(error, dict) or error.get("kind") != kind):
            return False
        return text is None or text in str(record.get("url"))

    return keep
