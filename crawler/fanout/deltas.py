"""What a process of a run has counted since it last said so, and how it stands: sent beside the records it finished.

Counts and records travel in one frame. So when a process dies, what is counted is what is recorded.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from crawler.fanout.histogram import Histogram, slot
from crawler.fanout.stats import MAX_ERRORS, MAX_HOSTS, OTHER_HOSTS, OUTCOMES, PHASES, ErrorCount, HostCount, Stats

_SUMS: Final = ("attempts", "retries", "bytes", "bytes_wire", "sequential_seconds")


class Samples(Histogram):
    """A histogram that can give what it took since it was last asked."""

    __slots__ = ("_new",)

    def __init__(self) -> None:
        self._new: list[float] = []
        self.count = 0
        self.total = self.max = 0.0

    def add(self, seconds: float) -> None:
        """Take one sample."""
        self._new.append(seconds)

    def take(self) -> tuple[list[tuple[int, int]], float, float] | None:
        """Give the arguments of `Histogram.absorb` for what came since; `None` if nothing did."""
        new = self._new
        if not new:
            return None
        self._new = []
        return list(Counter(map(slot, new)).items()), sum(new), max(new)


class Tally:
    """Makes deltas of the counters of a process, which begin at nothing again each time.

    Args:
        stats: Of the process; its histograms are replaced.
    """

    def __init__(self, stats: Stats) -> None:
        self._stats = stats
        stats.phases = {phase: Samples() for phase in PHASES}
        stats.pressure.lag = Samples()

    def take(self) -> dict[str, Any]:
        """Give what was counted since the last time; nothing that is nothing stands in it."""
        stats = self._stats
        delta: dict[str, Any] = {}
        for name in _SUMS:
            if value := getattr(stats, name):
                delta[name] = value
                setattr(stats, name, type(value)(0))
        stats.counts = dict.fromkeys(OUTCOMES, 0)  # whoever gets the records counts them
        if stats.status:
            delta["status"], stats.status = stats.status, {}
        if stats.hosts:
            delta["hosts"] = [
                (name, host.n, host.ok, host.seconds, host.attempts, host.wait, host.key)
                for name, host in stats.hosts.items()
            ]
            stats.hosts = {}
        if stats.errors:
            delta["errors"] = [(e.kind, e.host, e.n, e.example) for e in stats.errors.values()]
            stats.errors = {}
        phases = {name: _taken(histogram) for name, histogram in stats.phases.items()}
        phases["lag"] = _taken(stats.pressure.lag)
        if found := {name: taken for name, taken in phases.items() if taken is not None}:
            delta["phases"] = found
        return delta


def _taken(histogram: Histogram) -> tuple[list[tuple[int, int]], float, float] | None:
    assert isinstance(histogram, Samples)
    return histogram.take()


def absorb(stats: Stats, delta: dict[str, Any], counts: dict[str, int], now: float) -> None:
    """Add what a process counted to the counters of the run.

    Args:
        stats: Of the run.
        delta: As `Tally.take` gave it.
        counts: Requests that came with it, by outcome.
        now: Monotonic time for which rates and timeline take it.
    """
    for name in _SUMS:
        if value := delta.get(name):
            setattr(stats, name, getattr(stats, name) + value)
    for outcome, n in counts.items():
        stats.counts[outcome] += n
    if done := sum(counts.values()):
        stats.rate.add(now, done)
        stats.timeline.add(now, failed=counts.get("failed", 0), size=delta.get("bytes_wire", 0), finished=done)
    for code, n in delta.get("status", {}).items():
        stats.status[code] = stats.status.get(code, 0) + n
    for name, n, ok, seconds, attempts, wait, key in delta.get("hosts", ()):
        _add_host(stats, name, HostCount(n, ok, seconds, attempts, wait, key))
    for kind, host, n, example in delta.get("errors", ()):
        _add_error(stats, ErrorCount(kind, host, n, example))
    for name, (slots, total, longest) in delta.get("phases", {}).items():
        histogram = stats.pressure.lag if name == "lag" else stats.phases[name]
        histogram.absorb(slots, total, longest)


def _add_host(stats: Stats, name: str, more: HostCount) -> None:
    host = stats.hosts.get(name)
    if host is None:
        if len(stats.hosts) >= MAX_HOSTS:
            name = OTHER_HOSTS
        host = stats.hosts.setdefault(name, HostCount())
    host.n += more.n
    host.ok += more.ok
    host.seconds += more.seconds
    host.attempts += more.attempts
    host.wait += more.wait
    host.key = more.key or host.key


def _add_error(stats: Stats, more: ErrorCount) -> None:
    key = (more.kind, more.host)
    if key not in stats.errors and len(stats.errors) >= MAX_ERRORS:
        key = (more.kind, OTHER_HOSTS)
    known = stats.errors.get(key)
    if known is None:
        stats.errors[key] = ErrorCount(more.kind, key[1], more.n, more.example)
    else:
        known.n += more.n


@dataclass(slots=True)
class Gauges:
    """How a process stands; not frozen, as it is filled anew with each frame.

    Attributes:
        in_flight, waiting: As in `Stats`.
        held: Requests that wait for their hosts.
        put_off: Requests that wait for their next try.
        cpu: Share of the time in which its event loop's thread computed.
        cpu_seconds: What the process computed since its work began.
        memory: Bytes it holds.
        paused: Why it waits as a whole.
    """

    in_flight: int = 0
    waiting: int = 0
    held: int = 0
    put_off: int = 0
    cpu: float = 0.0
    cpu_seconds: float = 0.0
    memory: int = 0
    paused: str | None = None

    def values(self) -> tuple[object, ...]:
        """Give it as plain values, the arguments of the class."""
        return (
            self.in_flight,
            self.waiting,
            self.held,
            self.put_off,
            self.cpu,
            self.cpu_seconds,
            self.memory,
            self.paused,
        )
