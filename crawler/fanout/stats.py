"""What a run counts while it goes: one object, read live by the progress display and once more for `summary.json`.

All of it is constant in memory but for two tables, hosts and errors, which are bounded and then put the rest under
`(other hosts)`. Nothing here does I/O or looks at a clock: time comes in.

At every moment `submitted == ok + failed + skipped + unchanged + cancelled + pending`, where pending are those in the
queue, waiting for a retry or on the wire.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from crawler.fanout.histogram import Histogram
from crawler.fanout.pressure import Pressure
from crawler.fanout.record import mask
from crawler.fanout.timeline import Timeline

if TYPE_CHECKING:
    from crawler.fanout.result import Result

MAX_HOSTS: Final = 10_000
MAX_ERRORS: Final = 1_000
OTHER_HOSTS: Final = "(other hosts)"

OUTCOMES: Final = ("ok", "failed", "skipped", "unchanged", "cancelled")
PHASES: Final = ("queue", "dns", "connect", "tls", "send", "ttfb", "receive", "total")
_PERCENTILES: Final = (50.0, 75.0, 90.0, 95.0, 99.0, 99.9)
_RATE_WINDOW: Final = 5  # seconds of the "now" rate


@dataclass(slots=True)
class HostCount:
    """What one host did. Seconds are sums over its attempts; not frozen, as it counts.

    Attributes:
        n, ok: Requests that are final; that succeeded.
        seconds, attempts: What its attempts took; how many there were.
        wait: Seconds its requests waited for its clock, added up.
        key: Its name in the tables of politeness.
    """

    n: int = 0
    ok: int = 0
    seconds: float = 0.0
    attempts: int = 0
    wait: float = 0.0
    key: str = ""

    @property
    def mean(self) -> float:
        """Mean seconds of an attempt."""
        return self.seconds / self.attempts if self.attempts else 0.0


@dataclass(slots=True)
class ErrorCount:
    """How often one kind of error came from one host, with the first case as an example."""

    kind: str
    host: str
    n: int
    example: str


class Rate:
    """Events per second: now (last five whole seconds), mean, and the best whole second."""

    __slots__ = ("_current", "_second", "_seconds", "count", "peak", "started")

    def __init__(self, now: float) -> None:
        self.started = now
        self.count = 0
        self.peak = 0.0
        self._second = 0
        self._current = 0
        self._seconds: deque[int] = deque(maxlen=_RATE_WINDOW)

    def add(self, now: float, n: int = 1) -> None:
        """Count events at monotonic time `now`."""
        if int(now - self.started) != self._second:
            self._roll(int(now - self.started))
        self.count += n
        self._current += n

    def _roll(self, second: int) -> None:
        """Close the current second; quiet ones in between are zeros, of which only the window's worth matters."""
        self._seconds.append(self._current)
        self.peak = max(self.peak, float(self._current))
        self._seconds.extend([0] * min(second - self._second - 1, _RATE_WINDOW))
        self._second = second
        self._current = 0

    def now(self, now: float) -> float:
        """Give the mean of the last whole seconds; of what there is in the first second."""
        if int(now - self.started) != self._second:
            self._roll(int(now - self.started))
        if not self._seconds:
            return self.mean(now)
        return sum(self._seconds) / len(self._seconds)

    def mean(self, now: float) -> float:
        """Give events per second since the start."""
        return self.count / max(now - self.started, 1e-3)


