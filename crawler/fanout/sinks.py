"""Where records go. A sink appends batches, says how far it got, and can be cut back to where it once was.

That is all the run needs for "each record exactly once": the offset a sink reports is committed together with the
states of the requests; what stands behind the committed offset after a crash is cut off, and those requests are made
again.

Another format is another class with this face; a format that cannot be cut in the middle (Parquet, compressed files)
closes a part file per commit and reports the number of parts as its offset.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Sequence
from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import orjson

from crawler.fanout.errors import RunError, StateDamaged, output_error
from crawler.fanout.plan import Output
from crawler.fanout.record import Record

if TYPE_CHECKING:
    from crawler.fanout.frontier import Finished


class Sink(Protocol):
    """One output. Blocking; called from one thread at a time.

    Attributes:
        name: Identifies it in the state and in the summary: its path.
        rows: Records in it, those of earlier runs included.
        offset: Bytes (or whatever the format counts) up to where they reach.
    """

    name: str
    rows: int
    offset: int

    def size(self) -> int | None:
        """Give how far it reaches now, before it is opened; `None` if there is nothing."""

    def open(self) -> None:
        """Open for appending; create what is missing.

        Raises:
            OSError: It cannot be written.
        """

    def cut(self, offset: int, rows: int) -> None:
        """Forget everything behind `offset`, where `rows` records end."""

    def append(self, records: Sequence[Record]) -> None:
        """Write records to the system, whole. After an error part of them may be there: `cut` removes it."""

    def sync(self) -> None:
        """Wait until everything is on the disk."""

    def close(self) -> None:
        """Let go of the file."""

    def describe(self, *, with_digest: bool) -> dict[str, object]:
        """Give its row of the summary: path, rows, bytes, sha256."""


def encode_line(record: Record) -> bytes:
    """Write a record as one line of JSON.

    What `orjson` refuses (integers beyond 64 bits, lone surrogates from a broken URL) takes the slow way: a record
    may cost more, but is never lost.
    """
    try:
        return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        text = json.dumps(record, ensure_ascii=False, default=str, separators=(",", ":"))
        return text.encode("utf-8", "replace") + b"\n"


class JsonlSink:
    """Records as JSON lines in a file.

    Attributes:
        name: The path as text.
        rows, offset: Records and bytes in the file.
    """

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.rows = 0
        self._path = path
        self._fd = -1
        self.offset = 0

    def size(self) -> int | None:
        """Give the size of the file in bytes."""
        try:
            return self._path.stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def open(self) -> None:
        """Open for appending; the folders above are created."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self.offset = os.fstat(self._fd).st_size

    def cut(self, offset: int, rows: int) -> None:
        """Truncate to `offset`, which must be the end of a line."""
        if offset and os.pread(self._fd, 1, offset - 1) != b"\n":
            raise StateDamaged(
                f"{self._path}: no line ends at byte {offset}, where our records should go on; another program wrote "
                "to it. Restore it, or move it away and begin anew with --fresh"
            )
        os.ftruncate(self._fd, offset)
        self.offset = offset
        self.rows = rows

    def append(self, records: Sequence[Record]) -> None:
        """Write whole lines."""
        data = memoryview(b"".join(map(encode_line, records)))
        rest = data
        while rest:
            rest = rest[os.write(self._fd, rest) :]
        self.offset += len(data)
        self.rows += len(records)

    def sync(self) -> None:
        """Wait until the lines are on the disk."""
        os.fsync(self._fd)

    def close(self) -> None:
        """Close the file; idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def describe(self, *, with_digest: bool) -> dict[str, object]:
        """Give its row of the summary; the digest costs a read of the whole file."""
        digest = None
        if with_digest:
            with open(self._path, "rb") as file:
                digest = file_digest(file, "sha256").hexdigest()
        return {"path": self.name, "rows": self.rows, "bytes": self.offset, "sha256": digest}


class StdoutSink:
    """Records as JSON lines on standard output: nothing can be cut off there, so after a crash some may come twice."""

    def __init__(self) -> None:
        self.name = "-"
        self.rows = 0
        self.offset = 0

    def size(self) -> int | None:
        """Nothing of it can be read back."""
        return None

    def open(self) -> None:
        """Nothing to open."""

    def cut(self, offset: int, rows: int) -> None:
        """What was said stays said; only the counts go on from there."""
        self.offset, self.rows = offset, rows

    def append(self, records: Sequence[Record]) -> None:
        """Write whole lines and flush them."""
        data = b"".join(map(encode_line, records))
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        self.offset += len(data)
        self.rows += len(records)

    def sync(self) -> None:
        """Nothing to wait for."""

    def close(self) -> None:
        """Standard output is not ours to close."""

    def describe(self, *, with_digest: bool) -> dict[str, object]:
        """Give its row of the summary."""
        return {"path": "-", "rows": self.rows, "bytes": self.offset, "sha256": None}


def make_sink(output: Output) -> Sink:
    """Choose the sink for an output."""
    return StdoutSink() if str(output.path) == "-" else JsonlSink(output.path)


def write_records(sinks: Sequence[Sink], finished: Sequence[Finished]) -> None:
    """Append what became of requests to every sink, or to none.

    Raises:
        OutputError: One of them refused; all are cut back to where they were.
    """
    marks = marks_of(sinks)
    records = [one.record for one in finished]
    for sink in sinks:
        try:
            sink.append(records)
        except OSError as error:
            cut_back(sinks, marks)
            raise output_error(sink.name, error) from error


def marks_of(sinks: Sequence[Sink]) -> list[tuple[int, int]]:
    """Note where sinks stand, for `cut_back`."""
    return [(sink.offset, sink.rows) for sink in sinks]


def cut_back(sinks: Sequence[Sink], marks: Sequence[tuple[int, int]]) -> None:
    """Undo what was appended since the marks; what cannot be undone now, the next start undoes."""
    for sink, (offset, rows) in zip(sinks, marks, strict=True):
        with contextlib.suppress(OSError, RunError):
            sink.cut(offset, rows)
