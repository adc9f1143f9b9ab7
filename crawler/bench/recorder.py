"""The notebook of one round: every answer and every failure goes in here, at about half a microsecond each.

Good answers are put on a pile and taken down pile by pile: that way a sample costs half of what it does one by one, and
the client that is measured is disturbed less. A pile never spans two seconds of the timeline, and never lies for longer
than `PILE_S` while answers come.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from time import perf_counter
from typing import Any, Final

from crawler.bench.failures import kind_of
from crawler.bench.histogram import Histogram
from crawler.bench.plan import BenchPlan
from crawler.bench.sample import Sample

EVERY: Final = 64
"""Answers of a pile at most. The last one is looked at closely (phases, HTTP version) and counts as that many."""

FIRST: Final = 1000
"""The first answers of a round are piles by themselves: all are looked at, so that small runs miss nothing."""

PILE_S: Final = 0.125
"""Seconds after which an answer ends the pile before it; a part of a second without a remainder."""

MAX_SECONDS: Final = 3600
"""Rows of the timeline; what comes later falls into the last one."""

_SUCCESS: Final = frozenset(range(100, 400))

Look = Callable[[Any, int], None]
"""Looks at an answer closely, on behalf of so many."""


class Recorder:
    """Takes down what becomes of the requests of one round.

    Args:
        plan: Says which answers are good ones.
        look: Called with some of the answers.

    Attributes:
        sample: What was taken down so far; complete after `settle()`.
        begun: Instant from which seconds are counted, on the clock of `time.perf_counter`.
    """

    __slots__ = (
        "_bytes",
        "_delays",
        "_good",
        "_is_open",
        "_last",
        "_limit",
        "_look",
        "_services",
        "_size",
        "_times",
        "_until",
        "begun",
        "sample",
    )

    def __init__(self, plan: BenchPlan, look: Look) -> None:
        self.sample = Sample()
        self.begun = perf_counter()
        self._good = frozenset(plan.request.status) or _SUCCESS
        self._size = plan.request.size_bytes
        self._is_open = plan.executor.is_open
        self._look = look
        self._times: list[float] = []
        self._services: list[float] = []
        self._delays: list[float] = []
        self._bytes = 0
        self._last: Any = None
        self._limit = 1
        self._until = -inf

    def answer(self, intended: float, begun: float, ended: float, answer: tuple[int, int, Any]) -> None:
        """Take down an answer.

        Args:
            intended, begun, ended: Instants: when the request was to start, when it did, when its last byte was there.
            answer: Status, length of the body, and what `look` understands.
        """
        status, size, response = answer
        if status not in self._good or (self._size is not None and size != self._size):
            self._refuse(ended, status, size)
            return
        if ended >= self._until:
            self.settle()
            self._until = self.begun + PILE_S * ((ended - self.begun) // PILE_S + 1)
        times = self._times
        times.append(ended - intended)
        if self._is_open:
            self._services.append(ended - begun)
            self._delays.append(begun - intended)
        self._bytes += size
        self._last = response
        if len(times) >= self._limit:
            self.settle()

    def settle(self) -> None:
        """Take down the pile."""
        times, sample = self._times, self.sample
        if not times:
            return
        number = len(times)
        sample.requests += number
        sample.bytes += self._bytes
        sample.response.add_all(times)
        if self._is_open:
            sample.service.add_all(self._services)
            sample.delay.add_all(self._delays)
            self._services.clear()
            self._delays.clear()
        row = self._row(self._until - PILE_S / 2)
        row[0] += number
        row[2] += sum(times)
        row[3] = max(row[3], *times)
        times.clear()
        self._bytes = 0
        if sample.requests >= FIRST:
            self._limit = EVERY
        self._look(self._last, number)

    def _refuse(self, ended: float, status: int, size: int) -> None:
        """Take down an answer that is not what it should be."""
        self.sample.bytes += size
        if status in self._good:
            self.failure(ended, "size_mismatch")
        else:
            self.failure(ended, "http_5xx" if status >= 500 else "http_4xx" if status >= 400 else "check_failed")

    def error(self, ended: float, error: BaseException) -> None:
        """Take down that a request ended with an exception."""
        self.failure(ended, kind_of(error))

    def failure(self, ended: float, kind: str) -> None:
        """Take down a failed request."""
        self.sample.requests += 1
        self.sample.errors[kind] = self.sample.errors.get(kind, 0) + 1
        row = self._row(ended)
        row[0] += 1
        row[1] += 1

    def phase(self, name: str, seconds: float, times: int) -> None:
        """Take down a phase of a request that was looked at."""
        self.sample.phases.setdefault(name, Histogram()).add(seconds, times)

    def _row(self, ended: float) -> list[float]:
        second = max(0, int(ended - self.begun))
        rows = self.sample.timeline
        try:
            return rows[second]
        except IndexError:
            last = min(second, MAX_SECONDS - 1)
            rows.extend([0, 0, 0.0, 0.0] for _ in range(last + 1 - len(rows)))
            return rows[last]
