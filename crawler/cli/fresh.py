"""`crawler run --fresh`: forget the earlier runs of a job."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from crawler.cli.bed import PORT_FILE
from crawler.cli.memo import MEMO_FILE
from crawler.fanout import Plan
from crawler.fanout.cookie_file import COOKIE_FILE
from crawler.fanout.errors import output_error
from crawler.fanout.lock import StateLock
from crawler.fanout.run import LOCK_FILE, STATE_FILE, SUMMARY_FILE
from crawler.fanout.sinks.part_table import noted_files
from crawler.fanout.summary import REPORT_FILE
from crawler.jobs.remote import FOLDER as LISTS_FOLDER


def forget(plan: Plan) -> None:
    """Remove the state, the records and the summary of earlier runs; bodies stay until they are written again.

    Only files the engine itself writes are removed, never a folder, as both may lie wherever the user said.

    Raises:
        StateLocked: A run is under way; nothing was removed.
        OutputError: A file cannot be removed.
    """
    with contextlib.ExitStack() as held:
        if plan.state_dir is not None and plan.state_dir.is_dir():
            lock = StateLock(plan.state_dir / LOCK_FILE)
            held.callback(lock.release)
        for path in _files(plan):
            try:
                path.unlink(missing_ok=True)
            except NotADirectoryError:
                pass  # the run itself says what is wrong with the folder
            except OSError as error:
                raise output_error(str(path), error) from error


def _files(plan: Plan) -> Iterator[Path]:
    if plan.state_dir is not None:
        noted = noted_files(plan.state_dir / STATE_FILE)  # read before the state goes
        for suffix in ("", "-wal", "-shm"):
            yield plan.state_dir / (STATE_FILE + suffix)
        yield plan.state_dir / PORT_FILE
        yield plan.state_dir / SUMMARY_FILE
        yield plan.state_dir / REPORT_FILE
        yield plan.state_dir / MEMO_FILE
        yield plan.state_dir / COOKIE_FILE
        yield from (plan.state_dir / LISTS_FOLDER).glob("*")
        yield from noted
    files = [output.path for output in plan.outputs if output.is_local]
    yield from files
    if files:
        yield files[0].parent / SUMMARY_FILE
        yield files[0].parent / REPORT_FILE
