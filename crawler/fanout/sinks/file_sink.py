"""Rows as bytes in files that can be cut: what most formats are.

A part is a plain file of whole rows, or of whole compressed pieces, one per batch. With `{seq}` in the path the output
goes on in a new part as soon as one has enough rows or bytes; a part that was left is on the disk before its successor
is noted, so that only the last one can ever lack something after a power cut.

What cannot be cut (a Parquet file) or is elsewhere (an object store) is *published*: rows are collected in a file of
this kind below the state's folder, and when the part is complete and committed, or the run is over, the final thing is
made of it in one step. The collected rows of the last part stay, so that the next run goes on with it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from crawler.fanout.errors import OutputError, StateDamaged
from crawler.fanout.record import Record
from crawler.fanout.sinks.compress import Compression, compression_of, packer
from crawler.fanout.sinks.lines import Format, format_of
from crawler.fanout.sinks.parts import MemoryLog, Part, PartLog, is_numbered, part_name
from crawler.fanout.sinks.publish import Publisher
from crawler.fanout.sinks.rows import Selection

if TYPE_CHECKING:
    from crawler.fanout.frontier import Finished
    from crawler.fanout.plan import Output

_FRAME: Final = 1 << 20
"""Bytes of a file that are in memory at once."""


class Chunk:
    """What one part gets of a batch.

    Attributes:
        part: The new part it begins, if it does.
        data: The bytes; a file of them if they are many, which goes when they are written.
        rows: How many rows they are.
    """

    __slots__ = ("data", "part", "rows")

    def __init__(self, part: Part | None, data: bytes | Path, rows: int) -> None:
        self.part = part
        self.data = data
        self.rows = rows

    def pieces(self) -> Iterator[bytes]:
        """Give the bytes."""
        if isinstance(self.data, bytes):
            yield self.data
            return
        with open(self.data, "rb") as file:
            while piece := file.read(_FRAME):
                yield piece

    def discard(self) -> None:
        """Remove the file, if there is one."""
        if isinstance(self.data, Path):
            self.data.unlink(missing_ok=True)


class FileSink:
    """An output of rows in one file, or in a row of them.

    Args:
        output: Where and what.
        publisher: Makes the final thing of what was collected, if that is another.
        folder: Where is collected for the publisher.
        compression: Of the collected rows; `None` is that of the output.

    Attributes:
        name, rows, offset, is_archive, has_left_part: See `Sink`.
    """

    is_archive = False
    roll_rows: ClassVar[int] = 100_000
    roll_size: ClassVar[int] = 256 * 1024 * 1024

    def __init__(
        self,
        output: Output,
        *,
        publisher: Publisher | None = None,
        folder: Path | None = None,
        compression: Compression | None = None,
    ) -> None:
        self.name = output.identity or output.remote or str(output.path)
        self.rows = 0
        self.offset = 0
        self.has_left_part = False
        self._output = output
        self._template = output.remote or str(output.path)
        self._publisher = publisher
        self._folder = folder
        self._format = self._make_format()
        self._compression = compression_of(output) if compression is None else compression
        self._pack = packer(self._compression)
        self._selection = Selection(output)
        numbered = is_numbered(self._template)
        self._roll_rows = (output.roll_rows or self.roll_rows) if numbered else None
        self._roll_size = (output.roll_size or self.roll_size) if numbered else None
        self._log: PartLog = MemoryLog()
        self._committed: tuple[int, int] | None = None
        self._parts: list[Part] = [self._part(0, 0, 0)]
        self._staged: list[Chunk] = []
        self._fd = -1

    def _make_format(self) -> Format:
        return format_of(self._output)

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
        if self._committed is None:
            self._check_foreign(last, size)
        self.offset = last.start + size

    def _check_foreign(self, part: Part, size: int) -> None:
        """Refuse a file that others wrote, unless it can be appended to."""
        if self._publisher is not None:
            if self._publisher.exists(part.target):
                raise OutputError(
                    f"{part.target} exists already, and nothing can be appended to it; move it away, or begin anew "
                    "with --fresh"
                )
            os.ftruncate(self._fd, 0)  # collected by a run whose state is gone
            return
        path = part.path
        if not size:
            return
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
        while len(self._parts) > 1 and (
            self._parts[-1].start > offset or self._parts[-2].start == self._parts[-1].start == offset
        ):
            self._remove(self._parts.pop())
        part = self._parts[-1]
        if part.is_published:
            raise StateDamaged(
                f"{part.target} is complete, and has records that other outputs have lost; begin anew with --fresh"
            )
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

    def write_rows(self, rows: Sequence[Record]) -> int:
        """Write rows outside of a run; gives how many of them the output wanted."""
        chosen = self._selection.choose(rows)
        self.stage_rows(chosen)
        self.append()
        self.settle()
        return len(chosen)

    def append(self) -> None:
        """Write what was staged."""
        for chunk in self._staged:
            if chunk.part is not None:
                self._begin_part(chunk.part)
            for piece in chunk.pieces():
                rest = memoryview(piece)
                while rest:
                    rest = rest[os.write(self._fd, rest) :]
                self.offset += len(piece)
            self.rows += chunk.rows
            chunk.discard()
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
        name = part_name(self._template, part.seq)
        if self._output.remote:
            return part.target != name
        return os.path.abspath(part.target or part.path) != os.path.abspath(name)

    def _next_part(self, part: Part, offset: int, rows: int, *, is_due: bool) -> Part | None:
        if not is_due:
            return None
        new = self._part(part.seq + 1, offset, rows)
        taken = os.path.lexists(new.path) if self._publisher is None else self._publisher.exists(new.target)
        if taken:
            name = new.target or new.path
            raise OutputError(f"{name} exists already and is none of ours; move it away, or choose another path")
        if self._publisher is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(new.path)
        self._log.add(self.name, new)
        return new

    def _part(self, seq: int, start: int, rows: int) -> Part:
        name = part_name(self._template, seq)
        if self._publisher is None:
            return Part(seq, name, start, rows)
        assert self._folder is not None
        digest = blake2b(self.name.encode("utf-8", "surrogateescape"), digest_size=6).hexdigest()
        return Part(seq, str(self._folder / f"{digest}-{seq:05d}.rows"), start, rows, target=name)

    def _begin_part(self, part: Part) -> None:
        os.fsync(self._fd)
        self._close_file()
        Path(part.path).parent.mkdir(parents=True, exist_ok=True)
        self._parts.append(part)
        self.has_left_part = True
        self._fd = os.open(part.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)

    # -- ending -------------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Publish parts that are complete, and drop what was collected for them."""
        self.has_left_part = False
        if self._publisher is None:
            return
        for n, part in enumerate(self._parts[:-1]):
            if not part.is_published:
                self._publisher.publish(Path(part.path), self._parts[n + 1].start - part.start, part.target)
                self._parts[n] = part._replace(is_published=True)
                self._log.add(self.name, self._parts[n])
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(part.path)

    def finish(self) -> None:
        """Give a file without rows what makes it one: its header, an empty compressed piece.

        It stands behind the committed offset, so that the next run cuts it off again.
        """
        last = self._parts[-1]
        local = self.offset - last.start
        if not local and (self._format.header or self._compression != "none"):
            local = os.write(self._fd, self._pack(self._format.header))
        if self._publisher is not None:
            self.settle()
            self._publisher.publish(Path(last.path), local, last.target)

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
        if len(parts) == 1 and self._publisher is None:
            return {**parts[0], "rows": self.rows, "bytes": self.offset}
        if len(parts) == 1:
            return {**parts[0], "rows": self.rows}
        return {"path": self.name, "rows": self.rows, "bytes": self.offset, "sha256": None, "parts": parts}

    def _describe(self, n: int, *, with_digest: bool) -> dict[str, object]:
        part = self._parts[n]
        end, rows = self.offset, self.rows
        if n + 1 < len(self._parts):
            end, rows = self._parts[n + 1].start, self._parts[n + 1].start_rows
        if self._publisher is not None:
            return self._publisher.describe(part, rows - part.start_rows, with_digest)
        digest = digest_of(part.path) if with_digest else None
        return {"path": part.path, "rows": rows - part.start_rows, "bytes": end - part.start, "sha256": digest}


def digest_of(path: str) -> str | None:
    """Give the SHA-256 of a file; `None` if it is not there any more."""
    try:
        with open(path, "rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
