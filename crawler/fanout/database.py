"""The durable frontier: one SQLite file, written by one thread in batches.

    requests   every request of the job: fingerprint (unique: dedupe), what to send, state, the commit that settled it
    commits    per commit and output: the offset up to which records are vouched for
    names      file names of bodies and whose they are
    meta       format, counters, how far the input was read

A commit writes the records to the outputs first, then states, offsets and counters in one transaction. At the start
the outputs are cut to the last committed offset. If an output is *shorter* than that (a power cut can lose what was
only handed to the system), the newest commits are undone until the offsets fit, and their requests are pending again.

Each batch is one statement that takes or gives one JSON array. Row by row, SQLite would let go of the interpreter's
lock at each row and wait up to 5 ms to get it back from a busy event loop: 500 rows then take a second instead of 2
ms.
"""

from __future__ import annotations

import base64
import contextlib
import os
import sqlite3
import struct
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from pathlib import Path
from typing import Any, Final, Literal

import orjson

from crawler.fanout.errors import StateDamaged, output_error, state_error
from crawler.fanout.frontier import SCAN, Added, Finished, Lease, Wanted
from crawler.fanout.host_table import HostRow, HostTable
from crawler.fanout.ids import fingerprint
from crawler.fanout.plan import Item, Output
from crawler.fanout.recrawl import DUE, KEEP, SCHEMA
from crawler.fanout.rewrite import Rewrite, put_in_place
from crawler.fanout.sinks import Sink, append_records, cut_back, marks_of, settle_all, stage_records
from crawler.fanout.sinks.part_table import PartTable, state_key
from crawler.fanout.sinks.parts import Part
from crawler.fanout.sinks.reading import Stored
from crawler.fanout.stats import OUTCOMES

APPLICATION_ID: Final = 0x43524C52  # "CRLR", so that `file` and we recognise the file
FORMAT: Final = 2
"""1: the first; 2: items may have a depth, a parent and more in `extra`, which an older version would lose."""

_STATES: Final = {outcome: number for number, outcome in enumerate(OUTCOMES, start=2)}  # 0 is pending

_SCHEMA: Final = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT};
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE requests (
    id INTEGER PRIMARY KEY,
    fp_high INTEGER NOT NULL,      -- the fingerprint as two numbers, as JSON has no bytes
    fp_low INTEGER NOT NULL,
    rank INTEGER NOT NULL,         -- minus the priority: small ones first
    state INTEGER NOT NULL DEFAULT 0,
    commit_id INTEGER,             -- the commit that settled it
    reading INTEGER NOT NULL,      -- the latest reading of the input that named it
    url TEXT NOT NULL,
    key TEXT,
    extra TEXT,                    -- whatever else an item has, as JSON
    UNIQUE (fp_high, fp_low)
);
CREATE INDEX pending ON requests (rank, id) WHERE state = 0;
CREATE TABLE commits (output TEXT, id INTEGER, offset INTEGER NOT NULL, rows INTEGER NOT NULL,
                      PRIMARY KEY (output, id)) WITHOUT ROWID;
CREATE TABLE names (name TEXT PRIMARY KEY, owner BLOB NOT NULL) WITHOUT ROWID;
"""

_INSERT: Final = """
INSERT INTO requests (fp_high, fp_low, rank, reading, url, key, extra)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'), ?1,
       json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]')
FROM json_each(?2) WHERE true
ON CONFLICT (fp_high, fp_low)
"""
_ADD: Final = f"{_INSERT} DO UPDATE SET reading = ?1 WHERE reading < ?1"
_ADD_FOUND: Final = f"{_INSERT} DO NOTHING"

_LEASE: Final = """
SELECT json_group_array(json_array(id, fp_high, fp_low, rank, url, key, extra)) FROM (
    SELECT id, fp_high, fp_low, rank, url, key, extra FROM requests
    WHERE state = 0 AND (rank, id) > (?, ?) ORDER BY rank, id LIMIT ?)
"""

_LATE: Final = "SELECT json_group_array(json_array(rank, id)) FROM requests WHERE id > ? AND rank < ?"

_LEASE_THESE: Final = """
SELECT json_group_array(json_array(id, fp_high, fp_low, rank, url, key, extra)) FROM (
    SELECT id, fp_high, fp_low, rank, url, key, extra FROM requests
    WHERE state = 0 AND id IN (SELECT value FROM json_each(?)) ORDER BY rank, id)
