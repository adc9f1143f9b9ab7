"""Which runs are kept: a decision over a list of runs, nothing removed here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from crawler.jobs.service_schema import Retention
from crawler.service.states import ENDED, State
from crawler.service.store import RunRow


def is_good(run: RunRow) -> bool:
    """Whether a run did what it should: all done, nothing failed beyond what the job tolerates."""
    return run.state is State.FINISHED and run.exit_code == 0


def expired(runs: Sequence[RunRow], policy: Retention, now: float) -> list[RunRow]:
    """The runs of one job that go, the oldest first. Never one that is not over, and never the last good one.

    Args:
        runs: All runs of the job, the newest first.
        policy: The job's.
        now: Seconds since the epoch.
    """
    over = [run for run in runs if run.state in ENDED]
    good = [run for run in over if is_good(run)]
    bad = [run for run in over if not is_good(run) and run.started is not None]
    idle = [run for run in over if run.started is None]
    last_good = {run.id for run in good[:1]}
    going: dict[str, RunRow] = {}
    if policy.runs is not None:
        _add(going, good[policy.runs :])
        _add(going, idle[policy.runs :])  # left out or missed: lines of the history, without a folder
    _add(going, bad[policy.keep_failed :])
    if policy.age is not None:
        _add(going, (run for run in over if now - run.created > policy.age))
    if policy.size is not None:
        total = 0
        for run in over:
            total += 0 if run.id in going else run.size
            if total > policy.size:
                _add(going, [run])
                total -= run.size
    return sorted((run for run in going.values() if run.id not in last_good), key=lambda run: run.id)


def _add(going: dict[str, RunRow], runs: Iterable[RunRow]) -> None:
    going.update((run.id, run) for run in runs)
