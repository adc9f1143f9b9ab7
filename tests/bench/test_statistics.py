"""Statistics against values worked out by hand or from tables."""

from __future__ import annotations

import random
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.bench.statistics import holm, mann_whitney, median_interval, paired_ratio, unpaired_ratio

RATES = st.lists(st.floats(1, 1e5), min_size=1, max_size=12)


def test_the_exact_rank_test_counts_all_orders() -> None:
    """For every way to divide seven different values, p is the share of divisions at least as far out."""
    values = range(7)
    u_of = {chosen: sum(a > b for a in chosen for b in values if b not in chosen) for chosen in combinations(values, 3)}
    for chosen, u in u_of.items():
        others = [value for value in values if value not in chosen]
        low = min(u, 12 - u)
        expected = min(1.0, 2 * sum(other <= low for other in u_of.values()) / len(u_of))
        assert mann_whitney(list(chosen), others) == pytest.approx(expected)


def test_the_rank_test_of_two_separate_fives() -> None:
    """Five rounds all above five others: 2 of 252 orders are as far out."""
    assert mann_whitney([6, 7, 8, 9, 10], [1, 2, 3, 4, 5]) == pytest.approx(2 / 252)


def test_the_normal_approximation_meets_the_exact_test() -> None:
    """Ties force the approximation; with one tie among forty values it is within a tenth of the exact p."""
    rng = random.Random(3)
    first, second = [rng.gauss(0, 1) for _ in range(20)], [rng.gauss(0.7, 1) for _ in range(20)]
    exact = mann_whitney(first, second)
    tied = mann_whitney([*first[:-1], second[0]], second)
    assert 0.2 < tied / exact < 5
    assert mann_whitney([1.0] * 5, [1.0] * 5) == 1.0
    assert mann_whitney([], [1.0]) == 1.0


@given(RATES, RATES)
def test_the_rank_test_is_fair_to_both_sides(first: list[float], second: list[float]) -> None:
    """It does not matter which sample comes first, and a p-value is a probability."""
    p = mann_whitney(first, second)
    assert 0 <= p <= 1
    assert p == pytest.approx(mann_whitney(second, first))


def test_holm_by_hand() -> None:
    """The smallest is multiplied by all, the next by one less; none becomes smaller than one before it."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@given(RATES, st.integers(0, 100))
def test_an_interval_holds_its_estimate(rates: list[float], seed: int) -> None:
    """Low, value, high ascend, lie among the rounds, and come out the same with the same seed."""
    estimate = median_interval(rates, 0.95, seed)
    assert min(rates) <= estimate.low <= estimate.value <= estimate.high <= max(rates)
    assert estimate == median_interval(rates, 0.95, seed)


def test_a_wider_confidence_gives_a_wider_interval() -> None:
    """More certainty costs precision."""
    rates = [100.0, 103, 98, 110, 95, 101, 99, 104, 97, 102]
    narrow, wide = median_interval(rates, 0.5, 1), median_interval(rates, 0.99, 1)
    assert wide.low < narrow.low <= narrow.high < wide.high


def test_pairing_cancels_what_falls_on_both() -> None:
    """Rounds that vary tenfold, always in a ratio of two: paired, the ratio is exact; unpaired, it is lost."""
    baseline = [100.0, 1000, 300, 500, 120, 800]
    arm = [2 * rate for rate in baseline]
    assert paired_ratio(arm, baseline, 0.95, 1) == (2.0, 2.0, 2.0)
    loose = unpaired_ratio(arm, baseline, 0.95, 1)
    assert loose.value == 2.0
    assert loose.low < 1 < 2 < loose.high


def test_intervals_cover_the_truth() -> None:
    """Of 200 medians of ten normal rounds, a 95 % interval misses the true one about ten times, surely under 30."""
    rng = random.Random(11)
    misses = 0
    for seed in range(200):
        estimate = median_interval([rng.gauss(100, 5) for _ in range(10)], 0.95, seed)
        misses += not estimate.low <= 100 <= estimate.high
    assert misses < 30
