"""The histogram keeps three digits, whatever it is fed."""

from __future__ import annotations

import json
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.bench.histogram import Histogram

DURATIONS = st.lists(st.floats(1e-6, 3600), min_size=1, max_size=200)


def filled(values: list[float]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram


@given(DURATIONS, st.floats(1, 99.9))
def test_a_percentile_is_within_a_thousandth(values: list[float], q: float) -> None:
    """It is at or above the sample of that rank, by at most 0.1 %."""
    exact = sorted(values)[max(0, ceil(len(values) * q / 100 - 1e-9) - 1)]
    found = filled(values).percentile(q)
    assert found is not None
    assert exact * (1 - 1e-12) <= found <= exact * 1.001


@given(st.lists(st.floats(0, 1e6) | st.floats(1e-6, 4095), min_size=1, max_size=200))
def test_many_at_once_are_as_one_after_the_other(values: list[float]) -> None:
    """The short way gives what the long one gives, also for what is too short or too long to tell."""
    at_once = Histogram()
    at_once.add_all(values)
    one_by_one = filled(values).to_json()
    assert at_once.to_json() | {"total": 0} == one_by_one | {"total": 0}
    assert at_once.total == pytest.approx(one_by_one["total"])


@given(DURATIONS, DURATIONS)
def test_merging_is_as_if_one_had_taken_all(first: list[float], second: list[float]) -> None:
    """Counts, extremes and percentiles agree; so does what went through JSON."""
    merged = filled(first)
    merged.merge(Histogram.from_json(json.loads(json.dumps(filled(second).to_json()))))
    both = filled(first + second)
    assert merged.to_json()["buckets"] == both.to_json()["buckets"]
    assert (merged.count, merged.max) == (both.count, both.max)
    assert merged.total == pytest.approx(both.total)


@given(DURATIONS, st.integers(1, 40))
def test_coarse_buckets_hold_every_sample(values: list[float], limit: int) -> None:
    """However few there are: edges ascend, the counts add up, the last edge is the longest sample."""
    rows = filled(values).coarse(limit)
    assert len(rows) <= limit
    assert [edge for edge, _ in rows] == sorted(edge for edge, _ in rows)
    assert sum(count for _, count in rows) == len(values)
    assert rows[-1][0] == pytest.approx(max(values), rel=1e-3) or limit < 40


def test_what_is_out_of_range_is_counted_at_its_edge() -> None:
    """Zero, less than zero and days are samples like others; the longest stays exact."""
    histogram = filled([0.0, -1.0, 1e-9, 1e6])
    assert histogram.count == 4
    assert histogram.max == 1e6
    assert histogram.percentile(50) == pytest.approx(2**-20, rel=1e-2)


def test_samples_can_come_in_numbers() -> None:
    """One sample for sixteen weighs as much as sixteen."""
    histogram = Histogram()
    histogram.add(0.5, 16)
    assert (histogram.count, histogram.total, histogram.mean) == (16, 8.0, 0.5)


def test_a_percentile_with_few_samples_above_is_not_told() -> None:
    """The 99th needs a thousand samples, the median twenty: ten must lie above."""
    histogram = filled([0.001] * 999)
    assert [value is None for value in histogram.reliable_percentiles((50, 99))] == [False, True]
    histogram.add(0.001)
    assert histogram.reliable_percentiles((99,)) != [None]
    assert filled([0.1] * 19).reliable_percentiles((50,)) == [None]


def test_an_empty_one_tells_nothing() -> None:
    """No sample, no number."""
    assert Histogram().percentiles((50, 99)) == [None, None]
    assert Histogram().mean is None
    assert Histogram().coarse(8) == []