"""

_SETTLE: Final = """
UPDATE requests SET state = ?, commit_id = ? WHERE state = 0 AND id IN (SELECT value FROM json_each(?))
"""

_CHOSEN: Final = """
state > 0 AND id IN (
    SELECT requests.id FROM json_each(?1) JOIN requests
    ON fp_high = json_extract(value, '$[0]') AND fp_low = json_extract(value, '$[1]'))
"""
_COUNT_CHOSEN: Final = f"SELECT state, count(*) FROM requests WHERE {_CHOSEN} GROUP BY state"
_REOPEN: Final = f"UPDATE requests SET state = 0, commit_id = NULL WHERE {_CHOSEN}"

_START: Final = (-(2**62), 0)  # before every (rank, id)
_RANK: Final = 2**44  # a rank times this, plus a number: sorts by both


class DatabaseFrontier:
    """The requests of one job in a file.

    Args:
        path: The file; made if it does not exist.
        durability: `full` waits for the disk at each commit; `batch` leaves that to SQLite's checkpoints.

    Raises:
        StateDamaged: There is a file that is no state of ours, of a newer version, or broken.
        OutputError: It cannot be made.
    """

    def __init__(self, path: Path, durability: Literal["batch", "full"] = "batch") -> None:
        self._path = path
        self._is_durable = durability == "full"
        self._sinks: Sequence[Sink] = ()
        self._leased: set[int] = set()
        # All that was pending up to here, by rank and number, is leased or was passed over, but for the late ones.
        self._cursor: tuple[int, int] = _START
        self._late: list[int] = []  # a heap: what was added since and goes before the cursor, rank and number in one
        self.is_looked_through = False
        try:
            if not path.exists():
                _create(path)
            self._db = _connect(path, durability)
            self._part_table = PartTable(self._db, path, self._key)
            self._host_table = HostTable(self._db)
        except OSError as error:
            raise output_error(str(path), error) from error
        except sqlite3.Error as error:
            raise state_error(path, error) from error
        meta = self._meta()
        self._counts: dict[str, int] = orjson.loads(meta["counts"])
        self._input_id = meta["input_id"]
        self._input_rows: int = meta["input_rows"]
        self._is_input_done = bool(meta["input_done"])
        self._reading: int = meta["reading"]
        self._commit_id: int = meta["commit_id"]

    # -- beginning ----------------------------------------------------------------------------------------------------

    def open(self, sinks: Sequence[Sink]) -> None:
        """Bring list and outputs to the same state; see the module's text."""
        self.finish_rewrites()
        for sink in sinks:
            sink.begin(self._part_table, self._mark(sink.name))
        sizes = [self._check_size(sink) for sink in sinks]
        for sink in sinks:
            try:
                sink.open()
            except OSError as error:
                raise output_error(sink.name, error) from error
        self._sinks = sinks
        with self._transaction():
            for sink, size in zip(sinks, sizes, strict=True):
                self._db.execute("INSERT OR IGNORE INTO commits VALUES (?, 0, ?, 0)", (self._key(sink.name), size or 0))
            short = [
                (sink, size)
                for sink, size in zip(sinks, sizes, strict=True)
                if size is not None and size < self.committed(sink.name)[0]
            ]
            if short:
                self._undo_commits(short)
        for sink in sinks:
            try:
                sink.cut(*self.committed(sink.name))
            except OSError as error:
                raise output_error(sink.name, error) from error

    def _check_size(self, sink: Sink) -> int | None:
        size = sink.size()
        rows = self.committed(sink.name)[1]
        if size is None and rows and sink.name != "-":
            raise StateDamaged(
                f"{sink.name} is gone, but {self._path} counts {rows} records in it; "
                "put it back, or begin anew with --fresh"
            )
        return size

    def committed(self, output: str) -> tuple[int, int]:
        """Give up to which offset of an output records are vouched for, and how many."""
        return self._mark(output) or (0, 0)

    def _mark(self, output: str) -> tuple[int, int] | None:
        row: tuple[int, int] | None = self._db.execute(
            "SELECT offset, rows FROM commits WHERE output = ? ORDER BY id DESC LIMIT 1", (self._key(output),)
        ).fetchone()
        return row

    def _key(self, output: str) -> str:
        return state_key(output, self._path)

    def _undo_commits(self, short: Sequence[tuple[Sink, int]]) -> None:
        """Go back to the newest commit whose records are all there; what was settled since is pending again."""
        newest = self._commit_id
        for sink, size in short:
            row = self._db.execute(
                "SELECT max(id) FROM commits WHERE output = ? AND offset <= ?", (self._key(sink.name), size)
            ).fetchone()
            newest = min(newest, row[0] or 0)
        rows = self._db.execute(
            "SELECT state, count(*) FROM requests WHERE commit_id > ? GROUP BY state", (newest,)
        ).fetchall()
        for state, n in rows:
            self._count(OUTCOMES[state - 2], -n)
        self._db.execute("UPDATE requests SET state = 0, commit_id = NULL WHERE commit_id > ?", (newest,))
        self._db.execute("DELETE FROM commits WHERE id > ?", (newest,))
        self._save(counts=orjson.dumps(self._counts).decode())

    def counts(self) -> dict[str, int]:
        """Give the number of requests by outcome, and under `pending` those without one."""
        return dict(self._counts)

    def stored(self, output: Output) -> Stored:
        """Give an output as it is vouched for, for reading it back."""
        name = output.identity or output.remote or str(output.path)
        parts = self._part_table.parts(name) or [Part(0, str(output.path), 0, 0)]
        return Stored(output, parts, *self.committed(name))

    # -- trying again -------------------------------------------------------------------------------------------------

    def reopen(self, fingerprints: Collection[bytes], rewrites: Sequence[Rewrite]) -> int:
        """Make requests with an outcome pending again, whose records the copies of the outputs do not have.

        Args:
            fingerprints: Of the requests.
            rewrites: The copies, synced; they get their names here.

        Returns:
            How many requests are pending again.
        """
        pairs = _encode([struct.unpack(">qq", fp) for fp in fingerprints])
        counts = dict(self._counts)
        try:
            with self._transaction():
                rows = self._db.execute(_COUNT_CHOSEN, (pairs,)).fetchall()
                for state, n in rows:
                    self._count(OUTCOMES[state - 2], -n)
                self._db.execute(_REOPEN, (pairs,))
                for rewrite in rewrites:
                    self._db.execute("DELETE FROM commits WHERE output = ?", (self._key(rewrite.name),))
                    mark = (self._key(rewrite.name), self._commit_id + 1, rewrite.size, rewrite.rows)
                    self._db.execute("INSERT INTO commits VALUES (?, ?, ?, ?)", mark)
                    for part in rewrite.parts:
                        self._part_table.add(rewrite.name, part)
                due = _encode([self._key(path) for rewrite in rewrites for path in rewrite.paths])
                self._db.execute("INSERT OR REPLACE INTO meta VALUES ('rewrites', ?)", (due,))
                self._save(counts=_encode(self._counts), commit_id=self._commit_id + 1)
        except BaseException:
            self._counts = counts
            raise
        self._commit_id += 1
        self.finish_rewrites()
        return sum(n for _, n in rows)

    def finish_rewrites(self) -> None:
        """Give copies of outputs their names, if a process ended before it could."""
        due = self._meta().get("rewrites")
        if due is None:
            return
        if not self._is_durable:  # the renames must not outlive the transaction that says so
            with self._translated():
                self._db.execute("PRAGMA wal_checkpoint(FULL)")
        put_in_place([str(self._path.parent / key) for key in orjson.loads(due)])
        with self._transaction():
            self._db.execute("DELETE FROM meta WHERE name = 'rewrites'")

    def begin_round(self, due_before: float) -> int:
        """Make requests pending again, if nothing is: those whose page was not seen since, but for refused ones.

        Args:
            due_before: Seconds since 1970.

        Returns:
            How many.
        """
        counts = dict(self._counts)
        try:
            with self._transaction():
                self._db.execute(SCHEMA)
                if self._counts["pending"] or not self._is_input_done:
                    return 0
                query = f"SELECT state, count(*) FROM requests WHERE {DUE} GROUP BY state"
                rows = self._db.execute(query, (due_before,)).fetchall()
                for state, n in rows:
                    self._count(OUTCOMES[state - 2], -n)
                query = f"UPDATE requests SET state = 0, commit_id = NULL WHERE {DUE}"
                self._db.execute(query, (due_before,))
                self._save(counts=_encode(self._counts))
        except BaseException:
            self._counts = counts
            raise
        return sum(n for _, n in rows)

    # -- the input ----------------------------------------------------------------------------------------------------

    def begin_input(self, input_id: str | None) -> int | None:
        """Give how many rows of the input to skip; `None` if it was read to its end already."""
        if input_id is not None and input_id == self._input_id:
            return None if self._is_input_done else self._input_rows
        self._input_id, self._input_rows, self._is_input_done = input_id, 0, False
        self._reading += 1
        with self._transaction():
            self._save(input_id=input_id, input_rows=0, input_done=0, reading=self._reading)
        return 0

    def add(self, items: Sequence[Item]) -> Added:
        """Add a batch of input rows; each request is kept once."""
        rows = _encode([_row(item) for item in items])
        with self._transaction():
            before = self._last_id()
            changed = self._db.execute(_ADD, (self._reading, rows)).rowcount
            new = self._last_id() - before
            self._input_rows += len(items)
            self._counts["pending"] += new
            self._save(counts=orjson.dumps(self._counts).decode(), input_rows=self._input_rows)
        self._note_new(items, new, before)
        return Added(new, len(items) - changed)

    def _note_new(self, items: Sequence[Item], new: int, before: int) -> None:
        """See to it that `lease` looks at new requests, those with numbers above `before`."""
        if not new:
            return
        self.is_looked_through = False
        rank = self._cursor[0]
        if max(item.priority for item in items) > -rank:  # some go before what was looked at
            with self._translated():
                (rows,) = self._db.execute(_LATE, (before, rank)).fetchone()
            for late, number in orjson.loads(rows):
                heappush(self._late, late * _RANK + number)

    def end_input(self) -> None:
        """Note that the input was read to its end."""
        self._is_input_done = True
        with self._transaction():
            self._save(input_done=1)

    def _last_id(self) -> int:
        row = self._db.execute("SELECT max(id) FROM requests").fetchone()
        return row[0] or 0

    # -- leases and outcomes ------------------------------------------------------------------------------------------

    def lease(self, n: int, wanted: Wanted | None = None) -> list[Lease]:
        """Hand out up to `n` pending requests that are wanted, by priority, then in input order."""
        leases: list[Lease] = []
        looked = 0
        while len(leases) < n and looked < SCAN:
            found = self._look(n - len(leases))
            if not found:
                self.is_looked_through = True
                break
            looked += len(found)
            for columns in found:
                lease = _lease(columns)
                if wanted is None or wanted(lease):
                    self._leased.add(lease.id)
                    leases.append(lease)
        return leases

    def _look(self, n: int) -> list[list[Any]]:
        """Give the rows of the next `n` requests that were not looked at, and go past them."""
        if self._late:
            late = [heappop(self._late) % _RANK for _ in range(min(n, len(self._late)))]
            return self._rows(_LEASE_THESE, orjson.dumps(late).decode())
        found = self._rows(_LEASE, *self._cursor, n)
        if found:
            self._cursor = (found[-1][3], found[-1][0])
        return found

    def _rows(self, query: str, *values: object) -> list[list[Any]]:
        """Give what a query puts into one JSON array."""
        with self._translated():
            rows: list[list[Any]] = orjson.loads(self._db.execute(query, values).fetchone()[0])
        return rows

    def lease_these(self, numbers: Sequence[int]) -> list[Lease]:
        """Hand out requests that were passed over."""
        rows = self._rows(_LEASE_THESE, orjson.dumps(list(numbers)).decode())
        leases = [_lease(columns) for columns in rows if columns[0] not in self._leased]
        self._leased.update(lease.id for lease in leases)
        return leases

    def commit(self, finished: Sequence[Finished]) -> Added:
        """Write records to the outputs, store the outcomes and add what was found: all of it, or nothing."""
        marks, counts = marks_of(self._sinks), dict(self._counts)
        found = [item for one in finished for item in one.found]
        new = before = 0
        try:
            stage_records(self._sinks, finished)
            with self._transaction():
                self._write_records()
                for outcome in {one.outcome for one in finished}:
                    self._settle(outcome, [one.id for one in finished if one.outcome == outcome])
                if kept := [[one.id, *one.kept] for one in finished if one.kept is not None]:
                    self._db.execute(KEEP, (_encode(kept),))
                if found:
                    before = self._last_id()
                    new = self._db.execute(_ADD_FOUND, (self._reading, _encode([*map(_row, found)]))).rowcount
                    self._counts["pending"] += new
                self._save(counts=orjson.dumps(self._counts).decode(), commit_id=self._commit_id + 1)
        except BaseException:
            self._counts = counts
            cut_back(self._sinks, marks)
            raise
        self._commit_id += 1
        self._leased.difference_update(one.id for one in finished)
        self._note_new(found, new, before)
        if any(sink.has_left_part for sink in self._sinks):
            self._make_durable()
        settle_all(self._sinks)
        return Added(new, len(found) - new)

    def _make_durable(self) -> None:
        """Wait until everything committed is on the disk."""
        for sink in self._sinks:
            sink.sync()
        with self._translated():
            self._db.execute("PRAGMA wal_checkpoint(FULL)")

    def _write_records(self) -> None:
        append_records(self._sinks)
        for sink in self._sinks:
            if self._is_durable:
                sink.sync()
            mark = (self._key(sink.name), self._commit_id + 1, sink.offset, sink.rows)
            self._db.execute("INSERT INTO commits VALUES (?, ?, ?, ?)", mark)

    def _settle(self, outcome: str, ids: list[int]) -> None:
        values = (_STATES[outcome], self._commit_id + 1, orjson.dumps(ids).decode())
        settled = self._db.execute(_SETTLE, values).rowcount
        if settled != len(ids):
            raise StateDamaged(f"{self._path}: {len(ids) - settled} of {len(ids)} requests had an outcome already")
        self._count(outcome, settled)

    def _count(self, outcome: str, n: int) -> None:
        self._counts[outcome] += n
        self._counts["pending"] -= n

    def url_of(self, fp: bytes) -> str | None:
        """Give the URL of a request by its fingerprint."""
        with self._translated():
            query = "SELECT url FROM requests WHERE fp_high = ? AND fp_low = ?"
            row = self._db.execute(query, struct.unpack(">qq", fp)).fetchone()
        return None if row is None else str(row[0])

    def claim(self, name: str, owner: bytes) -> bool:
        """Reserve a file name for a request; whether it is that request's now."""
        with self._transaction():
            self._db.execute("INSERT OR IGNORE INTO names VALUES (?, ?)", (name, owner))
            row = self._db.execute("SELECT owner FROM names WHERE name = ?", (name,)).fetchone()
        return bool(row[0] == owner)

    def hosts(self) -> list[HostRow]:
        """Give what earlier runs knew of hosts, as far as it still counts."""
        with self._translated():
            return self._host_table.rows(time.time())

    def keep_hosts(self, rows: Sequence[HostRow]) -> None:
        """Keep what is known of hosts for later runs."""
        with self._transaction():
            self._host_table.keep(rows)

    def close(self) -> None:
        """Close the file; what is leased is pending again, as no lease was ever written."""
        for sink in self._sinks:
            sink.close()
        self._db.close()

    # -- SQLite -------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise state_error(self._path, error) from error

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException as error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                if isinstance(error, OSError):
                    raise output_error(str(self._path.parent), error) from error
                raise

    def note_maker(self, made_by: Mapping[str, str], *, is_forced: bool = False) -> list[str]:
        """Note which job the requests are made by; give the names of the parts in which the job before was another.

        Args:
            made_by: Digests of its parts, by name.
            is_forced: Note it also if there were requests of another job.
        """
        noted = self._meta().get("made_by")
        before: dict[str, str] = orjson.loads(noted) if noted else {}
        changed = [name for name, digest in made_by.items() if name in before and before[name] != digest]
        if changed and not is_forced and any(self._counts.values()):
            return changed
        with self._translated():
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('made_by', ?)", (_encode(dict(made_by)),))
        return []

    def _meta(self) -> dict[str, Any]:
        with self._translated():
            return dict(self._db.execute("SELECT name, value FROM meta").fetchall())

    def _save(self, **values: object) -> None:
        for name, value in values.items():
            self._db.execute("UPDATE meta SET value = ? WHERE name = ?", (value, name))


