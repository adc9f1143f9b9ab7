"""The limits of `stop`."""

from __future__ import annotations

from typing import Any

import pytest

from crawler.fanout.plan import StopLimits
from crawler.fanout.stopping import StopRules


def first(outcomes: str, **limits: Any) -> tuple[int | None, str | None]:
    """At which of the outcomes (`f` failed) the limit is hit, and what it says."""
    rules = StopRules(StopLimits(**limits))
    for number, outcome in enumerate(outcomes, 1):
        if rules.finish(outcome == "f"):
            return number, rules.hit
    return None, rules.hit


@pytest.mark.parametrize(
    ("outcomes", "limits", "expected"),
    [
        ("fofof", {"failures": 3}, (5, "failures: 3")),
        ("ffoff", {"consecutive_failures": 3}, (None, None)),
        ("offf", {"consecutive_failures": 3}, (4, "consecutive_failures: 3")),
        ("fff", {"failure_ratio": 0.1}, (None, None)),
        ("ffoooo", {"failure_ratio": 0.5, "failure_ratio_window": 4}, (None, None)),
        ("foooff", {"failure_ratio": 0.3, "failure_ratio_window": 4}, (6, "failure_ratio: 0.5 of the last 4")),
    ],
)
def test_failures(outcomes: str, limits: dict[str, Any], expected: tuple[int | None, str | None]) -> None:
    """Each limit ends the run at the request that reaches it; a ratio only with a whole window."""
    assert first(outcomes, **limits) == expected


def test_requests_and_bytes() -> None:
    """The last request that may begin, and the byte that is one too many, are told; the first limit is the reason."""
    rules = StopRules(StopLimits(requests=2, bytes=100))

    assert [rules.begin(), rules.begin()] == [False, True]
    assert [rules.receive(99), rules.receive(100)] == [False, True]
    assert rules.hit == "requests: 2"


def test_failures_within_the_ratio_are_tolerable() -> None:
    """Without a ratio none is; with one, up to it."""
    assert StopRules(StopLimits()).are_tolerable(0, 0)
    assert not StopRules(StopLimits()).are_tolerable(1, 1000)
    assert StopRules(StopLimits(failure_ratio=0.05)).are_tolerable(5, 100)
    assert not StopRules(StopLimits(failure_ratio=0.05)).are_tolerable(6, 100)
