"""Runs, slots and the audit log, durable: every method is one transaction, and returns when it is committed.

Blocking, but short (tens of microseconds): called from the event loop. Time comes in as `now`, seconds since the epoch.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from crawler.fanout.ids import new_run_id
from crawler.service.errors import NoSuchRun, NotPossible
from crawler.service.states import ACTIVE, ENDED, FOLLOWERS, State
from crawler.service.store_file import open_store

KEPT_SLOTS: Final = 1000
"""Decided slots remembered per job; older ones lie far behind `since` anyway."""
KEPT_AUDIT: Final = 100_000
"""Lines of the audit log that are kept."""


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run as the store knows it; see `store_file` for the columns."""

    id: str
    job: str
    origin: str
    state: State
    reason: str
    slot: int | None
    start_by: float | None
    created: float
    started: float | None
    ended: float | None
    ran: float
    losses: int
    resumes: int
    lease: float | None
    wanted: str
    exit_code: int | None
    message: str
    progress: dict[str, Any]
    outputs: tuple[dict[str, Any], ...]
    content: str | None
    size: int


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to be.

    Attributes:
        job: Whose.
        origin: `schedule`, `api` or `inline`.
        slot: The instant of the schedule.
        start_by: If it has not begun by then, it is missed.
        state: `queued`; or `skipped` or `missed`, with the reason.
        reason: Why not.
        request_key: Name the caller gave the request; a second request of that name gets the run of the first.
    """

    job: str
    origin: str = "schedule"
    slot: int | None = None
    start_by: float | None = None
    state: State = State.QUEUED
    reason: str = ""
    request_key: str | None = None


_COLUMNS: Final = (
    "id, job, origin, state, reason, slot, start_by, created, started, ended, ran, losses, resumes, lease, wanted, "
    "exit_code, message, progress, outputs, content, size"
)


class Store:
    """The service's database.

    Args:
        path: The file; made if it does not exist.

    Raises:
        StoreDamaged: There is a file that is none of ours, of a newer version, or broken.
    """

    def __init__(self, path: Path) -> None:
        self._db = open_store(path)
        self._depth = 0

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Make everything inside one transaction: all of it, or nothing."""
        if self._depth:
            yield
            return
        self._db.execute("BEGIN IMMEDIATE")
        self._depth += 1
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        else:
            self._db.execute("COMMIT")
        finally:
            self._depth -= 1

    # -- schedules ----------------------------------------------------------------------------------------------------

    def note_job(self, name: str, digest: str, now: float) -> float:
        """Note that a job's file is good, and give the instant up to which its slots are decided.

        A new job, and one whose schedule changed, begins now: what would have been before is no slot of it.
        """
        with self.transaction():
            row = self._db.execute("SELECT digest, since FROM jobs WHERE name = ?", (name,)).fetchone()
            since = float(row["since"]) if row is not None and row["digest"] == digest else now
            self._db.execute("INSERT OR REPLACE INTO jobs VALUES (?, ?, ?, ?)", (name, digest, since, now))
        return since

    def decide(self, job: str, since: float, runs: Sequence[NewRun], now: float) -> list[RunRow]:
        """Commit what was decided about slots of a schedule: the new runs, and that all up to `since` is decided.

        A slot that was decided before (the clock was set back) gives no run.
        """
        made: list[RunRow] = []
        with self.transaction():
            for run in runs:
                if run.slot is not None and not self._claim(job, run.slot):
                    continue
                made.append(self._insert(run, now))
            self._db.execute("UPDATE jobs SET since = ? WHERE name = ?", (since, job))
            self._db.execute(
                "DELETE FROM slots WHERE job = ?1 AND at <= "
                "(SELECT at FROM slots WHERE job = ?1 ORDER BY at DESC LIMIT 1 OFFSET ?2)",
                (job, KEPT_SLOTS),
            )
        return made

    def _claim(self, job: str, slot: int) -> bool:
        cursor = self._db.execute("INSERT OR IGNORE INTO slots VALUES (?, ?, '')", (job, slot))
        return cursor.rowcount > 0

    # -- runs ---------------------------------------------------------------------------------------------------------

    def add(self, run: NewRun, now: float, run_id: str | None = None) -> RunRow:
        """Add one run; with a `request_key` that was used before, give the run it was used for."""
        with self.transaction():
            if run.request_key is not None and (known := self.by_key(run.request_key)) is not None:
                return known
            return self._insert(run, now, run_id)

    def _insert(self, run: NewRun, now: float, run_id: str | None = None) -> RunRow:
        run_id = run_id or new_run_id(now)
        ended = now if run.state in ENDED else None
        self._db.execute(
            "INSERT INTO runs (id, job, origin, state, reason, slot, start_by, created, ended, request_key)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                run_id,
                run.job,
                run.origin,
                run.state,
                run.reason,
                run.slot,
                run.start_by,
                now,
                ended,
                run.request_key,
            ),
        )
        return self.run(run_id)

    def run(self, run_id: str) -> RunRow:
        """One run.

        Raises:
            NoSuchRun: There is none of that id.
        """
        row = self._db.execute(f"SELECT {_COLUMNS} FROM runs WHERE id = ?", (run_id,)).fetchone()
        if row is None:
            raise NoSuchRun(f"there is no run {run_id[:40]!r}")
        return _row(row)

    def by_key(self, key: str) -> RunRow | None:
        """The run that a request of that name made, if there was one."""
        row = self._db.execute(f"SELECT {_COLUMNS} FROM runs WHERE request_key = ?", (key,)).fetchone()
        return None if row is None else _row(row)

    def runs(
        self, *, job: str | None = None, states: Iterable[State] = (), before: str | None = None, limit: int = 50
    ) -> list[RunRow]:
        """Runs, the newest first.

        Args:
            job: Of this job only.
            states: In one of these only.
            before: Older than the run of this id, for the next page.
            limit: So many at most.
        """
        wanted = [str(state) for state in states]
        where, values = ["true"], list[object]()
        if job is not None:
            where.append("job = ?")
            values.append(job)
        if wanted:
            where.append(f"state IN ({', '.join('?' * len(wanted))})")
            values += wanted
        if before is not None:
            where.append("id < ?")
            values.append(before)
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM runs WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ?", (*values, limit)
        )
        return [_row(row) for row in rows]

    def active(self, job: str | None = None) -> list[RunRow]:
        """Runs that are not over, the oldest first."""
        states = sorted(ACTIVE)
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM runs WHERE state IN (?, ?, ?, ?) AND (?5 IS NULL OR job = ?5) ORDER BY id",
            (*states, job),
        )
        return [_row(row) for row in rows]

    def job_names(self) -> set[str]:
        """Names of all jobs that have runs."""
        return {row["job"] for row in self._db.execute("SELECT DISTINCT job FROM runs")}

    def counts(self) -> dict[str, int]:
        """How many runs are in each state."""
        counts = dict.fromkeys(map(str, State), 0)
        for row in self._db.execute("SELECT state, count(*) AS n FROM runs GROUP BY state"):
            counts[row["state"]] = row["n"]
        return counts

    def move(self, run_id: str, state: State, now: float, **values: object) -> RunRow:
        """Bring a run into another state.

        Args:
            run_id: Which.
            state: Where to.
            now: Becomes `started` or `ended` where the state says so.
            values: Further columns to set.

        Raises:
            NotPossible: The state cannot follow the one the run is in.
        """
        with self.transaction():
            run = self.run(run_id)
            if state not in FOLLOWERS[run.state]:
                raise NotPossible(f"run {run_id} is {run.state}, and cannot become {state}")
            columns: dict[str, object] = {"state": str(state), "lease": None, **values}
            if state is State.RUNNING and run.started is None:
                columns["started"] = now
            if state in ENDED:
                columns["ended"] = now
            if state is not State.RUNNING:
                columns.setdefault("wanted", "")
            self._set(run_id, columns)
            return self.run(run_id)

    def update(self, run_id: str, **values: object) -> None:
        """Set columns of a run that say nothing about its state."""
        with self.transaction():
            self._set(run_id, values)

    def _set(self, run_id: str, columns: dict[str, object]) -> None:
        values = [
            orjson.dumps(value).decode() if isinstance(value, dict | list | tuple) else value
            for value in columns.values()
        ]
        # The names come from our own calls, never from outside.
        assignments = ", ".join(f"{name} = ?" for name in columns)
        self._db.execute(f"UPDATE runs SET {assignments} WHERE id = ?", (*values, run_id))

    def take_over(self, now: float) -> list[RunRow]:
        """Put back into the queue what an earlier service was running or had interrupted; for the start.

        The lock of the state folder is held, so that service is gone, and a lease of it says nothing any more.
        """
        with self.transaction():
            orphans = self.runs(states=(State.RUNNING, State.INTERRUPTED), limit=-1)
            return [
                self.move(run.id, State.QUEUED, now, resumes=run.resumes + 1, reason="goes on after a restart")
                if not run.wanted
                else self.move(run.id, State(run.wanted), now)
                for run in reversed(orphans)
            ]

    def remove(self, run_id: str) -> None:
        """Forget a run; its folder is the caller's to remove."""
        with self.transaction():
            self._db.execute("DELETE FROM runs WHERE id = ?", (run_id,))

    # -- messages -----------------------------------------------------------------------------------------------------

    def add_notice(self, run: RunRow, channel: int, body: dict[str, Any], now: float) -> None:
        """Note that a message is to be sent."""
        with self.transaction():
            self._db.execute(
                "INSERT INTO notices (run, job, channel, body, due) VALUES (?, ?, ?, ?, ?)",
                (run.id, run.job, channel, orjson.dumps(body).decode(), now),
            )

    def due_notices(self, now: float, limit: int = 20) -> list[dict[str, Any]]:
        """Messages to be sent now: id, run, job, channel, body, tries."""
        rows = self._db.execute("SELECT * FROM notices WHERE due <= ? ORDER BY due LIMIT ?", (now, limit))
        return [{**dict(row), "body": orjson.loads(row["body"])} for row in rows]

    def settle_notice(self, notice: int, again_at: float | None) -> None:
        """A message was sent, or given up (`None`); or is to be tried again."""
        with self.transaction():
            if again_at is None:
                self._db.execute("DELETE FROM notices WHERE id = ?", (notice,))
            else:
                self._db.execute("UPDATE notices SET tries = tries + 1, due = ? WHERE id = ?", (again_at, notice))

    # -- audit --------------------------------------------------------------------------------------------------------

    def note(self, actor: str, action: str, target: str, now: float, detail: str = "") -> None:
        """Write a line of the audit log."""
        with self.transaction():
            cursor = self._db.execute(
                "INSERT INTO audit (at, actor, action, target, detail) VALUES (?, ?, ?, ?, ?)",
                (now, actor, action, target[:200], detail[:500]),
            )
            self._db.execute("DELETE FROM audit WHERE id <= ?", ((cursor.lastrowid or 0) - KEPT_AUDIT,))

    def audit(self, limit: int = 100) -> list[dict[str, Any]]:
        """The latest lines of the audit log, the newest first."""
        return [dict(row) for row in self._db.execute("SELECT * FROM audit ORDER BY id DESC LIMIT ?", (limit,))]


def _row(row: sqlite3.Row) -> RunRow:
    values = dict(row)
    values["state"] = State(values["state"])
    values["progress"] = orjson.loads(values["progress"])
    values["outputs"] = tuple(orjson.loads(values["outputs"]))
    return RunRow(**values)
