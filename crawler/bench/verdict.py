"""Who was faster, and was it the client that was measured: decisions over the rounds of all arms."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median

from crawler.bench.plan import MIN_ROUNDS, Arm, BenchPlan, Guard
from crawler.bench.result import Finding, RoundResult, Speedup, Verdict
from crawler.bench.statistics import Estimate, holm, least_p, mann_whitney, paired_ratio, rounds_needed


def speedups(
    plan: BenchPlan, rounds: Mapping[str, Sequence[RoundResult]], limited: frozenset[str]
) -> dict[str, Speedup]:
    """Compare each arm with its baseline.

    Args:
        plan: Names the baseline, the smallest effect and the confidence.
        rounds: Name of an arm → its rounds, in order.
        limited: Names of the arms that a guard was hit by.

    Returns:
        Name of an arm → what came out; p-values are corrected for the number of comparisons.
    """
    metric = "response_time.p50" if plan.executor.is_open else "rate"
    compared = {arm.name: _compare(plan, arm, rounds, metric) for arm in plan.arms}
    found = {name: speedup for name, (speedup, _) in compared.items()}
    tested = [(name, p, pairs) for name, (speedup, pairs) in compared.items() if (p := speedup.p_value) is not None]
    corrected = holm([p for _, p, _ in tested])
    reachable = holm([least_p(pairs, pairs) for _, _, pairs in tested])  # growing in each p, so none can get below
    needed = rounds_needed_for(plan, len(tested))
    for (name, _, pairs), p_value, least in zip(tested, corrected, reachable, strict=True):
        speedup = replace(found[name], p_value=p_value)
        is_futile = p_value > 1 - plan.confidence < least
        if len(rounds[name]) < MIN_ROUNDS or is_futile:
            found[name] = replace(speedup, verdict="too_few_rounds", rounds_needed=max(needed, pairs + 1))
        else:
            found[name] = replace(speedup, verdict=_judge(plan, speedup, name in limited))
    return found


def rounds_needed_for(plan: BenchPlan, comparisons: int | None = None) -> int:
    """Rounds that a plan must have for verdicts: with more arms the rank test must be surer of each, by Holm.

    Args:
        plan: Its arms are compared with the baseline.
        comparisons: How many are; those of the plan, unless some arms had nothing to compare.
    """
    if comparisons is None:
        comparisons = sum(plan.baseline_of(arm).name != arm.name for arm in plan.arms)
    return max(MIN_ROUNDS, rounds_needed(comparisons, plan.confidence))


def _compare(
    plan: BenchPlan, arm: Arm, rounds: Mapping[str, Sequence[RoundResult]], metric: str
) -> tuple[Speedup, int]:
    """The comparison without its verdict, and how many rounds it rests on."""
    baseline = plan.baseline_of(arm)
    if arm.name == baseline.name:
        return Speedup(1.0, 1.0, 1.0, "baseline", metric=metric, baseline=baseline.name), 0
    pairs = _paired(rounds[arm.name], rounds[baseline.name], metric)
    if not pairs:
        return Speedup(metric=metric, baseline=baseline.name), 0
    ours, theirs = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    estimate: Estimate = paired_ratio(ours, theirs, plan.confidence, seed_of(plan.seed, arm.name))
    found = Speedup(
        estimate.value,
        estimate.low,
        estimate.high,
        p_value=mann_whitney(ours, theirs),
        metric=metric,
        baseline=baseline.name,
    )
    return found, len(pairs)


def _paired(ours: Sequence[RoundResult], theirs: Sequence[RoundResult], metric: str) -> list[tuple[float, float]]:
    """Speeds of two arms in the rounds that both brought to an end with a success."""
    partners = {round_.round: speed_of(round_, metric) for round_ in theirs}
    pairs = [(speed_of(round_, metric), partners.get(round_.round)) for round_ in ours]
    return [(mine, other) for mine, other in pairs if mine and other]


def speed_of(round_: RoundResult, metric: str) -> float | None:
    """How fast a round was, more being faster: its rate, or the inverse of its median response time."""
    if metric == "rate":
        return round_.rate or None
    p50 = round_.response_time.get("p50")
    return 1 / p50 if p50 else None


def _judge(plan: BenchPlan, speedup: Speedup, is_limited: bool) -> Verdict:
    ratio, low, high, p_value = speedup.ratio, speedup.low, speedup.high, speedup.p_value
    assert ratio is not None
    assert low is not None
    assert high is not None
    assert p_value is not None
    return decide(Estimate(ratio, low, high), p_value, plan.min_effect, plan.confidence, is_limited)


def decide(
    estimate: Estimate, p_value: float, min_effect: float, confidence: float, is_limited: bool = False
) -> Verdict:
    """Turn a ratio of speeds into a verdict.

    Args:
        estimate: Of the ratio; above 1 is faster.
        p_value: Of the rank test, corrected.
        min_effect: Smaller differences are none: a ratio within `1 + min_effect`, either way.
        confidence: Its complement is the level of significance.
        is_limited: It ran into the limits of the client; then it cannot be `faster`.
    """
    if p_value > 1 - confidence:
        return "no difference"
    if estimate.low > 1 and estimate.value >= 1 + min_effect:
        return "client_limited" if is_limited else "faster"
    if estimate.high < 1 and estimate.value <= 1 / (1 + min_effect):
        return "slower"
    return "no difference"


def seed_of(seed: int, name: str) -> int:
    """A seed of its own for each arm, the same in every run."""
    return zlib.crc32(f"{seed}/{name}".encode())


def findings(guard: Guard, rounds: Sequence[RoundResult], lag: float | None) -> tuple[Finding, ...]:
    """Tell which guards an arm hit.

    Args:
        guard: The limits.
        rounds: Of the arm; the median of their CPU counts, so that one bad moment does not condemn it.
        lag: Lateness of its timers, 99th percentile over all rounds; `None` if too few were set to tell.
    """
    if not rounds:
        return ()
    started = [round_.requests + round_.dropped for round_ in rounds]
    dropped = sum(round_.dropped for round_ in rounds) / max(1, sum(started))
    cpu = median(round_.cpu for round_ in rounds)
    measured: tuple[tuple[str, float | None, float | None, str], ...] = (
        ("loop_lag_p99", lag, guard.loop_lag_p99, f"Timers of the client were {1000 * (lag or 0):.1f} ms late at p99"),
        ("cpu", cpu, guard.cpu, f"The client used {cpu:.0%} of a core"),
        ("dropped_ratio", dropped, guard.dropped_ratio, f"{dropped:.2%} of the starts found no free user"),
    )
    return tuple(
        Finding(name, value, limit, f"{said}, more than the guard allows.")
        for name, value, limit, said in measured
        if value is not None and limit is not None and value > limit
    )
