"""What a round costs the client's process: CPU, memory, and how late its timers are."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from crawler.bench.histogram import Histogram

TICK_S: Final = 0.010
"""How often a timer is set to see how late it is."""


class Lag:
    """Lateness of a timer that is set again and again: of the event loop, or of threads that wait for the GIL.

    Attributes:
        worst: The longest since somebody set it to zero, in seconds.
    """

    __slots__ = ("_histogram", "worst")

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram
        self.worst = 0.0

    def restart(self, histogram: Histogram) -> None:
        """Go on in another histogram."""
        self._histogram, self.worst = histogram, 0.0

    def note(self, late: float) -> None:
        """Take one measurement; a timer that fires early is not late."""
        late = max(0.0, late)
        self._histogram.add(late)
        self.worst = max(self.worst, late)

    async def watch_loop(self) -> None:
        """Measure the running event loop until cancelled."""
        clock = time.perf_counter
        while True:
            due = clock() + TICK_S
            await asyncio.sleep(TICK_S)
            self.note(clock() - due)

    @contextmanager
    def watch_threads(self) -> Iterator[None]:
        """Measure a thread beside those that work, while the block runs."""
        done = threading.Event()

        def watch() -> None:
            due = time.perf_counter() + TICK_S
            while not done.wait(TICK_S):
                self.note(time.perf_counter() - due)
                due = time.perf_counter() + TICK_S

        thread = threading.Thread(target=watch, name="crawler-bench-lag", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def peak_rss() -> int:
    """The most resident memory of this process so far, in bytes; 0 where the system does not tell.

    On Linux from `/proc`, since `ru_maxrss` begins there with that of the process that started this one.
    """
    with suppress(OSError), open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    with suppress(ImportError):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return 0
