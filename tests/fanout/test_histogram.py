"""Percentiles in constant memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.fanout.histogram import Histogram


def test_an_empty_one_knows_nothing() -> None:
    """Without samples there is no percentile."""
    assert Histogram().percentile(50) is None


@given(st.lists(st.floats(1e-6, 4000), min_size=1, max_size=300), st.sampled_from([1.0, 50.0, 90.0, 99.0, 99.9, 100.0]))
def test_percentiles_are_right_within_half_a_percent(samples: list[float], q: float) -> None:
    """At least `q` percent of the samples are not above the answer, which is at most 0.4 % above the exact one."""
    histogram = Histogram()
    for sample in samples:
        histogram.add(sample)
    exact = sorted(samples)[max(1, -int(-len(samples) * q // 100)) - 1]

    answer = histogram.percentile(q)

    assert answer is not None
    assert exact * 0.9999 <= answer <= exact * 1.004 + 2e-9
    assert histogram.max == max(samples)
    assert histogram.count == len(samples)


@pytest.mark.parametrize("seconds", [0.0, 1e-9, -1.0, 1e6])
def test_samples_beyond_the_range_count_at_its_ends(seconds: float) -> None:
    """Nothing is lost and nothing raises."""
    histogram = Histogram()

    histogram.add(seconds)

    assert histogram.count == 1
    assert histogram.percentile(50) is not None


@given(st.lists(st.floats(1e-6, 4000.0), min_size=1, max_size=200), st.lists(st.floats(1e-5, 4000.0), max_size=10))
def test_cumulative_counts_are_close(samples: list[float], bounds: list[float]) -> None:
    """No sample clearly below a bound is missed, none clearly above it is counted."""
    histogram = Histogram()
    for sample in samples:
        histogram.add(sample)
    bounds.sort()
    for bound, found in zip(bounds, histogram.cumulative(bounds), strict=True):
        assert sum(sample < 0.99 * bound for sample in samples) <= found
        assert found <= sum(sample < 1.01 * bound + 1e-6 for sample in samples)
    assert histogram.cumulative([0.0, 1e9]) == [0, len(samples)]
