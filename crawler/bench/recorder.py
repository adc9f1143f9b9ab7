"""The notebook of one round: every answer and every failure goes in here, at about one microsecond each."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any, Final

from crawler.bench.failures import kind_of
from crawler.bench.histogram import Histogram
from crawler.bench.plan import BenchPlan
from crawler.bench.sample import Sample

EVERY: Final = 16
"""Answers are looked at closely (phases, HTTP version) one in so many; each then counts as that many."""

FIRST: Final = 1000
"""The first answers of a round are all looked at, so that small runs miss nothing."""

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
        sample: What was taken down so far; complete after `stop()`.
        begun: Instant from which seconds are counted, on the clock of `time.perf_counter`.
    """

    __slots__ = ("_good", "_is_open", "_look", "_size", "_until_look", "begun", "sample")

    def __init__(self, plan: BenchPlan, look: Look) -> None:
        self.sample = Sample()
        self.begun = perf_counter()
        self._good = frozenset(plan.request.status) or _SUCCESS
        self._size = plan.request.size_bytes
        self._is_open = plan.executor.is_open
        self._look = look
        self._until_look = 1

    def answer(self, intended: float, begun: float, ended: float, answer: tuple[int, int, Any]) -> None:
        """Take down an answer.

        Args:
            intended, begun, ended: Instants: when the request was to start, when it did, when its last byte was there.
            answer: Status, length of the body, and what `look` understands.
        """
        status, size, response = answer
        sample = self.sample
        sample.bytes += size
        if status not in self._good:
            self.failure(ended, "http_5xx" if status >= 500 else "http_4xx" if status >= 400 else "check_failed")
            return
        if self._size is not None and size != self._size:
            self.failure(ended, "size_mismatch")
            return
        sample.requests += 1
        took = ended - intended
        sample.response.add(took)
        if self._is_open:
            sample.service.add(ended - begun)
            sample.delay.add(begun - intended)
        row = self._row(ended)
        row[0] += 1
        row[2] += took
        if took > row[3]:
            row[3] = took
        self._until_look -= 1
        if not self._until_look:
            is_early = sample.requests <= FIRST
            self._until_look = 1 if is_early else EVERY
            self._look(response, 1 if is_early else EVERY)

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
        second = int(ended - self.begun)
        rows = self.sample.timeline
        try:
            return rows[second]
        except IndexError:
            last = min(second, MAX_SECONDS - 1)
            rows.extend([0, 0, 0.0, 0.0] for _ in range(last + 1 - len(rows)))
            return rows[last]
