"""What `crawler run` does with a checked job: run it, show how it goes and how it ended."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from crawler.cli.bed import testbed_for_run
from crawler.cli.exits import CommandError, Exit, complain, silence_stdout
from crawler.cli.feed import Feed
from crawler.cli.fresh import forget
from crawler.cli.loop import run_async
from crawler.cli.memo import Memo, write_memo
from crawler.cli.progress import Progress, choose_progress, shown
from crawler.cli.signals import DrainThenAbort, Reason
from crawler.cli.source import describe
from crawler.cli.summary import show_summary, view_summary
from crawler.cli.text import one_line
from crawler.cli.units import count
from crawler.fanout import Outcome, Plan, Run
from crawler.fanout.errors import RunError
from crawler.fanout.run import STATE_FILE, SUMMARY_FILE
from crawler.fanout.summary import REPORT_FILE
from crawler.jobs import Job, JobError
from crawler.jobs.crew_job import run_of
from crawler.jobs.watching import watched

_DRY_RUN_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which failures are tried again: error kinds and statuses; none of either is any."""

    kinds: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()


def execute(
    job: Job,
    out: Path | None,
    *,
    fresh: bool,
    as_json: bool,
    quiet: bool,
    memo: Memo | None = None,
    again: Chosen | None = None,
    continues_anyway: bool = False,
) -> int:
    """Run the job to its end and give the exit code.

    Args:
        job, out: What to run, and the folder that takes it all.
        fresh: Forget earlier runs first.
        as_json, quiet: What is shown.
        memo: Kept beside the state.
        continues_anyway: Go on with a state that was made by other requests.
        again: Failures of earlier runs to try again; standard input is not read then.

    Raises:
        CommandError: It could not begin, or the input turned out to be wrong.
    """
    with _failures_of_the_engine():
        plan = replace(job.plan(out=out), continues_anyway=continues_anyway)
        if fresh:
            forget(plan)
        if again is not None:
            _reopen(plan, again)
        if memo is not None:
            write_memo(plan.state_dir, memo)
        with testbed_for_run(job.testbed, plan.state_dir) as testbed_url:
            outcome = run_async(_run(job, plan, testbed_url, quiet=quiet, is_retry=again is not None))
    if outcome.exit_code == Exit.CLOSED_PIPE:
        silence_stdout()
        return outcome.exit_code
    if outcome.message:
        complain(outcome.message)
    _show_outcome(outcome, plan, as_json=as_json, quiet=quiet)
    return outcome.exit_code


def _reopen(plan: Plan, again: Chosen) -> None:
    from crawler.fanout.reopen import reopen

    assert plan.state_dir is not None
    n = reopen(plan, again.kinds, again.statuses, state_file=plan.state_dir / STATE_FILE)
    complain(f"{count(n, 'URL')} that failed {'is' if n == 1 else 'are'} tried again")


async def _run(job: Job, plan: Plan, testbed_url: str | None, *, quiet: bool, is_retry: bool) -> Outcome:
    staff = job.staff(plan, testbed_url=testbed_url, is_retry=is_retry)
    # An input without an identity is a stream: it may come slowly, and is read beside the run.
    items = Feed(staff.items) if plan.input_id is None and not is_retry else staff.items
    work = run_of(job, plan, staff, items, testbed_url=testbed_url)
    progress = choose_progress("none" if quiet else job.progress_mode, job.progress_interval)
    async with shown(progress, work.stats):
        with _interruptible(work, progress), watched(job, work, job.log):
            return await work.execute()


def _interruptible(work: Run, progress: Progress) -> DrainThenAbort:
    def drain(reason: Reason) -> None:
        work.stop(reason)
        in_flight = work.stats.in_flight
        progress.note(
            f"Stopping: {count(in_flight, 'request')} in flight may end, for at most {work.plan.grace:g} s. "
            "Ctrl-C again stops at once."
            if in_flight
            else "Stopping: nothing is in flight."
        )

    def abort(reason: Reason) -> None:
        work.abort(reason)
        progress.note("Stopping at once.")

    return DrainThenAbort(drain, abort)


@contextlib.contextmanager
def _failures_of_the_engine() -> Iterator[None]:
    """Turn what stops a run before or while it goes into a message and its exit code."""
    try:
        yield
    except RunError as error:
        raise CommandError(str(error), error.exit_code) from error
    except JobError as error:
        raise CommandError(describe(error)) from error


def _show_outcome(outcome: Outcome, plan: Plan, *, as_json: bool, quiet: bool) -> None:
    """Print the summary; that its reader went away changes nothing about the run."""
    stdout_has_records = any(output.is_stdout for output in plan.outputs)
    try:
        if as_json:
            print(json.dumps(outcome.summary, indent=2, ensure_ascii=False))
        elif not quiet:
            view = view_summary(outcome.summary, _next_steps(outcome), _places(plan))
            show_summary(view, to_stderr=stdout_has_records)
        sys.stdout.flush()
    except BrokenPipeError:
        silence_stdout()


def _places(plan: Plan) -> list[tuple[str, Path]]:
    places = []
    if plan.body.keep == "file" and plan.body.directory is not None:
        places.append(("bodies", plan.body.directory))
    folder = next((output.path.parent for output in plan.outputs if output.is_local), None)
    if folder is not None:
        places += [("summary", folder / SUMMARY_FILE), ("report", folder / REPORT_FILE)]
    return places


def _next_steps(outcome: Outcome) -> list[tuple[str, str]]:
    if outcome.state != "finished":
        return [("go on", _command_line(without="--fresh"))]
    command = _command_line(without="--fresh")
    counts = outcome.summary["counts"]
    steps = [("again", command.replace(" retry ", " run ", 1) + " --fresh")]
    if isinstance(counts, dict) and counts.get("failed"):
        steps.insert(0, ("retry", command.replace(" run ", " retry ", 1)))
    return steps


def _command_line(without: str) -> str:
    """Give the command as the user typed it, to be copied."""
    left_out = (without, "--new-state", "--continue-anyway")  # the one said once, the other the same as --fresh
    arguments = shlex.join(argument for argument in sys.argv[1:] if argument not in left_out)
    return f"{_program()} {arguments}"


def _program() -> str:
    path = Path(sys.argv[0])
    if path.name == "__main__.py":
        return "python -m crawler.cli"
    if shutil.which(path.name) == str(path):
        return path.name
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def show_dry_run(job: Job, out: Path | None) -> None:
    """Print what the job comes to; reads the whole input, so that its mistakes are found too."""
    with _failures_of_the_engine():
        plan = job.plan(out=out)
        items = job.items(testbed_url="http://testbed" if job.testbed else None)
        first = list(islice(items, _DRY_RUN_SHOWN))
        total = len(first) + sum(1 for _ in items)
    print(f"{job.name}: {count(total, 'request')}, {plan.concurrency} at once, up to {plan.retry.attempts} tries each")
    for output in plan.outputs:
        print(f"  records: {output.path}")
    if plan.body.keep == "file":
        print(f"  bodies:  {plan.body.directory}")
    for item in first:
        print(f"  {item.method} {one_line(job.mask(item.url), 500)}")
    if total > len(first):
        print(f"  … and {count(total - len(first))} more")
    if job.kind == "crawl":
        from crawler.cli.crawl_preview import show_crawl

        show_crawl(job, plan)
