"""The one SQLite file of the service: its tables, and how it is opened.

    jobs      every job file seen: its schedule, how far that was decided, what is wrong with it
    slots     every slot of a schedule that was decided, whatever the decision: none is ever decided twice
    runs      every run and where it stands; what it fetched lies in its folder
    notices   messages that are still to be sent
    audit     who changed what

Written in WAL mode by one process, which holds the lock of the state folder. `synchronous = NORMAL` survives any death
of the process; a power cut may take the last transactions, never the file.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from crawler.service.errors import StoreDamaged

APPLICATION_ID: Final = 0x43525356  # "CRSV", so that `file` and we recognise the file
FORMAT: Final = 1

_SCHEMA: Final = f"""
BEGIN;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT};
CREATE TABLE jobs (
    name TEXT PRIMARY KEY,
    digest TEXT NOT NULL,          -- of the schedule: another one begins to count anew
    since REAL NOT NULL,           -- slots up to here are decided
    seen REAL NOT NULL             -- when the file was last good
) WITHOUT ROWID;
CREATE TABLE slots (job TEXT, at INTEGER, run TEXT, PRIMARY KEY (job, at)) WITHOUT ROWID;
CREATE TABLE runs (
    id TEXT PRIMARY KEY,           -- ULID: sorts by time
    job TEXT NOT NULL,
    origin TEXT NOT NULL,          -- schedule, api, inline
    state TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    slot INTEGER,                  -- the instant of the schedule it is for
    start_by REAL,                 -- if it has not begun by then, it is missed
    created REAL NOT NULL,
    started REAL,
    ended REAL,
    ran REAL NOT NULL DEFAULT 0,   -- seconds in which it had a process
    losses INTEGER NOT NULL DEFAULT 0,
    resumes INTEGER NOT NULL DEFAULT 0,
    lease REAL,                    -- its process has until then to give a sign of life
    wanted TEXT NOT NULL DEFAULT '',  -- paused or stopped: asked for, not yet so
    exit_code INTEGER,
    message TEXT NOT NULL DEFAULT '',
    progress TEXT NOT NULL DEFAULT '{{}}',
    outputs TEXT NOT NULL DEFAULT '[]',
    content TEXT,                  -- digest over the bodies it found
    size INTEGER NOT NULL DEFAULT 0,
    request_key TEXT UNIQUE        -- Idempotency-Key of the request that made it
) WITHOUT ROWID;
CREATE INDEX runs_of_job ON runs (job, id);
CREATE INDEX runs_by_state ON runs (state, id);
CREATE TABLE notices (
    id INTEGER PRIMARY KEY,
    run TEXT NOT NULL,
    job TEXT NOT NULL,
    channel INTEGER NOT NULL,      -- index into the job's `notify`
    body TEXT NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    due REAL NOT NULL
);
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    detail TEXT NOT NULL DEFAULT ''
);
COMMIT;
"""


def open_store(path: Path) -> sqlite3.Connection:
    """Open the file, or make it; may be used from any thread, one at a time.

    Raises:
        StoreDamaged: It is no file of ours, of a newer version, or broken.
        OSError: The folder cannot be written.
    """
    is_new = not path.exists()
    if is_new:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    try:
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        if is_new or path.stat().st_size == 0:  # killed between making the file and its tables
            db.executescript(_SCHEMA)
        _check(db, path)
    except sqlite3.Error as error:
        raise StoreDamaged(path, str(error)) from error
    return db


def _check(db: sqlite3.Connection, path: Path) -> None:
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        db.executescript(_SCHEMA)  # an empty database: killed before its tables were committed
        return
    if application != APPLICATION_ID:
        raise StoreDamaged(path, "it is no database of this service")
    if version > FORMAT:
        raise StoreDamaged(path, f"it is of version {version}, and this crawler reads up to {FORMAT}; take a newer one")
    (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise StoreDamaged(path, str(verdict))
