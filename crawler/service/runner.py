"""Runs what is queued: each run in a process of its own, at most so many at once.

    queued ──start──▶ process ──messages──▶ store, hub
                        │
                        └─ ends: what it said, and what was wanted of it, give the run's next state (`verdict`)

A process that says nothing for the length of its lease is killed. One that died without a word is queued once more;
the second time the run fails with `worker_lost`. Pausing is stopping in order: what is not fetched stays pending in the
run's own state, and another process goes on from there.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from crawler.service.birth import Nursery
from crawler.service.catalog import INLINE, Catalog
from crawler.service.errors import NotPossible
from crawler.service.hub import Hub
from crawler.service.process import Message, Process
from crawler.service.settings import Settings
from crawler.service.states import ENDED, State
from crawler.service.store import RunRow, Store
from crawler.service.worker import LOCKED, Order

JOB_FILE: Final = "job.yaml"
SAVE_S: Final = 5.0
"""How often the progress of a run is written down; also the heartbeat of its lease."""
AGAIN_S: Final = 0.5
"""Until a run whose folder is still held by a process of an earlier service is tried again."""
KILL_AFTER_S: Final = 4.0
"""What a process that was told to stop gets beyond the grace of its requests."""

_log: Final = logging.getLogger("crawler.service.runner")


@dataclass(slots=True)
class _Live:
    """A run with its process. Not frozen: it goes on.

    Attributes:
        row: As it was when it started.
        began: By the loop's clock.
        wanted: `paused` or `stopped`, if it was asked for.
        reason: Why, for people.
    """

    row: RunRow
    began: float
    process: Process | None = None
    wanted: str = ""
    reason: str = ""
    saved: float = 0.0
    killer: asyncio.TimerHandle | None = None
    timer: asyncio.TimerHandle | None = None


class Runner:
    """The processes of the service.

    Args:
        settings, store, hub, catalog: The service's.
        on_end: Called with each run that has come to an end.
        wall: Seconds since the epoch.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        hub: Hub,
        catalog: Catalog,
        on_end: Callable[[RunRow], None],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._store = store
        self._hub = hub
        self._catalog = catalog
        self._on_end = on_end
        self._wall = wall
        self._live: dict[str, _Live] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._not_before: dict[str, float] = {}
        self._news = asyncio.Event()
        self._nursery = Nursery()
        self.is_draining = False

    @property
    def live(self) -> dict[str, dict[str, Any]]:
        """Runs that have a process, with how they stand."""
        return {run_id: live.row.progress for run_id, live in self._live.items()}

    # -- from outside -------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """There may be something to start."""
        self._news.set()

    async def run(self) -> None:
        """Start what is queued, until cancelled."""
        await self._nursery.open()  # its imports are done before the first run is due
        while True:
            if not self.is_draining:
                self._start_queued()
            self._news.clear()
            self._check_leases()
            try:
                async with asyncio.timeout(AGAIN_S):
                    await self._news.wait()
            except TimeoutError:
                pass

    def pause(self, run_id: str) -> RunRow:
        """Stop a run so that it can go on.

        Raises:
            NoSuchRun: There is none.
            NotPossible: It is over, or a benchmark.
        """
        run = self._store.run(run_id)
        if run.state is State.QUEUED and run_id not in self._live:
            return self._moved(run_id, State.PAUSED)
        live = self._live.get(run_id)
        job = self._catalog.job(run.job)
        if live is None or (job is not None and job.kind == "bench" and run.origin != INLINE):
            raise NotPossible(f"run {run_id} is {run.state} and cannot be paused")
        self._ask(live, State.PAUSED, "paused")
        return self._store.run(run_id)

    def resume(self, run_id: str) -> RunRow:
        """Let a paused run go on; as `pause`."""
        run = self._store.run(run_id)
        if run.state is not State.PAUSED:
            raise NotPossible(f"run {run_id} is {run.state}; only a paused run can go on")
        row = self._moved(run_id, State.QUEUED, reason="", start_by=None)
        self.wake()
        return row

    def cancel(self, run_id: str, reason: str = "cancelled") -> RunRow:
        """End a run for good; what it has fetched stays. As `pause`."""
        run = self._store.run(run_id)
        live = self._live.get(run_id)
        if live is not None:
            self._ask(live, State.STOPPED, reason)
            return self._store.run(run_id)
        if run.state in ENDED:
            raise NotPossible(f"run {run_id} is {run.state} already")
        return self._over(run_id, State.STOPPED, reason=reason)

    async def drain(self, seconds: float) -> None:
        """Stop every process gracefully, when the time is up by force; their runs go on with the next service."""
        self.is_draining = True
        for live in self._live.values():
            if live.process is not None:
                live.process.stop()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        for live in self._live.values():
            if live.process is not None:
                live.process.kill()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2.0)
        await self._nursery.close()

    # -- starting -----------------------------------------------------------------------------------------------------

    def _start_queued(self) -> None:
        room = self._settings.max_runs - len(self._live)
        if room <= 0:
            return
        now, clock = self._wall(), asyncio.get_running_loop().time()
        busy = {live.row.job for live in self._live.values()}
        for run in sorted(self._store.runs(states=(State.QUEUED,), limit=-1), key=lambda run: run.id):
            if room <= 0:
                return
            if run.id in self._live or self._not_before.get(run.id, 0.0) > clock or self._is_missed(run, now):
                continue
            if run.origin != INLINE:
                job = self._catalog.job(run.job)
                if job is None:
                    entry = self._catalog.entries.get(run.job)
                    self._fail(
                        run, "its job file is gone" if entry is None else f"its job file is broken: {entry.error}"
                    )
                    continue
                if run.job in busy and (job.schedule is None or job.schedule.overlap != "allow"):
                    continue
            busy.add(run.job)
            room -= 1
            self._start(run)

    def _is_missed(self, run: RunRow, now: float) -> bool:
        if run.start_by is None or run.started is not None or now <= run.start_by:
            return False
        self._over(run.id, State.MISSED, reason="it could not begin before its start_deadline")
        return True

    def _fail(self, run: RunRow, message: str) -> None:
        self._over(run.id, State.FAILED, exit_code=2, message=message[:4000])

    def _start(self, run: RunRow) -> None:
        """Commit that it runs, then make its process: a kill in between leaves a run that is taken over."""
        now = self._wall()
        row = self._moved(run.id, State.RUNNING, lease=now + self._settings.lease)
        live = self._live[run.id] = _Live(row, asyncio.get_running_loop().time())
        task = asyncio.create_task(self._attend(live), name=f"run {run.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _attend(self, live: _Live) -> None:
        """One process from its start to the state after its end."""
        loop, row = asyncio.get_running_loop(), live.row
        code = 7
        try:
            live.process = await Process.start(
                self._order(row), self._nursery, lambda message: self._heard(live, message)
            )
            if live.wanted or self.is_draining:
                live.process.stop()
            self._set_timer(live)
            code = await live.process.wait()
        except OSError as error:
            _log.error("run %s cannot be started: %s", row.id, error)
            live.reason = f"no process could be started: {error.strerror or error}"
        finally:
            for timer in (live.killer, live.timer):
                if timer is not None:
                    timer.cancel()
            del self._live[row.id]
            self._settle(live, code, loop.time() - live.began)
            self.wake()

    def _order(self, run: RunRow) -> Order:
        folder = self._settings.folder(run.job, run.id)
        is_inline = run.origin == INLINE
        path = folder / JOB_FILE if is_inline else self._catalog.entries[run.job].path
        return Order(
            run_id=run.id,
            job=str(path),
            folder=str(folder),
            inline=is_inline,
            begun=run.started or self._wall(),
            allow=self._settings.allow,
            grace=self._settings.grace,
        )

    def _set_timer(self, live: _Live) -> None:
        """`schedule.timeout` counts the time in which the run had a process."""
        job = self._catalog.job(live.row.job) if live.row.origin != INLINE else None
        timeout = job.schedule.timeout if job is not None and job.schedule is not None else None
        if timeout is not None:
            live.timer = asyncio.get_running_loop().call_later(
                max(timeout - live.row.ran, 0.0), self._ask, live, State.STOPPED, "schedule.timeout is over"
            )

    # -- while it goes ------------------------------------------------------------------------------------------------

    def _heard(self, live: _Live, message: Message) -> None:
        run_id = live.row.id
        if message["kind"] == "started":
            self._store.update(run_id, outputs=message["outputs"])
        if (progress := message.get("progress")) is None:
            return
        live.row.progress.clear()
        live.row.progress.update(progress)
        self._hub.publish(run_id, "progress", {"job": live.row.job, "state": "running", "progress": progress})
        clock = asyncio.get_running_loop().time()
        if clock - live.saved >= SAVE_S:
            live.saved = clock
            self._store.update(run_id, progress=progress, lease=self._wall() + self._settings.lease)

    def _check_leases(self) -> None:
        clock = asyncio.get_running_loop().time()
        for live in self._live.values():
            if live.process is not None and clock - live.process.heard > self._settings.lease:
                _log.error("run %s gave no sign of life for %g s", live.row.id, self._settings.lease)
                live.process.heard = clock
                live.process.kill()

    def _ask(self, live: _Live, state: State, reason: str) -> None:
        """Note what is wanted, durably, then ask for it; a process that does not listen is killed."""
        if live.wanted == State.STOPPED:
            return
        live.wanted, live.reason = str(state), reason
        self._store.update(live.row.id, wanted=str(state), reason=reason)
        self._hub.publish(live.row.id, "state", {"job": live.row.job, "state": "running", "wanted": str(state)})
        if live.process is not None:
            live.process.stop()
            wait = self._settings.grace + KILL_AFTER_S
            if live.killer is None:
                live.killer = asyncio.get_running_loop().call_later(wait, live.process.kill)

    # -- the end ------------------------------------------------------------------------------------------------------

    def _settle(self, live: _Live, code: int, seconds: float) -> None:
        """Give the run its next state."""
        said = None if live.process is None else live.process.last
        state, values = verdict(live.row, said, code, live.wanted, is_draining=self.is_draining)
        if live.reason:
            values.setdefault("reason", live.reason)
        if said is not None and said.get("exit_code") == LOCKED:
            self._not_before[live.row.id] = asyncio.get_running_loop().time() + AGAIN_S
        else:
            self._not_before.pop(live.row.id, None)
        try:
            self._over(live.row.id, state, ran=live.row.ran + seconds, **values)
        except NotPossible:  # cannot be, but a bug here must not end the service
            _log.exception("run %s could not become %s", live.row.id, state)

    def _over(self, run_id: str, state: State, **values: object) -> RunRow:
        """Bring a run to its next state; if it ends there, what follows from it is committed with it."""
        with self._store.transaction():
            row = self._moved(run_id, state, **values)
            if row.state in ENDED:
                self._on_end(row)
        return row

    def _moved(self, run_id: str, state: State, **values: object) -> RunRow:
        row = self._store.move(run_id, state, self._wall(), **values)
        event = "end" if row.state in ENDED else "state"
        self._hub.publish(run_id, event, {"job": row.job, "state": str(row.state), "reason": row.reason})
        _log.info(
            "run %s of %s is %s", run_id, row.job, row.state, extra={"fields": {"run": run_id, "state": str(row.state)}}
        )
        return row


def verdict(
    run: RunRow, said: Message | None, code: int, wanted: str, *, is_draining: bool
) -> tuple[State, dict[str, object]]:
    """Say which state follows the end of a process, and which columns change with it.

    Args:
        run: As it started.
        said: Its last words; None if it died without any.
        code: Its exit code, negative for a signal.
        wanted: `paused` or `stopped`, if it was asked for.
        is_draining: The service is being stopped, and stopped it.
    """
    if said is None:
        if wanted:
            return State(wanted), {}
        if is_draining:
            return State.INTERRUPTED, {}
        if run.losses < 1:
            return State.QUEUED, {"losses": run.losses + 1, "reason": f"its process was lost ({_death(code)})"}
        message = f"worker_lost: its process was lost twice ({_death(code)}); see the log of the run"
        return State.FAILED, {"exit_code": 7, "message": message}
    exit_code = said["exit_code"]
    if said["kind"] == "refused":
        if exit_code == LOCKED and not wanted:
            return State.QUEUED, {"reason": "waits for the process of an earlier service to end"}
        return (State(wanted) if wanted else State.FAILED), {"exit_code": exit_code, "message": said["message"]}
    values = {name: said[name] for name in ("exit_code", "message", "progress", "size")}
    if said["state"] == "finished":
        return State.FINISHED, {**values, "content": said["content"]}
    if wanted:
        return State(wanted), values
    if is_draining:
        return State.INTERRUPTED, values
    if said["state"] == "failed":
        return State.FAILED, values
    return State.STOPPED, {**values, "reason": "a limit of the job ended it" if exit_code == 3 else ""}


def _death(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
