"""The statistics of a comparison: bootstrap over rounds, Mann–Whitney U, Holm. Pure; chance comes in as a seed.

Rounds are resampled, not requests: requests of one round share a process, a warm cache and whatever else the machine
did meanwhile, so they are not independent, and an interval from them would be far too narrow. Arms of one round ran
within seconds of each other, so where both have their rounds in common a comparison is paired: a slow minute falls on
both and cancels.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from math import comb, erfc, sqrt
from statistics import median
from typing import NamedTuple

RESAMPLES = 2000
"""Bootstrap resamples: the ends of a 95 % interval then rest on 50 values each."""

_EXACT = 20  # up to so many rounds the U distribution is counted out; beyond, the normal one is as good


class Estimate(NamedTuple):
    """A value with its confidence interval."""

    value: float
    low: float
    high: float


def bootstrap(rounds: int, statistic: Callable[[list[int]], float], confidence: float, seed: int) -> Estimate:
    """Estimate a statistic of `rounds` rounds by resampling them with replacement (percentile bootstrap).

    Args:
        rounds: How many there are; at least one.
        statistic: Of a choice of rounds, given by their numbers.
        confidence: Of the interval, such as 0.95.
        seed: The same seed gives the same interval.
    """
    rng = random.Random(seed)
    numbers = range(rounds)
    values = sorted(statistic(rng.choices(numbers, k=rounds)) for _ in range(RESAMPLES))
    tail = (1 - confidence) / 2
    return Estimate(
        statistic(list(numbers)), values[int(tail * (RESAMPLES - 1))], values[-1 - int(tail * (RESAMPLES - 1))]
    )


def median_interval(values: Sequence[float], confidence: float, seed: int) -> Estimate:
    """The median of one arm's rounds."""
    return bootstrap(len(values), lambda chosen: median(values[number] for number in chosen), confidence, seed)


def paired_ratio(arm: Sequence[float], baseline: Sequence[float], confidence: float, seed: int) -> Estimate:
    """How many times the baseline an arm is: the median of the rounds' ratios. Both have the same rounds, above 0."""
    ratios = [ours / theirs for ours, theirs in zip(arm, baseline, strict=True)]
    return median_interval(ratios, confidence, seed)


def unpaired_ratio(arm: Sequence[float], baseline: Sequence[float], confidence: float, seed: int) -> Estimate:
    """The ratio of the medians of two arms that ran at different times, each resampled by itself."""
    rng = random.Random(seed)
    values = sorted(
        median(rng.choices(arm, k=len(arm))) / median(rng.choices(baseline, k=len(baseline))) for _ in range(RESAMPLES)
    )
    cut = int((1 - confidence) / 2 * (RESAMPLES - 1))
    return Estimate(median(arm) / median(baseline), values[cut], values[-1 - cut])


def mann_whitney(first: Sequence[float], second: Sequence[float]) -> float:
    """Two-sided p-value of the Mann–Whitney U test: could two samples this apart come from one distribution?

    Exact for small samples without ties, else by the normal approximation with corrections for ties and continuity.
    Two empty or all-equal samples give 1.
    """
    n, m = len(first), len(second)
    if not n or not m:
        return 1.0
    u = sum((a > b) + 0.5 * (a == b) for a in first for b in second)
    everything = sorted([*first, *second])
    ties = [everything.count(value) for value in dict.fromkeys(everything)]
    if max(n, m) <= _EXACT and max(ties) == 1:
        return _exact_p(n, m, min(u, n * m - u))
    total = n + m
    variance = n * m / 12 * (total + 1 - sum(t**3 - t for t in ties) / (total * (total - 1)))
    if variance <= 0:
        return 1.0
    z = max(0.0, abs(u - n * m / 2) - 0.5) / sqrt(variance)
    return erfc(z / sqrt(2))


def _exact_p(n: int, m: int, u: float) -> float:
    """Share of all orders of n and m values whose U is as far out as `u`, on either side."""
    ways = [1] + [0] * (n * m)  # ways[k]: orders with U = k, by Gauss's product of (1 - q^(m+i)) / (1 - q^i)
    for i in range(1, n + 1):
        for k in range(n * m, m + i - 1, -1):
            ways[k] -= ways[k - m - i]
        for k in range(i, n * m + 1):
            ways[k] += ways[k - i]
    return min(1.0, 2 * sum(ways[: int(u) + 1]) / comb(n + m, n))


def least_p(n: int, m: int) -> float:
    """The smallest p-value that `mann_whitney` can give for n against m rounds without ties: one lies wholly above."""
    return 2 / comb(n + m, n)


def rounds_needed(comparisons: int, confidence: float) -> int:
    """Rounds after which one of so many comparisons can be significant at all, corrected for all of them."""
    n = 1
    while comparisons * least_p(n, n) > 1 - confidence:
        n += 1
    return n


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for being several (Holm 1979): each stays comparable with the same level of significance."""
    corrected = [0.0] * len(p_values)
    worst = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda number: p_values[number])):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = worst
    return corrected
