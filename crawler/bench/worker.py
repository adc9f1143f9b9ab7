"""One arm's round in a process of its own; `process` starts it.

So its CPU and memory are its own, and no arm runs in another's caches, garbage or lock. The job comes on standard input
as JSON (`{"plan", "arm", "live"}`, the arm by its place in the plan); on standard output go lines of JSON:

    {"event": "progress", …}     four times a second, see `LiveStats`
    {"event": "done", "sample"}  the last one, see `Sample`
    {"event": "error", "message", "exit_code"}
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, Final, TextIO

from crawler.bench import load_async, load_blocking
from crawler.bench.errors import BenchError
from crawler.bench.histogram import Histogram
from crawler.bench.load import Round, Watch
from crawler.bench.meter import Lag, peak_rss
from crawler.bench.plan import Arm, BenchPlan
from crawler.bench.recorder import Recorder
from crawler.bench.sample import Sample

PROGRESS_S: Final = 0.25
LIVE_BUCKETS: Final = 32

Emit = Callable[[Mapping[str, Any]], None]


class Worker:
    """Runs one round and tells how it goes.

    Args:
        plan, arm: What to do.
        emit: Takes the messages.
        is_live: Somebody watches: tell response times with the progress, too.
    """

    def __init__(self, plan: BenchPlan, arm: Arm, emit: Emit, is_live: bool) -> None:
        self._plan = plan
        self._arm = arm
        self._emit = emit
        self._is_live = is_live
        self._lag = Histogram()
        self._done = threading.Event()
        self._watch = Watch(Recorder(plan, lambda response, times: None))
        if arm.engine != "sync":
            self._watch.lag = Lag(self._lag)
        self._cpu = 0.0
        self._rss = peak_rss()
        self._sample = Sample()

    def execute(self) -> Sample:
        """Warm up, measure, and give what was measured.

        Raises:
            BenchError: The arm cannot be measured.
        """
        round_ = Round(self._arm, self._plan, self._watch, self._start, self._stop)
        reporter = threading.Thread(target=self._report, name="crawler-bench-report", daemon=True)
        reporter.start()
        try:
            if self._arm.engine in ("sync", "threads"):
                load_blocking.run(round_)
            else:
                _run_async(round_)
        finally:
            self._done.set()
            reporter.join()
        self._sample.versions = _versions(self._arm)
        return self._sample

    def _start(self, recorder: Recorder) -> None:
        """The measuring begins: everything that was counted until now belonged to the warm-up."""
        if self._watch.lag is not None:
            self._lag = Histogram()
            self._watch.lag.restart(self._lag)
        gc.collect()
        recorder.sample.begun = time.time()
        self._cpu = time.process_time()
        recorder.begun = time.perf_counter()

    def _stop(self) -> None:
        sample = self._watch.recorder.sample
        self._watch.recorder.settle()
        sample.duration = time.perf_counter() - self._watch.recorder.begun
        sample.cpu_s = time.process_time() - self._cpu
        sample.rss_max, sample.rss_start = peak_rss(), self._rss
        sample.lag = self._lag
        self._sample = sample

    def _report(self) -> None:
        """Runs in a thread of its own, so that it reports also while a blocking client blocks."""
        while not self._done.wait(PROGRESS_S):
            message = progress(self._watch.recorder, self._watch.lag, self._watch.phase, self._is_live)
            try:
                self._emit(message)
            except OSError:  # nobody listens any more: the parent was killed, so put no more load on the server
                os._exit(1)


def progress(recorder: Recorder, lag: Lag | None, phase: str, is_live: bool) -> dict[str, Any]:
    """Say how a phase of a round goes; to somebody who watches with response times."""
    sample = recorder.sample
    message: dict[str, Any] = {
        "event": "progress",
        "phase": phase,
        "elapsed": time.perf_counter() - recorder.begun,
        "requests": sample.requests,
        "errors": sample.failed,
        "dropped": sample.dropped,
        "loop_lag": None if lag is None else lag.worst,
    }
    if lag is not None:
        lag.worst = 0.0
    if is_live and sample.response.count:
        p50, p99 = sample.response.percentiles((50, 99))
        buckets = sample.response.coarse(LIVE_BUCKETS)
        message |= {"p50": p50, "p99": p99, "max": sample.response.max, "buckets": buckets}
    return message


def _run_async(round_: Round) -> None:
    if find_spec("uvloop") is None:
        asyncio.run(load_async.run(round_))
        return
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(load_async.run(round_))


def _versions(arm: Arm) -> dict[str, str]:
    """Versions of what the arm ran on; asked after the measuring, as the question takes memory."""
    from importlib.metadata import PackageNotFoundError, version

    wanted = [arm.client] if arm.engine in ("sync", "threads") else [arm.client, "uvloop"]
    found = {}
    for name in wanted:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _emitter(stream: TextIO) -> Emit:
    def emit(message: Mapping[str, Any]) -> None:
        stream.write(json.dumps(message) + "\n")
        stream.flush()

    return emit


def main() -> None:
    """Do the job on standard input; answers on standard output, and nothing else goes there."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides what it means
    emit = _emitter(sys.stdout)
    sys.stdout = sys.stderr  # what a library prints must not look like an answer
    job = json.load(sys.stdin)
    plan = BenchPlan.from_json(job["plan"])
    try:
        sample = Worker(plan, plan.arms[job["arm"]], emit, job["live"]).execute()
    except BenchError as error:
        emit({"event": "error", "message": str(error), "exit_code": error.exit_code})
    else:
        emit({"event": "done", "sample": sample.to_json()})
