"""The process of one run: `python -m crawler.service.worker`. It dies alone, whatever a page or a bug does to it.

    standard input    one line of JSON, the `Order`; then `stop` or `abort`; its end means that the service is gone
    standard output   one JSON object per line: started, progress (each second), ended or refused
    standard error    the run's log

When the service is gone, the run stops by itself, gracefully; the service that comes next goes on with it. Until then
the lock of the run's state keeps a second process out.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

import orjson

from crawler.fanout import Output, Plan, Run, Stats
from crawler.fanout.errors import RunError
from crawler.fanout.sinks.compress import compression_of
from crawler.jobs import Job, JobError, load_job
from crawler.jobs.crew_job import run_of
from crawler.jobs.network import guard_of
from crawler.jobs.watch_rules import LogPlan
from crawler.jobs.watching import watched
from crawler.service.content import content_digest, folder_size
from crawler.service.logs import log_to_stderr

PROGRESS_S: Final = 1.0
SHOWN: Final = 20
"""Hosts and error kinds told in each report of progress."""
TESTBED_NETWORK: Final = ("127.0.0.1", "::1")
LOCKED: Final = 6
"""Exit code of a run whose state another process holds."""

NICENESS: Final = 5
"""Runs yield to the service: where both want the processor, the API answers first."""

_log: Final = logging.getLogger("crawler.service.run")
Command = Literal["stop", "abort"]


@dataclass(frozen=True, slots=True)
class Order:
    """What a process is to do.

    Attributes:
        run_id: Name of the run.
        job: Path of the job file.
        folder: Takes everything the run writes.
        inline: The job came through the API: no environment, nothing but the public Internet.
        begun: When the run first began, seconds since the epoch.
        allow: Addresses and networks it may reach besides the public ones.
        grace: What requests in flight get when it is stopped.
    """

    run_id: str
    job: str
    folder: str
    inline: bool
    begun: float
    allow: tuple[str, ...]
    grace: float


class Wire:
    """The two ends of the pipe to the service."""

    def __init__(self, source: BinaryIO, target: BinaryIO) -> None:
        self._source = source
        self._target = target

    def order(self) -> Order:
        """Read what is to be done."""
        values = orjson.loads(self._source.readline())
        return Order(**{**values, "allow": tuple(values["allow"])})

    def commands(self, act: Callable[[Command], None]) -> None:
        """Hand on what the service says, from a thread of its own, until it is gone."""

        def read() -> None:
            for line in self._source:
                word = line.strip().decode("ascii", "replace")
                if word in ("stop", "abort"):
                    act("stop" if word == "stop" else "abort")
            act("stop")

        threading.Thread(target=read, name="commands", daemon=True).start()

    def say(self, kind: str, **values: object) -> None:
        """Tell the service something; that it is gone, the other thread finds out."""
        with contextlib.suppress(OSError):
            self._target.write(orjson.dumps({"kind": kind, **values}, default=str) + b"\n")
            self._target.flush()


def main() -> int:
    """Do what standard input says; gives the run's exit code."""
    wire = _take_pipes()
    log_to_stderr()
    if sys.platform != "win32":
        os.nice(NICENESS)
    order = wire.order()
    try:
        return _execute(order, wire)
    except (JobError, RunError, Refused) as error:
        code = getattr(error, "exit_code", 2)
        _log.error("%s", error)
        wire.say("refused", message=str(error)[:4000], exit_code=code)
        return int(code)


class Refused(Exception):
    """The run cannot begin; the message says why."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def _take_pipes() -> Wire:
    """Keep the pipes for ourselves: what a job writes to standard output goes to the log, and it reads nothing."""
    source = os.fdopen(os.dup(0), "rb")
    target = os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return Wire(source, target)


def _execute(order: Order, wire: Wire) -> int:
    # Whoever took the job saw to it that somebody is named, or need not be.
    job = load_job(order.job, environment={} if order.inline else None, anonymous=True)
    for warning in job.warnings:
        _log.warning("%s", warning)
    if job.kind == "bench":
        from crawler.service.worker_bench import run_bench

        return run_bench(job, order, wire)
    allow = (*order.allow, *(TESTBED_NETWORK if job.testbed and not order.inline else ()))
    guard = guard_of(job.network, public_only=True, allow=allow)
    folder = Path(order.folder)
    plan = job.plan(out=folder, run_id=order.run_id, begun=datetime.fromtimestamp(order.begun, UTC), guard=guard)
    plan = replace(plan, outputs=_to_files(plan.outputs, folder), grace=min(plan.grace, order.grace))
    with _testbed(job, plan) as url:
        staff = job.staff(plan, testbed_url=url)
        run = run_of(job, plan, staff, testbed_url=url, public_only=True, allow=allow)
        with watched(job, run, _log_here(job.log, folder)):
            return _run(run, plan, wire)


def _log_here(log: LogPlan | None, folder: Path) -> LogPlan | None:
    """The job's own log: into the run's folder, or among the lines that `run.log` has anyway; for programs."""
    if log is None:
        return None
    form = "json" if log.format == "auto" else log.format
    return replace(log, format=form, file=None if log.file is None else folder / log.file.name)


def _to_files(outputs: tuple[Output, ...], folder: Path) -> tuple[Output, ...]:
    """Standard output is nobody's here; and the records must be somewhere that can be shown, page by page."""
    kept = tuple(output for output in outputs if not output.is_stdout)
    if any(_can_be_shown(output) for output in kept):
        return kept
    taken = {output.path for output in kept}
    names = ("results.jsonl", "records.jsonl", *(f"records-{n}.jsonl" for n in range(len(kept))))
    return (Output(next(folder / name for name in names if folder / name not in taken)), *kept)


