"""What is measured of the service, for Prometheus; names are OpenTelemetry's, written as Prometheus writes them.

Nothing secret is in a label: routes as declared, job names, states, error kinds.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from crawler.service.store import RunRow

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)


class Metrics:
    """The counters of one service."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self.requests = Histogram(
            "http_server_request_duration_seconds",
            "Requests to the API.",
            ("http_request_method", "http_route", "http_response_status_code"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._fetched = Counter(
            "crawler_requests_total", "URLs that runs brought to an end.", ("job", "outcome"), registry=registry
        )
        self._errors = Counter(
            "crawler_errors_total", "URLs that failed, by kind.", ("job", "error_type"), registry=registry
        )
        self._bytes = Counter(
            "http_client_response_body_size_bytes_total", "Body bytes on the wire.", ("job",), registry=registry
        )
        self._runs = Counter("crawler_runs_ended_total", "Runs that ended.", ("job", "state"), registry=registry)
        self._duration = Histogram(
            "crawler_run_duration_seconds",
            "Time in which runs had a process.",
            ("job",),
            buckets=(1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600),
            registry=registry,
        )
        self._drift = Histogram(
            "crawler_schedule_drift_seconds", "From due to queued.", buckets=_SECONDS, registry=registry
        )
        self._states = Gauge("crawler_runs", "Runs by state.", ("state",), registry=registry)
        self._jobs = Gauge("crawler_jobs", "Job files.", ("state",), registry=registry)
        self._listeners = Gauge("crawler_event_listeners", "Open event streams.", registry=registry)

    def count_run(self, run: RunRow) -> None:
        """Count a run that ended."""
        self._runs.labels(run.job, str(run.state)).inc()
        if run.started is None:
            return
        self._duration.labels(run.job).observe(run.ran)
        for outcome, n in run.progress.get("counts", {}).items():
            self._fetched.labels(run.job, outcome).inc(n)
        for error in run.progress.get("errors", ()):
            self._errors.labels(run.job, error["kind"]).inc(error["n"])
        self._bytes.labels(run.job).inc(run.progress.get("bytes_wire", 0))

    def page(self, *, states: dict[str, int], whole: int, broken: int, listeners: int, drifts: list[float]) -> bytes:
        """The page that Prometheus reads."""
        for state, n in states.items():
            self._states.labels(state).set(n)
        self._jobs.labels("whole").set(whole)
        self._jobs.labels("broken").set(broken)
        self._listeners.set(listeners)
        for drift in drifts:
            self._drift.observe(drift)
        return generate_latest(self._registry)
