"""Timetables of the open executors: when the n-th request is to start, known before the first one does.

A load that waits for answers asks less of a server that stalls, and so hides the stall (coordinated omission). These
instants depend on nothing but the plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import sqrt

from crawler.bench.plan import Executor, Stage


def starts(executor: Executor) -> Iterator[float]:
    """Give the intended starts of a round, in seconds from its beginning, in order; computed as they are pulled."""
    if executor.stages:
        return ramp(executor.stages)
    assert executor.rate is not None
    assert executor.duration is not None
    return constant(executor.rate, executor.duration)


def constant(rate: float, duration: float) -> Iterator[float]:
    """Starts at an even rate: 0, 1/rate, 2/rate, … below `duration`. Multiplied, not added up, so nothing drifts."""
    number = 0
    while (at := number / rate) < duration:
        yield at
        number += 1


def ramp(stages: Sequence[Stage]) -> Iterator[float]:
    """Starts along a ramp that begins at a rate of zero.

    The n-th start is where the area under the rate reaches n: within a stage from rate a to rate b that is a quadratic,
    solved in the form that stays exact when a = b.
    """
    number, begun, done, rate = 1, 0.0, 0.0, 0.0
    for stage in stages:
        slope = (stage.rate - rate) / stage.duration
        area = (rate + stage.rate) / 2 * stage.duration
        while number <= done + area + 1e-9:
            left = number - done
            root = sqrt(max(0.0, rate * rate + 2 * slope * left))
            yield begun + min(stage.duration, 2 * left / (rate + root))
            number += 1
        begun += stage.duration
        done += area
        rate = stage.rate
