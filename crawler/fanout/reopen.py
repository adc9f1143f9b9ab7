"""Put what failed back on the list, so that the next run tries it again: `crawler retry`.

A URL has one record, always. So the records of the requests that are put back leave the outputs, and states, offsets
and counts change with them:

    1  each output is copied without these records to PATH.retry, and synced
    2  one transaction: the requests are pending, the new offsets are committed, the copies are noted as due
    3  each copy is renamed over its output
    4  the note is taken away

A crash before 2 leaves everything as it was, one after 2 is finished by the next opening (`finish_rewrites`): the note
says which copies there are, and a copy that is not there any more has got its name already.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from crawler.fanout.database import DatabaseFrontier
from crawler.fanout.errors import HostSuspended, RunError
from crawler.fanout.lock import StateLock
from crawler.fanout.plan import Output, Plan
from crawler.fanout.sinks.reading import TABLES, stored_rows
from crawler.fanout.sinks.rewriting import check_rewritable, copy_without
from crawler.fanout.sinks.rewriting import fingerprint_of as _fingerprint

_TELLING: Final = ("id", "outcome", "status", "error.kind")


class NothingToRetry(RunError):
    """There is no state, or no way to tell what failed how."""

    exit_code = 2


def reopen(plan: Plan, kinds: Sequence[str] = (), statuses: Sequence[str] = (), *, state_file: Path) -> int:
    """Make failed requests of earlier runs pending again; gives how many.

    Blocking, and safe against a crash at any moment.

    Args:
        plan: Whose state and outputs.
        kinds: Shell patterns of error kinds; none is all that failed and what was skipped with `host_suspended`.
        statuses: Statuses (`404`) or classes of them (`5xx`) of the responses; none is any.
        state_file: The database in `plan.state_dir`.

    Raises:
        NothingToRetry: There is no state, or no output that tells kinds and statuses.
        StateLocked, StateDamaged, OutputError: As for a run.
    """
    assert plan.state_dir is not None
    if not state_file.is_file():
        raise NothingToRetry(f"there is no run in {plan.state_dir}; `crawler run` makes one")
    source = _source(plan)
    lock = StateLock(state_file.parent / "lock")
    try:
        frontier = DatabaseFrontier(state_file, plan.durability)
        try:
            return _reopen(frontier, plan, source, lambda record: _is_chosen(record, kinds, statuses))
        finally:
            frontier.close()
    finally:
        lock.release()


def _source(plan: Plan) -> Output:
    """Choose the output that tells what failed how."""
    for output in plan.outputs:
        is_readable = output.is_local and output.format in ("jsonl", "csv")
        is_whole = output.records == "requests" and output.where is None
        if is_readable and is_whole and all(_has(output, name) for name in _TELLING):
            return output
    raise NothingToRetry(
        "no output of this run tells what failed how: that takes a file of jsonl or csv without `where` and with the "
        f"fields {', '.join(_TELLING)}, and not standard output; add one and run the job once more with --fresh"
    )


def _has(output: Output, name: str) -> bool:
    heads = {name, name.partition(".")[0]}
    return not output.fields or not heads.isdisjoint(output.fields)


def _rewritten(plan: Plan) -> list[Output]:
    """Give the outputs that lose records: those with one per request.

    Others keep what they have: a try that was made was made, an archive has what came, and what failed has neither
    items nor checksums.
    """
    return [
        output
        for output in plan.outputs
        if output.format in TABLES and output.records == "requests" and not output.is_stdout
    ]


def _reopen(
    frontier: DatabaseFrontier, plan: Plan, source: Output, is_chosen: Callable[[dict[str, object]], bool]
) -> int:
    frontier.finish_rewrites()
    chosen: set[bytes] = set()
    stored = frontier.stored(source)
    for record in stored_rows(stored):
        if is_chosen(record):
            chosen.add(_fingerprint(record, stored.output.path))
    if not chosen:
        return 0
    outputs = [frontier.stored(output) for output in _rewritten(plan)]
    for one in outputs:
        check_rewritable(one, stored)
    return frontier.reopen(chosen, [copy_without(one, chosen, stored) for one in outputs])


def _is_chosen(record: dict[str, object], kinds: Sequence[str], statuses: Sequence[str]) -> bool:
    error = record.get("error")
    kind = str(error.get("kind")) if isinstance(error, dict) else ""
    if record.get("outcome") != "failed" and kind != HostSuspended.kind:
        return False
    if kinds and not any(fnmatchcase(kind, pattern) for pattern in kinds):
        return False
    status = str(record.get("status"))  # a text in a table
    return not statuses or any(status == wanted or f"{status[0]}xx" == wanted for wanted in statuses)
