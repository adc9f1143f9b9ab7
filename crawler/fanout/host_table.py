"""What hosts asked for, and how much they can bear, in the state's database: a row per host that wants to be spared.

A run that is gone on with knows it from there, also after a crash: a host that said "in a minute" is not asked before.
Times are seconds since 1970, as the clock of a process means nothing to the next one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Final, NamedTuple

import orjson

MAX_KEPT: Final = 10_000
"""Hosts whose rows are kept: those that are to be spared longest."""

KEEP_S: Final = 86_400.0
"""For which a row counts that names no later time itself: what a host could bear yesterday says little."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS hosts (key TEXT PRIMARY KEY, until REAL NOT NULL, state TEXT NOT NULL) WITHOUT ROWID
"""
_KEEP: Final = """
INSERT OR REPLACE INTO hosts SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'),
json_extract(value, '$[2]') FROM json_each(?)
"""
_FORGET: Final = "DELETE FROM hosts WHERE key IN (SELECT value FROM json_each(?))"
_BOUND: Final = "DELETE FROM hosts WHERE key IN (SELECT key FROM hosts ORDER BY until DESC LIMIT -1 OFFSET ?)"


class HostRow(NamedTuple):
    """What is kept of one host.

    Attributes:
        key: Its name in the tables of politeness.
        until: Seconds since 1970 until which it counts.
        state: As `HostClock.state` gives it; empty forgets the host.
    """

    key: str
    until: float
    state: dict[str, object]


class HostTable:
    """The rows of a state.

    Args:
        db: Its connection, which commits by itself.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        db.execute(_SCHEMA)
        self._most = 0  # rows that there may be

    def rows(self, wall: float) -> list[HostRow]:
        """Give what counts at a time, in seconds since 1970."""
        self._db.execute("DELETE FROM hosts WHERE until <= ?", (wall,))
        found = self._db.execute("SELECT key, until, state FROM hosts ORDER BY until DESC LIMIT ?", (MAX_KEPT,))
        rows = [HostRow(key, until, orjson.loads(state)) for key, until, state in found]
        self._most = len(rows)
        return rows

    def keep(self, rows: Iterable[HostRow]) -> None:
        """Write rows, all or none; runs within a transaction of the caller."""
        new: list[tuple[str, float, str]] = []
        gone: list[str] = []
        for row in rows:
            if row.state:
                new.append((row.key, row.until, orjson.dumps(row.state).decode()))
            else:
                gone.append(row.key)
        if gone:
            self._db.execute(_FORGET, (orjson.dumps(gone).decode(),))
        if new:
            self._db.execute(_KEEP, (orjson.dumps(new).decode(),))
        self._most += len(new)
        if self._most > 2 * MAX_KEPT:
            self._db.execute(_BOUND, (MAX_KEPT,))
            self._most = MAX_KEPT
