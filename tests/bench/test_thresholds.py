from __future__ import annotations

import pytest

from crawler.bench import BenchResult, Errors
from crawler.bench.thresholds import judged, metric
from crawler.jobs.thresholds import parse_threshold
from tests.bench.examples import arm, result


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rate", 120), ("rate.low", 114), ("speedup", 6), ("speedup.high", 6.6), ("errors.ratio", 0.0),
        ("errors.count", 0), ("dropped.ratio", 0.0), ("response_time.p99", 0.15), ("response_time.max", 0.2),
        ("response_time.mean", 0.05), ("response_time.p99.9", None), ("service_time.p50", None),
        ("cpu_per_request", 0.0002), ("loop_lag_p99", 0.001), ("cpu", 0.25), ("rss_max", 30_000_000),
        ("requests", 1000), ("bytes", 0),
    ],
)  # fmt: skip
def test_every_metric_is_found(name: str, value: float | None) -> None:
    """Each name that a job may write gives its number."""
    assert metric(result().arm("async"), name) == pytest.approx(value)


def broken(key: str, bound: str) -> list[str]:
    return [breach.arm for breach in judged(result(), [parse_threshold(key, bound)]).breaches]


def test_which_arms_are_meant() -> None:
    """One arm, all arms; a speed-up of all spares the baseline."""
    assert broken("async.rate", "> 200/s") == ["async"]
    assert broken("rate", "> 200/s") == ["sync", "async"]
    assert broken("*.speedup", ">= 5") == []
    assert broken("*.speedup", ">= 7") == ["async"]
    assert broken("sync.speedup", ">= 5") == ["sync"]


def test_a_group_means_all_its_cells() -> None:
    """The name of a matrix's arm stands for its cells."""
    cells = [arm(f"a[vus={vus}]", vus, 0.1, group="a") for vus in (1, 100)]
    found = judged(result(*cells), [parse_threshold("a.rate", "> 50/s"), parse_threshold("a[vus=100].rate", "> 50/s")])
    assert [(row.arm, row.holds) for row in found.thresholds] == [
        ("a[vus=1]", False),
        ("a[vus=100]", True),
        ("a[vus=100]", True),
    ]
    assert [breach.arm for breach in found.breaches] == ["a[vus=1]"]


def test_the_outcome_stands_in_the_file() -> None:
    """What was asked, of whom, what was measured and whether it holds; read again as it was."""
    found = judged(result(), [parse_threshold("async.rate", "> 100/s")])
    document = found.to_json()
    assert document["thresholds"] == (
        {
            "threshold": "async.rate: > 100/s",
            "arm": "async",
            "metric": "rate",
            "operator": ">",
            "bound": 100.0,
            "value": 120,
            "holds": True,
        },
    )
    assert BenchResult.from_json(document) == found


def test_what_was_not_measured_is_broken() -> None:
    """A check that passes because nothing was looked at is none."""
    assert broken("*.response_time.p99.9", "< 1h") == ["sync", "async"]
    assert broken("gone.rate", "> 1/s") == ["gone"]


def test_bounds_are_exact() -> None:
    """Every comparison does what it says at the bound."""
    found = result(arm("a", 20, 0.1, errors=Errors(1, 0.01)))
    for operator, holds in (("<", False), ("<=", True), (">", False), (">=", True), ("==", True)):
        assert (judged(found, [parse_threshold("errors.ratio", f"{operator} 1%")]).breaches == ()) is holds
