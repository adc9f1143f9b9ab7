"""Rows as bytes in files that can be cut: what most formats are.

A part is a plain file of whole rows, or of whole compressed pieces, one per batch. With `{seq}` in the path the output
goes on in a new part as soon as one has enough rows or bytes; a part that was left is on the disk before its successor
is noted, so that only the last one can ever lack something after a power cut.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING, Final

from crawler.fanout.errors import OutputError, StateDamaged
from crawler.fanout.record import Record
from crawler.fanout.sinks.compress import compression_of, open_packed, packer
from crawler.fanout.sinks.lines import format_of
from crawler.fanout.sinks.parts import MemoryLog, Part, PartLog, is_numbered, part_name
from crawler.fanout.sinks.rows import Selection

if TYPE_CHECKING:
    from crawler.fanout.frontier import Finished
    from crawler.fanout.plan import Output

ROLL_ROWS: Final = 100_000
ROLL_SIZE: Final = 256 * 1024 * 1024
_FRAME: Final = 1 << 20
"""Bytes that go into one compressed piece where a part may end at a size; only then it is known how small it got."""


class Chunk:
    """What one part gets of a batch.

    Attributes:
        part: The new part it begins, if it does.
        data: The bytes.
        rows: How many rows they are.
    """

    __slots__ = ("data", "part", "rows")

    def __init__(self, part: Part | None, data: bytes, rows: int) -> None:
        self.part = part
        self.data = data
        self.rows = rows


class FileSink:
    """An output of lines in one file, or in a row of them.

    Args:
        output: Where and what.

    Attributes:
        name, rows, offset, is_archive: See `Sink`.
    """

    is_archive = False

    def __init__(self, output: Output) -> None:
        self.name = output.identity or str(output.path)
        self.rows = 0
        self.offset = 0
        self._output = output
        self._template = str(output.path)
        self._format = format_of(output)
        self._compression = compression_of(output)
        self._pack = packer(self._compression)
        self._selection = Selection(output)
        numbered = is_numbered(self._template)
        self._roll_rows = (output.roll_rows or ROLL_ROWS) if numbered else None
        self._roll_size = (output.roll_size or ROLL_SIZE) if numbered else None
        self._log: PartLog = MemoryLog()
        self._committed: tuple[int, int] | None = None
        self._parts: list[Part] = [self._part(0, 0, 0)]
        self._staged: list[Chunk] = []
        self._fd = -1

    # -- beginning ----------------------------------------------------------------------------------------------------

    def begin(self, log: PartLog, committed: tuple[int, int] | None) -> None:
        """Learn what earlier runs left."""
        self._log = log
        self._committed = committed
        parts = log.parts(self.name)
        if parts:
            self._parts = parts
        elif committed is None:
            log.add(self.name, self._parts[0])

    def size(self) -> int | None:
        """Give how far the last part reaches; parts before it were synced, and may have been taken away since."""
        last = self._parts[-1]
        try:
            return last.start + os.stat(last.path).st_size
        except (FileNotFoundError, NotADirectoryError):
            return None if len(self._parts) == 1 or not last.start else last.start

    def open(self) -> None:
        """Open the last part for appending; the folders above are created."""
        last = self._parts[-1]
        path = Path(last.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        size = os.fstat(self._fd).st_size
        if self._committed is None and size:
            self._check_foreign(path)
        self.offset = last.start + size

    def _check_foreign(self, path: Path) -> None:
        """Refuse a file that others wrote, unless it can be appended to."""
        if not self._output.append:
            raise OutputError(
                f"{path} exists already, and the job says `append: false`; move it away, or begin anew with --fresh"
            )
        header = self._format.header
        if header and self._compression == "none" and os.pread(self._fd, len(header), 0) != header:
            raise OutputError(
                f"{path} exists already, and its columns are others than those of this job; move it away, or begin "
                "anew with --fresh"
            )

    def cut(self, offset: int, rows: int) -> None:
        """Go back to `offset`: later parts are removed, the one it lies in is truncated."""
        self._log.remove(self.name, [chunk.part.seq for chunk in self._staged if chunk.part is not None])
        self._staged = []
        while len(self._parts) > 1 and self._parts[-1].start >= offset:
            self._remove(self._parts.pop())
        part = self._parts[-1]
        if self._fd < 0:
            self._fd = os.open(part.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        local = offset - part.start
        self._check_cut(part, local)
        os.ftruncate(self._fd, local)
        self.offset = offset
        self.rows = rows

    def _check_cut(self, part: Part, local: int) -> None:
        if self._compression != "none":
            is_there = os.fstat(self._fd).st_size >= local
        else:
            is_there = not local or os.pread(self._fd, 1, local - 1) == b"\n"
        if not is_there:
            raise StateDamaged(
                f"{part.path}: no line ends at byte {local}, where our records should go on; another program wrote "
                "to it. Restore it, or move it away and begin anew with --fresh"
            )

    def _remove(self, part: Part) -> None:
        """Undo a part that no commit vouches for."""
        self._close_file()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part.path)
        self._log.remove(self.name, [part.seq])

    # -- writing ------------------------------------------------------------------------------------------------------

    def stage(self, finished: Sequence[Finished]) -> None:
        """Encode a batch, cut into what each part gets; new parts are noted here."""
        self.stage_rows(self._selection.rows(finished))

    def stage_rows(self, rows: Sequence[Record]) -> None:
        """Encode rows that were chosen already."""
        if rows:
            self._staged = list(self._chunks(rows))

    def append(self) -> None:
        """Write what was staged."""
        for chunk in self._staged:
            if chunk.part is not None:
                self._begin_part(chunk.part)
            rest = memoryview(chunk.data)
            while rest:
                rest = rest[os.write(self._fd, rest) :]
            self.offset += len(chunk.data)
            self.rows += chunk.rows
        self._staged = []

    def _chunks(self, rows: Sequence[Record]) -> Iterator[Chunk]:
        """Encode rows until the part is full, and so on; `offset` and `rows` here run ahead of what is written."""
        offset, count = self.offset, self.rows
        part = self._parts[-1]
        new = self._next_part(part, offset, count, is_due=self._is_left(part))
        lines: list[bytes] = []
        size = 0

        def flush() -> Chunk:
            nonlocal offset, new, size
            begins = part.start == offset
            data = self._pack((self._format.header if begins else b"") + b"".join(lines))
            chunk = Chunk(new, data, len(lines))
            offset += len(data)
            new, size = None, 0
            lines.clear()
            return chunk

        part = new or part
        for row in rows:
            if self._is_full(part, offset + size, count):
                if lines:
                    yield flush()
                if self._is_full(part, offset, count):
                    new = self._next_part(part, offset, count, is_due=True)
                    part = new or part
            line = self._format.encode(row)
            if not line:
                continue
            lines.append(line)
            size += len(line)
            count += 1
        if lines:
            yield flush()

    def _is_full(self, part: Part, offset: int, rows: int) -> bool:
        if self._roll_rows is None or self._roll_size is None or rows == part.start_rows:
            return False
        if rows - part.start_rows >= self._roll_rows:
            return True
        return offset - part.start >= self._roll_size

    def _is_left(self, part: Part) -> bool:
        """Whether this run writes under other names than the part has: its path names the run or the day."""
        return os.path.abspath(part.path) != os.path.abspath(part_name(self._template, part.seq))

    def _next_part(self, part: Part, offset: int, rows: int, *, is_due: bool) -> Part | None:
        if not is_due:
            return None
        new = self._part(part.seq + 1, offset, rows)
        if os.path.lexists(new.path):
            raise OutputError(f"{new.path} exists already and is none of ours; move it away, or choose another path")
        self._log.add(self.name, new)
        return new

    def _part(self, seq: int, start: int, rows: int) -> Part:
        return Part(seq, part_name(self._template, seq), start, rows)

    def _begin_part(self, part: Part) -> None:
        os.fsync(self._fd)
        self._close_file()
        Path(part.path).parent.mkdir(parents=True, exist_ok=True)
        self._parts.append(part)
        self._fd = os.open(part.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)

    # -- ending -------------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """A part of plain files needs no more."""

    def finish(self) -> None:
        """Give a file without rows what makes it one: its header, an empty compressed piece.

        It stands behind the committed offset, so that the next run cuts it off again.
        """
        last = self._parts[-1]
        if self.offset == last.start and (self._format.header or self._compression != "none"):
            os.write(self._fd, self._pack(self._format.header))

    def sync(self) -> None:
        """Wait until the lines are on the disk."""
        os.fsync(self._fd)

    def close(self) -> None:
        """Close the file; idempotent."""
        self._close_file()

    def _close_file(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def describe(self, *, with_digest: bool) -> dict[str, object]:
        """Give its row of the summary; a digest costs a read of the whole file. Several parts are listed."""
        parts = [self._describe(n, with_digest=with_digest) for n in range(len(self._parts))]
        if len(parts) == 1:
            return {**parts[0], "rows": self.rows, "bytes": self.offset}
        return {"path": self.name, "rows": self.rows, "bytes": self.offset, "sha256": None, "parts": parts}

    def _describe(self, n: int, *, with_digest: bool) -> dict[str, object]:
        part = self._parts[n]
        end, rows = self.offset, self.rows
        if n + 1 < len(self._parts):
            end, rows = self._parts[n + 1].start, self._parts[n + 1].start_rows
        digest = digest_of(part.path) if with_digest else None
        return {"path": part.path, "rows": rows - part.start_rows, "bytes": end - part.start, "sha256": digest}


def digest_of(path: str) -> str | None:
    """Give the SHA-256 of a file; `None` if it is not there any more."""
    try:
        with open(path, "rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def read_header(path: Path) -> bytes:
    """Give the first line of a file, whatever its compression."""
    with open_packed(path) as file:
        return file.readline()
