"""What the run needs of an output, and all outputs as one: a batch goes to each of them, or to none.

A sink takes batches, says how far it got, and can be cut back to where it once was. That is all it takes for "each
record exactly once": the offset a sink reports is committed together with the states of the requests; what stands
behind the committed offset after a crash is cut off, and those requests are made again.

    stage(finished)   encode; note new parts in the log              before the transaction
    append()          write what was staged                          in the transaction
    settle()          publish parts that are complete                after it
    finish()          make the output whole: the run is over
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from crawler.fanout.errors import OutputClosed, RunError, output_error
from crawler.fanout.sinks.parts import PartLog

if TYPE_CHECKING:
    from crawler.fanout.frontier import Finished


class Sink(Protocol):
    """One output. Blocking; called from one thread at a time.

    Attributes:
        name: Identifies it in the state and in messages.
        rows: Records in it, those of earlier runs included.
        offset: Bytes (or whatever the format counts) up to where they reach.
        is_archive: Its rows are told of in the records, so it is staged before others.
        has_left_part: A part was completed by the last batch; whoever commits makes everything durable before it
            settles, so that nothing ever goes back behind a part that is complete.
    """

    name: str
    rows: int
    offset: int
    is_archive: bool
    has_left_part: bool

    def begin(self, log: PartLog, committed: tuple[int, int] | None) -> None:
        """Learn what earlier runs left: parts, and offset and rows that are vouched for (`None`: nothing is known)."""

    def size(self) -> int | None:
        """Give how far it reaches now, before it is opened; `None` if there is nothing."""

    def open(self) -> None:
        """Open for appending; create what is missing.

        Raises:
            OSError: It cannot be written.
            OutputError: Something is there that cannot be appended to.
        """

    def cut(self, offset: int, rows: int) -> None:
        """Forget everything behind `offset`, where `rows` records end, and what was staged."""

    def stage(self, finished: Sequence[Finished]) -> None:
        """Make ready what `append` is to write."""

    def append(self) -> None:
        """Write what was staged to the system, whole. After an error part of it may be there: `cut` removes it."""

    def settle(self) -> None:
        """What was appended is committed: publish parts that are complete."""

    def finish(self) -> None:
        """The run is over: leave files that everybody can read."""

    def sync(self) -> None:
        """Wait until everything is on the disk."""

    def close(self) -> None:
        """Let go of files; idempotent."""

    def describe(self, *, with_digest: bool) -> dict[str, object]:
        """Give its row of the summary: path, rows, bytes, sha256."""


def stage_records(sinks: Sequence[Sink], finished: Sequence[Finished]) -> None:
    """Encode a batch for all sinks; archives first, as records tell where they put something.

    Raises:
        OutputError: One of them cannot take it; `cut_back` all.
    """
    for sink in sorted(sinks, key=lambda sink: not sink.is_archive):
        with _translated(sink):
            sink.stage(finished)


def append_records(sinks: Sequence[Sink]) -> None:
    """Write what was staged.

    Raises:
        OutputError: One of them refused; `cut_back` all.
    """
    for sink in sinks:
        with _translated(sink):
            sink.append()


def write_records(sinks: Sequence[Sink], finished: Sequence[Finished]) -> None:
    """Append a batch to every sink, or to none.

    Raises:
        OutputError: One of them refused; all are cut back to where they were.
    """
    marks = marks_of(sinks)
    try:
        stage_records(sinks, finished)
        append_records(sinks)
    except BaseException:
        cut_back(sinks, marks)
        raise
    settle_all(sinks)


def settle_all(sinks: Sequence[Sink]) -> None:
    """Tell all sinks that what they have is committed.

    Raises:
        OutputError: A part could not be published; it is tried again with the next one, or by the next run.
    """
    for sink in sinks:
        with _translated(sink):
            sink.settle()


def finish_all(sinks: Sequence[Sink]) -> None:
    """Make all outputs whole at the end of a run.

    Raises:
        OutputError: One of them could not; the next run does it.
    """
    for sink in sinks:
        with _translated(sink):
            sink.finish()


def marks_of(sinks: Sequence[Sink]) -> list[tuple[int, int]]:
    """Note where sinks stand, for `cut_back`."""
    return [(sink.offset, sink.rows) for sink in sinks]


def cut_back(sinks: Sequence[Sink], marks: Sequence[tuple[int, int]]) -> None:
    """Undo what was staged and appended since the marks; what cannot be undone now, the next start undoes."""
    for sink, (offset, rows) in zip(sinks, marks, strict=True):
        with contextlib.suppress(OSError, RunError):
            sink.cut(offset, rows)


@contextlib.contextmanager
def _translated(sink: Sink) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise OutputClosed(f"{sink.name}: nobody reads it any more") from error
    except OSError as error:
        raise output_error(sink.name, error) from error
