"""What `crawler bench` does with a checked job: run it, show how it goes, write the reports, say how it ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any, Final

from crawler.bench.errors import BenchError
from crawler.bench.from_job import plan_from_job
from crawler.bench.plan import MIN_ROUNDS, BenchPlan, PlanError
from crawler.bench.report_view import view
from crawler.bench.reports import render, write_report
from crawler.bench.result import BenchResult
from crawler.bench.run import BenchRun
from crawler.bench.thresholds import judged
from crawler.bench.verdict import rounds_needed_for
from crawler.cli.bench_live import BenchProgress, choose_bench_progress
from crawler.cli.bench_table import show_result
from crawler.cli.exits import CommandError, Exit, complain, silence_stdout
from crawler.cli.source import describe
from crawler.cli.text import one_line
from crawler.cli.units import count, duration
from crawler.jobs import Job, JobError
from crawler.jobs.bench_job import BenchJob

_CODES: Final = {signal.SIGINT: Exit.INTERRUPTED, signal.SIGTERM: Exit.TERMINATED}


@dataclass(frozen=True, slots=True)
class Show:
    """How much is shown: the result as JSON, nothing but errors, JSON lines instead of the live picture."""

    as_json: bool = False
    quiet: bool = False
    no_tui: bool = False


def execute(job: Job, out: Path | None, show: Show, *, is_owned: bool) -> int:
    """Run the benchmark and give the exit code.

    Raises:
        CommandError: It could not begin or go on: a wrong plan, a host that may not be loaded, a lost worker.
    """
    with _failures(), _testbed(job) as (testbed_url, testbed_ca):
        spec = job.bench_job(out=out, testbed_url=testbed_url, testbed_ca=testbed_ca)
        _check_reports(spec, show)
        plan = plan_from_job(spec, is_owned=is_owned)
        _warn_of_few_rounds(plan, show)
        result, code = _run(plan, job, show)
    result = judged(result, spec.thresholds)
    _write_reports(spec, result)
    _show_result(spec, result, show)
    if code != Exit.OK:
        return code
    if result.breaches:
        return Exit.THRESHOLD
    return Exit.FAILURES if any(arm.rate.median is None for arm in result.arms) else Exit.OK


def _warn_of_few_rounds(plan: BenchPlan, show: Show) -> None:
    """Say it before an hour of measuring, not after; who asked for fewer than any verdict takes knows."""
    needed = rounds_needed_for(plan)
    if MIN_ROUNDS <= plan.rounds < needed and not show.quiet:
        arms = count(len(plan.arms), "arm")
        complain(f"warning: no verdict comes of {count(plan.rounds, 'round')} of {arms}; it takes {needed}")


def check(job: Job) -> None:
    """Find out whether the job's benchmark can be run, as far as that can be told without running it.

    Raises:
        CommandError: It cannot.
    """
    with _failures():
        _dry_plan(job, None)


def show_dry_run(job: Job, out: Path | None) -> None:
    """Print what the benchmark comes to; reads the whole input.

    Raises:
        CommandError: It cannot be run.
    """
    with _failures():
        spec, plan = _dry_plan(job, out)
    arms = count(len(plan.arms), "arm")
    print(f"{plan.name}: {arms}, {count(plan.rounds, 'round')}, {count(len(plan.urls), 'URL')}{_expected(plan)}")
    for arm in plan.arms:
        print(f"  {arm.name}: {arm.client}, {arm.engine}, HTTP/{arm.http_version}, {arm.vus} at once")
    for report in spec.reports:
        print(f"  report: {report.path}")
    for url in plan.urls[:10]:
        print(f"  {plan.request.method} {one_line(job.mask(url), 500)}")
    if len(plan.urls) > 10:
        print(f"  … and {count(len(plan.urls) - 10)} more")


def _dry_plan(job: Job, out: Path | None) -> tuple[BenchJob, BenchPlan]:
    spec = job.bench_job(out=out, testbed_url="http://testbed" if job.testbed else None)
    return spec, plan_from_job(spec)


def _expected(plan: BenchPlan) -> str:
    """How long it will take at least, where the load has a duration."""
    if plan.executor.seconds is None:
        return ""
    steps = len(plan.arms) * plan.rounds
    return f", about {duration(steps * (plan.executor.seconds + plan.warmup_s) + (steps - 1) * plan.cooldown)}"


@contextlib.contextmanager
def _failures() -> Iterator[None]:
    """Turn what stops a benchmark into a message and its exit code."""
    try:
        yield
    except BenchError as error:
        raise CommandError(one_line(str(error), 1000), error.exit_code) from error
    except PlanError as error:
        raise CommandError(one_line(str(error), 1000)) from error
    except JobError as error:
        raise CommandError(describe(error)) from error


@contextlib.contextmanager
def _testbed(job: Job) -> Iterator[tuple[str | None, Path | None]]:
    """Run the testbed during the block, if the job wants it: its address, and the authority of its certificate.

    One arm with HTTP/2 puts all of them on TLS: they are compared with each other.
    """
    if not job.testbed:
        yield None, None
        return
    from crawler.testbed import Testbed

    with Testbed(tls=job.needs_tls) as bed:
        if not job.needs_tls:
            yield bed.url, None
            return
        assert bed.ca_pem is not None
        with tempfile.TemporaryDirectory(prefix="crawler-bench-") as folder:
            ca_file = Path(folder) / "ca.pem"
            ca_file.write_text(bed.ca_pem, encoding="ascii")
            yield bed.tls_url, ca_file


def _run(plan: BenchPlan, job: Job, show: Show) -> tuple[BenchResult, Exit]:
    mode = "none" if show.quiet else "lines" if show.no_tui else job.progress_mode
    progress = choose_bench_progress(mode, plan.name, job.progress_interval)
    run = BenchRun(plan, progress.update)
    try:
        with _Stopper(run, progress) as stopper:
            result = run.execute()
    finally:
        progress.close()
    return replace(result, planned_rounds=plan.rounds), stopper.code


class _Stopper:
    """SIGINT and SIGTERM while a benchmark runs: the first ends it after the last whole round, the second at once.

    The run is in the main thread and looks four times a second whether it was stopped, so the handler only says so.
    """

    def __init__(self, run: BenchRun, progress: BenchProgress) -> None:
        self.code = Exit.OK
        self._run = run
        self._progress = progress
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> _Stopper:
        for number in _CODES:
            self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._restore()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._restore()
        self.code = _CODES[signal.Signals(number)]
        self._run.stop()
        self._progress.note("Stopping: the round under way is left out, whole ones count.")

    def _restore(self) -> None:
        while self._previous:
            number, previous = self._previous.popitem()
            signal.signal(number, previous)


def _check_reports(spec: BenchJob, show: Show) -> None:
    """Find out before the measuring whether the reports can be written."""
    if show.as_json and any(str(report.path) == "-" for report in spec.reports):
        raise CommandError("--json writes to standard output, and so does an output of the job; give one of them")
    for report in spec.reports:
        if str(report.path) == "-":
            continue
        try:
            report.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CommandError(f"{report.path}: {error.strerror}", Exit.DISK) from error
        if report.path.is_dir() or not os.access(report.path.parent, os.W_OK):
            raise CommandError(f"{report.path} cannot be written", Exit.DISK)


def _write_reports(spec: BenchJob, result: BenchResult) -> None:
    for report in spec.reports:
        content = render(report.format, result)
        if str(report.path) == "-":
            with contextlib.suppress(BrokenPipeError):
                sys.stdout.write(content)
                sys.stdout.flush()
            continue
        try:
            write_report(report.path, content)
        except OSError as error:
            raise CommandError(f"{report.path}: {error.strerror}", Exit.DISK) from error


def _show_result(spec: BenchJob, result: BenchResult, show: Show) -> None:
    """Print the result; that its reader went away changes nothing about it."""
    files = [str(report.path) for report in spec.reports if str(report.path) != "-"]
    try:
        if show.as_json:
            print(json.dumps(result.to_json(), indent=2, ensure_ascii=False))
        elif not show.quiet:
            show_result(view(result), files, to_stderr=len(files) < len(spec.reports))
        sys.stdout.flush()
    except BrokenPipeError:
        silence_stdout()
