from __future__ import annotations

import pytest

from crawler.jobs.thresholds import parse_threshold


@pytest.mark.parametrize(
    ("key", "value", "arm", "metric", "bound"),
    [
        ("rate", "> 500/s", "*", "rate", 500),
        ("a.rate.low", ">= 30/m", "a", "rate.low", 0.5),
        ("*.errors.ratio", "< 0.1%", "*", "errors.ratio", 0.001),
        ("async[vus=64].response_time.p99.9", "<250ms", "async[vus=64]", "response_time.p99.9", 0.25),
        ("v1.2.send_delay.max", "<= 1m30s", "v1.2", "send_delay.max", 90),
        ("a.cpu_per_request", "< 100us", "a", "cpu_per_request", 0.0001),
        ("a.rss_max", "< 64MiB", "a", "rss_max", 64 * 2**20),
        ("a.speedup", ">= 10", "a", "speedup", 10),
        ("errors.count", "== 0", "*", "errors.count", 0),
        ("errors.errors.count", "== 0", "errors", "errors.count", 0),
    ],
)
def test_each_metric_has_its_unit(key: str, value: str, arm: str, metric: str, bound: float) -> None:
    """Arm, metric and bound are told apart, also where an arm's name has dots or is that of a metric."""
    found = parse_threshold(key, value)
    assert (found.arm, found.metric, found.text) == (arm, metric, f"{key}: {value}")
    assert found.bound == pytest.approx(bound)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("p99", "< 1s", "names no metric"),
        ("response_time", "< 1s", "names no metric; did you mean 'response_time"),
        ("response_time.p100", "< 1s", "names no metric"),
        ("rate", "500/s", "expected a comparison in quotes"),
        ("rate", 500, "expected a comparison in quotes"),
        ("rate", "> 500", "is no rate"),
        ("rate", "=> 5/s", "expected a comparison in quotes"),
        ("errors.ratio", "< 2", "outside 0 to 1"),
        ("rss_max", "< 5 apples", "is no size"),
        ("speedup", "> -1", "is no plain number"),
        ("loop_lag_p99", "< 10", "has no unit"),
    ],
)
def test_what_is_refused(key: str, value: object, message: str) -> None:
    """A bound in the wrong unit, or in none, is refused and not guessed."""
    with pytest.raises(ValueError, match=message):
        parse_threshold(key, value)


def test_holds() -> None:
    """A value is within or not."""
    assert parse_threshold("rate", ">= 5/s").holds(5)
    assert not parse_threshold("rate", "> 5/s").holds(5)
