"""What the ways of driving a client share: how much to send, and what is watched meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count, cycle, islice
from math import inf
from typing import Any, Literal

from crawler.bench.errors import BenchError
from crawler.bench.meter import Lag
from crawler.bench.plan import Arm, BenchPlan, Executor
from crawler.bench.recorder import Look, Recorder
from crawler.bench.schedule import constant, starts


@dataclass(frozen=True, slots=True)
class Amount:
    """How much a phase of a round sends: a timetable, or closed load of so many requests or seconds."""

    requests: int | None = None
    duration: float | None = None
    timetable: Callable[[], Iterator[float]] | None = None

    def numbers(self) -> Iterator[int]:
        """Count the requests of closed load; one iterator, shared by all users."""
        return count() if self.requests is None else iter(range(self.requests))

    def targets(self, urls: tuple[str, ...]) -> Iterator[str]:
        """Give the URL of each request of closed load; one iterator, shared by all users."""
        return cycle(urls) if self.requests is None else islice(cycle(urls), self.requests)

    @property
    def seconds(self) -> float:
        """Seconds after which closed load starts no more requests."""
        return inf if self.duration is None else self.duration


@dataclass(slots=True)
class Watch:
    """What can be seen of a round while it runs, by whoever reports it.

    Attributes:
        phase: Where it is.
        recorder: Of that phase.
        lag: The event loop's or the threads'; `None` where there is nothing to watch.
    """

    recorder: Recorder
    phase: Literal["warmup", "measure"] = "warmup"
    lag: Lag | None = None


@dataclass(slots=True)
class Round:
    """One round of one arm, in its own process.

    Attributes:
        start: Called right before the measuring begins, with its recorder; gives nothing.
        stop: Called right after it ended.
    """

    arm: Arm
    plan: BenchPlan
    watch: Watch
    start: Callable[[Recorder], None]
    stop: Callable[[], None]
    urls: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.urls = self.plan.urls_of(self.arm)

    def warmup(self) -> Amount | None:
        """What is sent before the measuring: closed as planned, open at the rate the timetable begins with."""
        plan = self.plan
        if not plan.warmup_requests and not plan.warmup_s:
            return None
        if not plan.executor.is_open:
            return Amount(plan.warmup_requests or None, plan.warmup_s or None)
        rate = _first_rate(plan.executor)
        seconds = plan.warmup_s or plan.warmup_requests / rate
        return Amount(timetable=lambda: constant(rate, seconds))

    def measured(self) -> Amount:
        """What is sent and counted."""
        executor = self.plan.executor
        if executor.is_open:
            return Amount(timetable=lambda: starts(executor))
        return Amount(executor.requests, executor.duration)

    def begin(self, recorder: Recorder) -> None:
        """Go over from warm-up to measuring."""
        self.watch.recorder, self.watch.phase = recorder, "measure"
        self.start(recorder)


def _first_rate(executor: Executor) -> float:
    if executor.rate is not None:
        return executor.rate
    return max(1.0, executor.stages[0].rate)


def looker(arm: Arm, watch: Watch, version: Callable[[Any], str], timing: Callable[[Any], Any]) -> Look:
    """Make the function that looks at answers closely: the HTTP version must be the arm's; phases are taken down."""

    def look(response: Any, times: int) -> None:
        spoken = version(response)
        watch.recorder.sample.http_version = spoken
        if spoken != arm.http_version:
            raise BenchError(
                f"Arm {arm.name!r} is to measure HTTP/{arm.http_version}, but the server answered in HTTP/{spoken}. "
                "Ask a server that speaks it, or change the arm's http_version."
            )
        phases = timing(response)
        if phases is None:
            return
        if not phases.conn_reused:
            for name in ("dns", "connect", "tls"):
                if seconds := getattr(phases, name):
                    watch.recorder.phase(name, seconds, times)
        for name in ("send", "ttfb", "receive"):
            watch.recorder.phase(name, getattr(phases, name), times)

    return look
