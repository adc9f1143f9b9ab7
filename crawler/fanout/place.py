"""The place of one process of a run: who is there, what it has, and what came of those before it."""

from __future__ import annotations

import contextlib
import mmap
import os
import socket
import subprocess
import sys
import tempfile
from collections import deque
from typing import Final

from crawler.fanout.deltas import Gauges
from crawler.fanout.frames import frame, lease_values
from crawler.fanout.ledger import Signal
from crawler.fanout.line import Line
from crawler.fanout.result import Result

BATCH: Final = 500
"""Requests in a frame."""

NUMBER: Final = 8
"""Bytes of a request's number in the table of those under way."""

_PROGRAM: Final = (
    "import sys; sys.path[:] = {path!r}; from crawler.fanout.crew_process import main; main({fd}, {table})"
)


class Place:
    """One place.

    Args:
        number: Of the place, from 0.
        concurrency: Requests at once.

    Attributes:
        out: What its process has, by number of the lease.
        outbox: What it is to get.
        suspects: What was under way when a process died here; tried again one at a time, so that the next death says
            which it was.
        on_trial: Number of the suspect that is out.
        commands: Frames that go before work.
        outgoing: There is something to send.
        line, process: The process that is there, if one is.
        gauges: How it stands, as it said last.
        deaths: Processes that died here one after the other with nothing done.
        is_over: Its process has done all it should.
        is_closing: Nothing more is sent: it was told to end.
        had_one: A process was here before.
    """

    def __init__(self, number: int, concurrency: int) -> None:
        self.number = number
        self._size = NUMBER * concurrency
        self.out: dict[int, Result] = {}
        self.outbox: deque[Result] = deque()
        self.suspects: deque[Result] = deque()
        self.on_trial: int | None = None
        self.commands: deque[bytes] = deque()
        self.outgoing = Signal()
        self.line: Line | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.gauges = Gauges()
        self.cpu_before = 0.0
        self.deaths = 0
        self.is_over = self.is_closing = self.had_one = False
        self._table: mmap.mmap | None = None

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do here."""
        return not (self.out or self.outbox or self.suspects)

    def command(self, kind: str, *values: object) -> None:
        """Have its process told something."""
        self.commands.append(frame(kind, *values))
        self.outgoing.set()

    def next_work(self, most: int) -> list[tuple[object, ...]]:
        """Give the next work as plain values, at most so many requests; they are out now."""
        batch: list[Result] = []
        if self.suspects and self.on_trial is None and most > 0:
            suspect = self.suspects.popleft()
            self.on_trial = suspect.target.id
            batch.append(suspect)
        while self.outbox and len(batch) < min(BATCH, most):
            batch.append(self.outbox.popleft())
        self.out.update((result.target.id, result) for result in batch)
        return [lease_values(result.target) for result in batch]

    def start(self) -> None:
        """Start a process; blocking, some milliseconds.

        Raises:
            OSError: The system refuses.
        """
        ours, theirs = socket.socketpair()
        with contextlib.ExitStack() as stack:
            stack.callback(theirs.close)
            file = stack.enter_context(tempfile.TemporaryFile())
            os.ftruncate(file.fileno(), self._size)
            self._table = mmap.mmap(file.fileno(), self._size)
            program = _PROGRAM.format(path=sys.path, fd=theirs.fileno(), table=file.fileno())
            try:
                self.process = subprocess.Popen(
                    [sys.executable, "-c", program],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(), file.fileno()),
                    process_group=0,  # Ctrl-C at a terminal is for the process that keeps the books
                )
            except BaseException:
                ours.close()
                raise
        self.line = Line(ours)
        self.had_one = True

    def under_way(self) -> set[int]:
        """Give the numbers of the requests that were under way when the process ended."""
        if self._table is None:
            return set()
        with memoryview(self._table) as raw, raw.cast("Q") as numbers:
            return {number for number in numbers if number}

    def bury(self) -> None:
        """Let go of what is left of a process; waits for its end."""
        if self.line is not None:
            self.line.close()
            self.line = None
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        if self._table is not None:
            self._table.close()
            self._table = None
        self.cpu_before += self.gauges.cpu_seconds
        self.gauges = Gauges()
