"""Ctrl-C and SIGTERM while a run is under way: first drain, then at once.

    first SIGINT or SIGTERM   no new requests start; those in flight may end (`grace`), records are committed
    second                    the run is cancelled now; what was in flight is fetched again next time
    third                     Python's own handling, in case something hangs

Draining and cancelling both leave whole records and a valid state. The difference is only how much is fetched again.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Final, Literal, Self

Reason = Literal["interrupted", "terminated"]

_REASONS: Final[dict[int, Reason]] = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


class DrainThenAbort:
    """While entered, signals are handed to `drain` the first time and to `abort` the second. Needs a running loop.

    Both callbacks run in the event loop, between two of its steps, so they may touch the run.
    """

    def __init__(self, drain: Callable[[Reason], None], abort: Callable[[Reason], None]) -> None:
        self._drain = drain
        self._abort = abort
        self._count = 0
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()

        def handle(number: int, frame: FrameType | None) -> None:
            # Also on Windows and for every loop: the handler itself only wakes the loop.
            loop.call_soon_threadsafe(self._received, number)

        for number in _REASONS:
            self._previous[number] = signal.signal(number, handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._restore()

    def _received(self, number: int) -> None:
        self._count += 1
        if self._count == 1:
            self._drain(_REASONS[number])
        else:
            self._restore()
            self._abort(_REASONS[number])

    def _restore(self) -> None:
        while self._previous:
            number, previous = self._previous.popitem()
            signal.signal(number, previous)
