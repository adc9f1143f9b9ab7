"""What hosts asked for survives the end of a process: by the clock, by the table, and through a kill."""

from __future__ import annotations

import math
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from crawler.fanout import host_table as host_table_module
from crawler.fanout.host_table import HostRow, HostTable
from crawler.fanout.hosts import HostClock
from crawler.fanout.plan import (
    CircuitPolicy,
    ClientOptions,
    HostLimits,
    Item,
    Plan,
    Politeness,
    RetryPolicy,
    StopLimits,
)
from crawler.fanout.result import Result
from crawler.fanout.run import STATE_FILE, Run
from crawler.fanout.throttle import ThrottlePolicy
from crawler.fanout.turns import Turns
from crawler.testbed import Testbed

WALL = 1_000_000.0


def clock(
    retry: RetryPolicy | None = None, circuit: CircuitPolicy | None = None, *, throttle: bool = False
) -> HostClock:
    """A clock of a run."""
    policy = ThrottlePolicy() if throttle else None
    return HostClock(HostLimits(rate=2.0), retry or RetryPolicy(jitter="none"), circuit or CircuitPolicy(), 8, policy)


def tell(host: HostClock, now: float, kind: str | None, asked: float | None = None) -> None:
    """One request, from start to end."""
    host.start(now, lambda: 0.5)
    host.end(now, now + 0.1, kind, asked, lambda: 0.5)


def test_a_host_that_is_well_leaves_nothing() -> None:
    """Successes are nothing to remember, and change nothing that is."""
    host = clock()
    tell(host, 0.0, None)

    assert not host.is_changed
    assert host.state(1.0, WALL) == {}


def test_a_pause_goes_on_in_the_next_run() -> None:
    """What is left of a `Retry-After` counts by the wall clock, whatever the monotonic one says."""
    host = clock()
    tell(host, 100.0, "rate_limited", 60.0)
    assert host.is_changed
    state = host.state(110.0, WALL)
    later = clock()
    later.restore(state, 5.0, WALL + 20.0)

    assert later.ready_at() == pytest.approx(5.0 + 60.1 - 10.0 - 20.0)
    assert not later.is_idle(5.0)


def test_a_clock_that_was_set_back_makes_no_pause_longer() -> None:
    """Nobody waits for a year because the time was set right."""
    host = clock()
    tell(host, 100.0, "rate_limited", 60.0)
    later = clock()
    later.restore(host.state(100.1, WALL), 0.0, WALL - 1e7)

    assert later.ready_at() == pytest.approx(60.0)


def test_a_pause_that_was_too_long_is_too_long_until_it_is_short_enough() -> None:
    """A host that was given up stays so in the next run, unless what is left is no more than `max_wait`."""
    host = clock(RetryPolicy(max_wait=600.0))
    tell(host, 0.0, "rate_limited", 3600.0)
    assert host.is_given_up
    state = host.state(0.1, WALL)
    soon, late = clock(RetryPolicy(max_wait=600.0)), clock(RetryPolicy(max_wait=600.0))
    soon.restore(state, 0.0, WALL + 60.0)
    late.restore(state, 0.0, WALL + 3500.0)

    assert soon.is_given_up
    assert not late.is_given_up
    assert late.ready_at() == pytest.approx(100.0)


def test_a_broken_circuit_stays_open_and_one_request_tries() -> None:
    """The pause goes on; after it one request goes out, and the pause that follows is the doubled one."""
    circuit = CircuitPolicy(failures=2, open_for=60.0, max_open=900.0)
    host = clock(circuit=circuit)
    tell(host, 0.0, "connect_refused")
    tell(host, 1.0, "connect_refused")
    later = clock(circuit=circuit)
    later.restore(host.state(31.1, WALL), 0.0, WALL)
    assert later.ready_at() == pytest.approx(30.0)
    later.start(30.0, lambda: 0.5)
    assert later.ready_at() == math.inf
    later.end(30.0, 31.0, "connect_refused", None, lambda: 0.5)

    assert later.ready_at() == pytest.approx(31.0 + 120.0)


def test_failures_in_a_row_are_counted_on() -> None:
    """A run that is killed again and again still opens the circuit; and forgets it all when the host is well."""
    circuit = CircuitPolicy(failures=3, open_for=60.0)
    host = clock(circuit=circuit)
    tell(host, 0.0, "timeout_read")
    tell(host, 1.0, "timeout_read")
    later = clock(circuit=circuit)
    later.restore(host.state(2.0, WALL), 0.0, WALL)
    tell(later, 0.0, "timeout_read")
    assert later.open_until == pytest.approx(60.1)
    tell(later, 61.0, None)

    assert later.is_changed
    assert later.state(61.1, WALL) == {}


