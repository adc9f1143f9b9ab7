"""The scheduler with a clock that is advanced by hand, a store on disk, and no processes."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from crawler.jobs.service_schema import Overlap
from crawler.service.catalog import Catalog
from crawler.service.errors import NotPossible
from crawler.service.overlap import Admit, Leave, admit
from crawler.service.scheduler import Scheduler
from crawler.service.settings import Settings
from crawler.service.states import State
from crawler.service.store import NewRun, RunRow, Store

WriteJob = Callable[[str, str], Path]
START = 1_780_272_000.0  # 2026-06-01T00:00:00Z
JOB = "contact: a@example.org\nurls: [https://example.org/]\nschedule: "


class Idle:
    """Stands in for the runner: notes what it is asked for."""

    def __init__(self) -> None:
        self.cancelled: list[str] = []

    def wake(self) -> None:
        """Nothing is started."""

    def cancel(self, run_id: str, reason: str) -> None:
        """Note it."""
        self.cancelled.append(run_id)


class Life:
    """One life of a service, from its start until it is killed."""

    def __init__(self, settings: Settings, now: float) -> None:
        self.now = now
        self.store = Store(settings.database)
        self.catalog = Catalog(settings.jobs)
        self.runner = Idle()
        runner: Any = self.runner
        self.scheduler = Scheduler(settings, self.store, self.catalog, runner, wall=lambda: self.now)
        self.look()

    def look(self) -> None:
        """Look at the job folder."""
        self.scheduler.take(self.catalog.look())

    def tick(self, seconds: float) -> None:
        """Let time pass in one step."""
        self.now += seconds
        self.scheduler.tick(self.now)

    def rows(self, *states: State) -> list[RunRow]:
        """Runs in one of these states, the oldest first."""
        return self.store.runs(states=states, limit=-1)[::-1]

    def finish_all(self) -> None:
        """End every queued run."""
        for run in self.rows(State.QUEUED):
            self.store.move(run.id, State.RUNNING, self.now)
            self.store.move(run.id, State.FINISHED, self.now, exit_code=0)


@pytest.fixture
def prepared(settings: Settings) -> Settings:
    """The state folder is there."""
    settings.state.mkdir()
    return settings


def test_what_is_due_is_queued_at_its_second(prepared: Settings, write_job: WriteJob) -> None:
    """Once, with the instant of its slot."""
    write_job("daily", JOB + "{cron: '5 0 * * *'}\n")
    life = Life(prepared, START)
    for _ in range(600):
        life.tick(1)

    (run,) = life.rows(State.QUEUED)
    assert (run.slot, run.created) == (START + 300, START + 300)
    assert life.scheduler.next_start("daily") == START + 300 + 86400


def test_a_run_that_is_not_over_is_told_as_reason(prepared: Settings, write_job: WriteJob) -> None:
    """`skip`: the slot is a skipped run of its own."""
    write_job("often", JOB + "{every: 60s}\n")
    life = Life(prepared, START)
    for _ in range(180):
        life.tick(1)

    assert len(life.rows(State.QUEUED)) == 1
    skipped = life.rows(State.SKIPPED)
    assert len(skipped) == 2
    assert "still queued" in skipped[0].reason


def test_replace_stops_the_old_run(prepared: Settings, write_job: WriteJob) -> None:
    """The runner is told to, and the new one is queued."""
    write_job("often", JOB + "{every: 60s, overlap: replace}\n")
    life = Life(prepared, START)
    for _ in range(120):
        life.tick(1)
    first, second = life.rows(State.QUEUED)

    assert life.runner.cancelled == [first.id]
    assert second.slot == (first.slot or 0) + 60


def test_a_day_with_kills_and_jumps_decides_each_slot_once(prepared: Settings, write_job: WriteJob) -> None:
    """Twenty jobs, killed at random moments, clock set forth and back: no slot twice, none lost while it was there."""
    for number in range(20):
        write_job(
            f"job-{number}", JOB + f"{{every: {600 + number}s, overlap: allow, catch_up: all, start_deadline: 1d}}\n"
        )
    rng = random.Random(20261121)
    now, life = START, Life(prepared, START)
    while now < START + 6 * 3600:
        life.tick(rng.choice([5.0, 20.0, 45.0, 120.0]))
        life.finish_all()
        now = life.now
        if rng.random() < 0.02:
            life.store.close()
            now += rng.choice([0.0, 30.0, 900.0, -300.0])
            life = Life(prepared, now)
    runs = life.store.runs(limit=-1)
    slots = Counter((run.job, run.slot) for run in runs)

    assert max(slots.values()) == 1
    for number in range(20):
        mine = sorted(slot for job, slot in slots if job == f"job-{number}" and slot is not None)
        assert len(mine) >= 6 * 3600 // (600 + number) - 1
        assert all(later - earlier == 600 + number for earlier, later in pairwise(mine))
    life.store.close()


def test_a_file_that_breaks_is_kept_out(prepared: Settings, write_job: WriteJob) -> None:
    """Its schedule rests, the other job goes on, and mended it makes up for the last slot."""
    path = write_job("one", JOB + "{cron: '*/10 * * * *'}\n")
    write_job("two", JOB + "{cron: '*/10 * * * *'}\n")
    life = Life(prepared, START)
    whole = path.read_text()
    path.write_text("urls: [", encoding="utf-8")
    life.look()
    for _ in range(130):
        life.tick(10)
        life.finish_all()

    assert life.catalog.entries["one"].error.startswith("one.yaml:")
    assert {run.job for run in life.rows()} == {"two"}
    path.write_text(whole, encoding="utf-8")
    life.look()
    assert [run.slot for run in life.rows(State.QUEUED)] == [START + 1200]


def test_two_files_of_one_name_are_an_error_of_the_later(prepared: Settings, write_job: WriteJob) -> None:
    """The first one goes on; a file that goes away is forgotten."""
    write_job("a", "name: same\nurls: [https://example.org/]\n")
    path = write_job("b", "name: same\nurls: [https://example.org/]\n")
    catalog = Catalog(prepared.jobs)
    catalog.look()

    assert catalog.job("same") is not None
    assert "stands in a.yaml already" in catalog.entries["b.yaml"].error
    path.unlink()
    assert catalog.look().gone == ("b.yaml",)


def test_a_scheduled_job_says_who_it_is(prepared: Settings, write_job: WriteJob) -> None:
    """Unless the operator says that it need not."""
    write_job("x", "urls: [https://example.org/]\nschedule: {every: 1h}\n")
    (prepared.jobs / "crawl.yaml").write_text("kind: crawl\nurls: [http://h/]\n", encoding="utf-8")
    strict, lax = Catalog(prepared.jobs), Catalog(prepared.jobs, anonymous=True)
    strict.look()
    lax.look()

    assert "needs `contact`" in strict.entries["x"].error
    assert lax.job("x") is not None
    assert "names somebody" in strict.entries["crawl"].error
    assert lax.job("crawl") is not None


def test_a_folder_that_is_away_loses_no_job(prepared: Settings, write_job: WriteJob) -> None:
    """It is told, and the jobs stay."""
    write_job("x", "urls: [https://example.org/]\n")
    catalog = Catalog(prepared.jobs)
    catalog.look()
    prepared.jobs.rename(prepared.jobs.with_name("elsewhere"))

    assert not catalog.look()
    assert "cannot be read" in catalog.problem
    assert catalog.job("x") is not None


@pytest.mark.parametrize(
    ("policy", "states", "expected"),
    [
        ("skip", [], "admit"),
        ("skip", ["paused"], "leave"),
        ("queue", ["running"], "admit"),
        ("queue", ["running", "queued"], "leave"),
        ("replace", ["running", "queued"], "stop both"),
        ("allow", ["running", "running"], "admit"),
    ],
)
def test_overlap_as_a_table(tmp_path: Path, policy: Overlap, states: list[str], expected: str) -> None:
    """What each policy makes of runs that are not over."""
    store = Store(tmp_path / "s.sqlite3")
    for state in states:
        run = store.add(NewRun("x"), START)
        if state != "queued":
            store.move(run.id, State.RUNNING, START)
        if state == "paused":
            store.move(run.id, State.PAUSED, START)
    active = store.active("x")
    decision = admit(policy, active)
    store.close()

    if expected == "leave":
        assert isinstance(decision, Leave)
    else:
        assert isinstance(decision, Admit)
        assert len(decision.stop) == (2 if expected == "stop both" else 0)


def test_the_runner_refuses_what_the_table_does_not_have(tmp_path: Path) -> None:
    """A finished run cannot be queued again."""
    store = Store(tmp_path / "s.sqlite3")
    run = store.add(NewRun("x"), START)
    store.move(run.id, State.RUNNING, START)
    store.move(run.id, State.FINISHED, START)

    with pytest.raises(NotPossible):
        store.move(run.id, State.QUEUED, START)
    store.close()
