"""Metrics and spans over OTLP, to a collector on this machine."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anyio
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from crawler.fanout import Item, Plan, RetryPolicy, Run
from crawler.models import Request, Response
from crawler.telemetry.otlp import exporting
from crawler.testbed import Testbed
from tests.peers.clients import Answer, ScriptedClient


@contextmanager
def collector() -> Iterator[tuple[str, dict[str, list[bytes]]]]:
    """An OTLP collector that keeps what it is sent, by path."""
    taken: dict[str, list[bytes]] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the name is http.server's
            data = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                data = gzip.decompress(data)
            taken.setdefault(self.path, []).append(data)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", taken
        finally:
            server.shutdown()
            thread.join()


def test_a_run_is_a_trace_and_its_counters_are_metrics() -> None:
    """A span per attempt below the run's, failures marked with their kind; the last values are sent at the end."""
    with Testbed() as bed, collector() as (endpoint, taken):
        items = [*(Item(f"{bed.url}/bytes/{n}") for n in range(1, 10)), Item(f"{bed.url}/status/404?token=secret")]
        run = Run(Plan("shop", retry=RetryPolicy(attempts=1)), items)
        with exporting(run.stats, "shop", "RUN", endpoint, time.monotonic) as observer:
            run.observers.append(observer)
            anyio.run(run.execute)

    traces = [ExportTraceServiceRequest.FromString(data) for data in taken["/v1/traces"]]
    scopes = [scope for trace in traces for group in trace.resource_spans for scope in group.scope_spans]
    spans = [span for scope in scopes for span in scope.spans]
    (whole,) = [span for span in spans if span.name == "crawler.run"]
    attempts = [span for span in spans if span.name == "GET"]
    assert len(attempts) == 10
    assert {span.parent_span_id for span in attempts} == {whole.span_id}
    assert all(span.start_time_unix_nano <= span.end_time_unix_nano for span in attempts)
    (failed,) = [span for span in attempts if span.status.message]
    facts = {fact.key: fact.value for fact in failed.attributes}
    assert facts["error.type"].string_value == "http_4xx"
    assert facts["http.response.status_code"].int_value == 404
    assert "secret" not in facts["url.full"].string_value

    (*_, last) = [ExportMetricsServiceRequest.FromString(data) for data in taken["/v1/metrics"]]
    measured = [scope for group in last.resource_metrics for scope in group.scope_metrics]
    metrics = {metric.name: metric for scope in measured for metric in scope.metrics}
    outcomes = {
        point.attributes[0].value.string_value: point.as_double or point.as_int
        for point in metrics["crawler.requests"].sum.data_points
    }
    assert outcomes["ok"] == 9
    assert sum(point.count for point in metrics["http.client.request.duration"].histogram.data_points) == 10


def test_servers_are_told_the_span_of_each_attempt() -> None:
    """Each attempt, retries and redirects included, carries the `traceparent` of the very span that is exported."""
    told: list[tuple[str, str]] = []

    class Noting(ScriptedClient):
        async def send(
            self, request: Request, *, stream: bool = False, follow_redirects: bool = False, auth: None = None
        ) -> Response:
            told.append((request.url.path, request.headers["traceparent"]))
            return await super().send(request, stream=stream, follow_redirects=follow_redirects)

    def script(url: str, number: int) -> Answer:
        if url.endswith("/moved"):
            return Response.from_wire(302, [(b"Location", b"http://b.example/there")], b"", {}, Request("GET", url))
        return 503 if number == 1 and url.endswith("/again") else 200

    with collector() as (endpoint, taken):
        items = [Item(f"http://a.example/{path}") for path in ("plain", "again", "moved")]
        plan = Plan("shop", retry=RetryPolicy(attempts=2, base=0.0), concurrency=1)
        run = Run(plan, items, client=Noting(script))
        with exporting(run.stats, "shop", "RUN", endpoint, time.monotonic) as observer:
            run.observers.append(observer)
            run.tracer = observer
            anyio.run(run.execute)

    traces = [ExportTraceServiceRequest.FromString(data) for data in taken["/v1/traces"]]
    groups = [scope for trace in traces for group in trace.resource_spans for scope in group.scope_spans]
    spans = {span.span_id.hex(): span.trace_id.hex() for scope in groups for span in scope.spans if span.name == "GET"}
    assert len(spans) == 4
    assert {value[:-3] for _, value in told} == {f"00-{trace}-{span}" for span, trace in spans.items()}
    assert all(int(value[-2:], 16) & 1 for _, value in told)  # sampled
    by_path = dict(told)
    assert by_path["/moved"] == by_path["/there"]
    assert len({value for path, value in told if path == "/again"}) == 2


def test_nobody_is_told_unless_asked_for() -> None:
    """Without a tracer no header is added."""
    client = ScriptedClient()
    anyio.run(Run(Plan("shop"), [Item("http://a.example/")], client=client).execute)

    assert client.last is not None
    assert "traceparent" not in client.last.headers
