"""`/metrics` of a run for Prometheus, on a port of its own; by `prometheus-client` (extra `telemetry`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from crawler.telemetry.metrics import BOUNDS, DURATION, Metric, metrics_of

if TYPE_CHECKING:
    from crawler.fanout import Stats


class RunCollector(Collector):
    """Reads the counters of a run at each scrape; between scrapes it costs nothing.

    Args:
        stats: Of the run.
        job: Its name, a label of every metric.
        host_label: Count errors by host as well.
    """

    def __init__(self, stats: Stats, job: str, *, host_label: bool = False) -> None:
        self._stats = stats
        self._job = job
        self._host_label = host_label

    def collect(self) -> Iterable[Family]:
        """Give every metric with its present values."""
        yield from (self._family(metric) for metric in metrics_of(self._stats, host_label=self._host_label))
        total = self._stats.latency
        buckets = [(_edge(bound), float(n)) for bound, n in zip(BOUNDS, total.cumulative(BOUNDS), strict=True)]
        buckets.append(("+Inf", float(total.count)))
        duration = HistogramMetricFamily(_name(DURATION, "s"), "Attempts that got a response", labels=["job"])
        duration.add_metric([self._job], buckets, total.total)
        yield duration

    def _family(self, metric: Metric) -> Family:
        labels = ["job", *(_flat(name) for name in (metric.values[0][0] if metric.values else ()))]
        family: CounterMetricFamily | GaugeMetricFamily
        if metric.kind == "counter":
            family = CounterMetricFamily(_name(metric.name, metric.unit), metric.help, labels=labels)
        else:
            family = GaugeMetricFamily(_name(metric.name, metric.unit), metric.help, labels=labels)
        for attributes, value in metric.values:
            family.add_metric([self._job, *attributes.values()], value)
        return family


@contextmanager
def serving(collector: Collector, host: str, port: int) -> Iterator[int]:
    """Serve `/metrics` from a thread while the block runs; gives the port, which `0` lets the system choose.

    Raises:
        OSError: The address cannot be bound.
    """
    registry = CollectorRegistry()
    registry.register(collector)
    server, thread = start_http_server(port, host, registry)
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _edge(bound: float) -> str:
    """An edge of a bucket as Prometheus writes floats: `10.0`."""
    return repr(float(bound))


def _name(dotted: str, unit: str) -> str:
    """`http.client.request.duration` in seconds is `http_client_request_duration_seconds` there."""
    suffix = {"s": "_seconds", "By": "_bytes"}.get(unit, "")
    return _flat(dotted) + suffix


def _flat(dotted: str) -> str:
    return dotted.replace(".", "_")
