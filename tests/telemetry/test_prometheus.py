"""Metrics of a run as Prometheus scrapes them."""

from __future__ import annotations

import anyio
import pytest
from prometheus_client.parser import text_string_to_metric_families

import crawler
from crawler.fanout import Item, Plan, RetryPolicy, Run
from crawler.telemetry.prometheus import RunCollector, serving
from crawler.testbed import Testbed


def _scrape(port: int) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = crawler.get(f"http://127.0.0.1:{port}/metrics").text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in samples}


@pytest.mark.parametrize("host_label", [False, True])
def test_a_scrape_tells_what_the_run_did(host_label: bool) -> None:
    """Counts by outcome, status and kind, bytes, and a histogram of durations whose buckets add up."""
    with Testbed() as bed:
        items = [*(Item(f"{bed.url}/bytes/{n}") for n in range(1, 20)), Item(f"{bed.url}/status/404")]
        run = Run(Plan("shop", retry=RetryPolicy(attempts=1)), items)
        with serving(RunCollector(run.stats, "shop", host_label=host_label), "127.0.0.1", 0) as port:
            before = _scrape(port)
            anyio.run(run.execute)
            after = _scrape(port)

    job = ("job", "shop")
    assert before["crawler_requests_total", (("crawler_outcome", "ok"), job)] == 0
    assert after["crawler_requests_total", (("crawler_outcome", "ok"), job)] == 19
    assert after["crawler_responses_total", (("http_response_status_code", "404"), job)] == 1
    host = (("server_address", bed.url.removeprefix("http://")),) if host_label else ()
    assert after["crawler_errors_total", (("error_type", "http_4xx"), job, *host)] == 1
    assert after["http_client_response_body_size_bytes_total", (job,)] >= sum(range(1, 20))
    assert after["http_client_active_requests", (job,)] == 0
    assert after["http_client_request_duration_seconds_count", (job,)] == 20
    assert after["http_client_request_duration_seconds_bucket", (job, ("le", "+Inf"))] == 20
    assert after["http_client_request_duration_seconds_bucket", (job, ("le", "10.0"))] == 20
    assert 0 < after["http_client_request_duration_seconds_sum", (job,)] < 20 * 10


def test_a_taken_port_is_an_error() -> None:
    """It is said at once, not at the first scrape."""
    run = Run(Plan("job"), [])
    collector = RunCollector(run.stats, "job")
    with (
        serving(collector, "127.0.0.1", 0) as port,
        pytest.raises(OSError, match="in use"),
        serving(collector, "127.0.0.1", port),
    ):
        pytest.fail("served twice")
