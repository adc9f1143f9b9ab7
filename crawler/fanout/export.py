"""The records of a run, finished or not, in another form: `crawler export`.

Nothing of the run is changed or held: the state is read as it is at this moment, and of the outputs what it vouches
for. So an export may be made while the run goes on.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Final

from crawler.fanout.errors import RunError, state_error
from crawler.fanout.plan import Output, Plan
from crawler.fanout.sinks import FileSink, MemoryLog, StdoutSink, make_sink
from crawler.fanout.sinks.fields import type_of
from crawler.fanout.sinks.part_table import state_key, stored_parts
from crawler.fanout.sinks.parts import Part
from crawler.fanout.sinks.reading import TABLES, Stored, stored_rows

_BATCH: Final = 1_000


class NothingToExport(RunError):
    """There is no run, or none of its outputs has what is asked for."""

    exit_code = 2


def export(plan: Plan, target: Output, *, state_file: Path, tell: Callable[[int, int], None]) -> int:
    """Write the rows of a run's outputs to another output; gives how many.

    Blocking. Memory holds a batch of rows (and a row group, for Parquet).

    Args:
        plan: Whose outputs.
        target: Where to and which rows; must not be there yet.
        state_file: The database in `plan.state_dir`.
        tell: Called now and then with the rows read, and those there are.

    Raises:
        NothingToExport: There is no run, or no output has these rows.
        StateDamaged, OutputError: Something cannot be read, or not be written.
    """
    source = find_source(plan, target, state_file)
    sink, log = make_sink(target), MemoryLog()
    assert isinstance(sink, FileSink | StdoutSink)
    sink.begin(log, None)
    written = read = 0
    try:
        sink.open()
        rows = stored_rows(source)
        while batch := list(islice(rows, _BATCH)):
            written += sink.write_rows(batch)
            read += len(batch)
            tell(read, source.rows)
        sink.finish()
    except BaseException:
        _remove(part.target or part.path for part in log.parts(sink.name))  # half an export is none
        raise
    finally:
        sink.close()
        _remove(part.path for part in log.parts(sink.name) if part.target)
    return written


def _remove(paths: Iterable[str]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            os.unlink(path)


def find_source(plan: Plan, target: Output, state_file: Path) -> Stored:
    """Find the output of a run that has the rows for another one.

    Raises:
        NothingToExport: There is none.
    """
    if not state_file.is_file():
        raise NothingToExport(f"there is no run in {state_file.parent}; `crawler run` makes one")
    candidates = [
        output
        for output in plan.outputs
        if output.records == target.records and output.format in TABLES and not output.is_stdout
    ]
    whole = [output for output in candidates if output.where is None and _has_fields(output, target)]
    if not whole:
        raise NothingToExport(
            f"no output of this run has all its {target.records} with the fields asked for: that takes one of jsonl, "
            "csv or parquet without `where`"
        )
    best = min(whole, key=lambda output: (bool(output.fields), TABLES.index(output.format)))
    return read_stored(best, state_file)


def _has_fields(output: Output, target: Output) -> bool:
    """Whether an output has the fields that another one names; one that names none takes what there is."""
    if not output.fields:
        return True
    known = {name.partition(".")[0]: "json" for name in output.fields}
    return all(type_of(name, known) is not None for name in target.fields)


def read_stored(output: Output, state_file: Path) -> Stored:
    """Ask the state how far an output is vouched for, and in which parts, without holding it."""
    name = output.identity or output.remote or str(output.path)
    key = state_key(name, state_file)
    try:
        with contextlib.closing(sqlite3.connect(f"file:{state_file.absolute()}?mode=ro", uri=True)) as db:
            db.execute("BEGIN")  # one moment for both questions
            mark = db.execute(
                "SELECT offset, rows FROM commits WHERE output = ? ORDER BY id DESC LIMIT 1", (key,)
            ).fetchone()
            parts = stored_parts(db, key, state_file)
    except sqlite3.Error as error:
        raise state_error(state_file, error) from error
    offset, rows = mark or (0, 0)
    return Stored(output, parts or [Part(0, str(output.path), 0, 0)], offset, rows)
