"""Live counters: what they say, and that they stay small."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from crawler.errors import ConnectError
from crawler.fanout.result import Result
from crawler.fanout.stats import MAX_ERRORS, MAX_HOSTS, OTHER_HOSTS, Rate, Stats
from crawler.models import Request, Response


def ended(url: str = "http://h.example/", status: int | None = 200, seconds: float = 0.5) -> Result:
    """A result whose one attempt took `seconds`, with a response or a refused connection."""
    result = Result(url, 0, None, 10.0)
    result.begin(10.25)
    result.request = Request("GET", url)
    if status is None:
        result.fail(ConnectError("refused"))
    else:
        result.response = Response(status, content=b"12345", request=result.request)
        result.bytes = result.attempt_bytes_wire = 5
        result.judge_status(status, has_retry_after=False)
    result.ended = 10.25 + seconds
    return result


def count(stats: Stats, result: Result, host: str = "h.example", now: float = 11.0) -> None:
    """Bring one result through all the counters."""
    stats.submitted += 1
    stats.start_attempt(1)
    stats.end_attempt(result, host)
    stats.finish(result, host, now, result.outcome)


def test_outcomes_are_counted() -> None:
    """Each final request is in one outcome; pending is what is left."""
    stats = Stats(0.0)
    for status in (200, 204, 404, None):
        count(stats, ended(status=status))
    stats.submitted += 3

    assert (stats.ok, stats.failed, stats.done, stats.pending) == (2, 2, 4, 3)
    assert stats.status == {200: 1, 204: 1, 404: 1}
    assert (stats.attempts, stats.retries, stats.in_flight) == (4, 0, 0)
    assert (stats.bytes, stats.bytes_wire) == (15, 15)
    assert stats.sequential_seconds == 2.0
    assert stats.latency.count == 3


def test_errors_are_grouped_with_an_example() -> None:
    """By kind over all hosts, most frequent first, with the first case as the example."""
    stats = Stats(0.0)
    for n in range(3):
        count(stats, ended(f"http://a.example/{n}", None), host=f"h{n}")
    count(stats, ended("http://b.example/", 404))

    first, second = stats.errors_by_kind()

    assert (first.kind, first.n, first.example) == ("connect_refused", 3, "http://a.example/0: refused")
    assert (second.kind, second.n, second.example) == ("http_4xx", 1, "http://b.example/: 404 Not Found")


def test_examples_hide_secrets() -> None:
    """What is shown of an error has no password in it."""
    stats = Stats(0.0)

    count(stats, ended("http://u:pw@b.example/?token=abc", 404))

    (error,) = stats.errors_by_kind()
    assert "pw" not in error.example
    assert "abc" not in error.example


def test_the_slowest_host_is_the_one_with_the_longest_mean() -> None:
    """One slow host stands out, however few its requests."""
    stats = Stats(0.0)
    assert stats.slowest_host() is None
    for n in range(10):
        count(stats, ended(seconds=0.1), host=f"fast{n % 2}")
    count(stats, ended(seconds=3.0), host="slow")

    slowest = stats.slowest_host()

    assert slowest is not None
    assert slowest[0] == "slow"
    assert slowest[1].mean == 3.0


def test_tables_are_bounded() -> None:
    """A million hosts take no more room than ten thousand; the rest is counted together."""
    stats = Stats(0.0)
    result = ended(status=None)
    for n in range(MAX_HOSTS + 100):
        count(stats, result, host=f"h{n}")

    assert len(stats.hosts) == MAX_HOSTS + 1
    assert stats.hosts[OTHER_HOSTS].n == 100
    assert len(stats.errors) == MAX_ERRORS + 1
    assert sum(error.n for error in stats.errors.values()) == MAX_HOSTS + 100


@pytest.mark.parametrize(
    ("events", "now", "rate"),
    [
        ([0.1, 0.2, 0.3], 0.5, lambda r: r.now(0.5) == r.mean(0.5) == 6.0),
        ([0.1, 0.2, 1.1], 2.5, lambda r: r.now(2.5) == 1.5),
        ([0.1] * 10, 8.0, lambda r: r.now(8.0) == 0.0),
        ([0.1] * 10 + [5.5], 6.5, lambda r: r.peak == 10.0),
        ([0.5], 1e9, lambda r: r.now(1e9) == 0.0),
    ],
)
def test_rates(events: list[float], now: float, rate: Callable[[Rate], bool]) -> None:
    """The rate of the last whole seconds, the mean, and the best second."""
    meter = Rate(0.0)
    for event in events:
        meter.add(event)

    meter.now(now)

    assert rate(meter)


def test_the_summary_holds_it_all() -> None:
    """The counted part of `crawler.summary/1`, also of a run that did nothing."""
    stats = Stats(0.0)
    empty = stats.summary(1.0)
    for status in (200, 404, None):
        count(stats, ended(status=status))

    full = stats.summary(11.0)

    assert list(empty) == list(full)
    assert full["counts"] == {"ok": 1, "failed": 2, "skipped": 0, "unchanged": 0, "cancelled": 0}
    assert full["status"] == {"200": 1, "404": 1}
    assert full["hosts"] == [
        {"host": "h.example", "n": 3, "ok": 1, "rate": 0.273, "mean": 0.5, "wait": 0.0, "suspended": 0.0}
    ]
    timing = full["timing"]
    assert isinstance(timing, dict)
    assert timing["total"]["p50"] == timing["total"]["max"] == 0.5
    assert timing["dns"]["p50"] is None
