"""What a job's `thresholds` say of a result: each with the number that was measured, and whether it holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from crawler.bench.result import ArmResult, BenchResult, Outcome
from crawler.jobs.thresholds import Threshold


def judged(result: BenchResult, thresholds: Iterable[Threshold]) -> BenchResult:
    """Give the result with what came of the thresholds: an outcome for every arm that one means, in their order.

    A number that was not measured breaks a threshold: a check that passes because nothing was looked at is none. The
    baseline has no speedup over itself and is passed over by those of `*`.
    """
    found = []
    for threshold in thresholds:
        meant = _meant(result, threshold)
        if not meant and threshold.arm != "*":  # the run ended before its turn
            found.append(_outcome(threshold, threshold.arm, None))
        found += [_outcome(threshold, arm.name, metric(arm, threshold.metric)) for arm in meant]
    return replace(result, thresholds=tuple(found))


def _outcome(threshold: Threshold, arm: str, value: float | None) -> Outcome:
    holds = value is not None and threshold.holds(value)
    return Outcome(threshold.text, arm, threshold.metric, threshold.operator, threshold.bound, value, holds)


def metric(arm: ArmResult, name: str) -> float | None:
    """Give a number of an arm by its dotted name, as `thresholds` write it; `None` if it was not measured."""
    head, _, rest = name.partition(".")
    match head:
        case "rate":
            return getattr(arm.rate, rest or "median")  # type: ignore[no-any-return]
        case "speedup":
            return getattr(arm.speedup, rest or "ratio")  # type: ignore[no-any-return]
        case "errors" | "dropped":
            return getattr(getattr(arm, head), rest)  # type: ignore[no-any-return]
        case "response_time" | "service_time" | "send_delay":
            distribution = getattr(arm, head)
            found = distribution.percentiles.get(rest) if rest[:1] == "p" else getattr(distribution, rest)
            return found  # type: ignore[no-any-return]
        case _:
            return getattr(arm, name)  # type: ignore[no-any-return]


def _meant(result: BenchResult, threshold: Threshold) -> Sequence[ArmResult]:
    arms = [arm for arm in result.arms if threshold.arm in ("*", arm.name, arm.group)]
    if threshold.arm == "*" and threshold.metric.startswith("speedup"):
        return [arm for arm in arms if arm.speedup.verdict != "baseline"]
    return arms
