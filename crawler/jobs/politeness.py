"""From the keys of a job to the engine's `Politeness` and `StopLimits`."""

from __future__ import annotations

from collections.abc import Iterator

from crawler.fanout import CircuitPolicy, HostLimits, HostRule, Politeness, StopLimits
from crawler.fanout.throttle import ThrottlePolicy
from crawler.jobs.polite_schema import HostEntry, PerHost
from crawler.jobs.schema import JobFile


def politeness_of(model: JobFile) -> Politeness:
    """Say how hosts are spared; the default of 8 at once gives way to a smaller `concurrency` of the job."""
    common = model.per_host
    limits = HostLimits(
        concurrency=None if common.concurrency is None else min(common.concurrency, model.concurrency),
        rate=common.rate,
        burst=common.burst,
        jitter=common.jitter,
    )
    circuit, throttle = model.circuit, model.autothrottle
    return Politeness(
        by=common.by,
        limits=limits,
        rules=tuple(
            HostRule(
                entry.match,
                _inherited(entry, common, limits),
                tuple(entry.windows),
                tuple(entry.headers.items()),
                tuple(_timeouts(entry)),
            )
            for entry in model.hosts
        ),
        rate=model.rate,
        circuit=CircuitPolicy(circuit.failures, circuit.open_for, max(circuit.open_for, circuit.max_open)),
        throttle=ThrottlePolicy(throttle.min, throttle.max, throttle.target_ttfb) if throttle.enabled else None,
    )


def _inherited(entry: HostEntry, common: PerHost, limits: HostLimits) -> HostLimits:
    """The limits of one entry of `hosts`: its own keys, and those of `per_host` for the rest."""
    own = entry.model_fields_set
    return HostLimits(
        concurrency=entry.concurrency if "concurrency" in own else limits.concurrency,
        rate=entry.rate if "rate" in own else common.rate,
        burst=entry.burst if "burst" in own else common.burst,
        jitter=entry.jitter if "jitter" in own else common.jitter,
    )


def _timeouts(entry: HostEntry) -> Iterator[tuple[str, float | None]]:
    """The limits that an entry names; writing has as long as reading."""
    for name in sorted(entry.timeout.model_fields_set):
        seconds: float | None = getattr(entry.timeout, name)
        yield name, seconds
        if name == "read":
            yield "write", seconds


def stop_limits_of(model: JobFile) -> StopLimits:
    """Say when the run ends early."""
    stop = model.stop
    return StopLimits(
        after=stop.after,
        requests=stop.requests,
        bytes=stop.bytes,
        failures=stop.failures,
        failure_ratio=stop.failure_ratio,
        failure_ratio_window=stop.failure_ratio_window,
        consecutive_failures=stop.consecutive_failures,
        disk_free=stop.disk_free,
        memory=stop.memory,
    )
