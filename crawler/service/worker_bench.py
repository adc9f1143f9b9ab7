"""A run of `kind: bench` in the service: measured in this process, its reports written to the run's folder."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from crawler.bench.errors import BenchError
from crawler.bench.from_job import plan_from_job
from crawler.bench.plan import PlanError
from crawler.bench.report_view import view
from crawler.bench.reports import render, write_report
from crawler.bench.run import BenchRun
from crawler.bench.thresholds import judged
from crawler.jobs import Job
from crawler.service.content import folder_size

if TYPE_CHECKING:
    from crawler.service.worker import Command, Order, Wire


def run_bench(job: Job, order: Order, wire: Wire) -> int:
    """Measure, report, and say how it ended; a threshold that is broken is exit code 5.

    The job stands in the operator's own folder: that the hosts are theirs to load is for `crawler bench` to say, so
    here the bounds for public hosts hold.
    """
    from pathlib import Path

    from crawler.service.worker import Refused

    if job.testbed:
        raise Refused("a benchmark against the testbed is run by `crawler bench`; the service measures servers", 2)
    folder = Path(order.folder)
    started, told = time.monotonic(), 0.0

    def tell(*_: Any) -> None:
        nonlocal told
        if time.monotonic() - told >= 1:
            told = time.monotonic()
            wire.say("progress", progress={"elapsed": round(told - started, 3)})

    spec = job.bench_job(out=folder)
    try:
        plan = plan_from_job(spec)
    except PlanError as error:
        raise Refused(str(error), 2) from error
    run, stopped = BenchRun(plan, tell), False

    def act(command: Command) -> None:
        nonlocal stopped
        stopped = True
        run.stop()

    wire.commands(act)
    wire.say("started", outputs=[{"path": str(report.path), "format": report.format} for report in spec.reports])
    try:
        result = judged(run.execute(), spec.thresholds)
    except BenchError as error:
        raise Refused(str(error), error.exit_code) from error
    for report in spec.reports:
        if str(report.path) != "-":
            report.path.parent.mkdir(parents=True, exist_ok=True)
            write_report(report.path, render(report.format, result))
    code = 3 if stopped else 5 if result.breaches else 0
    wire.say(
        "ended",
        state="stopped" if stopped else "finished",
        exit_code=code,
        message="; ".join(view(result).breaches)[:1000],
        content=None,
        size=folder_size(folder),
        progress={"elapsed": round(time.monotonic() - started, 3)},
    )
    return code
