"""The service as a whole: its parts, put together; what the API and the pages ask it for.

  ┌───────────── scheduler ◀── catalog ◀── job folder
  ▼
store ◀──▶ runner ──▶ processes            api, pages ──▶ Service ──▶ store, runner
  │          └─▶ hub ──▶ listeners
  └─▶ after: retention, messages
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import Awaitable, Callable
from typing import Final

from crawler.fanout.ids import new_run_id
from crawler.fanout.lock import StateLock
from crawler.service.after import After
from crawler.service.catalog import INLINE, Catalog, Entry
from crawler.service.errors import NoSuchJob, NotPossible, TooMany
from crawler.service.hub import Hub
from crawler.service.inline import check_inline, write_inline
from crawler.service.metrics import Metrics
from crawler.service.overlap import Leave, admit
from crawler.service.runner import JOB_FILE, Runner
from crawler.service.scheduler import Scheduler
from crawler.service.settings import Settings
from crawler.service.states import State
from crawler.service.store import NewRun, RunRow, Store

LOCK_FILE: Final = "lock"

_log: Final = logging.getLogger("crawler.service")


class Service:
    """Everything but the network side.

    Args:
        settings: As told.
        wall: Seconds since the epoch.

    Attributes:
        store, catalog, hub, runner, scheduler, metrics: Its parts.
        is_ready: It takes requests: started, and not being stopped.

    Raises:
        StateLocked: Another service holds the state folder.
        StoreDamaged: Its database cannot be trusted.
        OutputError: The state folder cannot be written.
    """

    def __init__(self, settings: Settings, wall: Callable[[], float] = time.time) -> None:
        settings.state.mkdir(parents=True, exist_ok=True)
        self.settings = settings
        self.wall = wall
        self._lock = StateLock(settings.state / LOCK_FILE)
        try:
            self.store = Store(settings.database)
        except BaseException:
            self._lock.release()
            raise
        self.catalog = Catalog(settings.jobs, anonymous=settings.anonymous)
        self.hub = Hub()
        self.metrics = Metrics()
        self.after = After(settings, self.store, self.catalog, wall)
        self.runner = Runner(settings, self.store, self.hub, self.catalog, self._ended, wall)
        self.scheduler = Scheduler(settings, self.store, self.catalog, self.runner, on_skip=self._ended, wall=wall)
        self.is_ready = False
        self._tasks: list[asyncio.Task[None]] = []

    # -- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take over what an earlier service left, read the job folder, and begin."""
        taken = self.store.take_over(self.wall())
        for run in taken:
            _log.info("run %s of %s is taken over: %s", run.id, run.job, run.state)
        self.scheduler.take(await asyncio.to_thread(self.catalog.look))
        for name, work in (("runner", self.runner.run), ("scheduler", self.scheduler.run), ("after", self.after.run)):
            self._tasks.append(asyncio.create_task(self._guarded(name, work), name=name))
        self.is_ready = True

    async def _guarded(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Keep a part of the service going: a bug in it is logged, and the part begins again a second later."""
        while True:
            try:
                await work()
            except Exception:
                _log.exception("the %s failed and begins again", name)
                await asyncio.sleep(1.0)

    async def stop(self) -> None:
        """Drain within `settings.drain` seconds; runs that did not end go on with the next service."""
        self.is_ready = False
        await self.runner.drain(self.settings.drain)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.hub.close()
        self.store.close()
        self._lock.release()

    def _ended(self, run: RunRow) -> None:
        try:
            self.metrics.count_run(run)
            self.after.take(run)
        except Exception:  # whatever is wrong with telling of it, the run has ended
            _log.exception("what follows the end of run %s failed", run.id)

    # -- what is asked of it ------------------------------------------------------------------------------------------

    def entry(self, name: str) -> Entry:
        """A job, broken or whole.

        Raises:
            NoSuchJob: There is none of that name.
        """
        entry = self.catalog.entries.get(name)
        if entry is None:
            raise NoSuchJob(f"there is no job {name[:80]!r}")
        return entry

    def submit(self, name: str, key: str | None = None) -> RunRow:
        """Queue a run of a job now; when this returns, it is durable.

        Args:
            name: The job's.
            key: Names the request: asked again with the same one, it is the same run.

        Raises:
            NoSuchJob: There is none.
            NotPossible: Its file is broken, or `overlap` leaves the run out.
            TooMany: Too many runs wait.
        """
        entry = self.entry(name)
        if entry.job is None:
            raise NotPossible(f"the job file is broken: {entry.error}")
        self._check_room()
        overlap = "skip" if entry.job.schedule is None else entry.job.schedule.overlap
        with self.store.transaction():
            if key is not None and (known := self.store.by_key(key)) is not None:
                return known
            decision = admit(overlap, self.store.active(name))
            if isinstance(decision, Leave):
                raise NotPossible(f"{decision.reason} ({decision.because}), and the job's overlap is {overlap}")
            run = self.store.add(NewRun(name, "api", request_key=key), self.wall())
        for other in decision.stop:
            with contextlib.suppress(NotPossible):
                self.runner.cancel(other, "a newer run takes its place")
        self.runner.wake()
        return run

    async def submit_inline(self, job: object, key: str | None = None) -> RunRow:
        """Queue a run of a job that came with the request.

        Raises:
            InlineRefused, JobError: The job is not one that may be run, or no job at all.
            TooMany: Too many runs wait.
        """
        checked = check_inline(job)
        self._check_room()
        if key is not None and (known := self.store.by_key(key)) is not None:
            return known
        run_id = new_run_id(self.wall())
        folder = self.settings.folder(INLINE, run_id)
        try:
            await asyncio.to_thread(write_inline, checked, folder / JOB_FILE)
            run = self.store.add(NewRun(INLINE, INLINE, request_key=key), self.wall(), run_id)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        if run.id != run_id:  # the same request came twice at once, and the other one was first
            shutil.rmtree(folder, ignore_errors=True)
        self.runner.wake()
        return run

    def _check_room(self) -> None:
        if not self.is_ready:
            raise TooMany("the service is being stopped")
        if self.store.counts()[State.QUEUED] >= self.settings.max_queued:
            raise TooMany(f"{self.settings.max_queued} runs wait already")
