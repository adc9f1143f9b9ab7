"""From samples to the result, and to the file and back."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from crawler.bench import Arm, BenchPlan, BenchResult, Executor
from crawler.bench.assemble import Assembly
from crawler.bench.environment import describe
from crawler.bench.sample import Sample


def sample_of(requests: int, seconds: float, took: float, errors: int = 0, rss: int = 1000) -> Sample:
    sample = Sample(duration=seconds, requests=requests, cpu_s=0.4, rss_max=rss, bytes=requests * 10)
    sample.response.add(took, requests - errors)
    sample.timeline = [[requests, errors, took * (requests - errors), took]]
    if errors:
        sample.errors = {"http_5xx": errors}
    return sample


def result_of(rounds: int = 5) -> BenchResult:
    arms = (Arm("slow", engine="sync"), Arm("fast", vus=4))
    plan = BenchPlan(("http://me:secret@127.0.0.1/?token=abc",), arms, Executor(requests=100), rounds=rounds)
    assembly = Assembly(plan)
    for number in range(rounds):
        assembly.add(arms[0], number, sample_of(100, 2.0 + number / 100, 0.02))
        assembly.add(arms[1], number, sample_of(100, 0.5 + number / 100, 0.01, errors=10, rss=2000 + number))
    assert assembly.rounds == rounds
    return assembly.result(describe(), "2026-11-21T00:00:00.000Z", "2026-11-21T00:01:00.000Z")


def test_totals_of_an_arm() -> None:
    """Requests, errors by kind, percentiles of successes, CPU of a request, the highest memory."""
    arm = result_of().arm("fast")
    assert (arm.requests, arm.bytes, arm.rss_max) == (500, 5000, 2004)
    assert (arm.errors.count, arm.errors.ratio, arm.errors.kinds) == (50, 0.1, {"http_5xx": 50})
    assert arm.cpu_per_request == pytest.approx(0.4 * 5 / 500)
    assert arm.response_time.count == 450
    assert arm.response_time.percentiles["p50"] == pytest.approx(0.01, rel=1e-3)
    assert arm.response_time.percentiles["p99.9"] is None
    assert arm.rate.median == pytest.approx(90 / 0.52)
    assert arm.rate.low is not None
    assert arm.rate.low < 90 / 0.52 < (arm.rate.high or 0)


def test_rounds_and_timeline_stay_apart() -> None:
    """What a comparison resamples and what a chart draws."""
    arm = result_of().arm("fast")
    assert [round_.round for round_ in arm.rounds] == [0, 1, 2, 3, 4]
    assert arm.rounds[0].rate == 180
    assert [(row.round, row.requests, row.errors) for row in arm.timeline] == [(number, 100, 10) for number in range(5)]
    assert [row.mean for row in arm.timeline] == pytest.approx([0.01] * 5)


def test_the_fast_arm_is_faster() -> None:
    """Successes count, not requests."""
    speedup = result_of().arm("fast").speedup
    assert speedup.verdict == "faster"
    assert speedup.ratio == pytest.approx(90 / 0.52 / (100 / 2.02))
    assert (speedup.baseline, speedup.metric) == ("slow", "rate")


def test_the_file_holds_at_least_what_is_promised() -> None:
    """The fields of `crawler.bench/1`, by the names that scripts rely on."""
    document = result_of().to_json()
    assert document["schema"] == "crawler.bench/1"
    assert {"baseline", "environment", "arms"} <= document.keys()
    arm = document["arms"][1]
    assert {"name", "engine", "client", "http_version", "vus", "requests", "cpu_per_request", "rss_max"} <= arm.keys()
    assert {"count", "ratio"} <= arm["errors"].keys()
    assert {"median", "low", "high"} <= arm["rate"].keys()
    assert {"p50", "p90", "p99", "p99.9", "max"} <= arm["response_time"].keys()
    assert {"ratio", "low", "high", "verdict"} <= arm["speedup"].keys()


def test_the_file_can_be_read_again() -> None:
    """Whole, also with keys of a later version in it."""
    result = replace(result_of(), histograms=())
    document = json.loads(json.dumps(result.to_json()))
    assert BenchResult.from_json(document) == result
    document["later"] = document["arms"][0]["later"] = document["arms"][0]["response_time"]["later"] = 1
    assert BenchResult.from_json(document) == result


@pytest.mark.parametrize("document", [{}, {"schema": "crawler.bench/2"}, {"schema": "crawler.bench/1"}])
def test_other_files_are_refused(document: dict[str, object]) -> None:
    """A record file, a later schema, or a torso."""
    with pytest.raises(ValueError, match=r"schema|validation"):
        BenchResult.from_json(document)


def test_no_secret_gets_into_the_file() -> None:
    """Neither the password of the URL nor its token."""
    text = json.dumps(result_of().to_json())
    assert "secret" not in text
    assert "abc" not in text


def test_the_curve_rises_to_one() -> None:
    """Its last point is the longest sample."""
    curve = result_of().arm("slow").response_time.cdf()
    assert curve[-1] == pytest.approx((0.02, 1.0))


def test_costs_per_thousand_requests() -> None:
    """CPU over all rounds; memory above the start only where a round had as many requests."""
    arms = (Arm("short"), Arm("long"))
    plan = BenchPlan(("http://127.0.0.1/",), arms, Executor(requests=100), rounds=3)
    assembly = Assembly(plan)
    for number in range(3):
        for arm, requests in zip(arms, (999, 2000), strict=True):
            sample = sample_of(requests, 2.0, 0.02, rss=9_000_000 + number)
            sample.rss_start = 1_000_000
            assembly.add(arm, number, sample)
    short, long = assembly.result(describe(), "2026-11-21T06:00:00Z", "2026-11-21T06:00:09Z").arms
    assert long.cpu_per_1000 == pytest.approx(0.2)
    assert long.rss_per_1000 == pytest.approx(4_000_000.5)
    assert short.cpu_per_1000 == pytest.approx(0.4 / 0.999)
    assert short.rss_per_1000 is None
