"""The clock of the service: looks at the job folder, decides what is due, queues it.

    folder ──look──▶ catalog ──▶ heap of (next start, job) ──due──▶ judge (when), admit (overlap) ──▶ store

The wall clock is read twice a second; when it does not go with the monotonic one (it was set, or the machine slept),
every schedule is judged anew from what the store says is decided.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from crawler.jobs.service_schema import Schedule
from crawler.service.catalog import Catalog, Changes
from crawler.service.overlap import Leave, admit
from crawler.service.runner import Runner
from crawler.service.settings import Settings
from crawler.service.states import State
from crawler.service.store import NewRun, RunRow, Store
from crawler.service.when import Missed, delay, judge

TICK_S: Final = 0.5
JUMP_S: Final = 2.0
"""Wall and monotonic clock may differ by so much between two ticks before that counts as a jump."""
MAX_BACK_S: Final = 3600.0
"""If the clock is set back by more, schedules begin anew from there; a slot that was decided still never runs twice."""

_log: Final = logging.getLogger("crawler.service.scheduler")


@dataclass(slots=True)
class _Line:
    """A job's schedule: not frozen, `since` moves on."""

    schedule: Schedule
    since: float
    next: float | None = None


class Scheduler:
    """Decides what runs when.

    Args:
        settings, store, catalog, runner: The service's.
        on_change: Told when the job folder has changed.
        on_skip: Told of runs that were left out.
        wall: Seconds since the epoch.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        catalog: Catalog,
        runner: Runner,
        *,
        on_change: Callable[[Changes], None] = lambda changes: None,
        on_skip: Callable[[RunRow], None] = lambda run: None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._store = store
        self._catalog = catalog
        self._runner = runner
        self._on_change = on_change
        self._on_skip = on_skip
        self._wall = wall
        self._lines: dict[str, _Line] = {}
        self._heap: list[tuple[float, str]] = []
        self.drifts: list[float] = []  # seconds between due and queued, since somebody last took them

    async def run(self) -> None:
        """Go on until cancelled. `look` must have been called once."""
        loop = asyncio.get_running_loop()
        looked = loop.time()
        wall, clock = self._wall(), loop.time()
        while True:
            await asyncio.sleep(self._pause())
            now, then = self._wall(), loop.time()
            if abs((now - wall) - (then - clock)) > JUMP_S:
                _log.warning("the clock jumped by %+.0f s", (now - wall) - (then - clock))
                self._begin_anew(now)
            wall, clock = now, then
            self.tick(now)
            if then - looked >= self._settings.poll:
                looked = then
                self.take(await asyncio.to_thread(self._catalog.look))

    def take(self, changes: Changes) -> None:
        """Follow the changes of the job folder."""
        now = self._wall()
        for name in changes.gone:
            self._lines.pop(name, None)
        for entry in changes.changed:
            if entry.job is None:
                _log.error("a job file is kept out: %s", entry.error)
            self._lines.pop(entry.name, None)
            schedule = None if entry.job is None else entry.job.schedule
            if schedule is not None and schedule.enabled:
                since = self._store.note_job(entry.name, entry.digest, now)
                self._lines[entry.name] = _Line(schedule, since)
                self._decide(entry.name, now)
        if changes:
            self._on_change(changes)

    def tick(self, now: float) -> None:
        """Decide about everything that is due, in one transaction."""
        if not self._heap or self._heap[0][0] > now:
            return
        with self._store.transaction():
            while self._heap and self._heap[0][0] <= now:
                due, name = heapq.heappop(self._heap)
                line = self._lines.get(name)
                if line is not None and line.next == due:
                    self.drifts.append(now - due)
                    self._decide(name, now)
        self._runner.wake()

    def next_start(self, name: str) -> float | None:
        """When a job begins next by itself; None if it does not."""
        line = self._lines.get(name)
        return None if line is None else line.next

    def _pause(self) -> float:
        if not self._heap:
            return TICK_S
        return min(max(self._heap[0][0] - self._wall(), 0.001), TICK_S)

    def _begin_anew(self, now: float) -> None:
        self._heap.clear()
        for name, line in self._lines.items():
            if line.since > now + MAX_BACK_S:
                line.since = now
            self._decide(name, now)

    def _decide(self, name: str, now: float) -> None:
        """Judge one schedule, commit what comes of it, and note when it is due next."""
        line = self._lines[name]
        verdict = judge(line.schedule, name, line.since, now)
        runs: list[NewRun] = []
        if verdict.missed is not None:
            runs.append(NewRun(name, slot=verdict.missed.last, state=State.MISSED, reason=_told(verdict.missed)))
        if verdict.run or runs or verdict.since != line.since:
            stopped = self._admit(name, line.schedule, verdict.run, runs)
            made = self._store.decide(name, verdict.since, runs, now)
            for run_id in stopped:
                self._runner.cancel(run_id, "a newer run takes its place")
            for run in made:
                if run.state is not State.QUEUED:
                    self._on_skip(run)
        line.since = verdict.since
        line.next = verdict.next
        if verdict.next is not None:
            heapq.heappush(self._heap, (verdict.next, name))

    def _admit(self, name: str, schedule: Schedule, slots: tuple[int, ...], runs: list[NewRun]) -> list[str]:
        """Turn slots into runs by `overlap`; gives the ids of runs that make room.

        Several slots at once are `catch_up: all`: they are made up for one after the other, and do not count as each
        other's overlap.
        """
        if not slots:
            return []
        decision = admit(schedule.overlap, self._store.active(name))
        for slot in slots:
            start_by = slot + delay(schedule, name, slot) + schedule.start_deadline
            if isinstance(decision, Leave):
                runs.append(NewRun(name, slot=slot, state=State.SKIPPED, reason=decision.reason))
            else:
                runs.append(NewRun(name, slot=slot, start_by=start_by))
        return [] if isinstance(decision, Leave) else list(decision.stop)


def _told(missed: Missed) -> str:
    first = datetime.fromtimestamp(missed.first, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if missed.count == 1:
        return missed.reason
    return f"{missed.count} starts since {first}: {missed.reason}"
