"""What the sections `log` and `telemetry` of a job ask for, set up around its run, whoever runs it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Literal

from crawler.fanout import Run
from crawler.fanout.attempt_log import AttemptLog
from crawler.fanout.errors import RunError
from crawler.fanout.ids import fingerprint_text
from crawler.jobs.job import Job
from crawler.jobs.run_log import logging_to
from crawler.jobs.watch_rules import LogPlan


class CannotWatch(RunError):
    """What `telemetry` asks for cannot be had; nothing was begun."""

    exit_code = 2


@contextmanager
def watched(job: Job, run: Run, log: LogPlan | None) -> Iterator[None]:
    """Log the run and show it to monitoring while the block runs, as far as the job asks for it.

    Args:
        job, run: What runs.
        log: Where the log goes: `job.log`, or where the caller has it instead.

    Raises:
        OutputError: The log cannot be written.
        CannotWatch: The address for Prometheus cannot be bound.
    """
    with ExitStack() as stack:
        if log is not None:
            stack.enter_context(logging_to(log.file, _format(log), log.level))
            plan = run.plan
            run.observers.append(
                AttemptLog(
                    plan.run_id,
                    plan.name,
                    lambda result: fingerprint_text(result.target.fp),
                    log.per_second,
                    secrets=job.mask,
                )
            )
        _show_to_monitoring(job, run, stack)
        yield


def _format(log: LogPlan) -> Literal["text", "json"]:
    """Text for people at a terminal, JSON for programs, unless the job says which."""
    if log.format != "auto":
        return log.format
    return "text" if log.file is None and sys.stderr.isatty() else "json"


def _show_to_monitoring(job: Job, run: Run, stack: ExitStack) -> None:
    """Start what `telemetry` names; imported here, as both are extras."""
    wanted = job.telemetry
    if wanted.prometheus is not None:
        from crawler.telemetry.prometheus import RunCollector, serving

        host, port = wanted.prometheus
        collector = RunCollector(run.stats, run.plan.name, host_label=wanted.host_label)
        try:
            stack.enter_context(serving(collector, host, port))
        except OSError as error:
            raise CannotWatch(f"telemetry.prometheus.listen: {host}:{port}: {error.strerror or error}") from error
    if wanted.otlp is not None:
        from crawler.telemetry.otlp import exporting

        about = (run.stats, run.plan.name, run.plan.run_id, wanted.otlp)
        observer = stack.enter_context(exporting(*about, time.monotonic, host_label=wanted.host_label))
        run.observers.append(observer)
        if wanted.propagate:
            run.tracer = observer
