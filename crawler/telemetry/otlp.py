"""Metrics and traces of a run over OTLP (HTTP, protobuf), by OpenTelemetry's own SDK (extra `telemetry`).

A span per attempt hangs below one span of the whole run. Everything is sent by the SDK's threads, in batches.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context

from crawler.fanout.record import mask
from crawler.telemetry.metrics import BOUNDS, DURATION, Metric, metrics_of
from crawler.version import __version__

if TYPE_CHECKING:
    from crawler.fanout import Stats
    from crawler.fanout.result import Result

EXPORT_EVERY_S: Final = 10.0
_LAST_WORDS_MS: Final = 5_000  # what the exporters get at the end; a collector that hangs must not hold the run


class ChosenIds(RandomIdGenerator):
    """Random ids, but for spans whose id was told to a server before they were made.

    Attributes:
        next: Id of the next span, if it was chosen.
    """

    next: int | None = None

    def generate_span_id(self) -> int:
        """Give the id of a new span."""
        chosen, self.next = self.next, None
        return super().generate_span_id() if chosen is None else chosen


class OtlpObserver:
    """Is told of attempts; makes a span and a sample of the duration of each.

    Args:
        tracer: Makes the spans.
        run: The span of the whole run.
        record: Takes the duration of an attempt in seconds, with its attributes.
        clock: Monotonic seconds, as results have them.
        ids: Gives the spans of the tracer their ids.
    """

    def __init__(
        self,
        tracer: Tracer,
        run: Span,
        record: Callable[[float, dict[str, str | int]], None],
        clock: Callable[[], float],
        ids: ChosenIds,
    ) -> None:
        self._ids = ids
        self._trace = run.get_span_context()
        self._told: dict[int, int] = {}  # id() of a result under way -> id of the span of its attempt
        self._tracer = tracer
        self._parent = set_span_in_context(run)
        self._record = record
        self._epoch = time.time() - clock()

    def begin(self, result: Result) -> str:
        """Give the `traceparent` of an attempt; see `crawler.fanout.tracing.Tracer`.

        Source: W3C Trace Context §3.2.
        """
        span_id = self._told.get(id(result))
        if span_id is None:
            span_id = self._told[id(result)] = self._ids.generate_span_id()
        return f"00-{self._trace.trace_id:032x}-{span_id:016x}-{self._trace.trace_flags:02x}"

    def attempt(self, result: Result, host: str) -> None:
        """Make the span of an attempt that ended."""
        method = "GET" if result.request is None else result.request.method
        attributes: dict[str, str | int] = {"http.request.method": method, "server.address": host.partition(":")[0]}
        if result.status is not None:
            attributes["http.response.status_code"] = result.status
        if result.error_kind is not None:
            attributes["error.type"] = result.error_kind
        if result.response is not None:
            self._record(result.total, {name: value for name, value in attributes.items() if name != "server.address"})
        attributes["url.full"] = mask(result.url)
        if result.attempts > 1:
            attributes["http.request.resend_count"] = result.attempts - 1
        self._ids.next = self._told.pop(id(result), None)
        span = self._tracer.start_span(
            method, self._parent, SpanKind.CLIENT, attributes, start_time=self._nanoseconds(result.begun)
        )
        if result.error_kind is not None:
            span.set_status(Status(StatusCode.ERROR, result.error_kind))
        span.end(self._nanoseconds(result.ended))

    def _nanoseconds(self, monotonic: float) -> int:
        return int((monotonic + self._epoch) * 1e9)


@contextmanager
def exporting(
    stats: Stats, job: str, run_id: str, endpoint: str, clock: Callable[[], float], *, host_label: bool = False
) -> Iterator[OtlpObserver]:
    """Send metrics and traces of a run while the block runs; gives the observer that the run is to tell.

    Args:
        stats: Live counters of the run.
        job, run_id: Stand in the resource of all that is sent.
        endpoint: Base URL of the collector, as in `OTEL_EXPORTER_OTLP_ENDPOINT`.
        clock: Monotonic seconds, as results have them.
        host_label: Count errors by host as well.
    """
    resource = Resource.create({"service.name": "crawler", "service.version": __version__, "crawler.job": job})
    base = endpoint.rstrip("/")
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{base}/v1/metrics"), EXPORT_EVERY_S * 1000)
    meters = MeterProvider([reader], resource, shutdown_on_exit=False)
    ids = ChosenIds()
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False, id_generator=ids)
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{base}/v1/traces")))
    meter = meters.get_meter("crawler", __version__)
    for metric in metrics_of(stats, host_label=host_label):
        observe = _observer(stats, metric.name, host_label)
        make = meter.create_observable_counter if metric.kind == "counter" else meter.create_observable_gauge
        make(metric.name, [observe], metric.unit, metric.help)
    duration = meter.create_histogram(DURATION, "s", "Attempts", explicit_bucket_boundaries_advisory=BOUNDS)
    tracer = tracers.get_tracer("crawler", __version__)
    try:
        with tracer.start_as_current_span("crawler.run", attributes={"crawler.run_id": run_id}) as span:
            yield OtlpObserver(tracer, span, duration.record, clock, ids)
    finally:
        tracers.force_flush(_LAST_WORDS_MS)
        tracers.shutdown()
        meters.shutdown(_LAST_WORDS_MS)


def _observer(stats: Stats, name: str, host_label: bool) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def observe(options: CallbackOptions) -> Iterable[Observation]:
        found: Metric = next(metric for metric in metrics_of(stats, host_label=host_label) if metric.name == name)
        return [Observation(value, attributes) for attributes, value in found.values]

    return observe