def _create(path: Path) -> None:
    """Make an empty state under another name, then rename: a state file is never seen half made."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    db = sqlite3.connect(new, isolation_level=None)
    try:
        db.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
        counts = orjson.dumps(dict.fromkeys(("pending", *OUTCOMES), 0)).decode()
        meta = {"counts": counts, "input_id": None, "input_rows": 0, "input_done": 0, "reading": 0, "commit_id": 0}
        db.executemany("INSERT INTO meta VALUES (?, ?)", list(meta.items()))
    finally:
        db.close()
    os.rename(new, path)


def _connect(path: Path, durability: str) -> sqlite3.Connection:
    if path.stat().st_size == 0:
        raise StateDamaged(f"{path} is empty, which no state of ours ever is; move it away to begin anew")
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    try:
        if _check(db, path) < FORMAT:  # what an older version wrote can be read as it is
            db.execute(f"PRAGMA user_version = {FORMAT}")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA synchronous = {'FULL' if durability == 'full' else 'NORMAL'}")
        db.execute("PRAGMA cache_size = -16384")
    except BaseException:
        db.close()
        raise
    return db


def _check(db: sqlite3.Connection, path: Path) -> int:
    """Make sure that a file can be trusted; gives its format."""
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise StateDamaged(f"{path} is no state of crawler; choose another state folder")
    if version > FORMAT:
        raise StateDamaged(f"{path} was written by a newer crawler (format {version}, this one reads {FORMAT}); update")
    (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise StateDamaged(f"{path} is damaged: {verdict}; restore a copy, or move it away to begin anew")
    return int(version)


# -- items as rows ----------------------------------------------------------------------------------------------------


def _row(item: Item) -> list[object]:
    high, low = struct.unpack(">qq", fingerprint(item))
    return [high, low, -item.priority, item.url, item.key, _extra(item)]


def _extra(item: Item) -> str | None:
    """Whatever an item has besides URL, key and priority, as JSON text; `None` for a plain GET."""
    extra: dict[str, object] = {}
    if item.method != "GET":
        extra["method"] = item.method
    if item.headers:
        extra["headers"] = item.headers
    if item.body is not None:
        extra["body"] = base64.b64encode(item.body).decode("ascii")
    if item.meta:
        extra["meta"] = item.meta
    if item.path is not None:
        extra["path"] = item.path
    if item.idempotent is not None:
        extra["idempotent"] = item.idempotent
    if item.checksums:
        extra["checksums"] = item.checksums
    if item.size is not None:
        extra["size"] = item.size
    if item.depth is not None:
        extra["depth"] = item.depth
    if item.parent is not None:
        extra["parent"] = item.parent
    if item.discovered_by is not None:
        extra["discovered_by"] = item.discovered_by
    if item.memo is not None:
        extra["memo"] = item.memo
    if item.page is not None:
        extra["page"] = item.page
    if item.refused is not None:
        extra["refused"] = item.refused
    return _encode(extra) if extra else None


def _item(url: str, key: str | None, rank: int, extra: str | None) -> Item:
    item = Item(url, key=key, priority=-rank)
    if extra is not None:
        given = orjson.loads(extra)
        item.method = given.get("method", "GET")
        item.headers = tuple((name, value) for name, value in given.get("headers", ()))
        item.body = base64.b64decode(given["body"]) if "body" in given else None
        item.meta = given.get("meta")
        item.path = given.get("path")
        item.idempotent = given.get("idempotent")
        item.checksums = tuple((name, digest) for name, digest in given.get("checksums", ()))
        item.size = given.get("size")
        item.depth = given.get("depth")
        item.parent = given.get("parent")
        item.discovered_by = given.get("discovered_by")
        item.memo = given.get("memo")
        item.page = given.get("page")
        item.refused = tuple(given["refused"]) if "refused" in given else None
    return item


def _lease(columns: list[Any]) -> Lease:
    number, high, low, rank, url, key, extra = columns
    return Lease(number, struct.pack(">qq", high, low), _item(url, key, rank, extra))


def _encode(value: object) -> str:
    """JSON text; what `orjson` refuses (integers beyond 64 bits, lone surrogates) takes the slow way."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        import json

        return json.dumps(value, ensure_ascii=False, default=str).encode("utf-8", "backslashreplace").decode()