def _can_be_shown(output: Output) -> bool:
    """Whether a page of it can be found by its place in the file: whole records, a line each, in one plain file."""
    is_whole = output.records == "requests" and not output.fields and output.where is None
    is_plain = output.format == "jsonl" and compression_of(output) == "none" and "{seq" not in str(output.path)
    return output.is_local and is_whole and is_plain


@contextlib.contextmanager
def _testbed(job: Job, plan: Plan) -> Iterator[str | None]:
    """The embedded test server, on the same port each time the run goes on: its URLs are the run's."""
    if not job.testbed:
        yield None
        return
    from crawler.testbed import ListenError, Testbed

    assert plan.state_dir is not None
    note = plan.state_dir / "testbed-port"
    remembered = int(note.read_text()) if note.exists() else 0
    bed = Testbed(port=remembered)
    try:
        bed.start()
    except ListenError as error:
        raise Refused(f"the port {remembered} of the testbed is taken: {error}", LOCKED) from error
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(bed.url.rpartition(":")[2])
        yield bed.url
    finally:
        bed.stop()


def _run(run: Run, plan: Plan, wire: Wire) -> int:
    if sys.platform == "win32":
        return asyncio.run(_drive(run, plan, wire))
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_drive(run, plan, wire))


async def _drive(run: Run, plan: Plan, wire: Wire) -> int:
    """Run it, tell how it goes, obey."""
    loop = asyncio.get_running_loop()
    acts: dict[Command, Callable[[], None]] = {
        "stop": lambda: run.stop("requested"),
        "abort": lambda: run.abort("requested"),
    }

    def act(command: Command) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: it is over anyway
            loop.call_soon_threadsafe(acts[command])

    wire.commands(act)
    wire.say("started", outputs=_shown_outputs(plan))
    _log.info("run %s of %s begins", plan.run_id, plan.name)
    teller = asyncio.create_task(_tell(run.stats, wire))
    try:
        outcome = await run.execute()
    finally:
        teller.cancel()
    now = loop.time()
    content = None
    if outcome.state == "finished":
        content = await asyncio.to_thread(content_digest, _records(plan))
    size = await asyncio.to_thread(folder_size, plan.state_dir.parent if plan.state_dir is not None else None)
    _log.info("run %s is %s, exit code %d %s", plan.run_id, outcome.state, outcome.exit_code, outcome.message)
    wire.say(
        "ended",
        state=outcome.state,
        exit_code=outcome.exit_code,
        message=outcome.message,
        content=content,
        size=size,
        progress=snapshot(run.stats, now),
    )
    return outcome.exit_code


def _records(plan: Plan) -> Path:
    return next(output.path for output in plan.outputs if _can_be_shown(output))


def _shown_outputs(plan: Plan) -> list[dict[str, Any]]:
    return [
        {"path": str(output.path), "format": output.format, "is_shown": _can_be_shown(output)}
        for output in plan.outputs
    ]


async def _tell(stats: Stats, wire: Wire) -> None:
    """Say each second how it goes; also a sign of life."""
    loop = asyncio.get_running_loop()
    count = 0
    while True:
        wire.say("progress", progress=snapshot(stats, loop.time()))
        count += 1
        if count % 10 == 0:
            _log.info("%d done, %d failed, %d pending, %d in flight", *_figures(stats))
        await asyncio.sleep(PROGRESS_S)


def _figures(stats: Stats) -> tuple[int, int, int, int]:
    return stats.done, stats.failed, stats.pending, stats.in_flight


def snapshot(stats: Stats, now: float) -> dict[str, Any]:
    """How a run stands, as the API and the pages show it; rates are per second, times are seconds."""
    hosts = sorted(stats.hosts.items(), key=lambda pair: -pair[1].n)[:SHOWN]
    return {
        "elapsed": round(now - stats.started, 3),
        "submitted": stats.submitted,
        "is_total_known": stats.is_total_known,
        "done": stats.done,
        "pending": stats.pending,
        "in_flight": stats.in_flight,
        "waiting": stats.waiting,
        "counts": dict(stats.counts),
        "status": {str(code): n for code, n in stats.status.items()},
        "bytes": stats.bytes,
        "bytes_wire": stats.bytes_wire,
        "retries": stats.retries,
        "rate": {"now": round(stats.rate.now(now), 2), "mean": round(stats.rate.mean(now), 2)},
        "errors": [
            {"kind": error.kind, "n": error.n, "host": error.host, "example": error.example}
            for error in stats.errors_by_kind()[:SHOWN]
        ],
        "hosts": [{"host": name, "n": host.n, "ok": host.ok, "mean": round(host.mean, 4)} for name, host in hosts],
    }


if __name__ == "__main__":
    sys.exit(main())
