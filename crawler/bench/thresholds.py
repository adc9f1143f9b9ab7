"""What a job's `thresholds` say of a result: the ones that do not hold, with the number that was measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from crawler.bench.result import ArmResult, BenchResult
from crawler.jobs.thresholds import Threshold


@dataclass(frozen=True, slots=True)
class Breach:
    """A threshold that does not hold.

    Attributes:
        threshold: What was asked.
        arm: Whose number it is.
        value: What was measured, in the metric's unit; `None` if it was not.
    """

    threshold: Threshold
    arm: str
    value: float | None


def breaches(result: BenchResult, thresholds: Iterable[Threshold]) -> list[Breach]:
    """Give every arm that breaks a threshold, in the order of the thresholds.

    A number that was not measured breaks it: a check that passes because nothing was looked at is none. The baseline
    has no speedup over itself and is passed over by those of `*`.
    """
    found = []
    for threshold in thresholds:
        meant = _meant(result, threshold)
        if not meant and threshold.arm != "*":  # the run ended before its turn
            found.append(Breach(threshold, threshold.arm, None))
        for arm in meant:
            value = metric(arm, threshold.metric)
            if value is None or not threshold.holds(value):
                found.append(Breach(threshold, arm.name, value))
    return found


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