def test_what_a_host_could_bear_is_known() -> None:
    """The throttle's rate is the clock's from the first start on."""
    host = clock(throttle=True)
    tell(host, 0.0, "timeout_read")
    state = host.state(1.0, WALL)
    later = clock(throttle=True)
    later.restore(state, 0.0, WALL)
    later.start(0.0, lambda: 0.5)
    later.end(0.0, 0.1, "http_4xx", None, lambda: 0.5)

    assert later.ready_at() == pytest.approx(1.0)


def test_turns_hand_over_what_changed_and_take_it_up() -> None:
    """Only hosts with news are told of, once; a host that is well again is forgotten."""
    politeness = Politeness(limits=HostLimits(concurrency=1))
    turns = Turns(politeness, RetryPolicy(jitter="none"), 8, wall=lambda: WALL)
    for name, kind in (("http://busy", "rate_limited"), ("http://well", None)):
        result = Result(f"{name}/", 1, None, 0.0)
        result.host = name
        assert turns.admit(result, 0.0)
        turns.end(name, 0.0, 1.0, kind, 60.0 if kind else None, result)
    rows = turns.take_changed(1.0)
    assert [row.key for row in rows] == ["http://busy"]
    assert turns.take_changed(1.0) == []
    later = Turns(politeness, RetryPolicy(), 8, wall=lambda: WALL + 10.0)
    later.restore(rows, 500.0)
    result = Result("http://busy/2", 2, None, 500.0)
    result.host = "http://busy"

    assert not later.admit(result, 500.0)
    assert later.next_time() == pytest.approx(550.0)


def test_the_table_forgets_what_is_over_and_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows end with their time, an empty state takes one away, and of too many those stay that last longest."""
    monkeypatch.setattr(host_table_module, "MAX_KEPT", 3)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        table = HostTable(db)
        table.keep(
            [HostRow("a", 10.0, {"steps": 1}), HostRow("b", 30.0, {"steps": 2}), HostRow("c", 40.0, {"steps": 3})]
        )
        table.keep([HostRow("c", 0.0, {})])
        assert HostTable(db).rows(20.0) == [HostRow("b", 30.0, {"steps": 2})]
        for number in range(20):
            table.keep([HostRow(f"h{number}", 100.0 + number, {"steps": 1})])

        assert [row.key for row in table.rows(20.0)] == ["h19", "h18", "h17"]
        assert db.execute("SELECT count(*) FROM hosts").fetchone()[0] <= 6


_PROGRAM = """
import asyncio, sys
from pathlib import Path
from crawler.fanout import ClientOptions, Item, Plan, Run

plan = Plan("spare", state_dir=Path(sys.argv[1]), client=ClientOptions(trust_env=False))
asyncio.run(Run(plan, [Item(sys.argv[2])]).execute())
"""


def test_a_killed_run_is_not_heard_of_before_its_time(tmp_path: Path) -> None:
    """A host that said "in 60 s" is not asked earlier by the run that goes on after a kill."""
    with Testbed() as bed:
        url = f"{bed.url}/status/429?retry_after=60"
        with subprocess.Popen([sys.executable, "-c", _PROGRAM, str(tmp_path), url]) as process:
            try:
                wait_for_row(tmp_path / STATE_FILE)
            finally:
                process.kill()
        asked = bed.app.stats.as_dict()
        plan = Plan(
            "spare", state_dir=tmp_path, client=ClientOptions(trust_env=False), stop=StopLimits(after=0.3), grace=0.1
        )
        run = Run(plan, [Item(url)])
        outcome = anyio.run(run.execute)

        assert outcome.state == "stopped"
        assert run.stats.attempts == 0
        assert bed.app.stats.as_dict()["requests"] == asked["requests"]


def wait_for_row(path: Path) -> None:
    """Wait until the other process has written what its host said."""
    for _ in range(300):
        if path.exists() and os.path.getsize(path):
            with closing(sqlite3.connect(path, timeout=1.0)) as db:
                try:
                    if db.execute("SELECT count(*) FROM hosts").fetchone()[0]:
                        return
                except sqlite3.OperationalError:
                    pass  # not made yet
        time.sleep(0.05)
    raise AssertionError("nothing was written")
