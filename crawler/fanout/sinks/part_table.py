"""The parts of outputs in the state's database."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from crawler.fanout.errors import state_error
from crawler.fanout.sinks.cdxj import index_path
from crawler.fanout.sinks.parts import Part

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS parts (
    output TEXT, seq INTEGER, path TEXT NOT NULL, start INTEGER NOT NULL, rows INTEGER NOT NULL,
    target TEXT NOT NULL, is_published INTEGER NOT NULL,
    PRIMARY KEY (output, seq)) WITHOUT ROWID
"""


class PartTable:
    """A `PartLog` in a database; paths are kept relative to its folder, so that both can be moved together.

    Args:
        db: An open connection that commits by itself.
        path: Its file.
        key: Names an output in the database.
    """

    def __init__(self, db: sqlite3.Connection, path: Path, key: Callable[[str], str]) -> None:
        self._db = db
        self._path = path
        self._key = key
        self._run(_SCHEMA)

    def parts(self, output: str) -> list[Part]:
        """Give the parts of an output in order."""
        try:
            return stored_parts(self._db, self._key(output), self._path)
        except sqlite3.Error as error:
            raise state_error(self._path, error) from error

    def add(self, output: str, part: Part) -> None:
        """Note a part, or note it anew."""
        self._run(
            "INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?, ?, ?)",
            self._key(output),
            part.seq,
            self._key(part.path),
            part.start,
            part.start_rows,
            self._key(part.target) if _is_file(part.target) else part.target,
            part.is_published,
        )

    def remove(self, output: str, seqs: Sequence[int]) -> None:
        """Forget parts."""
        for seq in seqs:
            self._run("DELETE FROM parts WHERE output = ? AND seq = ?", self._key(output), seq)

    def _run(self, statement: str, *values: object) -> list[Any]:
        try:
            return self._db.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise state_error(self._path, error) from error


def stored_parts(db: sqlite3.Connection, key: str, state_file: Path) -> list[Part]:
    """Give the parts of an output in order.

    Raises:
        sqlite3.Error: The database cannot be read.
    """
    rows = db.execute(
        "SELECT seq, path, start, rows, target, is_published FROM parts WHERE output = ? ORDER BY seq", (key,)
    ).fetchall()

    def there(path: str) -> str:
        return os.path.normpath(state_file.parent / path) if _is_file(path) else path

    return [
        Part(seq, there(path), start, count, there(target), bool(published))
        for seq, path, start, count, target, published in rows
    ]


def state_key(output: str, state_file: Path) -> str:
    """Name an output by its place beside the state: the same from every folder, also when both are moved."""
    if output == "-" or "://" in output:
        return output
    try:
        return os.path.relpath(output, state_file.parent)
    except ValueError:  # another drive of Windows
        return os.path.abspath(output)


def noted_files(state_file: Path) -> list[Path]:
    """Give the files that outputs of a state were noted to have, whether they are there or not; none without a state.

    A state that cannot be read is no error: this is for clearing up.
    """
    if not state_file.is_file():
        return []
    try:
        with contextlib.closing(sqlite3.connect(state_file)) as db:
            rows = db.execute("SELECT path FROM parts UNION SELECT target FROM parts WHERE target <> ''").fetchall()
    except sqlite3.Error:
        return []
    files = [state_file.parent / path for (path,) in rows if _is_file(path)]
    return [*files, *(index_path(path) for path in files if path.name.endswith((".warc", ".warc.gz")))]


def _is_file(path: str) -> bool:
    return bool(path) and "://" not in path
