"""The metrics of a run, read from its live counters; each exporter writes them its own way.

Names are those of OpenTelemetry's HTTP client conventions where there is one (`http.client.request.duration`,
`error.type`), and `crawler.*` otherwise. Units are seconds and bytes. Hosts are no label unless asked for: a crawl has
too many of them.

Source: OpenTelemetry semantic conventions for HTTP metrics, 1.27.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from crawler.fanout import Stats

DURATION: Final = "http.client.request.duration"
BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Edges in seconds of the buckets of `DURATION`, as the conventions advise."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric with its present values.

    Attributes:
        name: With dots, as OpenTelemetry has it.
        kind: `counter` only grows, `gauge` does what it likes.
        unit: In UCUM: `s`, `By`, `{request}`.
        help: What it counts.
        values: Pairs of attributes and value.
    """

    name: str
    kind: Literal["counter", "gauge"]
    unit: str
    help: str
    values: tuple[tuple[Mapping[str, str], float], ...]


def metrics_of(stats: Stats, *, host_label: bool = False) -> Iterator[Metric]:
    """Read the counters. From any thread: each table is copied in one step before it is looked at.

    Args:
        stats: Of the run.
        host_label: Count errors by host as well.
    """
    outcomes = tuple(({"crawler.outcome": outcome}, float(n)) for outcome, n in list(stats.counts.items()))
    yield Metric("crawler.requests", "counter", "{request}", "Requests with their final outcome", outcomes)
    yield _single("crawler.attempts", "counter", "{request}", "Attempts begun", stats.attempts)
    yield _single("http.client.request.resends", "counter", "{request}", "Attempts that were retries", stats.retries)
    status = tuple(({"http.response.status_code": str(code)}, float(n)) for code, n in list(stats.status.items()))
    yield Metric("crawler.responses", "counter", "{response}", "Final responses by status", status)
    yield Metric("crawler.errors", "counter", "{request}", "Requests without success", _errors(stats, host_label))
    yield _single("http.client.response.body.size", "counter", "By", "Body bytes received", stats.bytes_wire)
    yield _single("http.client.active_requests", "gauge", "{request}", "Attempts on the wire", stats.in_flight)
    yield _single("crawler.frontier.pending", "gauge", "{request}", "Requests without an outcome", stats.pending)
    yield _single(
        "crawler.frontier.put_off", "gauge", "{request}", "Requests waiting for their next try", stats.waiting
    )
    lag = stats.pressure.lag
    yield _single("crawler.loop.lag", "gauge", "s", "Longest delay of the event loop so far", lag.max)


def _single(name: str, kind: Literal["counter", "gauge"], unit: str, text: str, value: float) -> Metric:
    return Metric(name, kind, unit, text, (({}, float(value)),))


def _errors(stats: Stats, host_label: bool) -> tuple[tuple[Mapping[str, str], float], ...]:
    if host_label:
        rows = list(stats.errors.values())
        return tuple(({"error.type": row.kind, "server.address": row.host}, float(row.n)) for row in rows)
    by_kind: dict[str, int] = {}
    for row in list(stats.errors.values()):
        by_kind[row.kind] = by_kind.get(row.kind, 0) + row.n
    return tuple(({"error.type": kind}, float(n)) for kind, n in by_kind.items())
