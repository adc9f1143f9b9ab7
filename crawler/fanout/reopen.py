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

import os
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import orjson

from crawler.fanout.database import DatabaseFrontier
from crawler.fanout.errors import HostSuspended, RunError, StateDamaged, output_error
from crawler.fanout.lock import StateLock
from crawler.fanout.plan import Plan
from crawler.fanout.rewrite import COPY_SUFFIX, Rewrite

_MAX_COPY: Final = 1 << 20


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
    files = [output.path for output in plan.outputs if str(output.path) != "-"]
    if not files:
        raise NothingToRetry(
            "the records of this run went to standard output, so nobody knows what failed how; "
            "add an output that is a file"
        )
    lock = StateLock(state_file.parent / "lock")
    try:
        frontier = DatabaseFrontier(state_file, plan.durability)
        try:
            return _reopen(frontier, files, lambda record: _is_chosen(record, kinds, statuses))
        finally:
            frontier.close()
    finally:
        lock.release()


def _reopen(frontier: DatabaseFrontier, files: Sequence[Path], is_chosen: Callable[[dict[str, object]], bool]) -> int:
    frontier.finish_rewrites()
    chosen: set[bytes] = set()
    for record, _ in _records(files[0], frontier.committed(str(files[0]))[0]):
        if is_chosen(record):
            chosen.add(_fingerprint(record, files[0]))
    if not chosen:
        return 0
    rewrites = [_copy_without(path, chosen, frontier.committed(str(path))[0]) for path in files]
    return frontier.reopen(chosen, rewrites)


def _is_chosen(record: dict[str, object], kinds: Sequence[str], statuses: Sequence[str]) -> bool:
    error = record.get("error")
    kind = str(error.get("kind")) if isinstance(error, dict) else ""
    if record.get("outcome") != "failed" and kind != HostSuspended.kind:
        return False
    if kinds and not any(fnmatchcase(kind, pattern) for pattern in kinds):
        return False
    status = str(record.get("status"))
    return not statuses or any(status == wanted or f"{status[0]}xx" == wanted for wanted in statuses)


def _records(path: Path, end: int) -> Iterator[tuple[dict[str, object], bytes]]:
    """The committed records of an output with their lines; what stands behind them no commit vouches for."""
    try:
        with open(path, "rb") as file:
            while file.tell() < end and (line := file.readline()):
                record = orjson.loads(line)
                if not isinstance(record, dict):
                    raise ValueError("not an object")
                yield record, line
    except FileNotFoundError as error:
        raise StateDamaged(f"{path} is gone; put it back, or begin anew with --fresh") from error
    except ValueError as error:
        raise StateDamaged(f"{path}: a line of it is no record of ours: {error}") from error
    except OSError as error:
        raise output_error(str(path), error) from error


def _fingerprint(record: dict[str, object], path: Path) -> bytes:
    try:
        return bytes.fromhex(str(record["id"]).removeprefix("b2:"))
    except (KeyError, ValueError) as error:
        raise StateDamaged(f"{path}: a record of it has no id of ours") from error


def _copy_without(path: Path, chosen: set[bytes], end: int) -> Rewrite:
    copy = path.with_name(path.name + COPY_SUFFIX)
    size = rows = 0
    try:
        with open(copy, "wb", buffering=_MAX_COPY) as file:
            for record, line in _records(path, end):
                if _fingerprint(record, path) not in chosen:
                    size += file.write(line)
                    rows += 1
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise output_error(str(copy), error) from error
    return Rewrite(str(path), size, rows)