class Stats:
    """The live counters of one run.

    Attributes:
        submitted: Distinct requests known so far, those of earlier runs on the same state included.
        is_total_known: The input was read to its end, so `submitted` is final.
        duplicates: Input rows and links that named a request already known; they are in no other number.
        counts: Requests by final outcome (`OUTCOMES`), earlier runs included.
        earlier: How many of those were final before this run began.
        in_flight: Attempts on the wire now.
        waiting: Requests waiting for their next try now.
        attempts, retries: Attempts begun in this run; how many of them were not the first.
        bytes, bytes_wire: Body bytes decoded; body bytes on the wire, failed tries included.
        status: Final responses by HTTP status.
        rate: Finished requests per second (`rate.now(t)`, `rate.mean(t)`, `rate.peak`).
        phases: Histogram per phase (`PHASES`); dns, connect and tls count fresh connections only.
        hosts, errors: Per host; per (kind, host).
        suspended: Seconds for which a host wanted no requests, by its key; filled at the end.
        throttled: Gives requests at once and starts per second that a host may have at present, by its key; `None` if
            it is not throttled.
        timeline: Finished requests over time.
        pressure: What holds the run back.
        paused: Why the run waits as a whole, in words; `None` while it does not.
        sequential_seconds: What the attempts so far would have taken one after the other.
        mask: Takes the secrets out of a text.
        started: Monotonic time of the start.
    """

    def __init__(self, now: float) -> None:
        self.started = now
        self.submitted = 0
        self.is_total_known = False
        self.duplicates = 0
        self.counts: dict[str, int] = dict.fromkeys(OUTCOMES, 0)
        self.earlier = 0
        self.in_flight = 0
        self.waiting = 0
        self.attempts = 0
        self.retries = 0
        self.bytes = 0
        self.bytes_wire = 0
        self.status: dict[int, int] = {}
        self.rate = Rate(now)
        self.phases: dict[str, Histogram] = {phase: Histogram() for phase in PHASES}
        self.hosts: dict[str, HostCount] = {}
        self.errors: dict[tuple[str, str], ErrorCount] = {}
        self.paused: str | None = None
        self.sequential_seconds = 0.0
        self.suspended: dict[str, float] = {}
        self.throttled: Callable[[str], tuple[int, float | None] | None] = _not_throttled
        self.timeline = Timeline(now)
        self.pressure = Pressure()
        self.mask: Callable[[str], str] = mask

    # -- reading ------------------------------------------------------------------------------------------------------

    @property
    def done(self) -> int:
        """Requests with a final outcome, earlier runs included."""
        return sum(self.counts.values())

    @property
    def ok(self) -> int:
        """Requests that succeeded."""
        return self.counts["ok"]

    @property
    def failed(self) -> int:
        """Requests that failed for good."""
        return self.counts["failed"]

    @property
    def skipped(self) -> int:
        """Requests that were not made, by rule."""
        return self.counts["skipped"]

    @property
    def pending(self) -> int:
        """Requests known and not final: queued, waiting for a retry, or on the wire."""
        return self.submitted - self.done

    @property
    def latency(self) -> Histogram:
        """Seconds from slot to complete body, per attempt that got a response."""
        return self.phases["total"]

    def errors_by_kind(self) -> list[ErrorCount]:
        """Give errors summed over hosts, the most frequent first, each with one example."""
        merged: dict[str, ErrorCount] = {}
        for error in self.errors.values():
            if (known := merged.get(error.kind)) is None:
                merged[error.kind] = ErrorCount(error.kind, error.host, error.n, error.example)
            else:
                known.n += error.n
        return sorted(merged.values(), key=lambda error: (-error.n, error.kind))

    def slowest_host(self) -> tuple[str, HostCount] | None:
        """Give the host with the longest mean attempt; `None` before the first."""
        tried = [(name, host) for name, host in self.hosts.items() if host.attempts]
        return max(tried, key=lambda pair: pair[1].mean, default=None)

    def begin(self, now: float) -> None:
        """Note that the run starts at monotonic time `now`."""
        self.started = self.rate.started = self.timeline.started = now

    # -- counting -----------------------------------------------------------------------------------------------------

    def start_attempt(self, number: int) -> None:
        """Count an attempt that goes out now; `number` is 1 for the first try of a request."""
        self.in_flight += 1
        self.attempts += 1
        if number > 1:
            self.retries += 1

    def end_attempt(self, result: Result, host: str) -> None:
        """Count an attempt that ended, whatever its end; `result` holds that attempt's timing."""
        self.in_flight -= 1
        seconds = result.total
        self.sequential_seconds += seconds
        self.bytes_wire += result.attempt_bytes_wire
        counter = self._host(host)
        counter.attempts += 1
        counter.seconds += seconds
        counter.wait += result.host_wait
        counter.key = result.host
        if result.response is None:
            return
        phases = self.phases
        phases["queue"].add(result.queue)
        phases["total"].add(seconds)
        if (timing := result.timing) is None:
            return
        phases["send"].add(timing.send)
        phases["ttfb"].add(timing.ttfb)
        phases["receive"].add(timing.receive)
        if not timing.conn_reused:
            phases["dns"].add(timing.dns)
            phases["connect"].add(timing.connect)
            phases["tls"].add(timing.tls)

    def finish(self, result: Result, host: str, now: float, outcome: str) -> None:
        """Count a request that has its final outcome."""
        self.counts[outcome] += 1
        self.rate.add(now)
        self.timeline.add(now, failed=outcome == "failed", size=result.bytes_wire)
        self.bytes += result.bytes
        counter = self._host(host)
        counter.n += 1
        if result.status is not None:
            self.status[result.status] = self.status.get(result.status, 0) + 1
        if outcome == "ok":
            counter.ok += 1
        elif result.error_kind is not None:
            self._error(result.error_kind, host, result)

    def _host(self, name: str) -> HostCount:
        host = self.hosts.get(name)
        if host is None:
            if len(self.hosts) >= MAX_HOSTS:
                name = OTHER_HOSTS
            host = self.hosts.setdefault(name, HostCount())
        return host

    def _error(self, kind: str, host: str, result: Result) -> None:
        if (kind, host) not in self.errors and len(self.errors) >= MAX_ERRORS:
            host = OTHER_HOSTS
        known = self.errors.get((kind, host))
        if known is None:
            self.errors[kind, host] = ErrorCount(kind, host, 1, self.mask(f"{result.url}: {result.error_message}"))
        else:
            known.n += 1

    # -- the summary --------------------------------------------------------------------------------------------------

    def summary(self, now: float) -> dict[str, object]:
        """Give the counted part of `crawler.summary/1` (job-example §6); the run adds names, times and outputs."""
        return {
            "counts": dict(self.counts),
            "submitted": self.submitted,
            "pending": self.pending,
            "duplicates": self.duplicates,
            "earlier": self.earlier,
            "status": {str(code): n for code, n in sorted(self.status.items())},
            "errors": [
                {"kind": e.kind, "host": e.host, "n": e.n, "example": e.example}
                for e in sorted(self.errors.values(), key=lambda e: (-e.n, e.kind, e.host))[:100]
            ],
            "bytes": self.bytes,
            "bytes_wire": self.bytes_wire,
            "rate": {"mean": round(self.rate.mean(now), 3), "peak": self._peak(now)},
            "timing": {name: _spread(phase) for name, phase in self.phases.items()},
            "hosts": self._host_rows(now - self.started),
            "retries": {"n": self.retries, "share": round(self.retries / self.attempts, 6) if self.attempts else 0.0},
            "sequential_seconds": round(self.sequential_seconds, 6),
            "timeline": self.timeline.as_dict(),
            "loop_lag": _spread(self.pressure.lag),
            "bottleneck": None if (found := self.pressure.judge(self)) is None else asdict(found),
        }

    def _host_rows(self, seconds: float) -> list[dict[str, object]]:
        """The busiest hundred hosts."""
        busiest = sorted(self.hosts.items(), key=lambda pair: (-pair[1].n, pair[0]))[:100]
        return [
            {
                "host": name,
                "n": host.n,
                "ok": host.ok,
                "rate": round(host.n / max(seconds, 1e-3), 3),
                "mean": round(host.mean, 6),
                "wait": round(host.wait, 6),
                "suspended": round(self.suspended.get(host.key, 0.0), 3),
                **self._throttle(host.key),
            }
            for name, host in busiest
        ]

    def _throttle(self, key: str) -> dict[str, object]:
        """What a throttled host may have at present."""
        limits = self.throttled(key)
        if limits is None:
            return {}
        concurrency, rate = limits
        return {"throttle": {"concurrency": concurrency, "rate": None if rate is None else round(rate, 3)}}

    def _peak(self, now: float) -> float:
        """The best whole second; a run shorter than one second has only its mean."""
        return round(max(self.rate.peak, self.rate.mean(now) if now - self.started < 1 else 0.0), 3)


def _not_throttled(key: str) -> None:
    """No host is."""


def _spread(phase: Histogram) -> dict[str, float | None]:
    values = phase.percentiles(_PERCENTILES)
    spread: dict[str, float | None] = {
        f"p{q:g}": None if value is None else round(value, 6) for q, value in zip(_PERCENTILES, values, strict=True)
    }
    spread["max"] = round(phase.max, 6) if phase.count else None
    spread["mean"] = round(phase.total / phase.count, 6) if phase.count else None
    spread["n"] = phase.count
    return spread
