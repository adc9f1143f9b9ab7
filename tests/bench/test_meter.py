"""What a round costs the client's process."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time

from crawler.bench import Arm, BenchPlan, Executor, process
from crawler.bench.histogram import Histogram
from crawler.bench.meter import TICK_S, Lag, peak_rss


def test_memory_is_told_in_bytes() -> None:
    """An interpreter takes more than a megabyte and less than a terabyte."""
    assert 2**20 < peak_rss() < 2**40


def test_the_worst_lateness_counts_from_when_it_was_set_to_zero() -> None:
    """A timer that fires early is not late; a new histogram forgets the warm-up."""
    warm, measured = Histogram(), Histogram()
    lag = Lag(warm)
    lag.note(0.5)
    lag.note(-0.1)
    assert (lag.worst, warm.count, warm.max) == (0.5, 2, 0.5)
    lag.restart(measured)
    lag.note(0.2)
    assert (lag.worst, warm.count, measured.count) == (0.2, 2, 1)


def test_a_blocked_loop_is_late() -> None:
    """A task that blocks the loop for 50 ms makes its timer late by more than half of that."""
    histogram = Histogram()

    async def main() -> None:
        watching = asyncio.ensure_future(Lag(histogram).watch_loop())
        await asyncio.sleep(0)
        time.sleep(0.05)  # noqa: ASYNC251 - that it blocks is the point
        await asyncio.sleep(2 * TICK_S)  # a timer that is due before this one fires before it
        watching.cancel()

    asyncio.run(main())
    assert histogram.max > 0.025


def test_threads_are_watched_while_the_block_runs() -> None:
    """And not afterwards."""
    histogram = Histogram()
    lag = Lag(histogram)
    with lag.watch_threads():
        while not histogram.count:
            time.sleep(0.001)
    count = histogram.count
    assert count == histogram.count > 0


def test_a_worker_begins_without_our_client() -> None:
    """So the memory of a peer is its own: ours comes only with arms that use it."""
    plan = BenchPlan(("http://127.0.0.1:9/",), (Arm("a", engine="sync"),), Executor(requests=1))
    sample = process.run_round(plan, 0, lambda message: None, lambda: False, is_live=False)
    assert sample is not None
    assert sample.errors == {"connect_refused": 1}
    code = process._START.replace("main()", "import json; print(json.dumps(sorted(sys.modules)))")
    told = subprocess.run(
        [sys.executable, "-c", code, str(process._PACKAGE)], capture_output=True, check=True, env=dict(os.environ)
    )
    loaded = json.loads(told.stdout)
    assert "crawler.bench.worker" in loaded
    assert not {"crawler.client", "crawler.fanout", "crawler.models", "pydantic", "httptools"} & set(loaded)
