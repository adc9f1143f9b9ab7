"""Rows on standard output."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from crawler.fanout.record import Record
from crawler.fanout.sinks.lines import format_of
from crawler.fanout.sinks.parts import PartLog
from crawler.fanout.sinks.rows import Selection

if TYPE_CHECKING:
    from crawler.fanout.frontier import Finished
    from crawler.fanout.plan import Output


class StdoutSink:
    """Rows on standard output: nothing can be cut off there, so after a crash some may come twice.

    Attributes:
        name, rows, offset, is_archive, has_left_part: See `Sink`.
    """

    is_archive = False
    has_left_part = False

    def __init__(self, output: Output) -> None:
        self.name = "-"
        self.rows = 0
        self.offset = 0
        self._format = format_of(output)
        self._selection = Selection(output)
        self._has_begun = False
        self._staged: tuple[bytes, int] = (b"", 0)

    def begin(self, log: PartLog, committed: tuple[int, int] | None) -> None:
        """Nothing to learn."""

    def size(self) -> int | None:
        """Nothing of it can be read back."""
        return None

    def open(self) -> None:
        """Nothing to open."""

    def cut(self, offset: int, rows: int) -> None:
        """What was said stays said; only the counts go on from there."""
        self.offset, self.rows = offset, rows
        self._staged = (b"", 0)

    def stage(self, finished: Sequence[Finished]) -> None:
        """Encode a batch; the header comes once per run."""
        self._stage_rows(self._selection.rows(finished))

    def write_rows(self, rows: Sequence[Record]) -> int:
        """Write rows outside of a run; gives how many of them the output wanted."""
        chosen = self._selection.choose(rows)
        self._stage_rows(chosen)
        self.append()
        return len(chosen)

    def _stage_rows(self, rows: Sequence[Record]) -> None:
        lines = [line for row in rows if (line := self._format.encode(row))]
        if lines and not self._has_begun:
            lines.insert(0, self._format.header)
        self._staged = (b"".join(lines), len(lines))

    def append(self) -> None:
        """Write whole lines and flush them."""
        data, rows = self._staged
        if not data:
            return
        if not self._has_begun:
            self._has_begun = True
            rows -= 1
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        self.offset += len(data)
        self.rows += rows
        self._staged = (b"", 0)

    def settle(self) -> None:
        """Nothing to publish."""

    def finish(self) -> None:
        """Nothing to make whole."""

    def sync(self) -> None:
        """Nothing to wait for."""

    def close(self) -> None:
        """Standard output is not ours to close."""

    def describe(self, *, with_digest: bool) -> dict[str, object]:
        """Give its row of the summary."""
        return {"path": "-", "rows": self.rows, "bytes": self.offset, "sha256": None}
